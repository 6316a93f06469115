/* Gradient of average pooling: the forward run backwards, as sums that are gathered, so that every element is written once.
 *
 * A piece is a band of rows of grad_input, of one plane or channels last of a block of channels; rows too long for a
 * cache are cut into panels. Rows of grad_output are divided by what their windows count for; those whose windows hold a
 * row are added into a line; along the line the same: at stride s the elements of one residue are sums of neighbours, and
 * residues are taken in turn. Accumulator: the dtype.
 */
#include "ops/pool_spread.h"

#include "ops/elementwise.h"

#include <string.h>

enum { BAND_BYTES = 8 << 10, PANEL_BYTES = 64 << 10, MOST_ROWS = 32, BLOCK_BYTES = 256, TASK_ELEMENTS = 16 << 10 };

typedef struct spread_run {
    const fc_kernels *kernels;
    const fc_tensor *grad_output, *grad_input;
    fc_pool_grid grid;
    int lanes_last, indirect, repeats; /* repeats: rows of a stride are all the same */
    int64_t block, blocks, rows, bands, pieces, together;
    int64_t columns, panels;    /* of grad_input */
    int64_t outputs;            /* of a row of grad_output, those that a panel needs at most */
    int64_t shares;             /* rows of grad_output of a piece, of one depth */
    int64_t share_pitch, pitch; /* elements */
    int64_t front;              /* zeros in front of a line */
    int even;                   /* one divisor for all */
    double divisor;
    fc_span *spans;                 /* outputs that hold each column */
    char *divisors, *last_divisors; /* of a row, for all channels side by side, and for those of the last block */
    char **panel_divisors;          /* where there are panels: of one */
    char **share, **lines, **phases, **result;
    const char **sources;
} spread_run;

/* Taps of a window that lie on a residue of the stride. */
static int64_t taps_of(const fc_pool_grid *grid, int axis, int64_t residue) {
    return residue < grid->params.kernel[axis]
               ? fc_ceil_div(grid->params.kernel[axis] - residue, grid->params.stride[axis])
               : 0;
}

/* The outputs that hold some columns, from an output on that is not behind the first column. */
static fc_span outputs_of(const spread_run *run, int64_t column, int64_t columns) {
    const fc_pool_grid *grid = &run->grid;
    const fc_span first = fc_pool_holders(grid, 2, column), last = fc_pool_holders(grid, 2, column + columns - 1);
    const int64_t at = grid->adaptive ? first.first : (column + grid->params.padding[2][0]) / grid->params.stride[2];
    const int64_t from = fc_min(fc_min(first.first, at), grid->out[2] - 1);
    return (fc_span){from, fc_max(last.first + last.count - from, 1)};
}

static void plan(spread_run *run) {
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    const fc_pool_params *params = &run->grid.params;
    const int64_t item = run->kernels->itemsize, lanes = run->kernels->lanes;
    const int in_rows = x->size[4] > 1 && x->stride[4] == 1;
    run->lanes_last = !in_rows && x->stride[1] == 1;
    run->indirect = !in_rows && !run->lanes_last && x->size[4] > 1;
    run->block = run->lanes_last ? fc_min(x->size[1], BLOCK_BYTES / item) : 1;
    run->blocks = fc_ceil_div(x->size[1], run->block);
    const int64_t stride = params->stride[2], most = run->grid.adaptive ? 1 : taps_of(&run->grid, 2, 0);
    run->front = run->grid.adaptive ? 0 : fc_round_up((most - 1) * run->block, lanes);
    const int64_t behind = (x->size[4] - 1 + params->padding[2][0]) / stride + 1 - g->size[4];
    const int64_t fit_panel = fc_max(PANEL_BYTES / item / run->block, 4 * lanes);
    run->columns = fc_min(fc_round_up(fit_panel, fc_min(stride, x->size[4])), x->size[4]);
    run->panels = fc_ceil_div(x->size[4], run->columns);
    run->outputs = 0;
    for (int64_t w = 0; w < x->size[4]; w += run->columns)
        run->outputs = fc_max(run->outputs, outputs_of(run, w, fc_min(run->columns, x->size[4] - w)).count);
    run->share_pitch = fc_round_up(run->outputs * run->block, lanes);
    run->pitch = run->front + fc_round_up((run->outputs + fc_max(behind, 0)) * run->block, lanes) + 3 * lanes;
    run->repeats = !run->grid.adaptive && params->stride[1] > 1 && params->kernel[1] % params->stride[1] == 0;
    const int64_t step = run->grid.adaptive ? 1 : params->stride[1];
    const int64_t fit = fc_max(BAND_BYTES / item / run->pitch, 1) * (run->repeats ? step : 1);
    run->rows = fc_min(fc_round_up(fc_min(fit, MOST_ROWS), step), x->size[3]);
    run->bands = fc_ceil_div(x->size[3], run->rows);
    run->pieces = x->size[0] * run->blocks * x->size[2] * run->panels * run->bands;
    run->together = fc_max(TASK_ELEMENTS / (run->rows * run->columns * run->block), 1);
    run->even = fc_pool_even(&run->grid, 0) && fc_pool_even(&run->grid, 1) && fc_pool_even(&run->grid, 2);
    run->divisor =
        fc_pool_divisor(&run->grid, 0, 0) * fc_pool_divisor(&run->grid, 1, 0) * fc_pool_divisor(&run->grid, 2, 0);
    run->shares =
        run->grid.adaptive ? g->size[3] : fc_min(g->size[3], (run->rows - 1) / step + 2 + taps_of(&run->grid, 1, 0));
}

