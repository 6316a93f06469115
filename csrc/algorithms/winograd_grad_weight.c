/* Gradient of the weights by Winograd's algorithm: the transposes of the forward transforms, F(3x3, 4x4) for 3x3 kernels.
 *
 * Tiles of the input are transformed as forward does, tiles of grad_output by the transpose of the output's transform;
 * their products are summed over all tiles, for each element a matrix product of output channels and input channels, and
 * transformed to taps by the transpose of the filter's transform:
 *
 *     input     [panel][element][tile][line]             a panel: as many lines, of 64 bytes of channels, as a tile of
 *     grads     [element][tile][output channels]         the matrix kernel holds
 *     sums      [panel][element][output channel][line]
 *
 * Tiles are worked on in blocks, whose sums follow one another in a fixed order: no bit depends on the number of threads.
 * With one block the sums of a task go to the taps at once; with more they are kept for all channels.
 *
 * The accumulator is the dtype, started anew every block of at most BLOCK tiles, which keeps the error near that of plain
 * sums. Some channels whose gradient is not finite are computed again by plain sums (direct_grad_weight.c), so that Inf
 * and NaN stand exactly where these put them. After Lavin and Gray, CVPR 2016.
 */
#include "algorithms/cost.h"
#include "algorithms/grad_weight.h"
#include "algorithms/winograd.h"

#include <string.h>

enum { LINE = FC_WINOGRAD_LINE, BLOCK = 56, SUM_BYTES = 512 << 10 }; /* tiles; of a task's sums, which stay in L2 */

typedef struct grad_run {
    fc_winograd_tiling tiling;
    int64_t block, blocks;                   /* tiles */
    int64_t line_channels, lines, panels;    /* of a group */
    int64_t parcel;                          /* lines that go into one panel: all phases of a channel */
    int64_t rows, parts;                     /* output channels of a task; tasks of a panel */
    ptrdiff_t wide;                          /* bytes of the widest panel: a tile of input, an output channel of sums */
    ptrdiff_t element_step, panel_step;      /* of input */
    ptrdiff_t grad_step, grad_element;       /* of grads: a tile, an element */
    ptrdiff_t sum_element, sum_task;         /* of sums; sum_task: 0 where they are not kept */
    char *input, *grads, *kept;              /* of one group and block; sums of all tasks of a group */
    char **buffers, **sums, **again;         /* a thread each: rows of images, sums, scratch of plain sums */
    ptrdiff_t *input_offsets, *grad_offsets; /* of tiles */
    int64_t group, begin, end;               /* at hand: group and tiles */
} grad_run;

/* Some channels as a problem of their own. */
static fc_problem part_of(const fc_problem *p, int64_t group, fc_range out, fc_range in) {
    fc_problem part = *p;
    part.groups = 1;
    part.out_channels = out.end - out.begin;
    part.in_channels = in.end - in.begin;
    part.x.data += group * p->x.group + in.begin * p->x.channel;
    part.y.data += group * p->y.group + out.begin * p->y.channel;
    part.w.data += group * p->w.group + out.begin * p->w.out + in.begin * p->w.in;
    return part;
}

static void plan_blocks(grad_run *run, const fc_problem *p) {
    const int64_t item = p->kernels->itemsize;
    run->tiling = fc_winograd_tile(p, 1);
    const int64_t phases = run->tiling.form.phases;
    run->blocks = fc_max(fc_ceil_div(run->tiling.tiles, BLOCK), 1);
    run->block = fc_ceil_div(run->tiling.tiles, run->blocks);
    run->line_channels = LINE / item;
    run->lines = fc_ceil_div(run->tiling.form.channels, run->line_channels);
    run->parcel = fc_max(phases * phases * item / LINE, 1);
    const int64_t parcels = run->lines / run->parcel, channels = run->parcel * run->line_channels;
    run->panels = fc_ceil_div(parcels, fc_max(p->kernels->lanes * p->kernels->tile_vectors / channels, 1));
    run->wide = fc_ceil_div(parcels, run->panels) * run->parcel * LINE;
}

/* Parcels of lines are dealt out evenly. */
static fc_range panel_lines(const grad_run *run, int64_t panel) {
    const int64_t parcels = run->lines / run->parcel;
    return (fc_range){parcels * panel / run->panels * run->parcel, parcels * (panel + 1) / run->panels * run->parcel};
}

static int64_t panel_of_line(const grad_run *run, int64_t line) {
    return (line / run->parcel * run->panels + run->panels - 1) / (run->lines / run->parcel);
}

/* Phases counted. */
static fc_range panel_channels(const grad_run *run, int64_t panel) {
    const fc_range lines = panel_lines(run, panel);
    return (fc_range){lines.begin * run->line_channels,
                      fc_min(lines.end * run->line_channels, run->tiling.form.channels)};
}

