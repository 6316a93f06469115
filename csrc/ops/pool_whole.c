/* Global pooling: one window that holds all of the input, in either layout. */
#include "ops/pool_whole.h"

#include "ops/elementwise.h"

int fc_pool_merge_whole(fc_pool_run *run) {
    fc_pool_grid *grid = &run->grid;
    double divisor = 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        if (grid->out[axis] != 1 || fc_pool_rows_of(grid, axis, 0).count != grid->in[axis])
            return 0;
        divisor *= fc_pool_divisor(grid, axis, 0);
    }
    fc_tensor merged = run->input, *x = &merged;
    fc_merge_spatial(&x, 1);
    const int64_t length = x->size[4];
    if (x->size[2] != 1 || x->size[3] != 1 || (x->stride[4] != 1 && x->stride[1] != 1))
        return 0;
    *grid = (fc_pool_grid){
        {sizeof grid->params, {1, length, 1}, {1, 1, 1}, {1, 1, 1}, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, (int64_t)divisor},
        {1, length, 1},
        {1, 1, 1},
        0};
    run->input = merged;
    if (x->stride[4] == 1)
        return 1;
    run->input.size[3] = length;
    run->input.stride[3] = x->stride[4];
    run->input.size[4] = 1;
    return 0;
}

enum { PLANES_A_TASK = 64 };

static void whole_planes_task(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_pool_run *run = context;
    const fc_tensor *x = &run->input, *y = run->output;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t n = task / run->blocks, c = task % run->blocks * PLANES_A_TASK;
    const int64_t planes = fc_min(x->size[1] - c, PLANES_A_TASK);
    char *to = fc_plane(y, n, c, item);
    double room[PLANES_A_TASK];
    char *result = y->stride[1] == 1 ? to : (char *)room;
    (run->average ? run->kernels->planes_add
                  : run->kernels->planes_max)(result, fc_plane(x, n, c, item), x->stride[1] * item, planes, x->size[4],
                                              run->average ? (double)run->grid.params.divisor_override : 0);
    if (result != to)
        run->kernels->copy_matrix((fc_matrix){to, 0, y->stride[1] * item}, (fc_matrix){result, 0, item}, 1, planes);
}

void fc_pool_whole_planes(fc_pool_run *run, int threads) {
    run->blocks = fc_ceil_div(run->input.size[1], PLANES_A_TASK);
    fc_parallel(run->input.size[0] * run->blocks, threads, whole_planes_task, run);
}
