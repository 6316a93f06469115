/* Gradient of the weights of a depthwise convolution: planes whose rows are contiguous, and channels last, where they lie
 * (kernels/depthwise_grad_weight.inc); all others the way of direct_grad_weight.c.
 *
 * A task is as many planes as make a task's worth, or channels last, as many channels as leave their sums in L1, each
 * summed over the whole batch in order, so that no bit depends on the number of threads. Channels last, one row of
 * grad_output after another is taken with all rows of taps that meet the image. The kernels count
 * what lies outside as 0, which times an infinity would be NaN: a plane whose sums are not finite is done again by
 * direct, which multiplies nothing that is not there. Accumulator: the dtype.
 */
#include "algorithms/cost.h"
#include "algorithms/depthwise.h"
#include "algorithms/grad_weight.h"

#include <string.h>

enum { TASK_SUMS = 1 << 17, SUM_BYTES = 16 << 10 }; /* of a task: multiply-adds; channels last, sums */

typedef struct planes_run {
    const fc_problem *p;
    fc_depthwise_grad_weight kernel; /* what all planes share */
    int64_t together;                /* planes of a task */
    int lanes;                       /* channels last, in place or once turned so */
    int turned;
    ptrdiff_t x_pitch, g_pitch; /* lanes: from row to row */
    int64_t x_bytes;            /* turned: of some channels of one item */
    int64_t zero_count;
    char *zeros;
    char **turns;         /* a thread each: x and grad_output of some channels */
    char **sums, **again; /* a thread each: a vector, or a line of channels, a tap; scratch for doing a plane again */
} planes_run;

static int taps_fit(const fc_problem *p, int axis) {
    return (p->kernel[axis] == 3 || p->kernel[axis] == 5 || p->kernel[axis] == 7) && p->stride[axis] <= 2 &&
           p->dilation[axis] == 1;
}

static int lanes_fit(const fc_problem *p) {
    const ptrdiff_t item = p->kernels->itemsize;
    return p->out_channels == 1 && p->groups >= p->kernels->lanes && p->x.group == item && p->y.group == item &&
           taps_fit(p, 2) && p->kernel[1] <= 64;
}

static int planes_fit(const fc_problem *p) {
    const ptrdiff_t item = p->kernels->itemsize;
    return p->x.axis[2] == item && p->y.axis[2] == item && p->stride[1] == p->stride[2] && taps_fit(p, 1) &&
           p->dilation[2] == 1 && p->kernel[2] == p->kernel[1];
}

/* Planes so narrow that it pays to turn some channels at a time to channels last: what is walked along is a row then,
 * and nothing is lost to lanes beside it. Up to twice as fast on 7x7; on 28x28 only for 7x7. */
static int turn_fits(const fc_problem *p) {
    const int64_t most = fc_taps(p) >= 49 ? 4 * p->kernels->lanes : 16;
    return p->out_channels == 1 && p->groups >= p->kernels->lanes && taps_fit(p, 2) && p->kernel[1] <= 64 &&
           p->in_size[2] <= most && p->in_size[1] <= 64;
}

static int fits(const fc_problem *p) {
    return p->kernel[0] == 1 && p->out_size[0] == 1 && fc_lies_inside(p, 0) && (lanes_fit(p) || planes_fit(p));
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
    *run = (planes_run){.p = p, .lanes = lanes_fit(p), .x_pitch = p->x.axis[1], .g_pitch = p->y.axis[1]};
    run->turned = !run->lanes && turn_fits(p);
    run->together = fc_max(TASK_SUMS / fc_max(sums, 1), 1);
    if (run->lanes)
        run->together = fc_min(fc_round_up(fc_max(SUM_BYTES / item / taps, 1), 64 / item), p->groups);
    else if (run->turned)
        run->together = p->in_size[1] * p->in_size[2] > 256 ? p->kernels->lanes : 2 * p->kernels->lanes;
    run->lanes |= run->turned;
    const int64_t line = run->lanes ? fc_round_up(run->together, 64 / item) : p->kernels->lanes;
    if (run->turned) {
        run->x_pitch = p->in_size[2] * line * item;
        run->g_pitch = p->out_size[2] * line * item;
        run->x_bytes = p->in_size[1] * run->x_pitch;
    }
    run->zero_count = run->lanes ? fc_max(p->groups, line) : fc_max(p->in_size[2], p->out_size[2]);
    run->zeros = fc_arena_take(arena, run->zero_count, (size_t)item);
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    run->again = fc_arena_take(arena, threads, sizeof(char *));
    run->turns = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *lines = fc_arena_take(arena, fc_product(taps, line), (size_t)item);
        char *scratch = fc_arena_take(arena, 1, again);
        char *turned = fc_arena_take(arena, run->turned ? run->x_bytes + p->out_size[1] * run->g_pitch : 0, 1);
        if (arena->base) {
            run->sums[t] = lines;
            run->again[t] = scratch;
            run->turns[t] = turned;
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
        .sum_step = line * item,
    };
    if (run->lanes) {
        run->kernel.rows = p->kernel[2];
        run->kernel.in_rows = p->in_size[2];
        run->kernel.out_rows = p->out_size[2];
        run->kernel.row_offset = p->offset[2];
        run->kernel.x_row = run->turned ? line * item : p->x.axis[2];
        run->kernel.g_row = run->turned ? line * item : p->y.axis[2];
        run->kernel.x_line = p->dilation[1] * run->x_pitch;
    }
}

