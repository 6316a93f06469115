/* Winograd convolution, forward: square kernels and those along one axis, from a fraction of the products. F(4x4, 3x3)
 * makes 16 outputs of 36 products in place of 144; with stride 2, F(2x2, 3x3) makes 4 of 25 in place of 36. Longer kernels
 * with a stride are done by phases (winograd.h).
 *
 * Tiles of input elements and filters are transformed, multiplied element by element, summed over channels, and the sums
 * transformed back to outputs (kernels/winograd_form.inc). The sum over channels is, for each element, a matrix product
 * of tiles and output channels:
 *
 *     input     [channel line][element][tile][line]     lines of 64 bytes of channels
 *     weights   [group][panel][chunk][element][channel][panel lanes]
 *     sums      [element][tile][panel lanes]            of one panel, in L2 until they are transformed back
 *
 * Taps along depth are more channels: those of another plane of the input. Tiles are numbered across rows, depths and the
 * batch, and worked on in blocks. With one block the input is transformed first, then each panel of weights chunk by chunk
 * just before use, so that the up to 4 times larger weights never exist; with many, the weights come first and each task
 * transforms a block of its own. Weights of up to FC_WINOGRAD_FEW tiles are transformed in registers, packed ones left
 * alone where they are more than L3 holds. None of it changes a bit: an output depends on its tile and its filter alone.
 *
 * The accumulator is the dtype, started anew every SUM channels, which with the interpolation points
 * (winograd_points.py) keeps the error near that of plain sums. A tile whose sums are not finite is computed again by
 * plain sums, so that Inf and NaN stand exactly where these put them. After Lavin and Gray, CVPR 2016.
 */
#include "algorithms/cost.h"
#include "algorithms/winograd.h"

#include <string.h>

enum {
    SHARED_PRODUCTS = 56 * 36, /* tiles times elements whose input is transformed first, and weights chunk by chunk; */
    SHARED_FAR = 90 * 36,      /* where these would be read from L3 for every block */
    MOST_PRODUCTS = 30 * 36,
    LEAST_PRODUCTS = 12 * 36, /* of a block with an input of its own, */
    BLOCK_BYTES = 384 << 10,  /* which should leave room in L2 */
    MOST_READ = 16 << 20,     /* bytes of transformed weights that L3 holds */
    MOST_MORE = 2 << 20       /* bytes of transformed weights besides four times the weights */
};
enum { LINE = FC_WINOGRAD_LINE };

typedef struct winograd_run {
    const fc_problem *p;
    fc_winograd_tiling tiling;
    fc_winograd_weights filters;
    int64_t block, blocks;                  /* tiles */
    int64_t channels, line_channels, lines; /* of all groups, of one tap along depth */
    ptrdiff_t element_step, line_step;      /* of transformed input */
    int few;                                /* tiles: weights are transformed in registers */
    const char *packed;
    char *own;                                /* room for transformed weights, where the caller has none */
    char *shared;                             /* the transformed input, if all tasks share it */
    char **input, **image, **weights, **sums; /* a thread each; image: rows of input or output pixels */
} winograd_run;

/* ---- layout ---- */

/* Whether so few tiles' filters are transformed in registers (kernels/winograd_few.inc). */
static int are_few(const fc_kernels *kernels, const fc_winograd_form *form, int64_t tiles) {
    return kernels->winograd_few && form->id == FC_WINOGRAD_plane_f4x3 && form->phases == 1 && tiles <= FC_WINOGRAD_FEW;
}

static int are_far(const fc_winograd_weights *filters) { return fc_winograd_weights_bytes(filters) > FC_FAR_BYTES; }

/* 1: all tasks, one a panel, share one transformed input. */
static int64_t blocks_of(const fc_winograd_weights *filters, int64_t lines, int64_t tiles, int threads) {
    const int enough = filters->p->groups * filters->panels >= threads;
    if (tiles <= (enough && are_far(filters) ? SHARED_FAR : SHARED_PRODUCTS) / filters->form.elements)
        return 1;
    const int64_t products = fc_max(BLOCK_BYTES / (lines * filters->p->kernel[0] * LINE), LEAST_PRODUCTS);
    return fc_ceil_div(tiles, fc_min(products, MOST_PRODUCTS) / filters->form.elements);
}

