/* Convolution: forward and its three gradients, as problems for the two engines.
 *
 * A flip is a negative stride of the weights. The gradient of the input, and transposed convolution, is the transpose of
 * a forward problem (transposed.c).
 */
#include "algorithms/dense.h"
#include "ops/choose.h"
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/interface.h"
#include "ops/transposed.h"

static fc_image image_of(const fc_tensor *tensor, int64_t groups, ptrdiff_t item) {
    fc_image image = {tensor->data,
                      tensor->stride[0] * item,
                      tensor->size[1] / groups * tensor->stride[1] * item,
                      tensor->stride[1] * item,
                      {0}};
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        image.axis[axis] = tensor->stride[2 + axis] * item;
    return image;
}

static fc_filters filters_of(const fc_tensor *weight, const fc_conv_params *params, ptrdiff_t item) {
    fc_filters filters = {weight->data,
                          weight->size[0] / params->groups * weight->stride[0] * item,
                          weight->stride[0] * item,
                          weight->stride[1] * item,
                          {0}};
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        filters.axis[axis] = weight->stride[2 + axis] * item;
        if (params->flip) {
            filters.data += (weight->size[2 + axis] - 1) * filters.axis[axis];
            filters.axis[axis] = -filters.axis[axis];
        }
    }
    return filters;
}

/* The problem of input, weight and output as they stand; which of them is read and written is the engine's business. */
static fc_problem problem_of(const fc_kernels *kernels, const fc_tensor *input, const fc_tensor *weight,
                             const fc_tensor *output, const fc_conv_params *params) {
    fc_problem p = {
        .kernels = kernels,
        .batch = input->size[0],
        .groups = params->groups,
        .in_channels = weight->size[1],
        .out_channels = weight->size[0] / params->groups,
        .plane_stride = params->stride[1] == params->stride[2] ? params->stride[1] : 0,
        .x = image_of(input, params->groups, kernels->itemsize),
        .y = image_of(output, params->groups, kernels->itemsize),
        .w = filters_of(weight, params, kernels->itemsize),
    };
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        p.in_size[axis] = input->size[2 + axis];
        p.out_size[axis] = output->size[2 + axis];
        p.kernel[axis] = weight->size[2 + axis];
        /* Where a stride or a dilation has nothing to act on, 1 keeps phases few and products small. */
        p.stride[axis] = p.out_size[axis] == 1 ? 1 : params->stride[axis];
        p.dilation[axis] = p.kernel[axis] == 1 ? 1 : params->dilation[axis];
        p.offset[axis] = -params->padding[axis][0];
    }
    return p;
}

static fc_status check(fc_dtype dtype, const fc_options *options, const fc_kernels **kernels) {
    *kernels = fc_kernels_for(options->isa, dtype);
    if ((unsigned)dtype >= FC_DTYPES || (unsigned)options->algorithm >= FC_ALGORITHM_IDS ||
        (unsigned)options->activation > FC_LEAKY_RELU)
        return FC_BAD_ARGUMENT;
    return *kernels ? FC_OK : FC_UNSUPPORTED;
}

static fc_finish finish_of(const fc_vector *bias, const fc_options *options, ptrdiff_t item) {
    fc_finish finish = {.activation = options->activation, .slope = options->slope};
    if (bias && bias->data) {
        finish.bias = bias->data;
        finish.bias_stride = bias->stride * item;
    }
    return finish;
}

static fc_status run_planned(const fc_problem *p, const fc_options *options, const void *packed) {
    const int threads = fc_worthwhile_threads(p, fc_threads_for(options));
    const fc_algorithm *algorithm = fc_choose_forward(p, options->algorithm);
    if (!algorithm)
        return FC_UNSUPPORTED;
    if (p->batch == 0)
        return FC_OK;
    void *block = fc_scratch_take(algorithm->forward_scratch_bytes(p, packed, threads));
    if (!block)
        return FC_OUT_OF_MEMORY;
    algorithm->forward(p, packed, block, threads);
    fc_scratch_give(block);
    return FC_OK;
}

