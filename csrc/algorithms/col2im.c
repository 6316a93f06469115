/* The transpose of a convolution: weights times grad_output, a product without patches, whose rows (a channel and a tap)
 * are then added into the image where the tap stood. All taps of a channel pass a panel of pixels together, so that tiles
 * are full however few the channels, and strides need no phases: nothing is multiplied by the zeros of a stretched
 * grad_output.
 *
 * A task is one image and some channels; it walks over bands of grad_output, whose columns stay in L2 until they are
 * added. After Chellapilla, Puri and Simard 2006 (the columns); Dumoulin and Visin 2016 (the transpose).
 * Accumulator: the dtype itself, over output channels as in pointwise.c, then over taps in the order of their bands.
 */
#include "algorithms/col2im.h"

#include "algorithms/cost.h"
#include "algorithms/pointwise.h"

enum { ROWS = 256, COLUMN_BYTES = 512 << 10, MOST_COLUMN_BYTES = 2 << 20, MOST_TAPS = 4096, COLUMNS_AT_ONCE = 32 };
enum { MANY_TERMS = 256, MANY_ROWS = 1024 }; /* so many that columns may come from L3, */

typedef struct col2im_run {
    const fc_problem *whole;
    int64_t taps, block, blocks; /* channels of a task */
    int turned;                  /* taps lie last first in the weights */
    int64_t rows, pixels;        /* of grad_output, and of each of these, whose columns are made at once */
    ptrdiff_t pitch;             /* bytes between rows of columns */
    char **columns, **scratch;   /* a thread each */
} col2im_run;

/* Channels and taps must be one axis of the weights, forwards, or with all taps turned. */
static int weights_are_dense(const fc_problem *whole) {
    ptrdiff_t dense = whole->kernels->itemsize;
    int forwards = 0, backwards = 0;
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        if (whole->kernel[axis] == 1)
            continue;
        if (fc_magnitude(whole->w.axis[axis]) != dense)
            return 0;
        dense *= whole->kernel[axis];
        forwards |= whole->w.axis[axis] > 0;
        backwards |= whole->w.axis[axis] < 0;
    }
    return !(forwards && backwards) && (whole->in_channels == 1 || whole->w.in == dense);
}

/* Whether they are turned. */
static int is_turned(const fc_problem *whole) {
    int turned = 0;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        turned |= whole->kernel[axis] > 1 && whole->w.axis[axis] < 0;
    return turned;
}

static void plan(col2im_run *run, const fc_problem *whole, int threads) {
    const int64_t item = whole->kernels->itemsize, width = whole->out_size[2];
    run->whole = whole;
    run->taps = fc_taps(whole);
    run->turned = is_turned(whole);
    const int many = whole->out_channels >= MANY_TERMS;
    run->block = fc_channel_block(whole->in_channels, run->taps, many ? MANY_ROWS : ROWS);
    /* Even bands; of whole panels where a row is too long for one. */
    const int64_t fit = fc_max(
        (many ? MOST_COLUMN_BYTES - COLUMN_BYTES / 4 : COLUMN_BYTES) / item / fc_product(run->block, run->taps), 1);
    const int64_t panel = (int64_t)whole->kernels->lanes * whole->kernels->tile_vectors;
    const int64_t parts = fc_ceil_div(width, fit), height = whole->out_size[1];
    run->pixels = parts == 1 ? width : fc_min(fc_round_up(fc_ceil_div(width, parts), panel), width);
    run->rows = fc_min(fc_max(fit / run->pixels, 1), height);
    run->rows = fc_ceil_div(height, fc_ceil_div(height, run->rows));
    run->pitch = fc_round_up(run->rows * run->pixels * item, 64);
    if (run->pitch % 1024 == 0)
        run->pitch += 64;
    const int64_t images = whole->batch * whole->groups;
    if (threads > 1 && images * fc_ceil_div(whole->in_channels, run->block) < 2 * threads)
        run->block = fc_channel_block(whole->in_channels, 1, fc_ceil_div(whole->in_channels * images, 2 * threads));
    run->blocks = fc_ceil_div(whole->in_channels, run->block);
}

int fc_col2im_supports(const fc_problem *whole) {
    col2im_run run;
    if (!weights_are_dense(whole) || fc_taps(whole) > MOST_TAPS)
        return 0;
    plan(&run, whole, 1);
    return fc_product(fc_product(run.block, run.taps), run.pitch) <= MOST_COLUMN_BYTES;
}

