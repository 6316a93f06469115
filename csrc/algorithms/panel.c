#include "algorithms/panel.h"

#include "algorithms/cost.h"

#include <string.h>

enum { WEIGHT_BYTES = 512 << 10 }; /* that stay in L2 */

static ptrdiff_t panel_line(const fc_problem *p) {
    return (ptrdiff_t)p->kernels->tile_vectors * p->kernels->lanes * p->kernels->itemsize;
}

/* Whether terms lie farther apart than output channels. */
static int copies_weights(const fc_problem *p) {
    return p->in_channels > 1 && p->out_channels > 1 && fc_magnitude(p->w.in) > fc_magnitude(p->w.out);
}

int64_t fc_panel_rows(const fc_problem *p, int64_t terms) {
    const int64_t tile = p->kernels->tile_rows;
    const int64_t rows = fc_max(WEIGHT_BYTES / p->kernels->itemsize / terms / tile, 1) * tile;
    return fc_min(rows, fc_round_up(p->out_channels, tile));
}

fc_panel_room fc_panel_take_room(fc_arena *arena, const fc_problem *p, int64_t rows, int64_t terms, int64_t rest) {
    fc_panel_room room = {.line = fc_round_up(terms, p->kernels->lanes) * p->kernels->itemsize};
    /* No multiple of 1 KiB, which would put a tile's lines into the same cache sets. */
    room.weight_line = room.line % 1024 ? room.line : room.line + 64;
    room.sums = fc_arena_take(arena, rows, (size_t)panel_line(p));
    room.weights = fc_arena_take(arena, copies_weights(p) ? rows : 0, (size_t)room.weight_line);
    room.rest = fc_arena_take(arena, rest, (size_t)room.line);
    room.copies = fc_arena_take(arena, rest > 0 ? p->kernels->tile_rows : 0, (size_t)room.line);
    return room;
}

void fc_panel_weight_offsets(const fc_problem *p, int64_t channels, ptrdiff_t *offsets) {
    const fc_range all[FC_SPATIAL] = {{0, p->kernel[0]}, {0, p->kernel[1]}, {0, p->kernel[2]}};
    const ptrdiff_t terms = fc_fill_offsets(offsets, channels, p->w.in, all, p->w.axis);
    for (ptrdiff_t i = 0; copies_weights(p) && i < terms; ++i)
        offsets[i] = i * p->kernels->itemsize;
}

/* A block of output channels and terms at a time, whose lines stay in L1 from tap to tap. */
static void copy_weights(const fc_panel *panel, const char *weights, int64_t channels) {
    enum { ROWS = 256, ROWS_OF_TAPS = 64, TERMS = 16 };
    const fc_problem *p = panel->p;
    const int64_t rows = panel->out_channels.end - panel->out_channels.begin, taps = fc_taps(p);
    const int64_t most = taps == 1 ? ROWS : ROWS_OF_TAPS;
    const ptrdiff_t item = p->kernels->itemsize, line = panel->room.weight_line;
    for (int64_t k = 0; k < rows; k += most)
        for (int64_t c = 0; c < channels; c += TERMS) {
            char *to = panel->room.weights + k * line + c * taps * item;
            for (int64_t tap = 0; tap < taps; ++tap) {
                const int64_t w = tap % p->kernel[2], h = tap / p->kernel[2] % p->kernel[1];
                const char *from = weights + k * p->w.out + c * p->w.in + w * p->w.axis[2] + h * p->w.axis[1] +
                                   tap / p->kernel[2] / p->kernel[1] * p->w.axis[0];
                p->kernels->copy_matrix((fc_matrix){to + tap * item, taps * item, line},
                                        (fc_matrix){(char *)from, p->w.in, p->w.out}, fc_min(TERMS, channels - c),
                                        fc_min(most, rows - k));
            }
        }
}

void fc_panel_take_weights(fc_panel *panel, int64_t first, int64_t channels) {
    const fc_problem *p = panel->p;
    const char *weights =
        p->w.data + panel->group * p->w.group + panel->out_channels.begin * p->w.out + first * p->w.in;
    panel->weights = weights;
    panel->weight_row = p->w.out;
    if (copies_weights(p)) {
        copy_weights(panel, weights, channels);
        panel->weights = panel->room.weights;
        panel->weight_row = panel->room.weight_line;
    }
}

