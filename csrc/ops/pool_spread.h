/* Gradient of average pooling: pool_backward.c hands over what it has checked. */
#ifndef FC_POOL_SPREAD_H
#define FC_POOL_SPREAD_H

#include "ops/pool.h"

fc_status fc_pool_spread(const fc_kernels *kernels, const fc_tensor *grad_output, const fc_pool_grid *grid,
                         const fc_tensor *grad_input, const fc_options *options);

#endif
