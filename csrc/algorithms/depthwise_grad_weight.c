/* Gradient of the weights of a depthwise convolution: planes whose rows are contiguous, where they lie
 * (kernels/depthwise_grad_weight.inc); all others the way of direct_grad_weight.c.
 *
 * A task is as many planes as make a task's worth, each summed over the whole batch in order, so that no bit depends on
 * the number of threads. The kernel counts what lies outside as 0, which times an infinity would be NaN: a plane whose
 * sums are not finite is done again by direct, which multiplies nothing that is not there. Accumulator: the dtype.
 */
#include "algorithms/depthwise.h"
#include "algorithms/grad_weight.h"

#include <string.h>

enum { TASK_SUMS = 1 << 17 }; /* multiply-adds of a task */

typedef struct planes_run {
    const fc_problem *p;
    fc_depthwise_grad_weight kernel; /* what all planes share */
    int64_t together;                /* planes of a task */
    char *zeros;
    char **sums, **again; /* a thread each: a vector a tap; scratch for doing a plane again */
} planes_run;

static int fits(const fc_problem *p) {
    const ptrdiff_t item = p->kernels->itemsize;
    const int64_t rows = p->kernel[1];
    return p->kernel[0] == 1 && p->out_size[0] == 1 && fc_lies_inside(p, 0) && (rows == 3 || rows == 5 || rows == 7) &&
           p->kernel[2] <= 64 && p->stride[1] == p->stride[2] && p->stride[2] <= 2 && p->dilation[1] == 1 &&
           (p->dilation[2] == 1 || p->kernel[2] == 1) && p->x.axis[2] == item && p->y.axis[2] == item;
}

/* One plane as a problem of its own. */
static fc_problem plane_problem(const fc_problem *p, int64_t group, int64_t out) {
    fc_problem plane = *p;
    plane.groups = plane.out_channels = 1;
    plane.x.data += group * p->x.group;
    plane.y.data += group * p->y.group + out * p->y.channel;
    plane.w.data += group * p->w.group + out * p->w.out;
    return plane;
}

static void lay_out(planes_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const int64_t item = p->kernels->itemsize, taps = p->kernel[1] * p->kernel[2];
    const int64_t sums = fc_product(fc_product(p->out_size[1] * p->out_size[2], taps), p->batch);
    const fc_problem plane = plane_problem(p, 0, 0);
    const size_t again = fc_direct_grad_weight_scratch_bytes(&plane, 1);
    *run = (planes_run){.p = p, .together = fc_max(TASK_SUMS / fc_max(sums, 1), 1)};
    run->zeros = fc_arena_take(arena, fc_max(p->in_size[2], p->out_size[2]), (size_t)item);
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    run->again = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *lines = fc_arena_take(arena, taps * p->kernels->lanes, (size_t)item);
        char *scratch = fc_arena_take(arena, 1, again);
        if (arena->base) {
            run->sums[t] = lines;
            run->again[t] = scratch;
        }
    }
    run->kernel = (fc_depthwise_grad_weight){
        .zeros = run->zeros,
        .batch = p->batch,
        .rows = p->kernel[1],
        .columns = p->kernel[2],
        .step = p->stride[2],
        .in_rows = p->in_size[1],
        .in_columns = p->in_size[2],
        .out_rows = p->out_size[1],
        .out_columns = p->out_size[2],
        .row_offset = p->offset[1],
        .column_offset = p->offset[2],
        .x_plane = p->x.group,
        .x_batch = p->x.batch,
        .x_row = p->x.axis[1],
        .g_plane = p->y.group,
        .g_batch = p->y.batch,
        .g_row = p->y.axis[1],
        .w_plane = p->w.group,
        .w_row = p->w.axis[1],
        .w_column = p->w.axis[2],
    };
}

/* Some planes, numbered by group, output channel. */
static void planes_task(void *context, int64_t task, int thread) {
    const planes_run *run = context;
    const fc_problem *p = run->p;
    const int64_t begin = task * run->together, all = p->groups * p->out_channels;
    const int64_t end = fc_min(begin + run->together, all);
    const int64_t count = p->out_channels == 1 ? end - begin : 1; /* planes of one call */
    for (int64_t at = begin; at < end; at += count) {
        const fc_problem first = plane_problem(p, at / p->out_channels, at % p->out_channels);
        fc_depthwise_grad_weight kernel = run->kernel;
        kernel.x = first.x.data;
        kernel.g = first.y.data;
        kernel.w = first.w.data;
        kernel.sums = run->sums[thread];
        kernel.planes = count;
        if (p->kernels->depthwise_grad_weight(&kernel))
            continue;
        for (int64_t i = at; i < at + count; ++i) {
            const fc_problem plane = plane_problem(p, i / p->out_channels, i % p->out_channels);
            if (!fc_depthwise_weights_finite(&plane, plane.w.data, 1))
                fc_direct_grad_weight(&plane, run->again[thread], 1);
        }
    }
}

size_t fc_depthwise_grad_weight_scratch_bytes(const fc_problem *p, int threads) {
    if (!fits(p))
        return fc_direct_grad_weight_scratch_bytes(p, threads);
    planes_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

void fc_depthwise_grad_weight_run(const fc_problem *p, void *scratch, int threads) {
    if (!fits(p)) {
        fc_direct_grad_weight(p, scratch, threads);
        return;
    }
    planes_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    memset(run.zeros, 0, (size_t)(fc_max(p->in_size[2], p->out_size[2]) * p->kernels->itemsize));
    fc_parallel(fc_ceil_div(p->groups * p->out_channels, run.together), threads, planes_task, &run);
}

/* In the units of the others: a vector's sums, and the adding up of a plane. Elsewhere a tenth more than direct. */
double fc_depthwise_grad_weight_cost(const fc_problem *p) {
    const double taps = (double)fc_taps(p), outputs = (double)p->out_channels, groups = (double)p->groups;
    if (!fits(p))
        return 1.1 * groups * (double)fc_positions(p) *
               (1.1 * (double)fc_ceil_div(p->out_channels, p->kernels->lanes) * taps + outputs * (1.0 + taps / 512));
    const double vectors = (double)p->out_size[1] * (double)fc_ceil_div(p->out_size[2], p->kernels->lanes);
    return groups * outputs * (vectors * (0.6 * taps + 1.0) + 3.0 * taps);
}
