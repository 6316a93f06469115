/* 1x1 convolution without padding: what `im2col` does where there are no patches. */
#ifndef FC_POINTWISE_H
#define FC_POINTWISE_H

#include "algorithms/algorithm.h"

int fc_pointwise_supports(const fc_problem *p);
size_t fc_pointwise_scratch_bytes(const fc_problem *p, int threads);
double fc_pointwise_cost(const fc_problem *p);
void fc_pointwise_forward(const fc_problem *p, void *scratch, int threads);

#endif
