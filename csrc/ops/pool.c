/* Pooling forward: maximum and average share one skeleton, with the reduction plugged in, and so do the two layouts.
 *
 * Vertical first: the rows (and depths) of a window are reduced into one line, then windows are reduced along it. The
 * line carries its padding as the reduction's neutral value (-inf, 0), so no window is special. A piece of work is a band
 * of output rows, of one plane or channels last of a block of channels, as large as fits L1 with its lines. In planes
 * vector lanes are neighbours of a row; channels last they are channels, and a pixel's channels move as one.
 * What lies in neither way is copied. Accumulator: the dtype itself.
 */
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/interface.h"
#include "ops/pool_indexed.h"
#include "ops/pool_whole.h"

#include <math.h>

/* ---- both at once ---- */

/* The depths of each window into one, for all rows that a piece reads: from then on it has one depth. */
static int combine_depths(const fc_pool_run *run, fc_pool_piece *p, char *combined, fc_reduce_fn fn) {
    const fc_range rows = fc_pool_rows_read(run, p);
    const ptrdiff_t row = p->x_step[1], plane = (rows.end - rows.begin) * row;
    const fc_reduction r = {
        .dst = combined,
        .dst_end = combined + p->stack * plane,
        .src = p->x + p->depths.first * p->x_step[0] + rows.begin * row,
        .src_end = NULL,
        .rows = 1,
        .runs = p->stack,
        .dst_run = plane,
        .src_run = p->x_plane,
        .count = plane / run->kernels->itemsize,
        .taps = {p->depths.count, 1},
        .tap = {p->depths.step * p->x_step[0]},
    };
    p->x = combined - rows.begin * row;
    p->x_plane = plane;
    p->depths.first = 0;
    return fn(&r);
}

static int pool_small(const fc_pool_run *run, const fc_pool_piece *p, fc_pool_rows_fn fn) {
    const fc_pool_params *params = &run->grid.params;
    fc_pool_rows_job job = {
        .dst = p->y,
        .planes = p->stack,
        .dst_plane = p->y_plane,
        .src_plane = p->x_plane,
        .dst_row = p->y_row,
        .src_row = params->stride[1] * p->x_step[1],
        .count = p->columns,
        .tap = params->dilation[1] * p->x_step[1],
        .kernel = params->kernel[2],
        .stride = params->stride[2],
        .front = p->before > 0,
        .behind = run->behind > 0,
    };
    int nan = 0;
    const int64_t end = p->row + p->rows;
    for (int64_t o = p->row; o < end; o += job.rows, job.dst += job.rows * job.dst_row) {
        const fc_pool_rows rows = fc_pool_rows_of(&run->grid, 1, o);
        job.rows = o >= run->inside.begin && o < run->inside.end ? fc_min(run->inside.end, end) - o : 1;
        job.after = run->average && !run->even ? 0 : end - o - job.rows; /* else each job ends with its divisions */
        job.src = p->x + p->depths.first * p->x_step[0] + rows.first * p->x_step[1];
        job.taps = rows.count;
        const double divisor =
            run->average ? fc_pool_divisor(&run->grid, 0, p->depth) * fc_pool_divisor(&run->grid, 1, o) : 1;
        job.divisor = run->average && run->even ? divisor * fc_pool_divisor(&run->grid, 2, 0) : 1;
        nan |= fn(&job);
        for (int64_t row = 0; run->average && !run->even && row < job.rows * p->stack; ++row) {
            char *y = job.dst + row / job.rows * job.dst_plane + row % job.rows * job.dst_row;
            run->kernels->divide_row(y, y, run->divisors, divisor, p->columns);
        }
    }
    return nan;
}

/* ---- vertical ---- */

