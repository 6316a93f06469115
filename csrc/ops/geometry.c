/* The rules of geometry, once for every operation and for whoever asks for output sizes.
 *
 * After V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, relations 6
 * (strides, padding) and 15 (dilation): output = floor((in + before + after - dilation (kernel - 1) - 1) / stride) + 1.
 * Sizes are held below 2^48 elements, so that byte offsets, lanes rounded up, halos and tables stay within 64 bits.
 */
#include "ops/geometry.h"

#include "algorithms/algorithm.h"
#include "ops/interface.h"

#include <string.h>

static const int64_t MOST_ELEMENTS = (int64_t)1 << 48;

/* in + before + after and dilation * (kernel - 1) + 1, or an overflow. */
static fc_status extents(int64_t in, int64_t kernel, int64_t dilation, const int64_t padding[2], int64_t *padded,
                         int64_t *window) {
    if (__builtin_add_overflow(in, padding[0], padded) || __builtin_add_overflow(*padded, padding[1], padded) ||
        __builtin_mul_overflow(kernel - 1, dilation, window) || __builtin_add_overflow(*window, 1, window))
        return FC_OVERFLOW;
    return *padded < MOST_ELEMENTS && *window < MOST_ELEMENTS ? FC_OK : FC_OVERFLOW;
}

static fc_status check_window(const fc_conv_params *params, const int64_t kernel[FC_SPATIAL],
                              const int64_t input[FC_SPATIAL], int axis, fc_report *report) {
    const int64_t *padding = params->padding[axis];
    if (params->stride[axis] < 1)
        return fc_tell(report, FC_BAD_STRIDE, axis, params->stride[axis]);
    if (params->dilation[axis] < 1)
        return fc_tell(report, FC_BAD_DILATION, axis, params->dilation[axis]);
    if (padding[0] < 0 || padding[1] < 0)
        return fc_tell(report, FC_BAD_PADDING, axis, fc_min(padding[0], padding[1]));
    if (kernel[axis] < 1)
        return fc_tell(report, FC_BAD_KERNEL, axis, kernel[axis]);
    if (input[axis] < 1)
        return fc_tell(report, FC_EMPTY_INPUT, axis, input[axis]);
    return FC_OK;
}

fc_status fc_conv_output_size(const int64_t input[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                              const fc_conv_params *params, int64_t output[FC_SPATIAL], fc_report *report) {
    FC_NEED(input && kernel && output);
    FC_ADOPT(fc_conv_params, params);
    int64_t size[FC_SPATIAL];
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const int64_t *padding = params->padding[axis];
        const fc_status status = check_window(params, kernel, input, axis, report);
        if (status != FC_OK)
            return status;
        int64_t padded, window;
        if (extents(input[axis], kernel[axis], params->dilation[axis], padding, &padded, &window) != FC_OK)
            return fc_tell(report, FC_OVERFLOW, axis, input[axis]);
        if (window > padded)
            return fc_tell(report, FC_KERNEL_TOO_LARGE, axis, window);
        size[axis] = (padded - window) / params->stride[axis] + 1;
    }
    memcpy(output, size, sizeof size);
    return FC_OK;
}

/* Without asking for an output: a smallest one may still want output padding. */
static fc_status transposed_size(const int64_t input[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                                 const fc_conv_params *params, const int64_t output_padding[FC_SPATIAL],
                                 int64_t output[FC_SPATIAL], fc_report *report) {
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const int64_t *padding = params->padding[axis];
        const fc_status status = check_window(params, kernel, input, axis, report);
        if (status != FC_OK)
            return status;
        if (output_padding[axis] < 0)
            return fc_tell(report, FC_BAD_OUTPUT_PADDING, axis, output_padding[axis]);
        int64_t padded, window, spread;
        if (extents(input[axis], kernel[axis], params->dilation[axis], padding, &padded, &window) != FC_OK ||
            __builtin_mul_overflow(input[axis] - 1, params->stride[axis], &spread) || spread >= MOST_ELEMENTS ||
            output_padding[axis] >= MOST_ELEMENTS)
            return fc_tell(report, FC_OVERFLOW, axis, input[axis]);
        output[axis] = spread - padding[0] - padding[1] + window + output_padding[axis];
    }
    return FC_OK;
}

fc_status fc_conv_transpose_output_size(const int64_t input[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                                        const fc_conv_params *params, const int64_t output_padding[FC_SPATIAL],
                                        int64_t output[FC_SPATIAL], fc_report *report) {
    FC_NEED(input && kernel && output_padding && output);
    FC_ADOPT(fc_conv_params, params);
    int64_t size[FC_SPATIAL];
    const fc_status status = transposed_size(input, kernel, params, output_padding, size, report);
    if (status != FC_OK)
        return status;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        if (output_padding[axis] >= fc_max(params->stride[axis], params->dilation[axis]))
            return fc_tell(report, FC_BAD_OUTPUT_PADDING, axis, output_padding[axis]);
        if (size[axis] < 1)
            return fc_tell(report, FC_EMPTY_OUTPUT, axis, size[axis]);
    }
    memcpy(output, size, sizeof size);
    return FC_OK;
}

