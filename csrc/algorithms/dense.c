/* Gradients of a dense layer: products of matrices that are read and written where they lie.
 *
 * With P inputs (channels times taps) and K outputs, of a group:
 *
 *     grad_input[n][p]  = sum over k of grad_output[n][k] weight[k][p]
 *     grad_weight[k][p] = sum over n of grad_output[n][k] input[n][p]
 *
 * Lanes are inputs, which lie together in all of these; rows of a tile are images or outputs, broadcast. All images pass
 * by a panel of weights, which a convolution image by image would read again for each of them. No sum depends on how many
 * images there are. Accumulator: the dtype itself, started anew every REDUCTION terms.
 */
#include "algorithms/dense.h"

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
