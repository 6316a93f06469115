/* Convolution, its gradients and its transpose: one geometry for all, of which each op reads two arrays and writes one. */
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>

/* How each op stands to the convolution: forward, or one of its gradients, done by another function. */
enum { PLAIN, PACKED, PLAN, TRANSPOSED };

static fc_conv_pass pass_of(const problem *p) { return (fc_conv_pass)(p->op->pass % 8); }
static int way_of(const problem *p) { return p->op->pass / 8; }
#define PASS(way, pass) ((way) * 8 + (pass))

/* ---- geometry ---- */

static int64_t draw_small(void) { return draw(3) ? 1 : 1 + draw(4); }

/* Halves what is largest until plain loops are fast enough. */
static void shrink(int64_t x[FC_AXES], int64_t w[FC_AXES]) {
    for (;;) {
        int64_t *const sizes[] = {&x[0], &w[0], &w[1], &x[2], &x[3], &x[4]};
        double work = 1;
        int64_t *largest = sizes[0];
        for (int i = 0; i < 6; ++i) {
            work *= (double)(*sizes[i] + (i > 2 ? w[i - 1] : 0));
            largest = *sizes[i] > *largest ? sizes[i] : largest;
        }
        if (work * (double)plane_of(w + 2) <= MOST_WORK || *largest <= 1)
            return;
        *largest = (*largest + 1) / 2;
    }
}

/* w[0] and w[1] are channels of a group until the end. */
static void draw_geometry(problem *p, int64_t x[FC_AXES], int64_t w[FC_AXES]) {
    static const int64_t KERNELS[] = {1, 3, 3, 2, 5, 7, 4, 9};
    const int rank = 1 + (int)draw(3), depthwise = draw(4) == 3;
    fc_conv_params *conv = &p->conv;
    x[0] = draw(16) ? 1 + draw(4) : 0;
    w[0] = depthwise ? 1 + draw(2) : draw_size();
    w[1] = depthwise ? 1 : draw_size();
    const int64_t plain = draw(2), kernel = KERNELS[draw(8)];
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const int absent = axis < FC_SPATIAL - rank;
        x[2 + axis] = absent ? 1 : draw_size();
        w[2 + axis] = absent ? 1 : draw(4) ? kernel : 1 + draw(4);
        if (absent)
            continue;
        if (!plain) {
            conv->stride[axis] = draw_small();
            conv->dilation[axis] = draw_small();
        }
        conv->padding[axis][0] = draw(2) ? w[2 + axis] / 2 : draw(4);
        conv->padding[axis][1] = draw(2) ? conv->padding[axis][0] : draw(4);
    }
    conv->flip = draw(4) == 3;
    shrink(x, w);
    conv->groups = depthwise ? draw_size() : draw_small();
    w[0] *= conv->groups;
    x[1] = w[1] * conv->groups;
}

static void spoil_geometry(problem *p, int64_t x[FC_AXES], int64_t w[FC_AXES]) {
    fc_conv_params *c = &p->conv;
    int64_t *const numbers[] = {&x[0],
                                &x[1],
                                &x[2],
                                &x[3],
                                &x[4],
                                &w[0],
                                &w[1],
                                &w[2],
                                &w[3],
                                &w[4],
                                &c->stride[0],
                                &c->stride[1],
                                &c->stride[2],
                                &c->groups,
                                &c->padding[0][0],
                                &c->padding[1][0],
                                &c->padding[2][0],
                                &c->padding[1][1],
                                &c->padding[2][1],
                                &c->dilation[0],
                                &c->dilation[1],
                                &c->dilation[2]};
    spoil(p, numbers, sizeof numbers / sizeof *numbers);
}

static double product(const int64_t *sizes, int count) {
    double all = 1;
    for (int i = 0; i < count; ++i)
        all *= (double)sizes[i];
    return all;
}

/* Sizes of the output; any, and the call must be refused, where there are none. */
static void derive(problem *p, const int64_t x[FC_AXES], const int64_t w[FC_AXES], int64_t y[FC_AXES]) {
    int64_t size[FC_SPATIAL] = {1, 1, 1};
    if (fc_conv_output_size(x + 2, w + 2, &p->conv, size, NULL) != FC_OK)
        p->verdict = MUST_FAIL;
    y[0] = x[0];
    y[1] = w[0];
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        y[2 + axis] = size[axis];
}

/* The other way round: x follows from y, which takes its sizes. */
static void derive_transposed(problem *p, int64_t x[FC_AXES], const int64_t w[FC_AXES], int64_t y[FC_AXES]) {
    int64_t size[FC_SPATIAL] = {1, 1, 1}, extra[FC_SPATIAL];
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        y[2 + axis] = x[2 + axis];
        extra[axis] = draw(2) ? 0 : draw(4) % (p->conv.stride[axis] < 1 ? 1 : p->conv.stride[axis]);
    }
    if (fc_conv_transpose_output_size(y + 2, w + 2, &p->conv, extra, size, NULL) != FC_OK)
        p->verdict = MAY_WORK; /* more output padding may explain the size */
    y[0] = x[0];
    y[1] = w[0];
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        x[2 + axis] = size[axis];
}

