/* Gradient of the weights, the image walked in place: no patches, no padding, any layout, stride and dilation.
 *
 * Lanes run along output channels: a block of pixels of grad_output is packed into lines of lanes, rows of a tile are
 * (input channel, tap) pairs, broadcast from the image where it lies. Pixels at which every tap meets the image take
 * all pairs at once; the others go tap by tap over the pixels that it meets. The reduction runs over pixels, blocks of
 * pixels and the batch in that order, whatever the threads. Accumulator: the dtype itself, started anew every block.
 */
#include "algorithms/cost.h"
#include "algorithms/grad_weight.h"

#include <string.h>

enum { BLOCK_PIXELS = 256, BLOCK_ROWS = 512 };

typedef struct direct_run {
    const fc_problem *p;
    int64_t taps, panel, panels;
    int64_t in_block, in_blocks; /* input channels of a task */
    ptrdiff_t **image_offsets, **line_offsets;
    int64_t **places; /* output position of each pixel of the block, 3 numbers a pixel */
    char **lines, **sums;
} direct_run;

static void lay_out(direct_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const size_t item = (size_t)p->kernels->itemsize;
    run->p = p;
    run->taps = fc_taps(p);
    run->panel = (int64_t)p->kernels->lanes * p->kernels->tile_vectors;
    run->panels = fc_panel_count(p->kernels, p->out_channels);
    const int64_t most = fc_max(BLOCK_ROWS / run->taps, 1);
    run->in_block = fc_grad_weight_block(p->in_channels, most, p->groups * run->panels, threads, 1);
    run->in_blocks = fc_ceil_div(p->in_channels, run->in_block);
    run->image_offsets = fc_arena_take(arena, threads, sizeof(ptrdiff_t *));
    run->line_offsets = fc_arena_take(arena, threads, sizeof(ptrdiff_t *));
    run->places = fc_arena_take(arena, threads, sizeof(int64_t *));
    run->lines = fc_arena_take(arena, threads, sizeof(char *));
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        ptrdiff_t *image_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
        ptrdiff_t *line_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
        int64_t *places = fc_arena_take(arena, BLOCK_PIXELS * FC_SPATIAL, sizeof(int64_t));
        char *lines = fc_arena_take(arena, BLOCK_PIXELS * run->panel, item);
        char *sums = fc_arena_take(arena, run->in_block * run->taps * run->panel, item);
        if (arena->base) {
            run->image_offsets[t] = image_offsets;
            run->line_offsets[t] = line_offsets;
            run->places[t] = places;
            run->lines[t] = lines;
            run->sums[t] = sums;
        }
    }
}

size_t fc_direct_grad_weight_scratch_bytes(const fc_problem *p, int threads) {
    direct_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

static void tap_of(const fc_problem *p, int64_t index, int64_t tap[FC_SPATIAL]) {
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        tap[axis] = index % p->kernel[axis];
        index /= p->kernel[axis];
    }
}

/* Pixels at which every tap [first, last] meets the image (or none does, for the complement): fills the two tables,
 * offsets for tap 0, returns the number. */
static ptrdiff_t select_pixels(const direct_run *run, int thread, int64_t count, const int64_t first[FC_SPATIAL],
                               const int64_t last[FC_SPATIAL], const uint8_t *skip, uint8_t *taken) {
    const fc_problem *p = run->p;
    const ptrdiff_t line = run->panel * p->kernels->itemsize;
    fc_range valid[FC_SPATIAL];
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        valid[axis] =
            (fc_range){fc_valid_positions(p, axis, first[axis]).begin, fc_valid_positions(p, axis, last[axis]).end};
    ptrdiff_t selected = 0;
    for (int64_t q = 0; q < count; ++q) {
        const int64_t *at = run->places[thread] + q * FC_SPATIAL;
        int meets = !(skip && skip[q]);
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            meets = meets && at[axis] >= valid[axis].begin && at[axis] < valid[axis].end;
        if (taken)
            taken[q] = (uint8_t)meets;
        if (!meets)
            continue;
        ptrdiff_t offset = 0;
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            offset += (at[axis] * p->stride[axis] + p->offset[axis]) * p->x.axis[axis];
        run->image_offsets[thread][selected] = offset;
        run->line_offsets[thread][selected++] = q * line;
    }
    return selected;
}

