/* Direct convolution, forward: the image is walked in place, never copied, in any layout, stride and dilation.
 *
 * Lanes run along output channels: weights are packed once into lines of lanes (out channels of a panel, for every
 * input channel and tap), rows of a tile are output pixels, and what the tile broadcasts is read from the image where
 * it lies. Output pixels are grouped into zones that share their set of valid taps, so padding is neither stored nor
 * multiplied and no load can leave the image. With channels last the sums of a tile lie where it computes them; else
 * those of one chunk of pixels stay in L2 until they are whole and are then transposed into the caller's layout.
 * Accumulator: the dtype itself, started anew every block of about REDUCTION terms.
 */
#include "algorithms/algorithm.h"
#include "algorithms/cost.h"
#include "algorithms/grad_weight.h"

#include <string.h>

enum { REDUCTION = 128, CHUNK_TILES = 12 }; /* 128: the pages of that many channels fit the first-level TLB */

typedef struct zone {
    const fc_segment *segment[FC_SPATIAL];
    int64_t pixels, first_chunk;
} zone;

enum { MOST_PIXELS = CHUNK_TILES * FC_MAX_TILE_ROWS }; /* of a chunk */

/* Where a thread works, kept from one task to the next: all panels of a chunk share it. */
typedef struct workplace {
    const zone
        *zone; /* whose taps the tables of offsets hold, the weights' for lines of `line` bytes; NULL: none yet */
    ptrdiff_t line;
    int64_t zone_taps;
    ptrdiff_t *image_offsets[2], *weight_offsets[2]; /* of a block of input channels, and of the last one */
    int64_t chunk; /* whose pixels the next hold, from the first element of an image on */
    ptrdiff_t inputs[MOST_PIXELS], outputs[MOST_PIXELS];
    int even_until[MOST_PIXELS]; /* from each pixel on, those up to this one are equally spaced, in both */
    char *sums;
} workplace;

typedef struct direct_run {
    const fc_problem *p;
    const char *packed;
    char *own;                                  /* room to pack weights in, where the caller has none */
    int64_t taps, panel, panels, chunk, chunks; /* panel: lanes of a full one; chunk: pixels; chunks of an image */
    int64_t block;                              /* input channels of one reduction block */
    int panels_first; /* all panels of a chunk after one another: the weights stay in cache, else the image does */
    int64_t zone_count;
    zone *zones;
    fc_segment *segments[FC_SPATIAL];
    workplace *workplaces; /* a thread each */
    char *bias;            /* of all groups, in whole vectors */
} direct_run;

static fc_range panel_channels(const fc_problem *p, int64_t panel) {
    return fc_panel_lanes(p->kernels, p->out_channels, panel);
}

/* Lanes of a panel as packed: whole vectors. */
static int64_t packed_lanes(const fc_problem *p, int64_t panel) {
    const fc_range channels = panel_channels(p, panel);
    return fc_round_up(channels.end - channels.begin, p->kernels->lanes);
}

static int64_t group_lanes(const fc_problem *p) { return fc_round_up(p->out_channels, p->kernels->lanes); }

static size_t packed_bytes(const fc_problem *p) {
    return (size_t)(p->groups * group_lanes(p) * p->in_channels * fc_taps(p) * p->kernels->itemsize);
}

typedef struct pack_run {
    const fc_problem *p;
    char *packed;
    int64_t panels;
} pack_run;

/* One input channel of one panel. The table of tap offsets is short enough to be made on the stack, a run at a time. */
static void pack_task(void *context, int64_t task, int thread) {
    (void)thread;
    const pack_run *run = context;
    const fc_problem *p = run->p;
    const int64_t panel = task % run->panels, group = task / run->panels;
    const fc_range channels = panel_channels(p, panel);
    const int64_t lanes = packed_lanes(p, panel), first = channels.begin, rows = channels.end - first;
    const ptrdiff_t line = lanes * p->kernels->itemsize;
    char *dst = run->packed + (group * group_lanes(p) + first) * p->in_channels * fc_taps(p) * p->kernels->itemsize;
    enum { RUN = 256, MOST_ROWS = 64 * FC_MAX_TILE_VECTORS };
    const char *sources[MOST_ROWS];
    ptrdiff_t offsets[RUN];
    for (int64_t k = 0; k < rows; ++k)
        sources[k] = p->w.data + group * p->w.group + (first + k) * p->w.out;
    ptrdiff_t held = 0;
    for (int64_t c = 0; c < p->in_channels; ++c)
        for (int64_t d = 0; d < p->kernel[0]; ++d)
            for (int64_t h = 0; h < p->kernel[1]; ++h)
                for (int64_t w = 0; w < p->kernel[2]; ++w) {
                    offsets[held++] = c * p->w.in + d * p->w.axis[0] + h * p->w.axis[1] + w * p->w.axis[2];
                    if (held == RUN) {
                        p->kernels->gather_lanes(dst, line, lanes, sources, rows, offsets, held);
                        dst += held * line;
                        held = 0;
                    }
                }
    p->kernels->gather_lanes(dst, line, lanes, sources, rows, offsets, held);
}

