/* The vector vocabulary of one dtype on one instruction set, included once for each (no include guard: a template).
 *
 * GCC and Clang vector extensions carry arithmetic, comparison and shuffles; what they lack or do badly (fused
 * multiply-add, a maximum that keeps NaN) comes from the set's own header as fc_simd_<operation>_<dtype>.
 * Loads and stores are unaligned; the `part` forms touch no byte outside of the lanes they are told.
 */
#define FC_LANES (FC_VECTOR_BYTES / FC_ITEM)
#define FC_SQUARE (16 / FC_ITEM) /* edge of the block that is transposed in 16-byte registers */

typedef FC_T FC_NAME(vector) __attribute__((vector_size(FC_VECTOR_BYTES)));
typedef FC_T FC_NAME(unaligned) __attribute__((vector_size(FC_VECTOR_BYTES), aligned(FC_ITEM), may_alias));
typedef FC_INT FC_NAME(mask) __attribute__((vector_size(FC_VECTOR_BYTES)));
typedef FC_T FC_NAME(quarter) __attribute__((vector_size(16)));
typedef FC_T FC_NAME(unaligned_quarter) __attribute__((vector_size(16), aligned(FC_ITEM), may_alias));
#define FC_V FC_NAME(vector)

static inline FC_V FC_NAME(zero)(void) { return (FC_V){0}; }

static inline FC_V FC_NAME(constant)(double value) { return (FC_T)value - FC_NAME(zero)(); }

static inline FC_V FC_NAME(load)(const char *at) { return *(const FC_NAME(unaligned) *)at; }

static inline void FC_NAME(store)(char *at, FC_V x) { *(FC_NAME(unaligned) *)at = x; }

static inline FC_V FC_NAME(broadcast)(const char *at) { return *(const FC_T *)at - FC_NAME(zero)(); }

static inline FC_V FC_NAME(load_part)(const char *at, ptrdiff_t lanes) {
    if (lanes == FC_LANES)
        return FC_NAME(load)(at);
    FC_T buffer[FC_LANES] = {0};
    for (ptrdiff_t i = 0; i < lanes; ++i)
        buffer[i] = ((const FC_T *)at)[i];
    return FC_NAME(load)((const char *)buffer);
}

static inline void FC_NAME(store_part)(char *at, FC_V x, ptrdiff_t lanes) {
    if (lanes == FC_LANES) {
        FC_NAME(store)(at, x);
        return;
    }
    FC_T buffer[FC_LANES];
    FC_NAME(store)((char *)buffer, x);
    for (ptrdiff_t i = 0; i < lanes; ++i)
        ((FC_T *)at)[i] = buffer[i];
}

/* One or two vectors, of which `left` elements belong there; over: those behind may be overwritten. */
static inline __attribute__((always_inline)) void FC_NAME(store_vectors)(char *at, const FC_V *x, int vectors,
                                                                         ptrdiff_t left, int over) {
    if (over || left >= vectors * FC_LANES) {
#pragma GCC unroll 2
        for (int i = 0; i < vectors; ++i)
            FC_NAME(store)(at + i * FC_VECTOR_BYTES, x[i]);
        return;
    }
    for (int i = 0; i < vectors && left > 0; ++i, left -= FC_LANES)
        FC_NAME(store_part)(at + i * FC_VECTOR_BYTES, x[i], left < FC_LANES ? left : FC_LANES);
}

/* x, which the compiler may not load anew for each use: lines that straddle are dear. */
static inline FC_V FC_NAME(loaded_once)(FC_V x) {
#if defined(FC_KEEP_IN_REGISTER) && !defined(FC_EMULATED)
    __asm__("" : FC_KEEP_IN_REGISTER(x));
#endif
    return x;
}

static inline FC_NAME(mask) FC_NAME(first_lanes)(ptrdiff_t count) {
    FC_NAME(mask) lane;
    for (int i = 0; i < FC_LANES; ++i)
        lane[i] = (FC_INT)i;
    return lane < (FC_INT)count - (FC_NAME(mask)){0};
}

