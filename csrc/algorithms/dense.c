/* A dense layer and its gradients: products of matrices that are read and written where they lie.
 *
 * With P inputs (channels times taps) and K outputs, of a group:
 *
 *     output[n][k]      = sum over p of input[n][p] weight[k][p]
 *     grad_input[n][p]  = sum over k of grad_output[n][k] weight[k][p]
 *     grad_weight[k][p] = sum over n of grad_output[n][k] input[n][p]
 *
 * Inputs lie together in all of these. In the gradients lanes are inputs, and rows of a tile images or outputs, broadcast;
 * the output is made of dot products, lanes along its sums, rows being outputs and columns images. All images pass by a
 * panel of weights, which a convolution image by image would read again for each of them. No sum depends on how many
 * images there are. Accumulator: the dtype itself, started anew every REDUCTION terms.
 */
#include "algorithms/dense.h"

#include "algorithms/cost.h"

#include <string.h>

enum { REDUCTION = 512 };

static ptrdiff_t inputs_of(const fc_problem *p) { return p->in_channels * fc_taps(p); }

int fc_dense_supports(const fc_problem *p) {
    ptrdiff_t step = p->kernels->itemsize;
    int dense = fc_positions(p) == 1;
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        dense = dense && p->in_size[axis] == p->kernel[axis] && p->offset[axis] == 0 && p->dilation[axis] == 1 &&
                (p->kernel[axis] == 1 || (p->x.axis[axis] == step && p->w.axis[axis] == step));
        step *= p->kernel[axis];
    }
    return dense && (p->in_channels == 1 || (p->x.channel == step && p->w.in == step)) &&
           inputs_of(p) >= p->kernels->lanes;
}

/* ---- output ---- */

enum { TILES = 4, IMAGES = 64, VECTOR_BYTES = 64 }; /* of a task: outputs, in tiles, and images; the longest vector */

typedef struct forward_run {
    const fc_problem *p;
    int64_t blocks, image_blocks;
} forward_run;

/* Sums of some outputs, their weights at `a`, and of `images` images, whose inputs begin at b. */
static void add_dots(const fc_kernels *kernels, const char *const *a, int64_t outputs, const char *b, ptrdiff_t ldb,
                     int64_t images, int64_t terms, char *sums, int accumulate) {
    const ptrdiff_t item = kernels->itemsize;
    for (int64_t n = 0; n < images; n += kernels->tile_vectors)
        kernels->dot_tile[outputs - 1][fc_min(kernels->tile_vectors, images - n) - 1](
            terms, a, b + n * ldb, ldb, sums + n * item, IMAGES * item, accumulate);
}

static void forward_task(void *context, int64_t task, int thread) {
    (void)thread;
    const forward_run *run = context;
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, vector = kernels->lanes * item, inputs = inputs_of(p);
    const int64_t tile = kernels->tile_rows, group = task / run->blocks / run->image_blocks;
    const int64_t first = task % run->blocks * TILES * tile, outputs = fc_min(TILES * tile, p->out_channels - first);
    const int64_t image = task / run->blocks % run->image_blocks * IMAGES, images = fc_min(IMAGES, p->batch - image);
    const char *x = p->x.data + image * p->x.batch + group * p->x.group;
    const char *w = p->w.data + group * p->w.group + first * p->w.out;
    const ptrdiff_t rest = inputs % kernels->lanes, whole = inputs - rest;
    _Alignas(64) char sums[TILES * FC_MAX_TILE_ROWS * IMAGES * sizeof(double)];
    _Alignas(64) char x_rest[IMAGES * VECTOR_BYTES], w_rest[FC_MAX_TILE_ROWS * VECTOR_BYTES];
    const char *lines[FC_MAX_TILE_ROWS];
    for (int64_t n = 0; rest > 0 && n < images; ++n) { /* a last vector, filled with zeros */
        memset(x_rest + n * vector, 0, (size_t)vector);
        memcpy(x_rest + n * vector, x + n * p->x.batch + whole * item, (size_t)(rest * item));
    }
    for (ptrdiff_t term = 0; term < inputs; term += term < whole ? fc_min(REDUCTION, whole - term) : rest)
        for (int64_t k = 0; k < outputs; k += tile) {
            const int64_t rows = fc_min(tile, outputs - k);
            for (int64_t m = 0; m < rows; ++m) {
                lines[m] = w + (k + m) * p->w.out + term * item;
                if (term < whole)
                    continue;
                memset(w_rest + m * vector, 0, (size_t)vector);
                lines[m] = memcpy(w_rest + m * vector, lines[m], (size_t)(rest * item));
            }
            char *tile_sums = sums + k * IMAGES * item;
            if (term < whole)
                add_dots(kernels, lines, rows, x + term * item, p->x.batch, images, fc_min(REDUCTION, whole - term),
                         tile_sums, term > 0);
            else
                add_dots(kernels, lines, rows, x_rest, vector, images, rest, tile_sums, term > 0);
        }
    fc_finish finish = p->finish;
    if (finish.bias)
        finish.bias += (group * p->out_channels + first) * finish.bias_stride;
    kernels->finish_rows(sums, IMAGES * item, outputs, images, &finish);
    kernels->copy_matrix((fc_matrix){p->y.data + image * p->y.batch + group * p->y.group + first * p->y.channel,
                                     p->y.channel, p->y.batch},
                         (fc_matrix){sums, IMAGES * item, item}, outputs, images);
}

