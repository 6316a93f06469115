/* The transpose of a convolution as one matrix product and a sum of patches. */
#ifndef FC_COL2IM_H
#define FC_COL2IM_H

#include "algorithms/algorithm.h"

/* `whole` is the forward problem that is being transposed: x is written, y read, and finish is that of x, a bias alone. */
int fc_col2im_supports(const fc_problem *whole);
/* For one image. */
double fc_col2im_cost(const fc_problem *whole);
size_t fc_col2im_scratch_bytes(const fc_problem *whole, int threads);
void fc_col2im_run(const fc_problem *whole, void *scratch, int threads);

#endif
