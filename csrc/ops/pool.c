/* Pooling forward: maximum and average share one skeleton, with the reduction plugged in.
 *
 * Vertical first: the rows (and depths) of a window are combined into one line, whole rows at a time, then windows are
 * reduced along that line. The line carries its padding as the reduction's neutral value (-inf, 0), so no window is
 * special. Maxima with indices walk window by window. Accumulator: the dtype itself.
 */
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/pool.h"

#include <math.h>

enum { ROWS_A_TASK = 32 };

/* ---- geometry along the axes ---- */

fc_pool_grid fc_pool_grid_of(const fc_pool_params *params, const int64_t in[FC_SPATIAL],
                             const int64_t out[FC_SPATIAL]) {
    fc_pool_grid grid = {.params = *params};
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        grid.in[axis] = in[axis];
        grid.out[axis] = out[axis];
        grid.params.stride[axis] = out[axis] == 1 ? 1 : params->stride[axis];
        grid.params.dilation[axis] = params->kernel[axis] == 1 ? 1 : params->dilation[axis];
    }
    return grid;
}

fc_pool_grid fc_pool_grid_adaptive(const int64_t in[FC_SPATIAL], const int64_t out[FC_SPATIAL]) {
    fc_pool_params params = {0};
    int adaptive = 0;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        params.kernel[axis] = params.stride[axis] = fc_max(in[axis] / out[axis], 1);
        params.dilation[axis] = 1;
        adaptive |= in[axis] % out[axis] != 0;
    }
    fc_pool_grid grid = fc_pool_grid_of(&params, in, out);
    grid.adaptive = adaptive;
    return grid;
}

int64_t fc_pool_line_length(const fc_pool_grid *grid) {
    const fc_pool_params *params = &grid->params;
    return grid->adaptive ? grid->in[2]
                          : (grid->out[2] - 1) * params->stride[2] + (params->kernel[2] - 1) * params->dilation[2] + 1;
}

fc_pool_rows fc_pool_rows_of(const fc_pool_grid *grid, int axis, int64_t output) {
    const fc_pool_params *params = &grid->params;
    const int64_t in = grid->in[axis], out = grid->out[axis];
    if (grid->adaptive) {
        const int64_t begin = output * in / out, finish = fc_ceil_div((output + 1) * in, out);
        return (fc_pool_rows){begin, finish, 1, finish - begin};
    }
    const int64_t dilation = params->dilation[axis];
    int64_t first = output * params->stride[axis] - params->padding[axis][0];
    const int64_t end = fc_min(first + (params->kernel[axis] - 1) * dilation + 1, in);
    if (first < 0)
        first += fc_ceil_div(-first, dilation) * dilation;
    return (fc_pool_rows){first, end, dilation, end > first ? fc_ceil_div(end - first, dilation) : 0};
}

int64_t fc_pool_extent(const fc_pool_grid *grid, int axis, int64_t output) {
    if (grid->adaptive)
        return fc_pool_rows_of(grid, axis, output).count;
    const fc_pool_params *params = &grid->params;
    const int64_t start = output * params->stride[axis] - params->padding[axis][0];
    const int64_t end = start + params->kernel[axis];
    if (params->count_include_pad)
        return fc_min(end, grid->in[axis] + params->padding[axis][1]) - start;
    return fc_min(end, grid->in[axis]) - fc_max(start, 0);
}

fc_windows fc_pool_windows(const fc_pool_grid *grid, fc_span *spans) {
    const fc_pool_params *params = &grid->params;
    if (!grid->adaptive)
        return (fc_windows){grid->out[2], params->kernel[2], params->stride[2], params->dilation[2], NULL};
    for (int64_t o = 0; o < grid->out[2]; ++o) {
        const fc_pool_rows rows = fc_pool_rows_of(grid, 2, o);
        spans[o] = (fc_span){rows.first, rows.count};
    }
    return (fc_windows){grid->out[2], 0, 1, 1, spans};
}

/* ---- forward ---- */

typedef struct pool_run {
    const fc_kernels *kernels;
    const fc_tensor *input, *output, *indices;
    fc_pool_grid grid;
    fc_windows windows;
    int average;
    int64_t row_tasks; /* of one plane and depth */
    int64_t line_length;
    fc_span *spans;
    char *divisors;
    char **line, **row, **result;
} pool_run;

