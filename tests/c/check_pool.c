/* Pooling: windows that slide and windows that adapt, maximum and average, forward and backward. */
#include "checks.h"

#include <math.h>
#include <stdlib.h>

typedef struct pool_case {
    int64_t n, c, in[3];
    fc_pool_params params;
} pool_case;

#define ONES {1, 1, 1}
#define SIZE sizeof(fc_pool_params)
static const pool_case sliding[] = {
    {2, 3, {1, 8, 34}, {SIZE, {1, 2, 2}, {1, 2, 2}, ONES, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, 0}},
    {1, 17, {1, 13, 15}, {SIZE, {1, 3, 3}, {1, 2, 2}, ONES, {{0, 0}, {1, 1}, {1, 1}}, 0, 1, 0}},
    {1, 5, {1, 12, 14}, {SIZE, {1, 3, 3}, {1, 2, 2}, ONES, {{0, 0}, {1, 1}, {1, 1}}, 1, 0, 0}},
    {1, 4, {1, 11, 37}, {SIZE, {1, 3, 2}, {1, 1, 1}, {1, 2, 3}, {{0, 0}, {2, 1}, {0, 1}}, 0, 1, 0}},
    {2, 2, {1, 1, 33}, {SIZE, {1, 1, 4}, {1, 1, 3}, ONES, {{0, 0}, {0, 0}, {1, 2}}, 1, 1, 0}},
    {1, 3, {5, 6, 7}, {SIZE, {2, 3, 2}, {2, 1, 2}, ONES, {{1, 0}, {1, 1}, {0, 1}}, 0, 0, 5}},
    {0, 3, {1, 4, 4}, {SIZE, {1, 2, 2}, {1, 2, 2}, ONES, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, 0}},
    {1, 9, {1, 82, 83}, {SIZE, {1, 3, 3}, {1, 2, 2}, ONES, {{0, 0}, {1, 1}, {1, 1}}, 0, 1, 0}}, /* enough for threads */
};

typedef struct adaptive_case {
    int64_t n, c, in[3], out[3];
} adaptive_case;
static const adaptive_case adaptive[] = {
    {2, 3, {1, 7, 9}, {1, 3, 4}},  {1, 17, {1, 8, 12}, {1, 4, 3}}, {2, 2, {1, 5, 33}, {1, 1, 1}},
    {1, 2, {1, 3, 5}, {1, 7, 17}}, {1, 3, {1, 1, 35}, {1, 1, 16}}, {1, 2, {5, 6, 7}, {2, 6, 3}},
    {0, 2, {1, 4, 4}, {1, 2, 2}},  {1, 9, {1, 82, 83}, {1, 5, 7}},
};

/* ---- the definition ---- */

/* Windows of one geometry along its axes: taps first, first + step, ... (count of them), some outside of the input, and
 * what the window counts for in an average. */
typedef struct window {
    int64_t first[3], count[3], step[3];
    double size;
} window;

static window window_sliding(const pool_case *k, const int64_t o[3]) {
    const fc_pool_params *p = &k->params;
    window w = {.size = 1};
    for (int axis = 0; axis < 3; ++axis) {
        w.first[axis] = o[axis] * p->stride[axis] - p->padding[axis][0];
        w.count[axis] = p->kernel[axis];
        w.step[axis] = p->dilation[axis];
        const int64_t low = p->count_include_pad ? w.first[axis] : 0;
        const int64_t high = k->in[axis] + (p->count_include_pad ? p->padding[axis][1] : 0);
        const int64_t begin = w.first[axis] < low ? low : w.first[axis], end = w.first[axis] + w.count[axis];
        w.size *= (double)((end > high ? high : end) - begin);
    }
    if (p->divisor_override)
        w.size = (double)p->divisor_override;
    return w;
}

static window window_adaptive(const adaptive_case *k, const int64_t o[3]) {
    window w = {.size = 1};
    for (int axis = 0; axis < 3; ++axis) {
        w.first[axis] = o[axis] * k->in[axis] / k->out[axis];
        w.count[axis] = ((o[axis] + 1) * k->in[axis] + k->out[axis] - 1) / k->out[axis] - w.first[axis];
        w.step[axis] = 1;
        w.size *= (double)w.count[axis];
    }
    return w;
}

