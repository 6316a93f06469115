/* What callers get wrong that has nothing to do with geometry: missing pointers, unknown numbers, structs of other sizes. */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

/* One array stands for all; nothing may be written to it. */
static array any;
static const fc_tensor *t;
static const int64_t ones[3] = {1, 1, 1};
static const fc_conv_params conv = FC_CONV_PARAMS_INIT;
static const fc_pool_params pool = FC_POOL_PARAMS_INIT;
static const fc_lrn_params lrn = FC_LRN_PARAMS_INIT;

static void refused(fc_status status) { expect(status, FC_BAD_ARGUMENT); }

/* fn(..., a, b, c, ...) with each of its pointers missing in turn */
#define WITHOUT_ONE(call)                                                                                              \
    do                                                                                                                 \
        for (int i = 0; i < 3; ++i) {                                                                                  \
            const fc_tensor *a = i == 0 ? NULL : t, *b = i == 1 ? NULL : t, *c = i == 2 ? NULL : t;                    \
            refused(call);                                                                                             \
        }                                                                                                              \
    while (0)

static void missing_arrays(const fc_options *o) {
    WITHOUT_ONE(fc_conv_forward(FC_FLOAT32, a, b, NULL, &conv, o, c, NULL));
    WITHOUT_ONE(fc_conv_grad_input(FC_FLOAT32, a, b, &conv, o, c, NULL));
    WITHOUT_ONE(fc_conv_grad_weight(FC_FLOAT32, a, b, &conv, o, c, NULL));
    WITHOUT_ONE(fc_conv_transpose_forward(FC_FLOAT32, a, b, NULL, &conv, o, c, NULL));
    WITHOUT_ONE(fc_conv_transpose_grad_input(FC_FLOAT32, a, b, &conv, o, c, NULL));
    WITHOUT_ONE(fc_conv_transpose_grad_weight(FC_FLOAT32, a, b, &conv, o, c, NULL));
    WITHOUT_ONE(fc_max_pool_backward(FC_FLOAT32, a, b, &pool, o, c, NULL));
    WITHOUT_ONE(fc_channel_max_pool_backward(FC_FLOAT32, a, b, o, c, NULL));
    WITHOUT_ONE(fc_lrn_backward(FC_FLOAT32, a, b, &lrn, o, c, NULL));
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    WITHOUT_ONE(fc_conv_choose(FC_FLOAT32, FC_FORWARD, a, b, c, &conv, o, &choice, NULL));
    for (int i = 0; i < 2; ++i) {
        const fc_tensor *a = i == 0 ? NULL : t, *b = i == 1 ? NULL : t;
        refused(fc_max_pool_forward(FC_FLOAT32, a, &pool, o, b, NULL, NULL));
        refused(fc_avg_pool_forward(FC_FLOAT32, a, &pool, o, b, NULL));
        refused(fc_avg_pool_backward(FC_FLOAT32, a, &pool, o, b, NULL));
        refused(fc_adaptive_max_pool_forward(FC_FLOAT32, a, o, b, NULL, NULL));
        refused(fc_adaptive_avg_pool_forward(FC_FLOAT32, a, o, b, NULL));
        refused(fc_adaptive_avg_pool_backward(FC_FLOAT32, a, o, b, NULL));
        refused(fc_channel_max_pool_forward(FC_FLOAT32, a, o, b, NULL, NULL));
        refused(fc_lrn_forward(FC_FLOAT32, a, &lrn, o, b, NULL));
        refused(fc_im2col(FC_FLOAT32, a, ones, &conv, o, b, NULL));
        refused(fc_col2im(FC_FLOAT32, a, ones, &conv, o, b, NULL));
        refused(fc_pad(FC_FLOAT32, a, ones, FC_PAD_EDGE, NULL, o, b, NULL));
        refused(fc_pad_backward(FC_FLOAT32, a, ones, FC_PAD_EDGE, o, b, NULL));
    }
    refused(fc_conv_grad_bias(FC_FLOAT32, t, o, NULL));
    refused(fc_conv_grad_bias(FC_FLOAT32, t, o, &(fc_vector){NULL, 1, 1}));
    fc_tensor hollow = *t; /* sizes without elements */
    hollow.data = NULL;
    refused(fc_conv_forward(FC_FLOAT32, &hollow, t, NULL, &conv, o, t, NULL));
    refused(fc_max_pool_forward(FC_FLOAT32, t, &pool, o, t, &hollow, NULL));
}

