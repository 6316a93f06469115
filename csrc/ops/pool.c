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
#include "ops/pool_indexed.h"

#include <math.h>

enum { LINE_BYTES = 4 << 10, BAND_BYTES = 12 << 10, MOST_ROWS = 32, BLOCK_BYTES = 256, FLAT_BYTES = 4 << 10 };
enum { TASK_ELEMENTS = 16 << 10 };

typedef struct pool_run {
    const fc_kernels *kernels;
    const fc_tensor *indices, *output;
    fc_tensor input;
    fc_pool_grid grid;
    int average;
    int lanes_last; /* channels lie along the lanes */
    int flat;       /* windows one column wide: no line */
    int small;      /* windows that one kernel does at once: lines only where there is NaN */
    int64_t behind; /* columns of padding in the last window of a row */
    int copied;     /* input rows are copied first */
    int indirect;   /* output rows are made in scratch */
    int even;       /* one divisor along a row */
    fc_range inside;
    int64_t block, blocks;    /* channels of a piece */
    int64_t stack;            /* of these, how many are planes; the others lie side by side */
    int64_t columns, panels;  /* outputs of a row */
    int64_t rows, bands;      /* rows of outputs */
    int64_t pieces, together; /* of all; of a task */
    int64_t pitch;            /* from line to line, elements */
    int64_t reach[FC_SPATIAL];
    fc_span *spans;
    char *divisors;
    char **copy, **lines, **result;
} pool_run;

/* Some outputs: a band, a panel, a block, and where in the input what they read lies. */
typedef struct pool_piece {
    int64_t n, channel, side, stack, depth, row, rows, column, columns; /* side: channels side by side */
    int64_t from, count, before, length; /* input columns; elements of the line in front of them, and in all */
    fc_pool_rows depths;
    const char *x; /* depth 0, row 0, column `from` */
    ptrdiff_t x_step[FC_SPATIAL];
    const char *x_end;
    char *y;
    ptrdiff_t x_plane, y_row, y_column;
    char *y_end; /* what may be overwritten before it is made */
} pool_piece;

/* ---- pieces ---- */

static int64_t most_rows_read(const pool_run *run, int axis, int64_t outputs) {
    const fc_pool_grid *grid = &run->grid;
    if (grid->adaptive)
        return grid->in[axis];
    return fc_min(grid->in[axis], fc_sum(fc_product(outputs - 1, grid->params.stride[axis]), run->reach[axis]));
}

static void plan(pool_run *run) {
    const fc_tensor *x = &run->input, *y = run->output;
    const fc_pool_params *params = &run->grid.params;
    const int64_t item = run->kernels->itemsize, lanes = run->kernels->lanes;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        run->reach[axis] = (params->kernel[axis] - 1) * params->dilation[axis] + 1;
    const int in_rows = x->size[4] > 1 && x->stride[4] == 1;
    run->lanes_last = !in_rows && x->stride[1] == 1;
    run->copied = !in_rows && !run->lanes_last && x->size[4] > 1;
    run->flat = !run->grid.adaptive && params->kernel[2] == 1 && params->stride[2] == 1;
    run->indirect = run->lanes_last ? y->stride[1] != 1 && y->size[1] != 1 : y->stride[4] != 1 && y->size[4] != 1;
    run->even = fc_pool_even(&run->grid, 2);
    run->inside = fc_pool_inside(&run->grid, 1);

    run->behind = fc_max((y->size[4] - 1) * params->stride[2] - params->padding[2][0] + run->reach[2] - x->size[4], 0);
    run->small = in_rows && !run->grid.adaptive && params->kernel[0] == 1 && params->kernel[1] <= 3 &&
                 params->kernel[2] >= 2 && params->kernel[2] <= 3 && params->dilation[2] == 1 &&
                 params->stride[2] <= 2 && params->padding[2][0] <= 1 && run->behind <= 1 &&
                 y->size[4] >= lanes + (params->padding[2][0] || run->behind);

    const int64_t channels = y->size[1];
    run->block = run->lanes_last ? fc_min(channels, (run->flat ? FLAT_BYTES : BLOCK_BYTES) / item) : 1;
    const int64_t stride = params->stride[2], fit = LINE_BYTES / item / run->block - run->reach[2];
    run->columns = run->grid.adaptive || run->small ? y->size[4] : fc_min(fc_max(fit / stride + 1, 2 * lanes), y->size[4]);
    run->panels = fc_ceil_div(y->size[4], run->columns);
    const int64_t length =
        run->grid.adaptive ? x->size[4] : fc_sum(fc_product(run->columns - 1, stride), run->reach[2]);
    run->pitch = fc_sum(fc_product(length, run->block), 4 * lanes - 1) / lanes * lanes;
    run->rows = fc_min(fc_min(fc_max(BAND_BYTES / item / run->pitch, 1), MOST_ROWS), y->size[3]);
    if (run->small) /* pairs of rows */
        run->rows = fc_min(fc_max(TASK_ELEMENTS / y->size[4] / 2, 1) * 2, y->size[3]);
    if (run->flat && !run->copied && !run->indirect)
        run->rows = y->size[3];
    run->bands = fc_ceil_div(y->size[3], run->rows);
    /* Small planes are done several at a time. */
    run->stack = 1;
    if (!run->lanes_last && !run->copied && !run->indirect && !run->flat && !run->small && run->panels == 1 && run->bands == 1 &&
        y->stride[1] == y->size[3] * y->stride[3])
        run->stack = run->block = fc_min(channels, fc_max(BAND_BYTES / item / run->pitch / run->rows, 1));
    run->blocks = fc_ceil_div(channels, run->block);
    run->pieces = y->size[0] * run->blocks * y->size[2] * run->panels * run->bands;
    run->together = fc_max(TASK_ELEMENTS / fc_max(run->rows * length * run->block, 1), 1);
}