/* x in the lanes of a mask, else y. */
static inline FC_V FC_NAME(kept)(FC_V x, FC_NAME(mask) mask, FC_V y) {
    return (FC_V)((mask & (FC_NAME(mask))x) | (~mask & (FC_NAME(mask))y));
}

/* The lanes of a mask, 0 in the others: those are not read. */
static inline FC_V FC_NAME(load_masked)(const char *at, FC_NAME(mask) mask) {
#ifdef FC_SIMD_MASKED
    return FC_NAME2(simd_load_masked, FC_DTYPE, FC_ISA)(at, mask);
#else
    FC_T buffer[FC_LANES];
    for (int i = 0; i < FC_LANES; ++i)
        buffer[i] = mask[i] ? ((const FC_T *)at)[i] : 0;
    return FC_NAME(load)((const char *)buffer);
#endif
}

static inline FC_V FC_NAME(load_if)(const char *at, FC_NAME(mask) mask, int masked) {
    return masked ? FC_NAME(load_masked)(at, mask) : FC_NAME(loaded_once)(FC_NAME(load)(at));
}

/* The mask of the lanes i with 0 <= first + i < size. */
static inline FC_NAME(mask) FC_NAME(lanes_within)(ptrdiff_t first, ptrdiff_t size) {
    typedef FC_INT unaligned_mask __attribute__((vector_size(FC_VECTOR_BYTES), aligned(FC_ITEM), may_alias));
    static const FC_INT from[2][FC_LANES] = {{[0 ... FC_LANES - 1] = 0}, {[0 ... FC_LANES - 1] = -1}};
    static const FC_INT until[2][FC_LANES] = {{[0 ... FC_LANES - 1] = -1}, {[0 ... FC_LANES - 1] = 0}};
    ptrdiff_t before = -first, left = size - first;
    before = before < 0 ? 0 : before > FC_LANES ? FC_LANES : before;
    left = left < 0 ? 0 : left > FC_LANES ? FC_LANES : left;
    return *(const unaligned_mask *)&from[0][FC_LANES - before] & *(const unaligned_mask *)&until[0][FC_LANES - left];
}

/* The first `lanes` of them, 1 to all, by pieces that overlap in place of a loop. */
static inline void FC_NAME(store_first)(char *at, FC_V x, ptrdiff_t lanes) {
    FC_T buffer[FC_LANES];
    const ptrdiff_t bytes = lanes * FC_ITEM;
    const char *first = (const char *)buffer, *last = first + bytes;
    FC_NAME(store)((char *)buffer, x);
    if (bytes == FC_VECTOR_BYTES) {
        FC_NAME(store)(at, x);
    } else if (FC_VECTOR_BYTES > 32 && bytes >= 32) {
        __builtin_memcpy(at, first, 32);
        __builtin_memcpy(at + bytes - 32, last - 32, 32);
    } else if (FC_VECTOR_BYTES > 16 && bytes >= 16) {
        __builtin_memcpy(at, first, 16);
        __builtin_memcpy(at + bytes - 16, last - 16, 16);
    } else if (bytes >= 8) {
        __builtin_memcpy(at, first, 8);
        __builtin_memcpy(at + bytes - 8, last - 8, 8);
    } else {
        __builtin_memcpy(at, first, FC_ITEM);
    }
}

#ifdef FC_EMULATED
/* The widths and tiles of a set on a CPU without it, for tests. Called: tiles would have a call for every lane else. */
static __attribute__((noinline)) FC_V FC_NAME(fma)(FC_V a, FC_V b, FC_V c) {
    FC_V sum = FC_NAME(zero)();
    for (int i = 0; i < FC_LANES; ++i)
        sum[i] = FC_ITEM == 4 ? (FC_T)__builtin_fmaf((float)a[i], (float)b[i], (float)c[i])
                              : (FC_T)__builtin_fma((double)a[i], (double)b[i], (double)c[i]);
    return sum;
}
#else
static inline FC_V FC_NAME(fma)(FC_V a, FC_V b, FC_V c) { return FC_NAME2(simd_fma, FC_DTYPE, FC_ISA)(a, b, c); }
#endif

