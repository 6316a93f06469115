/* Arrays whose layout the fuzzer draws: dense, channels last, or with strides of any sign, gaps, and, where they are only
 * read, repeated and overlapping elements. A block is exactly as long as its elements reach, so that AddressSanitizer sees
 * a byte too far; some begin an element late, to be aligned to no more than that.
 */
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUBBISH = 0xA5 };

static size_t item_size(element type) { return type == FLOAT32 ? 4 : 8; }

static void *taken(void *memory) {
    if (!memory)
        abort();
    return memory;
}

int fits(const int64_t size[FC_AXES]) {
    double elements = 1;
    for (int axis = 0; axis < FC_AXES; ++axis)
        elements *= (double)(size[axis] > 1 ? size[axis] : 1);
    return elements <= MOST_ELEMENTS;
}

static int64_t clipped(int64_t size) { return size < 0 ? 0 : size; }

/* Axes from the innermost to the outermost. */
static void draw_order(int order[FC_AXES]) {
    for (int i = 0; i < FC_AXES; ++i) {
        const int j = (int)draw(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

static void draw_strides(fc_tensor *t, int written) {
    static const int FIRST[FC_AXES] = {4, 3, 2, 1, 0}, LAST[FC_AXES] = {1, 4, 3, 2, 0};
    int order[FC_AXES] = {0};
    const int64_t kind = draw(8);
    if (kind < 3)
        memcpy(order, FIRST, sizeof order);
    else if (kind < 5)
        memcpy(order, LAST, sizeof order);
    else
        draw_order(order);
    int64_t stride = kind < 5 ? 1 : 1 + draw(3);
    for (int i = 0; i < FC_AXES; ++i) {
        int64_t *own = &t->stride[order[i]];
        const int64_t size = clipped(t->size[order[i]]), change = kind < 5 ? 0 : draw(16);
        *own = change & 1 ? -stride : stride;
        if (size <= 1 && change > 13) /* no offset needs it, but bytes times steps and padding must fit 64 bits */
            *own = draw_hostile() % ((int64_t)1 << 31);
        else if (!written && (change > 13 || size > MOST_ELEMENTS))
            *own = size > MOST_ELEMENTS ? 0 : draw(4);
        else if (size <= MOST_ELEMENTS)
            stride = stride * (size > 1 ? size : 1) + (change > 11 ? change - 11 : 0);
    }
}

/* First and last element, counted from that at [0, 0, 0, 0, 0]; a huge size has stride 0. */
static void reach(const fc_tensor *t, int64_t *first, int64_t *last) {
    *first = *last = 0;
    for (int axis = 0; axis < FC_AXES; ++axis) {
        const int64_t far = t->size[axis] > 1 ? (t->size[axis] - 1) * t->stride[axis] : 0;
        *(far < 0 ? first : last) += far;
    }
}

static array new_array(element type, const int64_t size[FC_AXES], int written) {
    array a = {.type = type, .written = written};
    int64_t first, last;
    int empty = 0;
    memcpy(a.t.size, size, sizeof a.t.size);
    if (written && !fits(size)) /* the call will be refused */
        memset(a.t.stride, 0, sizeof a.t.stride);
    else
        draw_strides(&a.t, written);
    reach(&a.t, &first, &last);
    for (int axis = 0; axis < FC_AXES; ++axis)
        empty |= size[axis] < 1;
    const size_t late = (size_t)draw(4) * item_size(type);
    a.bytes = late + (empty ? 0 : (size_t)(last - first + 1) * item_size(type));
    a.block = taken(malloc(a.bytes ? a.bytes : 1));
    a.before = taken(malloc(a.bytes ? a.bytes : 1));
    memset(a.block, RUBBISH, a.bytes);
    a.t.data = a.block + late - (empty ? 0 : first * (int64_t)item_size(type));
    if (size[0] == 0 && draw(2))
        a.t.data = NULL;
    return a;
}

/* ---- elements ---- */

static char *element_at(const array *a, int64_t number) {
    int64_t offset = 0;
    for (int axis = FC_AXES - 1; axis >= 0; --axis) {
        const int64_t at = number % a->t.size[axis];
        offset += at > 0 ? at * a->t.stride[axis] : 0;
        number /= a->t.size[axis];
    }
    return (char *)a->t.data + offset * (int64_t)item_size(a->type);
}

void set(array *a, int64_t number, double value) {
    void *at = element_at(a, number);
    if (a->type == FLOAT32)
        *(float *)at = (float)value;
    else if (a->type == FLOAT64)
        *(double *)at = value;
    else
        *(int64_t *)at = value >= 0x1p63 ? INT64_MAX : (int64_t)value;
}

double get(const array *a, int64_t number) {
    const void *at = element_at(a, number);
    if (a->type == INT64)
        return (double)*(const int64_t *)at;
    return a->type == FLOAT32 ? *(const float *)at : *(const double *)at;
}

static double value_of(uint32_t random, values kind) {
    switch (kind) {
    case QUARTERS:
        return (double)((int)(random >> 8) % 17 - 8) / 4;
    case TIES:
        return (double)((int)(random >> 8) % 3 - 1);
    case SPECIAL:
        if (random >> 24 < 6)
            return random >> 24 < 3 ? NAN : random >> 24 < 5 ? INFINITY : -INFINITY;
        return (double)((int)(random >> 8) % 17 - 8) / 4;
    default:
        return (double)random * 0x1p-31 - 1;
    }
}

array new_input(element type, const int64_t size[FC_AXES], values kind) {
    array a = new_array(type, size, 0);
    uint32_t state = (uint32_t)draw(256) * 2654435761u + 1;
    for (int64_t i = 0; fits(size) && i < elements_of(size); ++i) {
        state = state * 1664525u + 1013904223u;
        set(&a, i, value_of(state, kind));
    }
    memcpy(a.before, a.block, a.bytes);
    return a;
}

array new_output(element type, const int64_t size[FC_AXES]) {
    array a = new_array(type, size, 1);
    memcpy(a.before, a.block, a.bytes);
    return a;
}

int is_untouched(const array *a) { return !memcmp(a->block, a->before, a->bytes); }

int gaps_are_untouched(array *a) {
    for (int64_t i = 0; i < elements_of(a->t.size); ++i)
        memset(element_at(a, i), RUBBISH, item_size(a->type));
    return is_untouched(a);
}

void free_array(array *a) {
    free(a->block);
    free(a->before);
}