static void lay_out(pool_run *run, fc_arena *arena, int threads) {
    const size_t item = (size_t)run->kernels->itemsize;
    const int64_t outputs = run->output->size[4];
    run->divisors = fc_arena_take(arena, run->average && !run->even ? outputs : 0, item);
    run->spans = fc_arena_take(arena, run->grid.adaptive ? outputs : 0, sizeof(fc_span));
    run->copy = fc_arena_take(arena, threads, sizeof(char *));
    run->lines = fc_arena_take(arena, threads, sizeof(char *));
    run->result = fc_arena_take(arena, threads, sizeof(char *));
    const int64_t read = fc_product(fc_product(most_rows_read(run, 0, 1), most_rows_read(run, 1, run->rows)),
                                    most_rows_read(run, 2, run->columns));
    for (int t = 0; t < threads; ++t) {
        char *copy = fc_arena_take(arena, run->copied ? read : 0, item);
        char *lines = fc_arena_take(arena, run->flat ? 0 : fc_product(run->stack * run->rows, run->pitch), item);
        char *result = fc_arena_take(arena, run->indirect ? run->rows * run->columns * run->block : 0, item);
        if (arena->base) {
            run->copy[t] = copy;
            run->lines[t] = lines;
            run->result[t] = result;
        }
    }
}

/* Copies the input of a piece of a plane, so that its rows are contiguous. */
static void copy_input(const pool_run *run, pool_piece *p, char *to) {
    const ptrdiff_t item = run->kernels->itemsize;
    const fc_pool_rows top = fc_pool_rows_of(&run->grid, 1, p->row);
    const int64_t end = fc_pool_rows_of(&run->grid, 1, p->row + p->rows - 1).end;
    const ptrdiff_t row = p->count * item, depth = (end - top.first) * row;
    for (int64_t d = p->depths.first; d < p->depths.end; ++d)
        run->kernels->copy_matrix(
            (fc_matrix){to + (d - p->depths.first) * depth, row, item},
            (fc_matrix){(char *)p->x + d * p->x_step[0] + top.first * p->x_step[1], p->x_step[1], p->x_step[2]},
            end - top.first, p->count);
    p->x = to - p->depths.first * depth - top.first * row;
    p->x_step[0] = depth;
    p->x_step[1] = row;
    p->x_step[2] = item;
    p->x_end = to + (p->depths.end - p->depths.first) * depth;
}

