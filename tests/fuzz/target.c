/* The C interface under libFuzzer: its bytes become a call of any op on arrays of any layout, now and then a senseless one.
 *
 * A call that is refused must leave its outputs as they were, one that makes sense must not be refused. Results are held
 * against plain loops in double (naive.c) by the bound of tests/tolerance.py, gaps between elements and whatever is read
 * must keep their bytes, and threads (threads.c) must change no bit. Everything else is AddressSanitizer's and
 * UndefinedBehaviorSanitizer's. Fresh scratch memory is full of NaN; the second run finds what the first one left.
 * FUZZ_TELL=1 prints each problem before it is run.
 */
#include "fuzz.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

const char *__asan_default_options(void) {
    return "max_malloc_fill_size=1073741824:malloc_fill_byte=255:allocator_may_return_null=1:max_allocation_size_mb="
           "256:"
           "quarantine_size_mb=32";
}

/* ---- numbers ---- */

static const uint8_t *next, *end;

int64_t draw(int64_t count) { return next < end ? *next++ % count : 0; }

int64_t draw_size(void) {
    const int64_t byte = draw(256);
    return 1 + (byte < 128 ? byte % 6 : byte < 224 ? byte % 20 : byte % 40);
}

int64_t draw_hostile(void) {
    static const int64_t some[] = {0,
                                   -1,
                                   -7,
                                   INT64_MIN,
                                   INT64_MAX,
                                   INT64_MAX - 1,
                                   (int64_t)1 << 31,
                                   (int64_t)1 << 32,
                                   (int64_t)1 << 40,
                                   ((int64_t)1 << 48) - 1,
                                   (int64_t)1 << 48,
                                   (int64_t)1 << 61,
                                   (int64_t)1 << 62};
    return some[draw(sizeof some / sizeof *some)];
}

/* ---- problems ---- */

int draw_image(int64_t size[FC_AXES], int64_t most) {
    const int rank = 1 + (int)draw(3);
    size[0] = draw(16) ? 1 + draw(4) : 0;
    size[1] = draw_size();
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        size[2 + axis] = axis < FC_SPATIAL - rank ? 1 : draw_size();
    while (elements_of(size) > most)
        for (int axis = 1; axis < FC_AXES; ++axis)
            size[axis] = (size[axis] + 1) / 2;
    return rank;
}

element type_of(const problem *p) { return p->dtype == FC_FLOAT64 ? FLOAT64 : FLOAT32; }

void spoil(const problem *p, int64_t *const numbers[], int count) {
    for (int64_t i = p->hostile ? 1 + draw(2) : 0; i > 0; --i)
        *numbers[draw(count)] = draw_hostile();
}

void disagree(problem *p, int64_t size[FC_AXES], int first) {
    if (!p->hostile || draw(4) < 3)
        return;
    int64_t *one = &size[draw(first)];
    const int64_t was = *one;
    *one = draw_hostile();
    if (*one != was)
        p->verdict = MUST_FAIL;
}

/* ---- memory ---- */

enum { MOST_ROOMS = 64 };
static void *rooms[MOST_ROOMS];
static int rooms_taken;

void *room(size_t bytes) {
    void *memory = rooms_taken < MOST_ROOMS ? calloc(bytes + 1, 1) : NULL;
    if (!memory)
        abort();
    return rooms[rooms_taken++] = memory;
}

static void leave_rooms(void) {
    while (rooms_taken > 0)
        free(rooms[--rooms_taken]);
}

int make_input(problem *p, int which, element type, const int64_t size[FC_AXES]) {
    p->arrays[which] = new_input(type, size, p->values);
    return 1;
}

int make_output(problem *p, int which, element type, const int64_t size[FC_AXES]) {
    if (!fits(size) && p->verdict != MUST_FAIL)
        return 0;
    p->arrays[which] = new_output(type, size);
    return 1;
}

dense dense_of(const array *a) {
    dense d;
    const int64_t count = elements_of(a->t.size);
    memcpy(d.size, a->t.size, sizeof d.size);
    d.at = room((size_t)count * sizeof *d.at);
    for (int64_t i = 0; i < count; ++i)
        d.at[i] = get(a, i);
    return d;
}

/* ---- telling ---- */

static void tell_numbers(const char *name, const int64_t *numbers, int count) {
    fprintf(stderr, " %s", name);
    for (int i = 0; i < count; ++i)
        fprintf(stderr, "%c%lld", i ? ',' : '=', (long long)numbers[i]);
}

