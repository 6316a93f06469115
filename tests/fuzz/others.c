/* What is neither convolution nor pooling of planes: gradients of biases, channels, patches and padding. */
#include "fuzz.h"

#include <string.h>

static void spoil_image(problem *p, int64_t x[FC_AXES]) {
    int64_t *const sizes[] = {&x[0], &x[1], &x[2], &x[3], &x[4]};
    spoil(p, sizes, FC_AXES);
}

/* ---- gradients of biases ---- */

static int prepare_bias(problem *p) {
    int64_t y[FC_AXES];
    draw_image(y, MOST_ELEMENTS);
    const int64_t b[FC_AXES] = {1, y[1], 1, 1, 1};
    spoil_image(p, y);
    if (y[1] != b[1])
        p->verdict = MUST_FAIL;
    if (p->verdict != MUST_FAIL && !fits(y))
        return 0;
    return make_input(p, Y, type_of(p), y) && make_output(p, B, type_of(p), b);
}

static fc_status run_bias(const problem *p, const fc_options *options, fc_report *report) {
    (void)report;
    const fc_tensor *b = &p->arrays[B].t;
    const fc_vector bias = {b->data, b->size[1], b->stride[1]};
    return fc_conv_grad_bias(p->dtype, &p->arrays[Y].t, options, &bias);
}

static int expect_bias(const problem *p, sum *expected[ARRAYS]) {
    const dense y = dense_of(&p->arrays[Y]);
    naive_grad_bias(&y, expected[B]);
    return 1;
}

/* ---- maximum over channels ---- */

enum { MAX, INDEXED, BACKWARD };

static int prepare_max(problem *p) {
    int64_t x[FC_AXES], y[FC_AXES];
    draw_image(x, 4000);
    spoil_image(p, x);
    memcpy(y, x, sizeof y);
    const int64_t run = 1 + draw(4);
    if (x[1] > 0 && x[1] <= MOST_ELEMENTS)
        x[1] *= run;
    disagree(p, y, FC_AXES);
    if (p->verdict != MUST_FAIL && (!fits(x) || !fits(y)))
        return 0;
    if (p->op->pass == MAX || p->op->pass == INDEXED)
        return make_input(p, X, type_of(p), x) && make_output(p, Y, type_of(p), y) &&
               (p->op->pass == MAX || make_output(p, I, INT64, y));
    if (!make_output(p, X, type_of(p), x) || !make_input(p, Y, type_of(p), y) || !make_input(p, I, INT64, y))
        return 0;
    array *indices = &p->arrays[I];
    uint32_t state = (uint32_t)draw(256) + 1;
    for (int64_t i = 0; fits(y) && x[1] > 0 && i < elements_of(y); ++i, state = state * 1664525u + 7)
        set(indices, i, (double)((state >> 8) % (uint32_t)x[1]));
    if (fits(y) && elements_of(y) > 0 && draw(8) == 7) {
        const int64_t wrong[] = {-1, x[1], INT64_MIN, INT64_MAX};
        set(indices, draw(256) % elements_of(y), (double)wrong[draw(4)]);
        p->verdict = p->verdict == MUST_WORK ? MAY_WORK : p->verdict;
    }
    memcpy(indices->before, indices->block, indices->bytes);
    return 1;
}

static fc_status run_max(const problem *p, const fc_options *options, fc_report *report) {
    const fc_tensor *x = &p->arrays[X].t, *y = &p->arrays[Y].t, *indices = &p->arrays[I].t;
    if (p->op->pass == BACKWARD)
        return fc_channel_max_pool_backward(p->dtype, y, indices, options, x, report);
    return fc_channel_max_pool_forward(p->dtype, x, options, y, p->op->pass == INDEXED ? indices : NULL, report);
}

static int expect_max(const problem *p, sum *expected[ARRAYS]) {
    const dense x = dense_of(&p->arrays[X]), y = dense_of(&p->arrays[Y]);
    if (p->op->pass != BACKWARD) {
        sum *indices = expected[I] ? expected[I] : room((size_t)elements_of(y.size) * sizeof *indices);
        naive_channel_max_pool(&x, &y, expected[Y], indices);
        return 1;
    }
    const dense indices = dense_of(&p->arrays[I]);
    for (int64_t i = 0; i < elements_of(y.size); ++i)
        if (indices.at[i] < 0 || indices.at[i] >= (double)x.size[1])
            return 0;
    naive_channel_max_pool_backward(&x, &y, indices.at, expected[X]);
    return 1;
}

