/* Convolution as a matrix product, forward: weights times a matrix of image patches that is never stored whole.
 *
 * Lanes run along output pixels. For one band of pixels and one block of input channels, the image is copied once per
 * tap *column*: a shifted copy whose row pitch is the band's own width, so that the tap rows are mere offsets into it
 * and lanes run on across image rows without a gap. That is kernel-height times less packing than im2col proper (for
 * strides, one copy for each residue of the tap row; for far-spread taps, where copies would hold mostly rows nobody
 * shares, one for each tap). 1x1 layers have no patches: pointwise.c. Panels of pixels pass by all output channels as
 * panel.h says. After Chellapilla, Puri and Simard 2006, blocked as in Goto and van de Geijn 2008.
 * Accumulator: the dtype itself, started anew every block of input channels.
 */
#include "algorithms/algorithm.h"
#include "algorithms/cost.h"
#include "algorithms/dense.h"
#include "algorithms/grad_weight.h"
#include "algorithms/panel.h"
#include "algorithms/pointwise.h"

#include <string.h>

enum {
    FEW_TERMS = 160,
    REDUCTION = 512,
    LEAST_REDUCTION = 128,
    BAND_PIXELS = 960,
    NARROWEST = 128,
    BAND_BYTES = 512 << 10
};

typedef struct im2col_run {
    const fc_problem *p;
    int threads;
    int64_t taps;
    int64_t block; /* input channels of one reduction block */
    int64_t rows, columns, row_bands, column_bands;
    int64_t shared_rows; /* 1: the tap rows of one residue share a copy */
    int64_t residues;    /* copies of one channel, depth tap and column tap */
    int64_t halo;        /* rows a copy holds beyond those of the band */
    int64_t pitch;       /* elements between copies */
    int64_t rest;        /* most pixels of a band that fill no vector */
    int64_t panel_rows;  /* output channels whose weights stay in L2 */
    int64_t out_blocks, out_block;
    ptrdiff_t *weight_offsets;
    ptrdiff_t **copy_offsets; /* a thread each, */
    fc_panel_room *rooms;
    char **copies;
} im2col_run;

static int64_t copies_a_channel(const im2col_run *run) { return run->p->kernel[0] * run->residues * run->p->kernel[2]; }

/* A pitch that is whole lines, leaves room for the rest of a last vector, and is no multiple of 4096 bytes, which would
 * put every copy into the same cache sets. */
static int64_t copy_pitch(const im2col_run *run) {
    const int64_t item = run->p->kernels->itemsize, line = 64 / item;
    int64_t pitch = fc_round_up((run->rows + run->halo) * run->columns + run->p->kernels->lanes - 1, line);
    while (pitch * item % 4096 < 128)
        pitch += line;
    return pitch;
}

/* Elements that the copies of one block of channels take. */
static int64_t block_elements(const im2col_run *run) {
    return fc_product(run->block, fc_product(copies_a_channel(run), run->pitch));
}

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Bands, blocks and copies follow from the geometry of one image alone. */
static void plan_bands(im2col_run *run) {
    const fc_problem *p = run->p;
    const int64_t oh = p->out_size[1], ow = p->out_size[2];
    const int64_t spread = (p->kernel[1] - 1) * p->dilation[1] / p->stride[1];
    const int64_t period = p->stride[1] / greatest_common_divisor(p->stride[1], p->dilation[1]);
    run->taps = fc_taps(p);
    run->block = fc_channel_block(p->in_channels, run->taps, REDUCTION);
    if (run->block > p->kernels->lanes) /* terms are whole vectors then, too */
        run->block -= run->block % p->kernels->lanes;
    int64_t pixels = BAND_PIXELS;
    for (;;) {
        run->column_bands = ow <= pixels / 2 ? 1 : fc_ceil_div(ow, fc_max(pixels / 4, NARROWEST));
        run->columns = fc_ceil_div(ow, run->column_bands);
        run->column_bands = fc_ceil_div(ow, run->columns);
        run->rows = fc_min(oh, fc_max(pixels / run->columns, 1));
        run->row_bands = fc_ceil_div(oh, run->rows);
        run->rows = fc_ceil_div(oh, run->row_bands); /* even bands */
        run->row_bands = fc_ceil_div(oh, run->rows);
        run->shared_rows = spread <= 2 * run->rows;
        run->residues = run->shared_rows ? fc_min(period, p->kernel[1]) : p->kernel[1];
        run->halo = run->shared_rows ? spread : 0;
        run->pitch = copy_pitch(run);
        if (block_elements(run) <= BAND_BYTES / p->kernels->itemsize)
            break;
        if (run->block * run->taps >= 2 * LEAST_REDUCTION && run->block > 1)
            run->block = fc_channel_block(p->in_channels, 1, run->block / 2);
        else if (pixels > 2 * NARROWEST)
            pixels /= 2;
        else
            break;
    }
}