static pool_piece piece_of(const pool_run *run, int64_t index, int thread) {
    const fc_tensor *x = &run->input, *y = run->output;
    const ptrdiff_t item = run->kernels->itemsize;
    pool_piece p;
    p.row = index % run->bands * run->rows;
    index /= run->bands;
    p.column = index % run->panels * run->columns;
    index /= run->panels;
    p.depth = index % y->size[2];
    index /= y->size[2];
    p.channel = index % run->blocks * run->block;
    p.n = index / run->blocks;
    p.rows = fc_min(run->rows, y->size[3] - p.row);
    p.columns = fc_min(run->columns, y->size[4] - p.column);
    p.stack = fc_min(run->stack, y->size[1] - p.channel);
    p.side = run->lanes_last ? fc_min(run->block, y->size[1] - p.channel) : 1;
    p.depths = fc_pool_rows_of(&run->grid, 0, p.depth);

    int64_t first = 0, end = x->size[4];
    if (!run->grid.adaptive) {
        first = p.column * run->grid.params.stride[2] - run->grid.params.padding[2][0];
        end = first + (p.columns - 1) * run->grid.params.stride[2] + run->reach[2];
    }
    p.length = end - first;
    p.from = fc_max(first, 0);
    p.before = p.from - first;
    p.count = fc_min(end, x->size[4]) - p.from;

    const char *plane = fc_plane(x, p.n, p.channel, item);
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        p.x_step[axis] = x->stride[2 + axis] * item;
    p.x = plane + p.from * p.x_step[2];
    const int dense = x->stride[4] == 1 && x->stride[3] == x->size[4] && !run->lanes_last;
    p.x_end = dense ? plane + (p.depths.end - 1) * p.x_step[0] + x->size[3] * p.x_step[1] : p.x;
    if (run->copied)
        copy_input(run, &p, run->copy[thread]);
    if (run->indirect) {
        p.y = run->result[thread];
        p.y_column = p.side * item;
        p.y_row = p.columns * p.y_column;
        p.y_end = p.y + p.rows * p.y_row;
        return p;
    }
    p.x_plane = x->stride[1] * item;
    p.y_column = y->stride[4] * item;
    p.y_row = y->stride[3] * item;
    p.y = fc_plane(y, p.n, p.channel, item) + p.depth * y->stride[2] * item + p.row * p.y_row + p.column * p.y_column;
    p.y_end = p.y_row == p.columns * item && p.y_column == item ? p.y + p.stack * p.rows * p.y_row : p.y;
    return p;
}

static void copy_output(const pool_run *run, const pool_piece *p) {
    const ptrdiff_t item = run->kernels->itemsize;
    const fc_tensor *y = run->output;
    char *to = fc_plane(y, p->n, p->channel, item) +
               (p->depth * y->stride[2] + p->row * y->stride[3] + p->column * y->stride[4]) * item;
    for (int64_t row = 0; row < p->rows; ++row)
        run->kernels->copy_matrix((fc_matrix){to + row * y->stride[3] * item, y->stride[4] * item, y->stride[1] * item},
                                  (fc_matrix){p->y + row * p->y_row, p->y_column, item}, p->columns, p->side);
}

/* ---- both at once ---- */

static int pool_small(const pool_run *run, const pool_piece *p, fc_pool_rows_fn fn) {
    const fc_pool_params *params = &run->grid.params;
    fc_pool_rows_job job = {
        .dst = p->y,
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
        job.src = p->x + p->depths.first * p->x_step[0] + rows.first * p->x_step[1];
        job.taps = rows.count;
        const double divisor =
            run->average ? fc_pool_divisor(&run->grid, 0, p->depth) * fc_pool_divisor(&run->grid, 1, o) : 1;
        job.divisor = run->average && run->even ? divisor * fc_pool_divisor(&run->grid, 2, 0) : 1;
        nan |= fn(&job);
        for (int64_t row = 0; run->average && !run->even && row < job.rows; ++row)
            run->kernels->divide_row(job.dst + row * job.dst_row, job.dst + row * job.dst_row, run->divisors, divisor,
                                     p->columns);
    }
    return nan;
}

/* ---- vertical ---- */

