/* Depthwise convolution, forward: every output channel is made of one input channel. Any number of outputs a channel.
 *
 * Nothing is summed over channels, so there is nothing that a matrix product could share: the work is that of a filter
 * of single planes, and it is bound by loads. The kernels do a tile of outputs by one vector at a time, every line of
 * the input loaded once for a column of taps. Ways to feed them:
 *
 *     in place the common kernels and strides of contiguous rows, read where they lie (depthwise_in_place.c).
 *     planes   other kernels: rows contiguous (or copied so), lanes along a row, stride 1 or 2 along it. Tiles inside of
 *              the image are read where they lie. For those at its borders, small images, and pitches that put all rows
 *              into the same cache sets, a copy with its padding is made in L1: a band of rows, or its two ends.
 *     lanes    channels last, lanes along channels, any stride and dilation. Weights are transposed into lines of
 *              channels once. The common kernels take 7 pixels at a time through pointers, those outside of the image
 *              being a line of zeros; in others, outputs with the same valid taps go together.
 *     flat     channels last, but fewer than lanes: a row of all channels is a row of a plane, whose taps lie that many
 *              elements apart and whose weights change from lane to lane.
 *     lines    anything else: a row of sums, one tap at a time. Also planes with an infinite or NaN weight, which
 *              would turn zeros of padding into NaN.
 *
 * The way is settled by the problem, an output's chain of sums by its place in the image. Accumulator: the dtype.
 */
#include "algorithms/depthwise.h"

#include "algorithms/cost.h"

#include <string.h>

enum { BAND_SUMS = 1 << 16 }; /* multiply-adds of a vector's lanes to one task */

static int supports(const fc_problem *p) { return p->in_channels == 1; }

static fc_depthwise_way way_of(const fc_problem *p) {
    const ptrdiff_t item = p->kernels->itemsize;
    if (p->out_channels == 1 && p->groups >= p->kernels->lanes && p->x.group == item && p->y.group == item)
        return LANES;
    if (fc_depthwise_fits_in_place(p))
        return IN_PLACE;
    if (p->kernel[0] > 1 || !fc_lies_inside(p, 0) || p->stride[2] > 2 || fc_extent(p, 1) > 64 || fc_extent(p, 2) > 512)
        return LINES;
    const ptrdiff_t pixel = p->groups * item;
    return p->out_channels == 1 && p->groups > 1 && p->x.group == item && p->y.group == item && p->x.axis[2] == pixel &&
                   p->y.axis[2] == pixel && p->stride[2] == 1 && p->groups * p->out_size[2] >= p->kernels->lanes
               ? FLAT
               : PLANES;
}

/* The problem whose rows are those of all channels. */
static fc_problem flat_problem(const fc_problem *p) {
    fc_problem flat = *p;
    flat.groups = 1;
    flat.in_size[2] *= p->groups;
    flat.out_size[2] *= p->groups;
    flat.dilation[2] *= p->groups;
    flat.offset[2] *= p->groups;
    flat.x.axis[2] = flat.y.axis[2] = p->kernels->itemsize;
    return flat;
}

/* ---- lines ---- */

