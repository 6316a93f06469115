/* Gradient of maxima whose windows are known, a plane at a time (pool_gather.c). */
#ifndef FC_POOL_GATHER_H
#define FC_POOL_GATHER_H

#include "ops/pool.h"

typedef struct fc_gather_run {
    const fc_kernels *kernels;
    const fc_tensor *grad_output, *indices, *grad_input;
    fc_pool_grid grid;
    int64_t rows, lines, front, pitch; /* of a band, 0: this is not to be gathered; of what it reads; elements */
    char **values, **places;
} fc_gather_run;

/* The first five are in place. */
void fc_gather_plan(fc_gather_run *run);
void fc_gather_lay_out(fc_gather_run *run, fc_arena *arena, int threads);
/* Returns 0 if an index was not in its window: then what was written is not the gradient. */
int fc_gather_plane(const fc_gather_run *run, int64_t plane, int thread);

#endif