/* The most outputs along an axis that hold one position. */
static int64_t most_holders(const fc_pool_grid *grid, int axis) {
    return grid->adaptive ? grid->out[axis] : fc_min(grid->out[axis], taps_of(grid, axis, 0));
}

static void lay_out(spread_run *run, fc_arena *arena, int threads) {
    const size_t item = (size_t)run->kernels->itemsize;
    const fc_tensor *x = run->grad_input;
    const int64_t stride = run->grid.params.stride[2], depths = most_holders(&run->grid, 0);
    const int phased = !run->lanes_last && !run->grid.adaptive && stride > 1;
    run->spans = fc_arena_take(arena, run->grid.adaptive ? x->size[4] : 0, sizeof(fc_span));
    const int64_t row = run->panels == 1 ? run->grad_output->size[4] * run->block : 0;
    run->divisors = fc_arena_take(arena, row, item);
    run->last_divisors = fc_arena_take(arena, row, item);
    run->panel_divisors = fc_arena_take(arena, threads, sizeof(char *));
    run->share = fc_arena_take(arena, threads, sizeof(char *));
    run->lines = fc_arena_take(arena, threads, sizeof(char *));
    run->phases = fc_arena_take(arena, threads, sizeof(char *));
    run->result = fc_arena_take(arena, threads, sizeof(char *));
    run->sources = fc_arena_take(arena, phased ? fc_product(threads, stride) : 0, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *share = fc_arena_take(arena, fc_product(depths * run->shares, run->share_pitch), item);
        char *lines = fc_arena_take(arena, fc_product(run->rows, run->pitch), item);
        char *phases = fc_arena_take(
            arena, phased ? fc_product(fc_min(stride, run->grid.params.kernel[2]) + 1, run->rows * run->pitch) : 0,
            item);
        char *result = fc_arena_take(arena, run->indirect ? run->rows * run->columns : 0, item);
        char *divisors = fc_arena_take(arena, run->panels == 1 ? 0 : run->outputs * run->block, item);
        if (arena->base) {
            run->panel_divisors[t] = divisors;
            run->share[t] = share;
            run->lines[t] = lines;
            run->phases[t] = phases;
            run->result[t] = result;
        }
    }
}

typedef struct spread_piece {
    int64_t n, channel, side, depth, row, rows, column, columns;
    fc_span depths, heights, outputs; /* of grad_output */
    char *y;                          /* where the band is made */
    ptrdiff_t y_row, y_column;
} spread_piece;

