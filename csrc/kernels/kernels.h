/* The table of kernels that every instruction set exports as fc_kernels_<dtype>_<isa>, one per dtype, and the types of the
 * functions in it.
 *
 * Kernels are straight-line numeric code: no threads, no allocation, no checks. They take untyped pointers and byte
 * strides, so that one driver in algorithms/ and ops/ serves every dtype. Tables are taken as a whole from one set:
 * tile sizes and packed layouts belong together.
 */
#ifndef FC_KERNELS_H
#define FC_KERNELS_H

#include "fastconv.h"

#define FC_MAX_TILE_ROWS 8
#define FC_MAX_TILE_VECTORS 3

typedef struct fc_finish {
    const char *bias; /* NULL: none */
    ptrdiff_t bias_stride;
    int bias_along_lanes; /* of a tile: whole vectors of it, else one a row */
    fc_activation activation;
    double slope;
} fc_finish;
/* c[m][j] = (accumulate ? c[m][j] : 0) + sum over p < count of a[m][oa[p]] * b[ob[p] + j], one fused sum in the order
 * of p; with `finish`, unless NULL, the activation of that plus bias. a: one pointer a row; oa, ob: byte
 * offsets; c: rows `ldc` bytes apart; j runs over the vectors of the tile. */
typedef void (*fc_gemm_tile_fn)(ptrdiff_t count, const char *const *a, const ptrdiff_t *oa, const char *b,
                                const ptrdiff_t *ob, char *c, ptrdiff_t ldc, int accumulate, const fc_finish *finish);

/* The same for `tiles` tiles one below the other, of rows `lda` bytes apart from `a` on; bias one a row. */
typedef void (*fc_gemm_tiles_fn)(ptrdiff_t tiles, ptrdiff_t count, const char *a, ptrdiff_t lda, const ptrdiff_t *oa,
                                 const char *b, const ptrdiff_t *ob, char *c, ptrdiff_t ldc, int accumulate,
                                 const fc_finish *finish);

/* c[m][j] = (accumulate ? c[m][j] : 0) + sum over p < count of a[m][p] * b[j][p], operands contiguous along p, rows of b
 * `ldb` bytes apart, of c `ldc`; `count` is rounded up to whole vectors; j runs over as many columns as a tile has vectors. */
typedef void (*fc_dot_tile_fn)(ptrdiff_t count, const char *const *a, const char *b, ptrdiff_t ldb, char *c,
                               ptrdiff_t ldc, int accumulate);

/* dst[p * ldd + m] = rows[m][offsets[p]] for p < count, m < row_count; elements row_count..width of a line become 0. */
typedef void (*fc_gather_lanes_fn)(char *dst, ptrdiff_t ldd, ptrdiff_t width, const char *const *rows,
                                   ptrdiff_t row_count, const ptrdiff_t *offsets, ptrdiff_t count);

typedef struct fc_matrix { /* element (r, c) lies at data + r * row + c * column, in bytes */
    char *data;
    ptrdiff_t row, column;
} fc_matrix;
typedef void (*fc_copy_matrix_fn)(fc_matrix dst, fc_matrix src, ptrdiff_t rows, ptrdiff_t columns);
/* dst[r][i] = src[r][i], of `count` elements as many as make whole vectors; steps in bytes */
typedef void (*fc_copy_runs_fn)(char *dst, ptrdiff_t dst_step, const char *src, ptrdiff_t src_step, ptrdiff_t runs,
                                ptrdiff_t count);

/* x[r][c] = activation(x[r][c] + bias of its row, or of its column); columns are contiguous. */
typedef void (*fc_finish_fn)(char *x, ptrdiff_t ldx, ptrdiff_t rows, ptrdiff_t columns, const fc_finish *finish);

typedef double (*fc_sum_row_fn)(const char *src, ptrdiff_t stride, ptrdiff_t count);
typedef void (*fc_combine_row_fn)(char *dst, const char *src, ptrdiff_t count);
/* dst[i] = src[i] / (divisors[i] * factor) */
typedef void (*fc_divide_row_fn)(char *dst, const char *src, const char *divisors, double factor, ptrdiff_t count);
typedef void (*fc_fill_row_fn)(char *dst, double value, ptrdiff_t count);
/* The `before` elements in front of each of some lines and the `behind` ones after `count`, both rounded up to vectors. */
typedef void (*fc_fill_ends_fn)(char *line, ptrdiff_t pitch, ptrdiff_t rows, double value, ptrdiff_t before,
                                ptrdiff_t count, ptrdiff_t behind);

