/* Plans: a convolution whose weights are copied and packed once, for inputs of any size.
 *
 * Which algorithm a policy takes depends on the input, what it wants of the weights does not: so there is one slot of packed
 * weights for each algorithm, filled when it is first met. Slots are published atomically and never change until the plan
 * is freed, so runs need no lock; where two threads meet an empty slot at once both pack, and one result is kept. The choice
 * of the last run stands behind a flag that is only tried: who finds it taken chooses again. A fork at any moment therefore
 * leaves a plan that works.
 */
#include "algorithms/algorithm.h"
#include "ops/geometry.h"
#include "ops/interface.h"

#include <stdatomic.h>
#include <string.h>

/* What was chosen, and for which arrays. */
typedef struct known_choice {
    fc_tensor input, output;
    fc_algorithm_id algorithm;
    int64_t packed_bytes;
} known_choice;

struct fc_conv_plan {
    fc_dtype dtype;
    fc_tensor weight; /* dense, in memory of its own */
    fc_conv_params params;
    fc_options options;
    _Atomic(void *) packed[FC_ALGORITHM_IDS];
    atomic_flag taken; /* of `last` */
    known_choice last;
};

static void copy_dense(const fc_kernels *kernels, fc_tensor *dense, const fc_tensor *weight) {
    const ptrdiff_t item = kernels->itemsize;
    const int64_t *size = dense->size, *step = weight->stride;
    char *to = dense->data;
    for (int64_t k = 0; k < size[0]; ++k)
        for (int64_t c = 0; c < size[1]; ++c)
            for (int64_t d = 0; d < size[2]; ++d, to += size[3] * size[4] * item) {
                char *from = (char *)weight->data + (k * step[0] + c * step[1] + d * step[2]) * item;
                kernels->copy_matrix((fc_matrix){to, size[4] * item, item},
                                     (fc_matrix){from, step[3] * item, step[4] * item}, size[3], size[4]);
            }
}

/* The weights as an algorithm wants them, made if this is the first to ask; NULL where memory is short. */
static const void *packed_for(fc_conv_plan *plan, const fc_options *options, int64_t bytes) {
    _Atomic(void *) *slot = &plan->packed[options->algorithm];
    void *held = atomic_load_explicit(slot, memory_order_acquire);
    if (held)
        return held;
    void *made = fc_memory_take((size_t)bytes);
    if (!made)
        return NULL;
    /* What could be wrong was found when the algorithm was chosen. */
    fc_conv_pack(plan->dtype, &plan->weight, &plan->params, options, made);
    if (atomic_compare_exchange_strong(slot, &held, made))
        return made;
    fc_memory_give(made);
    return held;
}

fc_status fc_conv_plan_create(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params,
                              const fc_options *options, fc_conv_plan **plan, fc_report *report) {
    FC_NEED(plan);
    *plan = NULL;
    FC_NEED(fc_is_array(weight));
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT(fc_options, options);
    FC_NEED(!options->packed);
    fc_tensor input, output;
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    fc_status status = fc_smallest_conv(weight, params, &input, &output, report);
    if (status == FC_OK)
        status = fc_conv_choose(dtype, FC_FORWARD, &input, weight, &output, params, options, &choice, report);
    if (status != FC_OK)
        return status;
    fc_conv_plan *made = fc_memory_take(sizeof *made);
    if (!made)
        return FC_OUT_OF_MEMORY;
    memset(made, 0, sizeof *made);
    made->dtype = dtype;
    made->params = *params;
    made->options = *options;
    made->options.isa = options->isa < 0 ? fc_isa_current() : options->isa;
    atomic_flag_clear(&made->taken);
    int64_t elements = 1;
    for (int axis = FC_AXES - 1; axis >= 0; --axis) {
        made->weight.size[axis] = weight->size[axis];
        made->weight.stride[axis] = elements;
        elements *= weight->size[axis];
    }
    const fc_kernels *kernels = fc_kernels_for(made->options.isa, dtype);
    made->weight.data = fc_memory_take((size_t)(elements * kernels->itemsize));
    if (made->weight.data)
        copy_dense(kernels, &made->weight, weight);
    const int packs = options->algorithm != FC_AUTO && options->algorithm != FC_EXACT && choice.packed_bytes > 0;
    if (!made->weight.data || (packs && !packed_for(made, &made->options, choice.packed_bytes))) {
        fc_conv_plan_free(made);
        return FC_OUT_OF_MEMORY;
    }
    *plan = made;
    return FC_OK;
}

void fc_conv_plan_free(fc_conv_plan *plan) {
    if (!plan)
        return;
    for (int id = 0; id < FC_ALGORITHM_IDS; ++id)
        fc_memory_give(plan->packed[id]);
    fc_memory_give(plan->weight.data);
    fc_memory_give(plan);
}

/* Whether a choice does not see the difference: not the batch, and not where elements lie. */
static int lies_alike(const fc_tensor *a, const fc_tensor *b) {
    const size_t axes = (FC_AXES - 1) * sizeof(int64_t);
    return !memcmp(a->size + 1, b->size + 1, axes) && !memcmp(a->stride + 1, b->stride + 1, axes);
}

static int take_last(fc_conv_plan *plan) {
    return !atomic_flag_test_and_set_explicit(&plan->taken, memory_order_acquire);
}

static void give_last(fc_conv_plan *plan) { atomic_flag_clear_explicit(&plan->taken, memory_order_release); }

static fc_status choose(fc_conv_plan *plan, const fc_tensor *input, const fc_tensor *output, known_choice *known,
                        fc_report *report) {
    int found = 0;
    if (take_last(plan)) {
        found = lies_alike(&plan->last.input, input) && lies_alike(&plan->last.output, output);
        if (found)
            *known = plan->last;
        give_last(plan);
    }
    if (found)
        return FC_OK;
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    const fc_status status = fc_conv_choose(plan->dtype, FC_FORWARD, input, &plan->weight, output, &plan->params,
                                            &plan->options, &choice, report);
    if (status != FC_OK)
        return status;
    *known = (known_choice){*input, *output, choice.algorithm, choice.packed_bytes};
    if (take_last(plan)) {
        plan->last = *known;
        give_last(plan);
    }
    return FC_OK;
}

fc_status fc_conv_plan_run(fc_conv_plan *plan, const fc_tensor *input, const fc_vector *bias, const fc_tensor *output,
                           fc_report *report) {
    FC_NEED(plan && fc_is_array(input) && fc_is_array(output));
    known_choice known;
    const fc_status status = choose(plan, input, output, &known, report);
    if (status != FC_OK)
        return status;
    fc_options options = plan->options;
    options.algorithm = known.algorithm;
    if (known.packed_bytes > 0 && !(options.packed = packed_for(plan, &options, known.packed_bytes)))
        return FC_OUT_OF_MEMORY;
    return fc_conv_forward(plan->dtype, input, &plan->weight, bias, &plan->params, &options, output, report);
}