static void plan_blocks(winograd_run *run, const fc_problem *p, const void *packed, int threads) {
    run->p = p;
    run->tiling = fc_winograd_tile(p, 0);
    run->filters = fc_winograd_weights_of(p);
    run->channels = fc_product(p->groups, run->tiling.form.channels);
    run->line_channels = LINE / p->kernels->itemsize;
    run->lines = fc_ceil_div(run->channels, run->line_channels);
    run->block = run->tiling.tiles;
    run->blocks = blocks_of(&run->filters, run->lines, run->tiling.tiles, threads);
    if (run->blocks > 1) {
        if (threads > 1)
            run->blocks = fc_round_up(run->blocks, threads);
        run->block = fc_round_up(fc_ceil_div(run->tiling.tiles, run->blocks), p->kernels->tile_rows);
        run->blocks = fc_ceil_div(run->tiling.tiles, run->block);
    }
    run->few = are_few(p->kernels, &run->tiling.form, run->tiling.tiles) &&
               (!packed || fc_winograd_weights_bytes(&run->filters) > MOST_READ);
    if (run->few)
        run->block = FC_WINOGRAD_FEW; /* those that are missing are 0 */
    run->element_step = (run->block | 1) * LINE;
    run->line_step = fc_sum(fc_product(run->tiling.form.input_elements, run->element_step), LINE);
}

static void lay_out(winograd_run *run, fc_arena *arena, const fc_problem *p, const void *packed, int threads) {
    plan_blocks(run, p, packed, threads);
    run->packed = packed;
    const int shared = run->blocks == 1;
    const int64_t input = fc_product(fc_product(p->kernel[0], run->lines), run->line_step);
    run->own = fc_arena_take(arena, packed || shared ? 0 : fc_winograd_weights_bytes(&run->filters), 1);
    run->shared = fc_arena_take(arena, shared ? input : 0, 1);
    run->input = fc_arena_take(arena, threads, sizeof(char *));
    run->image = fc_arena_take(arena, threads, sizeof(char *));
    run->weights = fc_arena_take(arena, threads, sizeof(char *));
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    const ptrdiff_t line = fc_winograd_panel_line(p, run->filters.panels - 1); /* the longest */
    for (int t = 0; t < threads; ++t) {
        char *own_input = fc_arena_take(arena, shared ? 0 : input, 1);
        char *image = fc_arena_take(arena, FC_WINOGRAD_REACH * FC_WINOGRAD_ROW, (size_t)fc_max(line, LINE));
        char *weights = fc_arena_take(
            arena, !shared || (packed && !run->few) ? 0 : fc_winograd_chunk_bytes(&run->filters, line), 1);
        char *sums = fc_arena_take(arena, fc_product(run->tiling.form.elements, run->block | 1), (size_t)line);
        if (!arena->base)
            continue;
        run->input[t] = shared ? run->shared : own_input;
        run->image[t] = image;
        run->weights[t] = weights;
        run->sums[t] = sums;
    }
}

static size_t forward_scratch_bytes(const fc_problem *p, const void *packed, int threads) {
    winograd_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, packed, threads);
    return arena.used;
}

/* ---- input ---- */

/* Transforms tiles [begin, end) of one channel line of one tap along depth. */
static void transform_input(const winograd_run *run, int64_t begin, int64_t end, int64_t channel_line, char *dst,
                            char *buffer) {
    const fc_problem *p = run->p;
    const int64_t depth = channel_line / run->lines, first = channel_line % run->lines * run->line_channels;
    const fc_winograd_source source = {&p->x,
                                       p->in_size,
                                       run->tiling.form.window,
                                       run->tiling.form.first_input,
                                       run->tiling.form.advance,
                                       run->tiling.form.phases,
                                       p->kernels->winograd[run->tiling.form.id].input,
                                       depth + p->offset[0],
                                       first,
                                       fc_min(run->line_channels, run->channels - first)};
    fc_winograd_transform(&run->tiling, &source, begin, end, (fc_winograd_lines){dst, run->element_step, LINE}, buffer);
}

/* ---- sums ---- */

