/* 1x1 convolution without padding, forward: a matrix product of weights and pixels, of `im2col` the case without patches.
 *
 * Lanes run along output pixels. A panel of them is copied, for one block of input channels, into lines that lie together:
 * it stays in L1 while all output channels pass by, where the image itself would come from L2 again for every one of
 * them, a page a channel. Weights are rows of the tile, repacked if many panels share them, else broadcast from where they
 * lie. The last pixels, too few for a vector, go by dot products along the channels. Any layout and stride: only the
 * copies know. After Goto and van de Geijn 2008. Accumulator: the dtype itself,
 * started anew every block of input channels.
 */
#include "algorithms/pointwise.h"

#include "algorithms/cost.h"

#include <string.h>

enum {
    REDUCTION = 256,          /* input channels of a block: a panel and a tile of weights fit L1 */
    BAND_PIXELS = 960,        /* pixels of one task */
    WEIGHT_BYTES = 512 << 10, /* of repacked weights at once: they stay in L2 */
    PANELS_WORTH_PACKING = 4
};

typedef struct pointwise_run {
    const fc_problem *p;
    int64_t pixels, panel, block;    /* of one depth; lanes of a full tile; input channels */
    int64_t band, bands;             /* pixels of a task */
    int64_t rows;                    /* output channels whose weights are repacked at once */
    int64_t out_block, out_blocks;   /* output channels of a task */
    char **lanes, **weights, **sums; /* a thread each */
    char **rest, **rest_weights;     /* of the last pixels: lines of channels, whole vectors */
    ptrdiff_t rest_line;
    ptrdiff_t *lane_offsets, *packed_offsets, *weight_offsets;
} pointwise_run;

int fc_pointwise_supports(const fc_problem *p) {
    int plain = fc_taps(p) == 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        plain = plain && p->offset[axis] == 0 && (p->out_size[axis] - 1) * p->stride[axis] < p->in_size[axis];
    return plain;
}

