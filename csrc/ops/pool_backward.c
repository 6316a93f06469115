/* Gradients of pooling. Average: pool_spread.c.
 *
 * Maximum: every gradient is added where its maximum was found, plane by plane, each summed by one task in the order of
 * its windows; or gathered, where windows lie apart (pool_gather.c). Indices are checked before anything is written.
 * Channels last, a task sums some channels side by side. Other planes that do not lie contiguous in the caller's array
 * are summed in scratch and copied.
 */
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/interface.h"
#include "ops/pool_gather.h"
#include "ops/pool_spread.h"

#include <stdatomic.h>
#include <string.h>

enum { BLOCK_BYTES = 256 };

typedef struct backward_run {
    const fc_kernels *kernels;
    fc_tensor grad_output, indices; /* axes that lie together merged */
    const fc_tensor *grad_input;
    int64_t plane_size;
    int in_place;    /* planes of grad_input lie contiguous */
    int lanes_last;  /* channels lie together, in all three arrays */
    int64_t block;   /* channels of a task */
    ptrdiff_t pixel; /* bytes from one element of a plane to the next, if lanes_last */
    char **plane;
    fc_gather_run gather;
    _Atomic int64_t bad_index;
    atomic_int bad;
} backward_run;

static void lay_out(backward_run *run, fc_arena *arena, int threads) {
    const size_t item = (size_t)run->kernels->itemsize;
    const int64_t *stride = run->grad_input->stride, *size = run->grad_input->size;
    run->plane_size = size[2] * size[3] * size[4];
    run->in_place = (size[4] == 1 || stride[4] == 1) && (size[3] == 1 || stride[3] == size[4]) &&
                    (size[2] == 1 || stride[2] == size[3] * size[4]);
    run->plane = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *plane = fc_arena_take(arena, run->in_place || run->lanes_last ? 0 : run->plane_size, item);
        if (arena->base)
            run->plane[t] = plane;
    }
    fc_gather_lay_out(&run->gather, arena);
}

static void plan(backward_run *run) {
    fc_tensor x = *run->grad_input, *list[] = {&x};
    fc_merge_spatial(list, 1);
    run->lanes_last = !run->gather.on && x.size[1] > 1 && x.stride[1] == 1 && run->grad_output.stride[1] == 1 &&
                      run->indices.stride[1] == 1 && x.size[2] == 1 && x.size[3] == 1;
    run->block = run->lanes_last ? BLOCK_BYTES / run->kernels->itemsize : 1;
    run->pixel = x.stride[4] * run->kernels->itemsize;
}

static const char *row_of(const fc_tensor *tensor, int64_t plane, int64_t d, int64_t h, ptrdiff_t item) {
    return (const char *)tensor->data +
           (plane / tensor->size[1] * tensor->stride[0] + plane % tensor->size[1] * tensor->stride[1] +
            d * tensor->stride[2] + h * tensor->stride[3]) *
               item;
}

/* The first channel of a task's, counted through the images, and how many there are. */
static int64_t channels_of(const backward_run *run, int64_t task, int64_t *count) {
    const int64_t channels = run->grad_input->size[1], blocks = fc_ceil_div(channels, run->block);
    const int64_t first = task % blocks * run->block;
    *count = fc_min(run->block, channels - first);
    return task / blocks * channels + first;
}

static void check_lanes_task(void *context, int64_t task, int thread) {
    (void)thread;
    backward_run *run = context;
    const fc_tensor *indices = &run->indices;
    int64_t count;
    const int64_t plane = channels_of(run, task, &count);
    for (int64_t d = 0; d < indices->size[2]; ++d)
        for (int64_t h = 0; h < indices->size[3]; ++h) {
            const int64_t *row = (const int64_t *)row_of(indices, plane, d, h, sizeof(int64_t));
            for (int64_t w = 0; w < indices->size[4]; ++w, row += indices->stride[4]) {
                if (run->kernels->in_plane(row, count, run->plane_size))
                    continue;
                for (int64_t c = 0; c < count; ++c)
                    if (row[c] < 0 || row[c] >= run->plane_size) {
                        run->bad_index = row[c];
                        run->bad = 1;
                        return;
                    }
            }
        }
}

