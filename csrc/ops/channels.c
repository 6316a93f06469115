/* Operations across channels, pixel by pixel: maximum over runs of channels (maxout: Goodfellow et al. 2013), and local
 * response normalisation (Krizhevsky et al. 2012), with their gradients.
 *
 * One skeleton: a task takes a run of pixels of one image with all their channels, as blocks whose rows are channels and
 * whose pixels are contiguous. Arrays that lie so are read and written in place; others (channels last) are transposed
 * through scratch. Accumulator: the dtype itself.
 */
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/interface.h"

#include <stdatomic.h>

enum { BLOCK_BYTES = 96 << 10, LEAST_PIXELS = 32, MOST_PIXELS = 1024, MOST_OPERANDS = 3 };

typedef struct channels_run channels_run;

/* Rows of channels, `pitch` bytes apart. */
typedef struct block {
    char *data;
    ptrdiff_t pitch;
} block;

/* Works on `pixels` pixels; `at` is where they lie in the arrays' merged axes. */
typedef struct pixel_run {
    int64_t n, d, h, w, pixels;
} pixel_run;
typedef void (*block_fn)(channels_run *run, const block *operands, const pixel_run *at, char *work);

struct channels_run {
    const fc_kernels *kernels, *wide; /* wide: of 8-byte elements, to move indices */
    fc_tensor operand[MOST_OPERANDS]; /* spatial axes merged; the last one is written */
    int operands, as_blocks;          /* as_blocks: fn is given blocks; 0: it works on the operands where they lie */
    fc_tensor indices;                /* data NULL: none */
    const fc_lrn_params *lrn;
    block_fn fn;
    int64_t chunk, chunks;
    int64_t rows_of_work; /* rows of pixels that fn wants, of 8 bytes a pixel */
    char **work;
    atomic_int bad;
    _Atomic int64_t bad_index;
};

static char *address(const fc_tensor *tensor, const pixel_run *at, int64_t channel, ptrdiff_t item) {
    return fc_plane(tensor, at->n, channel, item) +
           (at->d * tensor->stride[2] + at->h * tensor->stride[3] + at->w * tensor->stride[4]) * item;
}

static int lies_as_block(const fc_tensor *tensor) { return tensor->stride[4] == 1 || tensor->size[4] == 1; }

static void channels_task(void *context, int64_t task, int thread) {
    channels_run *run = context;
    const fc_tensor *last = &run->operand[run->operands - 1];
    const ptrdiff_t item = run->kernels->itemsize;
    pixel_run at;
    at.w = task % run->chunks * run->chunk;
    at.h = task / run->chunks % last->size[3];
    at.d = task / (run->chunks * last->size[3]) % last->size[2];
    at.n = task / (run->chunks * last->size[3] * last->size[2]);
    at.pixels = fc_min(run->chunk, last->size[4] - at.w);
    block blocks[MOST_OPERANDS];
    char *work = run->work[thread];
    for (int i = 0; i < run->operands; ++i) {
        const fc_tensor *t = &run->operand[i];
        blocks[i] = (block){address(t, &at, 0, item), t->stride[1] * item};
        if (!run->as_blocks || lies_as_block(t))
            continue;
        const fc_matrix lies = {blocks[i].data, t->stride[1] * item, t->stride[4] * item};
        blocks[i] = (block){work, run->chunk * item};
        work += fc_round_up(t->size[1] * run->chunk * item, sizeof(int64_t)); /* which may follow */
        if (i < run->operands - 1)
            fc_copy_turned(run->kernels, (fc_matrix){blocks[i].data, blocks[i].pitch, item}, lies, t->size[1],
                           at.pixels);
    }
    run->fn(run, blocks, &at, work);
    if (run->as_blocks && !lies_as_block(last))
        fc_copy_turned(run->kernels,
                       (fc_matrix){address(last, &at, 0, item), last->stride[1] * item, last->stride[4] * item},
                       (fc_matrix){blocks[run->operands - 1].data, run->chunk * item, item}, last->size[1], at.pixels);
}

static void lay_out(channels_run *run, fc_arena *arena, int threads) {
    const int64_t item = run->kernels->itemsize;
    int64_t channels = 0, copied = 0;
    for (int i = 0; i < run->operands; ++i) {
        channels += run->operand[i].size[1];
        copied += !run->as_blocks || lies_as_block(&run->operand[i]) ? 0 : run->operand[i].size[1];
    }
    const int64_t pixels = fc_max(run->operand[run->operands - 1].size[4], 1);
    const int64_t fit = BLOCK_BYTES / item / (channels + run->rows_of_work) / LEAST_PIXELS * LEAST_PIXELS;
    run->chunk = fc_min(fc_min(fc_max(fit, LEAST_PIXELS), MOST_PIXELS), pixels);
    run->chunks = fc_ceil_div(pixels, run->chunk);
    run->work = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *work = fc_arena_take(arena, fc_product(copied + run->rows_of_work, run->chunk), 8);
        if (arena->base)
            run->work[t] = work;
    }
}