/* ---- local response normalisation ---- */

static int prepare_lrn(problem *p) {
    static const double BETAS[] = {0.75, 0.5, 1, 0.6}, ALPHAS[] = {1e-4, 1, 0.5, 0};
    int64_t x[FC_AXES], y[FC_AXES];
    draw_image(x, 2000);
    p->lrn.size = 1 + draw(8);
    p->lrn.alpha = ALPHAS[draw(4)];
    p->lrn.beta = BETAS[draw(4)];
    p->lrn.k = 1 + (double)draw(2);
    if (p->hostile && draw(2)) {
        p->lrn.size = draw_hostile();
        p->verdict = p->lrn.size < 1 ? MUST_FAIL : MAY_WORK;
    } else {
        spoil_image(p, x);
    }
    memcpy(y, x, sizeof y);
    disagree(p, y, FC_AXES);
    p->values = p->values == SPECIAL ? FRACTIONS : p->values; /* powers of infinity are the C library's */
    if (p->verdict != MUST_FAIL && (!fits(x) || !fits(y)))
        return 0;
    if (p->op->pass == BACKWARD)
        return make_input(p, X, type_of(p), x) && make_input(p, Y, type_of(p), y) && make_output(p, Z, type_of(p), x);
    return make_input(p, X, type_of(p), x) && make_output(p, Y, type_of(p), y);
}

static fc_status run_lrn(const problem *p, const fc_options *options, fc_report *report) {
    const fc_tensor *x = &p->arrays[X].t, *y = &p->arrays[Y].t, *z = &p->arrays[Z].t;
    if (p->op->pass == BACKWARD)
        return fc_lrn_backward(p->dtype, y, x, &p->lrn, options, z, report);
    return fc_lrn_forward(p->dtype, x, &p->lrn, options, y, report);
}

static int expect_lrn(const problem *p, sum *expected[ARRAYS]) {
    const dense x = dense_of(&p->arrays[X]), y = dense_of(&p->arrays[Y]);
    if (p->op->pass == BACKWARD)
        naive_lrn_backward(&y, &x, &p->lrn, expected[Z]);
    else
        naive_lrn(&x, &p->lrn, expected[Y]);
    return 1;
}

/* ---- patches ---- */

static int prepare_patches(problem *p) {
    int64_t x[FC_AXES], out[FC_SPATIAL] = {1, 1, 1};
    fc_conv_params *c = &p->conv;
    draw_image(x, 1500);
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        if (x[2 + axis] > 1) {
            p->kernel[axis] = 1 + draw(4);
            c->stride[axis] = 1 + draw(3);
            c->dilation[axis] = draw(2) ? 1 : 1 + draw(3);
            c->padding[axis][0] = draw(3);
            c->padding[axis][1] = draw(3);
        }
    int64_t *const numbers[] = {&x[0],
                                &x[1],
                                &x[2],
                                &x[3],
                                &x[4],
                                &p->kernel[0],
                                &p->kernel[1],
                                &p->kernel[2],
                                &c->stride[0],
                                &c->stride[1],
                                &c->stride[2],
                                &c->dilation[1],
                                &c->dilation[2],
                                &c->padding[0][0],
                                &c->padding[1][1],
                                &c->padding[2][0]};
    spoil(p, numbers, sizeof numbers / sizeof *numbers);
    double columns = (double)x[1], positions = 1;
    if (fc_conv_output_size(x + 2, p->kernel, c, out, NULL) != FC_OK)
        p->verdict = MUST_FAIL;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        columns *= (double)p->kernel[axis];
        positions *= (double)out[axis];
    }
    if (p->verdict != MUST_FAIL && columns * positions > MOST_ELEMENTS)
        return 0;
    int64_t y[FC_AXES] = {x[0], 1, 1, 1, 1};
    if (p->verdict != MUST_FAIL) {
        y[1] = (int64_t)columns;
        y[4] = (int64_t)positions;
    }
    disagree(p, y, FC_AXES);
    if (p->op->pass == BACKWARD)
        return make_output(p, X, type_of(p), x) && make_input(p, Y, type_of(p), y);
    return make_input(p, X, type_of(p), x) && make_output(p, Y, type_of(p), y);
}

