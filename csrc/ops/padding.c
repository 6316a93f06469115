/* Padding of the spatial axes, and its gradient.
 *
 * Each axis has a table: the input position behind every output position, or -1 for the constant. Rows are copied whole
 * between their padded ends. The gradient adds along the same tables, row by row in the order of the output: the dtype
 * itself is the accumulator.
 */
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/interface.h"

typedef struct padding_run {
    const fc_kernels *kernels;
    const fc_tensor *small, *large;
    const int64_t *before;
    fc_pad_mode mode;
    int64_t *table[FC_SPATIAL];
    const char *value;
} padding_run;

/* The input position that the padded position i (0 where the input begins) repeats; -1: none. */
static int64_t source_of(fc_pad_mode mode, int64_t i, int64_t size) {
    if (i >= 0 && i < size)
        return i;
    const int64_t period = mode == FC_PAD_WRAP ? size : mode == FC_PAD_SYMMETRIC ? 2 * size : 2 * (size - 1);
    switch (mode) {
    case FC_PAD_EDGE:
        return i < 0 ? 0 : size - 1;
    case FC_PAD_WRAP:
    case FC_PAD_SYMMETRIC:
    case FC_PAD_REFLECT: {
        if (period == 0) /* the reflection of a single element */
            return 0;
        const int64_t turned = (i % period + period) % period;
        return turned < size ? turned : (mode == FC_PAD_SYMMETRIC ? period - 1 : period) - turned;
    }
    default:
        return -1;
    }
}

static void lay_out(padding_run *run, fc_arena *arena) {
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const int64_t size = run->large->size[2 + axis];
        run->table[axis] = fc_arena_take(arena, size, sizeof(int64_t));
        for (int64_t i = 0; arena->base && i < size; ++i)
            run->table[axis][i] = source_of(run->mode, i - run->before[axis], run->small->size[2 + axis]);
    }
}

/* Output rows of one plane and depth. */
static void pad_task(void *context, int64_t task, int thread) {
    (void)thread;
    const padding_run *run = context;
    const fc_kernels *kernels = run->kernels;
    const fc_tensor *x = run->small, *y = run->large;
    const ptrdiff_t item = kernels->itemsize, from = x->stride[4] * item, to = y->stride[4] * item;
    const int64_t d = task % y->size[2], plane = task / y->size[2];
    const int64_t n = plane / y->size[1], channel = plane % y->size[1];
    const int64_t before = run->before[2], after = before + x->size[4];
    for (int64_t h = 0; h < y->size[3]; ++h) {
        char *dst = fc_plane(y, n, channel, item) + (d * y->stride[2] + h * y->stride[3]) * item;
        if (run->table[0][d] < 0 || run->table[1][h] < 0) {
            kernels->copy_matrix((fc_matrix){dst, 0, to}, (fc_matrix){(char *)run->value, 0, 0}, 1, y->size[4]);
            continue;
        }
        const char *src =
            fc_plane(x, n, channel, item) + (run->table[0][d] * x->stride[2] + run->table[1][h] * x->stride[3]) * item;
        kernels->gather_row(dst, to, src, from, run->table[2], before, run->value);
        kernels->copy_matrix((fc_matrix){dst + before * to, 0, to}, (fc_matrix){(char *)src, 0, from}, 1, x->size[4]);
        kernels->gather_row(dst + after * to, to, src, from, run->table[2] + after, y->size[4] - after, run->value);
    }
}

/* One plane of the gradient. */
static void pad_backward_task(void *context, int64_t task, int thread) {
    (void)thread;
    const padding_run *run = context;
    const fc_kernels *kernels = run->kernels;
    const fc_tensor *x = run->small, *y = run->large;
    const ptrdiff_t item = kernels->itemsize, to = x->stride[4] * item, from = y->stride[4] * item;
    const int64_t n = task / y->size[1], channel = task % y->size[1];
    const int64_t before = run->before[2], after = before + x->size[4];
    fc_clear_planes(kernels, x, n, channel);
    for (int64_t d = 0; d < y->size[2]; ++d)
        for (int64_t h = 0; h < y->size[3]; ++h) {
            if (run->table[0][d] < 0 || run->table[1][h] < 0)
                continue;
            const char *src = fc_plane(y, n, channel, item) + (d * y->stride[2] + h * y->stride[3]) * item;
            char *dst = fc_plane(x, n, channel, item) +
                        (run->table[0][d] * x->stride[2] + run->table[1][h] * x->stride[3]) * item;
            kernels->scatter_add(dst, 0, to, src, from, run->table[2], sizeof(int64_t), before, x->size[4]);
            kernels->add_matrix((fc_matrix){dst, 0, to}, (fc_matrix){(char *)src + before * from, 0, from}, 1,
                                x->size[4]);
            kernels->scatter_add(dst, 0, to, src + after * from, from, run->table[2] + after, sizeof(int64_t),
                                 y->size[4] - after, x->size[4]);
        }
}

static fc_status run_padding(padding_run *run, fc_dtype dtype, const fc_options *options, int back, fc_report *report) {
    static const int64_t LEAST[FC_AXES] = {0, 1, 1, 1, 1};
    const fc_tensor *x = run->small, *y = run->large;
    FC_NEED((unsigned)dtype < FC_DTYPES && (unsigned)run->mode < FC_PAD_MODES);
    run->kernels = fc_kernels_for(options->isa, dtype);
    if (!run->kernels)
        return FC_UNSUPPORTED;
    fc_status status = fc_check_tensor(x, LEAST);
    if (status == FC_OK)
        status = fc_check_tensor(y, LEAST);
    if (status != FC_OK)
        return status;
    if (x->size[0] != y->size[0])
        return FC_BAD_BATCH;
    if (x->size[1] != y->size[1])
        return FC_BAD_CHANNELS;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        if (run->before[axis] < 0 || run->before[axis] > y->size[2 + axis] - x->size[2 + axis]) {
            if (report)
                *report = (fc_report){axis, run->before[axis]};
            return FC_BAD_PADDING;
        }
    fc_arena arena = {0};
    lay_out(run, &arena);
    arena = (fc_arena){fc_scratch_take(arena.used), 0};
    if (!arena.base)
        return FC_OUT_OF_MEMORY;
    lay_out(run, &arena);
    const int threads = fc_elementwise_threads(y, options);
    const int64_t planes = y->size[0] * y->size[1];
    fc_parallel(back ? planes : planes * y->size[2], threads, back ? pad_backward_task : pad_task, run);
    fc_scratch_give(arena.base);
    return FC_OK;
}

fc_status fc_pad(fc_dtype dtype, const fc_tensor *input, const int64_t before[FC_SPATIAL], fc_pad_mode mode,
                 const void *value, const fc_options *options, const fc_tensor *output, fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(output) && before && (value || mode != FC_PAD_CONSTANT));
    FC_ADOPT_OPTIONS(options);
    padding_run run = {.small = input, .large = output, .before = before, .mode = mode, .value = value};
    return run_padding(&run, dtype, options, 0, report);
}

fc_status fc_pad_backward(fc_dtype dtype, const fc_tensor *grad_output, const int64_t before[FC_SPATIAL],
                          fc_pad_mode mode, const fc_options *options, const fc_tensor *grad_input, fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(grad_input) && before);
    FC_ADOPT_OPTIONS(options);
    padding_run run = {.small = grad_input, .large = grad_output, .before = before, .mode = mode};
    return run_padding(&run, dtype, options, 1, report);
}