/* What pooling should give for an input and a gradient of its output; only one of the cases is not NULL. */
typedef struct pooled {
    array x, dy;
    double *max, *max_again, *position, *max_gradient, *average, *average_gradient;
} pooled;

static pooled pooled_of(const pool_case *slides, const adaptive_case *adapts, array x, array dy, const array *index) {
    pooled all = {x, dy, zeros(&dy), zeros(&dy), zeros(index), zeros(&x), zeros(&dy), zeros(&x)};
    for (place o = {0}; inside(&dy, &o); step(&dy, &o)) {
        const window w = slides ? window_sliding(slides, o.at) : window_adaptive(adapts, o.at);
        const int64_t here = index_of(&dy, o.n, o.c, o.at);
        const double gradient = get(&dy, here);
        double sum = 0, top = -INFINITY;
        int64_t t[3] = {0}, from = 0, flat = 0;
        do {
            int64_t at[3];
            int valid = 1;
            for (int axis = 0; axis < 3; ++axis) {
                at[axis] = w.first[axis] + t[axis] * w.step[axis];
                valid = valid && at[axis] >= 0 && at[axis] < x.t.size[2 + axis];
            }
            if (!valid)
                continue;
            const int64_t there = index_of(&x, o.n, o.c, at);
            sum += get(&x, there);
            all.average_gradient[there] += gradient / w.size;
            if (get(&x, there) > top) {
                top = get(&x, there);
                from = there;
                flat = (at[0] * x.t.size[3] + at[1]) * x.t.size[4] + at[2];
            }
        } while (next(t, w.count));
        all.max[here] = all.max_again[here] = top;
        all.position[index_of(index, o.n, o.c, o.at)] = (double)flat;
        all.max_gradient[from] += gradient;
        all.average[here] = sum / w.size;
    }
    return all;
}

/* ---- calls ---- */

static array like(const array *a, element type, layout order) {
    return new_array(type, order, a->t.size[0], a->t.size[1], a->t.size + 2);
}

static void check_one(const pool_case *slides, const adaptive_case *adapts, element type, layout order,
                      const fc_options *options) {
    const fc_dtype dtype = (fc_dtype)type;
    const fc_pool_params *p = slides ? &slides->params : NULL;
    const int64_t n = slides ? slides->n : adapts->n, c = slides ? slides->c : adapts->c;
    const int64_t *in = slides ? slides->in : adapts->in;
    int64_t out[3];
    if (slides)
        expect(fc_pool_output_size(in, p, out, NULL), FC_OK);
    for (int axis = 0; adapts && axis < 3; ++axis)
        out[axis] = adapts->out[axis];
    array x = new_random(type, order, n, c, in), dy = new_random(type, order, n, c, out);
    array bare = like(&dy, type, order), best = like(&dy, type, order), index = like(&dy, INT64, order);
    array mean = like(&dy, type, order), dbest = like(&x, type, order), dmean = like(&x, type, order);
    const pooled all = pooled_of(slides, adapts, x, dy, &index);

    if (slides) {
        expect(fc_max_pool_forward(dtype, &x.t, p, options, &bare.t, NULL, NULL), FC_OK);
        expect(fc_max_pool_forward(dtype, &x.t, p, options, &best.t, &index.t, NULL), FC_OK);
    } else {
        expect(fc_adaptive_max_pool_forward(dtype, &x.t, options, &bare.t, NULL, NULL), FC_OK);
        expect(fc_adaptive_max_pool_forward(dtype, &x.t, options, &best.t, &index.t, NULL), FC_OK);
    }
    const fc_pool_params *known = dtype == FC_FLOAT64 ? NULL : p; /* the windows only make it faster */
    expect(fc_max_pool_backward(dtype, &dy.t, &index.t, known, options, &dbest.t, NULL), FC_OK);
    compare(&bare, all.max_again, 0, "max_pool without indices");
    compare(&best, all.max, 0, "max_pool");
    compare(&index, all.position, 0, "max_pool indices");
    compare(&dbest, all.max_gradient, 0, "max_pool_backward");
    if (slides && p->dilation[1] * p->dilation[2] > 1) { /* of which there is no average */
        free_array(&mean), free_array(&dmean), free(all.average), free(all.average_gradient);
    } else {
        if (slides) {
            expect(fc_avg_pool_forward(dtype, &x.t, p, options, &mean.t, NULL), FC_OK);
            expect(fc_avg_pool_backward(dtype, &dy.t, p, options, &dmean.t, NULL), FC_OK);
        } else {
            expect(fc_adaptive_avg_pool_forward(dtype, &x.t, options, &mean.t, NULL), FC_OK);
            expect(fc_adaptive_avg_pool_backward(dtype, &dy.t, options, &dmean.t, NULL), FC_OK);
        }
        const int64_t *shape = slides ? p->kernel : out; /* windows that meet in an element are no more than these */
        compare(&mean, all.average, 2, "avg_pool");
        compare(&dmean, all.average_gradient, 2.0 * (double)(shape[0] * shape[1] * shape[2]), "avg_pool_backward");
    }
    free_array(&x), free_array(&dy);
}