static inline FC_V FC_NAME(select)(FC_NAME(mask) mask, FC_V yes, FC_V no) {
    return (FC_V)((mask & (FC_NAME(mask))yes) | (~mask & (FC_NAME(mask))no));
}

static inline FC_V FC_NAME(select_negative)(FC_V x, FC_V yes, FC_V no) {
    return FC_NAME(select)(x < FC_NAME(zero)(), yes, no);
}

static inline int FC_NAME(any_nan)(FC_V x) {
    const FC_NAME(mask) nan = x != x;
    FC_INT any = 0;
    for (int lane = 0; lane < FC_LANES; ++lane)
        any |= nan[lane];
    return any != 0;
}

/* The first of equal values stays, and a NaN in `best`; one in x is lost. One instruction where a set has it. */
static inline FC_V FC_NAME(larger)(FC_V best, FC_V x) {
#ifdef FC_SIMD_LARGER
    return FC_NAME2(simd_larger, FC_DTYPE, FC_ISA)(x, best);
#else
    return FC_NAME(select)(x > best, x, best);
#endif
}

/* The first of equal values stays; NaN, once met, stays. */
static inline FC_V FC_NAME(max)(FC_V best, FC_V x) { return FC_NAME(select)((x > best) | (x != x), x, best); }

static inline FC_T FC_NAME(max_scalar)(FC_T best, FC_T x) { return x > best || x != x ? x : best; }

#if defined(__clang__) || __GNUC__ >= 12
#define FC_SHUFFLE(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FC_SHUFFLE(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif

#if FC_VECTOR_BYTES / FC_ITEM == 16
#define FC_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define FC_EVEN_TO_END 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31
#define FC_NEXT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#define FC_ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define FC_ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define FC_PREVIOUS 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
#define FC_PREVIOUS2 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
#elif FC_VECTOR_BYTES / FC_ITEM == 8
#define FC_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define FC_EVEN_TO_END 0, 2, 4, 6, 9, 11, 13, 15
#define FC_NEXT 1, 2, 3, 4, 5, 6, 7, 8
#define FC_ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define FC_ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define FC_PREVIOUS 7, 8, 9, 10, 11, 12, 13, 14
#define FC_PREVIOUS2 6, 7, 8, 9, 10, 11, 12, 13
#elif FC_VECTOR_BYTES / FC_ITEM == 4
#define FC_EVEN 0, 2, 4, 6
#define FC_EVEN_TO_END 0, 2, 5, 7
#define FC_NEXT 1, 2, 3, 4
#define FC_ZIP_LOW 0, 4, 1, 5
#define FC_ZIP_HIGH 2, 6, 3, 7
#define FC_PREVIOUS 3, 4, 5, 6
#define FC_PREVIOUS2 2, 3, 4, 5
#else
#define FC_EVEN 0, 2
#define FC_EVEN_TO_END 0, 3
#define FC_NEXT 1, 2
#define FC_ZIP_LOW 0, 2
#define FC_ZIP_HIGH 1, 3
#define FC_PREVIOUS 1, 2
#define FC_PREVIOUS2 0, 1
#endif

/* Every second element, from 2 * FC_LANES elements at `at`. */
static inline FC_V FC_NAME(load_even)(const char *at) {
    return FC_SHUFFLE(FC_NAME(mask), FC_NAME(load)(at), FC_NAME(load)(at + FC_VECTOR_BYTES), FC_EVEN);
}

/* The same, from the 2 * FC_LANES - 1 elements that hold them. */
static inline FC_V FC_NAME(load_even_to_end)(const char *at) {
    return FC_SHUFFLE(FC_NAME(mask), FC_NAME(load)(at), FC_NAME(load)(at + FC_VECTOR_BYTES - FC_ITEM), FC_EVEN_TO_END);
}