static spread_piece piece_of(const spread_run *run, int64_t index, int thread) {
    const fc_tensor *x = run->grad_input;
    const ptrdiff_t item = run->kernels->itemsize;
    spread_piece p;
    p.row = index % run->bands * run->rows;
    index /= run->bands;
    p.column = index % run->panels * run->columns;
    index /= run->panels;
    p.depth = index % x->size[2];
    index /= x->size[2];
    p.channel = index % run->blocks * run->block;
    p.n = index / run->blocks;
    p.rows = fc_min(run->rows, x->size[3] - p.row);
    p.side = fc_min(run->block, x->size[1] - p.channel);
    p.depths = fc_pool_holders(&run->grid, 0, p.depth);
    p.heights = fc_pool_holders(&run->grid, 1, p.row);
    const fc_span last = fc_pool_holders(&run->grid, 1, p.row + p.rows - 1);
    p.heights.count = last.first + last.count - p.heights.first;
    p.columns = fc_min(run->columns, x->size[4] - p.column);
    p.outputs = outputs_of(run, p.column, p.columns);
    p.y_row = x->stride[3] * item;
    p.y_column = x->stride[4] * item;
    p.y = fc_plane(x, p.n, p.channel, item) + p.depth * x->stride[2] * item + p.row * p.y_row + p.column * p.y_column;
    if (run->indirect) {
        p.y = run->result[thread];
        p.y_column = item;
        p.y_row = p.columns * item;
    }
    return p;
}

typedef struct spread_source { /* rows of grad_output from the first a piece needs */
    const char *data, *end;
    ptrdiff_t depth, row;
    double divisor; /* 0: divided already */
} spread_source;

/* What some outputs of a row are divided by, for each channel side by side. */
static void fill_divisors(const spread_run *run, char *divisors, fc_span outputs, int64_t side) {
    for (int64_t o = 0; o < outputs.count; ++o)
        run->kernels->fill_row(divisors + o * side * run->kernels->itemsize,
                               fc_pool_divisor(&run->grid, 2, outputs.first + o), side);
}

/* Rows of grad_output where they lie, if they are contiguous and all are divided by the same; else copied and divided. */
static spread_source divide(const spread_run *run, const spread_piece *p, int thread) {
    const fc_kernels *kernels = run->kernels;
    const fc_tensor *g = run->grad_output;
    const ptrdiff_t item = kernels->itemsize;
    const ptrdiff_t column = g->stride[4] * item, channel = g->stride[1] * item;
    const int64_t count = p->outputs.count * p->side;
    const int lies = (column == p->side * item || g->size[4] == 1) && (p->side == 1 || channel == item);
    const char *first =
        fc_plane(g, p->n, p->channel, item) +
        (p->depths.first * g->stride[2] + p->heights.first * g->stride[3] + p->outputs.first * g->stride[4]) * item;
    if (lies && run->even)
        return (spread_source){first, NULL, g->stride[2] * item, g->stride[3] * item, run->divisor};
    const ptrdiff_t row = run->share_pitch * item;
    char *share = run->share[thread], *divisors = p->side == run->block ? run->divisors : run->last_divisors;
    if (run->panels > 1) {
        divisors = run->panel_divisors[thread];
        fill_divisors(run, divisors, p->outputs, p->side);
    }
    const spread_source source = {share, share + p->depths.count * p->heights.count * row, p->heights.count * row, row,
                                  0};
    for (int64_t d = 0; d < p->depths.count; ++d)
        for (int64_t h = 0; h < p->heights.count; ++h, share += row) {
            const char *src = first + (d * g->stride[2] + h * g->stride[3]) * item;
            if (!lies) {
                kernels->copy_matrix((fc_matrix){share, p->side * item, item},
                                     (fc_matrix){(char *)src, column, channel}, p->outputs.count, p->side);
                src = share;
            }
            kernels->divide_row(share, src, divisors,
                                fc_pool_divisor(&run->grid, 0, p->depths.first + d) *
                                    fc_pool_divisor(&run->grid, 1, p->heights.first + h),
                                count);
        }
    return source;
}

