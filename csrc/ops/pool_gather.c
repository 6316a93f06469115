/* Gradient of maxima by gathering: planes whose windows are 2 by 2 or 3 by 3, 1 or 2 apart.
 *
 * Planes are read before any is written: indices become taps (kernels/gather.inc), which are kept. A plane with an index
 * outside of its window is left to the caller, who adds.
 */
#include "ops/pool_gather.h"

#include "ops/elementwise.h"

#include <string.h>

static int fits(const fc_pool_params *params, int axis) {
    return params->kernel[axis] >= 2 && params->kernel[axis] <= 3 && params->stride[axis] <= 2 &&
           params->dilation[axis] == 1;
}

void fc_gather_plan(fc_gather_run *run) {
    const fc_tensor *x = run->grad_input, *g = run->grad_output, *i = run->indices;
    const fc_pool_params *params = &run->grid.params;
    const int64_t lanes = run->kernels->lanes, stride = params->stride[2];
    run->on = x->size[2] == 1 && g->size[2] == 1 && x->stride[4] == 1 && g->stride[4] == 1 && i->stride[4] == 1 &&
              (i->size[3] == 1 || i->stride[3] == i->size[4]) && fits(params, 1) && fits(params, 2) &&
              params->stride[1] == stride && params->kernel[1] == params->kernel[2] && x->size[4] >= 3 &&
              x->size[3] * x->size[4] <= INT32_MAX / 2;
    if (!run->on)
        return;
    run->windows = g->size[3] * g->size[4];
    run->taps = run->windows + lanes;
    run->pitch = fc_round_up(fc_max(g->size[4], (x->size[4] + params->padding[2][0]) / stride + 1), lanes) + 4 * lanes;
}

void fc_gather_lay_out(fc_gather_run *run, fc_arena *arena, int threads) {
    if (!run->on)
        return;
    const int64_t planes = run->grad_input->size[0] * run->grad_input->size[1];
    const size_t item = (size_t)run->kernels->itemsize;
    run->plane_taps = fc_arena_take(arena, fc_product(planes, run->taps), item);
    run->known = fc_arena_take(arena, planes, 1);
    run->origins = fc_arena_take(arena, run->windows + run->kernels->lanes, item);
    run->lines = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *lines = fc_arena_take(arena, 2 * (FC_GATHER_LINES + 1) * run->pitch, item);
        if (arena->base)
            run->lines[t] = memset(lines, 0xff, (size_t)(2 * (FC_GATHER_LINES + 1) * run->pitch) * item);
    }
}

void fc_gather_begin(const fc_gather_run *run) {
    const fc_pool_params *params = &run->grid.params;
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    for (int64_t k = 0; k < run->windows + run->kernels->lanes; ++k) {
        const int64_t window = fc_min(k, run->windows - 1), row = window / g->size[4], column = window % g->size[4];
        const int64_t origin = (row * params->stride[1] - params->padding[1][0]) * x->size[4] +
                               column * params->stride[2] - params->padding[2][0];
        if (run->kernels->itemsize == sizeof(int64_t))
            ((int64_t *)run->origins)[k] = origin;
        else
            ((int32_t *)run->origins)[k] = (int32_t)origin;
    }
}

/* Whether the taps of windows [begin, end) of a row lie in the plane. */
static int columns_fit(const fc_gather_run *run, const char *taps, int64_t begin, int64_t end) {
    const fc_pool_params *params = &run->grid.params;
    int fit = 1;
    for (int64_t j = begin; j < end; ++j) {
        const int64_t tap =
            run->kernels->itemsize == sizeof(int64_t) ? ((const int64_t *)taps)[j] : ((const int32_t *)taps)[j];
        const int64_t column = j * params->stride[2] - params->padding[2][0] + tap % params->kernel[2];
        fit &= column >= 0 && column < run->grad_input->size[4];
    }
    return fit;
}

/* Of the windows that begin left of the plane or end right of it. */
static int ends_fit(const fc_gather_run *run, const char *taps) {
    const fc_pool_params *params = &run->grid.params;
    const int64_t width = run->grad_input->size[4], columns = run->grad_output->size[4], stride = params->stride[2];
    const int64_t before = params->padding[2][0], line = columns * run->kernels->itemsize;
    const int64_t left = fc_min(fc_ceil_div(before, stride), columns);
    const int64_t right = fc_max(fc_min((width + before - params->kernel[2]) / stride + 1, columns), left);
    int fit = 1;
    for (int64_t row = 0; fit && (left > 0 || right < columns) && row < run->grad_output->size[3]; ++row)
        fit = columns_fit(run, taps + row * line, 0, left) && columns_fit(run, taps + row * line, right, columns);
    return fit;
}

int fc_gather_read(const fc_gather_run *run, int64_t plane) {
    const fc_tensor *x = run->grad_input, *i = run->indices;
    const fc_pool_params *params = &run->grid.params;
    const fc_window_taps job = {
        .taps = run->plane_taps + plane * run->taps * (int64_t)run->kernels->itemsize,
        .indices = (const int64_t *)fc_plane(i, plane / x->size[1], plane % x->size[1], sizeof(int64_t)),
        .origins = run->origins,
        .count = run->windows,
        .kernel = params->kernel[2],
        .width = x->size[4],
        .plane = x->size[3] * x->size[4],
    };
    run->known[plane] = run->kernels->window_taps(&job) && ends_fit(run, job.taps);
    return run->known[plane];
}

int fc_gather_write(const fc_gather_run *run, int64_t plane, int thread) {
    if (!run->known[plane])
        return 0;
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t n = plane / x->size[1], c = plane % x->size[1];
    const fc_gather_plane job = {
        .dst = fc_plane(x, n, c, item),
        .taps = run->plane_taps + plane * run->taps * (int64_t)run->kernels->itemsize,
        .values = fc_plane(g, n, c, item),
        .lines = run->lines[thread],
        .dst_row = x->stride[3] * item,
        .values_row = g->stride[3] * item,
        .pitch = run->pitch,
        .rows = x->size[3],
        .columns = x->size[4],
        .window_rows = g->size[3],
        .window_columns = g->size[4],
        .kernel = params->kernel[2],
        .stride = params->stride[2],
        .before = {params->padding[1][0], params->padding[2][0]},
    };
    run->kernels->gather_maxima(&job);
    return 1;
}