typedef struct fc_span {
    ptrdiff_t first, count;
} fc_span;
/* Each row of dst: `count` windows of `kernel` taps of a contiguous line, or if not NULL those of `spans`, reduced and
 * divided by `divisor` unless it is 0. Lines have room for two vectors behind their last window, and are overwritten.
 * Up to dst_end, if not NULL, bytes behind the end of a row may be overwritten too: rows come in ascending order. */
typedef struct fc_windows {
    char *dst, *src, *dst_end;
    ptrdiff_t rows, dst_row, src_row;
    ptrdiff_t count, kernel, stride, dilation;
    const fc_span *spans;
    double divisor;
} fc_windows;
typedef void (*fc_windows_fn)(const fc_windows *windows);

/* dst[p] = the `count` elements of plane p, each plane contiguous and `step` bytes from the next, reduced and divided by
 * `divisor` unless it is 0; dst is contiguous. */
typedef void (*fc_planes_fn)(char *dst, const char *src, ptrdiff_t step, ptrdiff_t planes, ptrdiff_t count,
                             double divisor);

/* Rows of `count` windows, of some planes; each window `taps` (1 to 3) rows by
 * `kernel` (2 or 3) columns, `stride` (1 or 2) columns from the next, divided by `divisor` when summed. front, behind:
 * the first column of the first window, the last one of the last are padding; src is the first column that is not.
 * Returns whether there was a NaN, if the kernel looks for it. */
typedef struct fc_pool_rows_job {
    char *dst;
    const char *src;
    ptrdiff_t planes, dst_plane, src_plane, rows, dst_row, src_row, count;
    ptrdiff_t taps, tap, kernel, stride;
    ptrdiff_t after; /* rows of each plane of dst behind these, that are written later */
    int front, behind;
    double divisor;
} fc_pool_rows_job;
typedef int (*fc_pool_rows_fn)(const fc_pool_rows_job *job);

/* dst[row][run][i] = elements of src at taps[0] x taps[1] taps, reduced and divided by `divisor` unless it is 0; `runs`
 * and what they consist of, `count` contiguous elements, are the same in both. Steps in bytes. Where fewer elements than
 * lanes are left, bytes behind them are read up to src_end and overwritten up to dst_end, if these are not NULL. Returns whether there was a
 * NaN, if the kernel looks for it. */
typedef struct fc_reduction {
    char *dst, *dst_end;
    const char *src, *src_end;
    ptrdiff_t rows, dst_row, src_row;
    ptrdiff_t runs, dst_run, src_run, count;
    ptrdiff_t taps[2], tap[2];
    double divisor;
} fc_reduction;
typedef int (*fc_reduce_fn)(const fc_reduction *reduction);

/* dst[row][phases * i + p] = src[p][row][i], `count` elements a row of dst, each row made `copies` times `copy_row` bytes
 * apart. A vector behind the elements needed of src may be read. */
typedef struct fc_interleave {
    char *dst;
    const char *const *src;
    ptrdiff_t rows, dst_row, src_row, count, phases, copies, copy_row;
} fc_interleave;
typedef void (*fc_interleave_fn)(const fc_interleave *interleave);
/* All `count` elements of plane p, contiguous, are values[p] / divisor. */
typedef void (*fc_fill_planes_fn)(char *dst, ptrdiff_t step, ptrdiff_t planes, ptrdiff_t count, const char *values,
                                  ptrdiff_t value_step, double divisor);

/* dst[plane][2r + i][2c + j] = src[plane][r][c] / divisor for i, j of 0 and 1; 0 in the row and the column behind, if there
 * are any. */
typedef struct fc_spread_pairs {
    char *dst;
    const char *src;
    ptrdiff_t planes, dst_plane, src_plane, dst_row, src_row;
    ptrdiff_t rows, columns, dst_rows, dst_columns;
    double divisor;
} fc_spread_pairs;
typedef void (*fc_spread_pairs_fn)(const fc_spread_pairs *pairs);

/* Places are integers of the size of an element. firsts[o] = first column, of those `dilation` apart from
 * start + o * stride on, that is not negative; a whole number of vectors. */
typedef void (*fc_first_columns_fn)(char *firsts, int64_t start, int64_t stride, int64_t dilation, ptrdiff_t count);
/* best[row][o] and column[row][o]: the largest of the taps of window o along a line and its column of the plane, where
 * `start` is that of the line's first element. side: channels side by side in each element of a line and of the results.
 * Lines have room for two vectors behind their last window, results for one. */