void fc_depthwise_line_rows(const fc_problem *p, const char *image, const char *weights, const fc_finish *finish,
                            char *y, int64_t depth, int64_t begin, int64_t end, char *sums) {
    const ptrdiff_t item = p->kernels->itemsize;
    const fc_range depths = fc_valid_taps(p, 0, depth);
    for (int64_t row = begin; row < end; ++row) {
        const fc_range rows = fc_valid_taps(p, 1, row);
        p->kernels->fill_row(sums, 0, p->out_size[2]);
        for (int64_t k = 0; k < p->kernel[2]; ++k) {
            const fc_range columns = fc_valid_positions(p, 2, k);
            const char *from =
                image + (columns.begin * p->stride[2] + k * p->dilation[2] + p->offset[2]) * p->x.axis[2];
            for (int64_t i = depths.begin; i < depths.end && columns.begin < columns.end; ++i)
                for (int64_t j = rows.begin; j < rows.end; ++j)
                    p->kernels->add_scaled(
                        sums + columns.begin * item,
                        from + (depth * p->stride[0] + i * p->dilation[0] + p->offset[0]) * p->x.axis[0] +
                            (row * p->stride[1] + j * p->dilation[1] + p->offset[1]) * p->x.axis[1],
                        p->stride[2] * p->x.axis[2], weights + i * p->w.axis[0] + j * p->w.axis[1] + k * p->w.axis[2],
                        columns.end - columns.begin);
        }
        p->kernels->finish_rows(sums, 0, 1, p->out_size[2], finish);
        p->kernels->copy_matrix((fc_matrix){y + row * p->y.axis[1], 0, p->y.axis[2]}, (fc_matrix){sums, 0, item}, 1,
                                p->out_size[2]);
    }
}

/* A band of rows of one plane of the output. */
static void plane_band(const fc_depthwise_run *run, int64_t n, int64_t group, int64_t out, int64_t depth, int64_t band,
                       fc_depthwise *kernel, char *room) {
    const fc_problem *p = run->p;
    const int64_t begin = band * run->band, end = fc_min(begin + run->band, p->out_size[1]);
    const char *image = p->x.data + n * p->x.batch + group * p->x.group;
    const char *weights = p->w.data + group * p->w.group + out * p->w.out;
    char *y = p->y.data + n * p->y.batch + group * p->y.group + out * p->y.channel + depth * p->y.axis[0];
    char *packed = room + run->room_bytes - run->weight_bytes;
    fc_finish finish = p->finish;
    if (finish.bias)
        finish.bias += (group * p->out_channels + out) * finish.bias_stride;
    if (run->way == LINES ||
        (run->way == PLANES &&
         !p->kernels->pack_columns(packed, weights, p->w.axis[1], p->w.axis[2], p->kernel[1], p->kernel[2]) &&
         run->padded)) {
        fc_depthwise_line_rows(p, image, weights, &finish, y, depth, begin, end, room);
        return;
    }
    kernel->w = packed;
    kernel->bias = finish.bias;
    fc_depthwise_plane_rows(run, kernel, image + (depth * p->stride[0] + p->offset[0]) * p->x.axis[0], y, begin, end,
                            room);
}

/* Some bands, numbered by batch, group, output channel, depth, band. */
static void plane_task(void *context, int64_t task, int thread) {
    const fc_depthwise_run *run = context;
    const fc_problem *p = run->p;
    int64_t at = task * run->together;
    int64_t left = fc_min(run->together, p->batch * run->planes * p->out_size[0] * run->bands - at);
    int64_t band = at % run->bands;
    at /= run->bands;
    int64_t depth = at % p->out_size[0];
    at /= p->out_size[0];
    int64_t out = at % p->out_channels;
    at /= p->out_channels;
    int64_t group = at % p->groups, n = at / p->groups;
    fc_depthwise kernel = run->kernel;
    for (; left > 0; --left) {
        plane_band(run, n, group, out, depth, band, &kernel, run->room[thread]);
        if (++band < run->bands)
            continue;
        band = 0;
        if (++depth < p->out_size[0])
            continue;
        depth = 0;
        if (++out < p->out_channels)
            continue;
        out = 0;
        if (++group < p->groups)
            continue;
        group = 0;
        ++n;
    }
}

/* ---- lanes ---- */