/* Reduces rows of a piece into lines or, if windows are one column wide, into the output; returns whether there was NaN. */
static int reduce_rows(const fc_pool_run *run, const fc_pool_piece *p, char *lines, fc_reduce_fn fn) {
    const ptrdiff_t item = run->kernels->itemsize;
    fc_reduction r = {.dst_row = run->pitch * item, .src_end = p->x_end, .tap = {p->depths.step * p->x_step[0]}};
    r.dst = lines;
    r.dst_run = r.src_run = p->side * item;
    r.dst_end = lines + run->stack * run->rows * run->pitch * item;
    if (run->flat) {
        r.dst = p->y;
        r.dst_row = p->y_row;
        r.dst_run = p->y_column;
        r.dst_end = p->y_end;
    }
    r.runs = 1;
    r.count = p->count;
    if (p->stack > 1) {
        r.runs = p->stack;
        r.src_run = p->x_plane;
        r.dst_run = p->rows * r.dst_row;
    }
    if (run->lanes_last) {
        r.src_run = p->x_step[2];
        r.runs = p->count;
        r.count = p->side;
        if (r.src_run == r.dst_run && r.src_run == p->side * item) {
            r.runs = 1;
            r.count *= p->count;
        }
    }
    r.taps[0] = p->depths.count;
    int nan = 0;
    const int64_t end = p->row + p->rows;
    for (int64_t o = p->row; o < end; o += r.rows, r.dst += r.rows * r.dst_row) {
        const fc_pool_rows rows = fc_pool_rows_of(&run->grid, 1, o);
        r.rows = o >= run->inside.begin && o < run->inside.end ? fc_min(run->inside.end, end) - o : 1;
        r.src_row = run->grid.params.stride[1] * p->x_step[1];
        r.src = p->x + p->depths.first * p->x_step[0] + rows.first * p->x_step[1];
        r.taps[1] = rows.count;
        r.tap[1] = rows.step * p->x_step[1];
        if (run->flat && run->average)
            r.divisor = fc_pool_divisor(&run->grid, 0, p->depth) * fc_pool_divisor(&run->grid, 1, o) *
                        fc_pool_divisor(&run->grid, 2, 0);
        nan |= fn(&r);
    }
    return nan;
}

/* ---- horizontal ---- */

/* Some rows of outputs that share what they are divided by, but for what depends on the column. */
static void reduce_planes(const fc_pool_run *run, const fc_pool_piece *p, char *line, char *y, int64_t rows,
                          double divisor, fc_windows_fn fn) {
    const ptrdiff_t item = run->kernels->itemsize;
    const fc_windows windows = {
        .dst = y,
        .src = line,
        .dst_end = p->y_end,
        .rows = rows,
        .dst_row = p->y_row,
        .src_row = run->pitch * item,
        .count = p->columns,
        .kernel = run->grid.params.kernel[2],
        .stride = run->grid.params.stride[2],
        .dilation = run->grid.params.dilation[2],
        .spans = run->grid.adaptive ? run->spans : NULL,
        .divisor = run->even ? divisor * fc_pool_divisor(&run->grid, 2, 0) : 0,
    };
    fn(&windows);
    if (run->average && !run->even)
        for (int64_t row = 0; row < rows; ++row)
            run->kernels->divide_row(y + row * p->y_row, y + row * p->y_row, run->divisors + p->column * item, divisor,
                                     p->columns);
}

static void reduce_channels(const fc_pool_run *run, const fc_pool_piece *p, char *line, char *y, int64_t rows,
                            double divisor, fc_reduce_fn fn) {
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t pixel = p->side * run->kernels->itemsize;
    const fc_range inside = fc_pool_inside(&run->grid, 2);
    fc_reduction r = {
        .runs = rows,
        .dst_run = p->y_row,
        .src_run = run->pitch * run->kernels->itemsize,
        .dst_row = p->y_column,
        .src_row = params->stride[2] * pixel,
        .taps = {1, params->kernel[2]},
        .tap = {0, params->dilation[2] * pixel},
    };
    const int64_t end = p->column + p->columns;
    for (int64_t o = p->column; o < end; o += r.rows) {
        r.rows = end - o;
        if (run->grid.adaptive) {
            r.taps[1] = run->spans[o].count;
            r.src = line + run->spans[o].first * pixel;
            r.rows = 1;
        } else {
            r.src = line + (o - p->column) * r.src_row;
            if (run->average && !run->even)
                r.rows = o >= inside.begin && o < inside.end ? fc_min(inside.end, end) - o : 1;
        }
        r.divisor = run->average ? divisor * fc_pool_divisor(&run->grid, 2, o) : 0;
        r.dst = y + (o - p->column) * p->y_column;
        r.count = p->side;
        fc_reduction whole = r;
        if (r.src_row == pixel && r.dst_row == pixel && r.taps[1] < 4) { /* neighbours, all at once */
            whole.count = r.rows * r.count;
            whole.rows = 1;
        }
        fn(&whole);
    }
}