static void missing_structs(const fc_options *o) {
    int64_t out[3];
    refused(fc_conv_forward(FC_FLOAT32, t, t, NULL, NULL, o, t, NULL));
    refused(fc_conv_forward(FC_FLOAT32, t, t, NULL, &conv, NULL, t, NULL));
    refused(fc_conv_grad_bias(FC_FLOAT32, t, NULL, &(fc_vector){any.t.data, 1, 1}));
    refused(fc_conv_choose(FC_FLOAT32, FC_FORWARD, t, t, t, &conv, o, NULL, NULL));
    refused(fc_conv_pack(FC_FLOAT32, t, &conv, o, NULL));
    refused(fc_avg_pool_forward(FC_FLOAT32, t, NULL, o, t, NULL));
    refused(fc_adaptive_avg_pool_forward(FC_FLOAT32, t, NULL, t, NULL));
    refused(fc_lrn_forward(FC_FLOAT32, t, NULL, o, t, NULL));
    refused(fc_im2col(FC_FLOAT32, t, NULL, &conv, o, t, NULL));
    refused(fc_pad(FC_FLOAT32, t, NULL, FC_PAD_EDGE, NULL, o, t, NULL));
    refused(fc_pad(FC_FLOAT32, t, ones, FC_PAD_CONSTANT, NULL, o, t, NULL));
    refused(fc_conv_output_size(ones, ones, NULL, out, NULL));
    refused(fc_conv_output_size(NULL, ones, &conv, out, NULL));
    refused(fc_conv_transpose_output_size(ones, ones, &conv, NULL, out, NULL));
    refused(fc_pool_output_size(ones, &pool, NULL, NULL));
    refused(fc_pool_output_size(ones, NULL, out, NULL));
}

static void unknown_numbers(const fc_options *o) {
    const fc_dtype dtype = FC_DTYPES;
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    refused(fc_conv_forward(dtype, t, t, NULL, &conv, o, t, NULL));
    refused(fc_avg_pool_forward(dtype, t, &pool, o, t, NULL));
    refused(fc_adaptive_avg_pool_backward(dtype, t, o, t, NULL));
    refused(fc_lrn_forward(dtype, t, &lrn, o, t, NULL));
    refused(fc_im2col(dtype, t, ones, &conv, o, t, NULL));
    refused(fc_pad(FC_FLOAT32, t, ones, FC_PAD_MODES, NULL, o, t, NULL));
    refused(fc_conv_choose(FC_FLOAT32, (fc_conv_pass)3, t, t, t, &conv, o, &choice, NULL));
    fc_options other = *o;
    other.algorithm = FC_ALGORITHM_IDS;
    refused(fc_conv_forward(FC_FLOAT32, t, t, NULL, &conv, &other, t, NULL));
    other = *o;
    other.isa = fc_isa_count();
    expect(fc_conv_forward(FC_FLOAT32, t, t, NULL, &conv, &other, t, NULL), FC_UNSUPPORTED);
    expect(fc_avg_pool_forward(FC_FLOAT32, t, &pool, &other, t, NULL), FC_UNSUPPORTED);
    if (!fc_status_string((fc_status)-1) || !fc_status_string((fc_status)1000) || fc_isa_name(-1) || fc_isa_name(1000))
        fail("words for a number that means nothing");
}

/* A caller with an older header has a shorter struct, one with a newer header a longer one. */
static void sizes_of_structs(const fc_options *o) {
    struct {
        fc_conv_params known;
        int64_t later;
    } newer = {FC_CONV_PARAMS_INIT, 0};
    int64_t size[3];
    newer.known.struct_size = sizeof newer;
    expect(fc_conv_output_size(ones, ones, &newer.known, size, NULL), FC_OK);
    newer.later = 1;
    expect(fc_conv_output_size(ones, ones, &newer.known, size, NULL), FC_BAD_STRUCT);
    const size_t none[] = {0, sizeof(size_t) - 1, 4097, (size_t)-1};
    for (size_t i = 0; i < sizeof none / sizeof *none; ++i) {
        fc_options wrong = *o;
        fc_conv_choice choice = {.struct_size = none[i]};
        wrong.struct_size = none[i];
        expect(fc_avg_pool_forward(FC_FLOAT32, t, &pool, &wrong, t, NULL), FC_BAD_STRUCT);
        expect(fc_conv_choose(FC_FLOAT32, FC_FORWARD, t, t, t, &conv, o, &choice, NULL), FC_BAD_STRUCT);
    }
    /* What lies behind an older struct is not looked at, and counts as 0: here `packed`, `slope` and an override. */
    fc_options older = *o;
    older.struct_size = offsetof(fc_options, slope);
    older.packed = &older;
    older.algorithm = FC_DIRECT;
    fc_pool_params few = pool;
    few.struct_size = offsetof(fc_pool_params, divisor_override);
    few.divisor_override = 7;
    array x = new_random(FLOAT32, CHANNELS_FIRST, 1, 1, ones), y = new_array(FLOAT32, CHANNELS_FIRST, 1, 1, ones);
    const double square = get(&x, 0) * get(&x, 0);
    expect(fc_conv_forward(FC_FLOAT32, &x.t, &x.t, NULL, &conv, &older, &y.t, NULL), FC_OK);
    if (get(&y, 0) != square)
        fail("looked behind a struct of options");
    expect(fc_avg_pool_forward(FC_FLOAT32, &x.t, &few, &older, &y.t, NULL), FC_OK);
    if (get(&y, 0) != get(&x, 0))
        fail("looked behind a struct of parameters");
    /* A result is written as far as the caller's struct reaches. */
    union {
        fc_conv_choice choice;
        unsigned char bytes[sizeof(fc_conv_choice)];
    } part;
    memset(&part, 0x5A, sizeof part);
    part.choice.struct_size = offsetof(fc_conv_choice, cost);
    expect(fc_conv_choose(FC_FLOAT32, FC_FORWARD, &x.t, &x.t, &y.t, &conv, o, &part.choice, NULL), FC_OK);
    if (part.choice.struct_size != offsetof(fc_conv_choice, cost) || part.choice.multiply_adds != 1)
        fail("a choice was handed over wrongly");
    for (size_t i = offsetof(fc_conv_choice, cost); i < sizeof part; ++i)
        if (part.bytes[i] != 0x5A)
            fail("wrote behind a choice");
    free(x.block), free(y.block);
}