static void pack_weights(const fc_problem *p, void *packed, int threads) {
    pack_run run = {p, packed, fc_panel_count(p->kernels, p->out_channels)};
    fc_parallel(p->groups * run.panels, threads, pack_task, &run);
}

typedef struct phases_run {
    const fc_problem *phases;
    char *const *packed;
    const char *origin; /* that offsets are from */
    int64_t panels, taps;
    struct tap {
        ptrdiff_t offset;
        int64_t phase, index;
    } tap[FC_PHASE_TAPS]; /* in the order of memory */
} phases_run;

/* One panel of all phases. */
static void pack_phases_task(void *context, int64_t task, int thread) {
    (void)thread;
    enum { LINE_BYTES = 64 * FC_MAX_TILE_VECTORS };
    const phases_run *run = context;
    const fc_problem *p = run->phases;
    const int64_t panel = task % run->panels, group = task / run->panels;
    const fc_range channels = panel_channels(p, panel);
    const int64_t lanes = packed_lanes(p, panel), rows = channels.end - channels.begin;
    const int64_t first_line = (group * group_lanes(p) + channels.begin) * p->kernels->itemsize;
    const ptrdiff_t line = lanes * p->kernels->itemsize;
    const char *sources[LINE_BYTES];
    char lines[FC_PHASE_TAPS * LINE_BYTES];
    ptrdiff_t offsets[FC_PHASE_TAPS];
    for (int64_t k = 0; k < rows; ++k)
        sources[k] = run->origin + group * p->w.group + (channels.begin + k) * p->w.out;
    for (int64_t c = 0, together; c < p->in_channels; c += together) {
        together = fc_min(FC_PHASE_TAPS / run->taps, p->in_channels - c);
        for (int64_t i = 0; i < together * run->taps; ++i)
            offsets[i] = (c + i / run->taps) * p->w.in + run->tap[i % run->taps].offset;
        p->kernels->gather_lanes(lines, line, lanes, sources, rows, offsets, together * run->taps);
        for (int64_t i = 0; i < together * run->taps; ++i) {
            const struct tap *tap = &run->tap[i % run->taps];
            const int64_t taps = fc_taps(&run->phases[tap->phase]);
            char *dst = run->packed[tap->phase] + first_line * p->in_channels * taps;
            memcpy(dst + ((c + i / run->taps) * taps + tap->index) * line, lines + i * line, (size_t)line);
        }
    }
}

void fc_direct_pack_phases(const fc_problem *phases, char *const *packed, int count, int threads) {
    phases_run run = {phases, packed, NULL, fc_panel_count(phases->kernels, phases->out_channels), 0, {{0}}};
    const char *origin = phases->w.data;
    for (int64_t i = 0; i < count; ++i) {
        const fc_problem *p = &phases[i];
        for (int64_t t = 0; t < fc_taps(p); ++t) {
            const int64_t w = t % p->kernel[2], h = t / p->kernel[2] % p->kernel[1];
            const struct tap tap = {p->w.data - origin + w * p->w.axis[2] + h * p->w.axis[1] +
                                        t / p->kernel[2] / p->kernel[1] * p->w.axis[0],
                                    i, t};
            int64_t at = run.taps++;
            for (; at > 0 && run.tap[at - 1].offset > tap.offset; --at)
                run.tap[at] = run.tap[at - 1];
            run.tap[at] = tap;
        }
    }
    run.origin = origin;
    fc_parallel(phases->groups * run.panels, threads, pack_phases_task, &run);
}

