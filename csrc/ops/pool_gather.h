/* Gradient of maxima whose windows are known, a plane at a time (pool_gather.c). */
#ifndef FC_POOL_GATHER_H
#define FC_POOL_GATHER_H

#include "ops/pool.h"

typedef struct fc_gather_run {
    const fc_kernels *kernels;
    const fc_tensor *grad_output, *indices, *grad_input;
    fc_pool_grid grid;
    int on;                       /* windows are such as can be gathered */
    int64_t windows, taps, pitch; /* of a plane; from plane to plane; elements of a line */
    char *plane_taps, *known, *origins;
    char **lines; /* a thread each */
} fc_gather_run;

/* The first five are in place. */
void fc_gather_plan(fc_gather_run *run);
void fc_gather_lay_out(fc_gather_run *run, fc_arena *arena, int threads);
/* Once laid out: before planes are read. */
void fc_gather_begin(const fc_gather_run *run);
/* Reads the indices of a plane; returns 0 if one is not in its window. */
int fc_gather_read(const fc_gather_run *run, int64_t plane);
/* Writes a plane that was read; returns 0 if one of its indices was not in its window: nothing is done. */
int fc_gather_write(const fc_gather_run *run, int64_t plane, int thread);

#endif