static void lay_out(im2col_run *run, fc_arena *arena, const fc_problem *p, int threads) {
    run->p = p;
    run->threads = threads;
    plan_bands(run);
    const size_t item = (size_t)p->kernels->itemsize;
    const int64_t terms = run->block * run->taps;
    run->rest = fc_min(p->kernels->lanes - 1, run->rows * run->columns);
    run->panel_rows = fc_panel_rows(p, terms);
    /* Where lines of all output channels would drive one another out of L1 half written, and the few terms are soon read
     * again: some channels at a time, along the band. */
    const int64_t fit = fc_lines_that_fit(p->y.channel);
    if (terms <= FEW_TERMS && p->out_channels > (terms > FEW_TERMS / 2 ? fit : 4 * fit))
        run->panel_rows = fc_min(run->panel_rows, 2 * p->kernels->tile_rows);
    run->weight_offsets = fc_arena_take(arena, terms, sizeof(ptrdiff_t));
    run->copy_offsets = fc_arena_take(arena, threads, sizeof(ptrdiff_t *));
    run->rooms = fc_arena_take(arena, threads, sizeof(fc_panel_room));
    run->copies = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        ptrdiff_t *copy_offsets = fc_arena_take(arena, terms, sizeof(ptrdiff_t));
        char *copies = fc_arena_take(arena, block_elements(run), item);
        const fc_panel_room room = fc_panel_take_room(arena, p, run->panel_rows, terms, run->rest);
        if (!arena->base)
            continue;
        run->copy_offsets[t] = copy_offsets;
        run->copies[t] = copies;
        run->rooms[t] = room;
    }
}

static size_t forward_scratch_bytes(const fc_problem *p, const void *packed, int threads) {
    (void)packed;
    if (fc_dense_supports(p))
        return 0;
    if (fc_pointwise_supports(p))
        return fc_pointwise_scratch_bytes(p, threads);
    im2col_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, p, threads);
    return arena.used;
}

typedef struct band { /* output pixels of one image and depth: rows x columns, row-major */
    const char *image;
    int64_t depth, row, rows, column, columns, pixels;
} band;

/* A shifted copy, of any channel: where its first element lies in a plane, and what zeros lie around. */
typedef struct shifted_copy {
    ptrdiff_t first;
    fc_padded_copy copy;
} shifted_copy;

/* rows x columns of input elements, `stride` apart, from (row, column) on. */
static shifted_copy shifted_at(const fc_problem *p, int64_t row, int64_t column, int64_t rows, int64_t columns) {
    const int64_t sh = p->stride[1], sw = p->stride[2];
    const int64_t r0 = fc_min(fc_max(fc_ceil_div(-row, sh), 0), rows);
    const int64_t r1 = fc_max(fc_min(fc_ceil_div(p->in_size[1] - row, sh), rows), r0);
    const int64_t c0 = fc_min(fc_max(fc_ceil_div(-column, sw), 0), columns);
    const int64_t c1 = fc_max(fc_min(fc_ceil_div(p->in_size[2] - column, sw), columns), c0);
    const ptrdiff_t line = columns * p->kernels->itemsize;
    shifted_copy shifted = {
        .first = (row + r0 * sh) * p->x.axis[1] + (column + c0 * sw) * p->x.axis[2],
        .copy = {.dst_row = line,
                 .src_row = sh * p->x.axis[1],
                 .src_column = sw * p->x.axis[2],
                 .top = r0,
                 .rows = r1 - r0,
                 .bottom = rows - r1,
                 .before = c0,
                 .count = c1 - c0,
                 .width = columns},
    };
    if (c0 == 0 && c1 == columns && shifted.copy.src_column == p->kernels->itemsize && shifted.copy.src_row == line) {
        shifted.copy.top = shifted.copy.bottom = 0; /* one run */
        shifted.copy.rows = 1;
        shifted.copy.before = r0 * columns;
        shifted.copy.count = (r1 - r0) * columns;
        shifted.copy.width = rows * columns;
    }
    return shifted;
}

