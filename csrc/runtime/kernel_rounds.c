/* Kernels alone, on operands that stay in L1: what a kernel engineer times, and what instruction counts are taken of.
 *
 * Each row of LOADS is one kernel on one small problem of COUNT elements or terms, with what it computes and moves.
 * Bytes are those of the operands, read and written once a round.
 */
#include "algorithms/algorithm.h"
#include "fastconv_private.h"

#include <string.h>

enum {
    TERMS = 64,
    COUNT = 1024,
    SQUARE = 32,
    CHANNELS = 16,
    WINOGRAD_TILES = 2,
    BUFFER = 16384
}; /* BUFFER: elements of each operand */

typedef struct operands {
    const fc_kernels *kernels;
    char *a, *b, *c;
    ptrdiff_t offsets[TERMS], lane_offsets[TERMS];
    const char *rows[FC_MAX_TILE_ROWS > SQUARE ? FC_MAX_TILE_ROWS : SQUARE];
    int64_t indices[COUNT];
} operands;

typedef struct kernel_load {
    const char *name;
    void (*run)(operands *o);
    double flops, elements; /* a round; elements read and written */
    int a_lane;             /* 1: these are of one lane of lines of FC_WINOGRAD_LINE bytes */
} kernel_load;

static void run_tile(operands *o, int rows, int vectors) {
    o->kernels->gemm_tile[rows - 1][vectors - 1](TERMS, o->rows, o->offsets, o->b, o->lane_offsets, o->c,
                                                 (ptrdiff_t)vectors * o->kernels->lanes * o->kernels->itemsize, 0,
                                                 NULL);
}

static void run_winograd_tile(operands *o, int rows, int vectors) {
    const fc_winograd_chunk chunk = {TERMS, TERMS, 0, FC_WINOGRAD_LINE, 0};
    o->kernels->winograd_tile[rows - 1][vectors - 1](&chunk, o->a, o->b, o->c, 0, o->b);
}

static void copy_contiguous(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    o->kernels->copy_matrix((fc_matrix){o->c, 0, item}, (fc_matrix){o->a, 0, item}, 1, COUNT);
}

static void copy_transposed(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    o->kernels->copy_matrix((fc_matrix){o->c, item, SQUARE * item}, (fc_matrix){o->a, SQUARE * item, item}, SQUARE,
                            SQUARE);
}

static void copy_even(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    o->kernels->copy_matrix((fc_matrix){o->c, 0, item}, (fc_matrix){o->a, 0, 2 * item}, 1, COUNT);
}

static void gather(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    o->kernels->gather_lanes(o->c, FC_MAX_TILE_ROWS * item, FC_MAX_TILE_ROWS, o->rows, FC_MAX_TILE_ROWS, o->offsets,
                             TERMS);
}

static void finish(operands *o) {
    const fc_finish finish = {.bias = o->b, .bias_stride = 0, .activation = FC_RELU};
    o->kernels->finish_rows(o->c, COUNT / 4 * o->kernels->itemsize, 4, COUNT / 4, &finish);
}

static void add_row(operands *o) { o->kernels->add_row(o->c, o->a, COUNT); }

static void max_row(operands *o) { o->kernels->max_row(o->c, o->a, COUNT); }

static void max_row_indexed(operands *o) { o->kernels->max_row_indexed(o->c, o->indices, o->a, 1, COUNT); }

static void divide_row(operands *o) { o->kernels->divide_row(o->c, o->a, o->b, 4.0, COUNT); }

static void sum_row(operands *o) {
    volatile double sink = o->kernels->sum_row(o->a, o->kernels->itemsize, COUNT);
    (void)sink;
}

static void windows(operands *o, fc_windows_fn fn, ptrdiff_t kernel, ptrdiff_t stride) {
    const fc_windows all = {.dst = o->c,
                            .dst_end = o->c,
                            .src = o->a,
                            .rows = 1,
                            .count = COUNT,
                            .kernel = kernel,
                            .stride = stride,
                            .dilation = 1};
    fn(&all);
}

static void max_2_2(operands *o) { windows(o, o->kernels->windows_larger, 2, 2); }

static void max_3_2(operands *o) { windows(o, o->kernels->windows_larger, 3, 2); }

static void max_3_1(operands *o) { windows(o, o->kernels->windows_larger, 3, 1); }

static void add_3_1(operands *o) { windows(o, o->kernels->windows_add, 3, 1); }

static void interleave(operands *o) {
    const char *const src[] = {o->a, o->b};
    const fc_interleave all = {.dst = o->c, .src = src, .rows = 1, .count = COUNT, .phases = 2, .copies = 1};
    o->kernels->interleave(&all);
}

static void spread_pairs(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    const fc_spread_pairs pairs = {o->c,       o->a,       1,      0,      0,  SQUARE * item, SQUARE / 2 * item,
                                   SQUARE / 2, SQUARE / 2, SQUARE, SQUARE, 4.0};
    o->kernels->spread_pairs(&pairs);
}

