/* What the steps of a convolution cost: the constants of the model by which "auto" chooses.
 *
 * The unit is a multiply-add of whole vectors at the limit of the core. An algorithm counts what it will do for one image
 * (forward_cost), not looking at batch or threads; the constants were fitted, all at once, to the times of 8000 random
 * problems (one AMD EPYC core, AVX-512 and AVX2, float32), and bench/auto_loss.py measures how far the choices lie from
 * the best. What decides which way an algorithm goes (FC_COST_PANEL_SLOT, _TILE, _DOT) was not, nor what gradients share.
 */
#ifndef FC_COST_H
#define FC_COST_H

#include "algorithms/algorithm.h"

/* ---- one term of a tile: its multiply-adds, unless too few of them hide their latency, or loads take longer ---- */

static inline double fc_tile_slots(int64_t rows, int64_t vectors) {
    const int64_t latency = 8, loads = rows + vectors + 2; /* two of them offsets */
    return (double)fc_max(rows * vectors, fc_max(latency, loads));
}

/* `count` rows in tiles of nearly equal size. */
static inline double fc_rows_slots(int64_t count, int64_t most, int64_t vectors) {
    const int64_t tiles = fc_ceil_div(count, most), rows = count / tiles, larger = count % tiles;
    return (double)larger * fc_tile_slots(rows + 1, vectors) + (double)(tiles - larger) * fc_tile_slots(rows, vectors);
}

/* Rows of full tiles against all panels of `lanes` lanes. */
static inline double fc_row_slots(const fc_problem *p, int64_t lanes) {
    const fc_kernels *kernels = p->kernels;
    const int64_t vectors = fc_ceil_div(lanes, kernels->lanes), most = kernels->tile_vectors;
    const double full = (double)(vectors / most) * fc_tile_slots(kernels->tile_rows, most);
    return (full + (vectors % most ? fc_tile_slots(kernels->tile_rows, vectors % most) : 0)) / kernels->tile_rows;
}

/* ---- what slots cost: more where operands come from L2 or from scattered lines ---- */

#define FC_COST_DIRECT_SLOT 1.0
#define FC_COST_DIRECT_PAGES 0.25   /* more, once a channel: each is another page */
#define FC_COST_DIRECT_STRIDED 0.08 /* more, once a column of taps: only some elements of each line are read */
#define FC_COST_PANEL_SLOT 1.06
#define FC_COST_PANEL_IN_PLACE 0.0035 /* more where the panel is not copied */
#define FC_COST_PANEL_DOT 1.1
#define FC_COST_WINOGRAD_SLOT 0.73

/* ---- what is paid once: by a tile, and by what holds many ---- */

#define FC_COST_DIRECT_TILE 75
#define FC_COST_DIRECT_ZONE_ROWS 3.2 /* rows of a tile that a zone leaves empty */
#define FC_COST_DIRECT_CHUNK 850
#define FC_COST_DIRECT_PARTIAL 20 /* channels last, a pixel whose last vector is not whole */
#define FC_COST_PANEL_TILE 67
#define FC_COST_POINTWISE_TASK 2390 /* a band of 1x1 */
#define FC_COST_PANEL_MOVE 17       /* a row of sums that go by way of scratch */
#define FC_COST_PANEL_DOT_SUM 16    /* a sum, whose lanes are added, */
#define FC_COST_PANEL_DOT_GATHER 30 /* and a tap, gathered alone */
#define FC_COST_IM2COL_BAND 2020
#define FC_COST_WINOGRAD_TILE 51
#define FC_COST_WINOGRAD_PANEL 8290

/* ---- moving elements: weights into lines, the image into copies, sums into the output ---- */

#define FC_COST_PACK_WEIGHT 1.1
#define FC_COST_PACK_FAR_WEIGHT 0.94 /* more if they fit no cache but the last */
#define FC_FAR_BYTES (4 << 20)
#define FC_COST_COPY 0.22      /* contiguous */
#define FC_COST_COPY_EVEN 0.51 /* every second element */
#define FC_COST_COPY_STRIDED 2.3
#define FC_COST_COPY_TRANSPOSED 3.6
#define FC_COST_COPY_TRANSPOSED_STRIDED 4.3
#define FC_COST_COPY_CONFLICT 2.2       /* more where pixels share cache sets: a line is read once a channel */
#define FC_COST_COPY_TRANSPOSED_FAR 9.2 /* more from memory */
#define FC_COST_COPY_START 59
#define FC_COST_COPY_ROW 4.5
#define FC_COST_POINTWISE_COPY 0.97
#define FC_COST_POINTWISE_COPY_EVEN 1.0
#define FC_COST_POINTWISE_COPY_STRIDED 3.8
#define FC_COST_POINTWISE_COPY_TRANSPOSED 0.49
#define FC_COST_POINTWISE_ROW 11          /* a row of a strided copy */
#define FC_COST_STORE_TRANSPOSED 1.7      /* lanes are channels, the output has them first */
#define FC_COST_STORE_SCATTERED 1.2       /* lanes are pixels, the output has channels last: each part of the sums */
#define FC_COST_STORE_PLANES_CONFLICT 9.5 /* a vector, where planes lie a multiple of 4096 bytes apart */