void fc_dense_forward(const fc_problem *p, int threads) {
    forward_run run = {p, fc_ceil_div(p->out_channels, TILES * p->kernels->tile_rows), fc_ceil_div(p->batch, IMAGES)};
    fc_parallel(p->groups * run.image_blocks * run.blocks, threads, forward_task, &run);
}

double fc_dense_cost(const fc_problem *p) {
    const fc_kernels *kernels = p->kernels;
    const double slots =
        fc_rows_slots(p->out_channels, kernels->tile_rows, kernels->tile_vectors) / kernels->tile_vectors;
    return (double)p->groups * (FC_COST_PANEL_DOT * slots * (double)fc_ceil_div(inputs_of(p), kernels->lanes) +
                                FC_COST_PANEL_DOT_SUM * (double)p->out_channels + FC_COST_PANEL_TILE);
}

/* ---- gradients ---- */

/* result[row][lane] = sum over terms of factors[row][term] lanes[term][lane]; a group at a time. */
typedef struct dense_run {
    const fc_problem *p;
    const char *factors, *lanes;
    char *result;
    ptrdiff_t factor_row, factor_term, lane_term, result_row;
    ptrdiff_t factor_group, lane_group, result_group;
    int64_t rows, terms, inputs;
    int64_t panel, panels, part, parts; /* inputs, and rows, of a task */
} dense_run;

/* The last panel takes what is left; its last vector overlaps its neighbour, whose sums are the same. */
static void dense_task(void *context, int64_t task, int thread) {
    (void)thread;
    const dense_run *run = context;
    const fc_kernels *kernels = run->p->kernels;
    const int64_t part = task % run->parts, panel = task / run->parts % run->panels;
    const int64_t group = task / run->parts / run->panels;
    const int64_t first = part * run->part, rows = fc_min(run->part, run->rows - first);
    const int64_t end = panel + 1 == run->panels ? run->inputs : (panel + 1) * run->panel;
    const char *factors = run->factors + group * run->factor_group + first * run->factor_row;
    const char *lanes = run->lanes + group * run->lane_group;
    char *result = run->result + group * run->result_group + first * run->result_row;
    ptrdiff_t factor_offsets[REDUCTION], lane_offsets[REDUCTION];
    for (int64_t i = 0; i < fc_min(REDUCTION, run->terms); ++i) {
        factor_offsets[i] = i * run->factor_term;
        lane_offsets[i] = i * run->lane_term;
    }
    for (int64_t at = panel * run->panel, vectors; at < end; at += vectors * kernels->lanes) {
        at = fc_min(at, end - kernels->lanes);
        vectors = fc_min(kernels->tile_vectors, (end - at) / kernels->lanes);
        const ptrdiff_t lane = at * kernels->itemsize;
        for (int64_t term = 0; term == 0 || term < run->terms; term += REDUCTION)
            fc_run_tiles(kernels, rows, vectors, fc_min(REDUCTION, run->terms - term),
                         factors + term * run->factor_term, run->factor_row, factor_offsets,
                         lanes + term * run->lane_term + lane, lane_offsets, result + lane, run->result_row, term > 0,
                         NULL);
    }
}

static void run_dense(dense_run *run, int threads) {
    enum { PANEL = 256 };
    const fc_problem *p = run->p;
    run->inputs = inputs_of(p);
    run->panel = PANEL;
    run->panels = fc_max(run->inputs / PANEL, 1);
    run->part = run->rows;
    if (threads > 1 && p->groups * run->panels < 2 * threads)
        run->part = fc_round_up(fc_ceil_div(run->rows, 2 * threads), p->kernels->tile_rows);
    run->parts = fc_ceil_div(run->rows, run->part);
    fc_parallel(p->groups * run->panels * run->parts, threads, dense_task, run);
}

void fc_dense_grad_input(const fc_problem *p, int threads) {
    dense_run run = {.p = p,
                     .factors = p->y.data,
                     .lanes = p->w.data,
                     .result = p->x.data,
                     .factor_row = p->y.batch,
                     .factor_term = p->y.channel,
                     .lane_term = p->w.out,
                     .result_row = p->x.batch,
                     .factor_group = p->y.group,
                     .lane_group = p->w.group,
                     .result_group = p->x.group,
                     .rows = p->batch,
                     .terms = p->out_channels};
    run_dense(&run, threads);
}

void fc_dense_grad_weight(const fc_problem *p, int threads) {
    dense_run run = {.p = p,
                     .factors = p->y.data,
                     .lanes = p->x.data,
                     .result = p->w.data,
                     .factor_row = p->y.channel,
                     .factor_term = p->y.batch,
                     .lane_term = p->x.batch,
                     .result_row = p->w.out,
                     .factor_group = p->y.group,
                     .lane_group = p->x.group,
                     .result_group = p->w.group,
                     .rows = p->out_channels,
                     .terms = p->batch};
    run_dense(&run, threads);
}