static void pack_lanes(const fc_depthwise_run *run) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    const int dense = p->w.axis[1] == p->kernel[2] * p->w.axis[2] && p->w.axis[0] == p->kernel[1] * p->w.axis[1];
    const int64_t run_taps = dense ? fc_taps(p) : p->kernel[2];
    for (int64_t tap = 0; tap < fc_taps(p); tap += run_taps) {
        const int64_t row = tap / p->kernel[2];
        const char *src = p->w.data + row / p->kernel[1] * p->w.axis[0] + row % p->kernel[1] * p->w.axis[1];
        p->kernels->copy_matrix((fc_matrix){run->weights + tap * run->line, item, run->line},
                                (fc_matrix){(char *)src, p->w.group, p->w.axis[2]}, p->groups, run_taps);
    }
    if (p->finish.bias)
        p->kernels->copy_matrix((fc_matrix){run->bias, 0, item},
                                (fc_matrix){(char *)p->finish.bias, 0, p->finish.bias_stride}, 1, p->groups);
}

/* Flat: channels repeated along a line, column by column of taps; returns whether all are finite. */
static int pack_flat(const fc_depthwise_run *run, const fc_problem *p) {
    const ptrdiff_t item = p->kernels->itemsize;
    const fc_matrix bias = {run->bias, p->groups * item, item};
    const int64_t repeats = run->line / (p->groups * item);
    int finite = 1;
    for (int64_t row = 0; row < p->kernel[1]; ++row)
        for (int64_t column = 0; column < p->kernel[2]; ++column) {
            const char *src = p->w.data + row * p->w.axis[1] + column * p->w.axis[2];
            char *line = run->weights + (column * p->kernel[1] + row) * run->line;
            p->kernels->copy_matrix((fc_matrix){line, p->groups * item, item}, (fc_matrix){(char *)src, 0, p->w.group},
                                    repeats, p->groups);
            finite &= p->kernels->pack_columns(run->bias, line, item, 0, p->groups, 1);
        }
    if (p->finish.bias)
        p->kernels->copy_matrix(bias, (fc_matrix){(char *)p->finish.bias, 0, p->finish.bias_stride}, repeats,
                                p->groups);
    return finite;
}

/* A band of rows of one image, all channels. */
static void lane_task(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_depthwise_run *run = context;
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    const int64_t lanes = p->kernels->lanes;
    const int64_t band = task % run->bands, depth = task / run->bands % p->out_size[0];
    const int64_t n = task / (run->bands * p->out_size[0]);
    const fc_range depths = fc_valid_taps(p, 0, depth);
    const ptrdiff_t back = (fc_round_up(p->groups, lanes) - p->groups) * item;
    fc_depthwise kernel = {
        .blocks = fc_ceil_div(p->groups, lanes),
        .lanes = lanes,
        .step = 1,
        .depths = depths.end - depths.begin,
        .x_row = p->stride[2] * p->x.axis[2],
        .x_block = lanes * item,
        .x_tap = p->dilation[2] * p->x.axis[2],
        .x_column = p->dilation[1] * p->x.axis[1],
        .x_depth = p->dilation[0] * p->x.axis[0],
        .chunk = 1,
        .w_block = lanes * item,
        .w_period = p->groups * item + lanes * item, /* never reached */
        .w_last = (p->groups - lanes) * item,
        .w_tap = run->line,
        .w_column = p->kernel[2] * run->line,
        .w_depth = p->kernel[1] * p->kernel[2] * run->line,
        .y_row = p->y.axis[2],
        .y_block = lanes * item,
        .y_lane = item,
        .x_back = back,
        .y_back = back,
        .activation = p->finish.activation,
        .slope = p->finish.slope,
    };
    const int shared = p->stride[2] == p->dilation[2] || p->stride[2] == 2 * p->dilation[2];
    for (int64_t row = band * run->band; row < fc_min((band + 1) * run->band, p->out_size[1]); ++row) {
        const fc_range rows = fc_valid_taps(p, 1, row);
        kernel.columns = rows.end - rows.begin;
        for (int64_t s = 0; s < run->segment_count; ++s) {
            const fc_segment *segment = &run->segments[s];
            const fc_range taps[FC_SPATIAL] = {depths, rows, segment->taps};
            const int64_t at[FC_SPATIAL] = {depth, row, segment->positions.begin};
            kernel.x = p->x.data + n * p->x.batch;
            kernel.y = p->y.data + n * p->y.batch;
            for (int axis = 0; axis < FC_SPATIAL; ++axis) {
                kernel.x += (at[axis] * p->stride[axis] + taps[axis].begin * p->dilation[axis] + p->offset[axis]) *
                            p->x.axis[axis];
                kernel.y += at[axis] * p->y.axis[axis];
            }
            kernel.w = run->weights + depths.begin * kernel.w_depth + rows.begin * kernel.w_column +
                       segment->taps.begin * kernel.w_tap;
            kernel.bias = p->finish.bias ? run->bias : NULL;
            kernel.rows = segment->positions.end - segment->positions.begin;
            kernel.taps = segment->taps.end - segment->taps.begin;
            kernel.chunk = shared && kernel.taps > 0 ? fc_channel_block(kernel.taps, 1, FC_DEPTHWISE_TAPS) : 1;
            p->kernels->depthwise_lanes(&kernel);
        }
    }
}

