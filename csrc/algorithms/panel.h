/* One panel of output pixels times many output channels: the product at the heart of im2col and of pointwise.
 *
 * Lanes are pixels, rows of a tile output channels, whose weights are broadcast from where they lie: repacking them costs
 * more than it saves, unless an output channel's terms lie farther apart than the output channels do, as in gradients of
 * the input: there every term would be a cache line of its own, and often one of the same set. A panel stays in L1 while all output
 * channels pass by. The last pixels, too few for a vector, go by dot products along the terms where these are many, else
 * as a vector of which some lanes are nobody's.
 */
#ifndef FC_PANEL_H
#define FC_PANEL_H

#include "algorithms/algorithm.h"

/* Pixel i of an output plane: row + i / columns, column + i % columns. */
typedef struct fc_window {
    int64_t row, column, columns;
    int flat; /* pixels lie in the output one after another, whatever their row */
} fc_window;

/* Room of a thread. */
typedef struct fc_panel_room {
    char *sums;            /* of a panel and some output channels */
    char *weights;         /* of these, where they are copied: lines of terms, */
    ptrdiff_t weight_line; /* so many bytes apart */
    char *rest, *copies;   /* lines of terms, whole vectors: of the last pixels, and of a tile's weights */
    ptrdiff_t line;        /* of rest and copies */
} fc_panel_room;

typedef struct fc_panel {
    const fc_problem *p;
    fc_panel_room room;
    fc_window window;
    char *plane;           /* of the output, output channel 0 of the group */
    int64_t group;         /* whose bias is added */
    ptrdiff_t terms;       /* of this part of the sums */
    int first, last;       /* whether it is the first part; the last, which bias and activation follow */
    fc_range out_channels; /* at most as many as there is room for */
    const char *weights;   /* of the first of them, first term */
    ptrdiff_t weight_row;  /* between them */
    const ptrdiff_t *weight_offsets, *lane_offsets; /* of the terms */
} fc_panel;

/* Of `channels` x taps terms of weights, in the order channel, depth, height, width. */
void fc_panel_weight_offsets(const fc_problem *p, int64_t channels, ptrdiff_t *offsets);
/* Takes weights of out_channels and of terms from input channel `first` on, `channels` of them. */
void fc_panel_take_weights(fc_panel *panel, int64_t first, int64_t channels);

/* Output channels whose weights, `terms` each, stay in L2 while panels pass by: whole tiles. */
int64_t fc_panel_rows(const fc_problem *p, int64_t terms);
/* For at most `rows` output channels, `terms` terms and `rest` last pixels. */
fc_panel_room fc_panel_take_room(fc_arena *arena, const fc_problem *p, int64_t rows, int64_t terms, int64_t rest);
/* How many of the last of `pixels` pixels go by dot products, in `blocks` parts: those that fill no vector, or none. */
int64_t fc_panel_dotted(const fc_problem *p, int64_t pixels, int64_t blocks);
/* `pixels`, at most a panel of them, from pixel `first` of the window on; lanes: of the first term, whole vectors. */
void fc_panel_sums(const fc_panel *panel, const char *lanes, int64_t first, int64_t pixels);
/* By dot products: fewer than a vector holds. The lines of room.rest hold their terms, and zeros up to a whole vector. */
void fc_panel_rest(const fc_panel *panel, int64_t first, int64_t pixels);

/* What the sums of `pixels` pixels cost, in the units of cost.h: all output channels of a group, in `blocks` parts. */
double fc_panel_cost(const fc_problem *p, int64_t pixels, int64_t blocks, int copied);

#endif
