/* Where pooling windows lie; shared by pooling forward and backward. */
#ifndef FC_POOL_H
#define FC_POOL_H

#include "algorithms/algorithm.h"

/* The windows of one plane: those of `params`, or if `adaptive` those that cut each axis into `out` nearly equal parts. */
typedef struct fc_pool_grid {
    fc_pool_params params;
    int64_t in[FC_SPATIAL], out[FC_SPATIAL];
    int adaptive;
} fc_pool_grid;

/* Stride and dilation become 1 where they have nothing to act on, so that no product of them overflows. */
fc_pool_grid fc_pool_grid_of(const fc_pool_params *params, const int64_t in[FC_SPATIAL], const int64_t out[FC_SPATIAL]);
/* Adaptive windows; where all parts are equal they are plain ones, which are faster. */
fc_pool_grid fc_pool_grid_adaptive(const int64_t in[FC_SPATIAL], const int64_t out[FC_SPATIAL]);

/* Input rows first, first + step, ... < end of one window along one axis; count of them. */
typedef struct fc_pool_rows {
    int64_t first, end, step, count;
} fc_pool_rows;
fc_pool_rows fc_pool_rows_of(const fc_pool_grid *grid, int axis, int64_t output);
/* Where all input rows of `count` windows lie. With dilation a later window may begin above the first one, whose first tap
 * is in the padding. */
fc_range fc_pool_range_of(const fc_pool_grid *grid, int axis, int64_t output, int64_t count);

/* Outputs [begin, end) of an axis whose windows are cut off nowhere, each `stride` behind the one before it. */
fc_range fc_pool_inside(const fc_pool_grid *grid, int axis);

/* What a window counts for along one axis when averages are divided. */
int64_t fc_pool_extent(const fc_pool_grid *grid, int axis, int64_t output);
/* Its factor in what an average is divided by, and whether that is the same for all outputs of the axis. */
double fc_pool_divisor(const fc_pool_grid *grid, int axis, int64_t output);
int fc_pool_even(const fc_pool_grid *grid, int axis);

/* Outputs of an axis whose windows, without dilation, hold an input position. */
fc_span fc_pool_holders(const fc_pool_grid *grid, int axis, int64_t position);

/* The windows of an adaptive row, one an output. */
void fc_pool_fill_spans(const fc_pool_grid *grid, fc_span *spans);

#endif