static int prepare(problem *p) {
    int64_t x[FC_AXES], w[FC_AXES], y[FC_AXES];
    draw_geometry(p, x, w);
    spoil_geometry(p, x, w);
    if (way_of(p) == TRANSPOSED)
        derive_transposed(p, x, w, y);
    else
        derive(p, x, w, y);
    disagree(p, y, FC_AXES);
    if (p->verdict != MUST_FAIL && product(y, 5) * product(w + 1, 4) > 10.0 * MOST_WORK)
        return 0;
    if (p->verdict == MUST_WORK && p->options.algorithm >= FC_WINOGRAD)
        p->verdict = MAY_WORK; /* it may not be made for this */
    if (way_of(p) == TRANSPOSED && pass_of(p) == FC_GRAD_INPUT && p->options.activation != FC_IDENTITY)
        p->verdict = MUST_FAIL;
    const element type = type_of(p);
    const int64_t *sizes[] = {[X] = x, [Y] = y, [W] = w};
    const int result = pass_of(p) == FC_FORWARD ? Y : pass_of(p) == FC_GRAD_INPUT ? X : W;
    const int multiplied = pass_of(p) == FC_GRAD_WEIGHT ? Y : W; /* by zeros of padding, or not: finite */
    const values kind = p->values;
    for (int which = X; which <= W; ++which) {
        p->values = which == multiplied && kind == SPECIAL ? QUARTERS : kind;
        if (!(which == result ? make_output : make_input)(p, which, type, sizes[which]))
            return 0;
    }
    p->values = kind;
    if (pass_of(p) == (way_of(p) == TRANSPOSED ? FC_GRAD_INPUT : FC_FORWARD) && draw(2)) {
        const int64_t size[FC_AXES] = {1, sizes[result][1], 1, 1, 1};
        make_input(p, B, type, size);
    }
    return 1;
}

/* ---- calls ---- */

static fc_status run_packed(const problem *p, const fc_options *options, const fc_vector *bias, fc_report *report) {
    const array *a = p->arrays;
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    fc_options packed = *options;
    fc_status status =
        fc_conv_choose(p->dtype, FC_FORWARD, &a[X].t, &a[W].t, &a[Y].t, &p->conv, options, &choice, report);
    if (status != FC_OK)
        return status;
    packed.algorithm = choice.algorithm;
    void *block = NULL;
    if (posix_memalign(&block, 64, (size_t)choice.packed_bytes + 1)) /* a byte, for not all algorithms pack */
        return FC_OUT_OF_MEMORY;
    status = fc_conv_pack(p->dtype, &a[W].t, &p->conv, &packed, block);
    packed.packed = choice.packed_bytes ? block : NULL;
    if (status == FC_OK)
        status = fc_conv_forward(p->dtype, &a[X].t, &a[W].t, bias, &p->conv, &packed, &a[Y].t, report);
    free(block);
    return status;
}

static fc_status run_plan(const problem *p, const fc_options *options, const fc_vector *bias, fc_report *report) {
    const array *a = p->arrays;
    fc_conv_plan *plan = NULL;
    fc_status status = fc_conv_plan_create(p->dtype, &a[W].t, &p->conv, options, &plan, report);
    if (status == FC_OK)
        status = fc_conv_plan_run(plan, &a[X].t, bias, &a[Y].t, report);
    if (status == FC_OK) /* with the choice that is kept */
        status = fc_conv_plan_run(plan, &a[X].t, bias, &a[Y].t, report);
    fc_conv_plan_free(plan);
    return status;
}

static fc_status run(const problem *p, const fc_options *options, fc_report *report) {
    const fc_tensor *x = &p->arrays[X].t, *y = &p->arrays[Y].t, *w = &p->arrays[W].t, *b = &p->arrays[B].t;
    const fc_vector bias = {b->data, b->size[1], b->stride[1]};
    switch (p->op->pass) {
    case PASS(PLAIN, FC_FORWARD):
        return fc_conv_forward(p->dtype, x, w, &bias, &p->conv, options, y, report);
    case PASS(PACKED, FC_FORWARD):
        return run_packed(p, options, &bias, report);
    case PASS(PLAN, FC_FORWARD):
        return run_plan(p, options, &bias, report);
    case PASS(PLAIN, FC_GRAD_INPUT):
        return fc_conv_grad_input(p->dtype, y, w, &p->conv, options, x, report);
    case PASS(PLAIN, FC_GRAD_WEIGHT):
        return fc_conv_grad_weight(p->dtype, y, x, &p->conv, options, w, report);
    case PASS(TRANSPOSED, FC_GRAD_INPUT):
        return fc_conv_transpose_forward(p->dtype, y, w, &bias, &p->conv, options, x, report);
    case PASS(TRANSPOSED, FC_FORWARD):
        return fc_conv_transpose_grad_input(p->dtype, x, w, &p->conv, options, y, report);
    default:
        return fc_conv_transpose_grad_weight(p->dtype, x, y, &p->conv, options, w, report);
    }
}

/* ---- results ---- */

