/* Which taps meet the input where, and the tables of offsets that the GEMM tile is driven by. */
#include "algorithms/algorithm.h"

#include <string.h>

int fc_supports_all(const fc_problem *p) {
    (void)p;
    return 1;
}

static int64_t clamp(int64_t value, int64_t high) { return value < 0 ? 0 : value > high ? high : value; }

fc_range fc_valid_taps(const fc_problem *p, int axis, int64_t position) {
    const int64_t start = position * p->stride[axis] + p->offset[axis];
    return (fc_range){clamp(fc_ceil_div(-start, p->dilation[axis]), p->kernel[axis]),
                      clamp(fc_ceil_div(p->in_size[axis] - start, p->dilation[axis]), p->kernel[axis])};
}

fc_range fc_valid_positions(const fc_problem *p, int axis, int64_t tap) {
    const int64_t start = tap * p->dilation[axis] + p->offset[axis];
    return (fc_range){clamp(fc_ceil_div(-start, p->stride[axis]), p->out_size[axis]),
                      clamp(fc_ceil_div(p->in_size[axis] - start, p->stride[axis]), p->out_size[axis])};
}

int64_t fc_segment_bound(const fc_problem *p, int axis) { return fc_min(p->out_size[axis], 2 * p->kernel[axis] + 1); }

/* The segment that begins at a position. */
static fc_segment segment_from(const fc_problem *p, int axis, int64_t position) {
    const fc_range taps = fc_valid_taps(p, axis, position);
    int64_t next = p->out_size[axis];
    if (taps.begin > 0) /* until the tap before the first comes in */
        next = fc_min(next, fc_ceil_div(-p->offset[axis] - (taps.begin - 1) * p->dilation[axis], p->stride[axis]));
    if (taps.end > 0) /* until the last tap goes out */
        next = fc_min(next, fc_ceil_div(p->in_size[axis] - p->offset[axis] - (taps.end - 1) * p->dilation[axis],
                                        p->stride[axis]));
    return (fc_segment){{position, next}, taps};
}

int64_t fc_segments(const fc_problem *p, int axis, fc_segment *segments) {
    int64_t count = 0;
    for (int64_t position = 0; position < p->out_size[axis]; position = segments[count++].positions.end)
        segments[count] = segment_from(p, axis, position);
    return count;
}

fc_axis_counts fc_count_axis(const fc_problem *p, int axis) {
    const int64_t reach = (p->out_size[axis] - 1) * p->stride[axis] + (p->kernel[axis] - 1) * p->dilation[axis];
    if (p->offset[axis] >= 0 && p->offset[axis] + reach < p->in_size[axis]) /* no padding */
        return (fc_axis_counts){(double)p->out_size[axis] * (double)p->kernel[axis], 1, (double)p->kernel[axis]};
    fc_axis_counts counts = {0};
    for (int64_t position = 0; position < p->out_size[axis];) {
        const fc_segment segment = segment_from(p, axis, position);
        const double taps = (double)(segment.taps.end - segment.taps.begin);
        counts.met += taps * (double)(segment.positions.end - position);
        counts.segments += 1;
        counts.segment_taps += taps;
        position = segment.positions.end;
    }
    return counts;
}

ptrdiff_t fc_fill_offsets(ptrdiff_t *table, int64_t channels, ptrdiff_t channel_stride, const fc_range taps[FC_SPATIAL],
                          const ptrdiff_t axis_stride[FC_SPATIAL]) {
    ptrdiff_t count = 0;
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t d = taps[0].begin; d < taps[0].end; ++d)
            for (int64_t h = taps[1].begin; h < taps[1].end; ++h)
                for (int64_t w = taps[2].begin; w < taps[2].end; ++w)
                    table[count++] = c * channel_stride + d * axis_stride[0] + h * axis_stride[1] + w * axis_stride[2];
    return count;
}

void fc_fill_channels(const fc_kernels *kernels, char *row, ptrdiff_t step, int64_t pixels, int64_t channels,
                      const char *values, ptrdiff_t value_stride) {
    const ptrdiff_t item = kernels->itemsize;
    if (values)
        kernels->copy_matrix((fc_matrix){row, step, item}, (fc_matrix){(char *)(uintptr_t)values, 0, value_stride},
                             pixels, channels);
    else if (step == channels * item)
        memset(row, 0, (size_t)(pixels * step));
    else
        for (int64_t i = 0; i < pixels; ++i)
            memset(row + i * step, 0, (size_t)(channels * item));
}

void fc_fill_plane(const fc_kernels *kernels, char *plane, const int64_t size[FC_SPATIAL],
                   const ptrdiff_t axis[FC_SPATIAL], const char *value) {
    static const double zero = 0;
    const ptrdiff_t item = kernels->itemsize;
    const int one_run = size[1] == 1 || axis[1] == size[2] * axis[2];
    const int64_t rows = one_run ? 1 : size[1], length = one_run ? size[1] * size[2] : size[2];
    const ptrdiff_t step = one_run && size[2] == 1 ? axis[1] : axis[2];
    const fc_matrix source = {(char *)(uintptr_t)(value ? value : (const char *)&zero), 0, 0};
    for (int64_t d = 0; d < size[0]; ++d)
        for (int64_t h = 0; h < rows; ++h) {
            char *row = plane + d * axis[0] + h * axis[1];
            if (!value && step == item)
                memset(row, 0, (size_t)(length * item));
            else
                kernels->copy_matrix((fc_matrix){row, 0, step}, source, 1, length);
        }
}

int64_t fc_channel_block(int64_t channels, int64_t taps, int64_t target) {
    const int64_t blocks = fc_ceil_div(channels, fc_max(target / taps, 1));
    return fc_ceil_div(channels, blocks);
}