typedef struct task_place {
    int64_t group, panel, channel, channels;
    int vectors;
} task_place;

/* Adds the products of one packed block of pixels of image n. */
static void add_block(const direct_run *run, const task_place *place, int64_t n, int64_t count, int thread) {
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t line = run->panel * kernels->itemsize;
    const char *image = p->x.data + n * p->x.batch + place->group * p->x.group + place->channel * p->x.channel;
    uint8_t everywhere[BLOCK_PIXELS];
    int64_t tap[FC_SPATIAL] = {0, 0, 0};
    const int64_t last[FC_SPATIAL] = {p->kernel[0] - 1, p->kernel[1] - 1, p->kernel[2] - 1};
    const char *rows[FC_MAX_TILE_ROWS];
    ptrdiff_t terms = select_pixels(run, thread, count, tap, last, NULL, everywhere);
    const int64_t pairs = place->channels * run->taps;
    int64_t c = 0, index = 0;
    for (int64_t r = 0; terms > 0 && r < pairs; r += kernels->tile_rows) {
        const int64_t row_count = fc_min(kernels->tile_rows, pairs - r);
        for (int64_t m = 0; m < row_count; ++m) {
            tap_of(p, index, tap);
            rows[m] = image + c * p->x.channel;
            for (int axis = 0; axis < FC_SPATIAL; ++axis)
                rows[m] += tap[axis] * p->dilation[axis] * p->x.axis[axis];
            if (++index == run->taps) {
                index = 0;
                ++c;
            }
        }
        kernels->gemm_tile[row_count - 1][place->vectors - 1](terms, rows, run->image_offsets[thread],
                                                              run->lines[thread], run->line_offsets[thread],
                                                              run->sums[thread] + r * line, line, 1, NULL);
    }
    if (terms == count)
        return;
    for (index = 0; index < run->taps; ++index) {
        tap_of(p, index, tap);
        terms = select_pixels(run, thread, count, tap, tap, everywhere, NULL);
        const char *start = image;
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            start += tap[axis] * p->dilation[axis] * p->x.axis[axis];
        for (c = 0; terms > 0 && c < place->channels; c += kernels->tile_rows) {
            const int64_t row_count = fc_min(kernels->tile_rows, place->channels - c);
            for (int64_t m = 0; m < row_count; ++m)
                rows[m] = start + (c + m) * p->x.channel;
            kernels->gemm_tile[row_count - 1][place->vectors - 1](
                terms, rows, run->image_offsets[thread], run->lines[thread], run->line_offsets[thread],
                run->sums[thread] + (c * run->taps + index) * line, run->taps * line, 1, NULL);
        }
    }
}

static void pack_block(const direct_run *run, const task_place *place, int64_t n, int64_t q0, int64_t count,
                       int thread) {
    const fc_problem *p = run->p;
    const fc_range out = fc_panel_lanes(p->kernels, p->out_channels, place->panel);
    const int64_t first = out.begin, channels = out.end - first;
    const char *rows[64 * FC_MAX_TILE_VECTORS];
    for (int64_t k = 0; k < channels; ++k)
        rows[k] = p->y.data + n * p->y.batch + place->group * p->y.group + (first + k) * p->y.channel;
    int64_t at[FC_SPATIAL];
    fc_grad_weight_position(p, q0, at);
    for (int64_t q = 0; q < count; ++q) {
        memcpy(run->places[thread] + q * FC_SPATIAL, at, sizeof at);
        run->image_offsets[thread][q] = at[0] * p->y.axis[0] + at[1] * p->y.axis[1] + at[2] * p->y.axis[2];
        for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
            if (++at[axis] < p->out_size[axis])
                break;
            at[axis] = 0;
        }
    }
    p->kernels->gather_lanes(run->lines[thread], run->panel * p->kernels->itemsize,
                             (int64_t)place->vectors * p->kernels->lanes, rows, channels, run->image_offsets[thread],
                             count);
}

