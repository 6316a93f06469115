/* How pooling is split into pieces, and what a call to it knows (pool_pieces.c). */
#ifndef FC_POOL_PIECES_H
#define FC_POOL_PIECES_H

#include "ops/pool.h"

typedef struct fc_pool_run {
    const fc_kernels *kernels, *wide; /* wide: of 8-byte elements, to move indices */
    const fc_tensor *indices, *output;
    fc_tensor input;
    fc_pool_grid grid;
    int average;
    int lanes_last; /* channels lie along the lanes */
    int flat;       /* windows one column wide: no line */
    int small;      /* windows that one kernel does at once: lines only where there is NaN */
    int deep;       /* small ones of more than one depth: these are combined first */
    int64_t behind; /* columns of padding in the last window of a row */
    int copied;     /* input rows are copied first */
    int indirect;   /* output rows are made in scratch */
    int even;       /* one divisor along a row */
    fc_range inside;
    int64_t block, blocks;    /* channels of a piece */
    int64_t stack;            /* of these, how many are planes; the others lie side by side */
    int64_t columns, panels;  /* outputs of a row */
    int64_t rows, bands;      /* rows of outputs */
    int64_t pieces, together; /* of all; of a task */
    int64_t pitch;            /* from line to line, elements */
    int64_t reach[FC_SPATIAL];
    fc_span *spans;
    char *divisors;
    char **copy, **lines, **result, **combined;
    /* with indices */
    int64_t input_rows, result_pitch; /* of a piece; from line of maxima to line, elements */
    char *firsts;
    char **maxima; /* and behind them their columns */
    int64_t **places;
} fc_pool_run;

/* Some outputs: a band, a panel, a block, and where in the input what they read lies. */
typedef struct fc_pool_piece {
    int64_t n, channel, side, stack, depth, row, rows, column, columns; /* side: channels side by side */
    int64_t from, count, before, length; /* input columns; elements of the line in front of them, and in all */
    fc_pool_rows depths;
    const char *x; /* depth 0, row 0, column `from` */
    ptrdiff_t x_step[FC_SPATIAL];
    const char *x_end;
    char *y;
    ptrdiff_t x_plane, y_plane, y_row, y_column;
    char *y_end; /* what may be overwritten before it is made */
    int64_t *indices;
    ptrdiff_t indices_row;
} fc_pool_piece;

/* Splits the work, takes scratch memory for it and lays that out; returns its block, or NULL if there is none. Grid, arrays,
 * kernels, average are in place. With indices, lines are those of the input. */
void *fc_pool_prepare(fc_pool_run *run, int threads);
/* The input of a piece is copied where it does not lie in rows. */
fc_pool_piece fc_pool_piece_of(const fc_pool_run *run, int64_t index, int thread);
/* Input rows that a piece reads, of each plane. */
fc_range fc_pool_rows_read(const fc_pool_run *run, const fc_pool_piece *piece);
/* One plane of a piece. */
fc_pool_piece fc_pool_plane_of(const fc_pool_piece *piece, int64_t plane);
/* From where it was made to where it belongs, if that is not the same. */
void fc_pool_copy_output(const fc_pool_run *run, const fc_pool_piece *piece);

#endif