typedef struct fc_argmax_columns {
    char *best, *column;
    const char *src, *firsts;
    ptrdiff_t rows, src_row, row, count, side, kernel, stride, dilation;
    int64_t start;
} fc_argmax_columns;
typedef void (*fc_argmax_columns_fn)(const fc_argmax_columns *columns);
/* dst[row][i], indices[row][i]: the largest of best at taps[0] x taps[1] taps, and column there + place + row * place_row
 * + the tap's own. Steps in bytes. */
typedef struct fc_argmax_rows {
    char *dst;
    int64_t *indices;
    const char *best, *column;
    ptrdiff_t rows, dst_row, indices_row, src_row, count;
    ptrdiff_t taps[2], tap[2];
    int64_t place, place_row, tap_place[2];
} fc_argmax_rows;
typedef void (*fc_argmax_rows_fn)(const fc_argmax_rows *rows);

/* The largest element of each window of some planes of `height` times `width`, and its place in the plane; where there is
 * NaN, which is returned, anything. Of the arrays rows are contiguous; steps of dst and src in bytes, of indices in
 * elements. kernel[1] 2 or 3, stride[1] 1 or 2, fewer columns before the plane than in a window. */
typedef struct fc_argmax_windows {
    char *dst;
    int64_t *indices;
    const char *src;
    ptrdiff_t planes, dst_plane, index_plane, src_plane, dst_row, index_row, src_row;
    ptrdiff_t rows, columns, height, width; /* of windows; of a plane */
    ptrdiff_t kernel[2], stride[2], before[2];
} fc_argmax_windows;
typedef int (*fc_argmax_windows_fn)(const fc_argmax_windows *windows);

/* Whether all are from 0 to size - 1. */
typedef int (*fc_in_plane_fn)(const int64_t *indices, ptrdiff_t count, int64_t size);
/* Pooling windows of 2 by 2 that lie apart, in a plane with at most one more row and one more column; as many columns of
 * them as lanes, or more. indices: one a window, flat in the plane, contiguous. */
typedef struct fc_windows_apart {
    const int64_t *indices;
    ptrdiff_t rows, columns, height, width; /* of windows; of the plane */
} fc_windows_apart;
/* Whether every index lies in its window. */
typedef int (*fc_in_windows_fn)(const fc_windows_apart *windows);
/* dst: the plane; the value of each window where its index says, 0 elsewhere. Rows of values are contiguous. */
typedef void (*fc_gather_apart_fn)(const fc_windows_apart *windows, char *dst, ptrdiff_t dst_row, const char *values,
                                   ptrdiff_t values_row);

typedef struct fc_max_indexed_row { /* one row of pooling windows of a plane, rows and depths already clipped */
    const char *plane;
    ptrdiff_t axis[FC_SPATIAL]; /* byte strides */
    int64_t size[FC_SPATIAL];   /* of the plane */
    int64_t first[2], end[2];   /* input rows taken: first, first + dilation, ... < end, for D and H */
    int64_t dilation[FC_SPATIAL];
    int64_t kernel, stride, padding, count; /* along W */
} fc_max_indexed_row;
typedef void (*fc_max_indexed_row_fn)(char *dst, ptrdiff_t dst_stride, int64_t *indices, ptrdiff_t indices_stride,
                                      const fc_max_indexed_row *row);
/* dst[i * step + indices[i] * index_step] += src[i] where 0 <= indices[i] < size; all steps and strides in bytes */
typedef void (*fc_scatter_add_fn)(char *dst, ptrdiff_t step, ptrdiff_t index_step, const char *src,
                                  ptrdiff_t src_stride, const int64_t *indices, ptrdiff_t indices_stride,
                                  ptrdiff_t count, int64_t size);
/* dst[i] = src[indices[i]], or *value where indices[i] < 0 */
typedef void (*fc_gather_row_fn)(char *dst, ptrdiff_t dst_stride, const char *src, ptrdiff_t src_stride,
                                 const int64_t *indices, ptrdiff_t count, const char *value);
/* dst[r][c] += src[r][c] */
typedef void (*fc_add_matrix_fn)(fc_matrix dst, fc_matrix src, ptrdiff_t rows, ptrdiff_t columns);
/* dst[r][2c] += even[r][c] + third[r][c], dst[r][2c + 1] += odd[r][c]; rows of contiguous elements, bytes apart. third:
 * NULL: none. */
