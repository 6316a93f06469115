/* What Winograd's convolution and the gradient of its weights share: the form, tiles and their numbering, and the
 * transforms of images into lines of channels. */
#ifndef FC_WINOGRAD_H
#define FC_WINOGRAD_H

#include "algorithms/algorithm.h"

enum {
    FC_WINOGRAD_REACH = 8,                       /* most elements of a tile along an axis, */
    FC_WINOGRAD_TAPS = 25,                       /* of a filter, or of that of a phase, */
    FC_WINOGRAD_ALL_TAPS = 8 * FC_WINOGRAD_TAPS, /* of a filter in phases, or of a few others */
    FC_WINOGRAD_SEGMENT = 56, /* most steps of tiles across a row at once, in pixels: their image rows fit L1 */
    FC_WINOGRAD_ROW = FC_WINOGRAD_SEGMENT + FC_WINOGRAD_REACH
};

/* F(outputs, taps) of a problem, and along each axis of its images: one of one tap has an edge and a reach of 1, and so
 * has depth, whose taps are more channels.
 *
 * Kernels that are longer than their stride s of 2 or 4, as first layers have them, may be done by phases: every s-th row
 * and column of the image, and of the filter, are images and filters of stride 1, more channels again. 7x7 with stride 2
 * is 4x4 of 4 times the channels, 11x11 with stride 4 is 3x3 of 16 times; taps that the filter lacks are 0. */
typedef struct fc_winograd_form {
    fc_winograd_form_id id;
    int axes, by_default;
    int64_t phases; /* along each of height and width, 1: the image as it is */
    int64_t taps,
        channels; /* of the filters of a phase, all; input channels of a group: phases of (channel, row, column) */
    int64_t edge[FC_SPATIAL], reach[FC_SPATIAL], elements;     /* of a tile: outputs, products, all products */
    int64_t window[FC_SPATIAL], advance[FC_SPATIAL];           /* pixels of a tile, and from tile to tile */
    int64_t inputs[FC_SPATIAL], input_elements;                /* elements that the pixels are transformed to */
    int64_t first_input[FC_SPATIAL], first_output[FC_SPATIAL]; /* positions of the first tile */
} fc_winograd_form;

/* Whether there is a form for a problem, or the gradient of its weights; of several for the same taps the first with
 * channels, or pixels, enough, or the last. */
int fc_winograd_find_form(const fc_problem *p, int grad_weight, fc_winograd_form *form);
fc_winograd_form fc_winograd_form_of(const fc_problem *p, int grad_weight);
/* Whether there is a form, and no dilation. */
int fc_winograd_supports(const fc_problem *p);

/* Tiles of all images, numbered across rows, rows, depths and the batch. */
typedef struct fc_winograd_tiling {
    const fc_problem *p;
    fc_winograd_form form;
    int64_t rows, columns, tiles; /* of one image; of all images */
} fc_winograd_tiling;

fc_winograd_tiling fc_winograd_tile(const fc_problem *p, int grad_weight);

/* A run of tiles of one row of one image; row, column: of the first of them. */
typedef struct fc_winograd_segment {
    int64_t n, depth, row, column, count;
} fc_winograd_segment;

/* The run that begins with a tile, and ends before `end`. */
fc_winograd_segment fc_winograd_segment_at(const fc_winograd_tiling *tiling, int64_t tile, int64_t end);

/* What is transformed: the input, tiles of which overlap, or grad_output. */
typedef struct fc_winograd_source {
    const fc_image *image;
    const int64_t *size, *window, *offset; /* along each axis: of the image; of a tile; of the first tile */
    const int64_t *advance;                /* pixels from tile to tile, planes from depth to depth of the output */
    int64_t phases;                        /* of the image */
    fc_winograd_input_fn transform;
    int64_t depth;           /* of the image, where outputs of depth 0 are made */
    int64_t first, channels; /* of all groups, phases counted; at most a line */
} fc_winograd_source;

/* Where to: element e of tile t lies at data + e * element_step + t * tile_step. */
typedef struct fc_winograd_lines {
    char *data;
    ptrdiff_t element_step, tile_step;
} fc_winograd_lines;

