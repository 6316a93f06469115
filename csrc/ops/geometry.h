/* The rules of geometry: what the public operations check before they touch any data. */
#ifndef FC_GEOMETRY_H
#define FC_GEOMETRY_H

#include "fastconv.h"

/* A status, and what it speaks of. */
static inline fc_status fc_tell(fc_report *report, fc_status status, int axis, int64_t value) {
    if (report)
        *report = (fc_report){axis, value};
    return status;
}

/* Sizes at least 1 where `least` says so, and an element count that leaves room for all index arithmetic in 64 bits. */
fc_status fc_check_tensor(const fc_tensor *tensor, const int64_t least[FC_AXES]);
/* Channels, groups and spatial sizes of input, weight and output belong together. */
fc_status fc_check_conv(const fc_tensor *input, const fc_tensor *weight, const fc_tensor *output,
                        const fc_conv_params *params, fc_report *report);
fc_status fc_check_pool(const fc_tensor *input, const fc_tensor *output, const fc_pool_params *params,
                        fc_report *report);
/* Windows of averages have no gaps. */
fc_status fc_check_average(const fc_pool_params *params, fc_report *report);
fc_status fc_check_adaptive_pool(const fc_tensor *input, const fc_tensor *output, fc_report *report);
/* As fc_check_conv, `input` being the output of a transposed convolution, and `output` its input. */
fc_status fc_check_conv_transpose(const fc_tensor *input, const fc_tensor *weight, const fc_tensor *output,
                                  const fc_conv_params *params, fc_report *report);
/* Weights and parameters belong together: the smallest input that has an output, and that, sizes alone. */
fc_status fc_smallest_conv(const fc_tensor *weight, const fc_conv_params *params, fc_tensor *input, fc_tensor *output,
                           fc_report *report);
/* Two arrays of the same size, with channels and no empty axis but the batch. */
fc_status fc_check_same(const fc_tensor *a, const fc_tensor *b, fc_report *report);

#endif
