/* im2col and col2im: the patches of an image as columns of a matrix, and their sum back into an image.
 *
 * A task is one channel of one image; each tap copies or adds a box of the plane, the positions at which it meets the
 * image. Columns are (N, channels * taps, output positions); rows in the order channel, depth, height, width.
 * After Chellapilla, Puri and Simard 2006. Accumulator of col2im: the dtype itself, in the order of the taps.
 */
#include "algorithms/col2im.h"
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/interface.h"

typedef struct patches_run {
    fc_problem p; /* geometry alone: in_size is the image, out_size the positions */
    const fc_tensor *image, *columns;
    int back; /* columns to image */
} patches_run;

/* One tap of one channel: its positions in the image, its row of the columns. */
static void move_tap(const patches_run *run, char *plane, char *row, const int64_t tap[FC_SPATIAL]) {
    const fc_problem *p = &run->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, step = run->columns->stride[4] * item;
    fc_range valid[FC_SPATIAL];
    int64_t missing = 0;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        valid[axis] = fc_valid_positions(p, axis, tap[axis]);
        valid[axis].end = fc_max(valid[axis].end, valid[axis].begin);
        missing |= p->out_size[axis] - (valid[axis].end - valid[axis].begin);
    }
    if (!run->back && missing)
        fc_fill_plane(kernels, row, (int64_t[FC_SPATIAL]){1, 1, fc_positions(p)}, (ptrdiff_t[FC_SPATIAL]){0, 0, step},
                      NULL);
    const int64_t height = valid[1].end - valid[1].begin, width = valid[2].end - valid[2].begin;
    if (valid[0].end == valid[0].begin || height == 0 || width == 0)
        return;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        plane += (valid[axis].begin * p->stride[axis] + tap[axis] * p->dilation[axis] + p->offset[axis]) *
                 run->image->stride[2 + axis] * item;
    /* A single row or element needs no step, which might not fit 64 bits. */
    const ptrdiff_t down = height == 1 ? 0 : p->stride[1] * run->image->stride[3] * item;
    const ptrdiff_t along = width == 1 ? 0 : p->stride[2] * run->image->stride[4] * item;
    for (int64_t d = valid[0].begin; d < valid[0].end; ++d) {
        char *box = row + ((d * p->out_size[1] + valid[1].begin) * p->out_size[2] + valid[2].begin) * step;
        char *at = plane + (d - valid[0].begin) * p->stride[0] * run->image->stride[2] * item;
        const fc_matrix image = {at, down, along}, columns = {box, p->out_size[2] * step, step};
        if (run->back)
            kernels->add_matrix(image, columns, height, width);
        else
            kernels->copy_matrix(columns, image, height, width);
    }
}

static void patches_task(void *context, int64_t task, int thread) {
    (void)thread;
    const patches_run *run = context;
    const fc_problem *p = &run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    const int64_t n = task / run->image->size[1], channel = task % run->image->size[1];
    if (run->back)
        fc_clear_planes(p->kernels, run->image, n, channel);
    char *plane = fc_plane(run->image, n, channel, item);
    char *row = fc_plane(run->columns, n, channel * fc_taps(p), item);
    if (run->back && run->columns->stride[4] == 1) {
        fc_pixels pixels = {.rows = p->out_size[1], .pixels = p->out_size[2]};
        for (; pixels.depth < p->out_size[0]; ++pixels.depth, row += p->out_size[1] * p->out_size[2] * item)
            fc_add_columns(p, plane, row, run->columns->stride[1] * item, &pixels);
        return;
    }
    int64_t tap[FC_SPATIAL];
    for (tap[0] = 0; tap[0] < p->kernel[0]; ++tap[0])
        for (tap[1] = 0; tap[1] < p->kernel[1]; ++tap[1])
            for (tap[2] = 0; tap[2] < p->kernel[2]; ++tap[2], row += run->columns->stride[1] * item)
                move_tap(run, plane, row, tap);
}

static fc_status run_patches(patches_run *run, fc_dtype dtype, const int64_t kernel[FC_SPATIAL],
                             const fc_conv_params *params, const fc_options *options, fc_report *report) {
    static const int64_t LEAST[FC_AXES] = {0, 1, 1, 1, 1};
    const fc_tensor *image = run->image, *columns = run->columns;
    fc_problem *p = &run->p;
    FC_NEED((unsigned)dtype < FC_DTYPES);
    p->kernels = fc_kernels_for(options->isa, dtype);
    if (!p->kernels)
        return FC_UNSUPPORTED;
    fc_status status = fc_check_tensor(image, LEAST);
    if (status == FC_OK)
        status = fc_check_tensor(columns, LEAST);
    if (status == FC_OK)
        status = fc_conv_output_size(image->size + 2, kernel, params, p->out_size, report);
    if (status != FC_OK)
        return status;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        p->in_size[axis] = image->size[2 + axis];
        p->kernel[axis] = kernel[axis];
        p->stride[axis] = p->out_size[axis] == 1 ? 1 : params->stride[axis];
        p->dilation[axis] = kernel[axis] == 1 ? 1 : params->dilation[axis];
        p->offset[axis] = -params->padding[axis][0];
        p->x.axis[axis] = image->stride[2 + axis] * p->kernels->itemsize;
    }
    if (columns->size[0] != image->size[0])
        return FC_BAD_BATCH;
    const int64_t taps = fc_product(fc_product(kernel[0], kernel[1]), kernel[2]);
    if (columns->size[1] != fc_product(image->size[1], taps))
        return FC_BAD_CHANNELS;
    const int64_t positions = fc_product(fc_product(p->out_size[0], p->out_size[1]), p->out_size[2]);
    if (columns->size[2] != 1 || columns->size[3] != 1 || columns->size[4] != positions)
        return FC_BAD_OUTPUT_SIZE;
    fc_parallel(image->size[0] * image->size[1], fc_elementwise_threads(columns, options), patches_task, run);
    return FC_OK;
}

fc_status fc_im2col(fc_dtype dtype, const fc_tensor *input, const int64_t kernel[FC_SPATIAL],
                    const fc_conv_params *params, const fc_options *options, const fc_tensor *columns,
                    fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(columns) && kernel);
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    patches_run run = {.image = input, .columns = columns};
    return run_patches(&run, dtype, kernel, params, options, report);
}

fc_status fc_col2im(fc_dtype dtype, const fc_tensor *columns, const int64_t kernel[FC_SPATIAL],
                    const fc_conv_params *params, const fc_options *options, const fc_tensor *output,
                    fc_report *report) {
    FC_NEED(fc_is_array(columns) && fc_is_array(output) && kernel);
    FC_ADOPT(fc_conv_params, params);
    FC_ADOPT_OPTIONS(options);
    patches_run run = {.image = output, .columns = columns, .back = 1};
    return run_patches(&run, dtype, kernel, params, options, report);
}
