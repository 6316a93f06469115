/* Where pooling windows lie; shared by pooling forward and backward. */
#ifndef FC_POOL_H
#define FC_POOL_H

#include "fastconv.h"

/* The same windows with stride and dilation 1 where they have nothing to act on, so that no product of them overflows. */
fc_pool_params fc_pool_plain(const fc_pool_params *params, const int64_t output[FC_SPATIAL]);

/* Input rows first, first + step, ... < end of one window along one axis; count of them. */
typedef struct fc_pool_rows {
    int64_t first, end, step, count;
} fc_pool_rows;
fc_pool_rows fc_pool_rows_of(const fc_pool_params *params, int axis, int64_t output, int64_t in_size);

/* What a window counts for along one axis when averages are divided. */
int64_t fc_pool_extent(const fc_pool_params *params, int axis, int64_t output, int64_t in_size);

/* Elements of a padded line that holds all windows of a row. */
int64_t fc_pool_line_length(const fc_pool_params *params, int64_t outputs);

#endif
