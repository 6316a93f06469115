/* 1x1 convolution without padding, forward: a matrix product of weights and pixels, of `im2col` the case without patches.
 *
 * A panel of pixels is copied, for one block of input channels, into lines that lie together: it stays in L1 while all
 * output channels pass by (panel.h), where the image itself would come from L2 again for every one of them, a page a
 * channel. Where so few output channels pass by, or so few channels come in, that nothing is gained, panels are read
 * where they lie. Any layout and stride: only the copies know. After Goto and van de Geijn 2008.
 * Accumulator: the dtype itself, started anew every block of input channels.
 */
#include "algorithms/pointwise.h"

#include "algorithms/cost.h"
#include "algorithms/panel.h"

#include <string.h>

enum {
    REDUCTION = 512,   /* input channels of a block: a panel and a tile of weights fit L1 */
    BAND_PIXELS = 960, /* pixels of one task */
};

typedef struct pointwise_run {
    const fc_problem *p;
    int64_t pixels, panel, block;  /* of one depth; lanes of a full tile; input channels */
    int64_t band, bands;           /* pixels of a task */
    int64_t rows;                  /* output channels whose weights stay in L2 */
    int64_t out_block, out_blocks; /* output channels of a task */
    int in_place;                  /* panels are read where they lie */
    fc_panel_room *rooms;          /* a thread each, */
    char **lanes;                  /* with a panel */
    ptrdiff_t *lane_offsets;       /* in it, */
    ptrdiff_t *image_offsets;      /* in place, */
    ptrdiff_t *weight_offsets;     /* and in the weights, of the terms */
} pointwise_run;

int fc_pointwise_supports(const fc_problem *p) {
    int plain = fc_taps(p) == 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        plain = plain && p->offset[axis] == 0 && (p->out_size[axis] - 1) * p->stride[axis] < p->in_size[axis];
    return plain;
}

/* Whether a row of pixels ends where the next one begins, and all are read. */
static int reads_whole_planes(const fc_problem *p) {
    return p->x.axis[2] == p->kernels->itemsize && p->stride[2] == 1 &&
           p->stride[1] * p->x.axis[1] == p->out_size[2] * p->kernels->itemsize;
}

/* Copies gain nothing: too few output channels read them, or the channels are so few that they stay in L1 anyway, unless
 * they lie in the same sets of it. */
static int reads_in_place(const fc_problem *p) {
    const int64_t tiles = fc_ceil_div(p->out_channels, p->kernels->tile_rows);
    return reads_whole_planes(p) && p->in_channels <= 2 * fc_lines_that_fit(p->x.channel) &&
           ((tiles <= 6 && p->in_channels <= 160) || (tiles <= 16 && p->in_channels <= 32));
}

static void plan_bands(pointwise_run *run, const fc_problem *p) {
    run->p = p;
    run->pixels = fc_product(p->out_size[1], p->out_size[2]);
    run->panel = (int64_t)p->kernels->lanes * p->kernels->tile_vectors;
    run->block = fc_channel_block(p->in_channels, 1, REDUCTION);
    run->bands = fc_ceil_div(run->pixels, BAND_PIXELS);
    run->band = fc_round_up(fc_ceil_div(run->pixels, run->bands), run->panel); /* even bands of whole panels */
    run->bands = fc_ceil_div(run->pixels, run->band);
    run->in_place = reads_in_place(p);
}

static void lay_out(pointwise_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const int64_t item = p->kernels->itemsize;
    plan_bands(run, p);
    const int partial = run->pixels % p->kernels->lanes > 0;
    run->rows = fc_panel_rows(p, run->block);
    run->lane_offsets = fc_arena_take(arena, run->block, sizeof(ptrdiff_t));
    run->weight_offsets = fc_arena_take(arena, run->block, sizeof(ptrdiff_t));
    run->image_offsets = fc_arena_take(arena, run->in_place ? run->block : 0, sizeof(ptrdiff_t));
    run->lanes = fc_arena_take(arena, threads, sizeof(char *));
    run->rooms = fc_arena_take(arena, threads, sizeof(fc_panel_room));
    for (int t = 0; t < threads; ++t) {
        char *lanes = fc_arena_take(arena, run->in_place && !partial ? 0 : run->block * run->panel, (size_t)item);
        const fc_panel_room room = fc_panel_take_room(arena, p, run->rows, run->block, run->pixels % p->kernels->lanes);
        if (!arena->base)
            continue;
        run->lanes[t] = lanes;
        run->rooms[t] = room;
    }
}