/* Between room.sums and the output: `rows` output channels from k on. */
static void move_sums(const fc_panel *panel, int64_t first, int64_t pixels, int64_t k, int64_t rows, int to_output) {
    const fc_problem *p = panel->p;
    const fc_window *w = &panel->window;
    const ptrdiff_t item = p->kernels->itemsize;
    for (int64_t done = 0, length; done < pixels; done += length) {
        const int64_t at = first + done, row = w->flat ? 0 : at / w->columns, column = at - row * w->columns;
        length = w->flat ? pixels - done : fc_min(pixels - done, w->columns - column);
        const fc_matrix output = {panel->plane + k * p->y.channel + (w->row + row) * p->y.axis[1] +
                                      (w->column + column) * p->y.axis[2],
                                  p->y.channel, p->y.axis[2]};
        const fc_matrix local = {panel->room.sums + done * item, panel_line(p), item};
        p->kernels->copy_matrix(to_output ? output : local, to_output ? local : output, rows, length);
    }
}

static fc_finish finish_of(const fc_panel *panel, int64_t k) {
    fc_finish finish = panel->p->finish;
    if (finish.bias)
        finish.bias += (panel->group * panel->p->out_channels + k) * finish.bias_stride;
    return finish;
}

void fc_panel_sums(const fc_panel *panel, const char *lanes, int64_t first, int64_t pixels) {
    const fc_problem *p = panel->p;
    const int64_t k = panel->out_channels.begin, rows = panel->out_channels.end - k;
    char *c = panel->room.sums;
    ptrdiff_t ldc = panel_line(p);
    const int64_t vectors = fc_ceil_div(pixels, p->kernels->lanes);
    const int in_place =
        panel->window.flat && p->y.axis[2] == p->kernels->itemsize && pixels == vectors * p->kernels->lanes;
    if (in_place) {
        c = panel->plane + k * p->y.channel + panel->window.row * p->y.axis[1] +
            (panel->window.column + first) * p->y.axis[2];
        ldc = p->y.channel;
    } else if (!panel->first) {
        move_sums(panel, first, pixels, k, rows, 0);
    }
    fc_finish finish = finish_of(panel, k);
    fc_run_tiles(p->kernels, rows, vectors, panel->terms, panel->weights, panel->weight_row, panel->weight_offsets,
                 lanes, panel->lane_offsets, c, ldc, !panel->first, panel->last ? &finish : NULL);
    if (!in_place)
        move_sums(panel, first, pixels, k, rows, 1);
}

/* Weights of the m-th output channel as a line of terms and zeros: where they lie, if they do so, else `copy`. */
static const char *weight_line(const fc_panel *panel, int64_t m, int contiguous, char *copy) {
    const fc_problem *p = panel->p;
    const ptrdiff_t item = p->kernels->itemsize;
    const char *row = panel->weights + m * panel->weight_row;
    if (contiguous && panel->terms % p->kernels->lanes == 0)
        return row;
    memset(copy, 0, (size_t)panel->room.line);
    if (contiguous)
        memcpy(copy, row, (size_t)(panel->terms * item));
    else
        p->kernels->gather_lanes(copy, item, 1, &row, 1, panel->weight_offsets, panel->terms);
    return copy;
}

void fc_panel_rest(const fc_panel *panel, int64_t first, int64_t pixels) {
    const fc_problem *p = panel->p;
    const fc_kernels *kernels = p->kernels;
    const ptrdiff_t item = kernels->itemsize, line = panel->room.line, ldc = panel_line(p);
    int contiguous = 1;
    for (ptrdiff_t i = 0; contiguous && i < panel->terms; ++i)
        contiguous = panel->weight_offsets[i] == i * item;
    for (int64_t k = panel->out_channels.begin, rows; k < panel->out_channels.end; k += rows) {
        const char *weights[FC_MAX_TILE_ROWS];
        rows = fc_min(kernels->tile_rows, panel->out_channels.end - k);
        for (int64_t m = 0; m < rows; ++m)
            weights[m] =
                weight_line(panel, k - panel->out_channels.begin + m, contiguous, panel->room.copies + m * line);
        if (!panel->first)
            move_sums(panel, first, pixels, k, rows, 0);
        for (int64_t i = 0, columns; i < pixels; i += columns) {
            columns = fc_min(kernels->tile_vectors, pixels - i);
            kernels->dot_tile[rows - 1][columns - 1](panel->terms, weights, panel->room.rest + i * line, line,
                                                     panel->room.sums + i * item, ldc, !panel->first);
        }
        if (panel->last) {
            const fc_finish finish = finish_of(panel, k);
            kernels->finish_rows(panel->room.sums, ldc, rows, pixels, &finish);
        }
        move_sums(panel, first, pixels, k, rows, 1);
    }
}

