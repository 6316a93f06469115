/* Convolution, its transpose, packed weights and the choice of algorithm.
 *
 * One sum over the products of a convolution defines all: which of its three factors is summed for tells the pass, and a
 * transposed convolution is the gradient of the input with a bias.
 */
#include "checks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct conv_case {
    int64_t n, c, k; /* batch, input and output channels */
    int64_t in[3], kernel[3];
    fc_conv_params params;
} conv_case;

#define ONES {1, 1, 1}
#define SIZE sizeof(fc_conv_params)
static const conv_case cases[] = {
    /* 2-D around the vector widths, plain and padded */
    {2, 3, 5, {1, 6, 7}, {1, 3, 3}, {SIZE, ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}},
    {1, 4, 9, {1, 5, 17}, {1, 3, 3}, {SIZE, ONES, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    {1, 17, 33, {1, 3, 34}, {1, 3, 3}, {SIZE, ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}},
    {2, 8, 16, {1, 8, 16}, {1, 1, 1}, {SIZE, ONES, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    /* strides, dilation, one-sided padding, kernels mirrored */
    {1, 3, 16, {1, 23, 25}, {1, 7, 7}, {SIZE, {1, 4, 4}, ONES, {{0, 0}, {2, 2}, {2, 2}}, 1, 0}},
    {1, 5, 6, {1, 13, 14}, {1, 3, 2}, {SIZE, {1, 2, 3}, {1, 2, 3}, {{0, 0}, {2, 0}, {0, 3}}, 1, 1}},
    {1, 3, 4, {1, 9, 13}, {1, 3, 3}, {SIZE, {1, 1, 2}, {1, 2, 3}, {{0, 0}, {0, 1}, {2, 2}}, 1, 0}},
    {1, 2, 3, {1, 9, 9}, {1, 2, 2}, {SIZE, {1, 3, 3}, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    /* groups and depthwise */
    {2, 6, 8, {1, 7, 9}, {1, 3, 3}, {SIZE, ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 2, 0}},
    {1, 19, 19, {1, 8, 8}, {1, 3, 3}, {SIZE, {1, 2, 2}, ONES, {{0, 0}, {1, 1}, {1, 1}}, 19, 0}},
    /* 1-D and 3-D */
    {3, 4, 7, {1, 1, 37}, {1, 1, 5}, {SIZE, {1, 1, 2}, ONES, {{0, 0}, {0, 0}, {2, 2}}, 1, 0}},
    {1, 3, 4, {5, 6, 7}, {3, 3, 3}, {SIZE, {2, 1, 1}, ONES, {{1, 1}, {1, 1}, {1, 1}}, 1, 1}},
    /* everything of size one, also behind a stride and padding; an empty batch */
    {1, 1, 1, {1, 1, 1}, {1, 1, 1}, {SIZE, ONES, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    {1, 2, 3, {1, 1, 6}, {1, 1, 3}, {SIZE, {1, 1, 5}, ONES, {{0, 0}, {0, 0}, {1, 0}}, 1, 0}},
    {0, 3, 4, {1, 5, 5}, {1, 3, 3}, {SIZE, ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}},
};

/* ---- the definition ---- */

static const array *big, *weight, *small; /* input, weights and output of the convolution */
static double *sums;
/* Sums of small integers are exact, but for Winograd's: half an eps each for up to 32 + 26 roundings, of terms that add to
 * at most some 64 times the largest result. */
static double roundings, weight_roundings; /* the latter of the gradient of the weights */
enum { WINOGRAD_ROUNDINGS = 2048 };

typedef void product_fn(int64_t x, int64_t w, int64_t y);
static void into_small(int64_t x, int64_t w, int64_t y) { sums[y] += get(big, x) * get(weight, w); }
static void into_big(int64_t x, int64_t w, int64_t y) { sums[x] += get(small, y) * get(weight, w); }
static void into_weight(int64_t x, int64_t w, int64_t y) { sums[w] += get(small, y) * get(big, x); }
static void into_count(int64_t x, int64_t w, int64_t y) { *sums += x >= 0 && w >= 0 && y >= 0; }

/* Calls `use` for every product of a convolution with the places of its three factors. */
static void for_each_product(const conv_case *k, const array *x, const array *w, const array *y, product_fn *use) {
    const fc_conv_params *p = &k->params;
    const int64_t in_channels = k->c / p->groups, out_channels = k->k / p->groups;
    for (place o = {0}; inside(y, &o); step(y, &o))
        for (int64_t in = 0; in < in_channels; ++in) {
            int64_t t[3] = {0}, at[3], tap[3];
            do
                if (reads(o.at, t, k->in, p->stride, p->dilation, p->padding, at)) {
                    for (int axis = 0; axis < 3; ++axis)
                        tap[axis] = p->flip ? k->kernel[axis] - 1 - t[axis] : t[axis];
                    use(index_of(x, o.n, o.c / out_channels * in_channels + in, at), index_of(w, o.c, in, tap),
                        index_of(y, o.n, o.c, o.at));
                }
            while (next(t, k->kernel));
        }
}

/* Compares what a pass wrote with the sums over all products, plus a bias and cut at 0 if asked for. */
static void compare_sums(const conv_case *k, array *got, product_fn *use, const array *bias, int relu,
                         const char *what) {
    sums = zeros(got);
    for_each_product(k, use == into_big ? got : big, use == into_weight ? got : weight, use == into_small ? got : small,
                     use);
    static const int64_t origin[3] = {0, 0, 0};
    for (place p = {0}; bias && inside(got, &p); step(got, &p)) {
        double *sum = &sums[index_of(got, p.n, p.c, p.at)];
        *sum += get(bias, index_of(bias, 0, p.c, origin));
        *sum = relu ? fmax(*sum, 0) : *sum;
    }
    compare(got, sums, use == into_weight ? weight_roundings : roundings, what);
}

static fc_vector vector_of(const array *a) { return (fc_vector){a->t.data, a->t.size[1], a->t.stride[1]}; }

/* ---- passes ---- */

typedef struct operands {
    const conv_case *k;
    element type;
    layout order;
    int64_t out[3];
    array x, w, y, bias; /* y: where the small side is an input; bias: of either side, as long as the longer one */
} operands;

static array weights_like(const operands *o) {
    return new_array(o->type, o->order == SPREAD ? SPREAD : CHANNELS_FIRST, o->k->k, o->k->c / o->k->params.groups,
                     o->k->kernel);
}

/* A pass that scatters, which not every algorithm can do. */
static int scatters;

static void check_scattered(const operands *o, fc_status status, array *got, const array *bias, const char *what) {
    expect(status, scatters ? FC_OK : FC_UNSUPPORTED);
    if (scatters) {
        compare_sums(o->k, got, into_big, bias, 0, what);
    } else {
        expect_untouched(got);
        free_array(got);
    }
}

static void check_passes(const operands *o, const fc_options *options) {
    const conv_case *k = o->k;
    const fc_conv_params *p = &k->params;
    const fc_dtype dtype = (fc_dtype)o->type;
    static const int64_t point[3] = {1, 1, 1};
    array y = new_array(o->type, o->order, k->n, k->k, o->out), dx = new_array(o->type, o->order, k->n, k->c, k->in);
    array dw = weights_like(o), db = new_array(o->type, o->order, 1, k->k, point);
    fc_vector bias = vector_of(&o->bias), grad_bias = vector_of(&db);
    bias.size = k->k;

    fc_options relu = *options;
    relu.activation = FC_RELU;
    expect(fc_conv_forward(dtype, &o->x.t, &o->w.t, &bias, p, &relu, &y.t, NULL), FC_OK);
    compare_sums(k, &y, into_small, &o->bias, 1, "forward");
    check_scattered(o, fc_conv_grad_input(dtype, &o->y.t, &o->w.t, p, options, &dx.t, NULL), &dx, NULL, "grad_input");
    expect(fc_conv_grad_weight(dtype, &o->y.t, &o->x.t, p, options, &dw.t, NULL), FC_OK);
    compare_sums(k, &dw, into_weight, NULL, 0, "grad_weight");

    expect(fc_conv_grad_bias(dtype, &o->y.t, options, &grad_bias), FC_OK);
    double *bias_sums = zeros(&db);
    for (place at = {0}; inside(&o->y, &at); step(&o->y, &at)) {
        const place channel = {0, at.c, {0}};
        bias_sums[index_of(&db, 0, channel.c, channel.at)] += value_at(&o->y, &at);
    }
    compare(&db, bias_sums, 0, "grad_bias");
}

/* The same geometry the other way: its input is the small side, and what a stride left over is output padding. */
static void check_transposed(const operands *o, const fc_options *options) {
    const conv_case *k = o->k;
    const fc_conv_params *p = &k->params;
    const fc_dtype dtype = (fc_dtype)o->type;
    int64_t size[3];
    static const int64_t none[3] = {0, 0, 0};
    expect(fc_conv_transpose_output_size(o->out, k->kernel, p, none, size, NULL), FC_OK);
    for (int axis = 0; axis < 3; ++axis)
        if (size[axis] > k->in[axis] || k->in[axis] - size[axis] >= p->stride[axis])
            fail("the size of a transposed convolution");
    array y = new_array(o->type, o->order, k->n, k->c, k->in), dx = new_array(o->type, o->order, k->n, k->k, o->out);
    array dw = weights_like(o);
    fc_vector bias = vector_of(&o->bias);
    bias.size = k->c;
    check_scattered(o, fc_conv_transpose_forward(dtype, &o->y.t, &o->w.t, &bias, p, options, &y.t, NULL), &y, &o->bias,
                    "conv_transpose forward");
    expect(fc_conv_transpose_grad_input(dtype, &o->x.t, &o->w.t, p, options, &dx.t, NULL), FC_OK);
    compare_sums(k, &dx, into_small, NULL, 0, "conv_transpose grad_input");
    expect(fc_conv_transpose_grad_weight(dtype, &o->x.t, &o->y.t, p, options, &dw.t, NULL), FC_OK);
    compare_sums(k, &dw, into_weight, NULL, 0, "conv_transpose grad_weight");
}

static fc_conv_choice check_choice(const operands *o, const fc_options *options) {
    double products = 0;
    sums = &products;
    for_each_product(o->k, &o->x, &o->w, &o->y, into_count);
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    for (int pass = FC_GRAD_WEIGHT; pass >= FC_FORWARD; --pass) {
        if (pass == FC_GRAD_INPUT && !scatters)
            continue;
        expect(fc_conv_choose((fc_dtype)o->type, (fc_conv_pass)pass, &o->x.t, &o->w.t, &o->y.t, &o->k->params, options,
                              &choice, NULL),
               FC_OK);
        if (choice.algorithm <= FC_EXACT || choice.algorithm >= FC_ALGORITHM_IDS)
            fail("chose no algorithm");
        if (options->algorithm > FC_EXACT && choice.algorithm != options->algorithm)
            fail("chose another algorithm than it was told");
        for (int id = 0; id < FC_ALGORITHM_IDS; ++id) {
            if (id <= FC_EXACT ? choice.cost[id] != 0 : !(choice.cost[id] > 0 || id >= FC_WINOGRAD))
                fail("a cost that cannot be");
            if (options->algorithm == FC_AUTO && pass != FC_GRAD_INPUT && choice.cost[id] > 0 &&
                choice.cost[id] < choice.cost[choice.algorithm])
                fail("chose what is not cheapest");
        }
        if (choice.multiply_adds != products)
            fail("counted other products than there are");
        if (choice.packed_bytes < 0 || choice.scratch_bytes < 0)
            fail("scratch memory that cannot be");
    }
    return choice;
}

/* Packed weights are all that a forward pass reads of them, as long as sums are finite. */
static void check_packed(const operands *o, const fc_options *options) {
    const int64_t bytes = check_choice(o, options).packed_bytes;
    if (options->algorithm <= FC_EXACT || bytes == 0)
        return;
    enum { GUARD = 64, RUBBISH = 0x5A };
    char *block = malloc((size_t)bytes + 2 * GUARD + 63); /* C libraries of Windows lack aligned_alloc */
    char *packed = block + (-(uintptr_t)block & 63);
    if (!block)
        fail("out of memory");
    memset(packed, RUBBISH, (size_t)bytes + 2 * GUARD);
    fc_options with = *options;
    with.packed = packed + GUARD;
    expect(fc_conv_pack((fc_dtype)o->type, &o->w.t, &o->k->params, options, packed + GUARD), FC_OK);
    array unread = weights_like(o), y = new_array(o->type, o->order, o->k->n, o->k->k, o->out);
    expect(fc_conv_forward((fc_dtype)o->type, &o->x.t, &unread.t, NULL, &o->k->params, &with, &y.t, NULL), FC_OK);
    compare_sums(o->k, &y, into_small, NULL, 0, "forward with packed weights");
    array dx = new_array(o->type, o->order, o->k->n, o->k->c, o->k->in); /* a gradient does not look at them */
    check_scattered(o, fc_conv_grad_input((fc_dtype)o->type, &o->y.t, &o->w.t, &o->k->params, &with, &dx.t, NULL), &dx,
                    NULL, "grad_input beside packed weights");
    for (int i = 0; i < GUARD; ++i)
        if (packed[i] != RUBBISH || packed[GUARD + bytes + i] != RUBBISH)
            fail("packed weights are longer than was said");
    free_array(&unread);
    free(block);
}

/* A plan computes the same, when it packs and when it has packed. */
static void check_plan(const operands *o, const fc_options *options) {
    const conv_case *k = o->k;
    fc_vector bias = vector_of(&o->bias);
    bias.size = k->k;
    fc_options relu = *options;
    relu.activation = FC_RELU;
    fc_conv_plan *plan;
    expect(fc_conv_plan_create((fc_dtype)o->type, &o->w.t, &k->params, &relu, &plan, NULL), FC_OK);
    for (int run = 0; run < 2; ++run) {
        array y = new_array(o->type, o->order, k->n, k->k, o->out);
        expect(fc_conv_plan_run(plan, &o->x.t, &bias, &y.t, NULL), FC_OK);
        compare_sums(k, &y, into_small, &o->bias, 1, "plan");
    }
    fc_conv_plan_free(plan);
}

void check_conv(element type, layout order, const fc_options *options) {
    static const struct {
        fc_algorithm_id id;
        const char *name;
    } algorithms[] = {{FC_AUTO, "auto conv"},     {FC_EXACT, "exact conv"},       {FC_DIRECT, "direct conv"},
                      {FC_IM2COL, "im2col conv"}, {FC_WINOGRAD, "winograd conv"}, {FC_DEPTHWISE, "depthwise conv"}};
    static const int64_t point[3] = {1, 1, 1};
    for (size_t a = 0; a < sizeof algorithms / sizeof *algorithms; ++a)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
            at_case(algorithms[a].name, i);
            const conv_case *k = &cases[i];
            fc_options own = *options;
            own.algorithm = algorithms[a].id;
            operands o = {.k = k, .type = type, .order = order};
            expect(fc_conv_output_size(k->in, k->kernel, &k->params, o.out, NULL), FC_OK);
            o.x = new_random(type, order, k->n, k->c, k->in);
            o.w = new_random(type, order == SPREAD ? SPREAD : CHANNELS_FIRST, k->k, k->c / k->params.groups, k->kernel);
            o.y = new_random(type, order, k->n, k->k, o.out);
            o.bias = new_random(type, order, 1, k->c > k->k ? k->c : k->k, point);
            big = &o.x, weight = &o.w, small = &o.y;
            roundings = own.algorithm == FC_WINOGRAD || own.algorithm == FC_AUTO ? WINOGRAD_ROUNDINGS : 0;
            fc_conv_choice choice = FC_CONV_CHOICE_INIT;
            scatters = fc_conv_choose((fc_dtype)type, FC_GRAD_INPUT, &o.x.t, &o.w.t, &o.y.t, &k->params, &own, &choice,
                                      NULL) == FC_OK;
            const fc_status weights =
                fc_conv_choose((fc_dtype)type, FC_GRAD_WEIGHT, &o.x.t, &o.w.t, &o.y.t, &k->params, &own, &choice, NULL);
            weight_roundings = weights == FC_OK && choice.algorithm == FC_WINOGRAD ? WINOGRAD_ROUNDINGS : 0;
            if (fc_conv_choose((fc_dtype)type, FC_FORWARD, &o.x.t, &o.w.t, &o.y.t, &k->params, &own, &choice, NULL) ==
                FC_OK) {
                check_passes(&o, &own);
                check_transposed(&o, &own);
                check_packed(&o, &own);
                check_plan(&o, &own);
            } else if (own.algorithm < FC_WINOGRAD) {
                fail("an algorithm that cannot do what it must");
            }
            free_array(&o.x), free_array(&o.w), free_array(&o.y), free_array(&o.bias);
        }
}

/* ---- refusals ---- */

void refuse_conv(const fc_options *options) {
    static const int64_t size[3] = {1, 5, 5}, kernel[3] = {1, 3, 3};
    static const fc_conv_params plain = FC_CONV_PARAMS_INIT;
    static const struct {
        fc_conv_params params;
        fc_status status;
        int axis;
        int64_t value;
    } refused[] = {
        {{SIZE, {1, 1, 0}, ONES, {{0}}, 1, 0}, FC_BAD_STRIDE, 2, 0},
        {{SIZE, ONES, {1, -1, 1}, {{0}}, 1, 0}, FC_BAD_DILATION, 1, -1},
        {{SIZE, ONES, ONES, {{0}, {0, -2}}, 1, 0}, FC_BAD_PADDING, 1, -2},
        {{SIZE, ONES, {1, 3, 1}, {{0}}, 1, 0}, FC_KERNEL_TOO_LARGE, 1, 7},
        {{SIZE, ONES, ONES, {{0}}, 3, 0}, FC_BAD_GROUPS, -1, 3},
        {{SIZE, ONES, ONES, {{0}, {1, 0}}, 1, 0}, FC_BAD_OUTPUT_SIZE, 1, 4},
        {{SIZE, ONES, ONES, {{0}, {INT64_MAX, 0}}, 1, 0}, FC_OVERFLOW, 1, 5},
    };
    array x = new_random(FLOAT32, CHANNELS_FIRST, 1, 2, size), w = new_random(FLOAT32, CHANNELS_FIRST, 4, 2, kernel);
    array y = new_array(FLOAT32, CHANNELS_FIRST, 1, 4, kernel), dx = new_array(FLOAT32, CHANNELS_FIRST, 1, 2, size);
    fc_report report;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; ++i) {
        expect(fc_conv_forward(FC_FLOAT32, &x.t, &w.t, NULL, &refused[i].params, options, &y.t, &report),
               refused[i].status);
        if (report.axis != refused[i].axis || report.value != refused[i].value)
            fail("the report does not name the axis and the value");
    }
    fc_options packed = *options;
    packed.packed = w.t.data;
    expect(fc_conv_forward(FC_FLOAT32, &x.t, &w.t, NULL, &plain, &packed, &y.t, &report), FC_BAD_ARGUMENT);
    expect(fc_conv_pack(FC_FLOAT32, &w.t, &plain, options, y.t.data), FC_BAD_ARGUMENT);
    fc_options relu = *options;
    relu.activation = FC_RELU;
    expect(fc_conv_transpose_forward(FC_FLOAT32, &y.t, &w.t, NULL, &plain, &relu, &dx.t, &report), FC_UNSUPPORTED);
    fc_conv_params stretched = plain;
    stretched.stride[2] = 2;
    expect(fc_conv_transpose_forward(FC_FLOAT32, &y.t, &w.t, NULL, &stretched, options, &dx.t, &report),
           FC_BAD_OUTPUT_SIZE);
    stretched.stride[2] = 1, stretched.padding[2][0] = 1;
    expect(fc_conv_transpose_forward(FC_FLOAT32, &y.t, &w.t, NULL, &stretched, options, &dx.t, &report),
           FC_BAD_OUTPUT_PADDING);
    expect_untouched(&y), expect_untouched(&dx);
    free_array(&x), free_array(&w), free_array(&y), free_array(&dx);
}
