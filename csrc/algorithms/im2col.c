/* Convolution as a matrix product, forward: weights times a matrix of image patches that is never stored whole.
 *
 * Lanes run along output pixels. For one band of pixels and one block of input channels, shifted copies of the image are
 * made (shifted_copies.h), which take the place of patches. 1x1 layers have no patches: pointwise.c. Panels of pixels pass
 * by all output channels as panel.h says. After Chellapilla, Puri and Simard 2006, blocked as in Goto and van de Geijn 2008.
 * Accumulator: the dtype itself, started anew every block of input channels.
 */
#include "algorithms/algorithm.h"
#include "algorithms/cost.h"
#include "algorithms/dense.h"
#include "algorithms/grad_weight.h"
#include "algorithms/panel.h"
#include "algorithms/pointwise.h"
#include "algorithms/shifted_copies.h"

#include <string.h>

enum {
    FEW_TERMS = 160,
    REDUCTION = 512,
    LEAST_REDUCTION = 128,
    BAND_PIXELS = 960,
    NARROWEST = 128,
    BAND_BYTES = 512 << 10
};

typedef struct im2col_run {
    const fc_problem *p;
    int threads;
    int64_t taps;
    int64_t block; /* input channels of one reduction block */
    int64_t rows, columns, row_bands, column_bands;
    fc_copies copies;   /* of one band and block */
    int64_t rest;       /* most pixels of a band that fill no vector */
    int64_t panel_rows; /* output channels whose weights stay in L2 */
    int64_t out_blocks, out_block;
    ptrdiff_t *weight_offsets;
    ptrdiff_t **copy_offsets; /* a thread each, */
    fc_panel_room *rooms;
    char **room_of_copies;
} im2col_run;

/* Bands, blocks and copies follow from the geometry of one image alone. */
static void plan_bands(im2col_run *run) {
    const fc_problem *p = run->p;
    const int64_t oh = p->out_size[1], ow = p->out_size[2];
    run->taps = fc_taps(p);
    run->block = fc_channel_block(p->in_channels, run->taps, REDUCTION);
    if (run->block > p->kernels->lanes) /* terms are whole vectors then, too */
        run->block -= run->block % p->kernels->lanes;
    int64_t pixels = BAND_PIXELS;
    for (;;) {
        run->column_bands = ow <= pixels / 2 ? 1 : fc_ceil_div(ow, fc_max(pixels / 4, NARROWEST));
        run->columns = fc_ceil_div(ow, run->column_bands);
        run->column_bands = fc_ceil_div(ow, run->columns);
        run->rows = fc_min(oh, fc_max(pixels / run->columns, 1));
        run->row_bands = fc_ceil_div(oh, run->rows);
        run->rows = fc_ceil_div(oh, run->row_bands); /* even bands */
        run->row_bands = fc_ceil_div(oh, run->rows);
        run->copies = fc_copies_of(p, run->block, run->rows, run->columns);
        if (fc_copies_elements(&run->copies) <= BAND_BYTES / p->kernels->itemsize)
            break;
        if (run->block * run->taps >= 2 * LEAST_REDUCTION && run->block > 1)
            run->block = fc_channel_block(p->in_channels, 1, run->block / 2);
        else if (pixels > 2 * NARROWEST)
            pixels /= 2;
        else
            break;
    }
}

static void lay_out(im2col_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    run->p = p;
    run->threads = threads;
    plan_bands(run);
    const size_t item = (size_t)p->kernels->itemsize;
    const int64_t terms = run->block * run->taps;
    run->rest = fc_min(p->kernels->lanes - 1, run->rows * run->columns);
    run->panel_rows = fc_panel_rows(p, terms);
    /* Where lines of all output channels would drive one another out of L1 half written, and the few terms are soon read
     * again: some channels at a time, along the band. */
    const int64_t fit = fc_lines_that_fit(p->y.channel);
    if (terms <= FEW_TERMS && p->out_channels > (terms > FEW_TERMS / 2 ? fit : 4 * fit))
        run->panel_rows = fc_min(run->panel_rows, 2 * p->kernels->tile_rows);
    run->weight_offsets = fc_arena_take(arena, terms, sizeof(ptrdiff_t));
    run->copy_offsets = fc_arena_take(arena, threads, sizeof(ptrdiff_t *));
    run->rooms = fc_arena_take(arena, threads, sizeof(fc_panel_room));
    run->room_of_copies = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        ptrdiff_t *copy_offsets = fc_arena_take(arena, terms, sizeof(ptrdiff_t));
        char *copies = fc_arena_take(arena, fc_copies_elements(&run->copies), item);
        const fc_panel_room room = fc_panel_take_room(arena, p, run->panel_rows, terms, run->rest);
        if (!arena->base)
            continue;
        run->copy_offsets[t] = copy_offsets;
        run->room_of_copies[t] = copies;
        run->rooms[t] = room;
    }
}

