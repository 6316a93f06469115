/* Pooling: maximum with and without indices, averages, sliding and adaptive windows, and their gradients. */
#include "fuzz.h"

#include <math.h>

typedef enum kind { MAX, MAX_INDEXED, MAX_BACKWARD, AVERAGE, AVERAGE_BACKWARD } kind;
enum { ADAPTIVE = 8 };

static kind kind_of(const problem *p) { return (kind)(p->op->pass % ADAPTIVE); }
static int is_adaptive(const problem *p) { return p->op->pass >= ADAPTIVE; }

/* ---- geometry ---- */

static void draw_windows(problem *p, int rank) {
    static const int64_t KERNELS[] = {2, 3, 2, 3, 1, 4, 5, 7};
    fc_pool_params *pool = &p->pool;
    const int average = kind_of(p) >= AVERAGE;
    const int64_t kernel = KERNELS[draw(8)], step = draw(2) ? kernel : 1 + draw(3);
    for (int axis = FC_SPATIAL - rank; axis < FC_SPATIAL; ++axis) {
        pool->kernel[axis] = draw(8) ? kernel : 1 + draw(12);
        pool->stride[axis] = draw(8) ? step : 1 + draw(5);
        pool->dilation[axis] = average || draw(4) < 3 ? 1 : 1 + draw(3);
        const int64_t window = (pool->kernel[axis] - 1) * pool->dilation[axis] + 1;
        pool->padding[axis][0] = draw(2) ? 0 : draw(8) % window;
        pool->padding[axis][1] = draw(4) ? pool->padding[axis][0] : draw(8) % window;
    }
    pool->ceil_mode = (int)draw(2);
    pool->count_include_pad = (int)draw(2);
    pool->divisor_override = draw(4) == 3 ? 1 + draw(5) : 0;
}

static void spoil_windows(problem *p, int64_t x[FC_AXES]) {
    fc_pool_params *w = &p->pool;
    int64_t *const numbers[] = {&x[0],
                                &x[1],
                                &x[2],
                                &x[3],
                                &x[4],
                                &w->divisor_override,
                                &w->kernel[0],
                                &w->kernel[1],
                                &w->kernel[2],
                                &w->stride[0],
                                &w->stride[1],
                                &w->stride[2],
                                &w->dilation[1],
                                &w->dilation[2],
                                &w->padding[0][0],
                                &w->padding[1][1],
                                &w->padding[2][0],
                                &w->padding[2][1]};
    spoil(p, numbers, is_adaptive(p) ? 5 : sizeof numbers / sizeof *numbers);
}

/* Sizes of the output: those that follow, any for adaptive windows and for indices without windows. */
static void derive(problem *p, const int64_t x[FC_AXES], int64_t y[FC_AXES]) {
    int64_t size[FC_SPATIAL] = {1, 1, 1};
    p->windows = !is_adaptive(p) && !(kind_of(p) == MAX_BACKWARD && draw(2));
    if (!p->windows)
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            size[axis] = x[2 + axis] == 1 && draw(4) ? 1 : 1 + draw(draw(4) ? 8 : 40) % (x[2 + axis] > 1 ? 40 : 3);
    else if (fc_pool_output_size(x + 2, &p->pool, size, NULL) != FC_OK)
        p->verdict = MUST_FAIL;
    y[0] = x[0];
    y[1] = x[1];
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        y[2 + axis] = size[axis];
    while (!p->windows && fits(x) && !fits(y))
        for (int axis = 2; axis < FC_AXES; ++axis)
            y[axis] = (y[axis] + 1) / 2;
}

/* ---- indices for the gradient of the maximum ---- */

/* Of windows as the forward pass would leave them, any in the plane, or some outside of it. */
static void draw_indices(problem *p) {
    const array *x = &p->arrays[X], *y = &p->arrays[Y];
    array *indices = &p->arrays[I];
    const int64_t plane = plane_of(x->t.size + 2), kind = draw(8);
    uint32_t state = (uint32_t)draw(256) + 1;
    const int64_t out = plane_of(y->t.size + 2);
    for (int64_t i = 0; i < elements_of(indices->t.size); ++i) {
        state = state * 1664525u + 1013904223u;
        int64_t index = (int64_t)(state >> 8) % plane;
        if (kind < 4 && p->windows) { /* some tap of the window, mostly */
            const int64_t o = i % out, *size = y->t.size + 2, *in = x->t.size + 2;
            const int64_t at[FC_SPATIAL] = {o / size[2] / size[1], o / size[2] % size[1], o % size[2]};
            index = 0;
            for (int axis = 0; axis < FC_SPATIAL; ++axis) {
                int64_t where = at[axis] * p->pool.stride[axis] - p->pool.padding[axis][0] +
                                (int64_t)(state >> (10 + axis)) % p->pool.kernel[axis] * p->pool.dilation[axis];
                where = where < 0 ? 0 : where >= in[axis] ? in[axis] - 1 : where;
                index = index * in[axis] + where;
            }
        }
        set(indices, i, (double)index);
    }
    if (kind == 7 && elements_of(indices->t.size) > 0) {
        const int64_t wrong[] = {-1, plane, INT64_MIN, INT64_MAX, plane + 1, -plane, (int64_t)1 << 32, -2};
        set(indices, draw(256) % elements_of(indices->t.size), (double)wrong[draw(8)]);
        p->verdict = MAY_WORK; /* another element may be given its place */
    }
}

