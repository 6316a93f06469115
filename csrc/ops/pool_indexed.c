/* Maxima with the places where they stand. */
#include "ops/pool_indexed.h"

#include "ops/elementwise.h"

enum { ROWS_A_TASK = 32 };

typedef struct indexed_run {
    const fc_kernels *kernels;
    const fc_tensor *input, *output, *indices;
    const fc_pool_grid *grid;
    int64_t row_tasks;
} indexed_run;

static void walk_row(const indexed_run *run, const char *plane, char *y, int64_t *indices, int64_t od,
                             int64_t oh) {
    const fc_pool_params *params = &run->grid->params;
    const ptrdiff_t item = run->kernels->itemsize, step = run->output->stride[4] * item;
    const ptrdiff_t index_step = run->indices->stride[4] * (ptrdiff_t)sizeof(int64_t);
    const fc_pool_rows depths = fc_pool_rows_of(run->grid, 0, od);
    const fc_pool_rows heights = fc_pool_rows_of(run->grid, 1, oh);
    fc_max_indexed_row row = {
        .plane = plane,
        .first = {depths.first, heights.first},
        .end = {depths.end, heights.end},
        .kernel = params->kernel[2],
        .stride = params->stride[2],
        .padding = params->padding[2][0],
        .count = run->output->size[4],
    };
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        row.axis[axis] = run->input->stride[2 + axis] * item;
        row.size[axis] = run->input->size[2 + axis];
        row.dilation[axis] = params->dilation[axis];
    }
    if (!run->grid->adaptive) {
        run->kernels->max_indexed_row(y, step, indices, index_step, &row);
        return;
    }
    row.count = 1;
    for (int64_t o = 0; o < run->output->size[4]; ++o) {
        const fc_pool_rows columns = fc_pool_rows_of(run->grid, 2, o);
        row.kernel = columns.count;
        row.padding = -columns.first;
        run->kernels->max_indexed_row(y + o * step, step, (int64_t *)((char *)indices + o * index_step), index_step,
                                      &row);
    }
}


static void indexed_task(void *context, int64_t task, int thread) {
    (void)thread;
    const indexed_run *run = context;
    const fc_tensor *x = run->input, *y = run->output, *i = run->indices;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t rows = task % run->row_tasks, od = task / run->row_tasks % y->size[2];
    const int64_t plane_index = task / (run->row_tasks * y->size[2]);
    const int64_t c = plane_index % x->size[1], n = plane_index / x->size[1];
    for (int64_t oh = rows * ROWS_A_TASK; oh < fc_min((rows + 1) * ROWS_A_TASK, y->size[3]); ++oh)
        walk_row(run, fc_plane(x, n, c, item), fc_plane(y, n, c, item) + (od * y->stride[2] + oh * y->stride[3]) * item,
                 (int64_t *)i->data + n * i->stride[0] + c * i->stride[1] + od * i->stride[2] + oh * i->stride[3], od,
                 oh);
}

fc_status fc_pool_indexed(const fc_kernels *kernels, const fc_tensor *input, const fc_pool_grid *grid,
                          const fc_tensor *output, const fc_tensor *indices, int threads) {
    const indexed_run run = {kernels, input, output, indices, grid, fc_ceil_div(output->size[3], ROWS_A_TASK)};
    fc_parallel(output->size[0] * output->size[1] * output->size[2] * run.row_tasks, threads, indexed_task,
                (void *)&run);
    return FC_OK;
}
