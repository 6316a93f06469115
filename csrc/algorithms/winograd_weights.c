/* Weights of Winograd's convolution: how they are parted, gathered as lines of taps, and transformed. */
#include "algorithms/winograd.h"

#include <string.h>

enum {
    SUM = 32,     /* most channels of one sum */
    CHUNK = 64,   /* most channels of several sums */
    FILTERED = 8, /* most channels of weights gathered at once */
    MOST_LINE = 64 * FC_MAX_TILE_VECTORS
};

int64_t fc_winograd_sum(int64_t channels) { return fc_channel_block(channels, 1, SUM); }

fc_winograd_weights fc_winograd_weights_of(const fc_problem *p) {
    fc_winograd_weights w = {.p = p, .form = fc_winograd_form_of(p, 0)};
    w.sum = fc_winograd_sum(w.form.channels);
    w.chunk = fc_min(CHUNK / w.sum * w.sum, w.form.channels);
    w.chunks = fc_ceil_div(w.form.channels, w.chunk);
    w.panels = fc_panel_count(p->kernels, p->out_channels);
    return w;
}

fc_range fc_winograd_panel_channels(const fc_problem *p, int64_t panel) {
    return fc_panel_lanes(p->kernels, p->out_channels, panel);
}

ptrdiff_t fc_winograd_panel_line(const fc_problem *p, int64_t panel) {
    const fc_range channels = fc_winograd_panel_channels(p, panel);
    return fc_round_up(channels.end - channels.begin, p->kernels->lanes) * p->kernels->itemsize;
}

/* ---- where they lie ---- */

int64_t fc_winograd_chunk_bytes(const fc_winograd_weights *w, ptrdiff_t line) {
    return w->form.elements * fc_winograd_weight_step(w->chunk, line);
}

/* Of one tap along depth of some panels, `line` their lines together. */
static int64_t depth_bytes(const fc_winograd_weights *w, int64_t panels, ptrdiff_t line) {
    return fc_product(w->form.elements,
                      fc_sum(fc_product(w->form.channels, line), fc_product(fc_product(panels, w->chunks), 64)));
}

/* Of the first panels. */
static int64_t panels_bytes(const fc_winograd_weights *w, int64_t panels) {
    const fc_kernels *kernels = w->p->kernels;
    const int64_t lanes = panels > 0 ? fc_winograd_panel_channels(w->p, panels - 1).end : 0;
    return fc_product(w->p->kernel[0], depth_bytes(w, panels, fc_round_up(lanes, kernels->lanes) * kernels->itemsize));
}

int64_t fc_winograd_weights_bytes(const fc_winograd_weights *w) {
    return fc_product(w->p->groups, panels_bytes(w, w->panels));
}

ptrdiff_t fc_winograd_weights_offset(const fc_winograd_weights *w, int64_t group, int64_t panel, int64_t depth,
                                     int64_t first) {
    const ptrdiff_t line = fc_winograd_panel_line(w->p, panel);
    return group * panels_bytes(w, w->panels) + panels_bytes(w, panel) + depth * depth_bytes(w, 1, line) +
           first / w->chunk * fc_winograd_chunk_bytes(w, line);
}

/* ---- lines of taps ---- */

static int64_t plane_taps(const fc_problem *p) { return p->kernel[1] * p->kernel[2]; }

int64_t fc_winograd_filters_at_once(const fc_problem *p) {
    return fc_min(FC_WINOGRAD_ALL_TAPS / plane_taps(p), FILTERED);
}

/* Turned taps, as a gradient has them, are gathered as they lie in memory and read from the last one backwards. */
void fc_winograd_find_filters(fc_winograd_filters *f, const fc_problem *p, int64_t group, int64_t panel, int64_t depth,
                              char *room) {
    const fc_range all[FC_SPATIAL] = {{0, 1}, {0, p->kernel[1]}, {0, p->kernel[2]}};
    const fc_range out = fc_winograd_panel_channels(p, panel);
    const int turned = (p->kernel[1] == 1 || p->w.axis[1] < 0) && (p->kernel[2] == 1 || p->w.axis[2] < 0);
    const int sign = turned ? -1 : 1;
    const ptrdiff_t axis[FC_SPATIAL] = {0, sign * p->w.axis[1], sign * p->w.axis[2]};
    f->p = p;
    f->source = p->w.data + group * p->w.group + out.begin * p->w.out + depth * p->w.axis[0];
    if (turned)
        f->source += (p->kernel[1] - 1) * p->w.axis[1] + (p->kernel[2] - 1) * p->w.axis[2];
    f->out = p->w.out;
    f->count = out.end - out.begin;
    f->line = fc_winograd_panel_line(p, panel);
    f->channel_step = plane_taps(p) * f->line;
    f->axis[0] = 0;
    f->axis[1] = sign * p->kernel[2] * f->line;
    f->axis[2] = sign * f->line;
    f->lines = room ? room : f->gathered;
    f->first_tap = f->lines + (turned ? plane_taps(p) - 1 : 0) * f->line;
    fc_fill_offsets(f->offsets, fc_winograd_filters_at_once(p), p->w.in, all, axis);
}

