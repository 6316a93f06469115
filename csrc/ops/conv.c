/* Convolution: forward and its three gradients, as problems for the two engines.
 *
 * A flip is a negative stride of the weights. The gradient of the input is a forward of grad_output with channels of
 * the weights swapped and taps turned; with stride s it falls apart into s problems an axis (one for each residue of
 * the input position) of stride 1, each with every s-th tap: nothing is multiplied by the zeros of a stretched
 * grad_output. Or all at once, as a product and a sum of patches (algorithms/col2im.h).
 */
#include "algorithms/col2im.h"
#include "algorithms/cost.h"
#include "algorithms/dense.h"
#include "ops/choose.h"
#include "ops/elementwise.h"
#include "ops/geometry.h"

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

/* Packed weights belong to one algorithm: a policy might choose another one for another input. */
static int is_policy(const fc_options *options) {
    return options->algorithm == FC_AUTO || options->algorithm == FC_EXACT;
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
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK && options->packed && is_policy(options))
        status = FC_BAD_ARGUMENT;
    if (status == FC_OK)
        status = fc_check_conv(input, weight, output, params, report);
    if (status == FC_OK && bias && bias->data && bias->size != weight->size[0])
        status = FC_BAD_CHANNELS;
    if (status != FC_OK || input->size[0] == 0)
        return status;
    fc_problem p = problem_of(kernels, input, weight, output, params);
    p.finish = finish_of(bias, options, kernels->itemsize);
    return run_planned(&p, options, options->packed);
}

fc_status fc_conv_transpose_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                       const fc_conv_params *params, const fc_options *options,
                                       const fc_tensor *grad_input, fc_report *report) {
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv_transpose(grad_output, weight, grad_input, params, report);
    if (status != FC_OK || grad_output->size[0] == 0)
        return status;
    const fc_problem p = problem_of(kernels, grad_output, weight, grad_input, params);
    return run_planned(&p, options, NULL);
}

/* ---- grad_input, and transposed convolution, which is the same with a bias ---- */

/* Input positions residue, residue + stride, ... of one axis, as a stride-1 correlation of grad_output: the taps that
 * reach them are first, first + step, ... (0 to `taps` of them), in reverse. */
typedef struct phase_axis {
    int64_t taps, first, step, dilation, offset, positions;
} phase_axis;

static phase_axis phase_of(const fc_problem *whole, int axis, int64_t residue) {
    const int64_t stride = whole->stride[axis], dilation = whole->dilation[axis];
    phase_axis phase = {.positions = fc_ceil_div(whole->in_size[axis] - residue, stride)};
    /* Taps k with residue - offset - k * dilation divisible by stride; they repeat with a period of at most stride. */
    const int64_t most = fc_min(whole->kernel[axis], stride);
    int64_t first = 0;
    while (first < most && (residue - whole->offset[axis] - first * dilation) % stride != 0)
        ++first;
    if (first == most)
        return phase;
    int64_t step = 1;
    while (step < whole->kernel[axis] && step * dilation % stride != 0)
        ++step;
    phase.first = first;
    phase.step = step;
    phase.dilation = step * dilation / stride;
    phase.taps = fc_ceil_div(whole->kernel[axis] - first, step);
    phase.offset = (residue - whole->offset[axis] - first * dilation) / stride - (phase.taps - 1) * phase.dilation;
    return phase;
}

/* The forward problem of one phase; `whole` is the forward problem that is being transposed. */
static fc_problem phase_problem(const fc_problem *whole, const int64_t residue[FC_SPATIAL]) {
    fc_problem p = *whole;
    p.in_channels = whole->out_channels;
    p.out_channels = whole->in_channels;
    p.x = whole->y;
    p.y = whole->x;
    p.w.in = whole->w.out;
    p.w.out = whole->w.in;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const phase_axis phase = phase_of(whole, axis, residue[axis]);
        p.in_size[axis] = whole->out_size[axis];
        p.out_size[axis] = phase.positions;
        p.kernel[axis] = phase.taps;
        p.stride[axis] = 1;
        p.dilation[axis] = fc_max(phase.dilation, 1);
        p.offset[axis] = phase.offset;
        p.y.data += residue[axis] * whole->x.axis[axis];
        p.y.axis[axis] = whole->stride[axis] * whole->x.axis[axis];
        p.w.data += (phase.first + (phase.taps - 1) * phase.step) * whole->w.axis[axis];
        p.w.axis[axis] = -phase.step * whole->w.axis[axis];
    }
    return p;
}

/* Steps to the next phase; 0 after the last. Phases beyond the input's end have no positions and are left out. */
static int next_phase(const fc_problem *whole, int64_t residue[FC_SPATIAL]) {
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        if (++residue[axis] < fc_min(whole->stride[axis], whole->in_size[axis]))
            return 1;
        residue[axis] = 0;
    }
    return 0;
}