static void lay_out(pool_run *run, fc_arena *arena, int threads) {
    const size_t item = (size_t)run->kernels->itemsize;
    const int64_t outputs = run->output->size[4], slack = 2 * run->kernels->lanes;
    run->line_length = fc_pool_line_length(&run->grid);
    run->divisors = fc_arena_take(arena, outputs, item);
    run->spans = fc_arena_take(arena, run->grid.adaptive ? outputs : 0, sizeof(fc_span));
    run->line = fc_arena_take(arena, threads, sizeof(char *));
    run->row = fc_arena_take(arena, threads, sizeof(char *));
    run->result = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *line = fc_arena_take(arena, run->line_length + slack, item);
        char *row = fc_arena_take(arena, run->input->size[4], item);
        char *result = fc_arena_take(arena, outputs, item);
        if (arena->base) {
            run->line[t] = line;
            run->row[t] = row;
            run->result[t] = result;
        }
    }
}

static void fill_divisors(const pool_run *run) {
    for (int64_t o = 0; o < run->output->size[4]; ++o) {
        const int64_t override = run->grid.params.divisor_override;
        const int64_t extent = override ? override : fc_pool_extent(&run->grid, 2, o);
        run->kernels->fill_row(run->divisors + o * run->kernels->itemsize, (double)extent, 1);
    }
}

/* Combines the input rows of one output row into the line, behind its left padding. */
static void combine_rows(const pool_run *run, const char *plane, fc_pool_rows depths, fc_pool_rows heights,
                         int thread) {
    const fc_kernels *kernels = run->kernels;
    const ptrdiff_t item = kernels->itemsize, step = run->input->stride[4] * item;
    const int64_t before = run->grid.params.padding[2][0];
    const int64_t length = fc_min(run->input->size[4], run->line_length - before);
    char *line = run->line[thread] + before * item;
    int first = 1;
    for (int64_t d = depths.first; d < depths.end; d += depths.step)
        for (int64_t h = heights.first; h < heights.end; h += heights.step) {
            char *src = (char *)plane + (d * run->input->stride[2] + h * run->input->stride[3]) * item;
            if (first || step != item) {
                char *dst = first ? line : run->row[thread];
                kernels->copy_matrix((fc_matrix){dst, 0, item}, (fc_matrix){src, 0, step}, 1, length);
                src = dst;
            }
            if (!first)
                (run->average ? kernels->add_row : kernels->max_row)(line, src, length);
            first = 0;
        }
}

static void pool_row(const pool_run *run, const char *plane, char *y, int64_t od, int64_t oh, int thread) {
    const fc_kernels *kernels = run->kernels;
    const ptrdiff_t item = kernels->itemsize, step = run->output->stride[4] * item;
    const int64_t outputs = run->output->size[4];
    combine_rows(run, plane, fc_pool_rows_of(&run->grid, 0, od), fc_pool_rows_of(&run->grid, 1, oh), thread);
    char *result = step == item ? y : run->result[thread];
    (run->average ? kernels->add_windows : kernels->max_windows)(result, run->line[thread], &run->windows);
    if (run->average) {
        const double factor = run->grid.params.divisor_override ? 1.0
                                                                : (double)fc_pool_extent(&run->grid, 0, od) *
                                                                      (double)fc_pool_extent(&run->grid, 1, oh);
        kernels->divide_row(result, result, run->divisors, factor, outputs);
    }
    if (result != y)
        kernels->copy_matrix((fc_matrix){y, 0, step}, (fc_matrix){result, 0, item}, 1, outputs);
}

static void pool_row_indexed(const pool_run *run, const char *plane, char *y, int64_t *indices, int64_t od,
                             int64_t oh) {
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t item = run->kernels->itemsize, step = run->output->stride[4] * item;
    const ptrdiff_t index_step = run->indices->stride[4] * (ptrdiff_t)sizeof(int64_t);
    const fc_pool_rows depths = fc_pool_rows_of(&run->grid, 0, od);
    const fc_pool_rows heights = fc_pool_rows_of(&run->grid, 1, oh);
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
    if (!run->windows.spans) {
        run->kernels->max_indexed_row(y, step, indices, index_step, &row);
        return;
    }
    row.count = 1;
    for (int64_t o = 0; o < run->output->size[4]; ++o) {
        row.kernel = run->windows.spans[o].count;
        row.padding = -run->windows.spans[o].first;
        run->kernels->max_indexed_row(y + o * step, step, (int64_t *)((char *)indices + o * index_step), index_step,
                                      &row);
    }
}

