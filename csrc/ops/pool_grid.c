/* Where pooling windows lie: sliding windows and adaptive ones, seen through one interface (pool.h). */
#include "ops/pool.h"

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
    if (dilation == 1) { /* without a division */
        first = fc_max(first, 0);
        return (fc_pool_rows){first, end, 1, fc_max(end - first, 0)};
    }
    if (first < 0)
        first += fc_ceil_div(-first, dilation) * dilation;
    return (fc_pool_rows){first, end, dilation, end > first ? fc_ceil_div(end - first, dilation) : 0};
}

fc_range fc_pool_range_of(const fc_pool_grid *grid, int axis, int64_t output, int64_t count) {
    if (grid->adaptive)
        return (fc_range){fc_pool_rows_of(grid, axis, output).first,
                          fc_pool_rows_of(grid, axis, output + count - 1).end};
    const fc_pool_params *params = &grid->params;
    const int64_t first = output * params->stride[axis] - params->padding[axis][0];
    const int64_t last = first + (count - 1) * params->stride[axis];
    return (fc_range){fc_max(first, 0),
                      fc_min(last + (params->kernel[axis] - 1) * params->dilation[axis] + 1, grid->in[axis])};
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

void fc_pool_fill_spans(const fc_pool_grid *grid, fc_span *spans) {
    for (int64_t o = 0; o < grid->out[2]; ++o) {
        const fc_pool_rows rows = fc_pool_rows_of(grid, 2, o);
        spans[o] = (fc_span){rows.first, rows.count};
    }
}

fc_range fc_pool_inside(const fc_pool_grid *grid, int axis) {
    const fc_pool_params *params = &grid->params;
    const int64_t before = params->padding[axis][0], stride = params->stride[axis];
    const int64_t room = grid->in[axis] + before - (params->kernel[axis] - 1) * params->dilation[axis] - 1;
    if (grid->adaptive || room < 0)
        return (fc_range){0, 0};
    const int64_t begin = fc_ceil_div(before, stride), end = fc_min(room / stride + 1, grid->out[axis]);
    return (fc_range){begin, fc_max(begin, end)};
}

int fc_pool_even(const fc_pool_grid *grid, int axis) {
    /* What is cut off windows grows towards the ends. */
    const int64_t kernel = grid->params.kernel[axis], last = grid->out[axis] - 1;
    return last == 0 || grid->params.divisor_override ||
           (!grid->adaptive && fc_pool_extent(grid, axis, 0) == kernel && fc_pool_extent(grid, axis, last) == kernel);
}

double fc_pool_divisor(const fc_pool_grid *grid, int axis, int64_t output) {
    if (grid->params.divisor_override)
        return axis == 2 ? (double)grid->params.divisor_override : 1.0;
    return (double)fc_pool_extent(grid, axis, output);
}

fc_span fc_pool_holders(const fc_pool_grid *grid, int axis, int64_t position) {
    const int64_t in = grid->in[axis], out = grid->out[axis];
    if (grid->adaptive) {
        const int64_t first = position * out / in;
        return (fc_span){first, fc_ceil_div((position + 1) * out, in) - first};
    }
    const int64_t at = position + grid->params.padding[axis][0], stride = grid->params.stride[axis];
    const int64_t past = at - grid->params.kernel[axis]; /* from where a window ends before it */
    const int64_t first = past < 0 ? 0 : fc_min(past / stride + 1, out), end = fc_min(at / stride + 1, out);
    return (fc_span){first, fc_max(end - first, 0)};
}
