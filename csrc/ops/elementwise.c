/* What operations that visit every element once share. */
#include "ops/elementwise.h"

int fc_elementwise_threads(const fc_tensor *tensor, const fc_options *options) {
    double elements = 1;
    for (int axis = 0; axis < FC_AXES; ++axis)
        elements *= (double)tensor->size[axis];
    return elements < 6e4 ? 1 : fc_threads_for(options);
}

void fc_merge_spatial(fc_tensor *const *tensors, int count) {
    /* The last axis swallows its neighbours, from the inside out; what cannot be merged stays in front. */
    for (int axis = FC_AXES - 2; axis >= 2; --axis) {
        int fits = 1;
        for (int i = 0; i < count; ++i) {
            const fc_tensor *t = tensors[i];
            fits = fits && (t->size[axis] == 1 || t->size[4] == 1 || t->stride[axis] == t->stride[4] * t->size[4]);
        }
        if (!fits)
            return;
        for (int i = 0; i < count; ++i) {
            fc_tensor *t = tensors[i];
            if (t->size[4] == 1)
                t->stride[4] = t->stride[axis];
            t->size[4] *= t->size[axis];
            t->size[axis] = 1;
        }
    }
}

void fc_copy_turned(const fc_kernels *kernels, fc_matrix dst, fc_matrix src, int64_t rows, int64_t columns) {
    const ptrdiff_t item = kernels->itemsize;
    if (src.row == item && dst.column == item && src.column != item)
        kernels->copy_matrix((fc_matrix){dst.data, dst.column, dst.row}, (fc_matrix){src.data, src.column, src.row},
                             columns, rows);
    else
        kernels->copy_matrix(dst, src, rows, columns);
}

void fc_clear_planes(const fc_kernels *kernels, const fc_tensor *tensor, int64_t n, int64_t channel) {
    const ptrdiff_t item = kernels->itemsize;
    const ptrdiff_t axis[FC_SPATIAL] = {tensor->stride[2] * item, tensor->stride[3] * item, tensor->stride[4] * item};
    fc_fill_plane(kernels, fc_plane(tensor, n, channel, item), tensor->size + 2, axis, NULL);
}
