#include "algorithms/shifted_copies.h"

#include "algorithms/cost.h"

#include <string.h>

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* No multiple of 4096 bytes, which would put every copy into the same cache sets. */
static int64_t copy_pitch(const fc_copies *copies) {
    const int64_t item = copies->p->kernels->itemsize, line = 64 / item;
    int64_t pitch = fc_round_up((copies->rows + copies->halo) * copies->columns + copies->p->kernels->lanes - 1, line);
    while (pitch * item % 4096 < 128)
        pitch += line;
    return pitch;
}

fc_copies fc_copies_of(const fc_problem *p, int64_t channels, int64_t rows, int64_t columns) {
    const int64_t spread = (p->kernel[1] - 1) * p->dilation[1] / p->stride[1];
    const int64_t period = p->stride[1] / greatest_common_divisor(p->stride[1], p->dilation[1]);
    fc_copies copies = {.p = p, .channels = channels, .rows = rows, .columns = columns};
    copies.shared_rows = spread <= 2 * rows;
    copies.residues = copies.shared_rows ? fc_min(period, p->kernel[1]) : p->kernel[1];
    copies.halo = copies.shared_rows ? spread : 0;
    copies.pitch = copy_pitch(&copies);
    return copies;
}

/* A shifted copy, of any channel: where its first element lies in a plane, and what zeros lie around. */
typedef struct shifted_copy {
    ptrdiff_t first;
    fc_padded_copy copy;
} shifted_copy;

/* rows x columns of input elements, `stride` apart, from (row, column) on. */
static shifted_copy shifted_at(const fc_problem *p, int64_t row, int64_t column, int64_t rows, int64_t columns) {
    const int64_t sh = p->stride[1], sw = p->stride[2];
    const int64_t r0 = fc_min(fc_max(fc_ceil_div(-row, sh), 0), rows);
    const int64_t r1 = fc_max(fc_min(fc_ceil_div(p->in_size[1] - row, sh), rows), r0);
    const int64_t c0 = fc_min(fc_max(fc_ceil_div(-column, sw), 0), columns);
    const int64_t c1 = fc_max(fc_min(fc_ceil_div(p->in_size[2] - column, sw), columns), c0);
    const ptrdiff_t line = columns * p->kernels->itemsize;
    shifted_copy shifted = {
        .first = (row + r0 * sh) * p->x.axis[1] + (column + c0 * sw) * p->x.axis[2],
        .copy = {.dst_row = line,
                 .src_row = sh * p->x.axis[1],
                 .src_column = sw * p->x.axis[2],
                 .top = r0,
                 .rows = r1 - r0,
                 .bottom = rows - r1,
                 .before = c0,
                 .count = c1 - c0,
                 .width = columns},
    };
    if (c0 == 0 && c1 == columns && shifted.copy.src_column == p->kernels->itemsize && shifted.copy.src_row == line) {
        shifted.copy.top = shifted.copy.bottom = 0; /* one run */
        shifted.copy.rows = 1;
        shifted.copy.before = r0 * columns;
        shifted.copy.count = (r1 - r0) * columns;
        shifted.copy.width = rows * columns;
    }
    return shifted;
}

/* Where the copy of a tap begins and ends is the same for each channel. */
void fc_copies_make(const fc_copies *copies, const fc_band *b, int64_t channel, int64_t channels, char *dst) {
    enum { TOGETHER = 16 }; /* copies made of one channel, while its plane is in L1 */
    const fc_problem *p = copies->p;
    const ptrdiff_t bytes = copies->pitch * p->kernels->itemsize;
    const int64_t rows = b->rows + copies->halo, all = copies->residues * p->kernel[2];
    shifted_copy shifted[TOGETHER];
    for (int64_t first = 0; first < all; first += TOGETHER) {
        const int64_t count = fc_min(TOGETHER, all - first);
        for (int64_t i = 0; i < count; ++i) {
            /* With shared rows copy r starts at the residue of tap row r, else at tap row r itself. */
            const int64_t r = (first + i) / p->kernel[2], w = (first + i) % p->kernel[2];
            const int64_t shift = copies->shared_rows ? r * p->dilation[1] % p->stride[1] : r * p->dilation[1];
            shifted[i] = shifted_at(p, b->row * p->stride[1] + shift + p->offset[1],
                                    b->column * p->stride[2] + w * p->dilation[2] + p->offset[2], rows, b->columns);
        }
        for (int64_t plane = 0; plane < channels * p->kernel[0]; ++plane) {
            const int64_t c = plane / p->kernel[0], d = plane % p->kernel[0];
            const int64_t depth = b->depth * p->stride[0] + d * p->dilation[0] + p->offset[0];
            const char *src = b->image + (channel + c) * p->x.channel + depth * p->x.axis[0];
            char *to = dst + (plane * all + first) * bytes;
            if (depth < 0 || depth >= p->in_size[0]) {
                memset(to, 0, (size_t)(count * bytes));
                continue;
            }
            for (int64_t i = 0; i < count; ++i, to += bytes) {
                shifted[i].copy.dst = to;
                shifted[i].copy.src = src + shifted[i].first;
                p->kernels->copy_padded(&shifted[i].copy);
            }
        }
    }
}

void fc_copies_clear_ends(const fc_copies *copies, const fc_band *b, char *dst) {
    const ptrdiff_t item = copies->p->kernels->itemsize;
    dst += (b->rows + copies->halo) * b->columns * item;
    for (int64_t i = 0; i < copies->channels * fc_copies_a_channel(copies); ++i)
        memset(dst + i * copies->pitch * item, 0, (size_t)((copies->p->kernels->lanes - 1) * item));
}

void fc_copies_offsets(const fc_copies *copies, int64_t columns, ptrdiff_t *offsets) {
    const fc_problem *p = copies->p;
    const ptrdiff_t item = p->kernels->itemsize, bytes = copies->pitch * item;
    ptrdiff_t count = 0;
    for (int64_t c = 0; c < copies->channels; ++c)
        for (int64_t d = 0; d < p->kernel[0]; ++d)
            for (int64_t h = 0; h < p->kernel[1]; ++h) {
                /* Residues of the tap rows repeat with the period that `residues` is, so h names its copy. */
                const int64_t copy = ((c * p->kernel[0] + d) * copies->residues + h % copies->residues) * p->kernel[2];
                const int64_t down = copies->shared_rows ? h * p->dilation[1] / p->stride[1] : 0;
                for (int64_t w = 0; w < p->kernel[2]; ++w)
                    offsets[count++] = (copy + w) * bytes + down * columns * item;
            }
}

double fc_copied_row_cost(const fc_problem *p, double columns, double beyond_l3) {
    const int64_t stride = p->stride[2];
    if (fc_channels_last(p, &p->x)) {
        double copy = stride > 1 ? FC_COST_COPY_TRANSPOSED_STRIDED : FC_COST_COPY_TRANSPOSED;
        if (columns > (double)fc_lines_that_fit(stride * p->x.axis[2])) /* each line is read once a channel */
            copy += FC_COST_COPY_CONFLICT;
        return (copy + beyond_l3 * FC_COST_COPY_TRANSPOSED_FAR) * columns;
    }
    const double copy = stride > 2 ? FC_COST_COPY_STRIDED : stride == 2 ? FC_COST_COPY_EVEN : FC_COST_COPY;
    return copy * columns + FC_COST_COPY_ROW;
}
