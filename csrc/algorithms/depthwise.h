/* What the parts of depthwise convolution share: depthwise.c chooses the way and splits the work, depthwise_planes.c does
 * planes. */
#ifndef FC_DEPTHWISE_H
#define FC_DEPTHWISE_H

#include "algorithms/algorithm.h"

static inline int64_t fc_extent(const fc_problem *p, int axis) { return (p->kernel[axis] - 1) * p->dilation[axis] + 1; }

/* Whether no output of an axis reads padding. */
static inline int fc_lies_inside(const fc_problem *p, int axis) {
    return p->offset[axis] >= 0 &&
           (p->out_size[axis] - 1) * p->stride[axis] + p->offset[axis] + fc_extent(p, axis) <= p->in_size[axis];
}

typedef enum fc_depthwise_way { LINES, PLANES, IN_PLACE, FLAT, LANES } fc_depthwise_way;

/* Some vectors of every row of a plane, read in place or from a padded copy. */
typedef struct fc_depthwise_piece {
    int64_t begin, end, start;           /* vectors; first output */
    int64_t before, first, count, width; /* of a copy: padding; input columns; columns in all */
    ptrdiff_t pitch;
    int64_t rows; /* of output made of one copy */
} fc_depthwise_piece;

typedef struct fc_depthwise_run {
    const fc_problem *p;
    fc_problem flat;
    fc_depthwise_way way;
    int64_t band, bands; /* output rows of a task; of a plane, or channels last of an image */
    int64_t planes;      /* of an image: output channels */
    int64_t together;    /* bands of one task */
    /* planes */
    int64_t tile_rows, blocks, whole, panel; /* rows of a tile; vectors of a row, whole ones, in one copy */
    int64_t back;                            /* outputs by which the last one overlaps its neighbour */
    int padded;                              /* there is padding */
    fc_depthwise_piece panels, inside, left,
        right;           /* the first panel; vectors that read no padding, and those beside them */
    int64_t top, bottom; /* rows of output read in place, where there are */
    fc_depthwise kernel; /* what all tiles share */
    char **room;         /* a thread each: a padded copy and weights, or a row of sums */
    int64_t room_bytes, weight_bytes;
    /* in place */
    char *zeros;                    /* a line; also of pixels */
    int64_t zero_bytes, parted_at;  /* parted_at: where in the room */
    fc_depthwise_in_place in_place; /* what all planes share */
    /* lanes */
    char *weights, *bias; /* [tap][channel]; [channel]; flat, channels repeated */
    ptrdiff_t line;
    int pixels;       /* by depthwise_pixels */
    char *sums;       /* pixels: a row of one channel */
    int64_t channels; /* flat: of a pixel */
    int64_t segment_count;
    fc_segment *segments;
} fc_depthwise_run;

/* Fills what the ways PLANES and FLAT need, and run->room_bytes. */
void fc_depthwise_plan_planes(fc_depthwise_run *run);
/* Elements of padded copies that one plane takes. */
double fc_depthwise_copied(const fc_depthwise_run *run);
/* Rows [begin, end) of one plane of the output from one of the input; `kernel` has weights and bias. */
void fc_depthwise_plane_rows(const fc_depthwise_run *run, fc_depthwise *kernel, const char *plane, char *y,
                             int64_t begin, int64_t end, char *room);

/* Rows of one plane of the output, a tap at a time; `image`: the input channel. */
void fc_depthwise_line_rows(const fc_problem *p, const char *image, const char *weights, const fc_finish *finish,
                            char *y, int64_t depth, int64_t begin, int64_t end, char *sums);

double fc_depthwise_grad_weight_cost(const fc_problem *p);
size_t fc_depthwise_grad_weight_scratch_bytes(const fc_problem *p, int threads);
void fc_depthwise_grad_weight_run(const fc_problem *p, void *scratch, int threads);

int fc_depthwise_fits_in_place(const fc_problem *p);
/* Fills what the way IN_PLACE needs, and adds to run->room_bytes. */
void fc_depthwise_plan_in_place(fc_depthwise_run *run, fc_arena *arena);
/* Some bands, numbered by batch, group, output channel, depth, band. */
void fc_depthwise_in_place_task(void *context, int64_t task, int thread);

#endif
