/* One dense problem as the algorithms see it, and what an algorithm exports.
 *
 * Both engines read it: forward (y = correlate(x, w), finished by bias and activation) and grad_weight (w = sum over
 * batch and output positions of y * x). Flips, transposed weights, layouts and the phases of a strided gradient are
 * already in the strides: input position = output position * stride + tap * dilation + offset, and a position outside
 * of the input counts as 0. Strides are in bytes.
 */
#ifndef FC_ALGORITHM_H
#define FC_ALGORITHM_H

#include "runtime/runtime.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

typedef struct fc_image {
    char *data;
    ptrdiff_t batch, group, channel, axis[FC_SPATIAL];
} fc_image;

typedef struct fc_filters {
    char *data;
    ptrdiff_t group, out, in, axis[FC_SPATIAL];
} fc_filters;

typedef struct fc_problem {
    const fc_kernels *kernels;
    int64_t batch, groups, in_channels, out_channels; /* channels of one group */
    int64_t in_size[FC_SPATIAL], out_size[FC_SPATIAL], kernel[FC_SPATIAL];
    int64_t stride[FC_SPATIAL], dilation[FC_SPATIAL], offset[FC_SPATIAL];
    int64_t plane_stride; /* of height and width, 0 where they differ: as it was asked for, whatever the sizes */
    int transposed; /* output position = input position * stride + tap + offset: Winograd's algorithm alone does it */
    fc_image x, y;
    fc_filters w;
    fc_finish finish; /* forward; bias of group 0, output channel 0 */
} fc_problem;

/* scratch: what the run needs; threads: concurrent calls it is laid out for. Bits never depend on threads.
 * packed: weights as pack_weights left them, or NULL: the run packs its own. */
typedef struct fc_algorithm {
    const char *name;
    int exact;         /* computes plain sums of products */
    const char *needs; /* what the next two ask for, in words */
    int (*supports)(const fc_problem *problem);
    int (*by_default)(const fc_problem *problem); /* whether auto may take it; NULL: it always may */
    int supports_grad_weight;                     /* of those problems */
    int (*grad_weight_by_default)(const fc_problem *problem);
    double (*forward_cost)(const fc_problem *problem); /* estimated cycles of one image, one thread */
    size_t (*packed_bytes)(const fc_problem *problem); /* 0: weights are read as they lie */
    void (*pack_weights)(const fc_problem *problem, void *packed, int threads);
    size_t (*forward_scratch_bytes)(const fc_problem *problem, const void *packed, int threads);
    void (*forward)(const fc_problem *problem, const void *packed, void *scratch, int threads);
    double (*grad_weight_cost)(const fc_problem *problem);
    size_t (*grad_weight_scratch_bytes)(const fc_problem *problem, int threads);
    void (*grad_weight)(const fc_problem *problem, void *scratch, int threads);
} fc_algorithm;

extern const fc_algorithm fc_direct_algorithm, fc_im2col_algorithm, fc_winograd_algorithm, fc_depthwise_algorithm;

/* ---- phases of a strided gradient by direct: problems that differ in their taps and positions alone ---- */

enum { FC_PHASE_TAPS = 64 }; /* at the most, of all of them */
/* What pack_weights would leave of each; what lies together in memory is read once for all of them. */
void fc_direct_pack_phases(const fc_problem *phases, char *const *packed, int count, int threads);

/* ---- the transpose of a depthwise problem (depthwise_grad_input.c): x of `whole` is written, y read ---- */

int fc_depthwise_fits_grad_input(const fc_problem *whole);
size_t fc_depthwise_grad_input_scratch_bytes(const fc_problem *whole);
/* Returns whether all planes are done; those whose weights are not all finite are left out. */
int fc_depthwise_grad_input_run(const fc_problem *whole, void *scratch, int threads);
/* Whether the weights of some planes in a row are all finite; kernels of one depth. */
int fc_depthwise_weights_finite(const fc_problem *p, const char *weights, int64_t planes);

/* ---- geometry of a problem (problem.c) ---- */

static inline int64_t fc_min(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t fc_max(int64_t a, int64_t b) { return a > b ? a : b; }

static inline ptrdiff_t fc_magnitude(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

static inline int64_t fc_ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); } /* b > 0, any sign of a */
/* Of as few parts of at most `most` as there can be, of nearly equal size: how much the next one takes of `left` > 0. */
static inline int64_t fc_even_part(int64_t left, int64_t most) { return fc_ceil_div(left, fc_ceil_div(left, most)); }

/* In how many parts each of `tasks` tasks goes where they are too few for the threads; each part repeats some work. */
static inline int64_t fc_parts(int64_t tasks, int threads) {
    if (threads == 1 || tasks >= 2 * (int64_t)threads)
        return 1;
    return threads % tasks == 0 ? threads / tasks : fc_ceil_div(2 * (int64_t)threads, tasks);
}

static inline int64_t fc_round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

static inline int64_t fc_taps(const fc_problem *p) { return p->kernel[0] * p->kernel[1] * p->kernel[2]; }

static inline int64_t fc_positions(const fc_problem *p) { return p->out_size[0] * p->out_size[1] * p->out_size[2]; }

/* Whether the channels of a pixel lie together. */
static inline int fc_channels_last(const fc_problem *p, const fc_image *image) {
    return image->channel == p->kernels->itemsize;
}

/* Taps [begin, end) of an axis that meet the input at one output position. */
typedef struct fc_range {
    int64_t begin, end;
} fc_range;
fc_range fc_valid_taps(const fc_problem *p, int axis, int64_t position);
/* Output positions [begin, end) of an axis at which a tap meets the input. */
fc_range fc_valid_positions(const fc_problem *p, int axis, int64_t tap);

