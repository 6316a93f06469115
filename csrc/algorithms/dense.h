/* Convolutions whose window covers the whole image: one output position, which makes them dense layers. */
#ifndef FC_DENSE_H
#define FC_DENSE_H

#include "algorithms/algorithm.h"

/* Whether a problem is one, with weights and input both contiguous, in the same order. */
int fc_dense_supports(const fc_problem *p);
/* What `im2col` does with one; nothing is copied. */
double fc_dense_cost(const fc_problem *p);
void fc_dense_forward(const fc_problem *p, int threads);
/* The transpose: x of `p` is written, y read; the finish is that of x, a bias alone. */
void fc_dense_grad_input(const fc_problem *p, int threads);
void fc_dense_grad_weight(const fc_problem *p, int threads);

#endif
