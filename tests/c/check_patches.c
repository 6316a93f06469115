/* Data that is moved and added back: patches as columns, and padding. */
#include "checks.h"

typedef struct patch_case {
    int64_t n, c, in[3], kernel[3];
    fc_conv_params params;
} patch_case;

#define ONES {1, 1, 1}
#define SIZE sizeof(fc_conv_params)
static const patch_case patches[] = {
    {2, 3, {1, 5, 17}, {1, 3, 3}, {SIZE, ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}},
    {1, 2, {1, 9, 33}, {1, 2, 3}, {SIZE, {1, 2, 3}, {1, 3, 2}, {{0, 0}, {2, 0}, {0, 3}}, 1, 0}},
    {2, 1, {1, 1, 9}, {1, 1, 2}, {SIZE, {1, 1, 4}, {1, 1, 7}, {{0, 0}, {0, 0}, {6, 7}}, 1, 0}},
    {1, 2, {3, 4, 5}, {2, 2, 2}, {SIZE, {1, 2, 1}, ONES, {{1, 0}, {0, 1}, {1, 1}}, 1, 0}},
    {1,
     1,
     {1, 1, 1},
     {1, 1, 2}, /* taps and positions far outside */
     {SIZE,
      {1, 1, (int64_t)1 << 46},
      {1, 1, (int64_t)1 << 46},
      {{0}, {0}, {(int64_t)1 << 46, (int64_t)1 << 46}},
      1,
      0}},
    {0, 2, {1, 3, 3}, {1, 2, 2}, {SIZE, ONES, ONES, {{0}, {0}, {0}}, 1, 0}},
    {1, 5, {1, 41, 43}, {1, 3, 3}, {SIZE, ONES, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0}}, /* enough for threads */
};

typedef struct pad_case {
    int64_t n, c, in[3], before[3], after[3];
} pad_case;
static const pad_case pads[] = {
    {2, 3, {1, 4, 17}, {0, 1, 2}, {0, 2, 1}},  {1, 2, {1, 1, 33}, {0, 0, 40}, {0, 0, 70}},
    {1, 2, {3, 2, 5}, {4, 3, 0}, {0, 7, 3}},   {2, 1, {1, 1, 1}, {0, 0, 3}, {0, 2, 0}},
    {1, 2, {1, 3, 3}, {0, 0, 0}, {0, 0, 0}},   {0, 2, {1, 3, 3}, {0, 1, 1}, {0, 1, 1}},
    {1, 9, {1, 79, 81}, {0, 3, 5}, {0, 2, 4}},
};

static void check_columns(const patch_case *k, element type, layout order, const fc_options *options) {
    const fc_conv_params *p = &k->params;
    int64_t out[3];
    expect(fc_conv_output_size(k->in, k->kernel, p, out, NULL), FC_OK);
    const int64_t taps = k->kernel[0] * k->kernel[1] * k->kernel[2], wide[3] = {1, 1, out[0] * out[1] * out[2]};
    array x = new_random(type, order, k->n, k->c, k->in), columns = new_array(type, order, k->n, k->c * taps, wide);
    array dcolumns = new_random(type, order, k->n, k->c * taps, wide), dx = new_array(type, order, k->n, k->c, k->in);
    double *copied = zeros(&columns), *added = zeros(&dx);
    for (place row = {0}; inside(&columns, &row); step(&columns, &row)) {
        const int64_t tap = row.c % taps, position = row.at[2];
        const int64_t t[3] = {tap / (k->kernel[1] * k->kernel[2]), tap / k->kernel[2] % k->kernel[1],
                              tap % k->kernel[2]};
        const int64_t o[3] = {position / (out[1] * out[2]), position / out[2] % out[1], position % out[2]};
        int64_t at[3];
        if (!reads(o, t, k->in, p->stride, p->dilation, p->padding, at))
            continue;
        copied[index_of(&columns, row.n, row.c, row.at)] = get(&x, index_of(&x, row.n, row.c / taps, at));
        added[index_of(&dx, row.n, row.c / taps, at)] += value_at(&dcolumns, &row);
    }
    expect(fc_im2col((fc_dtype)type, &x.t, k->kernel, p, options, &columns.t, NULL), FC_OK);
    expect(fc_col2im((fc_dtype)type, &dcolumns.t, k->kernel, p, options, &dx.t, NULL), FC_OK);
    compare(&columns, copied, 0, "im2col");
    compare(&dx, added, 0, "col2im");
    free_array(&x), free_array(&dcolumns);
}

