/* Maxima with indices: pool.c hands over what it has checked. */
#ifndef FC_POOL_INDEXED_H
#define FC_POOL_INDEXED_H

#include "ops/pool.h"

fc_status fc_pool_indexed(const fc_kernels *kernels, const fc_tensor *input, const fc_pool_grid *grid,
                          const fc_tensor *output, const fc_tensor *indices, int threads);

#endif