#define FC_COST_PHASE_CONFLICT 15         /* more where planes do */
#define FC_COST_PANEL_WEIGHT 2.4          /* turned into lines, */
#define FC_COST_PANEL_WEIGHT_OF_TAPS 2.1  /* a tap at a time */
#define FC_COST_PHASE 3500                /* of a strided gradient: begun, */
#define FC_COST_PHASE_WEIGHT_TOGETHER 0.5 /* its weights packed, those of all phases at once, */
#define FC_COST_PHASE_WEIGHT 8            /* or each phase its own, one by one */
#define FC_COST_PHASE_STORE 4             /* and an element of it stored apart from its neighbours */
#define FC_COST_COL2IM_ROW 16             /* columns added into the image: a row of outputs and one tap, */
#define FC_COST_COL2IM_VECTOR 4           /* and its elements, in vectors */
#define FC_COST_COL2IM_PAIR 0.25          /* two taps that fill each other's gaps */
#define FC_COST_COL2IM_ELEMENT 2.8
#define FC_COST_COL2IM_SCATTERED 5 /* channels last */

/* ---- transforms, a vector of one element ---- */

/* They are bound by loads, stores and shuffles, of which a core does half as many if vectors have 64 bytes, and as many
 * multiply-adds as of 32 bytes. */
static inline double fc_transform_slots(const fc_kernels *kernels) {
    return (double)fc_max(kernels->lanes * kernels->itemsize, 32) / 32;
}

#define FC_COST_WINOGRAD_INPUT 14
#define FC_COST_WINOGRAD_PHASED_INPUT 35 /* elements of phases, which are moved one or two at a time */
#define FC_COST_WINOGRAD_OUTPUT 2.1
#define FC_COST_WINOGRAD_TAP 9.3
#define FC_COST_WINOGRAD_PHASED_TAP 19
#define FC_COST_WINOGRAD_FILTER 2.8
#define FC_COST_WINOGRAD_STORE 0.27    /* an output */
#define FC_COST_WINOGRAD_STORE_ROW 1.2 /* the same of a form along one axis */
#define FC_COST_WINOGRAD_FEW 207       /* a filter's elements and their products with a few tiles */

/* ---- the gradient of the weights, fitted to 1500 problems by themselves ---- */

#define FC_COST_GRAD_SLOT 1.0
#define FC_COST_GRAD_PAGES 0.16   /* more, once a channel: each is another page */
#define FC_COST_GRAD_STRIDED 0.46 /* more, once a column of taps: only some elements of each line are read */
#define FC_COST_GRAD_TILE 162
#define FC_COST_GRAD_BLOCK 1510
#define FC_COST_GRAD_PIXEL 8.8 /* looked at for a tap */
#define FC_COST_GRAD_PACK 2.2
#define FC_COST_GRAD_PACK_LAST 8.2
#define FC_COST_GRAD_GATHER 1.6
#define FC_COST_GRAD_GATHER_SCATTERED 5.8 /* strided, or few channels last */
#define FC_COST_GRAD_GATHER_RUNS 0.5      /* lanes that lie together */
#define FC_COST_GRAD_GATHER_ROW 390
#define FC_COST_GRAD_DOT 0.94    /* products along pixels, */
#define FC_COST_GRAD_DOT_TILE 85 /* and a tile of them, begun and its lanes added */
#define FC_COST_GRAD_STORE 1.7
#define FC_COST_GRAD_STORE_TAPS 2.4     /* a tap at a time */
#define FC_COST_GRAD_STORE_IN_PLACE 1.0 /* sums lie in the weights */
#define FC_COST_GRAD_STORE_FAR 1.5      /* more if the taps fit no near cache */
#define FC_GRAD_FAR_BYTES 1000000

/* planes alone, by the ways of depthwise_grad_weight.c */
#define FC_COST_DEPTHWISE_GRAD_TAP 2.2
#define FC_COST_DEPTHWISE_GRAD_TAP_STRIDED 3.6
#define FC_COST_DEPTHWISE_GRAD_PLANE 60
#define FC_COST_DEPTHWISE_GRAD_LANES_TAP 1.0
#define FC_COST_DEPTHWISE_GRAD_PIXEL 16
#define FC_COST_DEPTHWISE_GRAD_TURN 0.45 /* an element turned to channels last */

/* ---- planes alone: a tap of a vector of outputs, by the ways of depthwise.c ---- */

#define FC_COST_DEPTHWISE_TAP 1.3
#define FC_COST_DEPTHWISE_TAP_STRIDED 2.3
#define FC_COST_DEPTHWISE_COPIED_TAP 1.7
#define FC_COST_DEPTHWISE_COPIED_TAP_STRIDED 3.1
#define FC_COST_DEPTHWISE_LANES_TAP 3.2
#define FC_COST_DEPTHWISE_VECTOR 5.9
#define FC_COST_DEPTHWISE_PLANE 510
#define FC_COST_DEPTHWISE_LINE 368 /* of a plain loop: a line of outputs and one tap */
#define FC_COST_DEPTHWISE_ELEMENT 0.005
#define FC_COST_DEPTHWISE_SCATTERED 4.9
#define FC_COST_DEPTHWISE_COPY 0.71 /* an element of a padded copy */

/* ---- lines of 64 bytes that come from behind L2, or go there (traffic.c) ---- */

#define FC_COST_READ_L3 0.51
#define FC_COST_READ_MEMORY 12
#define FC_COST_STORE_L3 0.16
#define FC_COST_STORE_MEMORY 17
#define FC_COST_DIRECT_WAIT 0.46 /* more, a slot of one panel, where a tile reads lines of all channels in turn */

/* What one image makes move between the core and the caches behind L1. */
typedef struct fc_traffic {
    double read, stored;         /* lines */
    double beyond_l2, beyond_l3; /* what share of them, 0 to 1, comes from there */
} fc_traffic;

/* by_groups: every group reads and stores its lines alone, also those in which, channels last, others have elements. */
fc_traffic fc_traffic_of(const fc_problem *p, int by_groups);
double fc_traffic_cost(const fc_traffic *traffic);

#endif