static void lanes_task(void *context, int64_t task, int thread) {
    (void)thread;
    const backward_run *run = context;
    const fc_tensor *g = &run->grad_output, *indices = &run->indices;
    const ptrdiff_t item = run->kernels->itemsize;
    int64_t count;
    const int64_t plane = channels_of(run, task, &count);
    char *to = (char *)row_of(run->grad_input, plane, 0, 0, item);
    if (run->pixel == count * item)
        memset(to, 0, (size_t)(run->plane_size * run->pixel));
    else
        for (int64_t i = 0; i < run->plane_size; ++i)
            memset(to + i * run->pixel, 0, (size_t)(count * item));
    for (int64_t d = 0; d < g->size[2]; ++d)
        for (int64_t h = 0; h < g->size[3]; ++h) {
            const char *src = row_of(g, plane, d, h, item), *at = row_of(indices, plane, d, h, sizeof(int64_t));
            for (int64_t w = 0; w < g->size[4]; ++w)
                run->kernels->scatter_add(to, item, run->pixel, src + w * g->stride[4] * item, item,
                                          (const int64_t *)at + w * indices->stride[4], sizeof(int64_t), count,
                                          run->plane_size);
        }
}

static void check_indices_task(void *context, int64_t plane, int thread) {
    (void)thread;
    backward_run *run = context;
    const fc_tensor *indices = &run->indices;
    if (run->gather.on && fc_gather_check(&run->gather, plane))
        return;
    for (int64_t d = 0; d < indices->size[2]; ++d)
        for (int64_t h = 0; h < indices->size[3]; ++h) {
            const int64_t *row = (const int64_t *)row_of(indices, plane, d, h, sizeof(int64_t));
            if (indices->stride[4] == 1 && run->kernels->in_plane(row, indices->size[4], run->plane_size))
                continue;
            for (int64_t w = 0; w < indices->size[4]; ++w) {
                const int64_t index = row[w * indices->stride[4]];
                if (index < 0 || index >= run->plane_size) {
                    run->bad_index = index;
                    run->bad = 1;
                    return;
                }
            }
        }
}

/* Adds grad_output of one plane at its indices. */
static void scatter_plane(const backward_run *run, int64_t plane, char *sums) {
    const fc_tensor *g = &run->grad_output, *indices = &run->indices;
    const ptrdiff_t item = run->kernels->itemsize;
    for (int64_t d = 0; d < g->size[2]; ++d)
        for (int64_t h = 0; h < g->size[3]; ++h)
            run->kernels->scatter_add(sums, 0, item, row_of(g, plane, d, h, item), g->stride[4] * item,
                                      (const int64_t *)row_of(indices, plane, d, h, sizeof(int64_t)),
                                      indices->stride[4] * (ptrdiff_t)sizeof(int64_t), g->size[4], run->plane_size);
}

static void backward_task(void *context, int64_t plane, int thread) {
    const backward_run *run = context;
    const fc_tensor *x = run->grad_input;
    const ptrdiff_t item = run->kernels->itemsize;
    if (run->gather.on && fc_gather_write(&run->gather, plane))
        return;
    char *to = (char *)row_of(x, plane, 0, 0, item);
    char *sums = run->in_place ? to : run->plane[thread];
    memset(sums, 0, (size_t)(run->plane_size * item));
    scatter_plane(run, plane, sums);
    if (sums == to)
        return;
    for (int64_t d = 0; d < x->size[2]; ++d)
        run->kernels->copy_matrix((fc_matrix){to + d * x->stride[2] * item, x->stride[3] * item, x->stride[4] * item},
                                  (fc_matrix){sums + d * x->size[3] * x->size[4] * item, x->size[4] * item, item},
                                  x->size[3], x->size[4]);
}

static fc_status run_backward(backward_run *run, const fc_options *options, fc_report *report) {
    const fc_tensor *x = run->grad_input;
    if (x->size[0] == 0)
        return FC_OK;
    const int threads = fc_elementwise_threads(x, options);
    fc_arena arena = {0};
    plan(run);
    lay_out(run, &arena, threads);
    arena = (fc_arena){fc_scratch_take(arena.used), 0};
    if (!arena.base)
        return FC_OUT_OF_MEMORY;
    lay_out(run, &arena, threads);
    const int64_t tasks = x->size[0] * fc_ceil_div(x->size[1], run->block);
    fc_parallel(tasks, threads, run->lanes_last ? check_lanes_task : check_indices_task, run);
    if (run->bad) {
        if (report)
            *report = (fc_report){-1, run->bad_index};
    } else {
        fc_parallel(tasks, threads, run->lanes_last ? lanes_task : backward_task, run);
    }
    fc_scratch_give(arena.base);
    return run->bad ? FC_BAD_INDEX : FC_OK;
}

/* Whether sizes of an output follow from the windows, rounded down or up. */
static fc_status check_windows(const fc_tensor *input, const fc_tensor *output, const fc_pool_params *params,
                               fc_report *report) {
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        int fits = 0;
        for (int ceil_mode = 0; ceil_mode < 2; ++ceil_mode) {
            fc_pool_params either = *params;
            int64_t size[FC_SPATIAL];
            either.ceil_mode = ceil_mode;
            const fc_status status = fc_pool_output_size(input->size + 2, &either, size, report);
            if (status != FC_OK)
                return status;
            fits |= output->size[2 + axis] == size[axis];
        }
        if (!fits)
            return fc_tell(report, FC_BAD_OUTPUT_SIZE, axis, output->size[2 + axis]);
    }
    return FC_OK;
}