/* Reduces rows of a piece into lines or, if windows are one column wide, into the output; returns whether there was NaN. */
static int reduce_rows(const pool_run *run, const pool_piece *p, char *lines, fc_reduce_fn fn) {
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
static void reduce_planes(const pool_run *run, const pool_piece *p, char *line, char *y, int64_t rows, double divisor,
                          fc_windows_fn fn) {
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

static void reduce_channels(const pool_run *run, const pool_piece *p, char *line, char *y, int64_t rows, double divisor,
                            fc_reduce_fn fn) {
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
        r.dst = r.dst_end = y + (o - p->column) * p->y_column;
        r.count = p->side;
        fc_reduction whole = r;
        if (r.src_row == pixel && r.dst_row == pixel && r.taps[1] < 4) { /* neighbours, all at once */
            whole.count = r.rows * r.count;
            whole.rows = 1;
        }
        fn(&whole);
    }
}

static void pool_piece_of(const pool_run *run, int64_t index, int thread) {
    const fc_kernels *kernels = run->kernels;
    const ptrdiff_t item = kernels->itemsize;
    const pool_piece p = piece_of(run, index, thread);
    int nan = 0;
    if (run->small) {
        nan = pool_small(run, &p, run->average ? kernels->pool_add : kernels->pool_larger);
        if (!nan) {
            if (run->indirect)
                copy_output(run, &p);
            return;
        }
    }
    /* Where the first input column lies in a line: aligned. */
    const ptrdiff_t front = run->flat ? 0 : fc_round_up(p.before * p.side, kernels->lanes) * item;
    char *lines = run->lines[thread] + front;
    if (!nan)
        nan = reduce_rows(run, &p, lines, run->average ? kernels->reduce_add : kernels->reduce_larger);
    if (nan)
        reduce_rows(run, &p, lines, kernels->reduce_max);
    if (!run->flat) {
        if (p.count < p.length)
            kernels->fill_ends(lines, run->pitch * item, p.stack * p.rows, run->average ? 0.0 : -INFINITY, p.before * p.side,
                               p.count * p.side, (p.length - p.before - p.count) * p.side);
        lines -= p.before * p.side * item;
        const int alike = !run->average || fc_pool_even(&run->grid, 1);
        const int64_t all = p.stack * p.rows;
        int64_t rows = all;
        for (int64_t row = 0; row < all; row += rows) {
            const int64_t o = p.row + row % p.rows;
            if (!alike)
                rows = o >= run->inside.begin && o < run->inside.end ? fc_min(run->inside.end, p.row + p.rows) - o : 1;
            const double divisor = run->average ? fc_pool_divisor(&run->grid, 0, p.depth) *
                                                      fc_pool_divisor(&run->grid, 1, o)
                                                : 0;
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
    if (run->indirect)
        copy_output(run, &p);
}

static void pool_task(void *context, int64_t task, int thread) {
    const pool_run *run = context;
    for (int64_t i = task * run->together; i < fc_min((task + 1) * run->together, run->pieces); ++i)
        pool_piece_of(run, i, thread);
}

/* ---- a call ---- */

/* One window that holds all of the input becomes a column of it, if channels are side by side; returns whether planes lie
 * contiguous instead. */
static int merge_whole(pool_run *run) {
    fc_pool_grid *grid = &run->grid;
    double divisor = 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        if (grid->out[axis] != 1 || fc_pool_rows_of(grid, axis, 0).count != grid->in[axis])
            return 0;
        divisor *= fc_pool_divisor(grid, axis, 0);
    }
    fc_tensor merged = run->input, *x = &merged;
    fc_merge_spatial(&x, 1);
    const int64_t length = x->size[4];
    if (x->size[2] != 1 || x->size[3] != 1 || (x->stride[4] != 1 && x->stride[1] != 1))
        return 0;
    *grid = (fc_pool_grid){{{1, length, 1}, {1, 1, 1}, {1, 1, 1}, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, (int64_t)divisor},
                           {1, length, 1},
                           {1, 1, 1},
                           0};
    run->input = merged;
    if (x->stride[4] == 1)
        return 1;
    run->input.size[3] = length;
    run->input.stride[3] = x->stride[4];
    run->input.size[4] = 1;
    return 0;
}

enum { PLANES_A_TASK = 64 };

static void whole_planes_task(void *context, int64_t task, int thread) {
    (void)thread;
    const pool_run *run = context;
    const fc_tensor *x = &run->input, *y = run->output;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t n = task / run->blocks, c = task % run->blocks * PLANES_A_TASK;
    const int64_t planes = fc_min(x->size[1] - c, PLANES_A_TASK);
    char *to = fc_plane(y, n, c, item);
    double room[PLANES_A_TASK];
    char *result = y->stride[1] == 1 ? to : (char *)room;
    (run->average ? run->kernels->planes_add : run->kernels->planes_max)(
        result, fc_plane(x, n, c, item), x->stride[1] * item, planes, x->size[4],
        run->average ? (double)run->grid.params.divisor_override : 0);
    if (result != to)
        run->kernels->copy_matrix((fc_matrix){to, 0, y->stride[1] * item}, (fc_matrix){result, 0, item}, 1, planes);
}

static void fill_divisors(const pool_run *run) {
    for (int64_t o = 0; o < run->output->size[4]; ++o)
        run->kernels->fill_row(run->divisors + o * run->kernels->itemsize, fc_pool_divisor(&run->grid, 2, o), 1);
}

/* With geometry checked and `grid` in place. */
static fc_status pool_forward(pool_run *run, const fc_options *options) {
    if (run->input.size[0] == 0)
        return FC_OK;
    const int threads = fc_elementwise_threads(&run->input, options);
    if (run->indices)
        return fc_pool_indexed(run->kernels, &run->input, &run->grid, run->output, run->indices, threads);
    if (merge_whole(run)) {
        run->blocks = fc_ceil_div(run->input.size[1], PLANES_A_TASK);
        fc_parallel(run->input.size[0] * run->blocks, threads, whole_planes_task, run);
        return FC_OK;
    }
    plan(run);
    fc_arena arena = {0};
    lay_out(run, &arena, threads);
    arena = (fc_arena){fc_scratch_take(arena.used), 0};
    if (!arena.base)
        return FC_OUT_OF_MEMORY;
    lay_out(run, &arena, threads);
    if (run->grid.adaptive)
        fc_pool_fill_spans(&run->grid, run->spans);
    if (run->average && !run->even)
        fill_divisors(run);
    fc_parallel(fc_ceil_div(run->pieces, run->together), threads, pool_task, run);
    fc_scratch_give(arena.base);
    return FC_OK;
}

static fc_status sliding(pool_run *run, fc_dtype dtype, const fc_pool_params *params, const fc_options *options,
                         fc_report *report) {
    run->kernels = fc_kernels_for(options->isa, dtype);
    if (!run->kernels)
        return FC_UNSUPPORTED;
    const fc_status status = fc_check_pool(&run->input, run->output, params, report);
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

static fc_status adaptive(pool_run *run, fc_dtype dtype, const fc_options *options, fc_report *report) {
    run->kernels = fc_kernels_for(options->isa, dtype);
    if (!run->kernels)
        return FC_UNSUPPORTED;
    const fc_status status = fc_check_adaptive_pool(&run->input, run->output, report);
    if (status != FC_OK)
        return status;
    run->grid = fc_pool_grid_adaptive(run->input.size + 2, run->output->size + 2);
    return pool_forward(run, options);
}

fc_status fc_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                              const fc_options *options, const fc_tensor *output, const fc_tensor *indices,
                              fc_report *report) {
    pool_run run = {.input = *input, .output = output, .indices = indices};
    return sliding(&run, dtype, params, options, report);
}

fc_status fc_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                              const fc_options *options, const fc_tensor *output, fc_report *report) {
    pool_run run = {.input = *input, .output = output, .average = 1};
    return sliding(&run, dtype, params, options, report);
}

fc_status fc_adaptive_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                       const fc_tensor *output, const fc_tensor *indices, fc_report *report) {
    pool_run run = {.input = *input, .output = output, .indices = indices};
    return adaptive(&run, dtype, options, report);
}

fc_status fc_adaptive_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                       const fc_tensor *output, fc_report *report) {
    pool_run run = {.input = *input, .output = output, .average = 1};
    return adaptive(&run, dtype, options, report);
}
