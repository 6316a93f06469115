/* Every op of the C interface on every usable instruction set, against plain loops in double.
 *
 * Inputs are small multiples of 1/4, so that every sum of products is exact in float and order does not matter:
 * convolutions and maxima must agree to the last bit; averages round once or twice and may differ by that. Arrays lie
 * between guard bytes, channels first or last, and outputs are filled with rubbish before each call. Needs nothing but
 * the C library, so that it also runs cross-compiled under an emulator. Exits 1 at the first case that differs.
 */
#include "fastconv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, RUBBISH = 0xA5 };

static long checks;
static const char *where = "";

static void fail(const char *what) {
    printf("FAILED: %s: %s\n", where, what);
    exit(1);
}

static void expect(fc_status status, fc_status wanted) {
    ++checks;
    if (status != wanted) {
        printf("status is %s; expected %s\n", fc_status_string(status), fc_status_string(wanted));
        fail("status");
    }
}

/* ---- arrays ---- */

typedef enum { FLOAT32 = FC_FLOAT32, FLOAT64 = FC_FLOAT64, INT64 } element;

typedef struct array {
    fc_tensor t;
    element type;
    char *block;
    size_t bytes;
} array;

static size_t item_size(element type) { return type == FLOAT32 ? 4 : 8; }

static int64_t item_count(const array *a) {
    int64_t count = 1;
    for (int i = 0; i < FC_AXES; ++i)
        count *= a->t.size[i];
    return count;
}

static array new_array(element type, int channels_last, int64_t n, int64_t c, const int64_t *spatial) {
    static const int orders[2][FC_AXES] = {{0, 1, 2, 3, 4}, {0, 2, 3, 4, 1}};
    array a = {.t.size = {n, c, spatial[0], spatial[1], spatial[2]}, .type = type};
    int64_t stride = 1;
    for (int i = FC_AXES - 1; i >= 0; --i) {
        a.t.stride[orders[channels_last][i]] = stride;
        stride *= a.t.size[orders[channels_last][i]];
    }
    a.bytes = (size_t)item_count(&a) * item_size(type);
    a.block = malloc(a.bytes + 2 * GUARD);
    if (!a.block)
        fail("out of memory");
    memset(a.block, RUBBISH, a.bytes + 2 * GUARD);
    a.t.data = a.block + GUARD;
    return a;
}

static void free_array(array *a) {
    for (int i = 0; i < GUARD; ++i)
        if ((unsigned char)a->block[i] != RUBBISH || (unsigned char)a->block[GUARD + a->bytes + i] != RUBBISH)
            fail("wrote outside of an array");
    free(a->block);
}

static int64_t offset_of(const array *a, int64_t n, int64_t c, const int64_t *at) {
    const int64_t *s = a->t.stride;
    return n * s[0] + c * s[1] + at[0] * s[2] + at[1] * s[3] + at[2] * s[4];
}

static double get(const array *a, int64_t offset) {
    if (a->type == INT64)
        return (double)((int64_t *)a->t.data)[offset];
    return a->type == FLOAT32 ? ((float *)a->t.data)[offset] : ((double *)a->t.data)[offset];
}

static void set(array *a, int64_t offset, double value) {
    if (a->type == INT64)
        ((int64_t *)a->t.data)[offset] = (int64_t)value;
    else if (a->type == FLOAT32)
        ((float *)a->t.data)[offset] = (float)value;
    else
        ((double *)a->t.data)[offset] = value;
}

static void fill_random(array *a) {
    static uint32_t state = 12345;
    for (int64_t i = 0; i < item_count(a); ++i) {
        state = state * 1664525u + 1013904223u;
        set(a, i, ((int)(state >> 24) % 17 - 8) / 4.0);
    }
}

/* Expected values of an array, in its own order of elements. */
static double *zeros(const array *a) {
    double *values = calloc((size_t)item_count(a) + 1, sizeof *values);
    if (!values)
        fail("out of memory");
    return values;
}

/* Compares within `steps` roundings of the largest value, checks the guards and frees both. */
static void compare(array *got, double *expected, double steps, const char *what) {
    const double eps = got->type == FLOAT32 ? 0x1p-23 : 0x1p-52;
    double largest = 0;
    for (int64_t i = 0; i < item_count(got); ++i)
        largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < item_count(got); ++i)
        if (!(fabs(get(got, i) - expected[i]) <= steps * eps * largest)) {
            printf("element %lld is %.17g; expected %.17g\n", (long long)i, get(got, i), expected[i]);
            fail(what);
        }
    ++checks;
    free(expected);
    free_array(got);
}

