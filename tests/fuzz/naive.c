/* Definitions, written so that they can be seen to be right: one loop for each index, no case is special. */
#include "naive.h"

#include <math.h>

int64_t elements_of(const int64_t size[FC_AXES]) {
    for (int axis = 0; axis < FC_AXES; ++axis)
        if (size[axis] < 1)
            return 0;
    return size[0] * size[1] * plane_of(size + 2);
}

int64_t plane_of(const int64_t spatial[FC_SPATIAL]) { return spatial[0] * spatial[1] * spatial[2]; }

/* The position whose number is `flat`. */
static void position_of(int64_t flat, const int64_t size[FC_SPATIAL], int64_t at[FC_SPATIAL]) {
    at[2] = flat % size[2];
    at[1] = flat / size[2] % size[1];
    at[0] = flat / size[2] / size[1];
}

/* The number of a position, -1 outside. */
static int64_t flat_of(const int64_t at[FC_SPATIAL], const int64_t size[FC_SPATIAL]) {
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        if (at[axis] < 0 || at[axis] >= size[axis])
            return -1;
    return (at[0] * size[1] + at[1]) * size[2] + at[2];
}

static void add(sum *to, double term) {
    to->value += term;
    to->magnitude += fabs(term);
    to->terms += 1;
}

/* ---- convolution ---- */

/* The input position that tap t reads at output position o, both flat; -1: none. */
static int64_t read_by(const int64_t in[FC_SPATIAL], const int64_t out[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                       const fc_conv_params *params, int64_t o, int64_t t) {
    int64_t position[FC_SPATIAL], tap[FC_SPATIAL], at[FC_SPATIAL];
    position_of(o, out, position);
    position_of(t, kernel, tap);
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        at[axis] =
            position[axis] * params->stride[axis] + tap[axis] * params->dilation[axis] - params->padding[axis][0];
    return flat_of(at, in);
}

void naive_conv(const dense *x, const dense *w, const dense *y, const fc_conv_params *params, fc_conv_pass pass,
                sum *result) {
    const int64_t channels = w->size[1], filters = w->size[0] / params->groups; /* of a group */
    const int64_t in = plane_of(x->size + 2), out = plane_of(y->size + 2), taps = plane_of(w->size + 2);
    for (int64_t o = 0; o < out; ++o)
        for (int64_t t = 0; t < taps; ++t) {
            const int64_t i = read_by(x->size + 2, y->size + 2, w->size + 2, params, o, t);
            const int64_t weight = params->flip ? taps - 1 - t : t;
            for (int64_t n = 0; i >= 0 && n < x->size[0]; ++n)
                for (int64_t k = 0; k < w->size[0]; ++k)
                    for (int64_t c = 0; c < channels; ++c) {
                        const int64_t xi = (n * x->size[1] + k / filters * channels + c) * in + i;
                        const int64_t wi = (k * channels + c) * taps + weight, yi = (n * y->size[1] + k) * out + o;
                        if (pass == FC_FORWARD)
                            add(&result[yi], x->at[xi] * w->at[wi]);
                        if (pass == FC_GRAD_INPUT)
                            add(&result[xi], y->at[yi] * w->at[wi]);
                        if (pass == FC_GRAD_WEIGHT)
                            add(&result[wi], y->at[yi] * x->at[xi]);
                    }
        }
}

void naive_add_bias(const int64_t size[FC_AXES], const double *bias, sum *result) {
    for (int64_t i = 0; i < elements_of(size); ++i)
        add(&result[i], bias[i / plane_of(size + 2) % size[1]]);
}

void naive_activate(int64_t count, fc_activation activation, double slope, sum *result) {
    for (int64_t i = 0; i < count; ++i)
        if (activation != FC_IDENTITY && result[i].value < 0)
            result[i].value = activation == FC_RELU ? 0 : result[i].value * slope;
    for (int64_t i = 0; i < count && activation == FC_LEAKY_RELU; ++i) /* errors too are as much steeper */
        result[i].magnitude *= fmax(1, fabs(slope));
}

void naive_grad_bias(const dense *y, sum *result) {
    for (int64_t i = 0; i < elements_of(y->size); ++i)
        add(&result[i / plane_of(y->size + 2) % y->size[1]], y->at[i]);
}

void naive_patches(const dense *x, const dense *y, const int64_t kernel[FC_SPATIAL], const fc_conv_params *params,
                   int back, sum *result) {
    const int64_t in = plane_of(x->size + 2), positions = y->size[4], taps = plane_of(kernel);
    int64_t out[FC_SPATIAL];
    fc_conv_output_size(x->size + 2, kernel, params, out, NULL);
    for (int64_t n = 0; n < x->size[0]; ++n)
        for (int64_t c = 0; c < x->size[1]; ++c)
            for (int64_t t = 0; t < taps; ++t)
                for (int64_t o = 0; o < positions; ++o) {
                    const int64_t i = read_by(x->size + 2, out, kernel, params, o, t);
                    const int64_t xi = (n * x->size[1] + c) * in + i,
                                  yi = (n * y->size[1] + c * taps + t) * positions + o;
                    if (back && i >= 0)
                        add(&result[xi], y->at[yi]);
                    if (!back)
                        result[yi].value = i >= 0 ? x->at[xi] : 0;
                }
}

/* ---- pooling ---- */

typedef struct window {
    int64_t first, step, taps;
    double divisor; /* along this axis */
} window;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static window window_at(const windows *w, int axis, int64_t o) {
    const int64_t in = w->in[axis], out = w->out[axis];
    if (w->adaptive) {
        const int64_t first = o * in / out, end = ((o + 1) * in + out - 1) / out;
        return (window){first, 1, end - first, (double)(end - first)};
    }
    const fc_pool_params *p = w->params;
    const int64_t first = o * p->stride[axis] - p->padding[axis][0], kernel = p->kernel[axis];
    const int64_t padded = least(first + kernel, in + p->padding[axis][1]) - first;
    const int64_t covered = least(first + kernel, in) - (first > 0 ? first : 0);
    double divisor = (double)(p->count_include_pad ? padded : covered);
    if (p->divisor_override)
        divisor = axis == 0 ? (double)p->divisor_override : 1;
    return (window){first, p->dilation[axis], kernel, divisor};
}

/* The windows along all axes of an output position, the taps of each, and what to divide by. */
typedef struct box {
    window along[FC_SPATIAL];
    int64_t taps[FC_SPATIAL];
    double divisor;
} box;

static box box_at(const windows *w, int64_t o) {
    int64_t position[FC_SPATIAL];
    box b = {.divisor = 1};
    position_of(o, w->out, position);
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        b.along[axis] = window_at(w, axis, position[axis]);
        b.taps[axis] = b.along[axis].taps;
        b.divisor *= b.along[axis].divisor;
    }
    return b;
}