/* ---- pixels ---- */

static int pixels_fit(const fc_problem *p) {
    const int64_t taps = p->kernel[2];
    return p->kernel[0] == 1 && fc_lies_inside(p, 0) && (taps == 3 || taps == 5 || taps == 7) &&
           p->kernel[1] <= FC_IN_PLACE_TAPS && p->stride[2] <= 2 && p->dilation[2] == 1;
}

/* A band of rows of one image, all channels. */
static void pixel_task(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_depthwise_run *run = context;
    const fc_problem *p = run->p;
    const int64_t band = task % run->bands, depth = task / run->bands % p->out_size[0];
    const int64_t n = task / (run->bands * p->out_size[0]);
    const char *image =
        p->x.data + n * p->x.batch + (depth * p->stride[0] + p->offset[0]) * p->x.axis[0] + p->offset[1] * p->x.axis[1];
    char *y = p->y.data + n * p->y.batch + depth * p->y.axis[0];
    fc_depthwise_in_place kernel = {
        .bias = p->finish.bias ? run->bias : NULL,
        .zeros = run->zeros,
        .planes = p->groups,
        .end = p->out_size[2],
        .rows = p->kernel[2],
        .step = p->stride[2],
        .in_rows = p->in_size[2],
        .row_offset = p->offset[2],
        .x_row = p->x.axis[2],
        .x_line = p->dilation[1] * p->x.axis[1],
        .w_row = run->line,
        .w_column = p->kernel[2] * run->line,
        .y_row = p->y.axis[2],
        .activation = p->finish.activation,
        .slope = p->finish.slope,
    };
    for (int64_t row = band * run->band; row < fc_min((band + 1) * run->band, p->out_size[1]); ++row) {
        const fc_range rows = fc_valid_taps(p, 1, row);
        kernel.columns = fc_max(rows.end - rows.begin, 0);
        kernel.x = image + (row * p->stride[1] + rows.begin * p->dilation[1]) * p->x.axis[1];
        kernel.w = run->weights + rows.begin * kernel.w_column;
        kernel.y = y + row * p->y.axis[1];
        p->kernels->depthwise_pixels(&kernel);
    }
}

/* Channels that have met zeros beside the image with an infinite or NaN weight. */
static void redo_channels(const fc_depthwise_run *run) {
    const fc_problem *p = run->p;
    for (int64_t group = 0; group < p->groups; ++group) {
        const char *weights = p->w.data + group * p->w.group;
        fc_finish finish = p->finish;
        if (finish.bias)
            finish.bias += group * finish.bias_stride;
        if (fc_depthwise_weights_finite(p, weights, 1))
            continue;
        for (int64_t n = 0; n < p->batch; ++n)
            for (int64_t depth = 0; depth < p->out_size[0]; ++depth)
                fc_depthwise_line_rows(p, p->x.data + n * p->x.batch + group * p->x.group, weights, &finish,
                                       p->y.data + n * p->y.batch + group * p->y.group + depth * p->y.axis[0], depth, 0,
                                       p->out_size[1], run->sums);
    }
}

