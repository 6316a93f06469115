/* Arrays between guard bytes. Outputs are filled with rubbish before a call; what a comparison has seen is turned into
 * rubbish again, so that whatever is left is a byte that nobody should have written.
 */
#include "arrays.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, RUBBISH = 0xA5 };

char where[160];
long checks;

void fail(const char *what) {
    printf("FAILED: %s: %s\n", where, what);
    exit(1);
}

void expect(fc_status status, fc_status wanted) {
    ++checks;
    if (status != wanted) {
        printf("status is %s; expected %s\n", fc_status_string(status), fc_status_string(wanted));
        fail("status");
    }
}

/* ---- memory ---- */

static size_t item_size(element type) { return type == FLOAT32 ? 4 : 8; }

static size_t block_bytes(const array *a) { return (size_t)a->elements * item_size(a->type) + 2 * GUARD; }

static char *element_at(const array *a, int64_t index) { return a->block + GUARD + (size_t)index * item_size(a->type); }

array new_array(element type, layout order, int64_t n, int64_t c, const int64_t spatial[FC_SPATIAL]) {
    static const int orders[LAYOUTS][FC_AXES] = {{0, 1, 2, 3, 4}, {0, 2, 3, 4, 1}, {0, 1, 2, 3, 4}};
    array a = {.t.size = {n, c, spatial[0], spatial[1], spatial[2]}, .type = type};
    int64_t stride = order == SPREAD ? 2 : 1;
    for (int i = FC_AXES - 1; i >= 0; --i) {
        a.t.stride[orders[order][i]] = stride;
        stride *= a.t.size[orders[order][i]];
    }
    a.elements = stride;
    for (int axis = 1; order == SPREAD && a.elements && axis < FC_AXES; axis += 3) {
        a.origin += (a.t.size[axis] - 1) * a.t.stride[axis];
        a.t.stride[axis] *= -1;
    }
    a.block = malloc(block_bytes(&a));
    if (!a.block)
        fail("out of memory");
    memset(a.block, RUBBISH, block_bytes(&a));
    a.t.data = element_at(&a, a.origin);
    return a;
}

void free_array(array *a) {
    for (size_t i = 0; i < GUARD; ++i)
        if ((unsigned char)a->block[i] != RUBBISH || (unsigned char)a->block[block_bytes(a) - GUARD + i] != RUBBISH)
            fail("wrote outside of an array");
    free(a->block);
}

void expect_untouched(const array *a) {
    for (size_t i = 0; i < block_bytes(a); ++i)
        if ((unsigned char)a->block[i] != RUBBISH)
            fail("wrote what it should not");
}

/* ---- elements ---- */

int inside(const array *a, const place *p) { return p->n < a->t.size[0]; }

void step(const array *a, place *p) {
    if (next(p->at, a->t.size + 2))
        return;
    if (++p->c == a->t.size[1]) {
        p->c = 0;
        ++p->n;
    }
}

int next(int64_t at[FC_SPATIAL], const int64_t size[FC_SPATIAL]) {
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        if (++at[axis] < size[axis])
            return 1;
        at[axis] = 0;
    }
    return 0;
}

int64_t index_of(const array *a, int64_t n, int64_t c, const int64_t at[FC_SPATIAL]) {
    const int64_t *s = a->t.stride;
    return a->origin + n * s[0] + c * s[1] + at[0] * s[2] + at[1] * s[3] + at[2] * s[4];
}

double get(const array *a, int64_t index) {
    const void *at = element_at(a, index);
    if (a->type == INT64)
        return (double)*(const int64_t *)at;
    return a->type == FLOAT32 ? *(const float *)at : *(const double *)at;
}

double value_at(const array *a, const place *p) { return get(a, index_of(a, p->n, p->c, p->at)); }

static void set(array *a, int64_t index, double value) {
    void *at = element_at(a, index);
    if (a->type == FLOAT32)
        *(float *)at = (float)value;
    else
        *(double *)at = value;
}

array new_random(element type, layout order, int64_t n, int64_t c, const int64_t spatial[FC_SPATIAL]) {
    static uint32_t state = 12345;
    array a = new_array(type, order, n, c, spatial);
    for (int64_t i = 0; i < a.elements; ++i)
        set(&a, i, 1e30);
    for (place p = {0}; inside(&a, &p); step(&a, &p)) {
        state = state * 1664525u + 1013904223u;
        set(&a, index_of(&a, p.n, p.c, p.at), ((int)(state >> 24) % 17 - 8) / 4.0);
    }
    return a;
}

void fill_indices(array *a, int64_t last) {
    int64_t *index = (int64_t *)(void *)element_at(a, 0);
    for (int64_t i = 0; i < a->elements; ++i)
        index[i] = i < a->elements - 1 ? 0 : last;
}

/* ---- comparing ---- */

double *zeros(const array *a) {
    double *values = calloc((size_t)a->elements + 1, sizeof *values);
    if (!values)
        fail("out of memory");
    return values;
}

void compare(array *got, double *expected, double roundings, const char *what) {
    const double eps = got->type == FLOAT32 ? 0x1p-23 : 0x1p-52;
    double largest = 0;
    for (int64_t i = 0; i < got->elements; ++i)
        largest = fmax(largest, fabs(expected[i]));
    for (place p = {0}; inside(got, &p); step(got, &p)) {
        const int64_t i = index_of(got, p.n, p.c, p.at);
        if (!(fabs(get(got, i) - expected[i]) <= roundings * eps * largest)) {
            printf("[%d, %d, %d, %d, %d] is %.17g; expected %.17g\n", (int)p.n, (int)p.c, (int)p.at[0], (int)p.at[1],
                   (int)p.at[2], get(got, i), expected[i]);
            fail(what);
        }
        memset(element_at(got, i), RUBBISH, item_size(got->type));
    }
    expect_untouched(got);
    ++checks;
    free(expected);
    free(got->block);
}

int reads(const int64_t *o, const int64_t *t, const int64_t *in, const int64_t *stride, const int64_t *dilation,
          const int64_t (*padding)[2], int64_t at[FC_SPATIAL]) {
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        at[axis] = o[axis] * stride[axis] + t[axis] * dilation[axis] - padding[axis][0];
        if (at[axis] < 0 || at[axis] >= in[axis])
            return 0;
    }
    return 1;
}