/* All copies of some channels; where that of a tap begins and ends is the same for each of them. */
static void make_copies(const im2col_run *run, const band *b, int64_t channel, int64_t channels, char *copies) {
    enum { TOGETHER = 16 }; /* copies made of one channel, while its plane is in L1 */
    const fc_problem *p = run->p;
    const ptrdiff_t bytes = run->pitch * p->kernels->itemsize;
    const int64_t rows = b->rows + run->halo, all = run->residues * p->kernel[2];
    shifted_copy shifted[TOGETHER];
    for (int64_t first = 0; first < all; first += TOGETHER) {
        const int64_t count = fc_min(TOGETHER, all - first);
        for (int64_t i = 0; i < count; ++i) {
            /* With shared rows copy r starts at the residue of tap row r, else at tap row r itself. */
            const int64_t r = (first + i) / p->kernel[2], w = (first + i) % p->kernel[2];
            const int64_t shift = run->shared_rows ? r * p->dilation[1] % p->stride[1] : r * p->dilation[1];
            shifted[i] = shifted_at(p, b->row * p->stride[1] + shift + p->offset[1],
                                    b->column * p->stride[2] + w * p->dilation[2] + p->offset[2], rows, b->columns);
        }
        for (int64_t plane = 0; plane < channels * p->kernel[0]; ++plane) {
            const int64_t c = plane / p->kernel[0], d = plane % p->kernel[0];
            const int64_t depth = b->depth * p->stride[0] + d * p->dilation[0] + p->offset[0];
            const char *src = b->image + (channel + c) * p->x.channel + depth * p->x.axis[0];
            char *dst = copies + (plane * all + first) * bytes;
            if (depth < 0 || depth >= p->in_size[0]) {
                memset(dst, 0, (size_t)(count * bytes));
                continue;
            }
            for (int64_t i = 0; i < count; ++i, dst += bytes) {
                shifted[i].copy.dst = dst;
                shifted[i].copy.src = src + shifted[i].first;
                p->kernels->copy_padded(&shifted[i].copy);
            }
        }
    }
}

/* Zeros behind all copies that a band may have: the rest of a last vector. */
static void clear_ends(const im2col_run *run, const band *b, char *copies) {
    const ptrdiff_t item = run->p->kernels->itemsize;
    copies += (b->rows + run->halo) * b->columns * item;
    for (int64_t i = 0; i < run->block * copies_a_channel(run); ++i)
        memset(copies + i * run->pitch * item, 0, (size_t)((run->p->kernels->lanes - 1) * item));
}

static void fill_copy_offsets(const im2col_run *run, ptrdiff_t *table, int64_t columns) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize, bytes = run->pitch * item;
    ptrdiff_t count = 0;
    for (int64_t c = 0; c < run->block; ++c)
        for (int64_t d = 0; d < p->kernel[0]; ++d)
            for (int64_t h = 0; h < p->kernel[1]; ++h) {
                /* Residues of the tap rows repeat with the period that `residues` is, so h names its copy. */
                const int64_t copy = ((c * p->kernel[0] + d) * run->residues + h % run->residues) * p->kernel[2];
                const int64_t down = run->shared_rows ? h * p->dilation[1] / p->stride[1] : 0;
                for (int64_t w = 0; w < p->kernel[2]; ++w)
                    table[count++] = (copy + w) * bytes + down * columns * item;
            }
}

static void forward_task(void *context, int64_t task, int thread) {
    const im2col_run *run = context;
    const fc_problem *p = run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize;

    const int64_t out_block = task % run->out_blocks;
    task /= run->out_blocks;
    const int64_t column_band = task % run->column_bands;
    task /= run->column_bands;
    const int64_t row_band = task % run->row_bands;
    task /= run->row_bands;
    const int64_t depth = task % p->out_size[0];
    task /= p->out_size[0];
    const int64_t group = task % p->groups, n = task / p->groups;

    band b = {.depth = depth, .row = row_band * run->rows, .column = column_band * run->columns};
    b.image = p->x.data + n * p->x.batch + group * p->x.group;
    b.rows = fc_min(run->rows, p->out_size[1] - b.row);
    b.columns = fc_min(run->columns, p->out_size[2] - b.column);
    b.pixels = b.rows * b.columns;

    const int64_t k_begin = out_block * run->out_block, k_end = fc_min(k_begin + run->out_block, p->out_channels);
    ptrdiff_t *lane_offsets = run->copy_offsets[thread];
    char *copies = run->copies[thread];
    fill_copy_offsets(run, lane_offsets, b.columns);
    fc_panel panel = {.p = p, .room = run->rooms[thread], .group = group};
    panel.window = (fc_window){b.row, b.column, b.columns, 0};
    panel.window.flat = b.rows == 1 || (b.columns == p->out_size[2] && p->y.axis[1] == b.columns * p->y.axis[2]);
    panel.plane = p->y.data + n * p->y.batch + group * p->y.group + depth * p->y.axis[0];
    panel.weight_offsets = run->weight_offsets;
    panel.lane_offsets = lane_offsets;
    const int64_t rest = fc_panel_dotted(p, b.pixels, fc_ceil_div(p->in_channels, run->block));
    const int64_t whole = b.pixels - rest;
    clear_ends(run, &b, copies);

    for (int64_t c = 0; c < p->in_channels; c += run->block) {
        const int64_t channels = fc_min(run->block, p->in_channels - c);
        panel.terms = channels * run->taps;
        panel.first = c == 0;
        panel.last = c + channels == p->in_channels;
        make_copies(run, &b, c, channels, copies);
        for (int64_t i = 0; i < rest; ++i) {
            const char *pixel = copies + (whole + i) * item;
            char *line = panel.room.rest + i * panel.room.line;
            memset(line, 0, (size_t)panel.room.line);
            kernels->gather_lanes(line, item, 1, &pixel, 1, lane_offsets, panel.terms);
        }
        for (int64_t k = k_begin; k < k_end; k += run->panel_rows) {
            panel.out_channels = (fc_range){k, fc_min(k + run->panel_rows, k_end)};
            fc_panel_take_weights(&panel, c, channels);
            for (int64_t pixel = 0, pixels; pixel < whole; pixel += pixels) {
                pixels =
                    kernels->lanes * fc_even_part(fc_ceil_div(whole - pixel, kernels->lanes), kernels->tile_vectors);
                pixels = fc_min(pixels, whole - pixel);
                fc_panel_sums(&panel, copies + pixel * item, pixel, pixels);
            }
            if (rest > 0)
                fc_panel_rest(&panel, whole, rest);
        }
    }
}

