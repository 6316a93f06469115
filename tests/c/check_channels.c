/* What runs across channels: the maximum of their runs, and local response normalisation. */
#include "checks.h"

#include <math.h>

typedef struct run_case {
    int64_t n, c, size, in[3]; /* c channels in runs of `size` */
} run_case;
static const run_case runs[] = {
    {2, 6, 2, {1, 1, 3}}, {1, 12, 4, {1, 5, 17}}, {2, 5, 5, {1, 4, 33}},   {1, 3, 1, {1, 1, 1}},
    {1, 9, 3, {2, 3, 5}}, {0, 4, 2, {1, 3, 3}},   {1, 20, 4, {1, 61, 67}},
};

typedef struct norm_case {
    int64_t n, c, in[3];
    fc_lrn_params params;
} norm_case;
#define SIZE sizeof(fc_lrn_params)
static const norm_case norms[] = {
    {2, 7, {1, 3, 5}, {SIZE, 5, 1e-4, 0.75, 1.0}},   {1, 5, {1, 1, 33}, {SIZE, 4, 0.5, 0.5, 2.0}},
    {1, 3, {1, 4, 17}, {SIZE, 1, 0.25, 1.0, 1.0}},   {2, 4, {2, 3, 7}, {SIZE, 2, 0.1, 0.6, 1.5}},
    {1, 6, {1, 1, 1}, {SIZE, 99, 1.0, 0.75, 1.0}},   {0, 3, {1, 2, 2}, {SIZE, 3, 0.1, 0.75, 1.0}},
    {1, 16, {1, 61, 67}, {SIZE, 5, 0.1, 0.75, 2.0}},
};

static void check_max(const run_case *k, element type, layout order, const fc_options *options) {
    const int64_t runs_of = k->c / k->size;
    const fc_dtype dtype = (fc_dtype)type;
    array x = new_random(type, order, k->n, k->c, k->in), dy = new_random(type, order, k->n, runs_of, k->in);
    array bare = new_array(type, order, k->n, runs_of, k->in), best = new_array(type, order, k->n, runs_of, k->in);
    array index = new_array(INT64, order, k->n, runs_of, k->in), dx = new_array(type, order, k->n, k->c, k->in);
    double *max = zeros(&best), *max_again = zeros(&bare), *channel = zeros(&index), *gradient = zeros(&dx);
    for (place p = {0}; inside(&dy, &p); step(&dy, &p)) {
        int64_t from = p.c * k->size;
        for (int64_t c = from + 1; c < (p.c + 1) * k->size; ++c)
            if (get(&x, index_of(&x, p.n, c, p.at)) > get(&x, index_of(&x, p.n, from, p.at)))
                from = c;
        const int64_t here = index_of(&best, p.n, p.c, p.at), there = index_of(&x, p.n, from, p.at);
        max[here] = max_again[here] = get(&x, there);
        channel[index_of(&index, p.n, p.c, p.at)] = (double)from;
        gradient[there] += value_at(&dy, &p);
    }
    expect(fc_channel_max_pool_forward(dtype, &x.t, options, &bare.t, NULL, NULL), FC_OK);
    expect(fc_channel_max_pool_forward(dtype, &x.t, options, &best.t, &index.t, NULL), FC_OK);
    expect(fc_channel_max_pool_backward(dtype, &dy.t, &index.t, options, &dx.t, NULL), FC_OK);
    compare(&bare, max_again, 0, "channel_max_pool without indices");
    compare(&best, max, 0, "channel_max_pool");
    compare(&index, channel, 0, "channel_max_pool indices");
    compare(&dx, gradient, 0, "channel_max_pool_backward");
    free_array(&x), free_array(&dy);
}

/* k + alpha / size * the sum of squares of the channels around c */
static double scale(const norm_case *k, const array *x, const place *p, int64_t c) {
    const int64_t size = k->params.size;
    double sum = 0;
    for (int64_t near = c - size / 2; near <= c + (size - 1) / 2; ++near)
        if (near >= 0 && near < k->c) {
            const double value = get(x, index_of(x, p->n, near, p->at));
            sum += value * value;
        }
    return k->params.k + k->params.alpha / (double)size * sum;
}