static void lay_out(pointwise_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const int64_t item = p->kernels->itemsize, tile = p->kernels->tile_rows;
    run->p = p;
    run->pixels = fc_product(p->out_size[1], p->out_size[2]);
    run->panel = (int64_t)p->kernels->lanes * p->kernels->tile_vectors;
    run->block = fc_channel_block(p->in_channels, 1, REDUCTION);
    run->bands = fc_ceil_div(run->pixels, BAND_PIXELS);
    run->band = fc_round_up(fc_ceil_div(run->pixels, run->bands), run->panel); /* even bands of whole panels */
    run->bands = fc_ceil_div(run->pixels, run->band);
    run->rows = fc_max(WEIGHT_BYTES / (run->block * item) / tile, 1) * tile;
    run->rows = fc_min(run->rows, fc_round_up(p->out_channels, tile));
    run->lane_offsets = fc_arena_take(arena, run->block, sizeof(ptrdiff_t));
    run->packed_offsets = fc_arena_take(arena, run->block, sizeof(ptrdiff_t));
    run->weight_offsets = fc_arena_take(arena, run->block, sizeof(ptrdiff_t));
    run->lanes = fc_arena_take(arena, threads, sizeof(char *));
    run->weights = fc_arena_take(arena, threads, sizeof(char *));
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    run->rest = fc_arena_take(arena, threads, sizeof(char *));
    run->rest_weights = fc_arena_take(arena, threads, sizeof(char *));
    const int64_t rest_pixels = run->pixels % p->kernels->lanes;
    run->rest_line = fc_round_up(run->block, p->kernels->lanes) * item;
    for (int t = 0; t < threads; ++t) {
        char *lanes = fc_arena_take(arena, run->block * run->panel, (size_t)item);
        char *weights = fc_arena_take(arena, run->block * run->rows, (size_t)item);
        char *sums = fc_arena_take(arena, tile * run->panel, (size_t)item);
        char *rest = fc_arena_take(arena, rest_pixels, (size_t)run->rest_line);
        char *rest_weights = fc_arena_take(arena, rest_pixels > 0 ? tile : 0, (size_t)run->rest_line);
        if (!arena->base)
            continue;
        run->rest[t] = rest;
        run->rest_weights[t] = rest_weights;
        run->lanes[t] = lanes;
        run->weights[t] = weights;
        run->sums[t] = sums;
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
    fc_arena arena = {0};
    lay_out(&run, &arena, p, 1);
    const int64_t lanes = p->kernels->lanes, tile = p->kernels->tile_rows, most = p->kernels->tile_vectors;
    const int64_t vectors = run.pixels / lanes, rest = run.pixels % lanes;
    const double in = (double)p->in_channels, out = (double)p->out_channels, pixels = (double)run.pixels;
    const double blocks = (double)fc_ceil_div(p->in_channels, run.block);
    const double rows = (double)fc_ceil_div(p->out_channels, tile);
    const int repacked = run.band >= PANELS_WORTH_PACKING * run.panel;
    double slots = (double)(vectors / most) * fc_rows_slots(p->out_channels, tile, most), dots = 0;
    if (vectors % most)
        slots += fc_rows_slots(p->out_channels, tile, vectors % most);
    if (rest)
        dots = (double)fc_ceil_div(rest, most) * (FC_COST_POINTWISE_DOT * (double)fc_ceil_div(p->in_channels, lanes) *
                                                      fc_rows_slots(p->out_channels, tile, fc_min(rest, most)) +
                                                  FC_COST_POINTWISE_DOTS * rows * blocks);
    const int strided = p->stride[2] > 1 && !fc_channels_last(p, &p->x);
    const double store = fc_channels_last(p, &p->y) ? FC_COST_STORE_SCATTERED : 0;
    return (double)(p->groups * p->out_size[0]) *
           ((repacked ? FC_COST_POINTWISE_SLOT : FC_COST_POINTWISE_SLOT + FC_COST_POINTWISE_ROWS) * slots * in + dots +
            FC_COST_POINTWISE_TILE * (double)fc_ceil_div(vectors, most) * rows * blocks +
            (repacked ? FC_COST_POINTWISE_PACK_WEIGHT * (double)run.bands * in * out : 0) +
            (strided ? FC_COST_POINTWISE_COPY_STRIDED : FC_COST_POINTWISE_COPY) * pixels * in + store * pixels * out);
}

/* Pixels [first, first + count) of a plane, row-major, as runs along rows; `flat`: the rows follow one another. */
typedef struct pixels {
    int64_t first, count;
    int flat;
} pixels;

static fc_matrix matrix_of(const pixels *q, int64_t done, int64_t columns, char *plane,
                           const ptrdiff_t axis[FC_SPATIAL], ptrdiff_t channel, int64_t *length) {
    const int64_t at = q->first + done, column = q->flat ? at : at % columns, row = q->flat ? 0 : at / columns;
    *length = q->flat ? q->count - done : fc_min(q->count - done, columns - column);
    return (fc_matrix){plane + row * axis[1] + column * axis[2], channel, axis[2]};
}

/* Copies pixels of the image to `to`: a row of it is a channel. */
static void pack_pixels(const pointwise_run *run, const pixels *q, char *plane, int64_t channels, fc_matrix to) {
    const fc_problem *p = run->p;
    const ptrdiff_t axis[FC_SPATIAL] = {0, p->stride[1] * p->x.axis[1], p->stride[2] * p->x.axis[2]};
    const pixels in = {q->first, q->count, axis[1] == p->out_size[2] * axis[2]};
    for (int64_t done = 0, length; done < q->count; done += length, to.data += length * to.column) {
        const fc_matrix from = matrix_of(&in, done, p->out_size[2], plane, axis, p->x.channel, &length);
        if (from.row == p->kernels->itemsize) /* channels last */
            p->kernels->copy_matrix((fc_matrix){to.data, to.column, to.row},
                                    (fc_matrix){from.data, from.column, from.row}, length, channels);
        else
            p->kernels->copy_matrix(to, from, channels, length);
    }
}

static void move_sums(const pointwise_run *run, const pixels *q, char *plane, int64_t rows, char *sums, int to_output) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    for (int64_t done = 0, length; done < q->count; done += length) {
        const fc_matrix output = matrix_of(q, done, p->out_size[2], plane, p->y.axis, p->y.channel, &length);
        const fc_matrix local = {sums + done * item, run->panel * item, item};
        p->kernels->copy_matrix(to_output ? output : local, to_output ? local : output, rows, length);
    }
}

