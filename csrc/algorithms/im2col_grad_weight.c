/* Gradient of the weights as a matrix product: grad_output times the matrix of image patches, never stored whole.
 *
 * Lanes run along (tap, input channel): for a block of output pixels, the patches of one panel of lanes are gathered
 * from the image, a register transpose where channels lie apart and pixels together. Rows of a tile are output
 * channels, broadcast from grad_output where it lies; the reduction runs over pixels, blocks of pixels and the batch in
 * that order, whatever the threads. Accumulator: the dtype itself, started anew every block of pixels.
 */
#include "algorithms/cost.h"
#include "algorithms/grad_weight.h"

#include <string.h>

enum { BLOCK_PIXELS = 256, OUT_BLOCK = 512 };

typedef struct im2col_run {
    const fc_problem *p;
    int64_t lanes, panel, panels; /* lanes: taps x input channels */
    int64_t out_block, out_blocks;
    ptrdiff_t *step_offsets, *line_offsets; /* pixels of an image row; lines of the patches */
    ptrdiff_t **pixel_offsets;
    char **patches, **sums;
} im2col_run;

static void lay_out(im2col_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const size_t item = (size_t)p->kernels->itemsize;
    run->p = p;
    run->lanes = fc_taps(p) * p->in_channels;
    run->panel = (int64_t)p->kernels->lanes * p->kernels->tile_vectors;
    run->panels = fc_ceil_div(run->lanes, run->panel);
    run->step_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
    run->line_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
    run->pixel_offsets = fc_arena_take(arena, threads, sizeof(ptrdiff_t *));
    run->patches = fc_arena_take(arena, threads, sizeof(char *));
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        ptrdiff_t *pixel_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
        char *patches = fc_arena_take(arena, BLOCK_PIXELS * run->panel, item);
        char *sums = fc_arena_take(
            arena, fc_round_up(fc_min(p->out_channels, OUT_BLOCK), p->kernels->tile_rows) * run->panel, item);
        if (arena->base) {
            run->pixel_offsets[t] = pixel_offsets;
            run->patches[t] = patches;
            run->sums[t] = sums;
        }
    }
}

size_t fc_im2col_grad_weight_scratch_bytes(const fc_problem *p, int threads) {
    im2col_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

/* Lanes [first, first + count) of a panel belong to one tap: input channels channel, channel + 1, ... */
typedef struct tap_lanes {
    int64_t tap[FC_SPATIAL], first, count, channel;
} tap_lanes;

static int64_t split_panel(const im2col_run *run, int64_t panel, int64_t at, tap_lanes *lanes) {
    const fc_problem *p = run->p;
    const int64_t lane = panel * run->panel + at;
    const int64_t end = fc_min(run->panel, run->lanes - panel * run->panel);
    if (at >= end)
        return 0;
    int64_t tap = lane / p->in_channels;
    lanes->channel = lane % p->in_channels;
    lanes->first = at;
    lanes->count = fc_min(end - at, p->in_channels - lanes->channel);
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        lanes->tap[axis] = tap % p->kernel[axis];
        tap /= p->kernel[axis];
    }
    return lanes->count;
}

/* Patches of `count` pixels of one output row, from position `at` on, into lines from `dst` on. */
static void gather_row(const im2col_run *run, int64_t n, int64_t group, int64_t panel, const int64_t at[FC_SPATIAL],
                       int64_t count, char *dst) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize, line = run->panel * item;
    const char *rows[64 * FC_MAX_TILE_VECTORS];
    tap_lanes lanes;
    for (int64_t done = 0; split_panel(run, panel, done, &lanes); done += lanes.count) {
        char *to = dst + lanes.first * item;
        int64_t begin = fc_min(fc_max(fc_valid_positions(p, 2, lanes.tap[2]).begin - at[2], 0), count);
        int64_t end = fc_max(fc_min(fc_valid_positions(p, 2, lanes.tap[2]).end - at[2], count), begin);
        const char *src = p->x.data + n * p->x.batch + group * p->x.group + lanes.channel * p->x.channel;
        for (int axis = 0; axis < FC_SPATIAL; ++axis) {
            const int64_t position = (at[axis] + (axis == 2 ? begin : 0)) * p->stride[axis] +
                                     lanes.tap[axis] * p->dilation[axis] + p->offset[axis];
            if (axis < 2 && (position < 0 || position >= p->in_size[axis]))
                end = begin = count; /* nothing of this row meets the tap */
            src += position * p->x.axis[axis];
        }
        for (int64_t m = 0; m < lanes.count; ++m)
            rows[m] = src + m * p->x.channel;
        p->kernels->gather_lanes(to, line, lanes.count, rows, 0, run->step_offsets, begin);
        p->kernels->gather_lanes(to + begin * line, line, lanes.count, rows, lanes.count, run->step_offsets,
                                 end - begin);
        p->kernels->gather_lanes(to + end * line, line, lanes.count, rows, 0, run->step_offsets, count - end);
    }
}