/* Which element of the input an element of the products is made of. */
static int64_t input_element(const fc_winograd_form *form, int64_t element) {
    if (form->input_elements == form->elements)
        return element;
    return element / form->reach[2] % form->inputs[1] * form->inputs[2] + element % form->reach[2] % form->inputs[2];
}

/* Sums of all tiles of a block for one panel, over the channels of one chunk. input: of a tap along depth. */
static void multiply(const winograd_run *run, int64_t tiles, const char *input, const char *weights, int64_t first,
                     int64_t channels, ptrdiff_t line, int accumulate, char *sums) {
    const fc_kernels *kernels = run->p->kernels;
    const ptrdiff_t item = kernels->itemsize, step = fc_winograd_weight_step(channels, line),
                    sums_step = (run->block | 1) * line;
    const int vectors = (int)(line / item / kernels->lanes);
    const int64_t groups = fc_ceil_div(tiles, kernels->tile_rows); /* of nearly equal size */
    const fc_winograd_chunk chunk = {channels, run->filters.sum, first % run->line_channels, run->line_step,
                                     line / groups};
    input += first / run->line_channels * run->line_step;
    for (int64_t element = 0; element < run->tiling.form.elements; ++element) {
        const char *tile = input + input_element(&run->tiling.form, element) * run->element_step;
        for (int64_t g = 0; g < groups; ++g) {
            const int64_t begin = tiles * g / groups, rows = tiles * (g + 1) / groups - begin;
            kernels->winograd_tile[rows - 1][vectors - 1](&chunk, tile + begin * LINE, weights, sums + begin * line,
                                                          accumulate, weights + step + channels * line * g / groups);
        }
        weights += step;
        sums += sums_step;
    }
}

/* The same of a few tiles, over the channels of one sum. */
static void multiply_few(const winograd_run *run, const char *input, int64_t group, int64_t panel, int64_t depth,
                         int64_t first, int64_t channels, int accumulate, char *room, char *sums) {
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t vector = kernels->lanes * kernels->itemsize;
    const int64_t most = fc_winograd_filters_at_once(p), at = group * run->tiling.form.channels + first;
    const fc_winograd_chunk chunk = {channels, channels, at % run->line_channels, run->line_step, 0};
    fc_winograd_filters f;
    input += at / run->line_channels * run->line_step;
    fc_winograd_find_filters(&f, p, group, panel, depth, room);
    for (int64_t c = 0; c < channels; c += most)
        fc_winograd_gather_filters(&f, first + c, fc_min(most, channels - c), c);
    for (ptrdiff_t v = 0; v < f.line; v += vector)
        kernels->winograd_few(&chunk, input, f.first_tap + v, f.axis[2], sums + v, f.line, accumulate);
}

/* ---- output ---- */

/* Taps of an axis that meet the image at an output position, and the pixels that they meet, one after the other. */
typedef struct met_taps {
    int64_t tap, pixel, count, next_tap, next_pixel;
} met_taps;

static met_taps meeting(const fc_problem *p, int axis, int64_t position) {
    if (!p->transposed) {
        const fc_range taps = fc_valid_taps(p, axis, position);
        return (met_taps){taps.begin, position * p->stride[axis] + p->offset[axis] + taps.begin, taps.end - taps.begin,
                          1, 1};
    }
    const int64_t stride = p->stride[axis], at = position - p->offset[axis]; /* tap 0 of pixel 0 makes 0 */
    met_taps met = {at % stride, at / stride, 0, stride, -1};
    while (met.pixel >= p->in_size[axis]) {
        met.tap += stride;
        --met.pixel;
    }
    while (met.tap + met.count * stride < p->kernel[axis] && met.pixel >= met.count)
        ++met.count;
    return met;
}

/* Offsets of some channels' pixels, and of their taps; returns their number. */
static ptrdiff_t fill_meeting(const fc_problem *p, const fc_winograd_filters *f, const met_taps *down,
                              const met_taps *across, int64_t channels, ptrdiff_t *pixels, ptrdiff_t *taps) {
    ptrdiff_t count = 0;
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = 0; i < down->count; ++i)
            for (int64_t j = 0; j < across->count; ++j, ++count) {
                pixels[count] = c * p->x.channel + (down->pixel + i * down->next_pixel) * p->x.axis[1] +
                                (across->pixel + j * across->next_pixel) * p->x.axis[2];
                taps[count] = c * f->channel_step + (down->tap + i * down->next_tap) * f->axis[1] +
                              (across->tap + j * across->next_tap) * f->axis[2];
            }
    return count;
}

