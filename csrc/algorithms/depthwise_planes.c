/* Depthwise convolution of planes: how tiles of rows are fed.
 *
 * Where a tile reads no padding it reads the image in place. At the borders it reads a copy with zeros around, made of as
 * many rows as L1 holds: of the first and the last vectors of each row, or of all of it where rows are short, do not lie
 * contiguous, or lie at a pitch that puts all of them into the same cache sets. Measured on 3 x 3: copying everything
 * costs a third more at 112 x 112.
 */
#include "algorithms/depthwise.h"

enum {
    PANEL_BYTES = 1024,    /* a row of a padded copy, */
    COPY_BYTES = 12 << 10, /* and all of it: L1 holds it and the outputs */
    LEAST_INSIDE = 3       /* vectors of a row that make reading in place worthwhile */
};

static int64_t block_start(const fc_depthwise_run *run, int64_t block) {
    return fc_min(block * run->p->kernels->lanes, fc_max(run->p->out_size[2] - run->p->kernels->lanes, 0));
}

/* Columns that `count` neighbouring outputs read; a vector at stride 2 reads one more. */
static int64_t columns_read(const fc_problem *p, int64_t count) { return count * p->stride[2] + fc_extent(p, 2) - 1; }

static fc_depthwise_piece piece_of(const fc_depthwise_run *run, int64_t begin, int64_t end) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    fc_depthwise_piece part = {.begin = begin, .end = end, .start = block_start(run, begin)};
    const int64_t column = part.start * p->stride[2] + p->offset[2];
    part.width = columns_read(p, block_start(run, end - 1) + p->kernels->lanes - part.start);
    part.first = fc_min(fc_max(column, 0), p->in_size[2]);
    part.count = fc_max(fc_min(column + part.width, p->in_size[2]) - part.first, 0);
    part.before = part.count > 0 ? part.first - column : part.width;
    part.pitch = fc_round_up((part.width + p->kernels->lanes) * item, 64);
    part.pitch += part.pitch % 512 == 0 ? 64 : 0;
    const int64_t most = (COPY_BYTES / part.pitch - fc_extent(p, 1)) / p->stride[1] + 1;
    part.rows = fc_min(fc_max(most / run->tile_rows, 1) * run->tile_rows, p->out_size[1]);
    return part;
}

static int64_t copy_bytes(const fc_problem *p, const fc_depthwise_piece *part) {
    return ((part->rows - 1) * p->stride[1] + fc_extent(p, 1)) * part->pitch;
}