fc_status fc_pool_output_size(const int64_t input[FC_SPATIAL], const fc_pool_params *params, int64_t output[FC_SPATIAL],
                              fc_report *report) {
    FC_NEED(input && output);
    FC_ADOPT(fc_pool_params, params);
    fc_conv_params plain = FC_CONV_PARAMS_INIT;
    int64_t size[FC_SPATIAL];
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        plain.stride[axis] = params->stride[axis];
        plain.dilation[axis] = params->dilation[axis];
        plain.padding[axis][0] = params->padding[axis][0];
        plain.padding[axis][1] = params->padding[axis][1];
    }
    const fc_status status = fc_conv_output_size(input, params->kernel, &plain, size, report);
    if (status != FC_OK)
        return status;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const int64_t in = input[axis], stride = params->stride[axis], before = params->padding[axis][0];
        const int64_t window = (params->kernel[axis] - 1) * params->dilation[axis] + 1;
        if (fc_max(before, params->padding[axis][1]) >= window)
            return fc_tell(report, FC_BAD_PADDING, axis, fc_max(before, params->padding[axis][1]));
        if (params->ceil_mode) {
            size[axis] = fc_ceil_div(in + before + params->padding[axis][1] - window, stride) + 1;
            if ((size[axis] - 1) * stride >= in + before) /* the last window would start past the input */
                --size[axis];
        }
    }
    memcpy(output, size, sizeof size);
    return FC_OK;
}

fc_status fc_check_tensor(const fc_tensor *tensor, const int64_t least[FC_AXES]) {
    int64_t elements = 1;
    for (int axis = 0; axis < FC_AXES; ++axis) {
        if (tensor->size[axis] < least[axis])
            return axis == 0 ? FC_BAD_BATCH : FC_EMPTY_INPUT;
        if (__builtin_mul_overflow(elements, fc_max(tensor->size[axis], 1), &elements) || elements >= MOST_ELEMENTS)
            return FC_OVERFLOW;
    }
    return FC_OK;
}

static fc_status same_size(const fc_tensor *tensor, const int64_t size[FC_SPATIAL], fc_report *report) {
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        if (tensor->size[2 + axis] != size[axis])
            return fc_tell(report, FC_BAD_OUTPUT_SIZE, axis, size[axis]);
    return FC_OK;
}

static const int64_t BATCH_MAY_BE_EMPTY[FC_AXES] = {0, 1, 1, 1, 1}, NOTHING_EMPTY[FC_AXES] = {1, 1, 1, 1, 1};

/* What convolution and its transpose ask of everything but spatial sizes. */
static fc_status check_channels(const fc_tensor *input, const fc_tensor *weight, const fc_tensor *output,
                                const fc_conv_params *params, fc_report *report) {
    fc_status status;
    if ((status = fc_check_tensor(weight, NOTHING_EMPTY)) != FC_OK)
        return fc_tell(report, status == FC_BAD_BATCH ? FC_BAD_CHANNELS : status, -1, 0);
    if ((status = fc_check_tensor(input, BATCH_MAY_BE_EMPTY)) != FC_OK)
        return fc_tell(report, status, -1, 0);
    if ((status = fc_check_tensor(output, BATCH_MAY_BE_EMPTY)) != FC_OK)
        return fc_tell(report, status, -1, 0);
    if (params->groups < 1 || weight->size[0] % params->groups != 0 || input->size[1] % params->groups != 0)
        return fc_tell(report, FC_BAD_GROUPS, -1, params->groups);
    if (input->size[1] / params->groups != weight->size[1] || output->size[1] != weight->size[0])
        return fc_tell(report, FC_BAD_CHANNELS, -1, weight->size[1]);
    if (input->size[0] != output->size[0])
        return fc_tell(report, FC_BAD_BATCH, -1, output->size[0]);
    return FC_OK;
}

fc_status fc_check_conv(const fc_tensor *input, const fc_tensor *weight, const fc_tensor *output,
                        const fc_conv_params *params, fc_report *report) {
    int64_t size[FC_SPATIAL];
    fc_status status = check_channels(input, weight, output, params, report);
    if (status == FC_OK)
        status = fc_conv_output_size(input->size + 2, weight->size + 2, params, size, report);
    return status == FC_OK ? same_size(output, size, report) : status;
}

