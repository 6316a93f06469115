/* Gradient of the weights as a matrix product: grad_output times the matrix of image patches, never stored whole.
 *
 * Lanes run along (tap, input channel): for a block of output pixels, the patches of one panel of lanes are gathered
 * from the image, a register transpose where channels lie apart and pixels together. Where channels are few, lanes are
 * ordered as their elements lie in the image, and whole runs of them are copied. Rows of a tile are output
 * channels, broadcast from grad_output where it lies; the reduction runs over pixels, blocks of pixels and the batch in
 * that order, whatever the threads. Accumulator: the dtype itself, started anew every block of pixels.
 */
#include "algorithms/cost.h"
#include "algorithms/grad_weight.h"

#include <string.h>

enum { BLOCK_PIXELS = 256, OUT_BLOCK = 512, FEW_CHANNELS = 16 };

/* Lanes [first, first + count) of a panel: input channels from `channel` on of one tap, or what follows them as a run. */
typedef struct tap_lanes {
    int64_t tap[FC_SPATIAL], first, count, channel;
    ptrdiff_t offset; /* of the element that the first one meets at output position 0, in the image of a group */
    fc_range met;     /* columns of outputs at which all of them meet the image */
} tap_lanes;

typedef struct im2col_run {
    const fc_problem *p;
    int64_t lanes, panel, panels; /* lanes: taps x input channels */
    ptrdiff_t line;               /* bytes of a panel, with room behind it for what a run copies too many */
    int runs, channels_inside;    /* elements of neighbouring lanes are copied together; channels are the inner ones */
    const char *end;              /* of the input */
    int64_t out_block, out_blocks;
    ptrdiff_t *step_offsets, *line_offsets; /* pixels of an image row; lines of the patches */
    ptrdiff_t **pixel_offsets;
    char **patches, **sums;
    tap_lanes **parts; /* of the panel that a thread works on */
} im2col_run;

/* Whether lanes can be ordered so that some of them in a row lie in a row in the image. */
static int has_runs(const fc_problem *p) {
    const ptrdiff_t item = p->kernels->itemsize;
    int forwards = p->x.batch >= 0 && p->x.group >= 0 && p->x.channel >= 0;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        forwards = forwards && p->x.axis[axis] >= 0;
    if (!forwards || p->in_channels >= FEW_CHANNELS || p->dilation[2] != 1 || p->kernel[2] < 2)
        return 0;
    return p->x.axis[2] == item || (p->x.channel == item && p->x.axis[2] == p->in_channels * item);
}

/* Where the input ends in memory; strides are not negative. */
static const char *end_of(const fc_problem *p) {
    const char *end = p->x.data + (p->batch - 1) * p->x.batch + (p->groups - 1) * p->x.group +
                      (p->in_channels - 1) * p->x.channel + p->kernels->itemsize;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        end += (p->in_size[axis] - 1) * p->x.axis[axis];
    return end;
}

static void lay_out(im2col_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const size_t item = (size_t)p->kernels->itemsize;
    run->p = p;
    run->lanes = fc_taps(p) * p->in_channels;
    run->panel = (int64_t)p->kernels->lanes * p->kernels->tile_vectors;
    run->panels = fc_panel_count(p->kernels, run->lanes);
    run->runs = has_runs(p);
    run->channels_inside = !run->runs || p->x.axis[2] != p->kernels->itemsize;
    run->line = (run->panel + (run->runs ? p->kernels->lanes : 0)) * p->kernels->itemsize;
    run->step_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
    run->line_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
    run->pixel_offsets = fc_arena_take(arena, threads, sizeof(ptrdiff_t *));
    run->patches = fc_arena_take(arena, threads, sizeof(char *));
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    run->parts = fc_arena_take(arena, threads, sizeof(tap_lanes *));
    for (int t = 0; t < threads; ++t) {
        ptrdiff_t *pixel_offsets = fc_arena_take(arena, BLOCK_PIXELS, sizeof(ptrdiff_t));
        char *patches = fc_arena_take(arena, BLOCK_PIXELS, (size_t)run->line);
        char *sums = fc_arena_take(
            arena, fc_round_up(fc_min(p->out_channels, OUT_BLOCK), p->kernels->tile_rows) * run->panel, item);
        tap_lanes *parts = fc_arena_take(arena, fc_min(run->panel, run->lanes), sizeof(tap_lanes));
        if (arena->base) {
            run->parts[t] = parts;
            run->pixel_offsets[t] = pixel_offsets;
            run->patches[t] = patches;
            run->sums[t] = sums;
        }
    }
}

