/* Shifted copies of an image: what im2col reads in place of patches.
 *
 * Of each channel one copy is made per tap column, whose row pitch is the number of columns that are asked for, so that
 * tap rows are mere offsets into it and pixels run on across image rows without a gap. That is kernel-height times less
 * than patches (for strides, one copy for each residue of the tap row; for far-spread taps, where copies would hold mostly
 * rows nobody shares, one for each tap). Padding is zeros in the copies.
 */
#ifndef FC_SHIFTED_COPIES_H
#define FC_SHIFTED_COPIES_H

#include "algorithms/algorithm.h"

typedef struct fc_copies {
    const fc_problem *p;
    int64_t channels;      /* of a block, the most there are copies of at a time */
    int64_t rows, columns; /* of output positions, likewise */
    int shared_rows;       /* the tap rows of one residue share a copy */
    int64_t residues;      /* copies of one channel, depth tap and column tap */
    int64_t halo;          /* rows a copy holds beyond those of the positions */
    int64_t pitch;         /* elements between copies: whole lines, a last vector fits behind each */
} fc_copies;

fc_copies fc_copies_of(const fc_problem *p, int64_t channels, int64_t rows, int64_t columns);

static inline int64_t fc_copies_a_channel(const fc_copies *copies) {
    return copies->p->kernel[0] * copies->residues * copies->p->kernel[2];
}

/* Elements that the copies of one block of channels take. */
static inline int64_t fc_copies_elements(const fc_copies *copies) {
    return fc_product(copies->channels, fc_product(fc_copies_a_channel(copies), copies->pitch));
}

/* Output positions of one image and depth: rows x columns, row-major. */
typedef struct fc_band {
    const char *image;
    int64_t depth, row, rows, column, columns, pixels;
} fc_band;

/* All copies of some channels, for the positions of a band. */
void fc_copies_make(const fc_copies *copies, const fc_band *band, int64_t channel, int64_t channels, char *dst);
/* Zeros behind all copies that a band may have: the rest of a last vector. */
void fc_copies_clear_ends(const fc_copies *copies, const fc_band *band, char *dst);
/* Where what each channel and tap of a block meets at the band's first position lies, in bytes; rows of `columns`. */
void fc_copies_offsets(const fc_copies *copies, int64_t columns, ptrdiff_t *offsets);
/* A row of a copy, of which the share `beyond_l3` comes from memory. */
double fc_copied_row_cost(const fc_problem *p, double columns, double beyond_l3);

#endif