/* By lines; exactly: where there may be NaN. */
static void pool_by_lines(const fc_pool_run *run, const fc_pool_piece *piece, int exactly, int thread) {
    const fc_kernels *kernels = run->kernels;
    const ptrdiff_t item = kernels->itemsize;
    const fc_pool_piece p = *piece;
    int nan = exactly;
    /* Where the first input column lies in a line: aligned. */
    const ptrdiff_t front = run->flat ? 0 : fc_round_up(p.before * p.side, kernels->lanes) * item;
    char *lines = run->lines[thread] + front;
    if (!nan)
        nan = reduce_rows(run, &p, lines, run->average ? kernels->reduce_add : kernels->reduce_larger);
    if (nan)
        reduce_rows(run, &p, lines, kernels->reduce_max);
    if (!run->flat) {
        if (p.count < p.length)
            kernels->fill_ends(lines, run->pitch * item, p.stack * p.rows, run->average ? 0.0 : -INFINITY,
                               p.before * p.side, p.count * p.side, (p.length - p.before - p.count) * p.side);
        lines -= p.before * p.side * item;
        const int alike = !run->average || fc_pool_even(&run->grid, 1);
        const int64_t all = p.stack * p.rows;
        int64_t rows = all;
        for (int64_t row = 0; row < all; row += rows) {
            const int64_t o = p.row + row % p.rows;
            if (!alike)
                rows = o >= run->inside.begin && o < run->inside.end ? fc_min(run->inside.end, p.row + p.rows) - o : 1;
            const double divisor =
                run->average ? fc_pool_divisor(&run->grid, 0, p.depth) * fc_pool_divisor(&run->grid, 1, o) : 0;
            char *line = lines + row * run->pitch * item, *y = p.y + row * p.y_row;
            if (run->lanes_last)
                reduce_channels(run, &p, line, y, rows, divisor,
                                run->average ? kernels->reduce_add
                                : nan        ? kernels->reduce_max
                                             : kernels->reduce_larger);
            else
                reduce_planes(run, &p, line, y, rows, divisor,
                              run->average ? kernels->windows_add
                              : nan        ? kernels->windows_max
                                           : kernels->windows_larger);
        }
    }
}

static void pool_one(const fc_pool_run *run, int64_t index, int thread) {
    const fc_kernels *kernels = run->kernels;
    const fc_pool_piece p = fc_pool_piece_of(run, index, thread);
    int nan = 0;
    if (run->small) {
        fc_pool_piece small = p;
        if (run->deep)
            nan = combine_depths(run, &small, run->combined[thread],
                                 run->average ? kernels->reduce_add : kernels->reduce_larger);
        nan |= pool_small(run, &small, run->average ? kernels->pool_add : kernels->pool_larger);
    }
    if (!run->small)
        pool_by_lines(run, &p, 0, thread);
    for (int64_t plane = 0; nan && plane < p.stack; ++plane) {
        const fc_pool_piece one = fc_pool_plane_of(&p, plane);
        pool_by_lines(run, &one, 1, thread);
    }
    if (run->indirect)
        fc_pool_copy_output(run, &p);
}

static void pool_task(void *context, int64_t task, int thread) {
    const fc_pool_run *run = context;
    for (int64_t i = task * run->together; i < fc_min((task + 1) * run->together, run->pieces); ++i)
        pool_one(run, i, thread);
}

/* ---- a call ---- */

static void fill_divisors(const fc_pool_run *run) {
    for (int64_t o = 0; o < run->output->size[4]; ++o)
        run->kernels->fill_row(run->divisors + o * run->kernels->itemsize, fc_pool_divisor(&run->grid, 2, o), 1);
}