static size_t forward_scratch_bytes(const fc_problem *p, const void *packed, int threads) {
    (void)packed;
    if (fc_dense_supports(p))
        return 0;
    if (fc_pointwise_supports(p))
        return fc_pointwise_scratch_bytes(p, threads);
    im2col_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

static void forward_task(void *context, int64_t task, int thread) {
    const im2col_run *run = context;
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize;

    const int64_t out_block = task % run->out_blocks;
    task /= run->out_blocks;
    const int64_t column_band = task % run->column_bands;
    task /= run->column_bands;
    const int64_t row_band = task % run->row_bands;
    task /= run->row_bands;
    const int64_t depth = task % p->out_size[0];
    task /= p->out_size[0];
    const int64_t group = task % p->groups, n = task / p->groups;

    fc_band b = {.depth = depth, .row = row_band * run->rows, .column = column_band * run->columns};
    b.image = p->x.data + n * p->x.batch + group * p->x.group;
    b.rows = fc_min(run->rows, p->out_size[1] - b.row);
    b.columns = fc_min(run->columns, p->out_size[2] - b.column);
    b.pixels = b.rows * b.columns;

    const int64_t k_begin = out_block * run->out_block, k_end = fc_min(k_begin + run->out_block, p->out_channels);
    ptrdiff_t *lane_offsets = run->copy_offsets[thread];
    char *copies = run->room_of_copies[thread];
    fc_copies_offsets(&run->copies, b.columns, lane_offsets);
    fc_panel panel = {.p = p, .room = run->rooms[thread], .group = group};
    panel.window = (fc_window){b.row, b.column, b.columns, 0};
    panel.window.flat = b.rows == 1 || (b.columns == p->out_size[2] && p->y.axis[1] == b.columns * p->y.axis[2]);
    panel.plane = p->y.data + n * p->y.batch + group * p->y.group + depth * p->y.axis[0];
    panel.weight_offsets = run->weight_offsets;
    panel.lane_offsets = lane_offsets;
    const int64_t rest = fc_panel_dotted(p, b.pixels, fc_ceil_div(p->in_channels, run->block));
    const int64_t whole = b.pixels - rest;
    fc_copies_clear_ends(&run->copies, &b, copies);

    for (int64_t c = 0; c < p->in_channels; c += run->block) {
        const int64_t channels = fc_min(run->block, p->in_channels - c);
        panel.terms = channels * run->taps;
        panel.first = c == 0;
        panel.last = c + channels == p->in_channels;
        fc_copies_make(&run->copies, &b, c, channels, copies);
        for (int64_t i = 0; i < rest; ++i) {
            const char *pixel = copies + (whole + i) * item;
            char *line = panel.room.rest + i * panel.room.line;
            memset(line, 0, (size_t)panel.room.line);
            kernels->gather_lanes(line, item, 1, &pixel, 1, lane_offsets, panel.terms);
        }
        for (int64_t k = k_begin; k < k_end; k += run->panel_rows) {
            panel.out_channels = (fc_range){k, fc_min(k + run->panel_rows, k_end)};
            fc_panel_take_weights(&panel, c, channels);
            for (int64_t pixel = 0, pixels; pixel < whole; pixel += pixels) {
                pixels =
                    kernels->lanes * fc_even_part(fc_ceil_div(whole - pixel, kernels->lanes), kernels->tile_vectors);
                pixels = fc_min(pixels, whole - pixel);
                fc_panel_sums(&panel, copies + pixel * item, pixel, pixels);
            }
            if (rest > 0)
                fc_panel_rest(&panel, whole, rest);
        }
    }
}

static void forward(const fc_problem *p, const void *packed, void *scratch, int threads) {
    (void)packed;
    if (fc_dense_supports(p)) {
        fc_dense_forward(p, threads);
        return;
    }
    if (fc_pointwise_supports(p)) {
        fc_pointwise_forward(p, scratch, threads);
        return;
    }
    im2col_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    /* Too few bands for the threads: output channels are divided too, each part makes its own copies. */
    const int64_t bands = p->batch * p->groups * p->out_size[0] * run.row_bands * run.column_bands;
    run.out_block = fc_round_up(fc_ceil_div(p->out_channels, fc_parts(bands, threads)), p->kernels->tile_rows);
    run.out_blocks = fc_ceil_div(p->out_channels, run.out_block);
    fc_panel_weight_offsets(p, run.block, run.weight_offsets);
    fc_parallel(bands * run.out_blocks, threads, forward_task, &run);
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

static double forward_cost(const fc_problem *p) {
    if (fc_dense_supports(p))
        return fc_dense_cost(p);
    if (fc_pointwise_supports(p))
        return fc_pointwise_cost(p);
    im2col_run run = {.p = p};
    plan_bands(&run);
    const double bands = (double)(p->out_size[0] * run.row_bands * run.column_bands);
    const double copies = (double)fc_copies_a_channel(&run.copies) * (double)p->in_channels;
    const double rows = copies * (double)(run.rows + run.copies.halo);
    const double sums = fc_panel_cost(p, run.rows * run.columns, fc_ceil_div(p->in_channels, run.block), 1);
    const fc_traffic traffic = fc_traffic_of(p, 1);
    return fc_traffic_cost(&traffic) +
           (double)p->groups * bands *
               (sums + fc_copied_row_cost(p, (double)run.columns, traffic.beyond_l3) * rows +
                FC_COST_COPY_START * copies + FC_COST_IM2COL_BAND);
}

const fc_algorithm fc_im2col_algorithm = {
    .name = "im2col",
    .exact = 1,
    .needs = "nothing",
    .supports = fc_supports_all,
    .supports_grad_weight = 1,
    .forward_cost = forward_cost,
    .packed_bytes = packed_bytes,
    .pack_weights = pack_weights,
    .forward_scratch_bytes = forward_scratch_bytes,
    .forward = forward,
    .grad_weight_cost = fc_im2col_grad_weight_cost,
    .grad_weight_scratch_bytes = fc_im2col_grad_weight_scratch_bytes,
    .grad_weight = fc_im2col_grad_weight,
};
