#include "algorithms/winograd.h"

#include <string.h>

enum { LINE = FC_WINOGRAD_LINE };

/* By how many phases along height and width a problem can be done: a kernel longer than its stride. */
static int64_t phases_of(const fc_problem *p) {
    const int64_t stride = p->plane_stride;
    const int square = p->kernel[1] == p->kernel[2] && fc_product(p->kernel[1], p->kernel[2]) <= FC_WINOGRAD_ALL_TAPS;
    return square && (stride == 2 || stride == 4) && p->kernel[1] > stride ? stride : 1;
}

static const struct {
    int axes;
    int64_t edge, taps, stride, channels, pixels;
    int transposed;
} FORMS[FC_WINOGRAD_FORMS] = {
#define FC_WINOGRAD_FORM(name, axes, outputs, taps, stride, channels, pixels)                                          \
    {axes, outputs, taps, stride, channels, pixels, 0},
#define FC_WINOGRAD_TRANSPOSED(name, outputs, taps, channels) {2, outputs, taps, 2, channels, 0, 1},
#include "kernels/winograd_forms.inc"
#undef FC_WINOGRAD_FORM
#undef FC_WINOGRAD_TRANSPOSED
};

/* ceil(count / phases); this runs in every call, and a division would be a tenth of a small one. */
static int64_t in_phase(int64_t count, int64_t phases) { return phases == 1 ? count : fc_ceil_div(count, phases); }

/* The form of a problem done by so many phases, -1: there is none; enough: whether it has the channels, or pixels. */
static int form_by_phases(const fc_problem *p, int64_t phases, int grad_weight, int *enough) {
    const int axes = (p->kernel[1] > 1) + (p->kernel[2] > 1);
    const int64_t taps = in_phase(fc_max(p->kernel[1], p->kernel[2]), phases);
    const int64_t stride = in_phase(p->plane_stride, phases);
    const int64_t pixels = fc_product(p->out_size[1], p->out_size[2]);
    const int64_t terms = fc_product(p->in_channels, fc_product(p->kernel[1], p->kernel[2])); /* of a plane */
    int found = -1;
    *enough = 0;
    for (int id = 0; id < FC_WINOGRAD_FORMS && !*enough; ++id)
        if (FORMS[id].axes == axes && FORMS[id].taps == taps && FORMS[id].stride == stride &&
            FORMS[id].transposed == p->transposed && (axes == 1 || p->kernel[1] == p->kernel[2])) {
            const int64_t least = FORMS[id].channels * (axes == 2 ? taps * taps : taps);
            found = id;
            *enough = grad_weight ? pixels >= FORMS[id].pixels : terms >= least;
        }
    return found;
}

/* Tiles along an axis; depth, and an axis of one tap, have tiles of one output. */
static void plain_axis(fc_winograd_form *form, const fc_problem *p, int axis, int64_t edge) {
    const int64_t taps = axis > 0 ? in_phase(p->kernel[axis], form->phases) : 1;
    const int64_t step = axis > 0 ? in_phase(p->plane_stride, form->phases) : p->stride[axis];
    edge = taps > 1 ? edge : 1;
    form->taps *= taps;
    form->edge[axis] = edge;
    form->reach[axis] = form->window[axis] = form->inputs[axis] = (edge - 1) * step + taps;
    form->advance[axis] = edge * step;
    form->first_input[axis] = p->offset[axis];
    form->elements *= form->reach[axis];
    form->input_elements = form->elements;
}

/* The first tile begins with what the first tap makes of the first pixel, or before the image. */
static void transposed_axis(fc_winograd_form *form, const fc_problem *p, int axis, int64_t edge) {
    const int64_t taps = p->kernel[axis];
    form->taps *= taps;
    form->edge[axis] = axis > 0 ? edge : 1;
    form->window[axis] = axis > 0 ? 4 : 1;
    form->reach[axis] = axis == 0 ? 1 : taps == 3 ? 7 : 8;
    form->inputs[axis] = axis == 0 ? 1 : taps == 3 ? 7 : 4; /* of four taps both halves have the same */
    form->advance[axis] = axis > 0 ? edge / p->plane_stride : 1;
    form->first_input[axis] = axis > 0 ? -1 : 0;
    form->first_output[axis] = p->offset[axis];
    form->elements *= form->reach[axis];
    form->input_elements *= form->inputs[axis];
}