static void check_norm(const norm_case *k, element type, layout order, const fc_options *options) {
    const fc_lrn_params *lrn = &k->params;
    array x = new_random(type, order, k->n, k->c, k->in), dy = new_random(type, order, k->n, k->c, k->in);
    array y = new_array(type, order, k->n, k->c, k->in), dx = new_array(type, order, k->n, k->c, k->in);
    double *normed = zeros(&y), *gradient = zeros(&dx);
    for (place p = {0}; inside(&x, &p); step(&x, &p)) {
        const int64_t here = index_of(&x, p.n, p.c, p.at);
        const double s = scale(k, &x, &p, p.c), g = value_at(&dy, &p);
        normed[here] = get(&x, here) * pow(s, -lrn->beta);
        gradient[here] += g * pow(s, -lrn->beta);
        for (int64_t near = p.c - lrn->size / 2; near <= p.c + (lrn->size - 1) / 2; ++near)
            if (near >= 0 && near < k->c) { /* a channel that p's sum of squares holds */
                const int64_t there = index_of(&x, p.n, near, p.at);
                gradient[there] -= 2 * lrn->alpha / (double)lrn->size * lrn->beta * g * get(&x, here) *
                                   pow(s, -lrn->beta - 1) * get(&x, there);
            }
    }
    expect(fc_lrn_forward((fc_dtype)type, &x.t, lrn, options, &y.t, NULL), FC_OK);
    expect(fc_lrn_backward((fc_dtype)type, &dy.t, &x.t, lrn, options, &dx.t, NULL), FC_OK);
    compare(&y, normed, 8, "lrn_forward");
    compare(&dx, gradient, 16, "lrn_backward");
    free_array(&x), free_array(&dy);
}

void check_channels(element type, layout order, const fc_options *options) {
    for (size_t i = 0; i < sizeof runs / sizeof *runs; ++i) {
        at_case("channel maximum", i);
        check_max(&runs[i], type, order, options);
    }
    for (size_t i = 0; i < sizeof norms / sizeof *norms; ++i) {
        at_case("normalisation", i);
        check_norm(&norms[i], type, order, options);
    }
}

void refuse_channels(const fc_options *options) {
    static const int64_t size[3] = {1, 2, 3};
    array x = new_random(FLOAT32, CHANNELS_LAST, 1, 6, size), y = new_array(FLOAT32, CHANNELS_LAST, 1, 4, size);
    array dx = new_array(FLOAT32, CHANNELS_LAST, 1, 8, size), index = new_array(INT64, CHANNELS_LAST, 1, 4, size);
    fc_report report;
    fc_lrn_params lrn = {SIZE, 0, 1e-4, 0.75, 1.0};
    expect(fc_channel_max_pool_forward(FC_FLOAT32, &x.t, options, &y.t, NULL, &report), FC_BAD_CHANNELS);
    static const int64_t bad[] = {-1, 8, INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        fill_indices(&index, bad[i]);
        expect(fc_channel_max_pool_backward(FC_FLOAT32, &y.t, &index.t, options, &dx.t, &report), FC_BAD_INDEX);
        if (report.value != bad[i])
            fail("the report does not name the index");
    }
    expect(fc_lrn_forward(FC_FLOAT32, &x.t, &lrn, options, &y.t, &report), FC_BAD_KERNEL);
    lrn.size = 3;
    expect(fc_lrn_forward(FC_FLOAT32, &x.t, &lrn, options, &y.t, &report), FC_BAD_CHANNELS);
    expect(fc_lrn_backward(FC_FLOAT32, &x.t, &y.t, &lrn, options, &dx.t, &report), FC_BAD_CHANNELS);
    expect_untouched(&y), expect_untouched(&dx);
    free_array(&x), free_array(&y), free_array(&dx), free_array(&index);
}
