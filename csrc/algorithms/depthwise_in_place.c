/* Depthwise convolution of planes read where they lie (kernels/depthwise_in_place.inc): dilation 1, equal strides of 1
 * or 2, rows contiguous and not at a pitch that puts them all into the same cache sets.
 *
 * A task is some rows of one plane, or as many whole planes as make a task's worth: one call of the kernel, whose
 * set-up would else cost more than a small map. Weights are read as they lie. Lines of zeros stand for padding, so
 * planes with an infinite or NaN weight go another way: seldom, so that the weights of a task are looked at together.
 */
#include "algorithms/depthwise.h"

#include <string.h>

enum { MOST_PARTED = 256 }; /* outputs of a row whose lines are parted into even and odd elements: for L1's sake */

int fc_depthwise_fits_in_place(const fc_problem *p) {
    const ptrdiff_t item = p->kernels->itemsize;
    const int64_t rows = p->kernel[1];
    return p->kernel[0] == 1 && fc_lies_inside(p, 0) &&
           (rows == 3 ? p->kernel[2] == 3 : (rows == 5 || rows == 7) && p->kernel[2] <= 64) &&
           p->stride[1] == p->stride[2] && p->stride[2] <= 2 && (p->dilation[1] == 1) &&
           (p->dilation[2] == 1 || p->kernel[2] == 1) && p->x.axis[2] == item && p->y.axis[2] == item &&
           (p->x.axis[1] % 2048 != 0 || p->in_size[1] <= 8) &&
           (rows == 3 || p->stride[2] == 1 || p->out_size[2] <= MOST_PARTED);
}

void fc_depthwise_plan_in_place(fc_depthwise_run *run, fc_arena *arena) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize, vector = p->kernels->lanes * item;
    ptrdiff_t parted = 0;
    if (p->stride[2] == 2 && p->kernel[1] != 3)
        parted = fc_round_up((fc_max(p->out_size[2], p->kernels->lanes) + (p->kernel[2] + 1) / 2) * item, vector);
    run->zero_bytes = fc_max(p->in_size[2] * item, 2 * parted);
    run->zeros = fc_arena_take(arena, run->zero_bytes, 1);
    run->parted_at = fc_round_up(run->room_bytes, 64);
    run->room_bytes = run->parted_at + 2 * FC_IN_PLACE_LINES * parted;
    run->tile_rows = FC_IN_PLACE_ROWS;
    run->padded = !fc_lies_inside(p, 1) || !fc_lies_inside(p, 2);
    run->in_place = (fc_depthwise_in_place){
        .zeros = run->zeros,
        .parted_line = parted,
        .rows = p->kernel[1],
        .columns = p->kernel[2],
        .step = p->stride[2],
        .in_rows = p->in_size[1],
        .in_columns = p->in_size[2],
        .out_columns = p->out_size[2],
        .row_offset = p->offset[1],
        .column_offset = p->offset[2],
        .x_plane = p->x.group,
        .x_row = p->x.axis[1],
        .w_plane = p->w.group,
        .w_row = p->w.axis[1],
        .w_column = p->w.axis[2],
        .bias_plane = p->finish.bias_stride,
        .y_plane = p->y.group,
        .y_row = p->y.axis[1],
        .activation = p->finish.activation,
        .slope = p->finish.slope,
    };
}

int fc_depthwise_weights_finite(const fc_problem *p, const char *weights, int64_t planes) {
    const ptrdiff_t item = p->kernels->itemsize, row = p->w.axis[1], column = p->w.axis[2];
    const int64_t taps = p->kernel[1] * p->kernel[2];
    const ptrdiff_t step = row < 0 ? -item : item; /* turned weights lie as close, backwards */
    if (row == p->kernel[2] * step && (p->kernel[2] == 1 || column == step) &&
        (planes == 1 || p->w.group == taps * item))
        return p->kernels->all_finite(row < 0 ? weights + (taps - 1) * step : weights, planes * taps);
    int all = 1;
    for (int64_t plane = 0; plane < planes; ++plane)
        for (int64_t tap = 0; tap < taps; ++tap)
            all &= p->kernels->all_finite(
                weights + plane * p->w.group + tap / p->kernel[2] * row + tap % p->kernel[2] * column, 1);
    return all;
}

/* Rows [begin, end) of some planes; `at`: item, group, output channel and depth of the first. */
static void run_planes(const fc_depthwise_run *run, const int64_t at[4], int64_t planes, int64_t begin, int64_t end,
                       char *room) {
    const fc_problem *p = run->p;
    const char *image = p->x.data + at[0] * p->x.batch + at[1] * p->x.group;
    const char *weights = p->w.data + at[1] * p->w.group + at[2] * p->w.out;
    char *y = p->y.data + at[0] * p->y.batch + at[1] * p->y.group + at[2] * p->y.channel + at[3] * p->y.axis[0];
    fc_finish finish = p->finish;
    if (finish.bias)
        finish.bias += (at[1] * p->out_channels + at[2]) * finish.bias_stride;
    if (!run->padded || fc_depthwise_weights_finite(p, weights, planes)) {
        fc_depthwise_in_place kernel = run->in_place;
        kernel.x = image + (at[3] * p->stride[0] + p->offset[0]) * p->x.axis[0];
        kernel.w = weights;
        kernel.bias = finish.bias;
        kernel.y = y;
        kernel.planes = planes;
        kernel.parted = room + run->parted_at;
        kernel.begin = begin;
        kernel.end = end;
        (kernel.rows == 3 ? p->kernels->depthwise_3x3 : p->kernels->depthwise_in_place)(&kernel);
    } else if (planes > 1) {
        for (int64_t plane = 0; plane < planes; ++plane)
            run_planes(run, (int64_t[]){at[0], at[1] + plane, at[2], at[3]}, 1, begin, end, room);
    } else {
        fc_depthwise_line_rows(p, image, weights, &finish, y, at[3], begin, end, room);
    }
}

void fc_depthwise_in_place_task(void *context, int64_t task, int thread) {
    const fc_depthwise_run *run = context;
    const fc_problem *p = run->p;
    const int64_t most = fc_min((task + 1) * run->together, p->batch * run->planes * p->out_size[0] * run->bands);
    const int whole =
        run->bands * p->out_size[0] * p->out_channels == 1; /* a unit is a plane, of an input of its own */
    for (int64_t unit = task * run->together, count; unit < most; unit += count) {
        const int64_t band = unit % run->bands, plane = unit / run->bands / p->out_size[0];
        const int64_t channel = plane / p->out_channels;
        const int64_t at[4] = {channel / p->groups, channel % p->groups, plane % p->out_channels,
                               unit / run->bands % p->out_size[0]};
        count = whole ? fc_min(most - unit, p->groups - at[1]) : 1;
        run_planes(run, at, count, band * run->band, fc_min((band + 1) * run->band, p->out_size[1]), run->room[thread]);
    }
}
