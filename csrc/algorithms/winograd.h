/* What Winograd's convolution and the gradient of its weights share: the form, tiles and their numbering, and the
 * transforms of images into lines of channels. */
#ifndef FC_WINOGRAD_H
#define FC_WINOGRAD_H

#include "algorithms/algorithm.h"

enum {
    FC_WINOGRAD_REACH = 8,    /* most elements of a tile along an axis, */
    FC_WINOGRAD_TAPS = 25,    /* of a filter */
    FC_WINOGRAD_SEGMENT = 56, /* most steps of tiles across a row at once, in pixels: their image rows fit L1 */
    FC_WINOGRAD_ROW = FC_WINOGRAD_SEGMENT + FC_WINOGRAD_REACH
};

/* F(outputs, taps) of a problem, and along each axis of its images: one of one tap has an edge and a reach of 1, and so
 * has depth, whose taps are more channels. */
typedef struct fc_winograd_form {
    fc_winograd_form_id id;
    int axes, by_default;
    int64_t stride; /* of height and width */
    int64_t edge[FC_SPATIAL], reach[FC_SPATIAL];
    int64_t elements;
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

/* A run of tiles of one row of one image. */
typedef struct fc_winograd_segment {
    int64_t n, depth, row, column, count; /* row, column: of the first output of the first tile */
} fc_winograd_segment;

/* The run that begins with a tile, and ends before `end`. */
fc_winograd_segment fc_winograd_segment_at(const fc_winograd_tiling *tiling, int64_t tile, int64_t end);

/* What is transformed: the input, tiles of which overlap, or grad_output. */
typedef struct fc_winograd_source {
    const fc_image *image;
    const int64_t *size, *window, *offset; /* along each axis: of the image; of a tile; of the first tile */
    const int64_t *stride;                 /* pixels of the image an output */
    fc_winograd_input_fn transform;
    int64_t depth;           /* of the image, where outputs of depth 0 are made */
    int64_t first, channels; /* of all groups; at most a line */
} fc_winograd_source;

/* Where to: element e of tile t lies at data + e * element_step + t * tile_step. */
typedef struct fc_winograd_lines {
    char *data;
    ptrdiff_t element_step, tile_step;
} fc_winograd_lines;

/* Transforms tiles [begin, end). buffer: FC_WINOGRAD_REACH rows of FC_WINOGRAD_ROW lines. */
void fc_winograd_transform(const fc_winograd_tiling *tiling, const fc_winograd_source *source, int64_t begin,
                           int64_t end, fc_winograd_lines to, char *buffer);

/* ---- the gradient of the weights ---- */

size_t fc_winograd_grad_weight_scratch_bytes(const fc_problem *p, int threads);
void fc_winograd_grad_weight(const fc_problem *p, void *scratch, int threads);
double fc_winograd_grad_weight_cost(const fc_problem *p);
int fc_winograd_grad_weight_by_default(const fc_problem *p);

#endif