static void grad_weight_task(void *context, int64_t task, int thread) {
    const im2col_run *run = context;
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, line = run->panel * item;
    const int64_t out_block = task % run->out_blocks, panel = task / run->out_blocks % run->panels;
    const int64_t group = task / (run->out_blocks * run->panels);
    const int64_t k_begin = out_block * run->out_block, k_end = fc_min(k_begin + run->out_block, p->out_channels);
    const int64_t lanes = fc_min(run->panel, run->lanes - panel * run->panel);
    const int vectors = (int)fc_ceil_div(lanes, kernels->lanes);
    char *sums = run->sums[thread], *patches = run->patches[thread];
    ptrdiff_t *pixel_offsets = run->pixel_offsets[thread];
    const int64_t positions = fc_positions(p);

    memset(sums, 0, (size_t)((k_end - k_begin) * line));
    memset(patches, 0, (size_t)(BLOCK_PIXELS * line)); /* lanes past the last stay 0 */
    for (int64_t n = 0; n < p->batch; ++n)
        for (int64_t q0 = 0; q0 < positions; q0 += BLOCK_PIXELS) {
            const int64_t count = fc_min(BLOCK_PIXELS, positions - q0);
            for (int64_t q = 0; q < count;) {
                int64_t at[FC_SPATIAL];
                fc_grad_weight_position(p, q0 + q, at);
                const int64_t length = fc_min(count - q, p->out_size[2] - at[2]);
                gather_row(run, n, group, panel, at, length, patches + q * line);
                for (int64_t i = 0; i < length; ++i)
                    pixel_offsets[q + i] = at[0] * p->y.axis[0] + at[1] * p->y.axis[1] + (at[2] + i) * p->y.axis[2];
                q += length;
            }
            const char *y = p->y.data + n * p->y.batch + group * p->y.group + k_begin * p->y.channel;
            fc_run_tiles(kernels, k_end - k_begin, vectors, count, y, p->y.channel, pixel_offsets, patches,
                         run->line_offsets, sums, line, 1, NULL);
        }

    tap_lanes part;
    for (int64_t done = 0; split_panel(run, panel, done, &part); done += part.count) {
        char *dst = p->w.data + group * p->w.group + k_begin * p->w.out + part.channel * p->w.in;
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            dst += part.tap[axis] * p->w.axis[axis];
        kernels->copy_matrix((fc_matrix){dst, p->w.out, p->w.in}, (fc_matrix){sums + part.first * item, line, item},
                             k_end - k_begin, part.count);
    }
}

void fc_im2col_grad_weight(const fc_problem *p, void *scratch, int threads) {
    im2col_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    for (int64_t i = 0; i < BLOCK_PIXELS; ++i) {
        run.step_offsets[i] = i * p->stride[2] * p->x.axis[2];
        run.line_offsets[i] = i * run.panel * p->kernels->itemsize;
    }
    run.out_block =
        fc_grad_weight_block(p->out_channels, OUT_BLOCK, p->groups * run.panels, threads, p->kernels->tile_rows);
    run.out_blocks = fc_ceil_div(p->out_channels, run.out_block);
    fc_parallel(p->groups * run.panels * run.out_blocks, threads, grad_weight_task, &run);
}

double fc_im2col_grad_weight_cost(const fc_problem *p) {
    const fc_kernels *kernels = p->kernels;
    const int64_t panel = (int64_t)kernels->lanes * kernels->tile_vectors, most = kernels->tile_vectors;
    const int64_t lanes = p->in_channels * fc_taps(p), vectors = fc_ceil_div(lanes, kernels->lanes);
    const double panels = (double)fc_ceil_div(lanes, panel), pixels = (double)fc_positions(p);
    const double out = (double)p->out_channels, out_blocks = (double)fc_ceil_div(p->out_channels, OUT_BLOCK);
    const double tiles =
        (double)(fc_ceil_div(p->out_channels, kernels->tile_rows) * fc_ceil_div(fc_positions(p), BLOCK_PIXELS));
    const double taps_a_panel = fc_max(1, panel / p->in_channels);
    const double bytes = (double)p->groups * out * (double)lanes * (double)kernels->itemsize;
    double slots = (double)(vectors / most) * fc_rows_slots(p->out_channels, kernels->tile_rows, most);
    if (vectors % most)
        slots += fc_rows_slots(p->out_channels, kernels->tile_rows, vectors % most);
    const int near = p->stride[2] == 1 && !fc_channels_last(p, &p->x);
    const int far = bytes > FC_GRAD_FAR_BYTES && fc_taps(p) > 1;
    return (double)p->groups *
           (FC_COST_GRAD_SLOT * slots * pixels + FC_COST_GRAD_TILE * panels * tiles +
            (near ? FC_COST_GRAD_GATHER : FC_COST_GRAD_GATHER_SCATTERED) * pixels * (double)lanes * out_blocks +
            FC_COST_GRAD_GATHER_ROW * panels * taps_a_panel * (double)(p->out_size[0] * p->out_size[1]) * out_blocks +
            (far ? FC_COST_GRAD_STORE_TAPS + FC_COST_GRAD_STORE_FAR : FC_COST_GRAD_STORE_TAPS) * out * (double)lanes);
}
