/* Pooling in pieces: a band of output rows, of one plane or channels last of a block of channels, as large as fits L1 with
 * its lines. Small planes are stacked; rows too long for L1 are cut into panels. Borders follow from the problem alone. */
#include "ops/pool_pieces.h"

#include "ops/elementwise.h"

enum {
    LINE_BYTES = 4 << 10,
    BAND_BYTES = 12 << 10,
    MOST_ROWS = 32,
    BLOCK_BYTES = 256,
    INDEXED_BYTES = 24 << 10,
    FLAT_BYTES = 4 << 10
};
enum { TASK_ELEMENTS = 16 << 10, DEEP_ELEMENTS = 4 << 10 }; /* deep: of which L1 holds what is combined, too */

static int64_t most_rows_read(const fc_pool_run *run, int axis, int64_t outputs) {
    const fc_pool_grid *grid = &run->grid;
    if (grid->adaptive)
        return grid->in[axis];
    return fc_min(grid->in[axis], fc_sum(fc_product(outputs - 1, grid->params.stride[axis]), run->reach[axis]));
}

static void plan(fc_pool_run *run) {
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
    if (run->indices) {
        const fc_tensor *i = run->indices;
        run->indirect |= run->lanes_last ? i->stride[1] != 1 && i->size[1] != 1 : i->stride[4] != 1 && i->size[4] != 1;
        run->flat = 0;
    }
    run->even = fc_pool_even(&run->grid, 2);
    run->inside = fc_pool_inside(&run->grid, 1);

    run->behind = fc_max((y->size[4] - 1) * params->stride[2] - params->padding[2][0] + run->reach[2] - x->size[4], 0);
    run->deep = params->kernel[0] > 1;
    run->small = !run->indices && in_rows && !run->grid.adaptive && (!run->deep || x->stride[3] == x->size[4]) &&
                 params->kernel[1] <= 3 && params->kernel[2] >= 2 && params->kernel[2] <= 3 &&
                 params->dilation[2] == 1 && params->stride[2] <= 2 && params->padding[2][0] <= 1 && run->behind <= 1;

    const int64_t channels = y->size[1];
    run->block = run->lanes_last ? fc_min(channels, (run->flat ? FLAT_BYTES : BLOCK_BYTES) / item) : 1;
    const int64_t stride = params->stride[2], fit = LINE_BYTES / item / run->block - run->reach[2];
    run->columns =
        run->grid.adaptive || run->small ? y->size[4] : fc_min(fc_max(fit / stride + 1, 2 * lanes), y->size[4]);
    run->panels = fc_ceil_div(y->size[4], run->columns);
    const int64_t length =
        run->grid.adaptive ? x->size[4] : fc_sum(fc_product(run->columns - 1, stride), run->reach[2]);
    run->pitch = fc_sum(fc_product(length, run->block), 4 * lanes - 1) / lanes * lanes;
    run->rows = fc_min(fc_min(fc_max(BAND_BYTES / item / run->pitch, 1), MOST_ROWS), y->size[3]);
    run->deep &= run->small;
    const int64_t fit_small = run->deep ? DEEP_ELEMENTS : TASK_ELEMENTS;
    if (run->small) /* pairs of rows */
        run->rows = fc_min(fc_max(fit_small / y->size[4] / 2, 1) * 2, y->size[3]);
    if (run->flat && !run->copied && !run->indirect)
        run->rows = y->size[3];
    if (run->indices) {
        run->result_pitch = fc_round_up(run->columns * run->block, lanes) + lanes;
        const int64_t line = (run->pitch + 2 * run->result_pitch) * item;
        for (;; run->rows = fc_ceil_div(run->rows, 2)) {
            run->input_rows = fc_product(most_rows_read(run, 0, 1), most_rows_read(run, 1, run->rows));
            if (run->rows == 1 || run->input_rows <= INDEXED_BYTES / line)
                break;
        }
    }
    run->bands = fc_ceil_div(y->size[3], run->rows);
    /* Small planes are done several at a time. */
    run->stack = 1;
    if (!run->lanes_last && !run->copied && !run->indirect && !run->flat && !run->indices && run->panels == 1 &&
        run->bands == 1 && (run->small || y->stride[1] == y->size[3] * y->stride[3]))
        run->stack = run->block = fc_min(
            channels,
            fc_max(run->small ? fit_small / (y->size[3] * y->size[4]) : BAND_BYTES / item / run->pitch / run->rows, 1));
    run->blocks = fc_ceil_div(channels, run->block);
    run->pieces = y->size[0] * run->blocks * y->size[2] * run->panels * run->bands;
    run->together = fc_max(TASK_ELEMENTS / fc_max(run->rows * length * run->block, 1), 1);
}