typedef void (*fc_add_turns_fn)(char *dst, ptrdiff_t dst_row, const char *even, const char *odd, const char *third,
                                ptrdiff_t src_row, ptrdiff_t rows, ptrdiff_t columns);
/* Where src[i] wins over best[i], as in max pooling, both it and `index` are taken. */
typedef void (*fc_max_row_indexed_fn)(char *best, int64_t *indices, const char *src, int64_t index, ptrdiff_t count);

typedef struct fc_lrn_block { /* channels are rows, pixels contiguous */
    ptrdiff_t channels, pixels;
    const fc_lrn_params *params;
} fc_lrn_block;
/* `work`: one row of pixels forward, two blocks and a row backward. Row strides in bytes. */
typedef void (*fc_lrn_forward_fn)(char *y, ptrdiff_t ldy, const char *x, ptrdiff_t ldx, char *work,
                                  const fc_lrn_block *block);
typedef void (*fc_lrn_backward_fn)(char *dx, ptrdiff_t lddx, const char *g, ptrdiff_t ldg, const char *x, ptrdiff_t ldx,
                                   char *work, const fc_lrn_block *block);

/* Winograd's algorithm, lanes being channels: what a form needs (winograd_form.inc). Steps are in bytes.
 * Pixels -> transformed tiles: their elements `element_step` apart, tiles `tile_step`. from: for each row of a plane's tile,
 * or each element of a line's, where the first tile begins; the next tile begins `step` further, a row's next pixel one
 * line. */
typedef void (*fc_winograd_input_fn)(char *tiles, ptrdiff_t element_step, ptrdiff_t tile_step, const char *const from[],
                                     ptrdiff_t step, ptrdiff_t count);
/* one filter of `line` bytes, taps `tap_step` apart -> elements `step` apart */
typedef void (*fc_winograd_filter_fn)(char *elements, ptrdiff_t step, const char *taps, ptrdiff_t tap_step,
                                      ptrdiff_t line);
/* Sums of one tile -> pixels of `line` bytes: rows `step` apart for a plane, else pixels. Returns whether all are finite. */
typedef int (*fc_winograd_output_fn)(char *pixels, ptrdiff_t step, const char *elements, ptrdiff_t element_step,
                                     ptrdiff_t line);
/* Elements of the gradient of one line of filters -> taps, one line each. Returns whether all are finite. */
typedef int (*fc_winograd_grad_filter_fn)(char *taps, const char *elements, ptrdiff_t element_step);
#define FC_WINOGRAD_LINE 64

typedef struct fc_winograd_transforms {
    fc_winograd_input_fn input;
    fc_winograd_filter_fn filter;
    fc_winograd_output_fn output;
    fc_winograd_input_fn grad_output;       /* tiles of grad_output, of as many pixels as outputs, transformed; */
    fc_winograd_grad_filter_fn grad_filter; /* both NULL in forms of the transpose */
} fc_winograd_transforms;

typedef enum fc_winograd_form_id {
#define FC_WINOGRAD_FORM(name, axes, outputs, taps, stride, channels, pixels) FC_WINOGRAD_##name,
#define FC_WINOGRAD_TRANSPOSED(name, outputs, taps, channels) FC_WINOGRAD_##name,
#include "kernels/winograd_forms.inc"
#undef FC_WINOGRAD_FORM
#undef FC_WINOGRAD_TRANSPOSED
    FC_WINOGRAD_FORMS
} fc_winograd_form_id;

typedef struct fc_winograd_chunk { /* some channels, the first a lane of the first line; sums start anew every `sum` */
    ptrdiff_t channels, sum, first_lane, line_step;
    ptrdiff_t ahead_step; /* of what is prefetched, a channel */
} fc_winograd_chunk;
/* One element of the sums of some tiles, one panel of output channels: input in lines of channels, tiles side by side;
 * weights: lines of the panel, a channel each; sums: lines, a tile each. */
typedef void (*fc_winograd_tile_fn)(const fc_winograd_chunk *chunk, const char *input, const char *weights, char *sums,
                                    int accumulate, const char *ahead);
/* The same for all elements of FC_WINOGRAD_FEW tiles, one vector of output channels, the channels of one sum, whose
 * filters are transformed on the way. Elements of the input and of the sums are FC_WINOGRAD_FEW | 1 of their lines apart.
 * taps: lines as long as those of the sums, of a channel and then of the next, tap_step: line or -line. */