/* ---- the definitions ---- */

typedef struct conv_case {
    int64_t n, c, k; /* batch, input and output channels */
    int64_t in[3], kernel[3];
    fc_conv_params params;
} conv_case;

typedef struct pool_case {
    int64_t n, c, in[3];
    fc_pool_params params;
} pool_case;

/* Steps through a box of positions, last axis fastest; 0 after the last. */
static int next(int64_t at[3], const int64_t size[3]) {
    for (int axis = 2; axis >= 0; --axis) {
        if (++at[axis] < size[axis])
            return 1;
        at[axis] = 0;
    }
    return 0;
}

/* Input position that tap `t` reads at output position `o`; 0 when it lies in the padding. */
static int reads(const int64_t *o, const int64_t *t, const int64_t *in, const int64_t *stride, const int64_t *dilation,
                 const int64_t (*padding)[2], int64_t at[3]) {
    for (int axis = 0; axis < 3; ++axis) {
        at[axis] = o[axis] * stride[axis] + t[axis] * dilation[axis] - padding[axis][0];
        if (at[axis] < 0 || at[axis] >= in[axis])
            return 0;
    }
    return 1;
}

/* Calls `use` for every product of a convolution with the offsets of its three factors. */
typedef void product_fn(int64_t x, int64_t w, int64_t y);
static void for_each_product(const conv_case *k, const array *x, const array *w, const array *y, product_fn *use) {
    const fc_conv_params *p = &k->params;
    const int64_t in_channels = k->c / p->groups, out_channels = k->k / p->groups;
    for (int64_t n = 0; n < k->n; ++n)
        for (int64_t out = 0; out < k->k; ++out)
            for (int64_t in = 0; in < in_channels; ++in) {
                int64_t o[3] = {0}, t[3] = {0}, at[3];
                do
                    do
                        if (reads(o, t, k->in, p->stride, p->dilation, p->padding, at)) {
                            int64_t tap[3];
                            for (int axis = 0; axis < 3; ++axis)
                                tap[axis] = p->flip ? k->kernel[axis] - 1 - t[axis] : t[axis];
                            use(offset_of(x, n, out / out_channels * in_channels + in, at), offset_of(w, out, in, tap),
                                offset_of(y, n, out, o));
                        }
                    while (next(t, k->kernel));
                while (next(o, y->t.size + 2));
            }
}

static const array *input, *weight, *grad;
static double *sums;
static void add_forward(int64_t x, int64_t w, int64_t y) { sums[y] += get(input, x) * get(weight, w); }
static void add_grad_input(int64_t x, int64_t w, int64_t y) { sums[x] += get(grad, y) * get(weight, w); }
static void add_grad_weight(int64_t x, int64_t w, int64_t y) { sums[w] += get(grad, y) * get(input, x); }

/* ---- convolution ---- */

