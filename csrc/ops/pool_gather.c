/* Gradient of maxima by gathering: planes whose windows are 2 by 2 and lie apart, with rows of a vector or more.
 *
 * Where windows overlap, or rows are short, adding each gradient where its maximum was found is as fast: 9 comparisons
 * for 4 elements took 1.05 to 2.5 times as long. A plane with an index outside of its window is left to the caller, who
 * adds.
 */
#include "ops/pool_gather.h"

#include "ops/elementwise.h"

static int fits(const fc_pool_grid *grid, int axis) {
    const fc_pool_params *params = &grid->params;
    return params->kernel[axis] == 2 && params->stride[axis] == 2 && params->dilation[axis] == 1 &&
           params->padding[axis][0] == 0 && grid->out[axis] == grid->in[axis] / 2;
}

int fc_gather_supports(const fc_gather_run *run, const fc_pool_grid *grid) {
    const fc_tensor *x = run->grad_input, *g = run->grad_output, *i = run->indices;
    return x->size[2] == 1 && g->size[2] == 1 && x->stride[4] == 1 && g->stride[4] == 1 && i->stride[4] == 1 &&
           i->stride[3] == i->size[4] && fits(grid, 1) && fits(grid, 2) && g->size[4] >= run->kernels->lanes &&
           x->size[3] <= INT32_MAX / x->size[4];
}

void fc_gather_lay_out(fc_gather_run *run, fc_arena *arena) {
    if (run->on)
        run->known = fc_arena_take(arena, run->grad_input->size[0] * run->grad_input->size[1], 1);
}

static fc_windows_apart windows_of(const fc_gather_run *run, int64_t n, int64_t channel) {
    const fc_tensor *x = run->grad_input, *i = run->indices;
    return (fc_windows_apart){(const int64_t *)fc_plane(i, n, channel, sizeof(int64_t)), i->size[3], i->size[4],
                              x->size[3], x->size[4]};
}

int fc_gather_check(const fc_gather_run *run, int64_t plane) {
    const int64_t channels = run->grad_input->size[1];
    const fc_windows_apart windows = windows_of(run, plane / channels, plane % channels);
    run->known[plane] = (char)run->kernels->in_windows(&windows);
    return run->known[plane];
}

int fc_gather_write(const fc_gather_run *run, int64_t plane) {
    if (!run->known[plane])
        return 0;
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t n = plane / x->size[1], channel = plane % x->size[1];
    const fc_windows_apart windows = windows_of(run, n, channel);
    run->kernels->gather_apart(&windows, fc_plane(x, n, channel, item), x->stride[3] * item,
                               fc_plane(g, n, channel, item), g->stride[3] * item);
    return 1;
}