void check_pool(element type, layout order, const fc_options *options) {
    for (size_t i = 0; i < sizeof sliding / sizeof *sliding; ++i) {
        at_case("pool", i);
        check_one(&sliding[i], NULL, type, order, options);
    }
    for (size_t i = 0; i < sizeof adaptive / sizeof *adaptive; ++i) {
        at_case("adaptive pool", i);
        check_one(NULL, &adaptive[i], type, order, options);
    }
}

/* ---- refusals ---- */

void refuse_pool(const fc_options *options) {
    static const int64_t size[3] = {1, 4, 4}, half[3] = {1, 2, 2};
    static const fc_pool_params plain = {SIZE, {1, 2, 2}, {1, 2, 2}, ONES, {{0}}, 0, 1, 0};
    array x = new_random(FLOAT64, CHANNELS_FIRST, 1, 2, size), y = new_array(FLOAT64, CHANNELS_FIRST, 1, 2, half);
    array dx = new_array(FLOAT64, CHANNELS_FIRST, 1, 2, size), index = new_array(INT64, CHANNELS_FIRST, 1, 2, half);
    fc_report report;
    fc_pool_params wide = plain;
    wide.padding[2][1] = 2;
    expect(fc_max_pool_forward(FC_FLOAT64, &x.t, &wide, options, &y.t, NULL, &report), FC_BAD_PADDING);
    if (report.axis != 2 || report.value != 2)
        fail("the report does not name the axis and the value");
    fc_tensor other = y.t;
    other.size[1] = 1;
    expect(fc_avg_pool_forward(FC_FLOAT64, &x.t, &plain, options, &other, &report), FC_BAD_CHANNELS);
    expect(fc_adaptive_max_pool_forward(FC_FLOAT64, &x.t, options, &other, NULL, &report), FC_BAD_CHANNELS);
    other = y.t;
    other.size[3] = (int64_t)1 << 62;
    expect(fc_avg_pool_forward(FC_FLOAT64, &x.t, &plain, options, &other, &report), FC_OVERFLOW);
    expect(fc_adaptive_avg_pool_forward(FC_FLOAT64, &x.t, options, &other, &report), FC_OVERFLOW);
    static const int64_t bad[] = {-1, 16, INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        fill_indices(&index, bad[i]);
        expect(fc_max_pool_backward(FC_FLOAT64, &y.t, &index.t, NULL, options, &dx.t, &report), FC_BAD_INDEX);
        if (report.value != bad[i])
            fail("the report does not name the index");
    }
    fc_tensor none[] = {y.t, index.t, dx.t}; /* windows are looked at without images too */
    for (int i = 0; i < 3; ++i)
        none[i].size[0] = 0;
    expect(fc_max_pool_backward(FC_FLOAT64, &none[0], &none[1], &wide, options, &none[2], NULL), FC_BAD_PADDING);
    expect_untouched(&y), expect_untouched(&dx);
    free_array(&x), free_array(&y), free_array(&dx), free_array(&index);
}