int fc_winograd_find_form(const fc_problem *p, int grad_weight, fc_winograd_form *form) {
    if (p->kernel[1] == 1 && p->kernel[2] == 1)
        return 0;
    int64_t phases = 1;
    int enough, found = form_by_phases(p, phases, grad_weight, &enough);
    if (found < 0 && !p->transposed && (phases = phases_of(p)) > 1)
        found = form_by_phases(p, phases, grad_weight, &enough);
    if (found < 0)
        return 0;
    *form = (fc_winograd_form){.id = (fc_winograd_form_id)found,
                               .axes = FORMS[found].axes,
                               .by_default = enough,
                               .phases = phases,
                               .taps = 1,
                               .channels = fc_product(p->in_channels, phases * phases),
                               .elements = 1,
                               .input_elements = 1};
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        (p->transposed ? transposed_axis : plain_axis)(form, p, axis, FORMS[found].edge);
    return 1;
}

fc_winograd_form fc_winograd_form_of(const fc_problem *p, int grad_weight) {
    fc_winograd_form form = {0};
    fc_winograd_find_form(p, grad_weight, &form);
    return form;
}

int fc_winograd_supports(const fc_problem *p) {
    fc_winograd_form form;
    int dense = !p->transposed || (p->kernel[0] == 1 && p->stride[0] == 1 && p->offset[0] == 0);
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        dense = dense && p->dilation[axis] == 1;
    return dense && fc_winograd_find_form(p, 0, &form);
}

fc_winograd_tiling fc_winograd_tile(const fc_problem *p, int grad_weight) {
    fc_winograd_tiling tiling = {.p = p, .form = fc_winograd_form_of(p, grad_weight)};
    tiling.rows = fc_ceil_div(p->out_size[1] - tiling.form.first_output[1], tiling.form.edge[1]);
    tiling.columns = fc_ceil_div(p->out_size[2] - tiling.form.first_output[2], tiling.form.edge[2]);
    tiling.tiles = fc_product(fc_product(p->batch, p->out_size[0]), fc_product(tiling.rows, tiling.columns));
    return tiling;
}

fc_winograd_segment fc_winograd_segment_at(const fc_winograd_tiling *tiling, int64_t tile, int64_t end) {
    const int64_t across = tile % tiling->columns, down = tile / tiling->columns % tiling->rows;
    const int64_t image = tile / tiling->columns / tiling->rows, depths = tiling->p->out_size[0];
    const int64_t most = FC_WINOGRAD_SEGMENT / fc_max(tiling->form.edge[2], tiling->form.advance[2]);
    const int64_t count = fc_min(fc_min(end - tile, tiling->columns - across), most);
    return (fc_winograd_segment){image / depths, image % depths, down, across, count};
}

/* Some phases of a channel's row: `count` columns of each pixel, from `column` on, `phases` apart; 0 outside. */
static void fill_phases(const fc_kernels *kernels, const fc_winograd_source *source, const char *row, int64_t column,
                        int64_t count, int64_t pixels, char *dst) {
    const ptrdiff_t item = kernels->itemsize, across = source->image->axis[2];
    const int64_t phases = source->phases, width = source->size[2];
    const int64_t begin = fc_min(fc_max(fc_ceil_div(-column, phases), 0), pixels);
    const int64_t end = fc_max(fc_min(fc_ceil_div(width - column - count + 1, phases), pixels), begin);
    kernels->copy_matrix(
        (fc_matrix){dst + begin * LINE, LINE, item},
        (fc_matrix){(char *)(uintptr_t)row + (column + begin * phases) * across, phases * across, across}, end - begin,
        count);
    for (int64_t i = begin > 0 ? 0 : end; i < pixels; i = i + 1 == begin ? end : i + 1)
        for (int64_t c = 0; c < count; ++c) { /* partly outside */
            const int64_t at = column + i * phases + c;
            if (at >= 0 && at < width)
                memcpy(dst + i * LINE + c * item, row + at * across, (size_t)item);
            else
                memset(dst + i * LINE + c * item, 0, (size_t)item);
        }
}