/* Elements one lane down, one up, or two: the first of `next`, the last of `before` fill the gap. */
static inline FC_V FC_NAME(move_down)(FC_V x, FC_V next) { return FC_SHUFFLE(FC_NAME(mask), x, next, FC_NEXT); }

static inline FC_V FC_NAME(move_up)(FC_V x, FC_V before) { return FC_SHUFFLE(FC_NAME(mask), before, x, FC_PREVIOUS); }

static inline FC_V FC_NAME(move_up2)(FC_V x, FC_V before) { return FC_SHUFFLE(FC_NAME(mask), before, x, FC_PREVIOUS2); }

/* Two vectors whose elements alternate, in order. */
static inline FC_V FC_NAME(zip_low)(FC_V even, FC_V odd) { return FC_SHUFFLE(FC_NAME(mask), even, odd, FC_ZIP_LOW); }

static inline FC_V FC_NAME(zip_high)(FC_V even, FC_V odd) { return FC_SHUFFLE(FC_NAME(mask), even, odd, FC_ZIP_HIGH); }

/* Even and odd elements of two vectors by one shuffle within 16 bytes, where vectors are longer: not in order, which
 * `unpair` restores, by moving 8 bytes at a time. */
#if FC_VECTOR_BYTES == 16
#define FC_PAIRED_EVEN FC_EVEN
#if FC_ITEM == 4
#define FC_PAIRED_ODD 1, 3, 5, 7
#define FC_PAIRED_BACK 4, 0, 1, 2
#else
#define FC_PAIRED_ODD 1, 3
#define FC_PAIRED_BACK 2, 0
#endif
#elif FC_VECTOR_BYTES == 32
#define FC_UNPAIR 0, 2, 1, 3
#define FC_PAIR 0, 2, 1, 3
#if FC_ITEM == 4
#define FC_PAIRED_EVEN 0, 2, 8, 10, 4, 6, 12, 14
#define FC_PAIRED_ODD 1, 3, 9, 11, 5, 7, 13, 15
#define FC_PAIRED_BACK 8, 0, 5, 2, 1, 4, 3, 6
#else
#define FC_PAIRED_EVEN 0, 4, 2, 6
#define FC_PAIRED_ODD 1, 5, 3, 7
#define FC_PAIRED_BACK 4, 2, 0, 1
#endif
#else
#define FC_UNPAIR 0, 2, 4, 6, 1, 3, 5, 7
#define FC_PAIR 0, 4, 1, 5, 2, 6, 3, 7
#if FC_ITEM == 4
#define FC_PAIRED_EVEN 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30
#define FC_PAIRED_ODD 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31
#define FC_PAIRED_BACK 16, 0, 13, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14
#else
#define FC_PAIRED_EVEN 0, 8, 2, 10, 4, 12, 6, 14
#define FC_PAIRED_ODD 1, 9, 3, 11, 5, 13, 7, 15
#define FC_PAIRED_BACK 8, 6, 0, 1, 2, 3, 4, 5
#endif
#endif

static inline FC_V FC_NAME(paired_even)(FC_V low, FC_V high) {
    return FC_SHUFFLE(FC_NAME(mask), low, high, FC_PAIRED_EVEN);
}

static inline FC_V FC_NAME(paired_odd)(FC_V low, FC_V high) {
    return FC_SHUFFLE(FC_NAME(mask), low, high, FC_PAIRED_ODD);
}

/* The sums of the lanes of FC_SQUARE vectors, a lane each: neighbours first, halves last. */
static inline FC_NAME(quarter) FC_NAME(sums_of_lanes)(const FC_V *x) {
    union {
        FC_V all;
        FC_NAME(quarter) part[FC_VECTOR_BYTES / 16];
    } sums;
#if FC_SQUARE == 4
    const FC_V low = FC_NAME(paired_even)(x[0], x[1]) + FC_NAME(paired_odd)(x[0], x[1]);
    const FC_V high = FC_NAME(paired_even)(x[2], x[3]) + FC_NAME(paired_odd)(x[2], x[3]);
    sums.all = FC_NAME(paired_even)(low, high) + FC_NAME(paired_odd)(low, high);
#else
    sums.all = FC_NAME(paired_even)(x[0], x[1]) + FC_NAME(paired_odd)(x[0], x[1]);
#endif
#pragma GCC unroll 2
    for (int half = FC_VECTOR_BYTES / 32; half > 0; half /= 2)
#pragma GCC unroll 2
        for (int i = 0; i < half; ++i)
            sums.part[i] += sums.part[i + half];
    return sums.part[0];
}