/* The input position of a tap of a box, both flat; -1: padding. */
static int64_t reach(const box *b, const int64_t in[FC_SPATIAL], int64_t t) {
    int64_t tap[FC_SPATIAL], at[FC_SPATIAL];
    position_of(t, b->taps, tap);
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        at[axis] = b->along[axis].first + tap[axis] * b->along[axis].step;
    return flat_of(at, in);
}

/* Whether a value takes the place of the largest before it: of equal ones the first stays, of NaNs the last. */
static int wins(double value, double best) { return value > best || isnan(value); }

int naive_max_pool(const dense *x, const dense *y, const windows *windows, sum *result, sum *indices) {
    const int64_t in = plane_of(x->size + 2), out = plane_of(y->size + 2);
    for (int64_t o = 0; o < out; ++o) {
        const box b = box_at(windows, o);
        for (int64_t plane = 0; plane < x->size[0] * x->size[1]; ++plane) {
            int64_t best = -1;
            for (int64_t t = 0; t < plane_of(b.taps); ++t) {
                const int64_t i = reach(&b, x->size + 2, t);
                if (i >= 0 && (best < 0 || wins(x->at[plane * in + i], x->at[plane * in + best])))
                    best = i;
            }
            if (best < 0)
                return 0;
            result[plane * out + o].value = x->at[plane * in + best];
            indices[plane * out + o].value = (double)best;
        }
    }
    return 1;
}

void naive_max_pool_backward(const dense *x, const dense *y, const double *indices, sum *result) {
    const int64_t in = plane_of(x->size + 2), out = plane_of(y->size + 2);
    for (int64_t i = 0; i < elements_of(y->size); ++i)
        add(&result[i / out * in + (int64_t)indices[i]], y->at[i]);
}

void naive_avg_pool(const dense *x, const dense *y, const windows *windows, int back, sum *result) {
    const int64_t in = plane_of(x->size + 2), out = plane_of(y->size + 2);
    for (int64_t o = 0; o < out; ++o) {
        const box b = box_at(windows, o);
        for (int64_t t = 0; t < plane_of(b.taps); ++t) {
            const int64_t i = reach(&b, x->size + 2, t);
            for (int64_t plane = 0; i >= 0 && plane < x->size[0] * x->size[1]; ++plane)
                if (back)
                    add(&result[plane * in + i], y->at[plane * out + o] / b.divisor);
                else
                    add(&result[plane * out + o], x->at[plane * in + i] / b.divisor);
        }
    }
}

/* ---- across channels ---- */