/* A band against some channels: their columns. */
static fc_problem product_of(const col2im_run *run, int64_t n, int64_t group, int64_t channel, const fc_pixels *b,
                             char *columns) {
    const fc_problem *whole = run->whole;
    const ptrdiff_t item = whole->kernels->itemsize;
    fc_problem p = {.kernels = whole->kernels, .batch = 1, .groups = 1, .in_channels = whole->out_channels};
    p.out_channels = fc_min(run->block, whole->in_channels - channel) * run->taps;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        p.in_size[axis] = p.out_size[axis] = p.kernel[axis] = p.stride[axis] = p.dilation[axis] = 1;
    p.in_size[1] = p.out_size[1] = b->rows;
    p.in_size[2] = p.out_size[2] = b->pixels;
    p.x = whole->y;
    p.x.data += n * whole->y.batch + group * whole->y.group + b->depth * whole->y.axis[0] + b->row * whole->y.axis[1] +
                b->pixel * whole->y.axis[2];
    p.y.data = columns;
    p.y.channel = run->pitch;
    p.y.axis[1] = b->pixels * item;
    p.y.axis[2] = item;
    p.w.data = whole->w.data + group * whole->w.group + channel * whole->w.in;
    if (run->turned) /* to the tap that lies first */
        p.w.data -= (run->taps - 1) * item;
    p.w.in = whole->w.out;
    p.w.out = item;
    return p;
}

/* What the product of a band needs: those at the ends may have more pixels that fill no vector than the others. */
static int64_t product_bytes(const col2im_run *run) {
    const int64_t height = run->whole->out_size[1], width = run->whole->out_size[2];
    const int64_t rows[2] = {run->rows, height - (fc_ceil_div(height, run->rows) - 1) * run->rows};
    const int64_t pixels[2] = {run->pixels, width - (fc_ceil_div(width, run->pixels) - 1) * run->pixels};
    size_t most = 0;
    for (int i = 0; i < 4; ++i) {
        const fc_pixels band = {0, 0, rows[i / 2], 0, pixels[i % 2]};
        const fc_problem product = product_of(run, 0, 0, 0, &band, NULL);
        const size_t bytes = fc_pointwise_scratch_bytes(&product, 1);
        most = bytes > most ? bytes : most;
    }
    return most > INT64_MAX ? INT64_MAX : (int64_t)most;
}

static void lay_out(col2im_run *run, fc_arena *arena, const fc_problem *whole, int threads) {
    plan(run, whole, threads);
    const int64_t bytes = product_bytes(run);
    run->columns = fc_arena_take(arena, threads, sizeof(char *));
    run->scratch = fc_arena_take(arena, threads, sizeof(char *));
    for (int t = 0; t < threads; ++t) {
        char *columns = fc_arena_take(arena, run->block * run->taps, (size_t)run->pitch);
        char *scratch = fc_arena_take(arena, bytes, 1);
        if (!arena->base)
            continue;
        run->columns[t] = columns;
        run->scratch[t] = scratch;
    }
}

size_t fc_col2im_scratch_bytes(const fc_problem *whole, int threads) {
    col2im_run run;
    fc_arena arena = {0};
    lay_out(&run, &arena, whole, threads);
    return arena.used;
}

/* Positions of an axis, `count` from `first` on, that a tap adds where there is an image. */
static fc_range added(const fc_problem *whole, int axis, int64_t tap, int64_t first, int64_t count) {
    const fc_range valid = fc_valid_positions(whole, axis, tap);
    const int64_t begin = fc_max(first, valid.begin);
    return (fc_range){begin, fc_max(fc_min(first + count, valid.end), begin)};
}

/* Bytes from one position to the next; one alone needs none, which might not fit. */
static ptrdiff_t step_of(const fc_problem *whole, int axis, fc_range positions) {
    return positions.end - positions.begin == 1 ? 0 : whole->stride[axis] * whole->x.axis[axis];
}

/* Rows of the image that the taps of one row of the kernel add to. */
typedef struct tap_rows {
    char *first; /* the first of them */
    ptrdiff_t step;
    int64_t count;
} tap_rows;