static void forward(const fc_problem *p, const void *packed, void *scratch, int threads) {
    (void)packed;
    if (fc_dense_supports(p)) {
        fc_dense_forward(p, threads);
        return;
    }
    if (fc_pointwise_supports(p)) {
        fc_pointwise_forward(p, scratch, threads);
        return;
    }
    im2col_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, p, threads);
    /* Too few bands for the threads: output channels are divided too, each part makes its own copies. */
    const int64_t bands = p->batch * p->groups * p->out_size[0] * run.row_bands * run.column_bands;
    const int64_t parts = bands >= 2 * threads ? 1 : fc_ceil_div(2 * threads, bands);
    run.out_block = fc_round_up(fc_ceil_div(p->out_channels, threads > 1 ? parts : 1), p->kernels->tile_rows);
    run.out_blocks = fc_ceil_div(p->out_channels, run.out_block);
    fc_panel_weight_offsets(p, run.block, run.weight_offsets);
    fc_parallel(bands * run.out_blocks, threads, forward_task, &run);
}

static size_t packed_bytes(const fc_problem *p) {
    (void)p;
    return 0;
}

static void pack_weights(const fc_problem *p, void *packed, int threads) {
    (void)p;
    (void)packed;
    (void)threads;
}

static double row_copy_cost(const fc_problem *p, double columns, double beyond_l3) {
    const int64_t stride = p->stride[2];
    if (fc_channels_last(p, &p->x)) {
        double copy = stride > 1 ? FC_COST_COPY_TRANSPOSED_STRIDED : FC_COST_COPY_TRANSPOSED;
        if (columns > (double)fc_lines_that_fit(stride * p->x.axis[2])) /* each line is read once a channel */
            copy += FC_COST_COPY_CONFLICT;
        return (copy + beyond_l3 * FC_COST_COPY_TRANSPOSED_FAR) * columns;
    }
    const double copy = stride > 2 ? FC_COST_COPY_STRIDED : stride == 2 ? FC_COST_COPY_EVEN : FC_COST_COPY;
    return copy * columns + FC_COST_COPY_ROW;
}

static double forward_cost(const fc_problem *p) {
    if (fc_dense_supports(p))
        return fc_dense_cost(p);
    if (fc_pointwise_supports(p))
        return fc_pointwise_cost(p);
    im2col_run run = {.p = p};
    plan_bands(&run);
    const double bands = (double)(p->out_size[0] * run.row_bands * run.column_bands);
    const double copies = (double)copies_a_channel(&run) * (double)p->in_channels;
    const double rows = copies * (double)(run.rows + run.halo);
    const double sums = fc_panel_cost(p, run.rows * run.columns, fc_ceil_div(p->in_channels, run.block), 1);
    const fc_traffic traffic = fc_traffic_of(p, 1);
    return fc_traffic_cost(&traffic) + (double)p->groups * bands *
                                           (sums + row_copy_cost(p, (double)run.columns, traffic.beyond_l3) * rows +
                                            FC_COST_COPY_START * copies + FC_COST_IM2COL_BAND);
}

const fc_algorithm fc_im2col_algorithm = {
    .name = "im2col",
    .exact = 1,
    .needs = "nothing",
    .supports = fc_supports_all,
    .supports_grad_weight = 1,
    .forward_cost = forward_cost,
    .packed_bytes = packed_bytes,
    .pack_weights = pack_weights,
    .forward_scratch_bytes = forward_scratch_bytes,
    .forward = forward,
    .grad_weight_cost = fc_im2col_grad_weight_cost,
    .grad_weight_scratch_bytes = fc_im2col_grad_weight_scratch_bytes,
    .grad_weight = fc_im2col_grad_weight,
};