/* The input position that a padded one repeats, one reflection or period at a time; -1: the constant. */
static int64_t source_of(fc_pad_mode mode, int64_t i, int64_t size) {
    while (i < 0 || i >= size)
        switch (mode) {
        case FC_PAD_EDGE:
            return i < 0 ? 0 : size - 1;
        case FC_PAD_WRAP:
            i += i < 0 ? size : -size;
            break;
        case FC_PAD_SYMMETRIC:
            i = i < 0 ? -1 - i : 2 * size - 1 - i;
            break;
        case FC_PAD_REFLECT:
            i = size == 1 ? 0 : i < 0 ? -i : 2 * (size - 1) - i;
            break;
        default:
            return -1;
        }
    return i;
}

static void check_padding(const pad_case *k, fc_pad_mode mode, element type, layout order, const fc_options *options) {
    static const float filler = -0.75f;
    static const double wide_filler = -0.75;
    int64_t size[3];
    for (int axis = 0; axis < 3; ++axis)
        size[axis] = k->before[axis] + k->in[axis] + k->after[axis];
    array x = new_random(type, order, k->n, k->c, k->in), y = new_array(type, order, k->n, k->c, size);
    array dy = new_random(type, order, k->n, k->c, size), dx = new_array(type, order, k->n, k->c, k->in);
    double *padded = zeros(&y), *gradient = zeros(&dx);
    for (place p = {0}; inside(&y, &p); step(&y, &p)) {
        const int64_t here = index_of(&y, p.n, p.c, p.at);
        int64_t at[3];
        int constant = 0;
        for (int axis = 0; axis < 3; ++axis) {
            at[axis] = source_of(mode, p.at[axis] - k->before[axis], k->in[axis]);
            constant |= at[axis] < 0;
        }
        padded[here] = constant ? wide_filler : get(&x, index_of(&x, p.n, p.c, at));
        if (!constant)
            gradient[index_of(&dx, p.n, p.c, at)] += get(&dy, here);
    }
    const void *value = type == FLOAT32 ? (const void *)&filler : &wide_filler;
    expect(fc_pad((fc_dtype)type, &x.t, k->before, mode, value, options, &y.t, NULL), FC_OK);
    expect(fc_pad_backward((fc_dtype)type, &dy.t, k->before, mode, options, &dx.t, NULL), FC_OK);
    compare(&y, padded, 0, "pad");
    compare(&dx, gradient, 0, "pad_backward");
    free_array(&x), free_array(&dy);
}

void check_patches(element type, layout order, const fc_options *options) {
    static const char *const modes[] = {"constant padding", "edge padding", "reflected padding", "symmetric padding",
                                        "wrapped padding"};
    for (size_t i = 0; i < sizeof patches / sizeof *patches; ++i) {
        at_case("patches", i);
        check_columns(&patches[i], type, order, options);
    }
    for (int mode = 0; mode < FC_PAD_MODES; ++mode)
        for (size_t i = 0; i < sizeof pads / sizeof *pads; ++i) {
            at_case(modes[mode], i);
            check_padding(&pads[i], (fc_pad_mode)mode, type, order, options);
        }
}

void refuse_patches(const fc_options *options) {
    static const int64_t size[3] = {1, 1, 4}, kernel[3] = {1, 1, 2}, point[3] = {1, 1, 1}, before[3] = {0, 0, 5};
    fc_conv_params params = FC_CONV_PARAMS_INIT;
    array x = new_random(FLOAT32, CHANNELS_FIRST, 1, 2, size), y = new_array(FLOAT32, CHANNELS_FIRST, 1, 4, size);
    const float zero = 0;
    fc_report report;
    expect(fc_im2col(FC_FLOAT32, &x.t, kernel, &params, options, &y.t, &report), FC_BAD_OUTPUT_SIZE);
    expect(fc_im2col(FC_FLOAT32, &x.t, point, &params, options, &y.t, &report), FC_BAD_CHANNELS);
    expect(fc_col2im(FC_FLOAT32, &x.t, kernel, &params, options, &y.t, &report), FC_BAD_CHANNELS);
    params.dilation[2] = 4;
    expect(fc_im2col(FC_FLOAT32, &x.t, kernel, &params, options, &y.t, &report), FC_KERNEL_TOO_LARGE);
    expect(fc_pad(FC_FLOAT32, &x.t, before, FC_PAD_EDGE, &zero, options, &y.t, &report), FC_BAD_CHANNELS);
    fc_tensor half = x.t;
    half.size[1] = 1;
    expect(fc_pad_backward(FC_FLOAT32, &half, before, FC_PAD_WRAP, options, &y.t, &report), FC_BAD_CHANNELS);
    fc_tensor narrow = y.t;
    narrow.size[1] = 2;
    expect(fc_pad(FC_FLOAT32, &x.t, before, FC_PAD_WRAP, &zero, options, &narrow, &report), FC_BAD_PADDING);
    expect(fc_pad(FC_FLOAT32, &x.t, size, FC_PAD_MODES, &zero, options, &narrow, &report), FC_BAD_ARGUMENT);
    expect_untouched(&y);
    free_array(&x), free_array(&y);
}