/* Adds up rows of shares into one line for each row, or for each stride of rows if they are the same. */
static int64_t add_rows(const spread_run *run, const spread_piece *p, const spread_source *source, char *lines) {
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t stride = run->grid.adaptive ? 1 : run->grid.params.stride[1];
    const int64_t before = run->grid.params.padding[1][0], residues = run->repeats ? 1 : stride;
    const int64_t groups =
        run->repeats ? (p->row + p->rows - 1 + before) / stride - (p->row + before) / stride + 1 : p->rows;
    fc_reduction r = {
        .dst_row = residues * run->pitch * item,
        .src_row = source->row,
        .runs = 1,
        .count = p->outputs.count * p->side,
        .tap = {source->depth, source->row},
        .divisor = source->divisor,
        .src_end = source->end,
        .dst_end = lines + run->rows * run->pitch * item,
    };
    r.taps[0] = p->depths.count;
    for (int64_t residue = 0; residue < residues; ++residue)
        for (int64_t i = residue; i < groups; i += r.rows * residues) {
            /* Some row of the group, and how many of those behind it have as many holders, one further each. */
            const int64_t row =
                run->repeats ? fc_max(p->row, ((p->row + before) / stride + i) * stride - before) : p->row + i;
            const fc_span rows = fc_pool_holders(&run->grid, 1, row);
            const int64_t whole = run->grid.adaptive ? -1 : taps_of(&run->grid, 1, (row + before) % stride);
            const int64_t left = fc_ceil_div(groups - i, residues);
            r.rows = p->depths.count > 0 && rows.count > 0 && rows.count == whole
                         ? fc_min(run->grid.out[1] - (rows.first + rows.count) + 1, left)
                         : 1;
            r.dst = lines + i * run->pitch * item;
            r.src = source->data + (rows.first - p->heights.first) * source->row;
            r.taps[1] = rows.count;
            if (rows.count > 0 && p->depths.count > 0)
                run->kernels->reduce_add(&r);
            else
                memset(r.dst, 0, (size_t)(r.count * item));
        }
    return groups;
}

/* A line's zeros are in place: the elements of each row of planes; each row `copies` times, if there are phases. */
static void spread_planes(const spread_run *run, const spread_piece *p, char *lines, int64_t rows, char *y,
                          ptrdiff_t y_row, int64_t copies, int thread) {
    const fc_kernels *kernels = run->kernels;
    const fc_pool_params *params = &run->grid.params;
    const ptrdiff_t item = kernels->itemsize, pitch = run->pitch * item;
    const int64_t width = p->columns, stride = params->stride[2];
    const int64_t before = params->padding[2][0] + p->column - p->outputs.first * stride;
    fc_windows windows = {
        .dst = y,
        .src = lines,
        .rows = rows,
        .dst_row = y_row,
        .src_row = pitch,
        .count = width,
        .stride = 1,
        .dilation = 1,
        .spans = run->grid.adaptive ? run->spans + p->column : NULL,
    };
    if (run->grid.adaptive || stride == 1) {
        windows.kernel = params->kernel[2];
        windows.src += (run->grid.adaptive ? -p->outputs.first : before - params->kernel[2] + 1) * item;
        kernels->windows_add(&windows);
        return;
    }
    const char **sources = run->sources + thread * stride;
    char *phase = run->phases[thread];
    const ptrdiff_t phase_row = run->pitch * item;
    const int64_t kinds = fc_min(stride, params->kernel[2]);
    char *zeros = phase + kinds * rows * phase_row;
    if (kinds < stride)
        memset(zeros, 0, (size_t)(rows * phase_row));
    const char *made = NULL; /* sums of as many taps as before, from the same place */
    int64_t made_taps = 0, made_from = 0;
    for (int64_t i = 0; i < stride; ++i) { /* in the order of the row */
        const int64_t residue = (before + i) % stride, from = (before + i) / stride,
                      taps = taps_of(&run->grid, 2, residue);
        if (taps == 0) {
            sources[i] = zeros;
        } else if (taps == 1) {
            sources[i] = lines + from * item;
        } else if (taps == made_taps) {
            sources[i] = made + (from - made_from) * item;
        } else {
            windows.dst = phase + residue * rows * phase_row;
            windows.dst_row = phase_row;
            windows.src = lines + (from - taps + 1) * item;
            windows.kernel = taps;
            windows.count = width / stride + 2;
            kernels->windows_add(&windows);
            sources[i] = made = windows.dst;
            made_taps = taps;
            made_from = from;
        }
    }
    const fc_interleave all = {y, sources, rows, y_row, phase_row, width, stride, copies, p->y_row};
    kernels->interleave(&all);
}

