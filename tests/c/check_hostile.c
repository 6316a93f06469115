/* Calls made of random numbers, most of them nonsense: each is refused without a byte written, or computes something within
 * its arrays. Sizes are small, or larger than any array may be; what is small lies between guard bytes.
 */
#include "checks.h"

#include <stdlib.h>

enum { CALLS = 20000, LARGEST = 3 };

static uint32_t state = 1;

/* 0..count - 1 */
static int draw(int count) {
    state = state * 1664525u + 1013904223u;
    return (int)((state >> 8) % (uint32_t)count);
}

/* Mostly 1..LARGEST. */
static int64_t number(void) {
    static const int64_t odd[] = {0, -1, -7, INT64_MAX, INT64_MAX - 1, INT64_MIN, (int64_t)1 << 48};
    return draw(16) ? 1 + draw(LARGEST) : odd[draw(sizeof odd / sizeof *odd)];
}

static void numbers(int64_t *to, int count) {
    for (int i = 0; i < count; ++i)
        to[i] = number();
}

/* Room for LARGEST elements along each axis, whatever sizes say. */
static array room(element type) {
    static const int64_t spatial[3] = {LARGEST, LARGEST, LARGEST};
    array a = new_array(type, CHANNELS_FIRST, LARGEST, LARGEST, spatial);
    if (type == INT64)
        fill_indices(&a, 0);
    numbers(a.t.size, FC_AXES);
    return a;
}

static fc_conv_params conv_params(void) {
    fc_conv_params params = FC_CONV_PARAMS_INIT;
    numbers(params.stride, 3), numbers(params.dilation, 3);
    for (int i = 0; i < 3; ++i) {
        params.dilation[i] = draw(3) ? 1 : params.dilation[i];
        params.padding[i][0] = draw(3) ? 0 : number();
        params.padding[i][1] = draw(3) ? 0 : number();
    }
    params.groups = draw(3) ? 1 : number();
    params.flip = draw(2);
    return params;
}

static fc_pool_params pool_params(void) {
    const fc_conv_params conv = conv_params();
    fc_pool_params params = FC_POOL_PARAMS_INIT;
    for (int i = 0; i < 3; ++i) {
        params.stride[i] = conv.stride[i], params.dilation[i] = conv.dilation[i];
        params.padding[i][0] = conv.padding[i][0], params.padding[i][1] = conv.padding[i][1];
    }
    numbers(params.kernel, 3);
    params.ceil_mode = draw(2), params.count_include_pad = draw(2), params.divisor_override = draw(3) ? 0 : number();
    return params;
}

/* Makes sizes follow from the geometry where that is possible: too few calls would mean anything otherwise. */
static void fit(fc_tensor *output, const fc_tensor *input, int64_t channels, fc_status status, const int64_t *size) {
    if (status != FC_OK || size[0] > LARGEST || size[1] > LARGEST || size[2] > LARGEST || !draw(8))
        return;
    output->size[0] = input->size[0], output->size[1] = channels;
    for (int axis = 0; axis < 3; ++axis)
        output->size[2 + axis] = size[axis];
}

static void fit_conv(fc_tensor *input, fc_tensor *weight, fc_tensor *output, const fc_conv_params *params) {
    int64_t size[3] = {0};
    const fc_status status = fc_conv_output_size(input->size + 2, weight->size + 2, params, size, NULL);
    if (draw(8))
        weight->size[1] = input->size[1];
    fit(output, input, weight->size[0], status, size);
}

static void fit_pool(fc_tensor *input, fc_tensor *output, fc_tensor *indices, const fc_pool_params *params) {
    int64_t size[3] = {0};
    const fc_status status = fc_pool_output_size(input->size + 2, params, size, NULL);
    fit(output, input, input->size[1], status, size);
    fit(indices, input, input->size[1], status, size);
}