/* Fills one plane of the output of a problem with its bias, or 0. */
static void clear_plane(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_problem *p = context;
    const double zero = 0;
    const int64_t channels = p->groups * p->out_channels, channel = task % channels;
    char *plane = p->y.data + task / channels * p->y.batch + channel * p->y.channel;
    const char *value = p->finish.bias ? p->finish.bias + channel * p->finish.bias_stride : (const char *)&zero;
    for (int64_t d = 0; d < p->out_size[0]; ++d)
        p->kernels->copy_matrix((fc_matrix){plane + d * p->y.axis[0], p->y.axis[1], p->y.axis[2]},
                                (fc_matrix){(char *)value, 0, 0}, p->out_size[1], p->out_size[2]);
}

/* What is asked for of each phase. With a stride, kernels differ from phase to phase: few would suit Winograd, and errors
 * would differ from one element to its neighbour. */
static fc_algorithm_id asked_of_phases(const fc_problem *whole, const fc_options *options) {
    int strided = 0;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        strided |= whole->stride[axis] > 1;
    return strided && options->algorithm == FC_AUTO ? FC_EXACT : options->algorithm;
}

/* Whether all phases are done at once. */
static int is_woven(const fc_problem *whole, const fc_options *options) {
    return (is_policy(options) || options->algorithm == FC_DEPTHWISE) && fc_depthwise_fits_grad_input(whole);
}

/* What a phase costs as an algorithm would do it, and what is dearer there than in a convolution. */
static double phase_cost(const fc_problem *p, fc_algorithm_id asked, int strided) {
    const fc_algorithm *algorithm = fc_taps(p) > 0 ? fc_choose_forward(p, asked) : NULL;
    const double weights = (double)p->groups * (double)p->in_channels * (double)p->out_channels * (double)fc_taps(p);
    double cost = 0;
    if (algorithm)
        cost = FC_COST_PHASE + fc_algorithm_cost(p, fc_algorithm_id_of(algorithm), asked, 0);
    if (algorithm == &fc_direct_algorithm && strided)
        cost += FC_COST_PHASE_WEIGHT * weights;
    if (strided)
        cost += (p->y.channel % 4096 ? FC_COST_PHASE_STORE : FC_COST_PHASE_STORE + FC_COST_PHASE_CONFLICT) *
                (double)(p->groups * p->out_channels) * (double)fc_positions(p);
    return cost;
}

/* Whether a product and a sum of patches stand for all phases: where that costs less. */
static int is_col2im(const fc_problem *whole, fc_algorithm_id asked) {
    if ((asked != FC_IM2COL && asked != FC_AUTO && asked != FC_EXACT) || !fc_col2im_supports(whole))
        return 0;
    double phases = 0;
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    do {
        const fc_problem p = phase_problem(whole, residue);
        phases += phase_cost(&p, asked, whole->stride[2] > 1);
    } while (next_phase(whole, residue));
    return fc_col2im_cost(whole) < phases;
}

/* Whether this is a dense layer, and may be computed as one. */
static int is_dense(const fc_problem *p, const fc_options *options) {
    return (is_policy(options) || options->algorithm == FC_IM2COL) && !p->finish.bias && fc_dense_supports(p);
}

/* What all phases need, or an algorithm that cannot do one. */
static fc_status plan_phases(const fc_problem *whole, const fc_options *options, int threads, size_t *bytes,
                             int *unreached) {
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    *unreached = 0;
    do {
        const fc_problem p = phase_problem(whole, residue);
        if (fc_taps(&p) == 0) {
            *unreached = 1;
            continue;
        }
        const fc_algorithm *algorithm = fc_choose_forward(&p, options->algorithm);
        if (!algorithm)
            return FC_UNSUPPORTED;
        const size_t needed = algorithm->forward_scratch_bytes(&p, NULL, threads);
        *bytes = needed > *bytes ? needed : *bytes;
    } while (next_phase(whole, residue));
    return FC_OK;
}

static void run_phases(const fc_problem *whole, const fc_options *options, int threads, int unreached, void *block) {
    if (unreached) { /* some positions meet no tap */
        fc_problem all = *whole;
        all.out_channels = whole->in_channels;
        all.y = whole->x;
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            all.out_size[axis] = whole->in_size[axis];
        fc_parallel(all.batch * all.groups * all.out_channels, threads, clear_plane, &all);
    }
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    do {
        const fc_problem p = phase_problem(whole, residue);
        if (fc_taps(&p) > 0)
            fc_choose_forward(&p, options->algorithm)->forward(&p, NULL, block, threads);
    } while (next_phase(whole, residue));
}