static fc_matrix square(const operands *o, char *data) {
    return (fc_matrix){data, SQUARE * o->kernels->itemsize, o->kernels->itemsize};
}

static void add_matrix(operands *o) { o->kernels->add_matrix(square(o, o->c), square(o, o->a), SQUARE, SQUARE); }

static void add_turns(operands *o) {
    const ptrdiff_t row = SQUARE * o->kernels->itemsize;
    o->kernels->add_turns(o->c, row, o->a, o->b, NULL, row / 2, SQUARE, SQUARE / 2);
}

static void argmax_windows(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    const fc_argmax_windows windows = {
        .dst = o->c,
        .indices = o->indices,
        .src = o->a,
        .planes = 1,
        .dst_row = SQUARE / 2 * item,
        .index_row = SQUARE / 2,
        .src_row = SQUARE * item,
        .rows = SQUARE / 2,
        .columns = SQUARE / 2,
        .height = SQUARE,
        .width = SQUARE,
        .kernel = {2, 2},
        .stride = {2, 2},
    };
    volatile int sink = o->kernels->argmax_windows(&windows);
    (void)sink;
}

static void in_windows(operands *o) {
    const fc_windows_apart windows = {o->indices, SQUARE / 2, SQUARE / 2, SQUARE, SQUARE};
    volatile int sink = o->kernels->in_windows(&windows);
    (void)sink;
}

static void gather_apart(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    const fc_windows_apart windows = {o->indices, SQUARE / 2, SQUARE / 2, SQUARE, SQUARE};
    o->kernels->gather_apart(&windows, o->c, SQUARE * item, o->b, SQUARE / 2 * item);
}

static void max_indexed_2_2(operands *o) {
    const ptrdiff_t item = o->kernels->itemsize;
    const fc_max_indexed_row row = {
        .plane = o->a,
        .axis = {0, COUNT * item, item},
        .size = {1, 2, COUNT},
        .first = {0, 0},
        .end = {1, 2},
        .dilation = {1, 1, 1},
        .kernel = 2,
        .stride = 2,
        .count = COUNT / 2,
    };
    o->kernels->max_indexed_row(o->c, item, o->indices, sizeof(int64_t), &row);
}

static void lrn(operands *o, int backward) {
    static const fc_lrn_params PARAMS = {sizeof PARAMS, 5, 5e-4, 0.75, 2.0};
    const fc_lrn_block block = {CHANNELS, COUNT / CHANNELS, &PARAMS};
    const ptrdiff_t pitch = block.pixels * o->kernels->itemsize;
    char *work = o->c + CHANNELS * pitch;
    if (backward)
        o->kernels->lrn_backward(o->c, pitch, o->b, pitch, o->a, pitch, work, &block);
    else
        o->kernels->lrn_forward(o->c, pitch, o->a, pitch, work, &block);
}

static void lrn_forward(operands *o) { lrn(o, 0); }

static void lrn_backward(operands *o) { lrn(o, 1); }

static const fc_winograd_transforms *winograd(const operands *o) {
    return &o->kernels->winograd[FC_WINOGRAD_plane_f4x3];
}

static void winograd_input(operands *o) {
    const char *const *rows = o->rows; /* TERMS elements apart: lines of pixels that overlap */
    winograd(o)->input(o->c, WINOGRAD_TILES * FC_WINOGRAD_LINE, FC_WINOGRAD_LINE, rows, 4 * FC_WINOGRAD_LINE,
                       WINOGRAD_TILES);
}

static void winograd_filter(operands *o) {
    winograd(o)->filter(o->c, FC_WINOGRAD_LINE, o->a, FC_WINOGRAD_LINE, FC_WINOGRAD_LINE);
}

static void winograd_output(operands *o) {
    volatile int sink = winograd(o)->output(o->c, 4 * FC_WINOGRAD_LINE, o->a, FC_WINOGRAD_LINE, FC_WINOGRAD_LINE);
    (void)sink;
}

