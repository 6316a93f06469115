/* What the rooms of the fuzzer share: numbers drawn from its bytes, arrays in any layout, the problem under test. */
#ifndef FUZZ_H
#define FUZZ_H

#include "naive.h"

#include <stddef.h>

/* ---- numbers ---- */

/* 0..count - 1 from the next byte; 0 when there is none. */
int64_t draw(int64_t count);
/* A size: mostly below 6, below 40 always. */
int64_t draw_size(void);
/* What no array and no window can be, or nearly. */
int64_t draw_hostile(void);

/* ---- arrays ---- */

typedef enum element { FLOAT32 = FC_FLOAT32, FLOAT64 = FC_FLOAT64, INT64 } element;

/* An array in a block that ends with its last element. */
typedef struct array {
    fc_tensor t;
    element type;
    int written;
    size_t bytes;
    char *block;
    char *before; /* the block as it was before the call */
} array;

/* What inputs are made of: multiples of 1/4, anything below 1, few different numbers, multiples with NaN and infinity. */
typedef enum values { QUARTERS, FRACTIONS, TIES, SPECIAL, VALUES } values;

/* Draws a layout and fills the array. Inputs may repeat elements and overlap themselves. */
array new_input(element type, const int64_t size[FC_AXES], values kind);
array new_output(element type, const int64_t size[FC_AXES]);
void set(array *a, int64_t number, double value);
double get(const array *a, int64_t number); /* elements are numbered in the order N, C, D, H, W */
/* Whether memory for so many elements is given. */
int fits(const int64_t size[FC_AXES]);
/* Looks like the array was before the call, but for its elements. */
int gaps_are_untouched(array *a);
int is_untouched(const array *a);
void free_array(array *a);

/* Memory that lives until the end of the test, 0. */
void *room(size_t bytes);

/* ---- the problem ---- */

enum { MOST_WORK = 100000, MOST_ELEMENTS = 20000 };

/* Arrays of a problem: the image, what is made of it, weights, bias, indices, one more image. */
enum { X, Y, W, B, I, Z, ARRAYS };

/* What the status may be. */
typedef enum verdict { MUST_WORK, MAY_WORK, MUST_FAIL } verdict;

typedef struct problem problem;
typedef struct op {
    const char *name;
    int pass; /* which of its family's */
    /* Draws sizes, parameters and arrays; 0: nothing to test. */
    int (*prepare)(problem *p);
    fc_status (*run)(const problem *p, const fc_options *options, fc_report *report);
    /* Fills `expected` of each array that is written; 0: the call should have been refused. */
    int (*expect)(const problem *p, sum *expected[ARRAYS]);
} op;

struct problem {
    const op *op;
    fc_dtype dtype;
    fc_options options;
    values values;
    int hostile; /* some numbers may make no sense */
    verdict verdict;
    fc_conv_params conv;
    fc_pool_params pool;
    fc_lrn_params lrn;
    fc_pad_mode mode;
    int64_t before[FC_SPATIAL], kernel[FC_SPATIAL];
    double constant;
    int windows; /* parameters of windows are given */
    array arrays[ARRAYS];
};

extern const op CONV_OPS[], POOL_OPS[], OTHER_OPS[];
extern const int CONV_OP_COUNT, POOL_OP_COUNT, OTHER_OP_COUNT;

/* The sizes of an image of at most so many elements; returns how many spatial axes it has. */
int draw_image(int64_t size[FC_AXES], int64_t most);
element type_of(const problem *p);
/* Where the problem is hostile: overwrites one or two of some numbers. */
void spoil(const problem *p, int64_t *const numbers[], int count);
/* Where it is hostile, now and then: changes one of the first sizes of an array, which others must agree with. */
void disagree(problem *p, int64_t size[FC_AXES], int first);
/* Makes the arrays of a problem; the sizes of those not written must mean something, or the call must fail. */
int make_input(problem *p, int which, element type, const int64_t size[FC_AXES]);
int make_output(problem *p, int which, element type, const int64_t size[FC_AXES]);
dense dense_of(const array *a);

#endif