static void lay_out(direct_run *run, fc_arena *arena, const fc_problem *p, const void *packed, int threads) {
    run->p = p;
    run->packed = packed;
    run->own = fc_arena_take(arena, packed ? 0 : (int64_t)packed_bytes(p), 1);
    run->taps = fc_taps(p);
    run->panel = (int64_t)p->kernels->lanes * p->kernels->tile_vectors;
    run->panels = fc_panel_count(p->kernels, p->out_channels);
    run->chunk = (int64_t)CHUNK_TILES * p->kernels->tile_rows;
    run->panels_first = group_lanes(p) * run->taps <= p->in_size[0] * p->in_size[1] * p->in_size[2];
    run->block = fc_channel_block(p->in_channels, run->taps, REDUCTION);
    int64_t zones = 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        run->segments[axis] = fc_arena_take(arena, fc_segment_bound(p, axis), sizeof(fc_segment));
        zones *= fc_segment_bound(p, axis);
    }
    run->zones = fc_arena_take(arena, zones, sizeof(zone));
    run->workplaces = fc_arena_take(arena, threads, sizeof(workplace));
    run->bias = fc_arena_take(arena, p->finish.bias ? p->groups * group_lanes(p) : 0, (size_t)p->kernels->itemsize);
    for (int t = 0; t < threads; ++t) {
        ptrdiff_t *offsets[4];
        for (int i = 0; i < 4; ++i)
            offsets[i] = fc_arena_take(arena, run->block * run->taps, sizeof(ptrdiff_t));
        char *sums = fc_arena_take(arena, run->chunk * run->panel, (size_t)p->kernels->itemsize);
        if (!arena->base)
            continue;
        workplace *w = &run->workplaces[t];
        w->zone = NULL;
        w->chunk = -1;
        for (int i = 0; i < 2; ++i) {
            w->image_offsets[i] = offsets[i];
            w->weight_offsets[i] = offsets[2 + i];
        }
        w->sums = sums;
    }
}

static size_t forward_scratch_bytes(const fc_problem *p, const void *packed, int threads) {
    direct_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, packed, threads);
    return arena.used;
}

static void find_zones(direct_run *run) {
    int64_t count[FC_SPATIAL];
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        count[axis] = fc_segments(run->p, axis, run->segments[axis]);
    run->zone_count = run->chunks = 0;
    for (int64_t d = 0; d < count[0]; ++d)
        for (int64_t h = 0; h < count[1]; ++h)
            for (int64_t w = 0; w < count[2]; ++w) {
                zone *z = &run->zones[run->zone_count++];
                const int64_t at[FC_SPATIAL] = {d, h, w};
                z->pixels = 1;
                for (int axis = 0; axis < FC_SPATIAL; ++axis) {
                    z->segment[axis] = &run->segments[axis][at[axis]];
                    z->pixels *= z->segment[axis]->positions.end - z->segment[axis]->positions.begin;
                }
                z->first_chunk = run->chunks;
                run->chunks += fc_ceil_div(z->pixels, run->chunk);
            }
}

static const zone *zone_of(const direct_run *run, int64_t chunk) {
    int64_t low = 0, high = run->zone_count - 1;
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (run->zones[middle].first_chunk <= chunk)
            low = middle;
        else
            high = middle - 1;
    }
    return &run->zones[low];
}

static int64_t width(const zone *z, int axis) {
    return z->segment[axis]->positions.end - z->segment[axis]->positions.begin;
}

/* Output position of pixel q of a zone, row-major in its box. */
static void position_of(const zone *z, int64_t q, int64_t at[FC_SPATIAL]) {
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        at[axis] = z->segment[axis]->positions.begin + q % width(z, axis);
        q /= width(z, axis);
    }
}

/* Runs of pixels go along the last axis on which the zone is wider than a pixel. */
static int run_axis(const zone *z) {
    int along = FC_SPATIAL - 1;
    while (along > 0 && width(z, along) == 1)
        --along;
    return along;
}

/* From a position on the first run to the begin of the next. */
static void next_run(const zone *z, int along, int64_t at[FC_SPATIAL]) {
    at[along] = z->segment[along]->positions.begin;
    for (int axis = along - 1; axis >= 0; --axis) {
        if (++at[axis] < z->segment[axis]->positions.end)
            return;
        at[axis] = z->segment[axis]->positions.begin;
    }
}

/* Whether the lanes of a panel lie in the output as in a tile: channels last, whole vectors. */
static int stored_by_tiles(const direct_run *run, int64_t panel) {
    const fc_problem *p = run->p;
    return fc_channels_last(p, &p->y) && (panel + 1 < run->panels || p->out_channels % p->kernels->lanes == 0);
}