/* One tile by plain sums of the taps that meet the image: what Winograd's sums cannot hold. */
static void plain_tile(const winograd_run *run, const fc_winograd_segment *s, int64_t tile, int64_t group,
                       int64_t panel, char *dst, ptrdiff_t row_step) {
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const fc_range depths = fc_valid_taps(p, 0, s->depth);
    const int64_t *edge = run->tiling.form.edge, *first = run->tiling.form.first_output;
    const int64_t top = s->row * edge[1] + first[1], left = (s->column + tile) * edge[2] + first[2];
    ptrdiff_t oa[FC_WINOGRAD_ALL_TAPS], ob[FC_WINOGRAD_ALL_TAPS];
    fc_winograd_filters f;
    const int64_t most = fc_winograd_filters_at_once(p), parts = fc_ceil_div(p->in_channels, most);
    for (int64_t part = 0; part < (depths.end - depths.begin) * parts; ++part) {
        const int64_t depth = depths.begin + part / parts, c = part % parts * most;
        const int64_t channels = fc_min(most, p->in_channels - c);
        const char *plane = p->x.data + s->n * p->x.batch + group * p->x.group + c * p->x.channel +
                            (s->depth * p->stride[0] + depth + p->offset[0]) * p->x.axis[0];
        fc_winograd_find_filters(&f, p, group, panel, depth, NULL);
        fc_winograd_gather_filters(&f, c, channels, 0);
        const ptrdiff_t vectors = f.line / kernels->itemsize / kernels->lanes;
        for (int64_t row = fc_max(top, 0); row < fc_min(top + edge[1], p->out_size[1]); ++row)
            for (int64_t column = fc_max(left, 0); column < fc_min(left + edge[2], p->out_size[2]); ++column) {
                const met_taps down = meeting(p, 1, row), across = meeting(p, 2, column);
                const ptrdiff_t terms = fill_meeting(p, &f, &down, &across, channels, oa, ob);
                char *to = dst + (row - top) * row_step + (tile * edge[2] + column - left) * f.line;
                kernels->gemm_tile[0][vectors - 1](terms, &plane, oa, f.first_tap, ob, to, f.line, part > 0, NULL);
            }
    }
}

/* Transforms the sums of a block back, and stores what lies within the output. */
static void finish_block(const winograd_run *run, int64_t begin, int64_t end, int64_t group, int64_t panel,
                         const char *sums, char *buffer) {
    const fc_problem *p = run->p;
    const fc_winograd_form *form = &run->tiling.form;
    const int64_t *edge = form->edge;
    const fc_winograd_output_fn output = p->kernels->winograd[form->id].output;
    const ptrdiff_t item = p->kernels->itemsize, line = fc_winograd_panel_line(p, panel);
    const fc_range out = fc_winograd_panel_channels(p, panel);
    const int64_t first = out.begin, channels = out.end - first;
    fc_finish finish = p->finish;
    if (finish.bias)
        finish.bias += (group * p->out_channels + first) * finish.bias_stride;
    for (int64_t tile = begin; tile < end;) {
        const fc_winograd_segment s = fc_winograd_segment_at(&run->tiling, tile, end);
        const ptrdiff_t row_step = s.count * edge[2] * line;
        const ptrdiff_t output_step = form->axes == 1 && edge[2] > 1 ? line : row_step;
        for (int64_t i = 0; i < s.count; ++i, sums += line)
            if (!output(buffer + i * edge[2] * line, output_step, sums, (run->block | 1) * line, line))
                plain_tile(run, &s, i, group, panel, buffer, row_step);
        const int64_t top = s.row * edge[1] + form->first_output[1], left = s.column * edge[2] + form->first_output[2];
        const int64_t above = fc_max(-top, 0), before = fc_max(-left, 0); /* what lies before the output */
        const int64_t rows = fc_min(edge[1], p->out_size[1] - top);
        const int64_t columns = fc_max(fc_min(s.count * edge[2], p->out_size[2] - left) - before, 0);
        p->kernels->finish_columns(buffer, line, fc_max(rows, 0) * s.count * edge[2], channels, &finish);
        char *y = p->y.data + s.n * p->y.batch + group * p->y.group + s.depth * p->y.axis[0] + first * p->y.channel +
                  top * p->y.axis[1] + (left + before) * p->y.axis[2];
        for (int64_t r = above; r < rows; ++r)
            p->kernels->copy_matrix((fc_matrix){y + r * p->y.axis[1], p->y.axis[2], p->y.channel},
                                    (fc_matrix){buffer + r * row_step + before * line, line, item}, columns, channels);
        tile += s.count;
    }
}