static void lay_out(grad_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const int64_t item = p->kernels->itemsize, tile = p->kernels->tile_rows;
    plan_blocks(run, p);
    const int64_t elements = run->tiling.form.elements;
    run->rows = fc_grad_weight_block(p->out_channels, fc_max(SUM_BYTES / (elements * run->wide), 1), run->panels,
                                     threads, tile);
    run->parts = fc_ceil_div(p->out_channels, run->rows);
    /* No multiple of 4096, which would put all of them into the same cache sets. */
    run->element_step = (run->block * run->wide) | LINE;
    run->panel_step = elements * run->element_step + LINE;
    run->grad_step = fc_round_up(p->out_channels * item, LINE) | LINE;
    run->grad_element = fc_product(run->block, run->grad_step) + LINE;
    run->sum_element = (run->rows * run->wide) | LINE;
    run->sum_task = run->blocks > 1 ? fc_product(elements, run->sum_element) : 0;
    run->input = fc_arena_take(arena, run->panels, (size_t)run->panel_step);
    run->grads = fc_arena_take(arena, elements, (size_t)run->grad_element);
    run->kept = fc_arena_take(arena, fc_product(run->panels, run->parts), (size_t)run->sum_task);
    run->input_offsets = fc_arena_take(arena, run->block, sizeof(ptrdiff_t));
    run->grad_offsets = fc_arena_take(arena, run->block, sizeof(ptrdiff_t));
    run->buffers = fc_arena_take(arena, threads, sizeof(char *));
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    run->again = fc_arena_take(arena, threads, sizeof(char *));
    const fc_problem part = part_of(p, 0, (fc_range){0, fc_min(run->rows, p->out_channels)},
                                    (fc_range){0, fc_min(run->wide / item, p->in_channels)});
    const size_t again_bytes = fc_direct_grad_weight_scratch_bytes(&part, 1);
    for (int t = 0; t < threads; ++t) {
        char *buffer = fc_arena_take(arena, FC_WINOGRAD_REACH * FC_WINOGRAD_ROW, LINE);
        char *sums = fc_arena_take(arena, run->blocks > 1 ? 0 : elements, (size_t)run->sum_element);
        char *again = fc_arena_take(arena, 1, again_bytes);
        if (!arena->base)
            continue;
        run->buffers[t] = buffer;
        run->sums[t] = sums;
        run->again[t] = again;
    }
}

/* Transforms one line of channels: of the input, or of grad_output. */
static void line_task(void *context, int64_t task, int thread) {
    const grad_run *run = context;
    const fc_problem *p = run->tiling.p;
    const fc_winograd_form *form = &run->tiling.form;
    const fc_winograd_transforms *transforms = &p->kernels->winograd[form->id];
    static const int64_t NONE[FC_SPATIAL] = {0, 0, 0};
    if (task < run->lines) {
        const int64_t first = task * run->line_channels;
        const fc_winograd_source source = {&p->x,
                                           p->in_size,
                                           form->window,
                                           form->first_input,
                                           form->advance,
                                           form->phases,
                                           transforms->input,
                                           0,
                                           run->group * form->channels + first,
                                           fc_min(run->line_channels, form->channels - first)};
        const int64_t panel = panel_of_line(run, task);
        char *data = run->input + panel * run->panel_step + (task - panel_lines(run, panel).begin) * LINE;
        const fc_winograd_lines to = {data, run->element_step, run->wide};
        fc_winograd_transform(&run->tiling, &source, run->begin, run->end, to, run->buffers[thread]);
    } else {
        const int64_t first = (task - run->lines) * run->line_channels;
        const fc_winograd_source source = {&p->y,
                                           p->out_size,
                                           form->edge,
                                           NONE,
                                           form->edge,
                                           1,
                                           transforms->grad_output,
                                           0,
                                           run->group * p->out_channels + first,
                                           fc_min(run->line_channels, p->out_channels - first)};
        const fc_winograd_lines to = {run->grads + first * p->kernels->itemsize, run->grad_element, run->grad_step};
        fc_winograd_transform(&run->tiling, &source, run->begin, run->end, to, run->buffers[thread]);
    }
}

