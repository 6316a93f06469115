/* Maxima with the places where they stand.
 *
 * A piece's input rows are copied into lines with their padding, each is reduced to one maximum and its column for every
 * output column, and then rows of these are reduced: kernels/argmax.inc. Where there is NaN a piece is walked, window by
 * window, and so are adaptive windows and planes too large for 32-bit places.
 */
#include "ops/pool_indexed.h"

#include "ops/elementwise.h"

#include <math.h>

/* Outputs [begin, end) of a row. */
static void walk_row(const fc_pool_run *run, const char *plane, char *y, int64_t *indices, int64_t od, int64_t oh,
                     int64_t begin, int64_t end) {
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t item = run->kernels->itemsize, step = run->output->stride[4] * item;
    const ptrdiff_t index_step = run->indices->stride[4] * (ptrdiff_t)sizeof(int64_t);
    const fc_pool_rows depths = fc_pool_rows_of(&run->grid, 0, od);
    const fc_pool_rows heights = fc_pool_rows_of(&run->grid, 1, oh);
    fc_max_indexed_row row = {
        .plane = plane,
        .first = {depths.first, heights.first},
        .end = {depths.end, heights.end},
        .kernel = params->kernel[2],
        .stride = params->stride[2],
        .padding = params->padding[2][0] - begin * params->stride[2],
        .count = end - begin,
    };
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        row.axis[axis] = run->input.stride[2 + axis] * item;
        row.size[axis] = run->input.size[2 + axis];
        row.dilation[axis] = params->dilation[axis];
    }
    if (!run->grid.adaptive) {
        run->kernels->max_indexed_row(y + begin * step, step, (int64_t *)((char *)indices + begin * index_step),
                                      index_step, &row);
        return;
    }
    row.count = 1;
    for (int64_t o = begin; o < end; ++o) {
        const fc_pool_rows columns = fc_pool_rows_of(&run->grid, 2, o);
        row.kernel = columns.count;
        row.padding = -columns.first;
        run->kernels->max_indexed_row(y + o * step, step, (int64_t *)((char *)indices + o * index_step), index_step,
                                      &row);
    }
}

static void walk_piece(const fc_pool_run *run, const fc_pool_piece *p) {
    const fc_tensor *x = &run->input, *y = run->output, *i = run->indices;
    const ptrdiff_t item = run->kernels->itemsize;
    for (int64_t c = p->channel; c < p->channel + p->side; ++c)
        for (int64_t row = p->row; row < p->row + p->rows; ++row)
            walk_row(run, fc_plane(x, p->n, c, item),
                     fc_plane(y, p->n, c, item) + (p->depth * y->stride[2] + row * y->stride[3]) * item,
                     (int64_t *)fc_plane(i, p->n, c, sizeof(int64_t)) + p->depth * i->stride[2] + row * i->stride[3],
                     p->depth, row, p->column, p->column + p->columns);
}

/* Rows [first, first + rows) of one depth into lines; returns whether there was NaN. */
static int copy_lines(const fc_pool_run *run, const fc_pool_piece *p, char *lines, int64_t depth, int64_t first,
                      int64_t rows) {
    const ptrdiff_t item = run->kernels->itemsize;
    fc_reduction r = {
        .dst = lines,
        .src = p->x + depth * p->x_step[0] + first * p->x_step[1],
        .rows = rows,
        .dst_row = run->pitch * item,
        .src_row = p->x_step[1],
        .runs = 1,
        .count = p->count * p->side,
        .taps = {1, 1},
    };
    if (run->lanes_last && p->x_step[2] != p->side * item) {
        r.runs = p->count;
        r.src_run = p->x_step[2];
        r.dst_run = p->side * item;
        r.count = p->side;
    }
    const int nan = run->kernels->reduce_larger(&r);
    run->kernels->fill_ends(lines, run->pitch * item, rows, -INFINITY, p->before * p->side, p->count * p->side,
                            (p->length - p->before - p->count) * p->side);
    return nan;
}