static double gathered_cost(const fc_problem *p);

/* Whether dot products along pixels are faster (im2col_grad_dots.c). */
static int by_dots(const fc_problem *p) { return fc_grad_dots_support(p) && fc_grad_dots_cost(p) < gathered_cost(p); }

size_t fc_im2col_grad_weight_scratch_bytes(const fc_problem *p, int threads) {
    if (by_dots(p))
        return fc_grad_dots_scratch_bytes(p, threads);
    im2col_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

/* Column of the tap of the i-th lane of a run, and its channel. */
static int64_t column_of(const im2col_run *run, const tap_lanes *lanes, int64_t i, int64_t *channel) {
    const int64_t inside = run->channels_inside ? run->p->in_channels : 1, at = lanes->channel % inside + i;
    *channel = run->channels_inside ? at % inside : lanes->channel;
    return lanes->tap[2] + at / inside;
}

/* The parts of a panel; returns their number. */
static int64_t split_panel(const im2col_run *run, int64_t panel, tap_lanes *parts) {
    const fc_problem *p = run->p;
    const fc_range all = fc_panel_lanes(p->kernels, run->lanes, panel);
    const int64_t taps = fc_taps(p);
    int64_t count = 0;
    for (int64_t lane = all.begin; lane < all.end; lane += parts[count++].count) {
        tap_lanes *part = &parts[count];
        int64_t tap = run->channels_inside ? lane / p->in_channels : lane % taps, channel;
        part->channel = run->channels_inside ? lane % p->in_channels : lane / taps;
        part->first = lane - all.begin;
        part->offset = part->channel * p->x.channel;
        for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
            part->tap[axis] = tap % p->kernel[axis];
            part->offset += (part->tap[axis] * p->dilation[axis] + p->offset[axis]) * p->x.axis[axis];
            tap /= p->kernel[axis];
        }
        const int64_t columns = p->kernel[2] - part->tap[2];
        const int64_t together = !run->runs             ? p->in_channels - part->channel
                                 : run->channels_inside ? columns * p->in_channels - part->channel
                                                        : columns;
        part->count = fc_min(all.end - lane, together);
        const int64_t last = column_of(run, part, part->count - 1, &channel);
        part->met = (fc_range){fc_valid_positions(p, 2, part->tap[2]).begin, fc_valid_positions(p, 2, last).end};
    }
    return count;
}

/* A run of lanes of `count` pixels of one output row; src: the first lane's element of the first of them. */
static void copy_runs(const im2col_run *run, const tap_lanes *lanes, const char *src, int64_t first, int64_t count,
                      char *dst) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize, step = p->stride[2] * p->x.axis[2];
    const ptrdiff_t bytes = fc_round_up(lanes->count, p->kernels->lanes) * item;
    const int64_t begin = fc_min(fc_max(lanes->met.begin - first, 0), count);
    int64_t channel, end = fc_max(fc_min(lanes->met.end - first, count), begin);
    while (end > begin && src + (end - 1) * step + bytes > run->end)
        --end;
    p->kernels->copy_runs(dst + begin * run->line, run->line, src + begin * step, step, end - begin, lanes->count);
    for (int64_t q = 0; q < count; q = q + 1 == begin ? fc_max(end, begin) : q + 1) {
        if (q >= begin && q < end) { /* there is nothing in front */
            q = end - 1;
            continue;
        }
        for (int64_t i = 0; i < lanes->count; ++i) {
            const int64_t column = (first + q) * p->stride[2] + column_of(run, lanes, i, &channel) + p->offset[2];
            char *to = dst + q * run->line + i * item;
            if (column < 0 || column >= p->in_size[2])
                memset(to, 0, (size_t)item);
            else
                memcpy(to, src + q * step + i * item, (size_t)item);
        }
    }
}