/* Products of `channels` output channels from `first` on and one panel, summed over the tiles of the block. */
static void multiply(const grad_run *run, int64_t panel, int64_t first, int64_t channels, char *sums) {
    const fc_kernels *kernels = run->tiling.p->kernels;
    const ptrdiff_t item = kernels->itemsize;
    const fc_range lines = panel_lines(run, panel);
    const int64_t tiles = run->end - run->begin;
    const int64_t vectors = (lines.end - lines.begin) * run->line_channels / kernels->lanes;
    const char *input = run->input + panel * run->panel_step, *grads = run->grads + first * item;
    for (int64_t element = 0; element < run->tiling.form.elements; ++element) {
        for (int64_t v = 0, count; v < vectors; v += count) {
            const ptrdiff_t lane = v * kernels->lanes * item;
            count = fc_min(kernels->tile_vectors, vectors - v);
            fc_run_tiles(kernels, channels, count, tiles, grads, item, run->grad_offsets, input + lane,
                         run->input_offsets, sums + lane, run->wide, run->begin > 0, NULL);
        }
        input += run->element_step;
        grads += run->grad_element;
        sums += run->sum_element;
    }
}

/* Taps of a parcel of lines, line by line. */
typedef char parcel_taps[2][FC_WINOGRAD_TAPS * LINE] __attribute__((aligned(64)));

/* Where each tap of a filter lies among those of its phases. */
static void index_phases(const grad_run *run, int64_t *indices) {
    const fc_problem *p = run->tiling.p;
    const int64_t phases = run->tiling.form.phases, taps = fc_ceil_div(p->kernel[2], phases);
    for (int64_t r = 0; r < p->kernel[1]; ++r)
        for (int64_t c = 0; c < p->kernel[2]; ++c) {
            const int64_t phase = r % phases * phases + c % phases, line = phase / run->line_channels;
            *indices++ = (line * FC_WINOGRAD_TAPS + r / phases * taps + c / phases) * run->line_channels +
                         phase % run->line_channels;
        }
}

/* Stores the filters of some channels that are made of phases. */
static void store_phases(const grad_run *run, const int64_t *indices, const char *taps, int64_t channels, char *w) {
    const fc_problem *p = run->tiling.p;
    const ptrdiff_t item = p->kernels->itemsize, squared = run->tiling.form.phases * run->tiling.form.phases;
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t r = 0; r < p->kernel[1]; ++r)
            p->kernels->gather_row(w + c * p->w.in + r * p->w.axis[1], p->w.axis[2], taps + c * squared * item, item,
                                   indices + r * p->kernel[2], p->kernel[2], NULL);
}

/* Stores the filters of a line of channels. */
static void store_taps(const grad_run *run, const char *taps, int64_t channels, char *w) {
    const fc_problem *p = run->tiling.p;
    const int dense = p->w.axis[1] == p->kernel[2] * p->w.axis[2];
    const int64_t together = dense ? p->kernel[1] * p->kernel[2] : p->kernel[2];
    for (int64_t tap = 0; tap < p->kernel[1] * p->kernel[2]; tap += together)
        p->kernels->copy_matrix((fc_matrix){w + tap / p->kernel[2] * p->w.axis[1], p->w.axis[2], p->w.in},
                                (fc_matrix){(char *)(uintptr_t)taps + tap * LINE, LINE, p->kernels->itemsize}, together,
                                channels);
}

/* Sums to taps, stored; returns whether all are finite. */
static int finish(const grad_run *run, int64_t panel, int64_t first, int64_t channels, const char *sums) {
    const fc_problem *p = run->tiling.p;
    const fc_winograd_form *form = &run->tiling.form;
    const fc_winograd_grad_filter_fn grad_filter = p->kernels->winograd[form->id].grad_filter;
    const int64_t squared = form->phases * form->phases, together = run->parcel * run->line_channels;
    const fc_range in = panel_channels(run, panel);
    parcel_taps taps;
    int64_t indices[FC_WINOGRAD_ALL_TAPS];
    if (form->phases > 1)
        index_phases(run, indices);
    char *out = p->w.data + run->group * p->w.group + first * p->w.out;
    int finite = 1;
    for (int64_t k = 0; k < channels; ++k, out += p->w.out, sums += run->wide)
        for (int64_t c = in.begin; c < in.end; c += together) {
            const int64_t count = fc_min(together, in.end - c) / squared;
            char *w = out + c / squared * p->w.in;
            for (int64_t line = 0; line < run->parcel; ++line)
                finite &= grad_filter(taps[line], sums + (c - in.begin) * p->kernels->itemsize + line * LINE,
                                      run->sum_element);
            if (form->phases > 1)
                store_phases(run, indices, taps[0], count, w);
            else
                store_taps(run, taps[0], count, w);
        }
    return finite;
}