static void panel_of_block(const winograd_run *run, int64_t begin, int64_t end, int64_t group, int64_t panel,
                           const char *input, int thread) {
    const fc_problem *p = run->p;
    const ptrdiff_t line = fc_winograd_panel_line(p, panel);
    const int64_t size = run->few ? run->filters.sum : run->filters.chunk;
    const int64_t chunks = fc_ceil_div(run->tiling.form.channels, size);
    for (int64_t chunk = 0; chunk < p->kernel[0] * chunks; ++chunk) {
        const int64_t depth = chunk / chunks, c = chunk % chunks * size;
        const int64_t channels = fc_min(size, run->tiling.form.channels - c);
        const char *of_depth = input + depth * run->lines * run->line_step;
        if (run->few) {
            multiply_few(run, of_depth, group, panel, depth, c, channels, chunk > 0, run->weights[thread],
                         run->sums[thread]);
            continue;
        }
        const char *weights = run->weights[thread];
        if (run->packed)
            weights = run->packed + fc_winograd_weights_offset(&run->filters, group, panel, depth, c);
        else
            fc_winograd_transform_filters(&run->filters, group, panel, depth, c, channels, run->weights[thread]);
        multiply(run, end - begin, of_depth, weights, group * run->tiling.form.channels + c, channels, line, chunk > 0,
                 run->sums[thread]);
    }
    finish_block(run, begin, end, group, panel, run->sums[thread], run->image[thread]);
}

/* ---- tasks ---- */

static void line_task(void *context, int64_t channel_line, int thread) {
    const winograd_run *run = context;
    char *dst = run->shared + channel_line * run->line_step;
    transform_input(run, 0, run->tiling.tiles, channel_line, dst, run->image[thread]);
    for (int64_t element = 0; run->few && element < run->tiling.form.elements; ++element) /* tiles that are missing */
        memset(dst + element * run->element_step + run->tiling.tiles * LINE, 0,
               (size_t)((run->block - run->tiling.tiles) * LINE));
}

static void panel_task(void *context, int64_t task, int thread) {
    const winograd_run *run = context;
    panel_of_block(run, 0, run->tiling.tiles, task / run->filters.panels, task % run->filters.panels, run->shared,
                   thread);
}

static void block_task(void *context, int64_t block, int thread) {
    const winograd_run *run = context;
    const int64_t begin = block * run->block, end = fc_min(begin + run->block, run->tiling.tiles);
    for (int64_t i = 0; i < run->p->kernel[0] * run->lines; ++i)
        transform_input(run, begin, end, i, run->input[thread] + i * run->line_step, run->image[thread]);
    for (int64_t task = 0; task < run->p->groups * run->filters.panels; ++task)
        panel_of_block(run, begin, end, task / run->filters.panels, task % run->filters.panels, run->input[thread],
                       thread);
}

static void forward(const fc_problem *p, const void *packed, void *scratch, int threads) {
    winograd_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, packed, threads);
    if (run.blocks == 1) {
        fc_parallel(p->kernel[0] * run.lines, threads, line_task, &run);
        fc_parallel(p->groups * run.filters.panels, threads, panel_task, &run);
        return;
    }
    if (!packed) {
        fc_winograd_pack_weights(p, run.own, threads);
        run.packed = run.own;
    }
    fc_parallel(run.blocks, threads, block_task, &run);
}

static size_t packed_bytes(const fc_problem *p) {
    const fc_winograd_weights filters = fc_winograd_weights_of(p);
    return (size_t)fc_winograd_weights_bytes(&filters);
}