fc_status fc_conv_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight, const fc_vector *bias,
                          const fc_conv_params *params, const fc_options *options, const fc_tensor *output,
                          fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(weight) && fc_is_array(output));
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK && options->packed && fc_is_policy(options))
        status = FC_BAD_ARGUMENT;
    if (status == FC_OK)
        status = fc_check_conv(input, weight, output, params, report);
    if (status == FC_OK && bias && bias->data && bias->size != weight->size[0])
        status = fc_tell(report, FC_BAD_CHANNELS, -1, bias->size);
    if (status != FC_OK)
        return status;
    fc_problem p = problem_of(kernels, input, weight, output, params);
    p.finish = finish_of(bias, options, kernels->itemsize);
    return run_planned(&p, options, options->packed);
}

fc_status fc_conv_transpose_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                       const fc_conv_params *params, const fc_options *options,
                                       const fc_tensor *grad_input, fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(weight) && fc_is_array(grad_input));
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv_transpose(grad_output, weight, grad_input, params, report);
    if (status != FC_OK)
        return status;
    const fc_problem p = problem_of(kernels, grad_output, weight, grad_input, params);
    return run_planned(&p, options, NULL);
}

/* ---- grad_input, and transposed convolution, which is the same with a bias ---- */

fc_status fc_conv_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                             const fc_conv_params *params, const fc_options *options, const fc_tensor *grad_input,
                             fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(weight) && fc_is_array(grad_input));
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv(grad_input, weight, grad_output, params, report);
    if (status != FC_OK || grad_input->size[0] == 0)
        return status;
    const fc_problem whole = problem_of(kernels, grad_input, weight, grad_output, params);
    return fc_run_transposed(&whole, options);
}

fc_status fc_conv_transpose_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight,
                                    const fc_vector *bias, const fc_conv_params *params, const fc_options *options,
                                    const fc_tensor *output, fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(weight) && fc_is_array(output));
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK && options->activation != FC_IDENTITY)
        status = FC_UNSUPPORTED; /* unreached positions are filled, not finished */
    if (status == FC_OK)
        status = fc_check_conv_transpose(output, weight, input, params, report);
    if (status == FC_OK && bias && bias->data && bias->size != output->size[1])
        status = fc_tell(report, FC_BAD_CHANNELS, -1, bias->size);
    if (status != FC_OK || output->size[0] == 0)
        return status;
    fc_problem whole = problem_of(kernels, output, weight, input, params);
    whole.finish = finish_of(bias, options, kernels->itemsize);
    return fc_run_transposed(&whole, options);
}

/* ---- grad_weight and grad_bias ---- */

static fc_status run_grad_weight(const fc_problem *p, const fc_options *options) {
    const int threads = fc_worthwhile_threads(p, fc_threads_for(options));
    if (fc_runs_dense(p, options)) {
        fc_dense_grad_weight(p, threads);
        return FC_OK;
    }
    const fc_algorithm *algorithm = fc_choose_grad_weight(p, options->algorithm);
    if (!algorithm)
        return FC_UNSUPPORTED;
    void *block = fc_scratch_take(algorithm->grad_weight_scratch_bytes(p, threads));
    if (!block)
        return FC_OUT_OF_MEMORY;
    algorithm->grad_weight(p, block, threads);
    fc_scratch_give(block);
    return FC_OK;
}

fc_status fc_conv_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                              const fc_conv_params *params, const fc_options *options, const fc_tensor *grad_weight,
                              fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(input) && fc_is_array(grad_weight));
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv(input, grad_weight, grad_output, params, report);
    if (status != FC_OK)
        return status;
    const fc_problem p = problem_of(kernels, input, grad_weight, grad_output, params);
    return run_grad_weight(&p, options);
}

fc_status fc_conv_transpose_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                        const fc_conv_params *params, const fc_options *options,
                                        const fc_tensor *grad_weight, fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(input) && fc_is_array(grad_weight));
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv_transpose(grad_output, grad_weight, input, params, report);
    if (status != FC_OK)
        return status;
    const fc_problem p = problem_of(kernels, grad_output, grad_weight, input, params);
    return run_grad_weight(&p, options);
}

typedef struct bias_run {
    const fc_kernels *kernels;
    fc_tensor grad_output; /* axes that lie together merged */
    const fc_vector *grad_bias;
} bias_run;