static void spread_channels(const spread_run *run, const spread_piece *p, char *lines, int64_t rows, char *y,
                            ptrdiff_t y_row) {
    const ptrdiff_t pixel = p->side * run->kernels->itemsize;
    const int64_t width = p->column + p->columns, stride = run->grid.adaptive ? 1 : run->grid.params.stride[2];
    fc_reduction r = {
        .runs = rows,
        .dst_run = y_row,
        .src_run = run->pitch * run->kernels->itemsize,
        .dst_row = stride * p->y_column,
        .src_row = pixel,
        .count = p->side,
        .tap = {0, pixel},
    };
    r.taps[0] = 1;
    for (int64_t i = 0; i < fc_min(stride, p->columns); ++i)
        for (int64_t w = p->column + i; w < width; w += r.rows * stride) {
            const fc_span held = fc_pool_holders(&run->grid, 2, w);
            const int64_t whole =
                run->grid.adaptive ? -1 : taps_of(&run->grid, 2, (w + run->grid.params.padding[2][0]) % stride);
            r.rows = held.count > 0 && held.count == whole
                         ? fc_min(run->grid.out[2] - (held.first + held.count) + 1, fc_ceil_div(width - w, stride))
                         : 1;
            r.dst = y + (w - p->column) * p->y_column;
            r.src = lines + (held.first - p->outputs.first) * pixel;
            r.taps[1] = held.count;
            if (held.count > 0)
                run->kernels->reduce_add(&r);
            for (int64_t row = 0; held.count == 0 && row < rows; ++row)
                memset(r.dst + row * y_row, 0, (size_t)pixel);
        }
}

static void spread_piece_of(const spread_run *run, int64_t index, int thread) {
    const fc_kernels *kernels = run->kernels;
    const ptrdiff_t item = kernels->itemsize;
    const spread_piece p = piece_of(run, index, thread);
    const fc_tensor *x = run->grad_input;
    char *lines = run->lines[thread] + run->front * item;
    const spread_source source = divide(run, &p, thread);
    const int64_t groups = add_rows(run, &p, &source, lines);
    if (!run->lanes_last)
        kernels->fill_ends(lines, run->pitch * item, groups, 0.0, run->front, p.outputs.count,
                           run->pitch - run->front - p.outputs.count - kernels->lanes);
    const int64_t stride = run->repeats ? run->grid.params.stride[1] : 1, before = run->grid.params.padding[1][0];
    const int64_t first = (p.row + before) / stride, behind = p.row + p.rows;
    const int phased = !run->lanes_last && !run->grid.adaptive && run->grid.params.stride[2] > 1;
    for (int64_t group = 0, some; group < groups; group += some) {
        /* The first and the last group may be cut off; the others begin a stride apart. */
        const int64_t start = (first + group) * stride - before;
        const int64_t row = run->repeats ? fc_max(p.row, start) : p.row;
        const int64_t whole = run->repeats ? (behind - start) / stride : groups;
        some = row > start && run->repeats ? 1 : fc_max(whole, 1);
        const int64_t copies = run->repeats ? fc_min(start + stride, behind) - row : 1;
        char *y = p.y + (row - p.row) * p.y_row, *line = lines + group * run->pitch * item;
        if (run->lanes_last)
            spread_channels(run, &p, line, some, y, stride * p.y_row);
        else
            spread_planes(run, &p, line, some, y, stride * p.y_row, copies, thread);
        for (int64_t g = 0; !phased && g < some; ++g, y += stride * p.y_row)
            for (int64_t c = 1; c < copies; ++c)
                kernels->copy_matrix((fc_matrix){y + c * p.y_row, p.y_column, item}, (fc_matrix){y, p.y_column, item},
                                     run->lanes_last ? p.columns : 1, run->lanes_last ? p.side : p.columns);
    }
    if (run->indirect)
        kernels->copy_matrix(
            (fc_matrix){fc_plane(x, p.n, p.channel, item) +
                            (p.depth * x->stride[2] + p.row * x->stride[3] + p.column * x->stride[4]) * item,
                        x->stride[3] * item, x->stride[4] * item},
            (fc_matrix){p.y, p.y_row, p.y_column}, p.rows, p.columns);
}

static void spread_task(void *context, int64_t task, int thread) {
    const spread_run *run = context;
    for (int64_t i = task * run->together; i < fc_min((task + 1) * run->together, run->pieces); ++i)
        spread_piece_of(run, i, thread);
}

/* ---- a single window ---- */

enum { PLANES_A_TASK = 64 };