/* The weights of phases are up to 7 times the weights: too much but for first layers. */
static int by_default(const fc_problem *p) {
    const fc_winograd_weights filters = fc_winograd_weights_of(p);
    const int64_t weights = fc_product(fc_product(p->groups * p->out_channels, p->in_channels), fc_taps(p));
    const int64_t most = fc_sum(fc_product(weights, 4 * p->kernels->itemsize), MOST_MORE);
    return filters.form.by_default && (filters.form.phases == 1 || fc_winograd_weights_bytes(&filters) <= most);
}

static double forward_cost(const fc_problem *p) {
    const fc_winograd_tiling tiling = fc_winograd_tile(p, 0);
    const fc_winograd_weights weights = fc_winograd_weights_of(p);
    const fc_winograd_form *form = &weights.form;
    const fc_kernels *kernels = p->kernels;
    const double depths = (double)p->kernel[0], elements = (double)form->elements;
    const double tiles = (double)p->out_size[0] * (double)tiling.rows * (double)tiling.columns;
    const double channels = depths * (double)form->channels, panels = (double)weights.panels;
    const double sums = depths * (double)fc_ceil_div(form->channels, weights.sum);
    const double vectors = (double)fc_ceil_div(p->out_channels, kernels->lanes), out = (double)p->out_channels;
    const int64_t input_lines = fc_ceil_div(p->groups * form->channels * kernels->itemsize, LINE);
    const double lines = depths * (double)input_lines * (double)(LINE / (kernels->lanes * kernels->itemsize));
    const double blocks = (double)blocks_of(&weights, input_lines, (int64_t)tiles, 1);
    const int few = are_few(kernels, form, (int64_t)tiles), phased = form->phases > 1;

    const double input = (phased ? FC_COST_WINOGRAD_PHASED_INPUT : FC_COST_WINOGRAD_INPUT) * lines * tiles *
                         (double)form->input_elements;
    const double output = FC_COST_WINOGRAD_OUTPUT * elements * tiles * vectors;
    const double taps = (phased ? FC_COST_WINOGRAD_PHASED_TAP : FC_COST_WINOGRAD_TAP) * (double)form->taps;
    const double filter = few ? 0 : FC_COST_WINOGRAD_FILTER * elements;
    const double transforms = input + (double)p->groups * (output + (taps + filter) * channels * vectors);

    const double begun = panels * elements * sums * (tiles / kernels->tile_rows + 0.5);
    const double products =
        few ? FC_COST_WINOGRAD_FEW * channels * vectors
            : FC_COST_WINOGRAD_SLOT * elements * tiles * channels * fc_row_slots(p, p->out_channels) +
                  FC_COST_WINOGRAD_TILE * begun;
    const double store = (form->axes == 1 ? FC_COST_WINOGRAD_STORE_ROW : FC_COST_WINOGRAD_STORE) * tiles *
                         (double)(form->edge[1] * form->edge[2]) * out;
    const fc_traffic traffic = fc_traffic_of(p, 0);
    return fc_transform_slots(kernels) * transforms +
           (double)p->groups * (products + FC_COST_WINOGRAD_PANEL * panels * blocks + store) +
           fc_traffic_cost(&traffic);
}

const fc_algorithm fc_winograd_algorithm = {
    .name = "winograd",
    .needs =
        "a kernel of 3x3, 4x4, 5x5 or, along one of height and width, 3, 5 or 7, with stride 1, or 3x3 or 5x5 to 10x10 "
        "with "
        "stride 2 or 9x9 to 14x14 with stride 4, though in grad_input 3x3 or 4x4 with stride 2 alone, and dilation 1",
    .supports = fc_winograd_supports,
    .by_default = by_default,
    .forward_cost = forward_cost,
    .packed_bytes = packed_bytes,
    .pack_weights = fc_winograd_pack_weights,
    .forward_scratch_bytes = forward_scratch_bytes,
    .forward = forward,
    .supports_grad_weight = 1,
    .grad_weight_by_default = fc_winograd_grad_weight_by_default,
    .grad_weight_cost = fc_winograd_grad_weight_cost,
    .grad_weight_scratch_bytes = fc_winograd_grad_weight_scratch_bytes,
    .grad_weight = fc_winograd_grad_weight,
};