static fc_status run_patches(const problem *p, const fc_options *options, fc_report *report) {
    const fc_tensor *x = &p->arrays[X].t, *y = &p->arrays[Y].t;
    if (p->op->pass == BACKWARD)
        return fc_col2im(p->dtype, y, p->kernel, &p->conv, options, x, report);
    return fc_im2col(p->dtype, x, p->kernel, &p->conv, options, y, report);
}

static int expect_patches(const problem *p, sum *expected[ARRAYS]) {
    const dense x = dense_of(&p->arrays[X]), y = dense_of(&p->arrays[Y]);
    const int back = p->op->pass == BACKWARD;
    naive_patches(&x, &y, p->kernel, &p->conv, back, expected[back ? X : Y]);
    return 1;
}

/* ---- padding ---- */

static int prepare_pad(problem *p) {
    int64_t x[FC_AXES], y[FC_AXES];
    draw_image(x, 1500);
    p->mode = (fc_pad_mode)draw(FC_PAD_MODES);
    p->constant = (double)draw(3);
    memcpy(y, x, sizeof y);
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        p->before[axis] = draw(2) ? 0 : draw(12);
        y[2 + axis] += p->before[axis] + (draw(2) ? 0 : draw(12));
    }
    if (p->hostile) {
        int64_t *const numbers[] = {&x[0], &x[1], &x[2], &x[3], &x[4], &p->before[0], &p->before[1], &p->before[2]};
        spoil(p, numbers, sizeof numbers / sizeof *numbers);
        p->mode = draw(8) ? p->mode : FC_PAD_MODES;
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            if (x[2 + axis] > y[2 + axis] || x[2 + axis] < 1 || p->before[axis] < 0 ||
                p->before[axis] > y[2 + axis] - x[2 + axis])
                p->verdict = MUST_FAIL;
        if (x[0] != y[0] || x[1] != y[1] || p->mode == FC_PAD_MODES)
            p->verdict = MUST_FAIL;
    }
    if (p->verdict != MUST_FAIL && !fits(y))
        return 0;
    if (p->op->pass == BACKWARD)
        return make_output(p, X, type_of(p), x) && make_input(p, Y, type_of(p), y);
    return make_input(p, X, type_of(p), x) && make_output(p, Y, type_of(p), y);
}

static fc_status run_pad(const problem *p, const fc_options *options, fc_report *report) {
    const fc_tensor *x = &p->arrays[X].t, *y = &p->arrays[Y].t;
    const float single = (float)p->constant;
    const void *value = p->dtype == FC_FLOAT64 ? (const void *)&p->constant : (const void *)&single;
    if (p->op->pass == BACKWARD)
        return fc_pad_backward(p->dtype, y, p->before, p->mode, options, x, report);
    return fc_pad(p->dtype, x, p->before, p->mode, p->mode == FC_PAD_CONSTANT ? value : NULL, options, y, report);
}

static int expect_pad(const problem *p, sum *expected[ARRAYS]) {
    const dense x = dense_of(&p->arrays[X]), y = dense_of(&p->arrays[Y]);
    const int back = p->op->pass == BACKWARD;
    naive_pad(&x, &y, p->before, p->mode, p->constant, back, expected[back ? X : Y]);
    return 1;
}

const op OTHER_OPS[] = {
    {"conv_grad_bias", 0, prepare_bias, run_bias, expect_bias},
    {"channel_max_pool", MAX, prepare_max, run_max, expect_max},
    {"channel_max_pool with indices", INDEXED, prepare_max, run_max, expect_max},
    {"channel_max_pool_backward", BACKWARD, prepare_max, run_max, expect_max},
    {"lrn_forward", 0, prepare_lrn, run_lrn, expect_lrn},
    {"lrn_backward", BACKWARD, prepare_lrn, run_lrn, expect_lrn},
    {"im2col", 0, prepare_patches, run_patches, expect_patches},
    {"col2im", BACKWARD, prepare_patches, run_patches, expect_patches},
    {"pad", 0, prepare_pad, run_pad, expect_pad},
    {"pad_backward", BACKWARD, prepare_pad, run_pad, expect_pad},
};
const int OTHER_OP_COUNT = sizeof OTHER_OPS / sizeof *OTHER_OPS;