/* Odd elements moved on by one place of theirs, the first lane of `before` coming in. */
static inline FC_V FC_NAME(paired_back)(FC_V odds, FC_V before) {
    return FC_SHUFFLE(FC_NAME(mask), odds, before, FC_PAIRED_BACK);
}

static inline FC_V FC_NAME(unpair)(FC_V x) {
#ifdef FC_UNPAIR
    typedef int64_t pairs __attribute__((vector_size(FC_VECTOR_BYTES)));
    const pairs all = (pairs)x;
    return (FC_V)FC_SHUFFLE(pairs, all, all, FC_UNPAIR);
#else
    return x;
#endif
}

/* The order that `unpair` undoes. */
static inline FC_V FC_NAME(pair)(FC_V x) {
#ifdef FC_PAIR
    typedef int64_t pairs __attribute__((vector_size(FC_VECTOR_BYTES)));
    const pairs all = (pairs)x;
    return (FC_V)FC_SHUFFLE(pairs, all, all, FC_PAIR);
#else
    return x;
#endif
}

/* dst[i][m] = rows[m][offset + i] for a square of FC_SQUARE. */
static inline void FC_NAME(transpose_square)(char *dst, ptrdiff_t ldd, const char *const *rows, ptrdiff_t offset) {
    typedef FC_NAME(quarter) Q;
    typedef FC_NAME(unaligned_quarter) U;
    typedef FC_INT I __attribute__((vector_size(16), unused));
    const Q r0 = *(const U *)(rows[0] + offset), r1 = *(const U *)(rows[1] + offset);
#if FC_ITEM == 4
    const Q r2 = *(const U *)(rows[2] + offset), r3 = *(const U *)(rows[3] + offset);
    const Q t0 = FC_SHUFFLE(I, r0, r1, 0, 4, 1, 5), t1 = FC_SHUFFLE(I, r0, r1, 2, 6, 3, 7);
    const Q t2 = FC_SHUFFLE(I, r2, r3, 0, 4, 1, 5), t3 = FC_SHUFFLE(I, r2, r3, 2, 6, 3, 7);
    *(U *)dst = FC_SHUFFLE(I, t0, t2, 0, 1, 4, 5);
    *(U *)(dst + ldd) = FC_SHUFFLE(I, t0, t2, 2, 3, 6, 7);
    *(U *)(dst + 2 * ldd) = FC_SHUFFLE(I, t1, t3, 0, 1, 4, 5);
    *(U *)(dst + 3 * ldd) = FC_SHUFFLE(I, t1, t3, 2, 3, 6, 7);
#else
    *(U *)dst = FC_SHUFFLE(I, r0, r1, 0, 2);
    *(U *)(dst + ldd) = FC_SHUFFLE(I, r0, r1, 1, 3);
#endif
}

/* dst[i][m] = rows[m][offset + i] for FC_SQUARE columns i of FC_LANES rows m. */
static inline void FC_NAME(transpose_lanes)(char *dst, ptrdiff_t ldd, const char *const *rows, ptrdiff_t offset) {
#ifdef FC_SIMD_TRANSPOSE
    FC_NAME2(simd_transpose, FC_DTYPE, FC_ISA)(dst, ldd, rows, offset);
#else
    for (int m = 0; m < FC_LANES; m += FC_SQUARE)
        FC_NAME(transpose_square)(dst + m * FC_ITEM, ldd, rows + m, offset);
#endif
}