static const kernel_load LOADS[] = {
    {"copy_matrix contiguous", copy_contiguous, 0, 2 * COUNT, 0},
    {"copy_matrix transposed", copy_transposed, 0, 2 * SQUARE * SQUARE, 0},
    {"copy_matrix every second", copy_even, 0, 2 * COUNT, 0},
    {"gather_lanes", gather, 0, 2 * TERMS * FC_MAX_TILE_ROWS, 0},
    {"finish_rows bias, relu", finish, 2 * COUNT, 2 * COUNT, 0},
    {"add_row", add_row, COUNT, 3 * COUNT, 0},
    {"max_row", max_row, COUNT, 3 * COUNT, 0},
    {"max_row_indexed", max_row_indexed, COUNT, 3 * COUNT, 0},
    {"divide_row", divide_row, 2 * COUNT, 3 * COUNT, 0},
    {"sum_row", sum_row, COUNT, COUNT, 0},
    {"windows_larger 2/2", max_2_2, COUNT, 3 * COUNT, 0},
    {"windows_larger 3/2", max_3_2, 2 * COUNT, 3 * COUNT, 0},
    {"windows_larger 3/1", max_3_1, 2 * COUNT, 2 * COUNT, 0},
    {"windows_add 3/1", add_3_1, 2 * COUNT, 2 * COUNT, 0},
    {"interleave 2", interleave, 0, 2 * COUNT, 0},
    {"spread_pairs", spread_pairs, COUNT / 4, COUNT + COUNT / 4, 0},
    {"add_matrix", add_matrix, COUNT, 3 * COUNT, 0},
    {"add_turns", add_turns, COUNT, 3 * COUNT, 0},
    {"argmax_windows 2x2/2", argmax_windows, COUNT, COUNT + COUNT / 4, 0},
    {"in_windows", in_windows, 0, 0, 0},
    {"gather_apart", gather_apart, 0, SQUARE * SQUARE + SQUARE * SQUARE / 4, 0},
    {"max_indexed_row 2x2/2", max_indexed_2_2, 3 * COUNT / 2, 2 * COUNT + COUNT / 2, 0},
    {"lrn_forward 5", lrn_forward, 17 * COUNT, 2 * COUNT, 0},
    {"lrn_backward 5", lrn_backward, 30 * COUNT, 3 * COUNT, 0},
    /* Of each element of a line: as many one-dimensional transforms, of as many operations; and what goes in and out. */
    {"winograd_input", winograd_input, 12 * 24 * WINOGRAD_TILES, (36 + 36) * WINOGRAD_TILES, 1},
    {"winograd_filter", winograd_filter, 9 * 15, 9 + 36, 1},
    {"winograd_output", winograd_output, 10 * 16, 36 + 16, 1},
};
enum { LOAD_COUNT = sizeof LOADS / sizeof LOADS[0] };

int fc_kernel_loads(int isa, fc_dtype dtype) {
    const fc_kernels *kernels = fc_kernels_for(isa, dtype);
    return kernels ? 2 * kernels->tile_rows * kernels->tile_vectors + LOAD_COUNT : 0;
}

static void fill(operands *o) {
    const double one = 1.0;
    for (int i = 0; i < 3; ++i)
        o->kernels->fill_row(i == 0 ? o->a : i == 1 ? o->b : o->c, one, BUFFER);
    for (int i = 0; i < TERMS; ++i)
        o->offsets[i] = i * o->kernels->itemsize;
    for (int i = 0; i < (int)(sizeof o->rows / sizeof o->rows[0]); ++i)
        o->rows[i] = o->a + i * TERMS * o->kernels->itemsize;
    memset(o->indices, 0, sizeof o->indices);
}

fc_status fc_kernel_rounds(int isa, fc_dtype dtype, int index, int64_t rounds, fc_kernel_load *load) {
    operands o = {.kernels = fc_kernels_for(isa, dtype)};
    if (!o.kernels)
        return FC_UNSUPPORTED;
    if (index < 0 || index >= fc_kernel_loads(isa, dtype))
        return FC_BAD_ARGUMENT;
    const ptrdiff_t item = o.kernels->itemsize;
    fc_arena arena = {0};
    for (int pass = 0; pass < 2; ++pass) {
        o.a = fc_arena_take(&arena, BUFFER, (size_t)item);
        o.b = fc_arena_take(&arena, BUFFER, (size_t)item);
        o.c = fc_arena_take(&arena, BUFFER, (size_t)item);
        if (pass == 0)
            arena = (fc_arena){fc_scratch_take(arena.used), 0};
        if (!arena.base)
            return FC_OUT_OF_MEMORY;
    }
    fill(&o);
    const int tiles = o.kernels->tile_rows * o.kernels->tile_vectors;
    if (index < 2 * tiles) { /* of both kinds */
        const int winograd = index >= tiles, at = index % tiles;
        const int rows = at / o.kernels->tile_vectors + 1, vectors = at % o.kernels->tile_vectors + 1;
        const double lanes = (double)vectors * o.kernels->lanes;
        for (int i = 0; i < TERMS; ++i)
            o.lane_offsets[i] = (ptrdiff_t)i * vectors * o.kernels->lanes * item;
        *load = (fc_kernel_load){winograd ? "winograd_tile" : "gemm_tile", rows, vectors, 2 * TERMS * rows * lanes,
                                 (double)item * (TERMS * (rows + lanes) + rows * lanes)};
        for (int64_t i = 0; i < rounds; ++i)
            (winograd ? run_winograd_tile : run_tile)(&o, rows, vectors);
    } else {
        const kernel_load *one = &LOADS[index - 2 * tiles];
        const double lanes = one->a_lane ? (double)(FC_WINOGRAD_LINE / item) : 1;
        *load = (fc_kernel_load){one->name, 0, 0, lanes * one->flops, lanes * one->elements * (double)item};
        for (int64_t i = 0; i < rounds; ++i)
            one->run(&o);
    }
    fc_scratch_give(arena.base);
    return FC_OK;
}