static void check_conv(const conv_case *k, fc_dtype dtype, int channels_last, const fc_options *options) {
    int64_t out[3];
    expect(fc_conv_output_size(k->in, k->kernel, &k->params, out, NULL), FC_OK);
    const element type = (element)dtype;
    array x = new_array(type, channels_last, k->n, k->c, k->in);
    array w = new_array(type, 0, k->k, k->c / k->params.groups, k->kernel);
    array y = new_array(type, channels_last, k->n, k->k, out);
    array dy = new_array(type, channels_last, k->n, k->k, out);
    array dx = new_array(type, channels_last, k->n, k->c, k->in);
    array dw = new_array(type, 0, k->k, k->c / k->params.groups, k->kernel);
    const int64_t point[3] = {1, 1, 1};
    array bias = new_array(type, 0, 1, k->k, point), db = new_array(type, 0, 1, k->k, point);
    fill_random(&x), fill_random(&w), fill_random(&dy), fill_random(&bias);
    input = &x, weight = &w, grad = &dy;

    const fc_vector b = {bias.t.data, k->k, 1}, gb = {db.t.data, k->k, 1};
    fc_options relu = *options;
    relu.activation = FC_RELU;
    expect(fc_conv_forward(dtype, &x.t, &w.t, &b, &k->params, &relu, &y.t, NULL), FC_OK);
    sums = zeros(&y);
    for_each_product(k, &x, &w, &y, add_forward);
    for (int64_t n = 0; n < k->n; ++n)
        for (int64_t c = 0; c < k->k; ++c) {
            int64_t o[3] = {0};
            do {
                double *sum = &sums[offset_of(&y, n, c, o)];
                *sum = fmax(*sum + get(&bias, c), 0);
            } while (next(o, out));
        }
    compare(&y, sums, 0, "forward");

    expect(fc_conv_grad_input(dtype, &dy.t, &w.t, &k->params, options, &dx.t, NULL), FC_OK);
    sums = zeros(&dx);
    for_each_product(k, &x, &w, &dy, add_grad_input);
    compare(&dx, sums, 0, "grad_input");

    expect(fc_conv_grad_weight(dtype, &dy.t, &x.t, &k->params, options, &dw.t, NULL), FC_OK);
    sums = zeros(&dw);
    for_each_product(k, &x, &w, &dy, add_grad_weight);
    compare(&dw, sums, 0, "grad_weight");

    expect(fc_conv_grad_bias(dtype, &dy.t, options, &gb), FC_OK);
    sums = zeros(&db);
    for (int64_t n = 0; n < k->n; ++n)
        for (int64_t c = 0; c < k->k; ++c) {
            int64_t o[3] = {0};
            do
                sums[c] += get(&dy, offset_of(&dy, n, c, o));
            while (next(o, out));
        }
    compare(&db, sums, 0, "grad_bias");

    free_array(&x), free_array(&w), free_array(&dy), free_array(&bias);
}

/* ---- pooling ---- */

/* The window's elements within the padded input, by which an average is divided. */
static double window_size(const pool_case *k, const int64_t *o) {
    const fc_pool_params *p = &k->params;
    if (p->divisor_override)
        return (double)p->divisor_override;
    double size = 1;
    for (int axis = 0; axis < 3; ++axis) {
        int64_t begin = o[axis] * p->stride[axis] - p->padding[axis][0], end = begin + p->kernel[axis];
        const int64_t low = p->count_include_pad ? begin : 0;
        const int64_t high = k->in[axis] + (p->count_include_pad ? p->padding[axis][1] : 0);
        begin = begin < low ? low : begin;
        end = end > high ? high : end;
        size *= (double)(end - begin);
    }
    return size;
}

static void check_pool(const pool_case *k, fc_dtype dtype, int channels_last, const fc_options *options) {
    const fc_pool_params *p = &k->params;
    int64_t out[3];
    expect(fc_pool_output_size(k->in, p, out, NULL), FC_OK);
    const element type = (element)dtype;
    array x = new_array(type, channels_last, k->n, k->c, k->in);
    array dy = new_array(type, channels_last, k->n, k->c, out);
    array best = new_array(type, channels_last, k->n, k->c, out),
          bare = new_array(type, channels_last, k->n, k->c, out);
    array index = new_array(INT64, channels_last, k->n, k->c, out);
    array mean = new_array(type, channels_last, k->n, k->c, out);
    array dbest = new_array(type, channels_last, k->n, k->c, k->in);
    array dmean = new_array(type, channels_last, k->n, k->c, k->in);
    fill_random(&x), fill_random(&dy);

    double *max = zeros(&best), *max_again = zeros(&best), *position = zeros(&index), *average = zeros(&mean);
    double *max_gradient = zeros(&dbest), *average_gradient = zeros(&dmean);
    for (int64_t n = 0; n < k->n; ++n)
        for (int64_t c = 0; c < k->c; ++c) {
            int64_t o[3] = {0};
            do {
                const int64_t here = offset_of(&best, n, c, o);
                const double share = get(&dy, here) / window_size(k, o);
                int64_t t[3] = {0}, at[3], from = 0;
                double sum = 0, top = -INFINITY;
                do
                    if (reads(o, t, k->in, p->stride, p->dilation, p->padding, at)) {
                        const int64_t there = offset_of(&x, n, c, at);
                        sum += get(&x, there);
                        average_gradient[there] += share;
                        if (get(&x, there) > top) {
                            top = get(&x, there);
                            from = there;
                            position[here] = (double)((at[0] * k->in[1] + at[1]) * k->in[2] + at[2]);
                        }
                    }
                while (next(t, p->kernel));
                max[here] = max_again[here] = top;
                max_gradient[from] += get(&dy, here);
                average[here] = sum / window_size(k, o);
            } while (next(o, out));
        }

    expect(fc_max_pool_forward(dtype, &x.t, p, options, &bare.t, NULL, NULL), FC_OK);
    compare(&bare, max_again, 0, "max_pool without indices");
    expect(fc_max_pool_forward(dtype, &x.t, p, options, &best.t, &index.t, NULL), FC_OK);
    expect(fc_max_pool_backward(dtype, &dy.t, &index.t, options, &dbest.t, NULL), FC_OK);
    compare(&best, max, 0, "max_pool");
    compare(&index, position, 0, "max_pool indices");
    compare(&dbest, max_gradient, 0, "max_pool_backward");
    if (p->dilation[0] == 1 && p->dilation[1] == 1 && p->dilation[2] == 1) {
        expect(fc_avg_pool_forward(dtype, &x.t, p, options, &mean.t, NULL), FC_OK);
        compare(&mean, average, 2, "avg_pool");
        expect(fc_avg_pool_backward(dtype, &dy.t, p, options, &dmean.t, NULL), FC_OK);
        compare(&dmean, average_gradient, 2.0 * (double)(p->kernel[0] * p->kernel[1] * p->kernel[2]),
                "avg_pool_backward");
    } else {
        free_array(&mean), free_array(&dmean), free(average), free(average_gradient);
    }
    free_array(&x), free_array(&dy);
}

