/* The transpose of a convolution as one matrix product and a sum of patches. */
#ifndef FC_COL2IM_H
#define FC_COL2IM_H

#include "algorithms/algorithm.h"

/* Pixels of grad_output: of one depth, some of each of some rows. */
typedef struct fc_pixels {
    int64_t depth, row, rows, pixel, pixels;
} fc_pixels;

/* Adds to a plane of x what the taps of its channel have for some pixels: `columns` are those of the first tap, contiguous,
 * row by row; the others' lie `next` bytes apart. Of the problem, geometry and the strides of x's axes are read. */
void fc_add_columns(const fc_problem *whole, char *plane, const char *columns, ptrdiff_t next, const fc_pixels *pixels);

/* `whole` is the forward problem that is being transposed: x is written, y read, and finish is that of x, a bias alone. */
int fc_col2im_supports(const fc_problem *whole);
/* For one image. */
double fc_col2im_cost(const fc_problem *whole);
size_t fc_col2im_scratch_bytes(const fc_problem *whole, int threads);
void fc_col2im_run(const fc_problem *whole, void *scratch, int threads);

#endif
