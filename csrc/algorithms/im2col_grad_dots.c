/* Gradient of the weights of few channels, as dot products along pixels.
 *
 * Where a group has few input channels and filters, a panel of lanes that are taps or channels is mostly empty, and
 * gathering it takes longer than its sums. Here lanes run along output pixels in both operands: rows of a tile are
 * (input channel, tap) pairs, in shifted copies of the image (shifted_copies.h), columns are planes of grad_output where
 * they lie. Each sum is folded across its lanes once a band of pixels; bands, their depths and the batch follow in that
 * order, whatever the threads. Accumulator: the dtype itself, a lane each, started anew every band.
 */
#include "algorithms/cost.h"
#include "algorithms/grad_weight.h"
#include "algorithms/shifted_copies.h"

#include <string.h>

enum { BAND_PIXELS = 1024, MOST_PIXELS = 1536, NARROW = 256, COPY_BYTES = 256 << 10, MOST_VECTOR = 64 };
enum { MOST_COPY_BYTES = 1 << 20 }; /* of one channel: with very many taps it would be more */

typedef struct dots_run {
    const fc_problem *p;
    int64_t columns, column_bands; /* of a row, if it is too long for one band; else bands are so many */
    int64_t pixels, bands;         /* pixels of an image in order, and all bands of one depth */
    fc_copies copies;
    int64_t blocks, out_block, out_blocks; /* of input channels, of filters */
    ptrdiff_t *offsets;                    /* of the pairs of a block: rows of `columns`, */
    ptrdiff_t *last_offsets;               /* of the last column band */
    char **room_of_copies, **sums, **rests;
} dots_run;

/* Bands follow from the geometry alone. They are whole vectors where rows are narrow: the rows that two of them share are
 * copied twice. */
static void plan_bands(dots_run *run) {
    const fc_problem *p = run->p;
    const int64_t oh = p->out_size[1], ow = p->out_size[2];
    run->columns = ow <= MOST_PIXELS ? ow : BAND_PIXELS;
    run->column_bands = fc_ceil_div(ow, run->columns);
    run->pixels = ow <= NARROW ? BAND_PIXELS : fc_max(BAND_PIXELS / ow, 1) * ow;
    run->bands = run->column_bands > 1 ? oh * run->column_bands : fc_ceil_div(fc_product(oh, ow), run->pixels);
    const int64_t across = ow <= NARROW ? run->pixels + ow - 1 : run->pixels; /* where a band may begin within a row */
    const int64_t rows = run->column_bands > 1 ? 1 : fc_min(fc_ceil_div(across, ow), oh);
    int64_t channels = p->in_channels;
    for (;;) {
        run->copies = fc_copies_of(p, channels, rows, run->columns);
        if (channels == 1 || fc_copies_elements(&run->copies) <= COPY_BYTES / p->kernels->itemsize)
            break;
        channels = fc_ceil_div(channels, 2);
    }
}

/* Where images are planes of which each lies in a row. */
int fc_grad_dots_support(const fc_problem *p) {
    dots_run run = {.p = p};
    plan_bands(&run);
    if (fc_copies_elements(&run.copies) > MOST_COPY_BYTES / p->kernels->itemsize)
        return 0;
    ptrdiff_t step = p->kernels->itemsize;
    for (int axis = FC_SPATIAL - 1; axis > 0; --axis) {
        if (p->out_size[axis] > 1 && p->y.axis[axis] != step)
            return 0;
        step *= p->out_size[axis];
    }
    return 1;
}

