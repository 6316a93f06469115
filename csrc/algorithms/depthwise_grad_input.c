/* Gradient of the input of a depthwise convolution of stride 2, and its transpose: planes whose rows are contiguous, all
 * four phases at once (kernels/depthwise_grad_input.inc). One after another they would each write every other element
 * of every other row, and read grad_output again: four to six times as long.
 *
 * A task is as many whole planes as make a task's worth. Zeros stand for what lies outside of grad_output, so planes with
 * an infinite or NaN weight are left to whoever calls this, to be done phase by phase. Accumulator: the dtype.
 */
#include "algorithms/depthwise.h"

#include <string.h>

enum { TASK_SUMS = 1 << 16 }; /* multiply-adds of a task */

typedef struct planes_run {
    const fc_problem *whole;
    fc_depthwise_grad_input kernel; /* what all planes share */
    int64_t together;               /* planes of a task */
    int finite;                     /* all weights */
} planes_run;

int fc_depthwise_fits_grad_input(const fc_problem *whole) {
    const ptrdiff_t item = whole->kernels->itemsize;
    return whole->in_channels == 1 && whole->out_channels == 1 && whole->kernel[0] == 1 && whole->in_size[0] == 1 &&
           whole->out_size[0] == 1 && whole->offset[0] == 0 && whole->stride[1] == 2 && whole->stride[2] == 2 &&
           whole->dilation[1] == 1 && whole->dilation[2] == 1 && whole->kernel[1] >= 2 && whole->kernel[1] <= 7 &&
           whole->kernel[2] >= 2 && whole->kernel[2] <= 64 && whole->offset[1] > -64 && whole->offset[2] > -64 &&
           whole->x.axis[2] == item && whole->y.axis[2] == item;
}

size_t fc_depthwise_grad_input_scratch_bytes(const fc_problem *whole) {
    fc_arena arena = {0};
    fc_arena_take(&arena, whole->out_size[2], (size_t)whole->kernels->itemsize);
    return arena.used;
}

/* Some planes, numbered by batch, group. */
static void planes_task(void *context, int64_t task, int thread) {
    (void)thread;
    const planes_run *run = context;
    const fc_problem *p = run->whole;
    const int64_t end = fc_min((task + 1) * run->together, p->batch * p->groups);
    for (int64_t at = task * run->together, count; at < end; at += count) {
        const int64_t n = at / p->groups, group = at % p->groups;
        fc_depthwise_grad_input kernel = run->kernel;
        kernel.w = p->w.data + group * p->w.group;
        kernel.planes = count = run->finite ? fc_min(end - at, p->groups - group) : 1;
        if (!run->finite && !fc_depthwise_weights_finite(p, kernel.w, 1))
            continue;
        kernel.g = p->y.data + n * p->y.batch + group * p->y.group;
        kernel.x = p->x.data + n * p->x.batch + group * p->x.group;
        kernel.bias = p->finish.bias ? p->finish.bias + group * p->finish.bias_stride : NULL;
        p->kernels->depthwise_grad_input(&kernel);
    }
}

int fc_depthwise_grad_input_run(const fc_problem *whole, void *scratch, int threads) {
    const int64_t sums = fc_product(whole->out_size[1] * whole->out_size[2], fc_taps(whole));
    planes_run run = {
        .whole = whole,
        .together = fc_max(TASK_SUMS / fc_max(sums, 1), 1),
        .finite = fc_depthwise_weights_finite(whole, whole->w.data, whole->groups),
        .kernel =
            {
                .zeros = scratch,
                .rows = whole->kernel[1],
                .columns = whole->kernel[2],
                .g_rows = whole->out_size[1],
                .g_columns = whole->out_size[2],
                .x_rows = whole->in_size[1],
                .x_columns = whole->in_size[2],
                .row_offset = whole->offset[1],
                .column_offset = whole->offset[2],
                .g_plane = whole->y.group,
                .g_row = whole->y.axis[1],
                .w_plane = whole->w.group,
                .w_row = whole->w.axis[1],
                .w_column = whole->w.axis[2],
                .bias_plane = whole->finish.bias_stride,
                .x_plane = whole->x.group,
                .x_row = whole->x.axis[1],
            },
    };
    memset(scratch, 0, (size_t)(whole->out_size[2] * whole->kernels->itemsize));
    fc_parallel(fc_ceil_div(whole->batch * whole->groups, run.together), threads, planes_task, &run);
    return run.finite;
}