/* What all tiles of a task have in common. */
typedef struct tiles {
    const char *lanes;
    char *plane; /* of the output, channel 0 of the group */
    char *sums;
    ptrdiff_t terms;
    int first, last; /* of the blocks of input channels */
    int64_t group;
} tiles;

static fc_finish finish_of(const pointwise_run *run, const tiles *t, int64_t k) {
    fc_finish finish = run->p->finish;
    if (finish.bias)
        finish.bias += (t->group * run->p->out_channels + k) * finish.bias_stride;
    return finish;
}

/* Whole vectors of pixels. */
static void run_tile(const pointwise_run *run, const tiles *t, const pixels *q, int64_t k, int64_t rows,
                     const char *const *weights, const ptrdiff_t *offsets) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    char *plane = t->plane + k * p->y.channel, *c = t->sums;
    ptrdiff_t ldc = run->panel * item;
    const int direct = q->flat && p->y.axis[2] == item;
    if (direct) {
        c = plane + q->first * item;
        ldc = p->y.channel;
    } else if (!t->first) {
        move_sums(run, q, plane, rows, c, 0);
    }
    const fc_finish finish = finish_of(run, t, k);
    p->kernels->gemm_tile[rows - 1][q->count / p->kernels->lanes - 1](
        t->terms, weights, offsets, t->lanes, run->lane_offsets, c, ldc, !t->first, t->last ? &finish : NULL);
    if (!direct)
        move_sums(run, q, plane, rows, c, 1);
}

/* The last pixels: fewer than a vector holds. `rest`: lines of their channels. */
static void run_rest(const pointwise_run *run, const tiles *t, const pixels *q, int64_t k, int64_t rows,
                     const char *const *weights, const char *rest) {
    const fc_kernels *kernels = run->p->kernels;
    const ptrdiff_t item = kernels->itemsize, ldb = run->rest_line, ldc = run->panel * item;
    char *plane = t->plane + k * run->p->y.channel;
    if (!t->first)
        move_sums(run, q, plane, rows, t->sums, 0);
    for (int64_t i = 0, columns; i < q->count; i += columns) {
        columns = fc_min(kernels->tile_vectors, q->count - i);
        kernels->dot_tile[rows - 1][columns - 1](t->terms, weights, rest + i * ldb, ldb, t->sums + i * item, ldc,
                                                 !t->first);
    }
    if (t->last) {
        const fc_finish finish = finish_of(run, t, k);
        kernels->finish_rows(t->sums, ldc, rows, q->count, &finish);
    }
    move_sums(run, q, plane, rows, t->sums, 1);
}