static void copy_places(const fc_pool_run *run, const fc_pool_piece *p) {
    const ptrdiff_t wide = sizeof(int64_t);
    const fc_tensor *i = run->indices;
    const fc_kernels *kernels = run->wide;
    char *to = fc_plane(i, p->n, p->channel, wide) +
               (p->depth * i->stride[2] + p->row * i->stride[3] + p->column * i->stride[4]) * wide;
    for (int64_t row = 0; row < p->rows; ++row)
        kernels->copy_matrix((fc_matrix){to + row * i->stride[3] * wide, i->stride[4] * wide, i->stride[1] * wide},
                             (fc_matrix){(char *)p->indices + row * p->indices_row, p->side * wide, wide}, p->columns,
                             p->side);
}

static void indexed_piece(const fc_pool_run *run, int64_t index, int thread) {
    const fc_kernels *kernels = run->kernels;
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t item = kernels->itemsize;
    const fc_pool_piece p = fc_pool_piece_of(run, index, thread);
    const fc_range read = fc_pool_range_of(&run->grid, 1, p.row, p.rows);
    const int64_t first = read.begin, rows = read.end - read.begin;
    const ptrdiff_t front = fc_round_up(p.before * p.side, kernels->lanes) * item, line = run->pitch * item;
    char *lines = run->lines[thread] + front;
    int nan = 0;
    for (int64_t d = 0; d < p.depths.count; ++d)
        nan |= copy_lines(run, &p, lines + d * rows * line, p.depths.first + d * p.depths.step, first, rows);
    if (nan) {
        walk_piece(run, &p);
        return;
    }
    const ptrdiff_t pitch = run->result_pitch * item;
    const fc_argmax_columns columns = {
        .best = run->maxima[thread],
        .column = run->maxima[thread] + run->input_rows * pitch,
        .src = lines - p.before * p.side * item,
        .firsts = run->firsts + p.column * item,
        .rows = p.depths.count * rows,
        .src_row = line,
        .row = pitch,
        .count = p.columns,
        .side = p.side,
        .kernel = params->kernel[2],
        .stride = params->stride[2],
        .dilation = params->dilation[2],
        .start = p.from - p.before,
    };
    kernels->argmax_columns(&columns);
    const int64_t width = run->input.size[4], plane = run->input.size[3] * width;
    fc_argmax_rows r = {
        .dst = p.y,
        .indices = p.indices,
        .dst_row = p.y_row,
        .indices_row = p.indices_row,
        .src_row = params->stride[1] * pitch,
        .taps = {p.depths.count, 0},
        .tap = {rows * pitch, params->dilation[1] * pitch},
        .place_row = params->stride[1] * width,
        .tap_place = {p.depths.step * plane, params->dilation[1] * width},
        .count = p.columns * p.side,
    };
    const ptrdiff_t places = sizeof(int64_t);
    const int64_t end = p.row + p.rows;
    const int dense = p.y_column == p.side * item && (run->indirect || run->indices->stride[4] == p.side);
    for (int64_t o = p.row; o < end; o += r.rows) {
        const fc_pool_rows taps = fc_pool_rows_of(&run->grid, 1, o);
        r.rows = o >= run->inside.begin && o < run->inside.end ? fc_min(run->inside.end, end) - o : 1;
        r.taps[1] = taps.count;
        r.best = columns.best + (taps.first - first) * pitch;
        r.column = columns.column + (taps.first - first) * pitch;
        r.place = p.depths.first * plane + taps.first * width;
        if (dense) {
            kernels->argmax_rows(&r);
        } else { /* a block of the channels of each pixel */
            const ptrdiff_t step = run->indices->stride[4] * places;
            fc_argmax_rows pixel = r;
            pixel.count = p.side;
            for (int64_t w = 0; w < p.columns; ++w) {
                pixel.dst = r.dst + w * p.y_column;
                pixel.indices = (int64_t *)((char *)r.indices + w * step);
                pixel.best = r.best + w * p.side * item;
                pixel.column = r.column + w * p.side * item;
                kernels->argmax_rows(&pixel);
            }
        }
        r.dst += r.rows * r.dst_row;
        r.indices = (int64_t *)((char *)r.indices + r.rows * r.indices_row);
    }
    if (run->indirect) {
        fc_pool_copy_output(run, &p);
        copy_places(run, &p);
    }
}

