/* What the two grad_weight algorithms share: positions of pixels, and how rows are divided among tasks. */
#ifndef FC_GRAD_WEIGHT_H
#define FC_GRAD_WEIGHT_H

#include "algorithms/algorithm.h"

/* Output position of pixel q, row-major. */
static inline void fc_grad_weight_position(const fc_problem *p, int64_t q, int64_t at[FC_SPATIAL]) {
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        at[axis] = q % p->out_size[axis];
        q /= p->out_size[axis];
    }
}

/* Rows of a block: at most `most` rounded up to a tile, fewer when `tasks` blocks of that size would leave threads idle. How rows are
 * divided changes no bit: every element is summed by one task, in the order of the batch. */
static inline int64_t fc_grad_weight_block(int64_t rows, int64_t most, int64_t tasks, int threads, int64_t tile) {
    int64_t blocks = fc_ceil_div(rows, most);
    if (threads > 1 && tasks * blocks < 2 * threads)
        blocks = fc_ceil_div(2 * threads, tasks);
    return fc_round_up(fc_ceil_div(rows, blocks), tile);
}

/* All of them 0: where there is nothing to sum. */
static inline void fc_clear_weights(const fc_problem *p) {
    static const double zero = 0;
    for (int64_t k = 0; k < p->groups * p->out_channels; ++k)
        for (int64_t c = 0; c < p->in_channels * p->kernel[0]; ++c)
            p->kernels->copy_matrix((fc_matrix){p->w.data + k / p->out_channels * p->w.group +
                                                    k % p->out_channels * p->w.out + c / p->kernel[0] * p->w.in +
                                                    c % p->kernel[0] * p->w.axis[0],
                                                p->w.axis[1], p->w.axis[2]},
                                    (fc_matrix){(char *)&zero, 0, 0}, p->kernel[1], p->kernel[2]);
}

/* Sums, a line of filters a (channel, tap) pair, into the weights from `filters` on. */
void fc_store_pairs(const fc_problem *p, char *filters, int64_t channels, int64_t outputs, char *sums, ptrdiff_t line);

size_t fc_im2col_grad_weight_scratch_bytes(const fc_problem *p, int threads);
void fc_im2col_grad_weight(const fc_problem *p, void *scratch, int threads);
double fc_im2col_grad_weight_cost(const fc_problem *p);
/* A way of im2col (im2col_grad_dots.c) */
int fc_grad_dots_support(const fc_problem *p);
size_t fc_grad_dots_scratch_bytes(const fc_problem *p, int threads);
void fc_grad_dots(const fc_problem *p, void *scratch, int threads);
double fc_grad_dots_cost(const fc_problem *p);

size_t fc_direct_grad_weight_scratch_bytes(const fc_problem *p, int threads);
void fc_direct_grad_weight(const fc_problem *p, void *scratch, int threads);
double fc_direct_grad_weight_cost(const fc_problem *p);

#endif