/* One channel of a depthwise problem. */
static fc_problem plane_problem(const fc_problem *whole, int64_t group) {
    fc_problem plane = *whole;
    plane.groups = 1;
    plane.x.data += group * whole->x.group;
    plane.y.data += group * whole->y.group;
    plane.w.data += group * whole->w.group;
    if (plane.finish.bias)
        plane.finish.bias += group * whole->finish.bias_stride;
    return plane;
}

/* Those whose weights are not all finite, which are left out when phases are done at once. */
static void run_other_planes(const fc_problem *whole, const fc_options *options, int threads, int unreached,
                             void *block) {
    for (int64_t group = 0; group < whole->groups; ++group) {
        const fc_problem plane = plane_problem(whole, group);
        if (!fc_depthwise_weights_finite(&plane, plane.w.data, 1))
            run_phases(&plane, options, threads, unreached, block);
    }
}

/* The transpose of `whole`, whose finish is that of the result. */
static fc_status run_transposed(const fc_problem *whole, const fc_options *options) {
    const int threads = fc_worthwhile_threads(whole, fc_threads_for(options));
    if (is_dense(whole, options)) {
        fc_dense_grad_input(whole, threads);
        return FC_OK;
    }
    const int woven = is_woven(whole, options);
    const fc_problem plane = plane_problem(whole, 0);
    fc_options with = *options;
    size_t bytes = 1;
    int unreached = 0;
    with.algorithm = asked_of_phases(whole, options);
    if (woven) {
        with.algorithm = FC_DEPTHWISE;
        bytes = fc_depthwise_grad_input_scratch_bytes(whole);
    }
    const int at_once = !woven && is_col2im(whole, with.algorithm);
    const fc_status status = at_once ? FC_OK : plan_phases(woven ? &plane : whole, &with, threads, &bytes, &unreached);
    if (status != FC_OK)
        return status;
    if (at_once)
        bytes = fc_col2im_scratch_bytes(whole, threads);
    char *block = fc_scratch_take(bytes);
    if (!block)
        return FC_OUT_OF_MEMORY;
    if (at_once)
        fc_col2im_run(whole, block, threads);
    else if (!woven)
        run_phases(whole, &with, threads, unreached, block);
    else if (!fc_depthwise_grad_input_run(whole, block, threads))
        run_other_planes(whole, &with, threads, unreached, block);
    fc_scratch_give(block);
    return FC_OK;
}

fc_status fc_conv_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                             const fc_conv_params *params, const fc_options *options, const fc_tensor *grad_input,
                             fc_report *report) {
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv(grad_input, weight, grad_output, params, report);
    if (status != FC_OK || grad_input->size[0] == 0)
        return status;
    const fc_problem whole = problem_of(kernels, grad_input, weight, grad_output, params);
    return run_transposed(&whole, options);
}

fc_status fc_conv_transpose_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight,
                                    const fc_vector *bias, const fc_conv_params *params, const fc_options *options,
                                    const fc_tensor *output, fc_report *report) {
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK && options->activation != FC_IDENTITY)
        status = FC_UNSUPPORTED; /* unreached positions are filled, not finished */
    if (status == FC_OK)
        status = fc_check_conv_transpose(output, weight, input, params, report);
    if (status == FC_OK && bias && bias->data && bias->size != output->size[1])
        status = FC_BAD_CHANNELS;
    if (status != FC_OK || output->size[0] == 0)
        return status;
    fc_problem whole = problem_of(kernels, output, weight, input, params);
    whole.finish = finish_of(bias, options, kernels->itemsize);
    return run_transposed(&whole, options);
}

/* ---- grad_weight and grad_bias ---- */

static fc_status run_grad_weight(const fc_problem *p, const fc_options *options) {
    const int threads = fc_worthwhile_threads(p, fc_threads_for(options));
    if (is_dense(p, options)) {
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
    static const int64_t LEAST[FC_AXES] = {0, 1, 1, 1, 1};
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status != FC_OK)
        return status;
    if (!grad_bias->data)
        return FC_BAD_ARGUMENT;
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

/* Taps that meet the input, over all output positions. */
static double valid_multiply_adds(const fc_problem *p) {
    double all = (double)p->batch * (double)p->groups * (double)p->in_channels * (double)p->out_channels;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        double reached = 0;
        for (int64_t tap = 0; tap < p->kernel[axis]; ++tap) {
            const fc_range positions = fc_valid_positions(p, axis, tap);
            reached += (double)fc_max(positions.end - positions.begin, 0);
        }
        all *= reached;
    }
    return all;
}