static void indexed_task(void *context, int64_t task, int thread) {
    const fc_pool_run *run = context;
    for (int64_t i = task * run->together; i < fc_min((task + 1) * run->together, run->pieces); ++i)
        indexed_piece(run, i, thread);
}

enum { WALKED_ROWS = 32 };

static void walk_task(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_pool_run *run = context;
    const fc_tensor *y = run->output;
    const int64_t tasks = fc_ceil_div(y->size[3], WALKED_ROWS), planes = task / tasks / y->size[2];
    fc_pool_piece p = {.side = 1, .row = task % tasks * WALKED_ROWS, .depth = task / tasks % y->size[2]};
    p.rows = fc_min(WALKED_ROWS, y->size[3] - p.row);
    p.columns = y->size[4];
    p.channel = planes % y->size[1];
    p.n = planes / y->size[1];
    walk_piece(run, &p);
}

/* ---- planes by small windows: of 3 columns only where rows are short, or lines of maxima share more ---- */

enum { TASK_WINDOWS = 8 << 10 };

static int has_small_windows(const fc_pool_run *run) {
    const fc_tensor *x = &run->input, *y = run->output, *i = run->indices;
    const fc_pool_params *params = &run->grid.params;
    return !run->grid.adaptive && x->size[2] == 1 && y->size[2] == 1 && x->stride[4] == 1 && y->stride[4] == 1 &&
           i->stride[4] == 1 && params->kernel[0] == 1 && params->dilation[1] == 1 && params->dilation[2] == 1 &&
           params->kernel[1] <= 3 && params->stride[2] <= 2 &&
           (params->kernel[2] == 2 || (params->kernel[2] == 3 && y->size[4] <= 2 * run->kernels->lanes)) &&
           x->size[3] * x->size[4] <= INT32_MAX / 2;
}

static void small_task(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_pool_run *run = context;
    const fc_tensor *x = &run->input, *y = run->output, *i = run->indices;
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t n = task / run->blocks, c = task % run->blocks * run->block;
    const fc_argmax_windows job = {
        .dst = fc_plane(y, n, c, item),
        .indices = (int64_t *)fc_plane(i, n, c, sizeof(int64_t)),
        .src = fc_plane(x, n, c, item),
        .planes = fc_min(run->block, x->size[1] - c),
        .dst_plane = y->stride[1] * item,
        .index_plane = i->stride[1],
        .src_plane = x->stride[1] * item,
        .dst_row = y->stride[3] * item,
        .index_row = i->stride[3],
        .src_row = x->stride[3] * item,
        .rows = y->size[3],
        .columns = y->size[4],
        .height = x->size[3],
        .width = x->size[4],
        .kernel = {params->kernel[1], params->kernel[2]},
        .stride = {params->stride[1], params->stride[2]},
        .before = {params->padding[1][0], params->padding[2][0]},
    };
    const fc_pool_piece all = {.n = n, .channel = c, .side = job.planes, .rows = job.rows, .columns = job.columns};
    if (run->kernels->argmax_windows(&job))
        walk_piece(run, &all);
}

fc_status fc_pool_indexed(fc_pool_run *run, int threads) {
    const fc_tensor *x = &run->input, *y = run->output;
    if (has_small_windows(run)) {
        run->block = fc_max(TASK_WINDOWS / fc_product(y->size[3], y->size[4]), 1);
        run->blocks = fc_ceil_div(x->size[1], run->block);
        fc_parallel(x->size[0] * run->blocks, threads, small_task, run);
        return FC_OK;
    }
    if (run->grid.adaptive || x->size[2] * x->size[3] * x->size[4] > INT32_MAX) {
        fc_parallel(y->size[0] * y->size[1] * y->size[2] * fc_ceil_div(y->size[3], WALKED_ROWS), threads, walk_task,
                    run);
        return FC_OK;
    }
    void *block = fc_pool_prepare(run, threads);
    if (!block)
        return FC_OUT_OF_MEMORY;
    const fc_pool_params *params = &run->grid.params;
    run->kernels->first_columns(run->firsts, -params->padding[2][0], params->stride[2], params->dilation[2],
                                y->size[4]);
    fc_parallel(fc_ceil_div(run->pieces, run->together), threads, indexed_task, run);
    fc_scratch_give(block);
    return FC_OK;
}