/* Some pixels of one tap; offset: the element that it adds pixel 0 to; columns: of the first row. */
static void add_part(const fc_problem *whole, const tap_rows *rows, int64_t offset, const char *columns,
                     const fc_pixels *b, fc_range along) {
    const ptrdiff_t item = whole->kernels->itemsize;
    if (along.begin < along.end)
        whole->kernels->add_matrix(
            (fc_matrix){rows->first + (along.begin * whole->stride[2] + offset) * whole->x.axis[2], rows->step,
                        step_of(whole, 2, along)},
            (fc_matrix){(char *)columns + (along.begin - b->pixel) * item, b->pixels * item, item}, rows->count,
            along.end - along.begin);
}

/* Taps that fill the gaps of each other, two, or three of which the last adds to the same elements as the first, one
 * pixel on; and the pixels that not all of them add. columns: of the first of them, `next` apart; along: their pixels. */
static void add_turns(const fc_problem *whole, const tap_rows *rows, int64_t offset, const char *columns,
                      ptrdiff_t next, const fc_pixels *b, const fc_range *along, int taps) {
    const ptrdiff_t item = whole->kernels->itemsize, pitch = b->pixels * item;
    fc_range all = along[0]; /* pixels of the first one at which all of them add */
    for (int t = 1; t < taps; ++t)
        all = (fc_range){fc_max(all.begin, along[t].begin + t / 2), fc_min(all.end, along[t].end + t / 2)};
    if (all.begin >= all.end) {
        for (int t = 0; t < taps; ++t)
            add_part(whole, rows, offset + t, columns + t * next, b, along[t]);
        return;
    }
    for (int t = 0; t < taps; ++t)
        add_part(whole, rows, offset + t, columns + t * next, b, (fc_range){along[t].begin, all.begin - t / 2});
    const char *even = columns + (all.begin - b->pixel) * item, *odd = even + next;
    whole->kernels->add_turns(rows->first + (2 * all.begin + offset) * item, rows->step, even, odd,
                              taps == 3 ? odd + next - item : NULL, pitch, rows->count, all.end - all.begin);
    for (int t = 0; t < taps; ++t)
        add_part(whole, rows, offset + t, columns + t * next, b, (fc_range){all.end - t / 2, along[t].end});
}

static int adds_turns(const fc_problem *whole) {
    return whole->stride[2] == 2 && whole->dilation[2] == 1 && whole->x.axis[2] == whole->kernels->itemsize;
}

/* Taps of one row of the kernel; columns: of their first row of pixels. */
static void add_line_of_taps(const fc_problem *whole, const tap_rows *rows, const char *columns, ptrdiff_t next,
                             const fc_pixels *b, const fc_range *along) {
    const int turns = adds_turns(whole);
    for (int64_t w = 0, taps; w < whole->kernel[2]; w += taps, columns += taps * next) {
        const int64_t offset = w * whole->dilation[2] + whole->offset[2], left = whole->kernel[2] - w;
        taps = turns ? left == 3 ? 3 : fc_min(left, 2) : 1;
        if (taps > 1)
            add_turns(whole, rows, offset, columns, next, b, along + w, (int)taps);
        else
            add_part(whole, rows, offset, columns, b, along[w]);
    }
}

void fc_add_columns(const fc_problem *whole, char *plane, const char *columns, ptrdiff_t next, const fc_pixels *b) {
    const int64_t *kernel = whole->kernel;
    for (int64_t first = 0; first < kernel[2]; first += COLUMNS_AT_ONCE) {
        fc_range along[COLUMNS_AT_ONCE];
        fc_problem some = *whole;
        some.kernel[2] = fc_min(COLUMNS_AT_ONCE, kernel[2] - first);
        some.offset[2] += first * whole->dilation[2];
        for (int64_t w = 0; w < some.kernel[2]; ++w)
            along[w] = added(whole, 2, first + w, b->pixel, b->pixels);
        for (int64_t h = 0; h < kernel[1]; ++h) {
            const fc_range down = added(whole, 1, h, b->row, b->rows);
            if (down.begin >= down.end)
                continue;
            const int64_t row = down.begin * whole->stride[1] + h * whole->dilation[1] + whole->offset[1];
            const ptrdiff_t skipped = (down.begin - b->row) * b->pixels * whole->kernels->itemsize;
            for (int64_t z = 0; z < kernel[0]; ++z) {
                const int64_t d = b->depth * whole->stride[0] + z * whole->dilation[0] + whole->offset[0];
                if (d < 0 || d >= whole->in_size[0])
                    continue;
                const tap_rows rows = {plane + d * whole->x.axis[0] + row * whole->x.axis[1], step_of(whole, 1, down),
                                       down.end - down.begin};
                add_line_of_taps(&some, &rows, columns + ((z * kernel[1] + h) * kernel[2] + first) * next + skipped,
                                 next, b, along);
            }
        }
    }
}