void naive_channel_max_pool(const dense *x, const dense *y, sum *result, sum *indices) {
    const int64_t plane = plane_of(x->size + 2), run = x->size[1] / y->size[1];
    for (int64_t i = 0; i < elements_of(y->size); ++i) {
        const int64_t n = i / plane / y->size[1], c = i / plane % y->size[1], at = i % plane;
        const double *pixel = x->at + n * x->size[1] * plane + at;
        int64_t best = c * run;
        for (int64_t j = best + 1; j < (c + 1) * run; ++j)
            if (wins(pixel[j * plane], pixel[best * plane]))
                best = j;
        result[i].value = pixel[best * plane];
        indices[i].value = (double)best;
    }
}

void naive_channel_max_pool_backward(const dense *x, const dense *y, const double *indices, sum *result) {
    const int64_t plane = plane_of(x->size + 2);
    for (int64_t i = 0; i < elements_of(y->size); ++i) {
        const int64_t n = i / plane / y->size[1], at = i % plane;
        add(&result[(n * x->size[1] + (int64_t)indices[i]) * plane + at], y->at[i]);
    }
}

/* Whether channel j counts for the norm of channel c. */
static int counts_for(const fc_lrn_params *params, int64_t j, int64_t c) {
    return j >= c - params->size / 2 && j <= c + (params->size - 1) / 2;
}

static double norm_at(const dense *x, int64_t i, const fc_lrn_params *params) {
    const int64_t plane = plane_of(x->size + 2), c = i / plane % x->size[1];
    double squares = 0;
    for (int64_t j = 0; j < x->size[1]; ++j)
        if (counts_for(params, j, c))
            squares += pow(x->at[i + (j - c) * plane], 2);
    return params->k + params->alpha / (double)params->size * squares;
}

/* How many roundings there are: tests/tolerance.py, norm_terms. */
static double norm_terms(const fc_lrn_params *params, double channels, int back) {
    const double size = fmin((double)params->size, channels), divisor = size + 4, power = 5;
    return back ? (params->beta + 1) * divisor + power + 1 + 2 + size - 1 + 4 + 2 + 1
                : params->beta * divisor + power + 1;
}

void naive_lrn(const dense *x, const fc_lrn_params *params, sum *result) {
    const double terms = norm_terms(params, (double)x->size[1], 0);
    for (int64_t i = 0; i < elements_of(x->size); ++i) {
        const double value = x->at[i] * pow(norm_at(x, i, params), -params->beta);
        result[i] = (sum){value, fabs(value), terms};
    }
}

void naive_lrn_backward(const dense *g, const dense *x, const fc_lrn_params *params, sum *result) {
    const double terms = norm_terms(params, (double)x->size[1], 1);
    const double factor = 2 * params->alpha * params->beta / (double)params->size;
    const int64_t plane = plane_of(x->size + 2);
    for (int64_t i = 0; i < elements_of(x->size); ++i) {
        const int64_t c = i / plane % x->size[1];
        sum s = {0};
        for (int64_t j = 0; j < x->size[1]; ++j) {
            const int64_t at = i + (j - c) * plane;
            if (counts_for(params, c, j))
                add(&s, g->at[at] * x->at[at] * pow(norm_at(x, at, params), -params->beta - 1));
        }
        const double own = g->at[i] * pow(norm_at(x, i, params), -params->beta);
        result[i].value = own - factor * x->at[i] * s.value;
        result[i].magnitude = fabs(own) + fabs(factor * x->at[i]) * s.magnitude;
        result[i].terms = terms;
    }
}

/* ---- padding ---- */

int64_t naive_pad_source(fc_pad_mode mode, int64_t position, int64_t size) {
    while (position < 0 || position >= size)
        switch (mode) {
        case FC_PAD_EDGE:
            return position < 0 ? 0 : size - 1;
        case FC_PAD_REFLECT:
            if (size == 1)
                return 0;
            position = position < 0 ? -position : 2 * (size - 1) - position;
            break;
        case FC_PAD_SYMMETRIC:
            position = position < 0 ? -1 - position : 2 * size - 1 - position;
            break;
        case FC_PAD_WRAP:
            position += position < 0 ? size : -size;
            break;
        default:
            return -1;
        }
    return position;
}

void naive_pad(const dense *x, const dense *y, const int64_t before[FC_SPATIAL], fc_pad_mode mode, double value,
               int back, sum *result) {
    const int64_t in = plane_of(x->size + 2), out = plane_of(y->size + 2);
    for (int64_t o = 0; o < out; ++o) {
        int64_t at[FC_SPATIAL];
        position_of(o, y->size + 2, at);
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            at[axis] = naive_pad_source(mode, at[axis] - before[axis], x->size[2 + axis]);
        const int64_t i = flat_of(at, x->size + 2);
        for (int64_t plane = 0; plane < x->size[0] * x->size[1]; ++plane)
            if (!back)
                result[plane * out + o].value = i < 0 ? value : x->at[plane * in + i];
            else if (i >= 0)
                add(&result[plane * in + i], y->at[plane * out + o]);
    }
}