static void tell(const problem *p) {
    static const char *const NAMES[ARRAYS] = {"x", "y", "weight", "bias", "indices", "z"};
    fprintf(stderr, "%s dtype=%d isa=%d algorithm=%d activation=%d slope=%g threads=%d values=%d verdict=%d\n",
            p->op->name, (int)p->dtype, p->options.isa, (int)p->options.algorithm, (int)p->options.activation,
            p->options.slope, p->options.threads, (int)p->values, (int)p->verdict);
    tell_numbers("conv: stride", p->conv.stride, 3), tell_numbers("dilation", p->conv.dilation, 3);
    tell_numbers("padding", p->conv.padding[0], 6), tell_numbers("groups", &p->conv.groups, 1);
    tell_numbers("flip", &p->conv.flip, 1), tell_numbers("kernel", p->kernel, 3);
    tell_numbers("\n pool: kernel", p->pool.kernel, 3), tell_numbers("stride", p->pool.stride, 3);
    tell_numbers("dilation", p->pool.dilation, 3), tell_numbers("padding", p->pool.padding[0], 6);
    tell_numbers("divisor", &p->pool.divisor_override, 1), tell_numbers("before", p->before, 3);
    fprintf(stderr, " ceil_mode=%d count_include_pad=%d windows=%d mode=%d lrn=%lld,%g,%g,%g\n", p->pool.ceil_mode,
            p->pool.count_include_pad, p->windows, (int)p->mode, (long long)p->lrn.size, p->lrn.alpha, p->lrn.beta,
            p->lrn.k);
    for (int i = 0; i < ARRAYS; ++i)
        if (p->arrays[i].block) {
            fprintf(stderr, " %s%s:", NAMES[i], p->arrays[i].written ? " (written)" : "");
            tell_numbers("size", p->arrays[i].t.size, FC_AXES), tell_numbers("stride", p->arrays[i].t.stride, FC_AXES);
            fprintf(stderr, " aligned=%d\n", (int)((uintptr_t)p->arrays[i].t.data % 64));
        }
}

static _Noreturn void fail(const problem *p, const char *what) {
    fprintf(stderr, "FAILED: %s\n", what);
    tell(p);
    abort();
}

/* ---- checks ---- */

/* How far a sum may be off: error_bound of tests/tolerance.py. */
static double bound_of(const sum *s, element type) {
    const double terms = s->terms + 2, single = terms * 0x1p-24, twice = terms * 0x1p-53;
    const double wide = twice / (1 - twice), own = type == FLOAT32 ? single / (1 - single) : wide;
    return (own + wide) * s->magnitude + terms * (type == FLOAT32 ? FLT_TRUE_MIN : DBL_TRUE_MIN);
}

static int is_close(double got, const sum *expected, element type) {
    if (!isfinite(expected->value))
        return isnan(expected->value) ? isnan(got) : got == expected->value;
    return fabs(got - expected->value) <= bound_of(expected, type);
}

static void compare(const problem *p, sum *expected[ARRAYS]) {
    for (int i = 0; i < ARRAYS; ++i) {
        const array *a = &p->arrays[i];
        for (int64_t j = 0; a->written && j < elements_of(a->t.size); ++j)
            if (!is_close(get(a, j), &expected[i][j], a->type)) {
                fprintf(stderr, "array %d, element %lld is %.17g; expected %.17g within %.3g (%g terms)\n", i,
                        (long long)j, get(a, j), expected[i][j].value, bound_of(&expected[i][j], a->type),
                        expected[i][j].terms);
                fail(p, "not what plain loops compute");
            }
    }
}

/* Whether all arrays are small enough for plain loops: huge ones repeat an element. */
static int is_small(const problem *p) {
    for (int i = 0; i < ARRAYS; ++i)
        if (p->arrays[i].block && !fits(p->arrays[i].t.size))
            return 0;
    return 1;
}

static void check_status(problem *p, fc_status status) {
    if (!fc_status_string(status) || (unsigned)status > FC_BAD_STRUCT)
        fail(p, "no status");
    if (status == FC_OK && p->verdict == MUST_FAIL)
        fail(p, "done, though it makes no sense");
    if (status != FC_OK && p->verdict == MUST_WORK) {
        fprintf(stderr, "status: %s\n", fc_status_string(status));
        fail(p, "refused, though it makes sense");
    }
    for (int i = 0; status != FC_OK && i < ARRAYS; ++i)
        if (p->arrays[i].written && !is_untouched(&p->arrays[i]))
            fail(p, "refused, and yet something is written");
}