fc_status fc_check_conv_transpose(const fc_tensor *input, const fc_tensor *weight, const fc_tensor *output,
                                  const fc_conv_params *params, fc_report *report) {
    int64_t size[FC_SPATIAL], extra[FC_SPATIAL];
    static const int64_t NONE[FC_SPATIAL] = {0, 0, 0};
    fc_status status = check_channels(input, weight, output, params, report);
    if (status == FC_OK)
        status = transposed_size(output->size + 2, weight->size + 2, params, NONE, size, report);
    if (status != FC_OK)
        return status;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        extra[axis] = input->size[2 + axis] - size[axis]; /* what is not explained otherwise is output padding */
        if (extra[axis] < 0)
            return fc_tell(report, FC_BAD_OUTPUT_SIZE, axis, size[axis]);
    }
    return fc_conv_transpose_output_size(output->size + 2, weight->size + 2, params, extra, size, report);
}

fc_status fc_check_pool(const fc_tensor *input, const fc_tensor *output, const fc_pool_params *params,
                        fc_report *report) {
    int64_t size[FC_SPATIAL];
    fc_status status;
    if ((status = fc_check_tensor(input, BATCH_MAY_BE_EMPTY)) != FC_OK ||
        (status = fc_check_tensor(output, BATCH_MAY_BE_EMPTY)) != FC_OK)
        return fc_tell(report, status, -1, 0);
    if (input->size[0] != output->size[0])
        return fc_tell(report, FC_BAD_BATCH, -1, output->size[0]);
    if (input->size[1] != output->size[1])
        return fc_tell(report, FC_BAD_CHANNELS, -1, output->size[1]);
    if ((status = fc_pool_output_size(input->size + 2, params, size, report)) != FC_OK)
        return status;
    return same_size(output, size, report);
}

fc_status fc_check_average(const fc_pool_params *params, fc_report *report) {
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        if (params->dilation[axis] != 1)
            return fc_tell(report, FC_BAD_DILATION, axis, params->dilation[axis]);
    return FC_OK;
}

fc_status fc_check_adaptive_pool(const fc_tensor *input, const fc_tensor *output, fc_report *report) {
    fc_status status;
    if ((status = fc_check_tensor(input, BATCH_MAY_BE_EMPTY)) != FC_OK ||
        (status = fc_check_tensor(output, BATCH_MAY_BE_EMPTY)) != FC_OK)
        return fc_tell(report, status, -1, 0);
    if (input->size[0] != output->size[0])
        return fc_tell(report, FC_BAD_BATCH, -1, output->size[0]);
    if (input->size[1] != output->size[1])
        return fc_tell(report, FC_BAD_CHANNELS, -1, output->size[1]);
    for (int axis = 0; axis < FC_SPATIAL; ++axis) /* window borders are quotients of products of both */
        if (fc_product(input->size[2 + axis], output->size[2 + axis] + 1) == INT64_MAX)
            return fc_tell(report, FC_OVERFLOW, axis, output->size[2 + axis]);
    return FC_OK;
}

fc_status fc_check_same(const fc_tensor *a, const fc_tensor *b, fc_report *report) {
    const fc_status status = fc_check_tensor(a, BATCH_MAY_BE_EMPTY);
    if (status != FC_OK)
        return fc_tell(report, status, -1, 0);
    if (a->size[0] != b->size[0])
        return fc_tell(report, FC_BAD_BATCH, -1, b->size[0]);
    if (a->size[1] != b->size[1])
        return fc_tell(report, FC_BAD_CHANNELS, -1, b->size[1]);
    return same_size(b, a->size + 2, report);
}

fc_status fc_smallest_conv(const fc_tensor *weight, const fc_conv_params *params, fc_tensor *input, fc_tensor *output,
                           fc_report *report) {
    static const int64_t LEAST[FC_AXES] = {1, 1, 1, 1, 1}, ONE[FC_SPATIAL] = {1, 1, 1}, NONE[FC_SPATIAL] = {0, 0, 0};
    fc_status status = fc_check_tensor(weight, LEAST);
    if (status != FC_OK) /* the first axis of weights is no batch */
        return fc_tell(report, status == FC_BAD_BATCH ? FC_BAD_CHANNELS : status, -1, weight->size[0]);
    if (params->groups < 1 || weight->size[0] % params->groups != 0)
        return fc_tell(report, FC_BAD_GROUPS, -1, params->groups);
    *input = (fc_tensor){.size = {1, fc_product(weight->size[1], params->groups)}};
    *output = (fc_tensor){.size = {1, weight->size[0]}};
    status = transposed_size(ONE, weight->size + 2, params, NONE, input->size + 2, report);
    if (status != FC_OK)
        return status;
    for (int axis = 2; axis < FC_AXES; ++axis) /* less than 1: padding alone makes an output */
        input->size[axis] = fc_max(input->size[axis], 1);
    return fc_conv_output_size(input->size + 2, weight->size + 2, params, output->size + 2, report);
}
