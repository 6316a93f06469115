/* What every check needs: arrays in any layout between guard bytes, steps through them, comparisons, and failure. */
#ifndef ARRAYS_H
#define ARRAYS_H

#include "fastconv.h"

typedef enum element { FLOAT32 = FC_FLOAT32, FLOAT64 = FC_FLOAT64, INT64 } element;
/* SPREAD: channels first, every second element of memory, width and channels from their end. */
typedef enum layout { CHANNELS_FIRST, CHANNELS_LAST, SPREAD, LAYOUTS } layout;

typedef struct array {
    fc_tensor t;
    element type;
    int64_t origin, elements; /* of t.data in the block between the guards; elements of that block, gaps included */
    char *block;
} array;

/* The element of an array: n, channel, depth, height, width. */
typedef struct place {
    int64_t n, c, at[FC_SPATIAL];
} place;

/* What runs now: named by every failure, counted by every check. */
extern char where[160];
extern long checks;

_Noreturn void fail(const char *what);
void expect(fc_status status, fc_status wanted);

/* Filled with rubbish. */
array new_array(element type, layout order, int64_t n, int64_t c, const int64_t spatial[FC_SPATIAL]);
/* Small multiples of 1/4, whose sums of products are exact; a huge number where a gap lies. */
array new_random(element type, layout order, int64_t n, int64_t c, const int64_t spatial[FC_SPATIAL]);
/* All 0, the last one `last`. */
void fill_indices(array *a, int64_t last);
/* Looks at the guards. */
void free_array(array *a);
/* No byte has been written since new_array. */
void expect_untouched(const array *a);

/* for (place p = {0}; inside(a, &p); step(a, &p)) */
int inside(const array *a, const place *p);
void step(const array *a, place *p);
/* Steps through a box of positions, last axis fastest; 0 after the last. */
int next(int64_t at[FC_SPATIAL], const int64_t size[FC_SPATIAL]);

/* Elements are numbered as they lie in memory. */
int64_t index_of(const array *a, int64_t n, int64_t c, const int64_t at[FC_SPATIAL]);
double get(const array *a, int64_t index);
double value_at(const array *a, const place *p);

/* One double for every element, 0. */
double *zeros(const array *a);
/* Compares within `roundings` of the largest value, looks at guards and gaps, and frees both. */
void compare(array *got, double *expected, double roundings, const char *what);

/* Input position that tap `t` of a window reads at output position `o`; 0 when it lies in the padding. */
int reads(const int64_t *o, const int64_t *t, const int64_t *in, const int64_t *stride, const int64_t *dilation,
          const int64_t (*padding)[2], int64_t at[FC_SPATIAL]);

#endif