/* One call that reads a, b and perhaps indices, and writes to c, or to indices too. */
static fc_status call(const fc_options *o, fc_tensor *a, fc_tensor *b, fc_tensor *indices, fc_tensor *c) {
    const fc_conv_params conv = conv_params();
    const fc_pool_params pool = pool_params();
    const fc_lrn_params lrn = {sizeof lrn, number(), 1e-4, 0.75, 1.0};
    const fc_vector vector = {c->data, draw(2) ? a->size[1] : number(), 1};
    const double value = 1;
    int64_t three[3];
    fc_report report;
    numbers(three, 3);
    switch (draw(16)) {
    case 0:
        fit_conv(a, b, c, &conv);
        return fc_conv_forward(FC_FLOAT32, a, b, NULL, &conv, o, c, &report);
    case 1:
        fit_conv(c, b, a, &conv);
        return fc_conv_grad_input(FC_FLOAT32, a, b, &conv, o, c, &report);
    case 2:
        fit_conv(b, c, a, &conv);
        return fc_conv_grad_weight(FC_FLOAT32, a, b, &conv, o, c, &report);
    case 3:
        fit_conv(c, b, a, &conv);
        return fc_conv_transpose_forward(FC_FLOAT32, a, b, NULL, &conv, o, c, &report);
    case 4:
        fit_conv(a, c, b, &conv);
        return fc_conv_transpose_grad_weight(FC_FLOAT32, a, b, &conv, o, c, &report);
    case 5:
        fit_pool(a, c, indices, &pool);
        return fc_max_pool_forward(FC_FLOAT32, a, &pool, o, c, draw(2) ? indices : NULL, &report);
    case 6:
        fit_pool(a, c, indices, &pool);
        return fc_avg_pool_forward(FC_FLOAT32, a, &pool, o, c, &report);
    case 7:
        fit_pool(c, a, indices, &pool);
        return fc_avg_pool_backward(FC_FLOAT32, a, &pool, o, c, &report);
    case 8:
        fit_pool(c, a, indices, &pool);
        return fc_max_pool_backward(FC_FLOAT32, a, indices, draw(2) ? &pool : NULL, o, c, &report);
    case 9:
        return fc_adaptive_avg_pool_forward(FC_FLOAT32, a, o, c, &report);
    case 10:
        return fc_adaptive_avg_pool_backward(FC_FLOAT32, a, o, c, &report);
    case 11:
        return fc_channel_max_pool_forward(FC_FLOAT32, a, o, c, draw(2) ? indices : NULL, &report);
    case 12:
        return fc_lrn_backward(FC_FLOAT32, a, b, &lrn, o, c, &report);
    case 13:
        return fc_col2im(FC_FLOAT32, a, three, &conv, o, c, &report);
    case 14:
        for (int axis = 0; axis < 3; ++axis)
            three[axis] -= three[axis] > 0;
        return fc_pad(FC_FLOAT32, a, three, (fc_pad_mode)draw(6), &value, o, c, &report);
    default:
        return fc_conv_grad_bias(FC_FLOAT32, a, o, &vector);
    }
}

/* Three sizes of random numbers seldom belong together: take those of a for the others, now and then. */
static void bring_together(array *a, array *b, array *indices, array *c) {
    for (int axis = 0; axis < FC_AXES; ++axis) {
        if (draw(4))
            b->t.size[axis] = c->t.size[axis] = a->t.size[axis];
        if (draw(8))
            indices->t.size[axis] = c->t.size[axis];
    }
}

void refuse_hostile(const fc_options *options) {
    long done = 0;
    for (int i = 0; i < CALLS; ++i) {
        at_case("random call", (size_t)i);
        array a = room(FLOAT32), b = room(FLOAT32), indices = room(INT64), c = room(FLOAT32);
        bring_together(&a, &b, &indices, &c);
        const fc_status status = call(options, &a.t, &b.t, &indices.t, &c.t);
        if (status != FC_OK)
            expect_untouched(&c);
        done += status == FC_OK;
        free_array(&a), free_array(&b), free_array(&indices), free_array(&c);
    }
    if (done < CALLS / 10)
        fail("random calls that mean something are too few");
    ++checks;
}