/* Patches of `count` pixels of one output row, from position `at` on, into lines from `dst` on. */
static void gather_row(const im2col_run *run, const char *image, const tap_lanes *parts, int64_t part_count,
                       const int64_t at[FC_SPATIAL], int64_t count, char *dst) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize, line = run->line;
    const char *rows[64 * FC_MAX_TILE_VECTORS];
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        image += at[axis] * p->stride[axis] * p->x.axis[axis];
    for (int64_t i = 0; i < part_count; ++i) {
        const tap_lanes *lanes = &parts[i];
        char *to = dst + lanes->first * item;
        const char *src = image + lanes->offset;
        int met = 1;
        for (int axis = 0; axis < 2; ++axis) {
            const int64_t position =
                at[axis] * p->stride[axis] + lanes->tap[axis] * p->dilation[axis] + p->offset[axis];
            met = met && position >= 0 && position < p->in_size[axis];
        }
        if (met && run->runs) {
            copy_runs(run, lanes, src, at[2], count, to);
            continue;
        }
        int64_t begin = fc_min(fc_max(lanes->met.begin - at[2], 0), count);
        int64_t end = fc_max(fc_min(lanes->met.end - at[2], count), begin);
        if (!met) /* nothing of this row meets the tap */
            end = begin = count;
        src += begin * p->stride[2] * p->x.axis[2];
        for (int64_t m = 0; m < lanes->count; ++m)
            rows[m] = src + m * p->x.channel;
        p->kernels->gather_lanes(to, line, lanes->count, rows, 0, run->step_offsets, begin);
        p->kernels->gather_lanes(to + begin * line, line, lanes->count, rows, lanes->count, run->step_offsets,
                                 end - begin);
        p->kernels->gather_lanes(to + end * line, line, lanes->count, rows, 0, run->step_offsets, count - end);
    }
}

/* Whether the lanes of a panel lie in a row in the weights: then these hold the sums. */
static int lies_in_weights(const im2col_run *run, int64_t panel) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    ptrdiff_t step = item;
    int dense = fc_panel_lanes(p->kernels, run->lanes, panel).end % p->kernels->lanes == 0;
    if (run->channels_inside)
        return dense && fc_taps(p) == 1 && p->w.in == item;
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        dense = dense && (p->kernel[axis] == 1 || p->w.axis[axis] == step);
        step *= p->kernel[axis];
    }
    return dense && (p->in_channels == 1 || p->w.in == step);
}

static void grad_weight_task(void *context, int64_t task, int thread) {
    const im2col_run *run = context;
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, line = run->line;
    const int64_t out_block = task % run->out_blocks, panel = task / run->out_blocks % run->panels;
    const int64_t group = task / (run->out_blocks * run->panels);
    const int64_t k_begin = out_block * run->out_block, k_end = fc_min(k_begin + run->out_block, p->out_channels);
    const fc_range all = fc_panel_lanes(kernels, run->lanes, panel);
    const int64_t lanes = all.end - all.begin;
    const int vectors = (int)fc_ceil_div(lanes, kernels->lanes);
    char *patches = run->patches[thread], *sums = run->sums[thread];
    ptrdiff_t sums_line = run->panel * item;
    const int in_place = lies_in_weights(run, panel);
    if (in_place) {
        sums = p->w.data + group * p->w.group + k_begin * p->w.out + all.begin * item;
        sums_line = p->w.out;
    }
    ptrdiff_t *pixel_offsets = run->pixel_offsets[thread];
    tap_lanes *parts = run->parts[thread];
    const int64_t positions = fc_positions(p), part_count = split_panel(run, panel, parts);

    if (lanes % kernels->lanes) /* those past the last stay 0 */
        memset(patches, 0, (size_t)(BLOCK_PIXELS * line));
    for (int64_t n = 0; n < p->batch; ++n)
        for (int64_t q0 = 0; q0 < positions; q0 += BLOCK_PIXELS) {
            const int64_t count = fc_min(BLOCK_PIXELS, positions - q0);
            for (int64_t q = 0; q < count;) {
                int64_t at[FC_SPATIAL];
                fc_grad_weight_position(p, q0 + q, at);
                const int64_t length = fc_min(count - q, p->out_size[2] - at[2]);
                gather_row(run, p->x.data + n * p->x.batch + group * p->x.group, parts, part_count, at, length,
                           patches + q * line);
                for (int64_t i = 0; i < length; ++i)
                    pixel_offsets[q + i] = at[0] * p->y.axis[0] + at[1] * p->y.axis[1] + (at[2] + i) * p->y.axis[2];
                q += length;
            }
            const char *y = p->y.data + n * p->y.batch + group * p->y.group + k_begin * p->y.channel;
            fc_run_tiles(kernels, k_end - k_begin, vectors, count, y, p->y.channel, pixel_offsets, patches,
                         run->line_offsets, sums, sums_line, n > 0 || q0 > 0, NULL);
        }

    for (const tap_lanes *part = parts; !in_place && part < parts + part_count; ++part)
        for (int64_t i = 0, count; i < part->count; i += count) { /* lanes of one tap, or of one channel */
            int64_t channel;
            const int64_t column = column_of(run, part, i, &channel);
            count = run->channels_inside ? fc_min(part->count - i, p->in_channels - channel) : part->count;
            char *dst = p->w.data + group * p->w.group + k_begin * p->w.out + channel * p->w.in +
                        part->tap[0] * p->w.axis[0] + part->tap[1] * p->w.axis[1] + column * p->w.axis[2];
            kernels->copy_matrix((fc_matrix){dst, p->w.out, run->channels_inside ? p->w.in : p->w.axis[2]},
                                 (fc_matrix){sums + (part->first + i) * item, sums_line, item}, k_end - k_begin, count);
        }
}