static void fill_task(void *context, int64_t task, int thread) {
    (void)thread;
    const spread_run *run = context;
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t n = task / run->blocks, c = task % run->blocks * PLANES_A_TASK;
    const double divisor =
        fc_pool_divisor(&run->grid, 0, 0) * fc_pool_divisor(&run->grid, 1, 0) * fc_pool_divisor(&run->grid, 2, 0);
    run->kernels->fill_planes(fc_plane(x, n, c, item), x->stride[1] * item, fc_min(x->size[1] - c, PLANES_A_TASK),
                              x->size[2] * x->size[3] * x->size[4], fc_plane(g, n, c, item), g->stride[1] * item,
                              divisor);
}

/* Whether there is one window that holds everything, and planes lie contiguous. */
static int is_whole(const spread_run *run) {
    const fc_tensor *x = run->grad_input;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        if (run->grid.out[axis] != 1 || fc_pool_rows_of(&run->grid, axis, 0).count != run->grid.in[axis])
            return 0;
    fc_tensor merged = *x, *list[] = {&merged};
    fc_merge_spatial(list, 1);
    return merged.size[2] == 1 && merged.size[3] == 1 && (merged.size[4] == 1 || merged.stride[4] == 1);
}

/* ---- windows of 2 by 2, apart ---- */

static int is_pairs(const spread_run *run) {
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    const fc_pool_params *params = &run->grid.params;
    int pairs =
        !run->grid.adaptive && x->size[2] == 1 && params->kernel[0] == 1 && x->stride[4] == 1 && g->stride[4] == 1;
    for (int axis = 1; axis < FC_SPATIAL; ++axis)
        pairs = pairs && params->kernel[axis] == 2 && params->stride[axis] == 2 && params->padding[axis][0] == 0 &&
                2 * run->grid.out[axis] <= run->grid.in[axis];
    return pairs;
}

static void pairs_task(void *context, int64_t task, int thread) {
    (void)thread;
    const spread_run *run = context;
    const fc_tensor *x = run->grad_input, *g = run->grad_output;
    const ptrdiff_t item = run->kernels->itemsize;
    const int64_t n = task / run->blocks, c = task % run->blocks * run->block;
    const fc_spread_pairs pairs = {
        .dst = fc_plane(x, n, c, item),
        .src = fc_plane(g, n, c, item),
        .planes = fc_min(run->block, x->size[1] - c),
        .dst_plane = x->stride[1] * item,
        .src_plane = g->stride[1] * item,
        .dst_row = x->stride[3] * item,
        .src_row = g->stride[3] * item,
        .rows = g->size[3],
        .columns = g->size[4],
        .dst_rows = x->size[3],
        .dst_columns = x->size[4],
        .divisor = run->divisor,
    };
    run->kernels->spread_pairs(&pairs);
}

fc_status fc_pool_spread(const fc_kernels *kernels, const fc_tensor *grad_output, const fc_pool_grid *grid,
                         const fc_tensor *grad_input, const fc_options *options) {
    spread_run run = {.kernels = kernels, .grad_output = grad_output, .grad_input = grad_input, .grid = *grid};
    const int threads = fc_elementwise_threads(grad_input, options);
    if (is_whole(&run)) {
        run.blocks = fc_ceil_div(grad_input->size[1], PLANES_A_TASK);
        fc_parallel(grad_input->size[0] * run.blocks, threads, fill_task, &run);
        return FC_OK;
    }
    plan(&run);
    if (run.even && is_pairs(&run)) {
        run.block = fc_max(TASK_ELEMENTS / (grad_input->size[3] * grad_input->size[4]), 1);
        run.blocks = fc_ceil_div(grad_input->size[1], run.block);
        fc_parallel(grad_input->size[0] * run.blocks, threads, pairs_task, &run);
        return FC_OK;
    }
    fc_arena arena = {0};
    lay_out(&run, &arena, threads);
    arena = (fc_arena){fc_scratch_take(arena.used), 0};
    if (!arena.base)
        return FC_OUT_OF_MEMORY;
    lay_out(&run, &arena, threads);
    for (int64_t w = 0; grid->adaptive && w < grad_input->size[4]; ++w)
        run.spans[w] = fc_pool_holders(grid, 2, w);
    if (run.panels == 1) {
        const fc_span row = {0, grad_output->size[4]};
        fill_divisors(&run, run.divisors, row, run.block);
        fill_divisors(&run, run.last_divisors, row, grad_input->size[1] % run.block);
    }
    fc_parallel(fc_ceil_div(run.pieces, run.together), threads, spread_task, &run);
    fc_scratch_give(arena.base);
    return FC_OK;
}