static int equally_spaced(const ptrdiff_t *pixels, int64_t count) {
    for (int64_t i = 2; i < count; ++i)
        if (pixels[i] - pixels[i - 1] != pixels[1] - pixels[0])
            return 0;
    return 1;
}

/* Offsets of the terms of a block. The taps of one channel follow one another; with channels last the channels of one
 * tap: they share lines, where those of taps, a power of two of channels apart, drive one another out of the cache.
 * Returns the taps of the zone. */
static int64_t fill_offsets(const direct_run *run, const zone *z, int64_t channels, ptrdiff_t line, ptrdiff_t *image,
                            ptrdiff_t *weights) {
    const fc_problem *p = run->p;
    const int last = fc_channels_last(p, &p->x);
    fc_range taps[FC_SPATIAL];
    int64_t zone_taps = 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        taps[axis] = z->segment[axis]->taps;
        zone_taps *= taps[axis].end - taps[axis].begin;
    }
    const ptrdiff_t channel_step = last ? 1 : zone_taps, tap_step = last ? channels : 1;
    ptrdiff_t tap = 0;
    for (int64_t d = taps[0].begin; d < taps[0].end; ++d)
        for (int64_t h = taps[1].begin; h < taps[1].end; ++h)
            for (int64_t w = taps[2].begin; w < taps[2].end; ++w, tap += tap_step) {
                const ptrdiff_t at = d * p->dilation[0] * p->x.axis[0] + h * p->dilation[1] * p->x.axis[1] +
                                     w * p->dilation[2] * p->x.axis[2];
                const int64_t packed = (d * p->kernel[1] + h) * p->kernel[2] + w;
                for (int64_t c = 0; c < channels; ++c) {
                    image[tap + c * channel_step] = at + c * p->x.channel;
                    weights[tap + c * channel_step] = (c * run->taps + packed) * line;
                }
            }
    return zone_taps;
}

static void go_to(const direct_run *run, workplace *w, const zone *z, int64_t chunk, int64_t count, ptrdiff_t line) {
    const fc_problem *p = run->p;
    if (w->zone != z || w->line != line) {
        w->zone_taps = fill_offsets(run, z, run->block, line, w->image_offsets[0], w->weight_offsets[0]);
        fill_offsets(run, z, p->in_channels % run->block, line, w->image_offsets[1], w->weight_offsets[1]);
        w->zone = z;
        w->line = line;
    }
    if (w->chunk == chunk)
        return;
    w->chunk = chunk;
    const int along = run_axis(z);
    const ptrdiff_t input_step = p->stride[along] * p->x.axis[along], output_step = p->y.axis[along];
    int64_t at[FC_SPATIAL];
    position_of(z, (chunk - z->first_chunk) * run->chunk, at);
    for (int q = 0, even = 0; q < count; next_run(z, along, at)) {
        ptrdiff_t input = 0, output = 0;
        for (int axis = 0; axis < FC_SPATIAL; ++axis) {
            input += (at[axis] * p->stride[axis] + p->offset[axis]) * p->x.axis[axis];
            output += at[axis] * p->y.axis[axis];
        }
        if (q && (input - w->inputs[q - 1] != input_step || output - w->outputs[q - 1] != output_step))
            even = q;
        const int end = (int)fc_min(count, q + z->segment[along]->positions.end - at[along]);
        for (; q < end; ++q, input += input_step, output += output_step) {
            w->inputs[q] = input;
            w->outputs[q] = output;
        }
        for (int i = even; i < end; ++i)
            w->even_until[i] = end;
    }
}