static void forward_task(void *context, int64_t task, int thread) {
    const pointwise_run *run = context;
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, tile_line = kernels->tile_rows * item;
    const int64_t out_block = task % run->out_blocks, band = task / run->out_blocks % run->bands;
    task /= run->out_blocks * run->bands;
    const int64_t depth = task % p->out_size[0], group = task / p->out_size[0] % p->groups;
    const int64_t n = task / p->out_size[0] / p->groups;

    const int64_t begin = band * run->band, end = fc_min(begin + run->band, run->pixels);
    const int64_t k_begin = out_block * run->out_block, k_end = fc_min(k_begin + run->out_block, p->out_channels);
    const int repack = end - begin >= PANELS_WORTH_PACKING * run->panel;
    char *image = p->x.data + n * p->x.batch + group * p->x.group + depth * p->stride[0] * p->x.axis[0];
    tiles t = {.lanes = run->lanes[thread], .sums = run->sums[thread], .group = group};
    t.plane = p->y.data + n * p->y.batch + group * p->y.group + depth * p->y.axis[0];
    const int flat = p->y.axis[1] == p->out_size[2] * p->y.axis[2];
    const int64_t left = (end - begin) % kernels->lanes;
    const pixels rest = {end - left, left, flat};

    for (int64_t c = 0; c < p->in_channels; c += run->block) {
        t.terms = fc_min(run->block, p->in_channels - c);
        t.first = c == 0;
        t.last = c + t.terms == p->in_channels;
        for (int64_t some = k_begin; some < k_end; some += run->rows) {
            const int64_t some_end = fc_min(some + run->rows, k_end);
            const char *weights = p->w.data + group * p->w.group + c * p->w.in;
            for (int64_t k = some; repack && k < some_end; k += kernels->tile_rows) {
                const char *rows[FC_MAX_TILE_ROWS];
                const int64_t count = fc_min(kernels->tile_rows, some_end - k);
                for (int64_t m = 0; m < count; ++m)
                    rows[m] = weights + (k + m) * p->w.out;
                kernels->gather_lanes(run->weights[thread] + (k - some) * run->block * item, tile_line, count, rows,
                                      count, run->weight_offsets, t.terms);
            }
            for (pixels q = {begin, 0, flat}; q.first < rest.first; q.first += q.count) {
                q.count = fc_min(run->panel, rest.first - q.first);
                pack_pixels(run, &q, image + c * p->x.channel, t.terms,
                            (fc_matrix){run->lanes[thread], run->panel * item, item});
                for (int64_t k = some; k < some_end; k += kernels->tile_rows) {
                    const char *rows[FC_MAX_TILE_ROWS];
                    const int64_t count = fc_min(kernels->tile_rows, some_end - k);
                    for (int64_t m = 0; m < count; ++m)
                        rows[m] = repack ? run->weights[thread] + (k - some) * run->block * item + m * item
                                         : weights + (k + m) * p->w.out;
                    run_tile(run, &t, &q, k, count, rows, repack ? run->packed_offsets : run->weight_offsets);
                }
            }
            if (rest.count == 0)
                continue;
            memset(run->rest[thread], 0, (size_t)(rest.count * run->rest_line));
            pack_pixels(run, &rest, image + c * p->x.channel, t.terms,
                        (fc_matrix){run->rest[thread], item, run->rest_line});
            for (int64_t k = some; k < some_end; k += kernels->tile_rows) {
                const char *rows[FC_MAX_TILE_ROWS];
                const int64_t count = fc_min(kernels->tile_rows, some_end - k);
                fc_matrix lines = {(char *)weights + k * p->w.out, p->w.out, p->w.in};
                if (p->w.in != item || t.terms % kernels->lanes > 0) {
                    const fc_matrix copy = {run->rest_weights[thread], run->rest_line, item};
                    memset(copy.data, 0, (size_t)(count * copy.row));
                    kernels->copy_matrix(copy, lines, count, t.terms);
                    lines = copy;
                }
                for (int64_t m = 0; m < count; ++m)
                    rows[m] = lines.data + m * lines.row;
                run_rest(run, &t, &rest, k, count, rows, run->rest[thread]);
            }
        }
    }
}

void fc_pointwise_forward(const fc_problem *p, void *scratch, int threads) {
    pointwise_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    const ptrdiff_t item = p->kernels->itemsize;
    for (int64_t c = 0; c < run.block; ++c) {
        run.lane_offsets[c] = c * run.panel * item;
        run.packed_offsets[c] = c * p->kernels->tile_rows * item;
        run.weight_offsets[c] = c * p->w.in;
    }
    /* Too few bands for the threads: output channels are divided too, each part makes its own copies. */
    const int64_t bands = p->batch * p->groups * p->out_size[0] * run.bands;
    const int64_t parts = threads == 1 || bands >= 2 * threads ? 1 : fc_ceil_div(2 * threads, bands);
    run.out_block = fc_round_up(fc_ceil_div(p->out_channels, parts), p->kernels->tile_rows);
    run.out_blocks = fc_ceil_div(p->out_channels, run.out_block);
    fc_parallel(bands * run.out_blocks, threads, forward_task, &run);
}