/* ---- refusals ---- */

static void check_refusals(const fc_options *options) {
    const int64_t size[3] = {1, 5, 5}, kernel[3] = {1, 3, 3};
    array x = new_array(FLOAT32, 0, 1, 2, size), w = new_array(FLOAT32, 0, 4, 2, kernel);
    array y = new_array(FLOAT32, 0, 1, 4, kernel);
    fill_random(&x), fill_random(&w);
    const fc_conv_params plain = {.stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 1};
    fc_conv_params params = plain;
    fc_report report;
    params.stride[2] = 0;
    expect(fc_conv_forward(FC_FLOAT32, &x.t, &w.t, NULL, &params, options, &y.t, &report), FC_BAD_STRIDE);
    if (report.axis != 2 || report.value != 0)
        fail("the report does not name the axis and the value");
    params = plain;
    params.dilation[1] = 3;
    expect(fc_conv_forward(FC_FLOAT32, &x.t, &w.t, NULL, &params, options, &y.t, &report), FC_KERNEL_TOO_LARGE);
    params = plain;
    params.groups = 3;
    expect(fc_conv_forward(FC_FLOAT32, &x.t, &w.t, NULL, &params, options, &y.t, &report), FC_BAD_GROUPS);
    params = plain;
    params.padding[1][0] = 1;
    expect(fc_conv_forward(FC_FLOAT32, &x.t, &w.t, NULL, &params, options, &y.t, &report), FC_BAD_OUTPUT_SIZE);
    for (size_t i = 0; i < y.bytes; ++i)
        if (((unsigned char *)y.t.data)[i] != RUBBISH)
            fail("a refused call wrote its output");
    free_array(&x), free_array(&w), free_array(&y);
}

/* ---- cases ---- */