/* ---- all ways ---- */

static void lay_out(fc_depthwise_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    *run = (fc_depthwise_run){.p = p, .way = way_of(p), .planes = p->groups * p->out_channels};
    const ptrdiff_t item = p->kernels->itemsize;
    run->room_bytes = fc_product(p->out_size[2], item);
    int64_t sums = fc_product(p->out_size[2], fc_taps(p));
    run->tile_rows = 1;
    if (run->way == LANES) {
        sums = fc_product(sums, p->groups);
        run->line = fc_round_up(p->groups * item, 64);
        run->line += run->line % 1024 == 0 ? 64 : 0; /* all taps in the same cache sets */
        run->weights = fc_arena_take(arena, fc_product(fc_taps(p), run->line), 1);
        run->bias = fc_arena_take(arena, run->line, 1);
        run->segments = fc_arena_take(arena, fc_segment_bound(p, 2), sizeof(fc_segment));
        run->room_bytes = 0;
        run->pixels = pixels_fit(p);
        if (run->pixels) {
            run->zero_bytes = p->groups * item;
            run->zeros = fc_arena_take(arena, run->zero_bytes, 1);
            run->sums = fc_arena_take(arena, p->out_size[2], (size_t)item);
        }
    } else if (run->way == IN_PLACE) {
        fc_depthwise_plan_in_place(run, arena);
    } else if (run->way != LINES) {
        const int64_t line = fc_round_up(run->way == FLAT ? p->groups * run->room_bytes : run->room_bytes, 64);
        if (run->way == FLAT) {
            run->flat = flat_problem(p);
            run->p = &run->flat;
            run->channels = p->groups;
            run->planes = 1;
            run->line = fc_round_up((3 * p->groups + p->kernels->lanes) * item, 64);
            run->weights = fc_arena_take(arena, fc_product(fc_taps(p), run->line), 1);
            run->bias = fc_arena_take(arena, run->line, 1);
            sums = fc_product(sums, p->groups);
        }
        fc_depthwise_plan_planes(run);
        run->weight_bytes = fc_round_up(fc_taps(p) * item, 64);
        run->room_bytes = fc_max(run->room_bytes, line) + run->weight_bytes;
    }
    run->band = fc_min(fc_round_up(fc_max(BAND_SUMS / fc_max(sums, 1), 1), run->tile_rows), p->out_size[1]);
    run->bands = fc_ceil_div(p->out_size[1], run->band);
    run->together = fc_max(BAND_SUMS / fc_max(fc_product(sums, run->band), 1), 1);
    run->room = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *part = fc_arena_take(arena, run->room_bytes, 1);
        if (arena->base)
            run->room[t] = part;
    }
}