static void task_of(void *context, int64_t task, int thread) {
    const col2im_run *run = context;
    const fc_problem *whole = run->whole;
    const int64_t channel = task % run->blocks * run->block, group = task / run->blocks % whole->groups;
    const int64_t n = task / run->blocks / whole->groups;
    const int64_t channels = fc_min(run->block, whole->in_channels - channel);
    const int64_t bands = fc_ceil_div(whole->out_size[1], run->rows);
    const int64_t parts = fc_ceil_div(whole->out_size[2], run->pixels);
    char *planes = whole->x.data + n * whole->x.batch + group * whole->x.group + channel * whole->x.channel;
    const int64_t *size = whole->in_size, first = group * whole->in_channels + channel;
    if (fc_channels_last(whole, &whole->x))
        for (int64_t i = 0; i < size[0] * size[1]; ++i)
            fc_fill_channels(whole->kernels, planes + i / size[1] * whole->x.axis[0] + i % size[1] * whole->x.axis[1],
                             whole->x.axis[2], size[2], channels, fc_bias_of(&whole->finish, first),
                             whole->finish.bias_stride);
    else
        for (int64_t c = 0; c < channels; ++c)
            fc_fill_plane(whole->kernels, planes + c * whole->x.channel, size, whole->x.axis,
                          fc_bias_of(&whole->finish, first + c));
    for (int64_t depth = 0; depth < whole->out_size[0]; ++depth)
        for (int64_t part = 0; part < bands * parts; ++part) {
            const int64_t row = part / parts * run->rows, pixel = part % parts * run->pixels;
            const fc_pixels b = {depth, row, fc_min(run->rows, whole->out_size[1] - row), pixel,
                                 fc_min(run->pixels, whole->out_size[2] - pixel)};
            /* Rows of columns are in the order of the weights; taps in that of the problem. */
            const ptrdiff_t next = run->turned ? -run->pitch : run->pitch;
            const char *columns = run->columns[thread] + (next < 0 ? (run->taps - 1) * run->pitch : 0);
            const fc_problem product = product_of(run, n, group, channel, &b, run->columns[thread]);
            fc_pointwise_forward(&product, run->scratch[thread], 1);
            for (int64_t c = 0; c < channels; ++c, columns += run->taps * run->pitch)
                fc_add_columns(whole, planes + c * whole->x.channel, columns, next, &b);
        }
}

void fc_col2im_run(const fc_problem *whole, void *scratch, int threads) {
    col2im_run run;
    fc_arena arena = {scratch, 0};
    lay_out(&run, &arena, whole, threads);
    fc_parallel(whole->batch * whole->groups * run.blocks, threads, task_of, &run);
}

double fc_col2im_cost(const fc_problem *whole) {
    col2im_run run;
    plan(&run, whole, 1);
    const fc_pixels all = {0, 0, run.rows, 0, run.pixels};
    const fc_problem product = product_of(&run, 0, 0, 0, &all, NULL);
    const double bands =
        (double)(fc_ceil_div(whole->out_size[1], run.rows) * fc_ceil_div(whole->out_size[2], run.pixels)) *
        (double)whole->out_size[0];
    const double rows =
        (double)whole->in_channels * (double)run.taps * (double)(whole->out_size[1] * whole->out_size[0]);
    const int packed = whole->x.axis[2] == whole->kernels->itemsize;
    const double element = packed && whole->stride[2] == 1 ? FC_COST_COL2IM_VECTOR / whole->kernels->lanes
                           : adds_turns(whole)             ? FC_COST_COL2IM_PAIR
                           : packed                        ? FC_COST_COL2IM_ELEMENT
                                                           : FC_COST_COL2IM_SCATTERED;
    return (double)whole->groups * (fc_pointwise_cost(&product) * bands * (double)run.blocks +
                                    rows * (FC_COST_COL2IM_ROW + element * (double)whole->out_size[2]));
}