/* Sums of the `count` pixels of the chunk that a thread works on, for one panel of output channels. */
static void sum_chunk(const direct_run *run, const workplace *w, int64_t count, int64_t n, int64_t group,
                      int64_t panel) {
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, line = w->line, ldc = run->panel * item;
    const int vectors = (int)(packed_lanes(p, panel) / kernels->lanes);
    const char *image = p->x.data + n * p->x.batch + group * p->x.group;
    const int64_t first = panel_channels(p, panel).begin, first_lane = group * group_lanes(p) + first;
    char *y = p->y.data + n * p->y.batch + group * p->y.group + first * p->y.channel;
    const char *weights = run->packed + first_lane * p->in_channels * run->taps * item;
    fc_finish finish = p->finish;
    finish.bias_along_lanes = 1;
    finish.bias_stride = 0; /* from tile to tile */
    if (finish.bias)
        finish.bias = run->bias + first_lane * item;

    const int whole = stored_by_tiles(run, panel);
    const int tiles = (int)fc_ceil_div(count, kernels->tile_rows); /* of nearly equal size: small ones are slow */
    const int least = (int)count / tiles, larger = (int)count % tiles, larger_end = larger * (least + 1);
    for (int64_t c = 0; c < p->in_channels; c += run->block) {
        const ptrdiff_t terms = fc_min(run->block, p->in_channels - c) * w->zone_taps;
        const int part = p->in_channels - c < run->block; /* of a block */
        const int last = c + run->block >= p->in_channels;
        const ptrdiff_t *image_offsets = w->image_offsets[part], *weight_offsets = w->weight_offsets[part];
        const char *terms_of_x = image + c * p->x.channel, *terms_of_w = weights + c * run->taps * line;
        for (int q = 0; q < count;) {
            const int row_count = q < larger_end ? least + 1 : least,
                      equal_end = q < larger_end ? larger_end : (int)count;
            const ptrdiff_t *outputs = w->outputs + q;
            const int place = whole && equally_spaced(outputs, row_count);
            char *sums = w->sums + q * ldc, *dst = place ? y + outputs[0] : sums;
            const ptrdiff_t pitch = place && row_count > 1 ? outputs[1] - outputs[0] : ldc;
            const int together = ((int)fc_min(w->even_until[q], equal_end) - q) / row_count;
            if (together > 1) {
                kernels->gemm_tiles[row_count - 1][vectors - 1](
                    together, terms, terms_of_x + w->inputs[q], w->inputs[q + 1] - w->inputs[q], image_offsets,
                    terms_of_w, weight_offsets, dst, pitch, c > 0, last ? &finish : NULL);
                q += together * row_count;
                continue;
            }
            const char *rows[FC_MAX_TILE_ROWS];
            for (int64_t m = 0; m < row_count; ++m)
                rows[m] = terms_of_x + w->inputs[q + m];
            kernels->gemm_tile[row_count - 1][vectors - 1](terms, rows, image_offsets, terms_of_w, weight_offsets, dst,
                                                           pitch, c > 0, last ? &finish : NULL);
            for (int64_t m = 0; last && whole && !place && m < row_count; ++m)
                memcpy(y + outputs[m], sums + m * ldc, (size_t)line);
            q += row_count;
        }
    }
}

/* Finished sums into the caller's layout, a run of pixels at a time. */
static void store_chunk(const direct_run *run, const zone *z, int64_t q0, int64_t count, int64_t n, int64_t group,
                        int64_t panel, const char *sums) {
    const fc_problem *p = run->p;
    const ptrdiff_t ldc = run->panel * p->kernels->itemsize;
    const fc_range out = panel_channels(p, panel);
    const int64_t first = out.begin, channels = out.end - first;
    const int along = run_axis(z);
    for (int64_t q = 0; q < count;) {
        int64_t at[FC_SPATIAL];
        position_of(z, q0 + q, at);
        const int64_t length = fc_min(count - q, z->segment[along]->positions.end - at[along]);
        char *dst = p->y.data + n * p->y.batch + group * p->y.group + first * p->y.channel;
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            dst += at[axis] * p->y.axis[axis];
        p->kernels->copy_matrix((fc_matrix){dst, p->y.axis[along], p->y.channel},
                                (fc_matrix){(char *)sums + q * ldc, ldc, p->kernels->itemsize}, length, channels);
        q += length;
    }
}

static void forward_task(void *context, int64_t task, int thread) {
    const direct_run *run = context;
    const int64_t place = task % (run->chunks * run->panels), image = task / (run->chunks * run->panels);
    const int64_t chunk = run->panels_first ? place / run->panels : place % run->chunks;
    const int64_t panel = run->panels_first ? place % run->panels : place / run->chunks;
    const int64_t n = image / run->p->groups, group = image % run->p->groups;
    const zone *z = zone_of(run, chunk);
    const int64_t q0 = (chunk - z->first_chunk) * run->chunk;
    const int64_t count = fc_min(run->chunk, z->pixels - q0);
    workplace *w = &run->workplaces[thread];
    go_to(run, w, z, chunk, count, packed_lanes(run->p, panel) * run->p->kernels->itemsize);
    sum_chunk(run, w, count, n, group, panel);
    if (!stored_by_tiles(run, panel))
        store_chunk(run, z, q0, count, n, group, panel, w->sums);
}