static fc_status run_channels(channels_run *run, const fc_options *options) {
    fc_tensor *all[MOST_OPERANDS + 1];
    int count = 0;
    for (int i = 0; i < run->operands; ++i)
        all[count++] = &run->operand[i];
    if (run->indices.data)
        all[count++] = &run->indices;
    fc_merge_spatial(all, count);
    const fc_tensor *last = &run->operand[run->operands - 1];
    const int threads = fc_elementwise_threads(&run->operand[0], options);
    fc_arena arena = {0};
    lay_out(run, &arena, threads);
    arena = (fc_arena){fc_scratch_take(arena.used), 0};
    if (!arena.base)
        return FC_OUT_OF_MEMORY;
    lay_out(run, &arena, threads);
    fc_parallel(last->size[0] * last->size[2] * last->size[3] * run->chunks, threads, channels_task, run);
    fc_scratch_give(arena.base);
    return FC_OK;
}

static fc_status take_kernels(channels_run *run, fc_dtype dtype, const fc_options *options) {
    FC_NEED((unsigned)dtype < FC_DTYPES);
    run->kernels = fc_kernels_for(options->isa, dtype);
    run->wide = fc_kernels_for(options->isa, FC_FLOAT64);
    return run->kernels ? FC_OK : FC_UNSUPPORTED;
}

/* ---- maximum ---- */

static void max_block(channels_run *run, const block *operands, const pixel_run *at, char *work) {
    const fc_kernels *kernels = run->kernels;
    const ptrdiff_t item = kernels->itemsize, wide = sizeof(int64_t);
    const int64_t channels = run->operand[1].size[1], size = run->operand[0].size[1] / channels;
    for (int64_t c = 0; c < channels; ++c) {
        char *best = operands[1].data + c * operands[1].pitch;
        const char *first = operands[0].data + c * size * operands[0].pitch;
        kernels->copy_matrix((fc_matrix){best, 0, item}, (fc_matrix){(char *)first, 0, item}, 1, at->pixels);
        if (!run->indices.data) {
            for (int64_t j = 1; j < size; ++j)
                kernels->max_row(best, first + j * operands[0].pitch, at->pixels);
            continue;
        }
        int64_t *indices = (int64_t *)work;
        for (int64_t i = 0; i < at->pixels; ++i)
            indices[i] = c * size;
        for (int64_t j = 1; j < size; ++j)
            kernels->max_row_indexed(best, indices, first + j * operands[0].pitch, c * size + j, at->pixels);
        run->wide->copy_matrix((fc_matrix){address(&run->indices, at, c, wide), 0, run->indices.stride[4] * wide},
                               (fc_matrix){work, 0, wide}, 1, at->pixels);
    }
}

static fc_status check_max(const fc_tensor *input, const fc_tensor *output, const fc_tensor *indices,
                           fc_report *report) {
    fc_tensor wide = *output; /* the output as it would be with all channels */
    if (output->size[1] < 1 || input->size[1] % output->size[1] != 0) {
        if (report)
            *report = (fc_report){-1, output->size[1]};
        return FC_BAD_CHANNELS;
    }
    wide.size[1] = input->size[1];
    const fc_status status = fc_check_same(input, &wide, report);
    return status == FC_OK && indices ? fc_check_same(output, indices, report) : status;
}

fc_status fc_channel_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                      const fc_tensor *output, const fc_tensor *indices, fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(output) && (!indices || fc_is_array(indices)));
    FC_ADOPT_OPTIONS(options);
    channels_run run = {
        .operand = {*input, *output}, .operands = 2, .as_blocks = 1, .fn = max_block, .rows_of_work = 1};
    fc_status status = take_kernels(&run, dtype, options);
    if (status == FC_OK)
        status = check_max(input, output, indices, report);
    if (status != FC_OK || input->size[0] == 0)
        return status;
    if (indices)
        run.indices = *indices;
    return run_channels(&run, options);
}