static void plans(const fc_options *o) {
    fc_conv_plan *plan = (fc_conv_plan *)&any;
    fc_report report;
    fc_options wrong = *o;
    wrong.algorithm = FC_WINOGRAD;
    expect(fc_conv_plan_create(FC_FLOAT32, t, &conv, &wrong, &plan, &report), FC_UNSUPPORTED);
    if (plan)
        fail("a plan that could not be made");
    wrong = *o;
    wrong.packed = &any;
    refused(fc_conv_plan_create(FC_FLOAT32, t, &conv, &wrong, &plan, &report));
    refused(fc_conv_plan_create(FC_FLOAT32, t, &conv, o, NULL, &report));
    refused(fc_conv_plan_create(FC_FLOAT32, NULL, &conv, o, &plan, &report));
    refused(fc_conv_plan_create(FC_FLOAT32, t, NULL, o, &plan, &report));
    refused(fc_conv_plan_create(FC_DTYPES, t, &conv, o, &plan, &report));
    fc_conv_params params = conv;
    params.groups = 2;
    expect(fc_conv_plan_create(FC_FLOAT32, t, &params, o, &plan, &report), FC_BAD_GROUPS);
    params = conv, params.stride[1] = 0;
    expect(fc_conv_plan_create(FC_FLOAT32, t, &params, o, &plan, &report), FC_BAD_STRIDE);
    params = conv, params.padding[2][1] = -1;
    expect(fc_conv_plan_create(FC_FLOAT32, t, &params, o, &plan, &report), FC_BAD_PADDING);
    fc_tensor empty = *t;
    empty.size[0] = 0;
    expect(fc_conv_plan_create(FC_FLOAT32, &empty, &conv, o, &plan, &report), FC_BAD_CHANNELS);

    array w = new_random(FLOAT32, CHANNELS_FIRST, 1, 1, ones);
    expect(fc_conv_plan_create(FC_FLOAT32, &w.t, &conv, o, &plan, &report), FC_OK);
    refused(fc_conv_plan_run(NULL, t, NULL, t, &report));
    refused(fc_conv_plan_run(plan, NULL, NULL, t, &report));
    refused(fc_conv_plan_run(plan, t, NULL, NULL, &report));
    fc_tensor larger = *t;
    larger.size[4] = 2;
    expect(fc_conv_plan_run(plan, t, NULL, &larger, &report), FC_BAD_OUTPUT_SIZE);
    if (report.axis != 2 || report.value != 1)
        fail("the report of a plan does not name the axis and the value");
    expect(fc_conv_plan_run(plan, t, &(fc_vector){any.t.data, 2, 1}, t, &report), FC_BAD_CHANNELS);
    fc_conv_plan_free(plan);
    fc_conv_plan_free(NULL);
    free_array(&w);
}

void refuse_callers(const fc_options *options) {
    any = new_array(FLOAT32, CHANNELS_FIRST, 1, 1, ones);
    t = &any.t;
    missing_arrays(options);
    missing_structs(options);
    unknown_numbers(options);
    sizes_of_structs(options);
    plans(options);
    expect_untouched(&any);
    free_array(&any);
    const int before = fc_get_num_threads();
    fc_set_num_threads(-1);
    if (fc_get_num_threads() != 1)
        fail("fewer threads than one");
    fc_set_num_threads(1 << 30);
    if (fc_get_num_threads() != (fc_has_openmp() ? FC_MOST_THREADS : 1))
        fail("more threads than there may be");
    fc_set_num_threads(before);
}