/* One output channel: SUMMED elements at a time in the dtype, these sums and the batch in double, in order. */
static void grad_bias_task(void *context, int64_t channel, int thread) {
    enum { SUMMED = 2048 };
    (void)thread;
    const bias_run *run = context;
    const fc_tensor *g = &run->grad_output;
    const ptrdiff_t item = run->kernels->itemsize;
    double sum = 0;
    for (int64_t n = 0; n < g->size[0]; ++n)
        for (int64_t d = 0; d < g->size[2]; ++d)
            for (int64_t h = 0; h < g->size[3]; ++h)
                for (int64_t w = 0; w < g->size[4]; w += SUMMED) {
                    const char *row =
                        fc_plane(g, n, channel, item) + (d * g->stride[2] + h * g->stride[3] + w * g->stride[4]) * item;
                    sum += run->kernels->sum_row(row, g->stride[4] * item, fc_min(SUMMED, g->size[4] - w));
                }
    run->kernels->fill_row((char *)run->grad_bias->data + channel * run->grad_bias->stride * item, sum, 1);
}

fc_status fc_conv_grad_bias(fc_dtype dtype, const fc_tensor *grad_output, const fc_options *options,
                            const fc_vector *grad_bias) {
    FC_NEED(fc_is_array(grad_output) && grad_bias && grad_bias->data);
    FC_ADOPT_OPTIONS(options);
    static const int64_t LEAST[FC_AXES] = {0, 1, 1, 1, 1};
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status != FC_OK)
        return status;
    if ((status = fc_check_tensor(grad_output, LEAST)) != FC_OK)
        return status;
    if (grad_bias->size != grad_output->size[1])
        return FC_BAD_CHANNELS;
    bias_run run = {kernels, *grad_output, grad_bias};
    fc_tensor *list[] = {&run.grad_output};
    fc_merge_spatial(list, 1);
    fc_parallel(grad_output->size[1], fc_elementwise_threads(grad_output, options), grad_bias_task, &run);
    return FC_OK;
}

/* ---- what would run ---- */

static fc_status choose(fc_dtype dtype, fc_conv_pass pass, const fc_tensor *input, const fc_tensor *weight,
                        const fc_tensor *output, const fc_conv_params *params, const fc_options *options,
                        fc_conv_choice *choice, fc_report *report) {
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv(input, weight, output, params, report);
    if (status != FC_OK)
        return status;
    const fc_problem whole = problem_of(kernels, input, weight, output, params);
    if (pass == FC_GRAD_INPUT)
        return fc_choose_transposed(&whole, options, choice);
    if (pass == FC_GRAD_WEIGHT && fc_runs_dense(&whole, options)) {
        fc_choose_dense(&whole, choice);
        return FC_OK;
    }
    const int threads = fc_worthwhile_threads(&whole, fc_threads_for(options));
    double heaviest = -1;
    return fc_add_choice(&whole, options->algorithm, pass == FC_GRAD_WEIGHT, threads, choice, &heaviest);
}

fc_status fc_conv_choose(fc_dtype dtype, fc_conv_pass pass, const fc_tensor *input, const fc_tensor *weight,
                         const fc_tensor *output, const fc_conv_params *params, const fc_options *options,
                         fc_conv_choice *choice, fc_report *report) {
    FC_NEED(input && weight && output && choice && (unsigned)pass <= FC_GRAD_WEIGHT);
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT(fc_options, options);
    fc_conv_choice own = FC_CONV_CHOICE_INIT;
    const fc_status status = choose(dtype, pass, input, weight, output, params, options, &own, report);
    return status == FC_OK ? fc_hand_over(choice, &own, sizeof own) : status;
}

fc_status fc_conv_pack(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params, const fc_options *options,
                       void *packed) {
    FC_NEED(fc_is_array(weight) && packed);
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_kernels *kernels;
    fc_tensor image, result; /* any will do */
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK && fc_is_policy(options))
        status = FC_BAD_ARGUMENT;
    if (status == FC_OK)
        status = fc_smallest_conv(weight, params, &image, &result, NULL);
    if (status != FC_OK)
        return status;
    const fc_problem p = problem_of(kernels, &image, weight, &result, params);
    const fc_algorithm *algorithm = fc_choose_forward(&p, options->algorithm);
    if (!algorithm)
        return FC_UNSUPPORTED;
    if (algorithm->packed_bytes(&p) > 0)
        algorithm->pack_weights(&p, packed, fc_worthwhile_threads(&p, fc_threads_for(options)));
    return FC_OK;
}