static void check_indices_block(channels_run *run, const block *operands, const pixel_run *at, char *work) {
    (void)operands;
    (void)work;
    for (int64_t c = 0; c < run->indices.size[1]; ++c) {
        const int64_t *row = (const int64_t *)address(&run->indices, at, c, sizeof(int64_t));
        for (int64_t i = 0; i < at->pixels; ++i) {
            const int64_t index = row[i * run->indices.stride[4]];
            if (index < 0 || index >= run->operand[0].size[1]) {
                run->bad_index = index;
                run->bad = 1;
            }
        }
    }
}

/* operands: grad_input, grad_output, where they lie */
static void scatter_block(channels_run *run, const block *operands, const pixel_run *at, char *work) {
    (void)operands;
    (void)work;
    static const double zero = 0;
    const ptrdiff_t item = run->kernels->itemsize, wide = sizeof(int64_t);
    const fc_tensor *x = &run->operand[0], *g = &run->operand[1];
    const fc_matrix pixels = {address(x, at, 0, item), x->stride[1] * item, x->stride[4] * item};
    run->kernels->copy_matrix(pixels, (fc_matrix){(char *)&zero, 0, 0}, x->size[1], at->pixels);
    for (int64_t c = 0; c < g->size[1]; ++c)
        run->kernels->scatter_add(pixels.data, pixels.column, pixels.row, address(g, at, c, item), g->stride[4] * item,
                                  (const int64_t *)address(&run->indices, at, c, wide), run->indices.stride[4] * wide,
                                  at->pixels, x->size[1]);
}

fc_status fc_channel_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                                       const fc_options *options, const fc_tensor *grad_input, fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(indices) && fc_is_array(grad_input));
    FC_ADOPT_OPTIONS(options);
    channels_run run = {
        .operand = {*grad_input, *grad_output}, .operands = 2, .indices = *indices, .fn = check_indices_block};
    fc_status status = take_kernels(&run, dtype, options);
    if (status == FC_OK)
        status = check_max(grad_input, grad_output, indices, report);
    if (status != FC_OK || grad_input->size[0] == 0)
        return status;
    status = run_channels(&run, options);
    if (status == FC_OK && run.bad) {
        if (report)
            *report = (fc_report){-1, run.bad_index};
        return FC_BAD_INDEX;
    }
    run.fn = scatter_block;
    return status == FC_OK ? run_channels(&run, options) : status;
}

/* ---- local response normalisation ---- */

static void lrn_forward_block(channels_run *run, const block *operands, const pixel_run *at, char *work) {
    const fc_lrn_block pixels = {run->operand[0].size[1], at->pixels, run->lrn};
    run->kernels->lrn_forward(operands[1].data, operands[1].pitch, operands[0].data, operands[0].pitch, work, &pixels);
}

static void lrn_backward_block(channels_run *run, const block *operands, const pixel_run *at, char *work) {
    const fc_lrn_block pixels = {run->operand[0].size[1], at->pixels, run->lrn};
    run->kernels->lrn_backward(operands[2].data, operands[2].pitch, operands[0].data, operands[0].pitch,
                               operands[1].data, operands[1].pitch, work, &pixels);
}

static fc_status run_lrn(channels_run *run, fc_dtype dtype, const fc_lrn_params *params, const fc_options *options,
                         fc_report *report) {
    fc_status status = take_kernels(run, dtype, options);
    if (status == FC_OK && params->size < 1)
        status = FC_BAD_KERNEL;
    for (int i = 1; status == FC_OK && i < run->operands; ++i)
        status = fc_check_same(&run->operand[0], &run->operand[i], report);
    if (status != FC_OK || run->operand[0].size[0] == 0)
        return status;
    run->lrn = params;
    run->as_blocks = 1;
    return run_channels(run, options);
}

fc_status fc_lrn_forward(fc_dtype dtype, const fc_tensor *input, const fc_lrn_params *params, const fc_options *options,
                         const fc_tensor *output, fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(output));
    FC_ADOPT(fc_lrn_params, params);
    FC_ADOPT_OPTIONS(options);
    channels_run run = {.operand = {*input, *output}, .operands = 2, .fn = lrn_forward_block, .rows_of_work = 1};
    return run_lrn(&run, dtype, params, options, report);
}

fc_status fc_lrn_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                          const fc_lrn_params *params, const fc_options *options, const fc_tensor *grad_input,
                          fc_report *report) {
    FC_NEED(fc_is_array(grad_output) && fc_is_array(input) && fc_is_array(grad_input));
    FC_ADOPT(fc_lrn_params, params);
    FC_ADOPT_OPTIONS(options);
    channels_run run = {.operand = {*grad_output, *input, *grad_input}, .operands = 3, .fn = lrn_backward_block};
    run.rows_of_work = fc_sum(fc_product(2, input->size[1]), 1);
    return run_lrn(&run, dtype, params, options, report);
}