fc_status fc_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                               const fc_pool_params *params, const fc_options *options, const fc_tensor *grad_input,
                               fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(indices) && fc_is_array(grad_input) && (unsigned)dtype < FC_DTYPES);
    FC_ADOPT_OR_NULL(fc_pool_params, params);
    FC_ADOPT_OPTIONS(options);
    static const int64_t LEAST[FC_AXES] = {0, 1, 1, 1, 1};
    backward_run run = {.grad_output = *grad_output, .indices = *indices, .grad_input = grad_input};
    run.kernels = fc_kernels_for(options->isa, dtype);
    if (!run.kernels)
        return FC_UNSUPPORTED;
    fc_status status = fc_check_tensor(grad_input, LEAST);
    if (status == FC_OK)
        status = fc_check_tensor(grad_output, LEAST);
    if (status != FC_OK)
        return status;
    if (grad_output->size[0] != grad_input->size[0])
        return fc_tell(report, FC_BAD_BATCH, -1, grad_output->size[0]);
    if (grad_output->size[1] != grad_input->size[1])
        return fc_tell(report, FC_BAD_CHANNELS, -1, grad_output->size[1]);
    for (int axis = 0; axis < FC_AXES; ++axis)
        if (indices->size[axis] != grad_output->size[axis])
            return fc_tell(report, FC_BAD_OUTPUT_SIZE, axis < 2 ? -1 : axis - 2, indices->size[axis]);
    if (params) {
        if ((status = check_windows(grad_input, grad_output, params, report)) != FC_OK)
            return status;
        const fc_pool_grid grid = fc_pool_grid_of(params, grad_input->size + 2, grad_output->size + 2);
        run.gather = (fc_gather_run){run.kernels, grad_output, indices, grad_input, .on = 0};
        run.gather.on = fc_gather_supports(&run.gather, &grid);
    }
    fc_tensor *list[] = {&run.grad_output, &run.indices};
    fc_merge_spatial(list, 2);
    return run_backward(&run, options, report);
}

/* Windows at every position, all whole or divided by the same number: the gradient is the average of grad_output by windows turned, which
 * are the same windows. */
static int is_average(const fc_pool_grid *grid) {
    int average = 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const int64_t *padding = grid->params.padding[axis];
        const int whole = grid->params.divisor_override || fc_pool_extent(grid, axis, 0) == grid->params.kernel[axis];
        average = average && grid->params.stride[axis] == 1 && whole && fc_pool_even(grid, axis) &&
                  grid->in[axis] + padding[0] + padding[1] - grid->params.kernel[axis] + 1 == grid->out[axis];
    }
    return average;
}

fc_status fc_avg_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_pool_params *params,
                               const fc_options *options, const fc_tensor *grad_input, fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(grad_input) && (unsigned)dtype < FC_DTYPES);
    FC_ADOPT(fc_pool_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels = fc_kernels_for(options->isa, dtype);
    if (!kernels)
        return FC_UNSUPPORTED;
    fc_status status = fc_check_average(params, report);
    if (status == FC_OK)
        status = fc_check_pool(grad_input, grad_output, params, report);
    if (status != FC_OK || grad_input->size[0] == 0)
        return status;
    const fc_pool_grid grid = fc_pool_grid_of(params, grad_input->size + 2, grad_output->size + 2);
    if (is_average(&grid)) {
        fc_pool_params turned = grid.params;
        turned.count_include_pad = 1;
        turned.ceil_mode = 0;
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            for (int end = 0; end < 2; ++end)
                turned.padding[axis][end] = turned.kernel[axis] - 1 - turned.padding[axis][end];
        return fc_avg_pool_forward(dtype, grad_output, &turned, options, grad_input, report);
    }
    return fc_pool_spread(kernels, grad_output, &grid, grad_input, options);
}

fc_status fc_adaptive_avg_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_options *options,
                                        const fc_tensor *grad_input, fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(grad_input) && (unsigned)dtype < FC_DTYPES);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels = fc_kernels_for(options->isa, dtype);
    if (!kernels)
        return FC_UNSUPPORTED;
    const fc_status status = fc_check_adaptive_pool(grad_input, grad_output, report);
    if (status != FC_OK || grad_input->size[0] == 0)
        return status;
    const fc_pool_grid grid = fc_pool_grid_adaptive(grad_input->size + 2, grad_output->size + 2);
    return fc_pool_spread(kernels, grad_output, &grid, grad_input, options);
}