size_t fc_pointwise_scratch_bytes(const fc_problem *p, int threads) {
    pointwise_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

double fc_pointwise_cost(const fc_problem *p) {
    pointwise_run run;
    plan_bands(&run, p);
    const double copied = (double)run.pixels * (double)p->in_channels;
    double cost = fc_panel_cost(p, run.pixels, fc_ceil_div(p->in_channels, run.block), !run.in_place);
    if (!run.in_place && p->stride[1] > 1)
        cost += FC_COST_POINTWISE_ROW * (double)p->out_size[1] * (double)p->in_channels;
    if (fc_channels_last(p, &p->x))
        cost += FC_COST_POINTWISE_COPY_TRANSPOSED * copied;
    else if (!run.in_place)
        cost += (p->stride[2] > 2    ? FC_COST_POINTWISE_COPY_STRIDED
                 : p->stride[2] == 2 ? FC_COST_POINTWISE_COPY_EVEN
                                     : FC_COST_POINTWISE_COPY) *
                copied;
    const fc_traffic traffic = fc_traffic_of(p, 1);
    return fc_traffic_cost(&traffic) +
           (double)(p->groups * p->out_size[0]) * (cost + FC_COST_POINTWISE_TASK * (double)run.bands);
}

typedef struct pixels { /* of a plane of outputs, row-major */
    int64_t first, count;
} pixels;

/* Copies pixels of the image to `to`: a row of it is a channel. */
static void pack_pixels(const pointwise_run *run, pixels q, char *plane, int64_t channels, fc_matrix to) {
    const fc_problem *p = run->p;
    const ptrdiff_t row = p->stride[1] * p->x.axis[1], column = p->stride[2] * p->x.axis[2];
    const int64_t columns = row == p->out_size[2] * column ? run->pixels : p->out_size[2]; /* of a run */
    for (int64_t length; q.count > 0; q.first += length, q.count -= length, to.data += length * to.column) {
        length = fc_min(q.count, columns - q.first % columns);
        fc_matrix from = {plane + q.first / columns * row + q.first % columns * column, p->x.channel, column};
        if (from.row == p->kernels->itemsize) /* channels last */
            p->kernels->copy_matrix((fc_matrix){to.data, to.column, to.row},
                                    (fc_matrix){from.data, from.column, from.row}, length, channels);
        else
            p->kernels->copy_matrix(to, from, channels, length);
    }
}

/* Of the next panel, where `left` are left; in place what fills no vector is a panel of its own, which is copied. */
static int64_t panel_pixels(const pointwise_run *run, int64_t left) {
    const int64_t lanes = run->p->kernels->lanes, whole = run->in_place ? left / lanes : fc_ceil_div(left, lanes);
    return whole == 0 ? left : fc_min(left, lanes * fc_even_part(whole, run->p->kernels->tile_vectors));
}

static void pack_panel(const pointwise_run *run, pixels q, char *plane, int64_t channels, char *lanes) {
    const ptrdiff_t item = run->p->kernels->itemsize, line = run->panel * item;
    const int64_t empty = fc_round_up(q.count, run->p->kernels->lanes) - q.count;
    for (int64_t c = 0; empty && c < channels; ++c)
        memset(lanes + c * line + q.count * item, 0, (size_t)(empty * item));
    pack_pixels(run, q, plane, channels, (fc_matrix){lanes, line, item});
}

static void forward_task(void *context, int64_t task, int thread) {
    const pointwise_run *run = context;
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    const int64_t out_block = task % run->out_blocks, band = task / run->out_blocks % run->bands;
    task /= run->out_blocks * run->bands;
    const int64_t depth = task % p->out_size[0], group = task / p->out_size[0] % p->groups;
    const int64_t n = task / p->out_size[0] / p->groups;

    const int64_t begin = band * run->band, end = fc_min(begin + run->band, run->pixels);
    const int64_t k_begin = out_block * run->out_block, k_end = fc_min(k_begin + run->out_block, p->out_channels);
    const int64_t left = fc_panel_dotted(p, end - begin, fc_ceil_div(p->in_channels, run->block));
    char *image = p->x.data + n * p->x.batch + group * p->x.group + depth * p->stride[0] * p->x.axis[0];
    fc_panel panel = {.p = p, .room = run->rooms[thread], .group = group};
    panel.window.columns = p->out_size[2];
    panel.window.flat = p->y.axis[1] == p->out_size[2] * p->y.axis[2];
    panel.plane = p->y.data + n * p->y.batch + group * p->y.group + depth * p->y.axis[0];
    panel.weight_offsets = run->weight_offsets;
    const pixels rest = {end - left, left};

    for (int64_t c = 0; c < p->in_channels; c += run->block) {
        char *channel = image + c * p->x.channel;
        panel.terms = fc_min(run->block, p->in_channels - c);
        panel.first = c == 0;
        panel.last = c + panel.terms == p->in_channels;
        if (left > 0) {
            memset(panel.room.rest, 0, (size_t)(left * panel.room.line));
            pack_pixels(run, rest, channel, panel.terms, (fc_matrix){panel.room.rest, item, panel.room.line});
        }
        for (int64_t k = k_begin; k < k_end; k += run->rows) {
            panel.out_channels = (fc_range){k, fc_min(k + run->rows, k_end)};
            fc_panel_take_weights(&panel, c, panel.terms);
            for (pixels q = {begin, 0}; q.first < rest.first; q.first += q.count) {
                q.count = panel_pixels(run, rest.first - q.first);
                const int in_place = run->in_place && q.count % p->kernels->lanes == 0;
                panel.lane_offsets = in_place ? run->image_offsets : run->lane_offsets;
                if (!in_place)
                    pack_panel(run, q, channel, panel.terms, run->lanes[thread]);
                fc_panel_sums(&panel, in_place ? channel + q.first * item : run->lanes[thread], q.first, q.count);
            }
            if (left > 0)
                fc_panel_rest(&panel, rest.first, left);
        }
    }
}

void fc_pointwise_forward(const fc_problem *p, void *scratch, int threads) {
    pointwise_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    const ptrdiff_t item = p->kernels->itemsize;
    for (int64_t c = 0; c < run.block; ++c)
        run.lane_offsets[c] = c * run.panel * item;
    for (int64_t c = 0; run.in_place && c < run.block; ++c)
        run.image_offsets[c] = c * p->x.channel;
    fc_panel_weight_offsets(p, run.block, run.weight_offsets);
    /* Too few bands for the threads: output channels are divided too, each part makes its own copies. */
    const int64_t bands = p->batch * p->groups * p->out_size[0] * run.bands;
    run.out_block = fc_round_up(fc_ceil_div(p->out_channels, fc_parts(bands, threads)), p->kernels->tile_rows);
    run.out_blocks = fc_ceil_div(p->out_channels, run.out_block);
    fc_parallel(bands * run.out_blocks, threads, forward_task, &run);
}