static double vectors_cost(const fc_problem *p, int64_t out_channels, int64_t vectors, int64_t blocks, int copied) {
    const int64_t rows = p->kernels->tile_rows, panels = fc_ceil_div(vectors, p->kernels->tile_vectors);
    if (panels == 0)
        return 0;
    const int64_t least = vectors / panels, larger = vectors % panels; /* dealt out evenly */
    double slots = (double)(panels - larger) * fc_rows_slots(out_channels, rows, least);
    if (larger)
        slots += (double)larger * fc_rows_slots(out_channels, rows, least + 1);
    const double terms = (double)(p->in_channels * fc_taps(p));
    return (copied ? FC_COST_PANEL_SLOT : FC_COST_PANEL_SLOT + FC_COST_PANEL_IN_PLACE) * slots * terms +
           FC_COST_PANEL_TILE * (double)(panels * fc_ceil_div(out_channels, rows) * blocks);
}

static double dots_cost(const fc_problem *p, int64_t out_channels, int64_t pixels, int64_t blocks) {
    const int64_t most = p->kernels->tile_vectors, rows = p->kernels->tile_rows, terms = p->in_channels * fc_taps(p);
    double slots = (double)(pixels / most) * fc_rows_slots(out_channels, rows, most);
    if (pixels % most)
        slots += fc_rows_slots(out_channels, rows, pixels % most);
    return FC_COST_PANEL_DOT * slots * (double)fc_ceil_div(terms, p->kernels->lanes) +
           FC_COST_PANEL_DOT_SUM * (double)(pixels * out_channels * blocks) +
           (fc_taps(p) > 1 ? FC_COST_PANEL_DOT_GATHER * (double)(pixels * terms) : 0);
}

/* A product may be divided by output channels, for threads that must not change a bit: it takes what is best for some. */
int64_t fc_panel_dotted(const fc_problem *p, int64_t pixels, int64_t blocks) {
    enum { SOME = 64 };
    const int64_t out_channels = fc_taps(p) > 1 ? p->out_channels : SOME;
    const int64_t vectors = pixels / p->kernels->lanes, rest = pixels % p->kernels->lanes;
    const double vector =
        vectors_cost(p, out_channels, vectors + 1, blocks, 1) - vectors_cost(p, out_channels, vectors, blocks, 1);
    return rest && dots_cost(p, out_channels, rest, blocks) < vector ? rest : 0;
}

double fc_panel_cost(const fc_problem *p, int64_t pixels, int64_t blocks, int copied) {
    const int64_t dotted = fc_panel_dotted(p, pixels, blocks);
    double cost = vectors_cost(p, p->out_channels, fc_ceil_div(pixels - dotted, p->kernels->lanes), blocks, copied);
    if (dotted)
        cost += dots_cost(p, p->out_channels, dotted, blocks);
    if (fc_channels_last(p, &p->y))
        cost += FC_COST_STORE_SCATTERED * (double)(2 * blocks - 1) * (double)pixels * (double)p->out_channels;
    else if (p->y.channel % 4096 == 0)
        cost += FC_COST_STORE_PLANES_CONFLICT * (double)pixels * (double)p->out_channels / p->kernels->lanes;
    if (pixels % p->kernels->lanes)
        cost += FC_COST_PANEL_MOVE * (double)(2 * blocks - 1) * (double)p->out_channels;
    if (copies_weights(p))
        cost += (fc_taps(p) == 1 ? FC_COST_PANEL_WEIGHT : FC_COST_PANEL_WEIGHT_OF_TAPS) *
                (double)(p->in_channels * fc_taps(p)) * (double)p->out_channels;
    return cost;
}