/* Largest sums of absolute values along a row of each matrix of fastconv/reference/winograd.py, and its pairs of points. */
static const struct norms {
    int64_t taps;
    double at, g, bt, a, gt;
    double pairs;
} NORMS[] = {
    {3, 7.60, 1.50, 5.18, 7.48, 2.66, 2}, /* of both forms, the larger ones */
    {4, 6.09, 1.66, 5.18, 4.51, 2.66, 2},
    {5, 5.25, 1.80, 5.18, 2.44, 2.66, 2},
    {7, 8.00, 1.56, 15.0, 3.00, 2.89, 3},
};

static double largest(const dense *d) {
    double most = 0;
    for (int64_t i = 0; i < elements_of(d->size); ++i)
        if (isfinite(d->at[i]) && fabs(d->at[i]) > most)
            most = fabs(d->at[i]);
    return most;
}

/* All that is added to make an element by Winograd's algorithm, and the roundings on the way of each term: no less than
 * `magnitude` and `roundings` of fastconv/reference/winograd.py, and their gradients'. */
static sum winograd_sum(const dense *x, const dense *w, const dense *y, const fc_conv_params *conv, fc_conv_pass pass) {
    const int back = pass == FC_GRAD_WEIGHT;
    /* Products of a sum: one for each tap along depth and channel, or for each tile, of which there are no more than outputs. */
    const double channels = (double)(pass == FC_FORWARD ? w->size[1] : w->size[0] / conv->groups);
    const double products = back ? (double)(x->size[0] * plane_of(y->size + 2)) : channels * (double)w->size[2];
    const double factors = back ? largest(x) * largest(y) : largest(w) * largest(pass == FC_FORWARD ? x : y);
    sum whole = {0, products * factors, products + 1};
    for (int axis = 1; axis < FC_SPATIAL; ++axis) {
        /* With a stride longer kernels are done by phases: as many channels as phases, fewer taps. */
        const int64_t kernel = w->size[2 + axis],
                      phases = pass == FC_GRAD_INPUT || kernel == 3 ? 1 : conv->stride[axis];
        if (!back) {
            whole.magnitude *= (double)phases;
            whole.terms *= (double)phases;
        }
        for (size_t i = 0; i < sizeof NORMS / sizeof *NORMS; ++i) {
            const struct norms *n = &NORMS[i];
            if (n->taps != (kernel + phases - 1) / phases)
                continue;
            whole.magnitude *= n->bt * (back ? n->gt * n->a : n->at * n->g);
            whole.terms += 3 * n->pairs + (back ? 8 : (double)n->taps + 3);
        }
    }
    return whole;
}

static int runs_winograd(const problem *p) {
    const array *a = p->arrays;
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    return fc_conv_choose(p->dtype, pass_of(p), &a[X].t, &a[W].t, &a[Y].t, &p->conv, &p->options, &choice, NULL) ==
               FC_OK &&
           choice.algorithm == FC_WINOGRAD;
}

static int expect(const problem *p, sum *expected[ARRAYS]) {
    const dense x = dense_of(&p->arrays[X]), w = dense_of(&p->arrays[W]), y = dense_of(&p->arrays[Y]);
    const fc_conv_pass pass = pass_of(p);
    const int which = pass == FC_FORWARD ? Y : pass == FC_GRAD_INPUT ? X : W;
    sum *result = expected[which];
    const int64_t *size = p->arrays[which].t.size, count = elements_of(size);
    naive_conv(&x, &w, &y, &p->conv, pass, result);
    if (runs_winograd(p)) {
        const sum whole = winograd_sum(&x, &w, &y, &p->conv, pass);
        for (int64_t i = 0; i < count; ++i) {
            result[i].magnitude = fmax(result[i].magnitude, whole.magnitude);
            result[i].terms = fmax(result[i].terms, whole.terms);
        }
    }
    if (p->arrays[B].block)
        naive_add_bias(size, dense_of(&p->arrays[B]).at, result);
    if (pass == FC_FORWARD && way_of(p) != TRANSPOSED)
        naive_activate(count, p->options.activation, p->options.slope, result);
    return 1;
}

const op CONV_OPS[] = {
    {"conv_forward", PASS(PLAIN, FC_FORWARD), prepare, run, expect},
    {"conv_grad_input", PASS(PLAIN, FC_GRAD_INPUT), prepare, run, expect},
    {"conv_grad_weight", PASS(PLAIN, FC_GRAD_WEIGHT), prepare, run, expect},
    {"conv_forward packed", PASS(PACKED, FC_FORWARD), prepare, run, expect},
    {"conv_plan", PASS(PLAN, FC_FORWARD), prepare, run, expect},
    {"conv_transpose_forward", PASS(TRANSPOSED, FC_GRAD_INPUT), prepare, run, expect},
    {"conv_transpose_grad_input", PASS(TRANSPOSED, FC_FORWARD), prepare, run, expect},
    {"conv_transpose_grad_weight", PASS(TRANSPOSED, FC_GRAD_WEIGHT), prepare, run, expect},
};
const int CONV_OP_COUNT = sizeof CONV_OPS / sizeof *CONV_OPS;