#define ONES {1, 1, 1}
static const conv_case conv_cases[] = {
    /* 2-D around the vector widths, plain and padded */
    {2, 3, 5, {1, 6, 7}, {1, 3, 3}, {ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}},
    {1, 4, 9, {1, 5, 17}, {1, 3, 3}, {ONES, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    {1, 17, 33, {1, 9, 34}, {1, 3, 3}, {ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}},
    {2, 8, 16, {1, 8, 16}, {1, 1, 1}, {ONES, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    /* strides, dilation, one-sided padding, kernels mirrored */
    {1, 3, 16, {1, 23, 25}, {1, 7, 7}, {{1, 4, 4}, ONES, {{0, 0}, {2, 2}, {2, 2}}, 1, 0}},
    {1, 5, 6, {1, 13, 14}, {1, 3, 2}, {{1, 2, 3}, {1, 2, 3}, {{0, 0}, {2, 0}, {0, 3}}, 1, 1}},
    {1, 2, 3, {1, 9, 9}, {1, 2, 2}, {{1, 3, 3}, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    /* groups and depthwise */
    {2, 6, 8, {1, 7, 9}, {1, 3, 3}, {ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 2, 0}},
    {1, 19, 19, {1, 8, 8}, {1, 3, 3}, {{1, 2, 2}, ONES, {{0, 0}, {1, 1}, {1, 1}}, 19, 0}},
    /* 1-D and 3-D */
    {3, 4, 7, {1, 1, 37}, {1, 1, 5}, {{1, 1, 2}, ONES, {{0, 0}, {0, 0}, {2, 2}}, 1, 0}},
    {1, 3, 4, {5, 6, 7}, {3, 3, 3}, {{2, 1, 1}, ONES, {{1, 1}, {1, 1}, {1, 1}}, 1, 1}},
    /* everything of size one; an empty batch */
    {1, 1, 1, {1, 1, 1}, {1, 1, 1}, {ONES, ONES, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}},
    {0, 3, 4, {1, 5, 5}, {1, 3, 3}, {ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}},
};

static const pool_case pool_cases[] = {
    {2, 3, {1, 8, 34}, {{1, 2, 2}, {1, 2, 2}, ONES, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, 0}},
    {1, 17, {1, 13, 15}, {{1, 3, 3}, {1, 2, 2}, ONES, {{0, 0}, {1, 1}, {1, 1}}, 0, 1, 0}},
    {1, 5, {1, 12, 14}, {{1, 3, 3}, {1, 2, 2}, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0, 0}},
    {1, 4, {1, 11, 37}, {{1, 3, 2}, {1, 1, 1}, {1, 2, 3}, {{0, 0}, {2, 1}, {0, 1}}, 0, 1, 0}},
    {2, 2, {1, 1, 33}, {{1, 1, 4}, {1, 1, 3}, ONES, {{0, 0}, {0, 0}, {1, 2}}, 1, 1, 0}},
    {1, 3, {5, 6, 7}, {{2, 3, 2}, {2, 1, 2}, ONES, {{1, 0}, {1, 1}, {0, 1}}, 0, 0, 5}},
    {0, 3, {1, 4, 4}, {{1, 2, 2}, {1, 2, 2}, ONES, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, 0}},
};

int main(void) {
    static const char *const types[] = {"float32", "float64"}, *const layouts[] = {"channels first", "channels last"};
    static const struct {
        fc_algorithm_id id;
        const char *name;
    } algorithms[] = {{FC_AUTO, "auto"}, {FC_DIRECT, "direct"}, {FC_IM2COL, "im2col"}};
    static char label[128];
    where = label;
    if (fc_abi_version() != FC_ABI_VERSION)
        fail("the library has another ABI than the header");

    fc_options options;
    fc_options_init(&options);
    check_refusals(&options);
    for (options.isa = 0; options.isa < fc_isa_count(); ++options.isa) {
        const char *isa = fc_isa_name(options.isa);
        if (!fc_isa_usable(options.isa)) {
            printf("%-10s skipped: this CPU lacks it\n", isa);
            continue;
        }
        const long before = checks;
        for (fc_dtype dtype = FC_FLOAT32; dtype < FC_DTYPES; ++dtype)
            for (int layout = 0; layout < 2; ++layout)
                for (options.threads = 1; options.threads <= 3; options.threads += 2) {
                    for (size_t i = 0; i < sizeof pool_cases / sizeof *pool_cases; ++i) {
                        snprintf(label, sizeof label, "%s, %s, %s, %d threads, pool case %d", isa, types[dtype],
                                 layouts[layout], options.threads, (int)i);
                        check_pool(&pool_cases[i], dtype, layout, &options);
                    }
                    for (size_t a = 0; a < sizeof algorithms / sizeof *algorithms; ++a)
                        for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; ++i) {
                            snprintf(label, sizeof label, "%s, %s, %s, %d threads, %s, conv case %d", isa, types[dtype],
                                     layouts[layout], options.threads, algorithms[a].name, (int)i);
                            options.algorithm = algorithms[a].id;
                            check_conv(&conv_cases[i], dtype, layout, &options);
                        }
                    options.algorithm = FC_AUTO;
                }
        printf("%-10s %ld checks\n", isa, checks - before);
    }
    fc_clear_scratch();
    printf("all %ld checks passed\n", checks);
    return 0;
}