static int index_is_outside(const problem *p, const double *indices, int64_t plane) {
    for (int64_t i = 0; i < elements_of(p->arrays[I].t.size); ++i)
        if (indices[i] < 0 || indices[i] >= (double)plane)
            return 1;
    return 0;
}

/* ---- the problem ---- */

static int is_back(const problem *p) { return kind_of(p) == MAX_BACKWARD || kind_of(p) == AVERAGE_BACKWARD; }

static double work_of(const problem *p, const int64_t x[FC_AXES], const int64_t y[FC_AXES]) {
    double work = (double)y[0] * (double)y[1];
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        work *= (double)y[2 + axis] * (is_adaptive(p) ? (double)x[2 + axis] / (double)y[2 + axis] + 2
                                                      : fmin((double)p->pool.kernel[axis], (double)x[2 + axis]));
    return work;
}

static int prepare(problem *p) {
    int64_t x[FC_AXES], y[FC_AXES];
    draw_windows(p, draw_image(x, 6000));
    spoil_windows(p, x);
    derive(p, x, y);
    disagree(p, y, p->windows ? FC_AXES : 2);
    if (p->verdict != MUST_FAIL && work_of(p, x, y) > 5.0 * MOST_WORK)
        return 0;
    if (p->verdict == MUST_WORK && kind_of(p) <= MAX_INDEXED)
        for (int axis = 0; axis < FC_SPATIAL; ++axis)
            if (p->pool.dilation[axis] > 1)
                p->verdict = MAY_WORK; /* a window may be empty */
    const element type = type_of(p);
    if (!(is_back(p) ? make_output : make_input)(p, X, type, x) ||
        !(is_back(p) ? make_input : make_output)(p, Y, type, y))
        return 0;
    if (kind_of(p) == MAX_INDEXED && !make_output(p, I, INT64, y))
        return 0;
    if (kind_of(p) == MAX_BACKWARD) {
        make_input(p, I, INT64, y);
        if (fits(x) && fits(y) && elements_of(x) > 0 && p->verdict != MUST_FAIL)
            draw_indices(p);
        for (size_t i = 0; i < p->arrays[I].bytes; ++i)
            p->arrays[I].before[i] = p->arrays[I].block[i];
    }
    return 1;
}

static fc_status run(const problem *p, const fc_options *options, fc_report *report) {
    const fc_tensor *x = &p->arrays[X].t, *y = &p->arrays[Y].t, *indices = &p->arrays[I].t;
    const fc_pool_params *windows = p->windows ? &p->pool : NULL;
    const int indexed = kind_of(p) == MAX_INDEXED;
    switch (p->op->pass) {
    case MAX:
    case MAX_INDEXED:
        return fc_max_pool_forward(p->dtype, x, windows, options, y, indexed ? indices : NULL, report);
    case MAX_BACKWARD:
        return fc_max_pool_backward(p->dtype, y, indices, windows, options, x, report);
    case AVERAGE:
        return fc_avg_pool_forward(p->dtype, x, windows, options, y, report);
    case AVERAGE_BACKWARD:
        return fc_avg_pool_backward(p->dtype, y, windows, options, x, report);
    case ADAPTIVE + AVERAGE:
        return fc_adaptive_avg_pool_forward(p->dtype, x, options, y, report);
    case ADAPTIVE + AVERAGE_BACKWARD:
        return fc_adaptive_avg_pool_backward(p->dtype, y, options, x, report);
    default:
        return fc_adaptive_max_pool_forward(p->dtype, x, options, y, indexed ? indices : NULL, report);
    }
}

static int expect(const problem *p, sum *expected[ARRAYS]) {
    const dense x = dense_of(&p->arrays[X]), y = dense_of(&p->arrays[Y]);
    const windows w = {is_adaptive(p), &p->pool, x.size + 2, y.size + 2};
    sum *unseen;
    switch (kind_of(p)) {
    case MAX:
        unseen = room((size_t)elements_of(y.size) * sizeof *unseen);
        return naive_max_pool(&x, &y, &w, expected[Y], unseen);
    case MAX_INDEXED:
        return naive_max_pool(&x, &y, &w, expected[Y], expected[I]);
    case MAX_BACKWARD: {
        const dense indices = dense_of(&p->arrays[I]);
        if (index_is_outside(p, indices.at, plane_of(x.size + 2)))
            return 0;
        naive_max_pool_backward(&x, &y, indices.at, expected[X]);
        return 1;
    }
    case AVERAGE:
        naive_avg_pool(&x, &y, &w, 0, expected[Y]);
        return 1;
    default:
        naive_avg_pool(&x, &y, &w, 1, expected[X]);
        return 1;
    }
}

const op POOL_OPS[] = {
    {"max_pool", MAX, prepare, run, expect},
    {"max_pool with indices", MAX_INDEXED, prepare, run, expect},
    {"max_pool_backward", MAX_BACKWARD, prepare, run, expect},
    {"avg_pool", AVERAGE, prepare, run, expect},
    {"avg_pool_backward", AVERAGE_BACKWARD, prepare, run, expect},
    {"adaptive_max_pool", ADAPTIVE + MAX, prepare, run, expect},
    {"adaptive_max_pool with indices", ADAPTIVE + MAX_INDEXED, prepare, run, expect},
    {"adaptive_avg_pool", ADAPTIVE + AVERAGE, prepare, run, expect},
    {"adaptive_avg_pool_backward", ADAPTIVE + AVERAGE_BACKWARD, prepare, run, expect},
};
const int POOL_OP_COUNT = sizeof POOL_OPS / sizeof *POOL_OPS;