static fc_status run(problem *p, int threads) {
    fc_options options = p->options;
    fc_report report = {-1, 0};
    options.threads = threads;
    const fc_status status = p->op->run(p, &options, &report);
    for (int i = 0; i < ARRAYS; ++i)
        if (p->arrays[i].block && !p->arrays[i].written && !is_untouched(&p->arrays[i]))
            fail(p, "an input is written");
    check_status(p, status);
    return status;
}

static void check_naive(problem *p) {
    sum *expected[ARRAYS] = {0};
    for (int i = 0; i < ARRAYS; ++i)
        if (p->arrays[i].written)
            expected[i] = room((size_t)elements_of(p->arrays[i].t.size) * sizeof(sum));
    if (!p->op->expect(p, expected))
        fail(p, "done, though a window is empty or an index is outside");
    compare(p, expected);
}

/* The same again on more threads: the same bits, and gaps are left alone. */
static void check_threads(problem *p) {
    char *first[ARRAYS];
    for (int i = 0; i < ARRAYS; ++i) {
        array *a = &p->arrays[i];
        if (!a->written)
            continue;
        first[i] = room(a->bytes);
        memcpy(first[i], a->block, a->bytes);
        memcpy(a->block, a->before, a->bytes);
    }
    if (run(p, p->options.threads) != FC_OK)
        fail(p, "refused on more threads");
    for (int i = 0; i < ARRAYS; ++i) {
        array *a = &p->arrays[i];
        if (a->written && memcmp(a->block, first[i], a->bytes))
            fail(p, "other bits on more threads");
        if (a->written && !gaps_are_untouched(a))
            fail(p, "written between elements");
    }
}

/* ---- one input ---- */

static void draw_options(problem *p) {
    static const double SLOPES[] = {0.25, 0, -0.5, 2};
    const fc_options plain = FC_OPTIONS_INIT;
    p->dtype = (fc_dtype)draw(2);
    p->options = plain;
    p->options.isa = (int)draw(fc_isa_count());
    p->options.threads = 2 + (int)draw(3);
    p->options.algorithm = (fc_algorithm_id)draw(FC_ALGORITHM_IDS);
    p->values = (values)draw(VALUES);
    p->hostile = draw(8) == 7;
    p->verdict = p->hostile ? MAY_WORK : MUST_WORK;
    if (draw(4) == 3) {
        p->options.activation = (fc_activation)draw(3);
        p->options.slope = SLOPES[draw(4)];
    }
    if (!fc_isa_usable(p->options.isa))
        p->options.isa = 0;
    if (p->hostile && draw(4) == 3) {
        int64_t wrong = draw(4);
        p->dtype = wrong == 0 ? (fc_dtype)2 : p->dtype;
        p->options.isa = wrong == 1 ? 99 : p->options.isa;
        p->options.algorithm = wrong == 2 ? FC_ALGORITHM_IDS : p->options.algorithm;
        p->options.activation = wrong == 3 ? (fc_activation)3 : p->options.activation;
    }
}

static const op *draw_op(void) {
    int64_t number = draw(CONV_OP_COUNT + POOL_OP_COUNT + OTHER_OP_COUNT);
    if (number < CONV_OP_COUNT)
        return &CONV_OPS[number];
    number -= CONV_OP_COUNT;
    return number < POOL_OP_COUNT ? &POOL_OPS[number] : &OTHER_OPS[number - POOL_OP_COUNT];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const fc_conv_params conv = FC_CONV_PARAMS_INIT;
    static const fc_pool_params pool = FC_POOL_PARAMS_INIT;
    static const fc_lrn_params lrn = FC_LRN_PARAMS_INIT;
    next = data;
    end = data + size;
    problem p = {.op = draw_op(), .conv = conv, .pool = pool, .lrn = lrn, .kernel = {1, 1, 1}};
    draw_options(&p);
    fc_clear_scratch();
    if (p.op->prepare(&p)) {
        if (getenv("FUZZ_TELL"))
            tell(&p);
        if (run(&p, 1) == FC_OK && is_small(&p)) {
            check_naive(&p);
            check_threads(&p);
        }
    }
    for (int i = 0; i < ARRAYS; ++i)
        free_array(&p.arrays[i]);
    leave_rooms();
    return 0;
}