/* Some output channels and one panel of channels. */
static void sum_task(void *context, int64_t task, int thread) {
    const grad_run *run = context;
    const fc_problem *p = run->tiling.p;
    const int64_t panel = task / run->parts, first = task % run->parts * run->rows;
    const int64_t channels = fc_min(run->rows, p->out_channels - first);
    char *sums = run->sum_task ? run->kept + task * run->sum_task : run->sums[thread];
    multiply(run, panel, first, channels, sums);
    if (run->end < run->tiling.tiles || finish(run, panel, first, channels, sums))
        return;
    const int64_t squared = run->tiling.form.phases * run->tiling.form.phases;
    const fc_range in = panel_channels(run, panel), out = {first, first + channels};
    const fc_problem part = part_of(p, run->group, out, (fc_range){in.begin / squared, in.end / squared});
    fc_direct_grad_weight(&part, run->again[thread], 1);
}

/* The weights of one tap along depth, and the outputs that use it: planes against planes. */
static fc_problem depth_problem(const fc_problem *p, int64_t tap) {
    const fc_range outputs = fc_valid_positions(p, 0, tap);
    fc_problem plane = *p;
    plane.kernel[0] = 1;
    plane.in_size[0] = plane.out_size[0] = fc_max(outputs.end - outputs.begin, 0);
    plane.w.data += tap * p->w.axis[0];
    plane.offset[0] = 0;
    plane.stride[0] = 1;
    plane.x.axis[0] *= p->stride[0];
    if (plane.out_size[0] > 0) {
        plane.x.data += (outputs.begin * p->stride[0] + tap + p->offset[0]) * p->x.axis[0];
        plane.y.data += outputs.begin * p->y.axis[0];
    }
    return plane;
}

size_t fc_winograd_grad_weight_scratch_bytes(const fc_problem *p, int threads) {
    size_t most = 0;
    for (int64_t tap = 0; tap < p->kernel[0]; ++tap) {
        const fc_problem plane = depth_problem(p, tap);
        grad_run run;
        fc_arena arena = {0};
        lay_out(&run, &arena, &plane, threads);
        most = arena.used > most ? arena.used : most;
    }
    return most;
}

static void run_planes(const fc_problem *p, void *scratch, int threads) {
    grad_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    for (int64_t i = 0; i < run.block; ++i) {
        run.input_offsets[i] = i * run.wide;
        run.grad_offsets[i] = i * run.grad_step;
    }
    const int64_t lines = run.lines + fc_ceil_div(p->out_channels, run.line_channels);
    for (run.group = 0; run.group < p->groups; ++run.group)
        for (int64_t block = 0; block < run.blocks; ++block) {
            run.begin = block * run.block;
            run.end = fc_min(run.begin + run.block, run.tiling.tiles);
            fc_parallel(lines, threads, line_task, &run);
            fc_parallel(run.panels * run.parts, threads, sum_task, &run);
        }
}

void fc_winograd_grad_weight(const fc_problem *p, void *scratch, int threads) {
    for (int64_t tap = 0; tap < p->kernel[0]; ++tap) {
        const fc_problem plane = depth_problem(p, tap);
        if (plane.out_size[0] > 0)
            run_planes(&plane, scratch, threads);
        else
            fc_clear_weights(&plane);
    }
}

static double planes_cost(const fc_problem *p) {
    grad_run run;
    plan_blocks(&run, p);
    const fc_kernels *kernels = p->kernels;
    const double tiles = (double)(run.tiling.rows * run.tiling.columns * p->out_size[0]);
    const double elements = (double)run.tiling.form.elements, out = (double)p->out_channels;
    const double vectors = (double)(run.lines * run.line_channels / kernels->lanes);
    const double out_vectors = (double)fc_ceil_div(p->out_channels, kernels->lanes);
    const double begun = elements * vectors / kernels->tile_vectors * (out / kernels->tile_rows);
    const double images = FC_COST_WINOGRAD_INPUT * (vectors + out_vectors) * tiles * elements;
    const double filters =
        (FC_COST_WINOGRAD_TAP * (double)run.tiling.form.taps + FC_COST_WINOGRAD_FILTER * elements) * out * vectors;
    return (double)p->groups * (fc_transform_slots(kernels) * (images + filters) +
                                FC_COST_WINOGRAD_SLOT * elements * tiles * vectors * out +
                                FC_COST_PANEL_TILE * begun * fc_max(1, (int64_t)(tiles / BLOCK)));
}

double fc_winograd_grad_weight_cost(const fc_problem *p) {
    double cost = 0;
    for (int64_t tap = 0; tap < p->kernel[0]; ++tap) {
        const fc_problem plane = depth_problem(p, tap);
        cost += plane.out_size[0] > 0 ? planes_cost(&plane) : 0;
    }
    return cost;
}

int fc_winograd_grad_weight_by_default(const fc_problem *p) { return fc_winograd_form_of(p, 1).by_default; }