typedef void (*fc_winograd_few_fn)(const fc_winograd_chunk *chunk, const char *input, const char *taps,
                                   ptrdiff_t tap_step, char *sums, ptrdiff_t line, int accumulate);
enum { FC_WINOGRAD_FEW = 4 };

/* Part of a plane (padded.inc): `top` rows of zeros, `rows` rows of `before` zeros, `count` elements of src, zeros up to
 * `width`, `bottom` rows of zeros. dst is contiguous along a row; less than a vector behind each row is overwritten, by
 * zeros. */
typedef struct fc_padded_copy {
    char *dst;
    const char *src;
    ptrdiff_t dst_row, src_row, src_column;
    ptrdiff_t top, rows, bottom, before, count, width;
} fc_padded_copy;
typedef void (*fc_copy_padded_fn)(const fc_padded_copy *copy);

/* Convolution of single planes (depthwise.inc). Outputs are `rows` x `blocks` vectors of `lanes`; taps are `taps` along the rows' axis, `columns` and `depths` across it. All steps are
 * in bytes. planes: lanes are neighbours of an image row `step` (1 or 2) elements apart, weights are single elements
 * as pack_columns leaves them. A vector is read at every tap, two at step 2. lanes: lanes are channels, weights and biases are packed vectors. */
typedef struct fc_depthwise {
    const char *x, *w, *bias; /* bias: NULL: none */
    char *y;
    ptrdiff_t rows, blocks, lanes, step;
    ptrdiff_t taps, columns, depths;
    ptrdiff_t
        chunk; /* of taps at a time; 1, unless rows lie as far apart as taps, or twice as far: planes at step 2, or lanes */
    ptrdiff_t x_row, x_block, x_tap, x_column, x_depth;
    ptrdiff_t w_tap, w_column, w_depth;
    ptrdiff_t y_row, y_block, y_lane;
    ptrdiff_t x_back, y_back; /* how far the last block reaches back over the one before it */
    /* lanes: from one block's weights to the next, modulo the period; where those of the last block are. */
    ptrdiff_t w_block, w_period, w_last;
    fc_activation activation;
    double slope;
} fc_depthwise;
typedef void (*fc_depthwise_fn)(const fc_depthwise *depthwise);
enum { FC_DEPTHWISE_ROWS = 7, FC_DEPTHWISE_TAPS = 5 };           /* of a tile: rows, and taps of a chunk at the most */
enum { FC_DEPTHWISE_EVEN_ROWS = 4, FC_DEPTHWISE_EVEN_TAPS = 3 }; /* the same at step 2 */
/* The same with all weights finite (depthwise_in_place.inc, depthwise_3x3.inc). All steps are in bytes, offsets in elements:
 * where the first output reads its first tap.
 * Planes whose rows are contiguous, `planes` of them, output rows [begin, end): taps `rows` (5 or 7) x `columns`, or 3 x 3;
 * `step` (1 or 2): the stride of both axes. zeros: in_columns zeros, or at step 2 and not 3 x 3, two of parted_line bytes;
 * parted: there, room for FC_IN_PLACE_LINES times as much.
 * Pixels [begin, end) of one row, channels last, `planes` channels (a vector or more): what are rows there are the
 * image's columns, `rows` (3, 5 or 7) and `step` those along it; `columns` (7 or fewer) are rows of the image x_line
 * apart from x on. w and bias: packed lines of channels. zeros: one such line. */
typedef struct fc_depthwise_in_place {
    const char *x, *w, *bias, *zeros; /* bias: NULL: none */
    char *y;
    ptrdiff_t planes, begin, end, rows, columns, step;
    ptrdiff_t in_rows, in_columns, out_columns, row_offset, column_offset;
    ptrdiff_t x_plane, x_row, x_line, w_plane, w_row, w_column, bias_plane, y_plane, y_row;
    char *parted;
    ptrdiff_t parted_line;
    ptrdiff_t plain_begin, plain_end, inner_begin, inner_end, whole; /* the kernel's own */
    fc_activation activation;
    double slope;
} fc_depthwise_in_place;
typedef void (*fc_depthwise_in_place_fn)(const fc_depthwise_in_place *depthwise);
enum { FC_IN_PLACE_ROWS = 7, FC_IN_PLACE_TAPS = 7, FC_IN_PLACE_LINES = 2 * (FC_IN_PLACE_ROWS - 1) + FC_IN_PLACE_TAPS };
/* The gradient of its weights (depthwise_grad_weight.inc). Taps: `rows` (3, 5 or 7) x `columns`.
 * Planes: `planes` of them, each summed over the batch; returns whether all are finite. zeros: as many as the longer
 * line has; sums: a vector a tap, sum_step = a vector.
 * Lanes: one row of grad_output, channels last, `planes` channels, added to `sums`. What are lines there are pixels
 * here: rows and row strides are those of an image's columns, `columns` are the rows of taps, which read rows of the
 * image x_line apart from x on. zeros: a line of channels; sums: a line of channels for each tap, column by column. */