void fc_depthwise_plan_planes(fc_depthwise_run *run) {
    const fc_problem *p = run->p;
    const ptrdiff_t item = p->kernels->itemsize;
    const int64_t lanes = p->kernels->lanes, step = p->stride[2];
    run->tile_rows = step == 2 ? FC_DEPTHWISE_EVEN_ROWS : FC_DEPTHWISE_ROWS;
    run->whole = fc_max(p->out_size[2] / lanes, 1);
    run->blocks = fc_ceil_div(p->out_size[2], lanes);
    run->back = p->out_size[2] > lanes ? run->blocks * lanes - p->out_size[2] : 0;
    run->panel = fc_min(PANEL_BYTES / (lanes * item * step), run->blocks);
    run->padded = !fc_lies_inside(p, 1) || !fc_lies_inside(p, 2);
    int64_t begin = 0, end = run->blocks;
    while (begin < end && block_start(run, begin) * step + p->offset[2] < 0)
        ++begin;
    while (begin < end && block_start(run, end - 1) * step + p->offset[2] + columns_read(p, lanes) > p->in_size[2])
        --end;
    run->panels = piece_of(run, 0, run->panel);
    run->room_bytes = copy_bytes(p, &run->panels);
    if (run->blocks > run->panel) { /* the last panel may be narrower, and have so many more rows that it is larger */
        const fc_depthwise_piece last = piece_of(run, (run->blocks - 1) / run->panel * run->panel, run->blocks);
        run->room_bytes = fc_max(run->room_bytes, copy_bytes(p, &last));
    }
    if (p->x.axis[2] == item && end - begin >= LEAST_INSIDE && p->x.axis[1] % 2048 != 0) {
        run->inside = piece_of(run, begin, end);
        const int64_t top = fc_ceil_div(fc_max(-p->offset[1], 0), p->stride[1]);
        const int64_t bottom = (p->in_size[1] - p->offset[1] - fc_extent(p, 1)) / p->stride[1] + 1;
        run->top = fc_min(fc_round_up(top, run->tile_rows), p->out_size[1]);
        run->bottom = bottom >= p->out_size[1] ? p->out_size[1] : fc_max(bottom, 0) / run->tile_rows * run->tile_rows;
        if (begin > 0)
            run->left = piece_of(run, 0, begin);
        if (end < run->blocks)
            run->right = piece_of(run, end, run->blocks);
        run->room_bytes = fc_max(run->room_bytes, fc_max(copy_bytes(p, &run->left), copy_bytes(p, &run->right)));
    }
    const int64_t most = run->tile_rows == FC_DEPTHWISE_ROWS ? FC_DEPTHWISE_TAPS : FC_DEPTHWISE_EVEN_TAPS;
    const int shared =
        p->stride[1] == step * p->dilation[1] || (run->way == FLAT && p->stride[1] == 2 * p->dilation[1]);
    run->kernel = (fc_depthwise){
        .lanes = fc_min(lanes, p->out_size[2]),
        .step = step,
        .taps = p->kernel[1],
        .chunk = shared ? fc_channel_block(p->kernel[1], 1, most) : 1,
        .columns = p->kernel[2],
        .depths = 1,
        .x_block = lanes * step * item,
        .x_column = p->dilation[2] * item,
        .w_tap = item,
        .w_column = p->kernel[1] * item,
        .y_row = p->y.axis[1],
        .y_block = lanes * p->y.axis[2],
        .y_lane = p->y.axis[2],
        .activation = p->finish.activation,
        .slope = p->finish.slope,
    };
    if (run->way == FLAT) {
        run->kernel.w_tap = run->line;
        run->kernel.w_column = p->kernel[1] * run->line;
        run->kernel.w_block = lanes % run->channels * item;
        run->kernel.w_period = run->channels * item;
    }
}

/* Rows of a piece; x: what its first output reads first, rows `pitch` bytes apart. */
static void run_piece(const fc_depthwise_run *run, fc_depthwise *kernel, const fc_depthwise_piece *part, int64_t rows,
                      const char *x, ptrdiff_t pitch, char *y) {
    const fc_problem *p = run->p;
    kernel->rows = rows;
    kernel->x_row = p->stride[1] * pitch;
    kernel->x_tap = p->dilation[1] * pitch;
    kernel->x = x;
    kernel->y = y + part->start * p->y.axis[2];
    kernel->blocks = part->end - part->begin;
    if (run->way == FLAT) {
        const ptrdiff_t item = p->kernels->itemsize;
        const int64_t last = block_start(run, part->end - 1);
        kernel->w = run->weights + part->start % run->channels * item;
        kernel->w_last = (last % run->channels - part->start % run->channels) * item;
        if (p->finish.bias)
            kernel->bias = run->bias + part->start % run->channels * item;
    }
    /* A last vector that is not whole overlaps its neighbour. */
    const int64_t back = part->end > run->whole ? run->back : 0;
    kernel->x_back = back * p->stride[2] * p->kernels->itemsize;
    kernel->y_back = back * p->y.axis[2];
    /* Of a single one, the start has been put back already. */
    if (kernel->blocks == 1)
        kernel->x_back = kernel->y_back = 0;
    if (run->way == FLAT)
        p->kernels->depthwise_lanes(kernel);
    else
        p->kernels->depthwise_planes(kernel);
}

