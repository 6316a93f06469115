/* What operations that visit every element once share: views with fewer axes, copies, clears, threads. */
#ifndef FC_ELEMENTWISE_H
#define FC_ELEMENTWISE_H

#include "algorithms/algorithm.h"

/* Threads worth waking to read or write all of an array: below 15 us of memory traffic a team does not pay. */
int fc_elementwise_threads(const fc_tensor *tensor, const fc_options *options);
/* Merges spatial axes of arrays of the same spatial size, in place, where each of them lies as if it were one axis. */
void fc_merge_spatial(fc_tensor *const *tensors, int count);
/* dst[r][c] = src[r][c], the loop turned so that the transposing path of copy_matrix is found. */
void fc_copy_turned(const fc_kernels *kernels, fc_matrix dst, fc_matrix src, int64_t rows, int64_t columns);
/* Zeroes the planes of one channel of one image. */
void fc_clear_planes(const fc_kernels *kernels, const fc_tensor *tensor, int64_t n, int64_t channel);

static inline char *fc_plane(const fc_tensor *tensor, int64_t n, int64_t channel, ptrdiff_t item) {
    return (char *)tensor->data + (n * tensor->stride[0] + channel * tensor->stride[1]) * item;
}

#endif