void fc_im2col_grad_weight(const fc_problem *p, void *scratch, int threads) {
    im2col_run run;
    if (p->batch == 0) {
        fc_clear_weights(p);
        return;
    }
    if (by_dots(p)) {
        fc_grad_dots(p, scratch, threads);
        return;
    }
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    run.end = run.runs ? end_of(p) : NULL;
    for (int64_t i = 0; i < BLOCK_PIXELS; ++i) {
        run.step_offsets[i] = i * p->stride[2] * p->x.axis[2];
        run.line_offsets[i] = i * run.line;
    }
    run.out_block =
        fc_grad_weight_block(p->out_channels, OUT_BLOCK, p->groups * run.panels, threads, p->kernels->tile_rows);
    run.out_blocks = fc_ceil_div(p->out_channels, run.out_block);
    fc_parallel(p->groups * run.panels * run.out_blocks, threads, grad_weight_task, &run);
}

static double gathered_cost(const fc_problem *p) {
    const fc_kernels *kernels = p->kernels;
    const int64_t panel = (int64_t)kernels->lanes * kernels->tile_vectors, most = kernels->tile_vectors;
    const int64_t lanes = p->in_channels * fc_taps(p), vectors = fc_ceil_div(lanes, kernels->lanes);
    const double panels = (double)fc_panel_count(kernels, lanes), pixels = (double)fc_positions(p);
    const double out = (double)p->out_channels, out_blocks = (double)fc_ceil_div(p->out_channels, OUT_BLOCK);
    const double tiles =
        (double)(fc_ceil_div(p->out_channels, kernels->tile_rows) * fc_ceil_div(fc_positions(p), BLOCK_PIXELS));
    const double taps_a_panel = fc_max(1, panel / p->in_channels);
    const double bytes = (double)p->groups * out * (double)lanes * (double)kernels->itemsize;
    double slots = (double)(vectors / most) * fc_rows_slots(p->out_channels, kernels->tile_rows, most);
    if (vectors % most)
        slots += fc_rows_slots(p->out_channels, kernels->tile_rows, vectors % most);
    const int last = fc_channels_last(p, &p->x);
    const double gather = has_runs(p) || (last && p->in_channels >= kernels->lanes) ? FC_COST_GRAD_GATHER_RUNS
                          : p->stride[2] == 1 && !last                              ? FC_COST_GRAD_GATHER
                                                                                    : FC_COST_GRAD_GATHER_SCATTERED;
    const int far = bytes > FC_GRAD_FAR_BYTES && fc_taps(p) > 1;
    const int in_place = fc_taps(p) == 1 && p->w.in == kernels->itemsize && lanes % kernels->lanes == 0;
    const double store = in_place ? FC_COST_GRAD_STORE_IN_PLACE
                         : far    ? FC_COST_GRAD_STORE_TAPS + FC_COST_GRAD_STORE_FAR
                                  : FC_COST_GRAD_STORE_TAPS;
    return (double)p->groups *
           (FC_COST_GRAD_SLOT * slots * pixels + FC_COST_GRAD_TILE * panels * tiles +
            gather * pixels * (double)lanes * out_blocks +
            FC_COST_GRAD_GATHER_ROW * panels * taps_a_panel * (double)(p->out_size[0] * p->out_size[1]) * out_blocks +
            store * out * (double)lanes);
}

double fc_im2col_grad_weight_cost(const fc_problem *p) { return by_dots(p) ? fc_grad_dots_cost(p) : gathered_cost(p); }