static void lay_out(dots_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    const size_t item = (size_t)p->kernels->itemsize;
    run->p = p;
    plan_bands(run);
    run->blocks = fc_ceil_div(p->in_channels, run->copies.channels);
    run->out_block = fc_grad_weight_block(p->out_channels, p->out_channels, p->groups * run->blocks, threads,
                                          p->kernels->tile_vectors);
    run->out_blocks = fc_ceil_div(p->out_channels, run->out_block);
    const int64_t pairs = run->copies.channels * fc_taps(p);
    run->offsets = fc_arena_take(arena, pairs, sizeof(ptrdiff_t));
    run->last_offsets = fc_arena_take(arena, pairs, sizeof(ptrdiff_t));
    run->room_of_copies = fc_arena_take(arena, threads, sizeof(char *));
    run->sums = fc_arena_take(arena, threads, sizeof(char *));
    run->rests = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *copies = fc_arena_take(arena, fc_copies_elements(&run->copies), item);
        char *sums = fc_arena_take(arena, pairs * run->out_block, item);
        char *rests = fc_arena_take(arena, run->out_block * p->kernels->lanes, item);
        if (!arena->base)
            continue;
        run->room_of_copies[t] = copies;
        run->sums[t] = sums;
        run->rests[t] = rests;
    }
}