/* Transforms tiles [begin, end). buffer: FC_WINOGRAD_REACH rows of FC_WINOGRAD_ROW lines. */
void fc_winograd_transform(const fc_winograd_tiling *tiling, const fc_winograd_source *source, int64_t begin,
                           int64_t end, fc_winograd_lines to, char *buffer);

/* ---- weights of the forward pass (winograd_weights.c) ---- */

/* How transformed weights are parted: [group][panel][depth][chunk][element][channel][panel lanes]. */
typedef struct fc_winograd_weights {
    const fc_problem *p;
    fc_winograd_form form;
    int64_t sum;           /* channels whose products are added in one sum */
    int64_t chunk, chunks; /* channels of several sums, whose weights lie together; of a group and depth */
    int64_t panels;        /* of a group */
} fc_winograd_weights;

/* Channels whose products are added in one sum. */
int64_t fc_winograd_sum(int64_t channels);
fc_winograd_weights fc_winograd_weights_of(const fc_problem *p);
int64_t fc_winograd_weights_bytes(const fc_winograd_weights *w);
/* Of the largest chunk, lines of `line` bytes. */
int64_t fc_winograd_chunk_bytes(const fc_winograd_weights *w, ptrdiff_t line);
/* Where a chunk begins. */
ptrdiff_t fc_winograd_weights_offset(const fc_winograd_weights *w, int64_t group, int64_t panel, int64_t depth,
                                     int64_t first);
/* Between the elements of a chunk: a multiple of 4096 would put all of them into the same cache sets. */
static inline ptrdiff_t fc_winograd_weight_step(int64_t channels, ptrdiff_t line) { return channels * line + 64; }

/* Output channels of a panel, and the bytes of a line of its weights or sums: whole vectors. */
fc_range fc_winograd_panel_channels(const fc_problem *p, int64_t panel);
ptrdiff_t fc_winograd_panel_line(const fc_problem *p, int64_t panel);

/* Transforms the filters of one panel for one tap along depth and the channels of one chunk. */
void fc_winograd_transform_filters(const fc_winograd_weights *w, int64_t group, int64_t panel, int64_t depth,
                                   int64_t first, int64_t channels, char *dst);
void fc_winograd_pack_weights(const fc_problem *p, void *packed, int threads);

/* Filters of one panel for one tap along depth, as lines of taps: tap (r, c) of channel i, of those gathered, lies at
 * first_tap + i * channel_step + r * axis[1] + c * axis[2]. */
typedef struct fc_winograd_filters {
    const fc_problem *p;
    const char *source; /* of channel 0 and the tap that lies first in memory, */
    ptrdiff_t out;      /* from filter to filter */
    int64_t count;
    ptrdiff_t line, channel_step, axis[FC_SPATIAL], offsets[FC_WINOGRAD_ALL_TAPS];
    const char *first_tap;
    char *lines; /* `gathered`, or what has room for more */
    char gathered[FC_WINOGRAD_ALL_TAPS * 64 * FC_MAX_TILE_VECTORS] __attribute__((aligned(64)));
} fc_winograd_filters;

/* room: for all channels that will be gathered; NULL: for as many as may be at once. */
void fc_winograd_find_filters(fc_winograd_filters *f, const fc_problem *p, int64_t group, int64_t panel, int64_t depth,
                              char *room);
/* Most channels that may be gathered at once. */
int64_t fc_winograd_filters_at_once(const fc_problem *p);
/* Behind `held` channels that are gathered already. */
void fc_winograd_gather_filters(fc_winograd_filters *f, int64_t first, int64_t channels, int64_t held);

/* ---- the gradient of the weights ---- */

size_t fc_winograd_grad_weight_scratch_bytes(const fc_problem *p, int threads);
void fc_winograd_grad_weight(const fc_problem *p, void *scratch, int threads);
double fc_winograd_grad_weight_cost(const fc_problem *p);
int fc_winograd_grad_weight_by_default(const fc_problem *p);

#endif