static void forward(const fc_problem *p, const void *packed, void *scratch, int threads) {
    direct_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, packed, threads);
    if (!packed) {
        pack_weights(p, run.own, threads);
        run.packed = run.own;
    }
    find_zones(&run);
    const ptrdiff_t item = p->kernels->itemsize;
    for (int64_t g = 0; p->finish.bias && g < p->groups; ++g)
        p->kernels->copy_matrix(
            (fc_matrix){run.bias + g * group_lanes(p) * item, 0, item},
            (fc_matrix){(char *)p->finish.bias + g * p->out_channels * p->finish.bias_stride, 0, p->finish.bias_stride},
            1, p->out_channels);
    fc_parallel(p->batch * p->groups * run.panels * run.chunks, threads, forward_task, &run);
}

/* A tile reads lines of all channels in turn: what follows, as far as the core looks, has to hide the way from memory,
 * unless planes lie so that lines are fetched ahead (256 x 224x224 -> 24, 1x1: 5.4 ms, 9.6 with 64 bytes more between
 * planes). `slots`: those of one panel of output channels, later ones find the lines near. */
static double wait_cost(const fc_problem *p, const fc_traffic *traffic, double slots) {
    const int fetched = fc_channels_last(p, &p->x) || p->x.channel % 512 == 0;
    return fetched ? 0 : traffic->beyond_l3 * FC_COST_DIRECT_WAIT * slots;
}

static double forward_cost(const fc_problem *p) {
    double met = 1, zones = 1, zone_taps = 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const fc_axis_counts counts = fc_count_axis(p, axis);
        met *= counts.met;
        zones *= counts.segments;
        zone_taps *= counts.segment_taps;
    }
    const int64_t taps = fc_taps(p), blocks = fc_ceil_div(p->in_channels, fc_max(REDUCTION / taps, 1));
    const double panels = (double)fc_panel_count(p->kernels, p->out_channels), pixels = (double)fc_positions(p);
    const double rows = fc_row_slots(p, p->out_channels) * (double)p->in_channels, groups = (double)p->groups;
    const double tiles = pixels / p->kernels->tile_rows + zones;
    const double weights = (double)packed_bytes(p) / p->kernels->itemsize;
    double slot = FC_COST_DIRECT_SLOT, pack = FC_COST_PACK_WEIGHT, store = FC_COST_STORE_TRANSPOSED;
    if (!fc_channels_last(p, &p->x))
        slot += p->stride[2] > 1 ? FC_COST_DIRECT_STRIDED / (double)p->kernel[2] : FC_COST_DIRECT_PAGES / (double)taps;
    if (packed_bytes(p) > FC_FAR_BYTES)
        pack += FC_COST_PACK_FAR_WEIGHT;
    if (fc_channels_last(p, &p->y))
        store = p->out_channels % p->kernels->lanes ? FC_COST_DIRECT_PARTIAL / (double)p->out_channels : 0;
    const fc_traffic traffic = fc_traffic_of(p, 1);
    const double sums = rows * (slot * met + FC_COST_DIRECT_ZONE_ROWS * zone_taps);
    const double begun =
        FC_COST_DIRECT_TILE * (double)blocks * tiles + FC_COST_DIRECT_CHUNK * (tiles / CHUNK_TILES + zones);
    return pack * weights + groups * (sums + panels * begun + store * pixels * (double)p->out_channels) +
           fc_traffic_cost(&traffic) + wait_cost(p, &traffic, groups * rows * met / panels);
}

const fc_algorithm fc_direct_algorithm = {
    .name = "direct",
    .exact = 1,
    .needs = "nothing",
    .supports = fc_supports_all,
    .supports_grad_weight = 1,
    .forward_cost = forward_cost,
    .packed_bytes = packed_bytes,
    .pack_weights = pack_weights,
    .forward_scratch_bytes = forward_scratch_bytes,
    .forward = forward,
    .grad_weight_cost = fc_direct_grad_weight_cost,
    .grad_weight_scratch_bytes = fc_direct_grad_weight_scratch_bytes,
    .grad_weight = fc_direct_grad_weight,
};