/* One row of the phases of some channels of the image, 0 outside of it, into lines of channels. */
static void fill_row_of_phases(const fc_kernels *kernels, const fc_winograd_source *source, const char *plane,
                               int64_t row, int64_t column, int64_t pixels, char *dst) {
    const int64_t phases = source->phases;
    const fc_image *image = source->image;
    for (int64_t done = 0, count; done < source->channels; done += count, dst += count * kernels->itemsize) {
        const int64_t phase = source->first + done, across = phase % phases, down = phase / phases % phases;
        const int64_t h = row * phases + down + source->offset[1];
        count = fc_min(phases - across, source->channels - done);
        if (plane && h >= 0 && h < source->size[1])
            fill_phases(kernels, source, plane + phase / phases / phases * image->channel + h * image->axis[1],
                        column * phases + across + source->offset[2], count, pixels, dst);
        else
            for (int64_t i = 0; i < pixels; ++i)
                memset(dst + i * LINE, 0, (size_t)(count * kernels->itemsize));
    }
}

/* One row of some channels of the image, 0 outside of it, into lines of channels. */
static void fill_row(const fc_kernels *kernels, const fc_winograd_source *source, const char *plane, int64_t row,
                     int64_t column, int64_t pixels, char *dst) {
    if (source->phases > 1) {
        fill_row_of_phases(kernels, source, plane, row, column, pixels, dst);
        return;
    }
    const ptrdiff_t item = kernels->itemsize;
    const fc_image *image = source->image;
    row += source->offset[1];
    column += source->offset[2];
    const int64_t begin = fc_min(fc_max(-column, 0), pixels);
    const int64_t end = fc_max(fc_min(source->size[2] - column, pixels), begin);
    if (!plane || row < 0 || row >= source->size[1]) {
        memset(dst, 0, (size_t)(pixels * LINE));
        return;
    }
    memset(dst, 0, (size_t)(begin * LINE));
    memset(dst + end * LINE, 0, (size_t)((pixels - end) * LINE));
    char *src = (char *)(uintptr_t)plane + source->first * image->channel + row * image->axis[1] +
                (column + begin) * image->axis[2];
    char *to = dst + begin * LINE;
    if (image->channel == item)
        kernels->copy_matrix((fc_matrix){to, LINE, item}, (fc_matrix){src, image->axis[2], item}, end - begin,
                             source->channels);
    else
        kernels->copy_matrix((fc_matrix){to, item, LINE}, (fc_matrix){src, image->channel, image->axis[2]},
                             source->channels, end - begin);
}

/* Rows that two rows of tiles share are filled once. */
void fc_winograd_transform(const fc_winograd_tiling *tiling, const fc_winograd_source *source, int64_t begin,
                           int64_t end, fc_winograd_lines to, char *buffer) {
    const ptrdiff_t item = tiling->p->kernels->itemsize, row_bytes = FC_WINOGRAD_ROW * LINE;
    const int64_t *window = source->window, down = source->advance[1], across = source->advance[2];
    if (source->channels < LINE / item)
        memset(buffer, 0, (size_t)(FC_WINOGRAD_REACH * row_bytes));
    fc_winograd_segment last = {.count = 0};
    for (int64_t tile = begin; tile < end;) {
        const fc_winograd_segment s = fc_winograd_segment_at(tiling, tile, end);
        const int64_t first_row = s.row * down, pixels = (s.count - 1) * across + window[2];
        const int below = last.count == s.count && last.column == s.column && last.n == s.n && last.depth == s.depth &&
                          last.row + 1 == s.row;
        const fc_image *image = source->image;
        const int64_t depth = s.depth * source->advance[0] + source->depth;
        const char *plane = image->data + s.n * image->batch + depth * image->axis[0];
        if (depth < 0 || depth >= source->size[0])
            plane = NULL;
        const char *from[FC_WINOGRAD_REACH];
        for (int64_t r = 0; r < window[1]; ++r) {
            char *row = buffer + (first_row + r) % window[1] * row_bytes;
            if (!below || r >= window[1] - down)
                fill_row(tiling->p->kernels, source, plane, first_row + r, s.column * across, pixels, row);
            from[r] = row;
        }
        for (int64_t r = 1; window[1] == 1 && r < window[2]; ++r) /* a line across: from each of its elements */
            from[r] = from[0] + r * LINE;
        source->transform(to.data, to.element_step, to.tile_step, from, across * LINE, s.count);
        to.data += s.count * to.tile_step;
        tile += s.count;
        last = s;
    }
}