size_t fc_grad_dots_scratch_bytes(const fc_problem *p, int threads) {
    dots_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

/* A vector that begins with `count` elements and goes on with zeros. */
static const char *filled_up(char *dst, const char *src, ptrdiff_t count, ptrdiff_t lanes, ptrdiff_t item) {
    memset(dst, 0, (size_t)(lanes * item));
    return memcpy(dst, src, (size_t)(count * item));
}

/* Adds the products of a band: of `pairs` pairs at `offsets` in the copies, and of planes from y on. */
static void add_band(const dots_run *run, int64_t pixels, int64_t pairs, const ptrdiff_t *offsets, const char *copies,
                     const char *y, int64_t outputs, char *sums, char *y_rest, int accumulate) {
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, line = run->out_block * item, vector = kernels->lanes * item;
    const int64_t rest = pixels % kernels->lanes, whole = pixels - rest;
    _Alignas(MOST_VECTOR) char x_rest[FC_MAX_TILE_ROWS * MOST_VECTOR];
    for (int64_t k = 0; rest > 0 && k < outputs; ++k)
        filled_up(y_rest + k * vector, y + k * p->y.channel + whole * item, rest, kernels->lanes, item);
    for (int64_t r = 0, rows; r < pairs; r += rows) {
        rows = fc_even_part(pairs - r, kernels->tile_rows);
        const char *lines[FC_MAX_TILE_ROWS], *rests[FC_MAX_TILE_ROWS];
        for (int64_t m = 0; m < rows; ++m) {
            lines[m] = copies + offsets[r + m];
            if (rest > 0)
                rests[m] = filled_up(x_rest + m * vector, lines[m] + whole * item, rest, kernels->lanes, item);
        }
        for (int64_t k = 0, columns; k < outputs; k += columns) {
            columns = fc_even_part(outputs - k, kernels->tile_vectors);
            char *to = sums + r * line + k * item;
            const fc_dot_tile_fn dot_tile = kernels->dot_tile[rows - 1][columns - 1];
            if (whole > 0)
                dot_tile(whole, lines, y + k * p->y.channel, p->y.channel, to, line, accumulate);
            if (rest > 0)
                dot_tile(rest, rests, y_rest + k * vector, vector, to, line, accumulate || whole > 0);
        }
    }
}

/* before: pixels of its first row that are not its own. */
static fc_band band_of(const dots_run *run, int64_t index, int64_t *before) {
    const fc_problem *p = run->p;
    const int64_t ow = p->out_size[2], at = index % run->bands;
    fc_band band = {.depth = index / run->bands, .columns = ow};
    if (run->column_bands > 1) {
        band.row = at / run->column_bands;
        band.column = at % run->column_bands * run->columns;
        band.columns = band.pixels = fc_min(run->columns, ow - band.column);
        band.rows = 1;
        *before = 0;
        return band;
    }
    const int64_t begin = at * run->pixels, end = fc_min(begin + run->pixels, p->out_size[1] * ow);
    band.row = begin / ow;
    band.rows = fc_ceil_div(end, ow) - band.row;
    band.pixels = end - begin;
    *before = begin - band.row * ow;
    return band;
}

static void dots_task(void *context, int64_t task, int thread) {
    const dots_run *run = context;
    const fc_problem *p = run->p;
    const int64_t block = task % run->blocks, out_block = task / run->blocks % run->out_blocks;
    const int64_t group = task / (run->blocks * run->out_blocks), first = out_block * run->out_block;
    const int64_t outputs = fc_min(run->out_block, p->out_channels - first), channel = block * run->copies.channels;
    const int64_t channels = fc_min(run->copies.channels, p->in_channels - channel);
    char *sums = run->sums[thread], *copies = run->room_of_copies[thread];
    for (int64_t n = 0; n < p->batch; ++n)
        for (int64_t i = 0; i < p->out_size[0] * run->bands; ++i) {
            int64_t before;
            fc_band band = band_of(run, i, &before);
            band.image = p->x.data + n * p->x.batch + group * p->x.group;
            fc_copies_make(&run->copies, &band, channel, channels, copies);
            const char *y = p->y.data + n * p->y.batch + group * p->y.group + first * p->y.channel +
                            band.depth * p->y.axis[0] + band.row * p->y.axis[1] + band.column * p->y.axis[2];
            add_band(run, band.pixels, channels * fc_taps(p),
                     band.columns == run->columns ? run->offsets : run->last_offsets,
                     copies + before * p->kernels->itemsize, y + before * p->kernels->itemsize, outputs, sums,
                     run->rests[thread], n > 0 || i > 0);
        }
    fc_store_pairs(p, p->w.data + group * p->w.group + first * p->w.out + channel * p->w.in, channels, outputs, sums,
                   run->out_block * p->kernels->itemsize);
}

void fc_grad_dots(const fc_problem *p, void *scratch, int threads) {
    dots_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    fc_copies_offsets(&run.copies, run.columns, run.offsets);
    fc_copies_offsets(&run.copies, p->out_size[2] - (run.column_bands - 1) * run.columns, run.last_offsets);
    fc_parallel(p->groups * run.blocks * run.out_blocks, threads, dots_task, &run);
}

/* A vector of the products of all tiles: their multiply-adds, unless their latency or loads take longer; lines of copies
 * mostly lie across two of the cache's. */
static double vector_cost(const fc_kernels *kernels, int64_t pairs, int64_t outputs) {
    const int64_t tiles = fc_ceil_div(pairs, kernels->tile_rows), across = fc_ceil_div(outputs, kernels->tile_vectors);
    double cost = 0;
    for (int i = 0; i < 4; ++i) { /* larger and smaller tiles */
        const int64_t rows = pairs / tiles + i % 2, columns = outputs / across + i / 2;
        const int64_t down = i % 2 ? pairs % tiles : tiles - pairs % tiles;
        const int64_t along = i / 2 ? outputs % across : across - outputs % across;
        cost += (double)(down * along) * (double)fc_max(rows * columns, fc_max(2 * rows + columns, 8));
    }
    return cost;
}

double fc_grad_dots_cost(const fc_problem *p) {
    const fc_kernels *kernels = p->kernels;
    dots_run run = {.p = p};
    plan_bands(&run);
    const fc_traffic traffic = fc_traffic_of(p, 1);
    const int64_t pairs = p->in_channels * fc_taps(p);
    const int64_t pixels = run.column_bands > 1 ? run.columns : fc_min(run.pixels, p->out_size[1] * p->out_size[2]);
    const double bands = (double)p->out_size[0] * (double)run.bands;
    const double calls = (pixels >= kernels->lanes) + (pixels % kernels->lanes > 0);
    const double tiles =
        (double)fc_ceil_div(pairs, kernels->tile_rows) * (double)fc_ceil_div(p->out_channels, kernels->tile_vectors);
    const double sums = vector_cost(kernels, pairs, p->out_channels) * (double)fc_positions(p) / kernels->lanes;
    const double copies = (double)fc_copies_a_channel(&run.copies) * (double)p->in_channels;
    const double row = fc_copied_row_cost(p, (double)run.columns, traffic.beyond_l3);
    return (double)p->groups *
           (FC_COST_GRAD_DOT * sums +
            bands * (FC_COST_GRAD_DOT_TILE * tiles * calls +
                     copies * (FC_COST_COPY_START + row * (double)(run.copies.rows + run.copies.halo))));
}
