/* What the steps of a convolution cost: the constants of the model by which "auto" chooses.
 *
 * The unit is a multiply-add of whole vectors at the limit of the core. An algorithm counts what it will do for one image
 * (forward_cost), not looking at batch or threads; the constants were fitted, all at once, to the times of 2600 random
 * problems (Zen 4, AVX2, float32), and bench/auto_loss.py measures how far the choices lie from the best.
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

#define FC_COST_DIRECT_SLOT 1.03
#define FC_COST_DIRECT_PAGES 0.18   /* more, once a channel: each is another page */
#define FC_COST_DIRECT_STRIDED 0.38 /* more, once a column of taps: only some elements of each line are read */
#define FC_COST_PANEL_SLOT 1.06
#define FC_COST_PANEL_IN_PLACE 0.24 /* more where the panel is not copied */
#define FC_COST_PANEL_DOT 1.1
#define FC_COST_WINOGRAD_SLOT 0.82

/* ---- what is paid once: by a tile, and by what holds many ---- */

#define FC_COST_DIRECT_TILE 123
#define FC_COST_DIRECT_ZONE_ROWS 2.2 /* rows of a tile that a zone leaves empty */
#define FC_COST_DIRECT_CHUNK 906
#define FC_COST_PANEL_TILE 67
#define FC_COST_PANEL_DOT_SUM 16    /* a sum, whose lanes are added, */
#define FC_COST_PANEL_DOT_GATHER 30 /* and a tap, gathered alone */
#define FC_COST_IM2COL_BAND 1420
#define FC_COST_WINOGRAD_TILE 100
#define FC_COST_WINOGRAD_PANEL 2250

/* ---- moving elements: weights into lines, the image into copies, sums into the output ---- */

#define FC_COST_PACK_WEIGHT 1.47
#define FC_COST_PACK_FAR_WEIGHT 1.9 /* more if they fit no cache but the last */
#define FC_FAR_BYTES (4 << 20)
#define FC_COST_COPY 0.7      /* contiguous */
#define FC_COST_COPY_EVEN 1.3 /* every second element */
#define FC_COST_COPY_STRIDED 2.6
#define FC_COST_COPY_TRANSPOSED 4.7
#define FC_COST_COPY_TRANSPOSED_STRIDED 5.2
#define FC_COST_COPY_START 80
#define FC_COST_COPY_ROW 4
#define FC_COST_POINTWISE_COPY 0.94
#define FC_COST_POINTWISE_COPY_STRIDED 4.35
#define FC_COST_POINTWISE_COPY_TRANSPOSED 1.1
#define FC_COST_STORE_TRANSPOSED 0.95 /* lanes are channels, the output has them first */
#define FC_COST_STORE_SCATTERED 0.87  /* lanes are pixels, the output has channels last: each part of the sums */
#define FC_COST_STORE_CONFLICT 2.5    /* more where pixels lie a multiple of 4096 bytes apart, in the same cache sets */

#define FC_COST_PHASE_CONFLICT 15      /* more where planes lie a multiple of 4096 bytes apart */
#define FC_COST_PANEL_WEIGHT 1.2       /* turned into lines, */
#define FC_COST_PANEL_WEIGHT_OF_TAPS 6 /* a tap at a time */
#define FC_COST_PHASE 3500             /* of a strided gradient: begun, */
#define FC_COST_PHASE_WEIGHT 8         /* every second of its weights packed, one by one */
#define FC_COST_PHASE_STORE 4          /* and an element of it stored apart from its neighbours */
#define FC_COST_COL2IM_ROW 9           /* columns added into the image: a row of outputs and one tap, */
#define FC_COST_COL2IM_VECTOR 4        /* and its elements, in vectors */
#define FC_COST_COL2IM_PAIR 1.0        /* two taps that fill each other's gaps */
#define FC_COST_COL2IM_ELEMENT 2.4
#define FC_COST_COL2IM_SCATTERED 5 /* channels last */

/* ---- transforms, a vector of one element ---- */

/* They are bound by loads, stores and shuffles, of which a core does half as many if vectors have 64 bytes, and as many
 * multiply-adds as of 32 bytes. */
static inline double fc_transform_slots(const fc_kernels *kernels) {
    return (double)fc_max(kernels->lanes * kernels->itemsize, 32) / 32;
}

#define FC_COST_WINOGRAD_INPUT 14.5
#define FC_COST_WINOGRAD_PHASED_INPUT 38 /* elements of phases, which are moved one or two at a time */
#define FC_COST_WINOGRAD_OUTPUT 1.0
#define FC_COST_WINOGRAD_TAP 8.7
#define FC_COST_WINOGRAD_PHASED_TAP 21
#define FC_COST_WINOGRAD_FILTER 3.9
#define FC_COST_WINOGRAD_READ 2.5   /* more for every block of tiles, from L3 */
#define FC_COST_WINOGRAD_STORE 0.93 /* an output */
#define FC_COST_WINOGRAD_FEW 275    /* a filter's elements and their products with a few tiles */

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
#define FC_COST_GRAD_STORE 1.7
#define FC_COST_GRAD_STORE_TAPS 2.4     /* a tap at a time */
#define FC_COST_GRAD_STORE_IN_PLACE 1.0 /* sums lie in the weights */
#define FC_COST_GRAD_STORE_FAR 1.5      /* more if the taps fit no near cache */
#define FC_GRAD_FAR_BYTES 1000000

/* ---- planes alone: a tap of a vector of outputs, by the ways of depthwise.c ---- */

#define FC_COST_DEPTHWISE_TAP 1.3
#define FC_COST_DEPTHWISE_TAP_STRIDED 2.1
#define FC_COST_DEPTHWISE_COPIED_TAP 3.0
#define FC_COST_DEPTHWISE_LANES_TAP 1.5
#define FC_COST_DEPTHWISE_VECTOR 2
#define FC_COST_DEPTHWISE_PLANE 450
#define FC_COST_DEPTHWISE_LINE 60 /* of a plain loop: a line of outputs and one tap */
#define FC_COST_DEPTHWISE_ELEMENT 6
#define FC_COST_DEPTHWISE_SCATTERED 22

#endif