static size_t forward_scratch_bytes(const fc_problem *p, const void *packed, int threads) {
    (void)packed;
    fc_depthwise_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

static void forward(const fc_problem *p, const void *packed, void *scratch, int threads) {
    (void)packed;
    fc_depthwise_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    if (run.way == LANES) {
        pack_lanes(&run);
        if (run.pixels) {
            memset(run.zeros, 0, (size_t)run.zero_bytes);
            fc_parallel(p->batch * p->out_size[0] * run.bands, threads, pixel_task, &run);
            if (!fc_lies_inside(p, 2) && !fc_depthwise_weights_finite(p, p->w.data, p->groups))
                redo_channels(&run);
            return;
        }
        run.segment_count = fc_segments(p, 2, run.segments);
        fc_parallel(p->batch * p->out_size[0] * run.bands, threads, lane_task, &run);
    } else if (run.way == IN_PLACE) {
        memset(run.zeros, 0, (size_t)run.zero_bytes);
        fc_parallel(fc_ceil_div(p->batch * run.planes * p->out_size[0] * run.bands, run.together), threads,
                    fc_depthwise_in_place_task, &run);
    } else {
        if (run.way == FLAT && !pack_flat(&run, p) && run.padded) {
            run.way = LINES;
            run.p = p;
            run.planes = p->groups;
        }
        fc_parallel(fc_ceil_div(p->batch * run.planes * p->out_size[0] * run.bands, run.together), threads, plane_task,
                    &run);
    }
}

static size_t packed_bytes(const fc_problem *p) {
    (void)p;
    return 0;
}

static void pack_weights(const fc_problem *p, void *packed, int threads) {
    (void)p;
    (void)packed;
    (void)threads;
}

/* Of one plane of outputs; `copied`: elements of padded copies. */
static double plane_cost(const fc_problem *p, fc_depthwise_way way, double copied) {
    const ptrdiff_t item = p->kernels->itemsize;
    const double taps = (double)fc_taps(p), rows = (double)p->out_size[0] * (double)p->out_size[1];
    const double columns = (double)p->out_size[2], across = (double)fc_ceil_div(p->out_size[2], p->kernels->lanes);
    const int strided = p->stride[2] > 1;
    const double scattered = p->y.axis[2] == item ? 0 : FC_COST_DEPTHWISE_SCATTERED * columns;
    if (way == IN_PLACE) {
        const double tap = strided ? FC_COST_DEPTHWISE_TAP_STRIDED : FC_COST_DEPTHWISE_TAP;
        return rows * across * (tap * taps + FC_COST_DEPTHWISE_VECTOR);
    }
    if (way == PLANES) {
        const double tap = strided ? FC_COST_DEPTHWISE_COPIED_TAP_STRIDED : FC_COST_DEPTHWISE_COPIED_TAP;
        return rows * (across * (tap * taps + FC_COST_DEPTHWISE_VECTOR) + scattered) + FC_COST_DEPTHWISE_COPY * copied;
    }
    const double line = FC_COST_DEPTHWISE_LINE + (strided ? FC_COST_DEPTHWISE_ELEMENT * columns : 3 * across);
    return rows * (taps * line + scattered);
}

static double forward_cost(const fc_problem *p) {
    fc_depthwise_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, 1);
    const int all_channels = run.way == LANES || run.way == FLAT;
    const fc_traffic traffic = fc_traffic_of(p, !all_channels);
    double cost = fc_traffic_cost(&traffic);
    if (all_channels) {
        const double rows = (double)p->out_size[0] * (double)p->out_size[1], columns = (double)p->out_size[2];
        const double vectors = run.way == LANES ? columns * (double)fc_ceil_div(p->groups, p->kernels->lanes)
                                                : (double)fc_ceil_div(p->out_size[2] * p->groups, p->kernels->lanes);
        return cost + rows * vectors * (FC_COST_DEPTHWISE_LANES_TAP * (double)fc_taps(p) + FC_COST_DEPTHWISE_VECTOR);
    }
    const double copied = run.way == PLANES ? (double)p->out_size[0] * fc_depthwise_copied(&run) : 0;
    return cost + (double)run.planes * (plane_cost(p, run.way, copied) + FC_COST_DEPTHWISE_PLANE);
}

const fc_algorithm fc_depthwise_algorithm = {
    .name = "depthwise",
    .needs = "one input channel a group (groups = input channels)",
    .exact = 1,
    .supports = supports,
    .supports_grad_weight = 1,
    .forward_cost = forward_cost,
    .packed_bytes = packed_bytes,
    .pack_weights = pack_weights,
    .forward_scratch_bytes = forward_scratch_bytes,
    .forward = forward,
    .grad_weight_cost = fc_depthwise_grad_weight_cost,
    .grad_weight_scratch_bytes = fc_depthwise_grad_weight_scratch_bytes,
    .grad_weight = fc_depthwise_grad_weight_run,
};