typedef struct fc_depthwise_grad_weight {
    const char *x, *g, *zeros; /* g: grad_output */
    char *w, *sums;
    ptrdiff_t planes, batch, rows, columns, step;
    ptrdiff_t in_rows, in_columns, out_rows, out_columns, row_offset, column_offset;
    ptrdiff_t x_plane, x_batch, x_row, g_plane, g_batch, g_row, w_plane, w_row, w_column;
    ptrdiff_t x_line, sum_step;
    ptrdiff_t begin, end; /* the kernel's own: rows of grad_output */
} fc_depthwise_grad_weight;
typedef int (*fc_depthwise_grad_weight_fn)(const fc_depthwise_grad_weight *depthwise);
typedef void (*fc_depthwise_grad_weight_lanes_fn)(const fc_depthwise_grad_weight *depthwise);
enum { FC_GRAD_WEIGHT_ROWS = 7, FC_GRAD_WEIGHT_BAND = 28 }; /* held at a time; a multiple of 4 and 7 */
/* The gradient of its input at stride 2 (depthwise_grad_input.inc), whose rows are contiguous too. Taps: `rows` (2 to 7) x
 * `columns`, all finite. `zeros`: g_columns zeros. bias: what is added, a value a plane; NULL: none. */
typedef struct fc_depthwise_grad_input {
    const char *g, *w, *bias, *zeros; /* g: grad_output */
    char *x;
    ptrdiff_t planes, rows, columns;
    ptrdiff_t g_rows, g_columns, x_rows, x_columns, row_offset, column_offset;
    ptrdiff_t g_plane, g_row, w_plane, w_row, w_column, bias_plane, x_plane, x_row;
    ptrdiff_t shift_begin, shift_end, plain_begin, plain_end; /* the kernel's own */
} fc_depthwise_grad_input;
typedef void (*fc_depthwise_grad_input_fn)(const fc_depthwise_grad_input *depthwise);
enum { FC_GRAD_INPUT_ROWS = 4, FC_GRAD_INPUT_TAPS = 4 };
typedef int (*fc_all_finite_fn)(const char *src, ptrdiff_t count);
/* dst[i] += src[i] * weight, dst contiguous */
typedef void (*fc_add_scaled_fn)(char *dst, const char *src, ptrdiff_t src_stride, const char *weight, ptrdiff_t count);
/* dst[c * taps + t] = src[t][c], `tap` and `column` bytes apart; returns whether all are finite */
typedef int (*fc_pack_columns_fn)(char *dst, const char *src, ptrdiff_t tap, ptrdiff_t column, ptrdiff_t taps,
                                  ptrdiff_t columns);

/* Returns the multiply-adds (of one lane each) done. */
typedef int64_t (*fc_fma_rounds_fn)(int64_t rounds);

typedef struct fc_kernels {
    const char *isa;
    fc_dtype dtype;
    ptrdiff_t itemsize;
    int lanes;        /* elements of a vector */
    int tile_rows;    /* most rows of a tile: gemm_tile[rows - 1][vectors - 1] */
    int tile_vectors; /* most vectors of a tile */
    fc_dot_tile_fn dot_tile[FC_MAX_TILE_ROWS][FC_MAX_TILE_VECTORS]; /* [columns - 1] */
    fc_gemm_tile_fn gemm_tile[FC_MAX_TILE_ROWS][FC_MAX_TILE_VECTORS];
    fc_gemm_tiles_fn gemm_tiles[FC_MAX_TILE_ROWS][FC_MAX_TILE_VECTORS];
    fc_winograd_tile_fn winograd_tile[FC_MAX_TILE_ROWS][FC_MAX_TILE_VECTORS];
    fc_winograd_transforms winograd[FC_WINOGRAD_FORMS];
    fc_winograd_few_fn winograd_few; /* of F(4x4, 3x3); NULL: its sums do not fit the registers */
#define FC_KERNEL(name, type) type name;
#include "kernels/kernel_list.inc"
#undef FC_KERNEL
} fc_kernels;

#endif