/* A run of output positions of one axis with the same valid taps. */
typedef struct fc_segment {
    fc_range positions, taps;
} fc_segment;
/* At most this many segments on an axis. */
int64_t fc_segment_bound(const fc_problem *p, int axis);
/* Fills `segments`, returns their number. */
int64_t fc_segments(const fc_problem *p, int axis, fc_segment *segments);

/* Along an axis: pairs of a position and a tap that meet the input, segments, and the taps of each of these in all. */
typedef struct fc_axis_counts {
    double met, segments, segment_taps;
} fc_axis_counts;
fc_axis_counts fc_count_axis(const fc_problem *p, int axis);

/* Offsets of channels x taps in the order channel, depth, height, width; returns their number. */
ptrdiff_t fc_fill_offsets(ptrdiff_t *table, int64_t channels, ptrdiff_t channel_stride, const fc_range taps[FC_SPATIAL],
                          const ptrdiff_t axis_stride[FC_SPATIAL]);

/* Where the bias of an output channel stands; NULL: there is none. */
static inline const char *fc_bias_of(const fc_finish *finish, int64_t channel) {
    return finish->bias ? finish->bias + channel * finish->bias_stride : NULL;
}

/* Sets `channels` channels of a row of an image that has them last, `pixels` a step apart, to a value each; NULL: to 0. */
void fc_fill_channels(const fc_kernels *kernels, char *row, ptrdiff_t step, int64_t pixels, int64_t channels,
                      const char *values, ptrdiff_t value_stride);

/* Sets a plane of an image, strides in bytes, to one value; NULL: to 0. */
void fc_fill_plane(const fc_kernels *kernels, char *plane, const int64_t size[FC_SPATIAL],
                   const ptrdiff_t axis[FC_SPATIAL], const char *value);

/* Channels of a block whose channels x taps is close to `target`, at least 1. */
int64_t fc_channel_block(int64_t channels, int64_t taps, int64_t target);

/* supports of an algorithm without limits */
int fc_supports_all(const fc_problem *p);

/* gemm_tiles for any number of rows, in tiles of nearly equal size: small ones are slow. What is finished is changed: a
 * copy would wait for what the caller has just stored in it. */
static inline void fc_run_tiles(const fc_kernels *kernels, int64_t rows, int64_t vectors, ptrdiff_t count,
                                const char *a, ptrdiff_t lda, const ptrdiff_t *oa, const char *b, const ptrdiff_t *ob,
                                char *c, ptrdiff_t ldc, int accumulate, fc_finish *finish) {
    const int64_t tiles = fc_ceil_div(rows, kernels->tile_rows), least = rows / tiles, larger = rows % tiles;
    const int64_t done = larger * (least + 1);
    if (larger > 0)
        kernels->gemm_tiles[least][vectors - 1](larger, count, a, lda, oa, b, ob, c, ldc, accumulate, finish);
    if (finish && finish->bias)
        finish->bias += done * finish->bias_stride;
    kernels->gemm_tiles[least - 1][vectors - 1](tiles - larger, count, a + done * lda, lda, oa, b, ob, c + done * ldc,
                                                ldc, accumulate, finish);
}

/* ---- panels: lanes that a tile holds ---- */

static inline int64_t fc_panel_count(const fc_kernels *kernels, int64_t lanes) {
    return fc_ceil_div(fc_ceil_div(lanes, kernels->lanes), kernels->tile_vectors);
}

/* Its lanes, whole vectors but for the last. They are dealt out evenly: a tile of one vector would wait for its loads. */
static inline fc_range fc_panel_lanes(const fc_kernels *kernels, int64_t lanes, int64_t panel) {
    const int64_t vectors = fc_ceil_div(lanes, kernels->lanes), panels = fc_panel_count(kernels, lanes);
    return (fc_range){vectors * panel / panels * kernels->lanes,
                      fc_min(vectors * (panel + 1) / panels * kernels->lanes, lanes)};
}

/* How many lines, `step` bytes apart, an L1 of 32 KiB and 8 ways holds: few where steps are multiples of large powers of
 * two, and with them of the bytes of a way. */
static inline int64_t fc_lines_that_fit(ptrdiff_t step) {
    enum { WAY = 4096, WAYS = 8, SETS = 64 };
    const int64_t power = step & -step;
    return WAYS * (power == 0 || power >= WAY ? 1 : fc_min(WAY / power, SETS));
}

/* ---- laying out one scratch block ---- */

/* a * b, or the largest number there is. */
static inline int64_t fc_product(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/* a + b, or the largest number there is; both >= 0. */
static inline int64_t fc_sum(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Counts bytes when base is NULL, hands out 64-byte aligned parts otherwise. What does not fit 64 bits counts as SIZE_MAX,
 * which no allocation will give. Under AddressSanitizer nothing behind a part may be touched. */
typedef struct fc_arena {
    char *base;
    size_t used;
} fc_arena;

#ifdef __SANITIZE_ADDRESS__
enum { FC_ARENA_GAP = 64 };
#else
enum { FC_ARENA_GAP = 0 };
#endif

static inline void *fc_arena_take(fc_arena *arena, int64_t count, size_t itemsize) {
    char *part = arena->base ? arena->base + arena->used : NULL;
    size_t bytes, all;
    if (__builtin_mul_overflow((size_t)count, itemsize, &bytes) ||
        __builtin_add_overflow(bytes, 127 + FC_ARENA_GAP, &all) ||
        __builtin_add_overflow(arena->used, all / 64 * 64, &arena->used))
        arena->used = SIZE_MAX;
#ifdef __SANITIZE_ADDRESS__
    if (part) { /* where another layout may have been */
        __asan_unpoison_memory_region(part, bytes);
        __asan_poison_memory_region(part + bytes, all / 64 * 64 - bytes);
    }
#endif
    return part;
}

#endif