/* Rows [begin, end) of a piece from padded copies. */
static void run_copied(const fc_depthwise_run *run, fc_depthwise *kernel, const fc_depthwise_piece *part,
                       const char *plane, char *y, int64_t begin, int64_t end, char *room) {
    const fc_problem *p = run->p;
    for (; begin < end; begin += part->rows) {
        const int64_t count = fc_min(part->rows, end - begin);
        const int64_t row = begin * p->stride[1] + p->offset[1], rows = (count - 1) * p->stride[1] + fc_extent(p, 1);
        const int64_t top = fc_min(fc_max(-row, 0), rows), bottom = fc_max(fc_min(p->in_size[1] - row, rows), top);
        const fc_padded_copy copy = {
            .dst = room,
            .src = plane + (row + top) * p->x.axis[1] + part->first * p->x.axis[2],
            .dst_row = part->pitch,
            .src_row = p->x.axis[1],
            .src_column = p->x.axis[2],
            .top = top,
            .rows = bottom - top,
            .bottom = rows - bottom,
            .before = part->before,
            .count = part->count,
            .width = part->width,
        };
        p->kernels->copy_padded(&copy);
        run_piece(run, kernel, part, count, room, part->pitch, y + begin * p->y.axis[1]);
    }
}

/* Elements that copies of a piece hold: neighbours among them share rows. */
static double copied_elements(const fc_depthwise_run *run, const fc_depthwise_piece *part, int64_t rows) {
    const fc_problem *p = run->p;
    const double copies = (double)fc_ceil_div(rows, fc_min(part->rows, run->band));
    const double more = (double)(fc_extent(p, 1) - p->stride[1]);
    return ((double)rows * (double)p->stride[1] + copies * more) * (double)part->width;
}

double fc_depthwise_copied(const fc_depthwise_run *run) {
    const int64_t rows = run->inside.end > 0 ? fc_max(run->bottom - run->top, 0) : 0;
    const double panels = (double)run->blocks / (double)run->panel;
    double elements = panels * copied_elements(run, &run->panels, run->p->out_size[1] - rows);
    if (rows > 0 && run->left.end > 0)
        elements += copied_elements(run, &run->left, rows);
    if (rows > 0 && run->right.end > 0)
        elements += copied_elements(run, &run->right, rows);
    return elements;
}

/* The same of all columns. */
static void run_panels(const fc_depthwise_run *run, fc_depthwise *kernel, const char *plane, char *y, int64_t begin,
                       int64_t end, char *room) {
    if (begin < end)
        run_copied(run, kernel, &run->panels, plane, y, begin, end, room);
    for (int64_t block = run->panel; block < run->blocks && begin < end; block += run->panel) {
        const fc_depthwise_piece part = piece_of(run, block, fc_min(block + run->panel, run->blocks));
        run_copied(run, kernel, &part, plane, y, begin, end, room);
    }
}

void fc_depthwise_plane_rows(const fc_depthwise_run *run, fc_depthwise *kernel, const char *plane, char *y,
                             int64_t begin, int64_t end, char *room) {
    const fc_problem *p = run->p;
    const int64_t top = fc_max(fc_min(run->top, end), begin), bottom = fc_max(fc_min(run->bottom, end), top);
    if (run->inside.end == 0 || top >= bottom) {
        run_panels(run, kernel, plane, y, begin, end, room);
        return;
    }
    run_panels(run, kernel, plane, y, begin, top, room);
    run_piece(run, kernel, &run->inside, bottom - top,
              plane + (top * p->stride[1] + p->offset[1]) * p->x.axis[1] + run->inside.first * p->x.axis[2],
              p->x.axis[1], y + top * p->y.axis[1]);
    if (run->left.end > 0)
        run_copied(run, kernel, &run->left, plane, y, top, bottom, room);
    if (run->right.end > 0)
        run_copied(run, kernel, &run->right, plane, y, top, bottom, room);
    run_panels(run, kernel, plane, y, bottom, end, room);
}