/* One transpose where pairs lie one after the other, else a row of taps at a time. */
void fc_store_pairs(const fc_problem *p, char *filters, int64_t channels, int64_t outputs, char *sums, ptrdiff_t line) {
    const ptrdiff_t item = p->kernels->itemsize;
    ptrdiff_t dense = item;
    int contiguous = 1;
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        contiguous = contiguous && (p->kernel[axis] == 1 || p->w.axis[axis] == dense);
        dense *= p->kernel[axis];
    }
    if (contiguous && (channels == 1 || p->w.in == dense)) {
        p->kernels->copy_matrix((fc_matrix){filters, item, p->w.out}, (fc_matrix){sums, line, item},
                                channels * fc_taps(p), outputs);
        return;
    }
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t d = 0; d < p->kernel[0]; ++d)
            for (int64_t h = 0; h < p->kernel[1]; ++h, sums += p->kernel[2] * line) {
                char *dst = filters + c * p->w.in + d * p->w.axis[0] + h * p->w.axis[1];
                p->kernels->copy_matrix((fc_matrix){dst, p->w.axis[2], p->w.out}, (fc_matrix){sums, line, item},
                                        p->kernel[2], outputs);
            }
}

static void grad_weight_task(void *context, int64_t task, int thread) {
    const direct_run *run = context;
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize, line = run->panel * item;
    task_place place = {.panel = task / run->in_blocks % run->panels, .group = task / (run->in_blocks * run->panels)};
    place.channel = task % run->in_blocks * run->in_block;
    place.channels = fc_min(run->in_block, p->in_channels - place.channel);
    const fc_range out = fc_panel_lanes(p->kernels, p->out_channels, place.panel);
    place.vectors = (int)fc_ceil_div(out.end - out.begin, p->kernels->lanes);

    const int64_t positions = fc_positions(p);
    char *sums = run->sums[thread];
    memset(sums, 0, (size_t)(place.channels * run->taps * line));
    for (int64_t n = 0; n < p->batch; ++n)
        for (int64_t q = 0; q < positions; q += BLOCK_PIXELS) {
            const int64_t count = fc_min(BLOCK_PIXELS, positions - q);
            pack_block(run, &place, n, q, count, thread);
            add_block(run, &place, n, count, thread);
        }
    fc_store_pairs(p, p->w.data + place.group * p->w.group + out.begin * p->w.out + place.channel * p->w.in,
                   place.channels, out.end - out.begin, sums, line);
}

void fc_direct_grad_weight(const fc_problem *p, void *scratch, int threads) {
    direct_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    fc_parallel(p->groups * run.panels * run.in_blocks, threads, grad_weight_task, &run);
}

double fc_direct_grad_weight_cost(const fc_problem *p) {
    double met = 1;
    int edges = 0; /* whether some pixels go tap by tap */
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const fc_axis_counts counts = fc_count_axis(p, axis);
        met *= counts.met;
        edges |= counts.segments > 1;
    }
    const double taps = (double)fc_taps(p), pixels = (double)fc_positions(p), in = (double)p->in_channels;
    const double out = (double)p->out_channels, blocks = (double)fc_ceil_div(fc_positions(p), BLOCK_PIXELS);
    const double in_blocks = (double)fc_ceil_div(p->in_channels, fc_max(BLOCK_ROWS / fc_taps(p), 1));
    const double panels = (double)fc_panel_count(p->kernels, p->out_channels);
    double slot = FC_COST_GRAD_SLOT;
    if (!fc_channels_last(p, &p->x))
        slot += p->stride[2] > 1 ? FC_COST_GRAD_STRIDED / (double)p->kernel[2] : FC_COST_GRAD_PAGES / taps;
    return (double)p->groups *
           (slot * fc_row_slots(p, p->out_channels) * in * met +
            FC_COST_GRAD_TILE * panels * blocks * in * taps / p->kernels->tile_rows * (edges ? 2 : 1) +
            FC_COST_GRAD_PIXEL * panels * in_blocks * pixels * (edges ? 1 + taps : 1) +
            (fc_channels_last(p, &p->y) ? FC_COST_GRAD_PACK_LAST : FC_COST_GRAD_PACK) * pixels * out * in_blocks +
            FC_COST_GRAD_STORE * in * taps * out + FC_COST_GRAD_BLOCK * panels * in_blocks * blocks);
}