static void pool_task(void *context, int64_t task, int thread) {
    const pool_run *run = context;
    const fc_tensor *x = run->input, *y = run->output;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t rows = task % run->row_tasks, od = task / run->row_tasks % y->size[2];
    const int64_t plane_index = task / (run->row_tasks * y->size[2]);
    const int64_t c = plane_index % x->size[1], n = plane_index / x->size[1];
    const char *plane = (const char *)x->data + (n * x->stride[0] + c * x->stride[1]) * item;
    if (!run->indices)
        run->kernels->fill_row(run->line[thread], run->average ? 0.0 : -INFINITY,
                               run->line_length + 2 * run->kernels->lanes);
    for (int64_t oh = rows * ROWS_A_TASK; oh < fc_min((rows + 1) * ROWS_A_TASK, y->size[3]); ++oh) {
        char *to =
            (char *)y->data + (n * y->stride[0] + c * y->stride[1] + od * y->stride[2] + oh * y->stride[3]) * item;
        if (run->indices) {
            const fc_tensor *i = run->indices;
            int64_t *indices =
                (int64_t *)i->data + n * i->stride[0] + c * i->stride[1] + od * i->stride[2] + oh * i->stride[3];
            pool_row_indexed(run, plane, to, indices, od, oh);
        } else {
            pool_row(run, plane, to, od, oh, thread);
        }
    }
}

/* With geometry checked and `grid` in place. */
static fc_status pool_forward(pool_run *run, const fc_options *options) {
    if (run->input->size[0] == 0)
        return FC_OK;
    const int threads = fc_elementwise_threads(run->input, options);
    fc_arena arena = {0};
    lay_out(run, &arena, threads);
    arena = (fc_arena){fc_scratch_take(arena.used), 0};
    if (!arena.base)
        return FC_OUT_OF_MEMORY;
    lay_out(run, &arena, threads);
    run->windows = fc_pool_windows(&run->grid, run->spans);
    if (run->average)
        fill_divisors(run);
    const fc_tensor *y = run->output;
    run->row_tasks = fc_ceil_div(y->size[3], ROWS_A_TASK);
    fc_parallel(y->size[0] * y->size[1] * y->size[2] * run->row_tasks, threads, pool_task, run);
    fc_scratch_give(arena.base);
    return FC_OK;
}

static fc_status sliding(pool_run *run, fc_dtype dtype, const fc_pool_params *params, const fc_options *options,
                         fc_report *report) {
    run->kernels = fc_kernels_for(options->isa, dtype);
    if (!run->kernels)
        return FC_UNSUPPORTED;
    const fc_status status = fc_check_pool(run->input, run->output, params, report);
    if (status != FC_OK || run->input->size[0] == 0)
        return status;
    run->grid = fc_pool_grid_of(params, run->input->size + 2, run->output->size + 2);
    for (int axis = 0; !run->average && axis < FC_SPATIAL; ++axis)
        for (int64_t o = 0; run->grid.params.dilation[axis] > 1 && o < run->output->size[2 + axis]; ++o)
            if (fc_pool_rows_of(&run->grid, axis, o).count < 1) {
                if (report)
                    *report = (fc_report){axis, o};
                return FC_EMPTY_WINDOW;
            }
    return pool_forward(run, options);
}

static fc_status adaptive(pool_run *run, fc_dtype dtype, const fc_options *options, fc_report *report) {
    run->kernels = fc_kernels_for(options->isa, dtype);
    if (!run->kernels)
        return FC_UNSUPPORTED;
    const fc_status status = fc_check_adaptive_pool(run->input, run->output, report);
    if (status != FC_OK)
        return status;
    run->grid = fc_pool_grid_adaptive(run->input->size + 2, run->output->size + 2);
    return pool_forward(run, options);
}

fc_status fc_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                              const fc_options *options, const fc_tensor *output, const fc_tensor *indices,
                              fc_report *report) {
    pool_run run = {.input = input, .output = output, .indices = indices};
    return sliding(&run, dtype, params, options, report);
}

fc_status fc_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                              const fc_options *options, const fc_tensor *output, fc_report *report) {
    pool_run run = {.input = input, .output = output, .average = 1};
    return sliding(&run, dtype, params, options, report);
}

fc_status fc_adaptive_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                       const fc_tensor *output, const fc_tensor *indices, fc_report *report) {
    pool_run run = {.input = input, .output = output, .indices = indices};
    return adaptive(&run, dtype, options, report);
}

fc_status fc_adaptive_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                       const fc_tensor *output, fc_report *report) {
    pool_run run = {.input = input, .output = output, .average = 1};
    return adaptive(&run, dtype, options, report);
}