/* Planes whose sums are not finite. */
static void do_again(const planes_run *run, int64_t begin, int64_t end, int thread) {
    const fc_problem *p = run->p;
    for (int64_t i = begin; i < end; ++i) {
        const fc_problem plane = plane_problem(p, i / p->out_channels, i % p->out_channels);
        if (!fc_depthwise_weights_finite(&plane, plane.w.data, 1))
            fc_direct_grad_weight(&plane, run->again[thread], 1);
    }
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
        if (!p->kernels->depthwise_grad_weight(&kernel))
            do_again(run, at, at + count, thread);
    }
}

/* Some channels of one item, channels last. */
static void turn(const fc_problem *p, char *to, ptrdiff_t line, const fc_image *image, const char *from,
                 const int64_t size[FC_SPATIAL], int64_t channels) {
    const ptrdiff_t item = p->kernels->itemsize;
    const int dense = image->axis[1] == size[2] * item;
    const int64_t rows = dense ? 1 : size[1], columns = dense ? size[1] * size[2] : size[2];
    for (int64_t row = 0; row < rows; ++row)
        p->kernels->copy_matrix((fc_matrix){to + row * columns * line, item, line},
                                (fc_matrix){(char *)from + row * image->axis[1], image->group, item}, channels,
                                columns);
}

/* Some channels. */
static void lanes_task(void *context, int64_t task, int thread) {
    const planes_run *run = context;
    const fc_problem *p = run->p;
    const int64_t begin = task * run->together, end = fc_min(begin + run->together, p->groups);
    const ptrdiff_t item = p->kernels->itemsize, line = run->kernel.sum_step;
    char *sums = run->sums[thread], *w = p->w.data + begin * p->w.group;
    fc_depthwise_grad_weight kernel = run->kernel;
    kernel.planes = end - begin;
    memset(sums, 0, (size_t)(p->kernel[1] * p->kernel[2] * line));
    for (int64_t n = 0; n < p->batch; ++n) {
        const char *x = p->x.data + n * p->x.batch + begin * p->x.group;
        const char *g = p->y.data + n * p->y.batch + begin * p->y.group;
        if (run->turned) {
            char *room = run->turns[thread];
            turn(p, room, line, &p->x, x, p->in_size, end - begin);
            turn(p, room + run->x_bytes, line, &p->y, g, p->out_size, end - begin);
            x = room;
            g = room + run->x_bytes;
        }
        for (int64_t row = 0; row < p->out_size[1]; ++row) {
            const fc_range rows = fc_valid_taps(p, 1, row);
            kernel.x = x + (row * p->stride[1] + rows.begin * p->dilation[1] + p->offset[1]) * run->x_pitch;
            kernel.g = g + row * run->g_pitch;
            kernel.columns = rows.end - rows.begin;
            kernel.sums = sums + rows.begin * p->kernel[2] * line;
            if (kernel.columns > 0)
                p->kernels->depthwise_grad_weight_lanes(&kernel);
        }
    }
    const int dense = p->w.axis[1] == p->kernel[2] * p->w.axis[2];
    const int64_t together = dense ? p->kernel[1] * p->kernel[2] : p->kernel[2];
    for (int64_t tap = 0; tap < p->kernel[1] * p->kernel[2]; tap += together)
        p->kernels->copy_matrix((fc_matrix){w + tap / p->kernel[2] * p->w.axis[1], p->w.axis[2], p->w.group},
                                (fc_matrix){sums + tap * line, line, item}, together, end - begin);
    if (!fc_depthwise_weights_finite(p, w, end - begin))
        do_again(run, begin, end, thread);
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
    memset(run.zeros, 0, (size_t)(run.zero_count * p->kernels->itemsize));
    fc_parallel(fc_ceil_div(p->groups * p->out_channels, run.together), threads, run.lanes ? lanes_task : planes_task,
                &run);
}

/* A vector's sums, and what a plane takes beside them; elsewhere a tenth more than direct. */
double fc_depthwise_grad_weight_cost(const fc_problem *p) {
    const double taps = (double)fc_taps(p), planes = (double)p->groups * (double)p->out_channels;
    if (!fits(p))
        return 1.1 * fc_direct_grad_weight_cost(p);
    if (lanes_fit(p) || turn_fits(p)) {
        const double moved = (double)(p->in_size[1] * p->in_size[2]) + (double)(p->out_size[1] * p->out_size[2]);
        return (double)fc_ceil_div(p->groups, p->kernels->lanes) * (double)fc_positions(p) *
                   (FC_COST_DEPTHWISE_GRAD_LANES_TAP * taps + FC_COST_DEPTHWISE_GRAD_PIXEL) +
               (lanes_fit(p) ? 0 : FC_COST_DEPTHWISE_GRAD_TURN * moved * planes);
    }
    const double vectors = (double)p->out_size[1] * (double)fc_ceil_div(p->out_size[2], p->kernels->lanes);
    const double tap = p->stride[2] == 1 ? FC_COST_DEPTHWISE_GRAD_TAP : FC_COST_DEPTHWISE_GRAD_TAP_STRIDED;
    return planes * (vectors * (tap * taps + 2) + 3 * taps + FC_COST_DEPTHWISE_GRAD_PLANE);
}
