/* Gradient of maxima by gathering: long rows of planes, windows of 2 or 3 columns at stride 2.
 *
 * A plane of grad_input is made in bands. Each copies the rows of grad_output and of indices that it needs into lines,
 * beside which nothing is ever found (kernels/gather.inc). If in the end not every index has been found in its window,
 * the caller makes the plane again by adding.
 */
#include "ops/pool_gather.h"

#include "ops/elementwise.h"

#include <string.h>

enum { BAND_BYTES = 16 << 10, LEAST_WIDTH = 96 }; /* shorter rows are faster added */

static int supports(const fc_gather_run *run) {
    const fc_tensor *x = run->grad_input, *g = run->grad_output, *i = run->indices;
    const fc_pool_params *params = &run->grid.params;
    return x->size[2] == 1 && g->size[2] == 1 && x->stride[4] == 1 && g->stride[4] == 1 && i->stride[4] == 1 &&
           params->kernel[2] >= 2 && params->kernel[2] <= 3 && params->stride[2] == 2 && params->dilation[1] == 1 &&
           params->dilation[2] == 1 && params->kernel[1] <= 2 * params->stride[1] && x->size[4] >= LEAST_WIDTH &&
           x->size[3] * x->size[4] <= INT32_MAX;
}

void fc_gather_plan(fc_gather_run *run) {
    if (!supports(run)) {
        run->rows = 0;
        return;
    }
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    const fc_pool_params *params = &run->grid.params;
    const int64_t item = run->kernels->itemsize, lanes = run->kernels->lanes;
    run->front = fc_round_up(params->kernel[2], lanes);
    const int64_t behind = fc_max((x->size[4] + params->padding[2][0]) / params->stride[2] + 1 - g->size[4], 0);
    run->pitch = run->front + fc_round_up(g->size[4] + behind, lanes) + 2 * lanes;
    const int64_t stride = params->stride[1], extra = params->kernel[1] / stride + 2;
    run->rows = fc_min(fc_max(BAND_BYTES / (2 * item * run->pitch) - extra, 1) * stride, x->size[3]);
    run->lines = fc_min((run->rows - 1) / stride + extra, g->size[3]);
}

void fc_gather_lay_out(fc_gather_run *run, fc_arena *arena, int threads) {
    if (!run->rows)
        return;
    const size_t item = (size_t)run->kernels->itemsize;
    run->values = fc_arena_take(arena, threads, sizeof(char *));
    run->places = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *values = fc_arena_take(arena, fc_product(run->lines, run->pitch), item);
        char *places = fc_arena_take(arena, fc_product(run->lines, run->pitch), item);
        if (arena->base) {
            run->values[t] = values;
            run->places[t] = places; /* what is beside their rows stays as it is */
            memset(places, 0x80, (size_t)(run->lines * run->pitch) * item);
        }
    }
}

/* Rows [row, end) of a plane; returns how many windows found their maximum there. */
static int64_t gather_band(const fc_gather_run *run, int64_t n, int64_t c, int64_t row, int64_t end, int thread) {
    const fc_kernels *kernels = run->kernels;
    const fc_tensor *x = run->grad_input, *g = run->grad_output, *i = run->indices;
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t item = kernels->itemsize, pitch = run->pitch * item;
    const fc_span first = fc_pool_holders(&run->grid, 1, row), last = fc_pool_holders(&run->grid, 1, end - 1);
    char *values = run->values[thread] + run->front * item, *places = run->places[thread] + run->front * item;
    const int64_t lines = last.first + last.count - first.first;
    for (int64_t l = 0; l < lines; ++l) {
        const int64_t h = first.first + l;
        char *line = places + l * pitch;
        kernels->narrow_places(line, (const int64_t *)fc_plane(i, n, c, (ptrdiff_t)sizeof(int64_t)) + h * i->stride[3],
                               g->size[4]);
        memcpy(values + l * pitch, fc_plane(g, n, c, item) + h * g->stride[3] * item, (size_t)(g->size[4] * item));
    }
    fc_gather_row job = {
        .line = pitch,
        .count = x->size[4],
        .kernel = params->kernel[2],
        .before = params->padding[2][0],
    };
    int64_t found = 0;
    const int64_t stride = params->stride[1], before = params->padding[1][0];
    int64_t at = (row + before) / stride, residue = (row + before) % stride; /* the last window that may hold a row */
    for (int64_t h = row; h < end; ++h) {
        const int64_t taps = residue < params->kernel[1] ? (params->kernel[1] - residue - 1) / stride + 1 : 0;
        const int64_t low = fc_min(fc_max(at - taps + 1, 0), g->size[3]), high = fc_min(at + 1, g->size[3]);
        const fc_span held = {low, fc_max(high - low, 0)};
        if (++residue == stride) {
            residue = 0;
            ++at;
        }
        job.dst = fc_plane(x, n, c, item) + h * x->stride[3] * item;
        job.values = values + (held.first - first.first) * pitch;
        job.places = places + (held.first - first.first) * pitch;
        job.rows = held.count;
        job.place = h * x->size[4];
        found += kernels->gather_maxima(&job);
    }
    return found;
}

int fc_gather_plane(const fc_gather_run *run, int64_t plane, int thread) {
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    int64_t found = 0;
    for (int64_t row = 0; row < x->size[3]; row += run->rows)
        found +=
            gather_band(run, plane / x->size[1], plane % x->size[1], row, fc_min(row + run->rows, x->size[3]), thread);
    return found == g->size[3] * g->size[4];
}