static fc_status add_choice(const fc_problem *p, fc_algorithm_id asked, int grad_weight, int threads,
                            fc_conv_choice *choice, double *heaviest) {
    const fc_algorithm *algorithm = grad_weight ? fc_choose_grad_weight(p, asked) : fc_choose_forward(p, asked);
    if (!algorithm)
        return FC_UNSUPPORTED;
    for (int id = FC_EXACT + 1; id < FC_ALGORITHM_IDS; ++id)
        choice->cost[id] += fc_algorithm_cost(p, (fc_algorithm_id)id, asked, grad_weight);
    const double multiply_adds = valid_multiply_adds(p);
    choice->multiply_adds += multiply_adds;
    const size_t packed = grad_weight ? 0 : algorithm->packed_bytes(p);
    const size_t scratch = grad_weight ? algorithm->grad_weight_scratch_bytes(p, threads)
                                       : algorithm->forward_scratch_bytes(p, NULL, threads);
    const int64_t bytes = scratch > INT64_MAX ? INT64_MAX : (int64_t)scratch;
    choice->scratch_bytes = fc_max(choice->scratch_bytes, bytes);
    if (multiply_adds >= *heaviest) { /* of phases, the one with the most work gives the name */
        *heaviest = multiply_adds;
        choice->algorithm = fc_algorithm_id_of(algorithm);
        choice->packed_bytes = packed > INT64_MAX ? INT64_MAX : (int64_t)packed;
    }
    return FC_OK;
}

fc_status fc_conv_choose(fc_dtype dtype, fc_conv_pass pass, const fc_tensor *input, const fc_tensor *weight,
                         const fc_tensor *output, const fc_conv_params *params, const fc_options *options,
                         fc_conv_choice *choice, fc_report *report) {
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK)
        status = fc_check_conv(input, weight, output, params, report);
    if (status != FC_OK)
        return status;
    const fc_problem whole = problem_of(kernels, input, weight, output, params);
    const int threads = fc_worthwhile_threads(&whole, fc_threads_for(options));
    double heaviest = -1;
    *choice = (fc_conv_choice){.algorithm = FC_AUTO};
    if (pass != FC_FORWARD && is_dense(&whole, options)) {
        choice->algorithm = FC_IM2COL;
        choice->multiply_adds = valid_multiply_adds(&whole);
        return FC_OK;
    }
    if (pass != FC_GRAD_INPUT)
        return add_choice(&whole, options->algorithm, pass == FC_GRAD_WEIGHT, threads, choice, &heaviest);
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    fc_options with = *options;
    with.algorithm = asked_of_phases(&whole, options);
    if (is_woven(&whole, options)) {
        with.algorithm = FC_DEPTHWISE;
        choice->scratch_bytes = (int64_t)fc_depthwise_grad_input_scratch_bytes(&whole);
    }
    do {
        const fc_problem p = phase_problem(&whole, residue);
        if (fc_taps(&p) > 0)
            status = add_choice(&p, with.algorithm, 0, threads, choice, &heaviest);
    } while (status == FC_OK && next_phase(&whole, residue));
    if (status == FC_OK && with.algorithm != FC_DEPTHWISE && is_col2im(&whole, with.algorithm)) {
        choice->algorithm = FC_IM2COL;
        choice->cost[FC_IM2COL] = fc_col2im_cost(&whole);
        choice->scratch_bytes = (int64_t)fc_col2im_scratch_bytes(&whole, threads);
        choice->packed_bytes = 0;
    }
    return status;
}

fc_status fc_conv_pack(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params, const fc_options *options,
                       void *packed) {
    static const int64_t LEAST[FC_AXES] = {1, 1, 1, 1, 1};
    const fc_kernels *kernels;
    fc_status status = check(dtype, options, &kernels);
    if (status == FC_OK && is_policy(options))
        status = FC_BAD_ARGUMENT;
    if (status == FC_OK)
        status = fc_check_tensor(weight, LEAST);
    if (status != FC_OK)
        return status;
    if (params->groups < 1 || weight->size[0] % params->groups != 0)
        return FC_BAD_GROUPS;
    /* Any input will do: an image of one element. */
    const fc_tensor image = {.size = {1, weight->size[1] * params->groups, 1, 1, 1}};
    const fc_tensor result = {.size = {1, weight->size[0], 1, 1, 1}};
    const fc_problem p = problem_of(kernels, &image, weight, &result, params);
    const fc_algorithm *algorithm = fc_choose_forward(&p, options->algorithm);
    if (!algorithm)
        return FC_UNSUPPORTED;
    if (algorithm->packed_bytes(&p) > 0)
        algorithm->pack_weights(&p, packed, fc_worthwhile_threads(&p, fc_threads_for(options)));
    return FC_OK;
}