static void lay_out(fc_pool_run *run, fc_arena *arena, int threads) {
    const size_t item = (size_t)run->kernels->itemsize;
    const int64_t outputs = run->output->size[4];
    run->divisors = fc_arena_take(arena, run->average && !run->even ? outputs : 0, item);
    run->spans = fc_arena_take(arena, run->grid.adaptive ? outputs : 0, sizeof(fc_span));
    run->copy = fc_arena_take(arena, threads, sizeof(char *));
    run->lines = fc_arena_take(arena, threads, sizeof(char *));
    run->result = fc_arena_take(arena, threads, sizeof(char *));
    run->combined = fc_arena_take(arena, threads, sizeof(char *));
    run->maxima = fc_arena_take(arena, threads, sizeof(char *));
    run->places = fc_arena_take(arena, threads, sizeof(int64_t *));
    run->firsts = fc_arena_take(arena, run->indices ? outputs + run->kernels->lanes : 0, item);
    const int64_t lines_of = run->indices ? run->input_rows : run->stack * run->rows;
    const int64_t read = fc_product(fc_product(most_rows_read(run, 0, 1), most_rows_read(run, 1, run->rows)),
                                    most_rows_read(run, 2, run->columns));
    for (int t = 0; t < threads; ++t) {
        char *copy = fc_arena_take(arena, run->copied ? read : 0, item);
        const int64_t rows_read = most_rows_read(run, 1, run->rows);
        char *combined =
            fc_arena_take(arena, run->deep ? fc_product(run->stack * rows_read, run->input.size[4]) : 0, item);
        char *lines = fc_arena_take(arena, run->flat ? 0 : fc_product(lines_of, run->pitch), item);
        char *result = fc_arena_take(arena, run->indirect ? run->rows * run->columns * run->block : 0, item);
        char *maxima = fc_arena_take(arena, run->indices ? 2 * run->input_rows * run->result_pitch : 0, item);
        int64_t *places = fc_arena_take(
            arena, run->indices && run->indirect ? run->rows * run->columns * run->block : 0, sizeof(int64_t));
        if (arena->base) {
            run->maxima[t] = maxima;
            run->places[t] = places;
            run->copy[t] = copy;
            run->combined[t] = combined;
            run->lines[t] = lines;
            run->result[t] = result;
        }
    }
}

void *fc_pool_prepare(fc_pool_run *run, int threads) {
    plan(run);
    fc_arena arena = {0};
    lay_out(run, &arena, threads);
    arena = (fc_arena){fc_scratch_take(arena.used), 0};
    if (arena.base)
        lay_out(run, &arena, threads);
    return arena.base;
}

/* Copies the input of a piece of a plane, so that its rows are contiguous. */
static void copy_input(const fc_pool_run *run, fc_pool_piece *p, char *to) {
    const ptrdiff_t item = run->kernels->itemsize;
    const fc_range rows = fc_pool_rows_read(run, p);
    const ptrdiff_t row = p->count * item, depth = (rows.end - rows.begin) * row;
    for (int64_t d = p->depths.first; d < p->depths.end; ++d)
        run->kernels->copy_matrix(
            (fc_matrix){to + (d - p->depths.first) * depth, row, item},
            (fc_matrix){(char *)p->x + d * p->x_step[0] + rows.begin * p->x_step[1], p->x_step[1], p->x_step[2]},
            rows.end - rows.begin, p->count);
    p->x = to - p->depths.first * depth - rows.begin * row;
    p->x_step[0] = depth;
    p->x_step[1] = row;
    p->x_step[2] = item;
    p->x_end = to + (p->depths.end - p->depths.first) * depth;
}

fc_pool_piece fc_pool_piece_of(const fc_pool_run *run, int64_t index, int thread) {
    const fc_tensor *x = &run->input, *y = run->output;
    const ptrdiff_t item = run->kernels->itemsize;
    fc_pool_piece p;
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
    p.x_end = dense ? plane + (p.depths.end - 1) * p.x_step[0] + x->size[3] * p.x_step[1] : NULL;
    p.x_plane = p.stack > 1 ? x->stride[1] * item : 0; /* one plane may have any */
    p.y_plane = p.stack > 1 ? y->stride[1] * item : 0;
    if (run->copied)
        copy_input(run, &p, run->copy[thread]);
    if (run->indirect) {
        p.y = run->result[thread];
        p.y_column = p.side * item;
        p.y_row = p.columns * p.y_column;
        p.y_end = p.y + p.rows * p.y_row;
        p.indices = run->places[thread];
        p.indices_row = p.columns * p.side * (ptrdiff_t)sizeof(int64_t);
        return p;
    }
    if (run->indices) {
        const fc_tensor *i = run->indices;
        p.indices = (int64_t *)fc_plane(i, p.n, p.channel, sizeof(int64_t)) + p.depth * i->stride[2] +
                    p.row * i->stride[3] + p.column * i->stride[4];
        p.indices_row = i->stride[3] * (ptrdiff_t)sizeof(int64_t);
    }
    p.y_column = y->stride[4] * item;
    p.y_row = y->stride[3] * item;
    p.y = fc_plane(y, p.n, p.channel, item) + p.depth * y->stride[2] * item + p.row * p.y_row + p.column * p.y_column;
    p.y_end = p.y_row == p.columns * item && p.y_column == item ? p.y + p.stack * p.rows * p.y_row : NULL;
    return p;
}

fc_range fc_pool_rows_read(const fc_pool_run *run, const fc_pool_piece *p) {
    return fc_pool_range_of(&run->grid, 1, p->row, p->rows);
}

fc_pool_piece fc_pool_plane_of(const fc_pool_piece *p, int64_t plane) {
    fc_pool_piece one = *p;
    one.channel += plane;
    one.stack = 1;
    one.x += plane * p->x_plane;
    one.y += plane * p->y_plane;
    one.x_plane = one.y_plane = 0;
    if (one.x_end)
        one.x_end += plane * p->x_plane;
    if (one.y_end)
        one.y_end = one.y + one.rows * one.y_row;
    return one;
}

void fc_pool_copy_output(const fc_pool_run *run, const fc_pool_piece *p) {
    const ptrdiff_t item = run->kernels->itemsize;
    const fc_tensor *y = run->output;
    char *to = fc_plane(y, p->n, p->channel, item) +
               (p->depth * y->stride[2] + p->row * y->stride[3] + p->column * y->stride[4]) * item;
    for (int64_t row = 0; row < p->rows; ++row)
        run->kernels->copy_matrix((fc_matrix){to + row * y->stride[3] * item, y->stride[4] * item, y->stride[1] * item},
                                  (fc_matrix){p->y + row * p->y_row, p->y_column, item}, p->columns, p->side);
}