/* With geometry checked and `grid` in place. */
static fc_status pool_forward(fc_pool_run *run, const fc_options *options) {
    if (run->input.size[0] == 0)
        return FC_OK;
    const int threads = fc_elementwise_threads(&run->input, options);
    if (run->indices)
        return fc_pool_indexed(run, threads);
    if (fc_pool_merge_whole(run)) {
        fc_pool_whole_planes(run, threads);
        return FC_OK;
    }
    void *block = fc_pool_prepare(run, threads);
    if (!block)
        return FC_OUT_OF_MEMORY;
    if (run->grid.adaptive)
        fc_pool_fill_spans(&run->grid, run->spans);
    if (run->average && !run->even)
        fill_divisors(run);
    fc_parallel(fc_ceil_div(run->pieces, run->together), threads, pool_task, run);
    fc_scratch_give(block);
    return FC_OK;
}

static fc_status sliding(fc_pool_run *run, fc_dtype dtype, const fc_pool_params *params, const fc_options *options,
                         fc_report *report) {
    FC_NEED((unsigned)dtype < FC_DTYPES);
    run->kernels = fc_kernels_for(options->isa, dtype);
    run->wide = fc_kernels_for(options->isa, FC_FLOAT64);
    if (!run->kernels)
        return FC_UNSUPPORTED;
    fc_status status = fc_check_pool(&run->input, run->output, params, report);
    if (status == FC_OK && run->indices)
        status = fc_check_same(run->output, run->indices, report);
    if (status != FC_OK || run->input.size[0] == 0)
        return status;
    run->grid = fc_pool_grid_of(params, run->input.size + 2, run->output->size + 2);
    for (int axis = 0; !run->average && axis < FC_SPATIAL; ++axis)
        for (int64_t o = 0; run->grid.params.dilation[axis] > 1 && o < run->output->size[2 + axis]; ++o)
            if (fc_pool_rows_of(&run->grid, axis, o).count < 1) {
                if (report)
                    *report = (fc_report){axis, o};
                return FC_EMPTY_WINDOW;
            }
    return pool_forward(run, options);
}

static fc_status adaptive(fc_pool_run *run, fc_dtype dtype, const fc_options *options, fc_report *report) {
    FC_NEED((unsigned)dtype < FC_DTYPES);
    run->kernels = fc_kernels_for(options->isa, dtype);
    run->wide = fc_kernels_for(options->isa, FC_FLOAT64);
    if (!run->kernels)
        return FC_UNSUPPORTED;
    fc_status status = fc_check_adaptive_pool(&run->input, run->output, report);
    if (status == FC_OK && run->indices)
        status = fc_check_same(run->output, run->indices, report);
    if (status != FC_OK)
        return status;
    run->grid = fc_pool_grid_adaptive(run->input.size + 2, run->output->size + 2);
    return pool_forward(run, options);
}

fc_status fc_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                              const fc_options *options, const fc_tensor *output, const fc_tensor *indices,
                              fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(output) && (!indices || fc_is_array(indices)));
    FC_ADOPT(fc_pool_params, params);
    FC_ADOPT_OPTIONS(options);
    fc_pool_run run = {.input = *input, .output = output, .indices = indices};
    return sliding(&run, dtype, params, options, report);
}

fc_status fc_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                              const fc_options *options, const fc_tensor *output, fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(output));
    FC_ADOPT(fc_pool_params, params);
    FC_ADOPT_OPTIONS(options);
    const fc_status status = fc_check_average(params, report);
    if (status != FC_OK)
        return status;
    fc_pool_run run = {.input = *input, .output = output, .average = 1};
    return sliding(&run, dtype, params, options, report);
}

fc_status fc_adaptive_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                       const fc_tensor *output, const fc_tensor *indices, fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(output) && (!indices || fc_is_array(indices)));
    FC_ADOPT_OPTIONS(options);
    fc_pool_run run = {.input = *input, .output = output, .indices = indices};
    return adaptive(&run, dtype, options, report);
}

fc_status fc_adaptive_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                       const fc_tensor *output, fc_report *report) {
    FC_NEED(fc_is_array(input) && fc_is_array(output));
    FC_ADOPT_OPTIONS(options);
    fc_pool_run run = {.input = *input, .output = output, .average = 1};
    return adaptive(&run, dtype, options, report);
}