void fc_winograd_gather_filters(fc_winograd_filters *f, int64_t first, int64_t channels, int64_t held) {
    const fc_kernels *kernels = f->p->kernels;
    const char *sources[MOST_LINE / sizeof(float)];
    for (int64_t k = 0; k < f->count; ++k)
        sources[k] = f->source + k * f->out + first * f->p->w.in;
    kernels->gather_lanes(f->lines + held * f->channel_step, f->line, f->line / kernels->itemsize, sources, f->count,
                          f->offsets, channels * plane_taps(f->p));
}

/* The taps of one phase of the channel that was gathered; 0 where the filter has none. */
static void take_phase(const fc_winograd_filters *f, int64_t phases, int64_t phase, char *taken) {
    const fc_problem *p = f->p;
    const int64_t down = phase / phases % phases, across = phase % phases, size = fc_round_up(p->kernel[2], phases);
    for (int64_t r = down; r < size; r += phases)
        for (int64_t c = across; c < size; c += phases, taken += f->line)
            if (r < p->kernel[1] && c < p->kernel[2])
                memcpy(taken, f->first_tap + r * f->axis[1] + c * f->axis[2], (size_t)f->line);
            else
                memset(taken, 0, (size_t)f->line);
}

/* ---- transformed ---- */

void fc_winograd_transform_filters(const fc_winograd_weights *w, int64_t group, int64_t panel, int64_t depth,
                                   int64_t first, int64_t channels, char *dst) {
    const fc_winograd_filter_fn filter = w->p->kernels->winograd[w->form.id].filter;
    const int64_t phases = w->form.phases, most = phases > 1 ? 1 : FILTERED, end = first + channels;
    fc_winograd_filters f;
    char taken[FC_WINOGRAD_TAPS * MOST_LINE] __attribute__((aligned(64)));
    fc_winograd_find_filters(&f, w->p, group, panel, depth, NULL);
    const ptrdiff_t step = fc_winograd_weight_step(channels, f.line);
    for (int64_t c = first, count; c < end; c += count) {
        const int64_t channel = c / (phases * phases);
        count = fc_min((channel + most) * phases * phases, end) - c;
        fc_winograd_gather_filters(&f, channel, phases > 1 ? 1 : count, 0);
        for (int64_t i = 0; i < count; ++i, dst += f.line)
            if (phases > 1) {
                take_phase(&f, phases, c + i, taken);
                filter(dst, step, taken, f.line, f.line);
            } else {
                filter(dst, step, f.first_tap + i * f.channel_step, f.axis[2], f.line);
            }
    }
}

typedef struct pack_run {
    fc_winograd_weights weights;
    char *packed;
} pack_run;

static void pack_task(void *context, int64_t task, int thread) {
    (void)thread;
    const pack_run *run = context;
    const fc_winograd_weights *w = &run->weights;
    const int64_t first = task % w->chunks * w->chunk, depth = task / w->chunks % w->p->kernel[0];
    task /= w->chunks * w->p->kernel[0];
    const int64_t panel = task % w->panels, group = task / w->panels;
    fc_winograd_transform_filters(w, group, panel, depth, first, fc_min(w->chunk, w->form.channels - first),
                                  run->packed + fc_winograd_weights_offset(w, group, panel, depth, first));
}

void fc_winograd_pack_weights(const fc_problem *p, void *packed, int threads) {
    pack_run run = {fc_winograd_weights_of(p), packed};
    fc_parallel(p->groups * run.weights.panels * run.weights.chunks * p->kernel[0], threads, pack_task, &run);
}
