/* Gradient of maxima whose windows are known and lie apart, a plane at a time (pool_gather.c). */
#ifndef FC_POOL_GATHER_H
#define FC_POOL_GATHER_H

#include "ops/pool.h"

typedef struct fc_gather_run {
    const fc_kernels *kernels;
    const fc_tensor *grad_output, *indices, *grad_input;
    int on;      /* windows are such as can be gathered */
    char *known; /* for each plane, whether all indices lie in their windows */
} fc_gather_run;

int fc_gather_supports(const fc_gather_run *run, const fc_pool_grid *grid);
void fc_gather_lay_out(fc_gather_run *run, fc_arena *arena);
/* Checks the indices of a plane; returns 0 if one is not in its window. */
int fc_gather_check(const fc_gather_run *run, int64_t plane);
/* Writes a plane that was checked; returns 0 if one of its indices was not in its window: nothing is done. */
int fc_gather_write(const fc_gather_run *run, int64_t plane);

#endif
