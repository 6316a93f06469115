/* Transposed convolution: the gradient of a convolution in its input, with a bias. Five ways:
 *
 * In phases: a forward of grad_output with channels of the weights swapped and taps turned; with stride s it falls apart
 * into s problems an axis (one for each residue of the input position) of stride 1, each with every s-th tap: nothing is
 * multiplied by the zeros of a stretched grad_output. All at once, as a product and a sum of patches
 * (algorithms/col2im.h), where that costs less. In tiles of all phases by Winograd's algorithm, for 3x3 and 4x4 with
 * stride 2 (kernels/winograd_transposed.inc). Depthwise with stride 2, woven (algorithms/depthwise_grad_input.c). And a
 * dense layer as one product over all images (algorithms/dense.h).
 */
#include "ops/transposed.h"

#include "algorithms/col2im.h"
#include "algorithms/cost.h"
#include "algorithms/dense.h"
#include "algorithms/winograd.h"
#include "ops/choose.h"

#include <math.h>

typedef enum way { IN_PHASES, AT_ONCE, IN_TILES, WOVEN, DENSE } way;

/* Input positions residue, residue + stride, ... of one axis, as a stride-1 correlation of grad_output: the taps that
 * reach them are first, first + step, ... (0 to `taps` of them), in reverse. */
typedef struct phase_axis {
    int64_t taps, first, step, dilation, offset, positions;
} phase_axis;

static phase_axis phase_of(const fc_problem *whole, int axis, int64_t residue) {
    const int64_t stride = whole->stride[axis], dilation = whole->dilation[axis];
    phase_axis phase = {.positions = fc_ceil_div(whole->in_size[axis] - residue, stride)};
    /* Taps k with residue - offset - k * dilation divisible by stride; they repeat with a period of at most stride. */
    const int64_t most = fc_min(whole->kernel[axis], stride);
    int64_t first = 0;
    while (first < most && (residue - whole->offset[axis] - first * dilation) % stride != 0)
        ++first;
    if (first == most)
        return phase;
    int64_t step = 1;
    while (step < whole->kernel[axis] && step * dilation % stride != 0)
        ++step;
    phase.first = first;
    phase.step = step;
    phase.dilation = step * dilation / stride;
    phase.taps = fc_ceil_div(whole->kernel[axis] - first, step);
    phase.offset = (residue - whole->offset[axis] - first * dilation) / stride - (phase.taps - 1) * phase.dilation;
    return phase;
}

/* Input and output exchanged; `whole` is the forward problem that is being transposed. */
static fc_problem tile_problem(const fc_problem *whole) {
    fc_problem p = *whole;
    p.transposed = 1;
    p.in_channels = whole->out_channels;
    p.out_channels = whole->in_channels;
    p.x = whole->y;
    p.y = whole->x;
    p.w.in = whole->w.out;
    p.w.out = whole->w.in;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        p.in_size[axis] = whole->out_size[axis];
        p.out_size[axis] = whole->in_size[axis];
    }
    return p;
}

/* The forward problem of one phase. */
static fc_problem phase_problem(const fc_problem *whole, const int64_t residue[FC_SPATIAL]) {
    fc_problem p = tile_problem(whole);
    p.transposed = 0;
    p.plane_stride = 1;
    for (int axis = 0; axis < FC_SPATIAL; ++axis) {
        const phase_axis phase = phase_of(whole, axis, residue[axis]);
        p.out_size[axis] = phase.positions;
        p.kernel[axis] = phase.taps;
        p.stride[axis] = 1;
        p.dilation[axis] = fc_max(phase.dilation, 1);
        p.offset[axis] = phase.offset;
        p.y.data += residue[axis] * whole->x.axis[axis];
        p.y.axis[axis] = whole->stride[axis] * whole->x.axis[axis];
        p.w.data += (phase.first + (phase.taps - 1) * phase.step) * whole->w.axis[axis];
        p.w.axis[axis] = -phase.step * whole->w.axis[axis];
    }
    return p;
}

/* Steps to the next phase; 0 after the last. Phases beyond the input's end have no positions and are left out. */
static int next_phase(const fc_problem *whole, int64_t residue[FC_SPATIAL]) {
    for (int axis = FC_SPATIAL - 1; axis >= 0; --axis) {
        if (++residue[axis] < fc_min(whole->stride[axis], whole->in_size[axis]))
            return 1;
        residue[axis] = 0;
    }
    return 0;
}

/* What is asked for of each phase. With a stride, kernels differ from phase to phase: few would suit Winograd, and errors
 * would differ from one element to its neighbour. */
static fc_algorithm_id asked_of_phases(const fc_problem *whole, const fc_options *options) {
    int strided = 0;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        strided |= whole->stride[axis] > 1;
    return strided && options->algorithm == FC_AUTO ? FC_EXACT : options->algorithm;
}

/* Phases that are all done by direct and few enough for their weights to be packed together. */
enum { MOST_PHASES = 16 };
typedef struct phase_list {
    fc_problem problem[MOST_PHASES];
    int count;
} phase_list;

static int pack_together(const fc_problem *whole, fc_algorithm_id asked, phase_list *phases) {
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    if (fc_taps(whole) > FC_PHASE_TAPS || (whole->stride[0] == 1 && whole->stride[1] == 1 && whole->stride[2] == 1))
        return 0;
    phases->count = 0;
    do {
        const fc_problem p = phase_problem(whole, residue);
        if (fc_taps(&p) == 0)
            continue;
        if (phases->count == MOST_PHASES || fc_choose_forward(&p, asked) != &fc_direct_algorithm)
            return 0;
        phases->problem[phases->count++] = p;
    } while (next_phase(whole, residue));
    return phases->count > 1;
}

/* What they need: packed weights one after the other, then what the largest of them needs. */
static size_t together_bytes(const phase_list *phases, int threads) {
    size_t most = 0, all = 0;
    for (int i = 0; i < phases->count; ++i) {
        const size_t scratch = fc_direct_algorithm.forward_scratch_bytes(&phases->problem[i], phases, threads);
        const size_t bytes = fc_direct_algorithm.packed_bytes(&phases->problem[i]);
        most = scratch > most ? scratch : most;
        if (__builtin_add_overflow(all, bytes / 64 * 64 + 64, &all))
            return SIZE_MAX;
    }
    return __builtin_add_overflow(all, most, &all) ? SIZE_MAX : all;
}

static void run_together(const phase_list *phases, int threads, char *block) {
    char *packed[MOST_PHASES];
    for (int i = 0; i < phases->count; ++i) {
        packed[i] = block;
        block += fc_direct_algorithm.packed_bytes(&phases->problem[i]) / 64 * 64 + 64;
    }
    fc_direct_pack_phases(phases->problem, packed, phases->count, threads);
    for (int i = 0; i < phases->count; ++i)
        fc_direct_algorithm.forward(&phases->problem[i], packed[i], block, threads);
}

/* What a phase costs as an algorithm would do it, and what is dearer there than in a convolution. */
static double phase_cost(const fc_problem *p, const fc_algorithm *algorithm, fc_algorithm_id asked, int strided) {
    double cost = 0;
    if (algorithm)
        cost = FC_COST_PHASE + fc_algorithm_cost(p, fc_algorithm_id_of(algorithm), asked, 0);
    if (strided)
        cost += (p->y.channel % 4096 ? FC_COST_PHASE_STORE : FC_COST_PHASE_STORE + FC_COST_PHASE_CONFLICT) *
                (double)(p->groups * p->out_channels) * (double)fc_positions(p);
    return cost;
}

static double phases_cost(const fc_problem *whole, fc_algorithm_id asked) {
    double cost = 0, weights = 0; /* of those done by direct */
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    int together = fc_taps(whole) <= FC_PHASE_TAPS;
    do {
        const fc_problem p = phase_problem(whole, residue);
        const fc_algorithm *algorithm = fc_taps(&p) > 0 ? fc_choose_forward(&p, asked) : NULL;
        cost += phase_cost(&p, algorithm, asked, whole->stride[2] > 1);
        if (!algorithm)
            continue;
        if (algorithm == &fc_direct_algorithm)
            weights += (double)p.groups * (double)p.in_channels * (double)p.out_channels * (double)fc_taps(&p);
        else
            together = 0;
    } while (next_phase(whole, residue));
    return whole->stride[2] == 1 ? cost
                                 : cost + (together ? FC_COST_PHASE_WEIGHT_TOGETHER : FC_COST_PHASE_WEIGHT) * weights;
}

/* What a product and a sum of patches cost, which may stand for all phases; infinity where they may not. */
static double at_once_cost(const fc_problem *whole, fc_algorithm_id asked) {
    const int may = (asked == FC_IM2COL || asked == FC_AUTO || asked == FC_EXACT) && fc_col2im_supports(whole);
    return may ? fc_col2im_cost(whole) : INFINITY;
}

/* The same of tiles. */
static double tiles_cost(const fc_problem *whole, fc_algorithm_id asked) {
    if (whole->plane_stride == 1)
        return INFINITY;
    const fc_problem p = tile_problem(whole);
    if ((asked != FC_WINOGRAD && asked != FC_AUTO) || !fc_winograd_supports(&p) ||
        (asked == FC_AUTO && !fc_winograd_algorithm.by_default(&p)))
        return INFINITY;
    return fc_winograd_algorithm.forward_cost(&p);
}

typedef struct way_costs { /* infinity: may not, or not looked at */
    double at_once, tiles, phases;
} way_costs;

static way way_of(const fc_problem *whole, const fc_options *options, way_costs *costs) {
    *costs = (way_costs){INFINITY, INFINITY, INFINITY};
    if (!whole->finish.bias && fc_runs_dense(whole, options))
        return DENSE;
    if ((fc_is_policy(options) || options->algorithm == FC_DEPTHWISE) && fc_depthwise_fits_grad_input(whole))
        return WOVEN;
    const fc_algorithm_id asked = asked_of_phases(whole, options);
    costs->at_once = at_once_cost(whole, asked);
    costs->tiles = tiles_cost(whole, options->algorithm);
    if (isinf(costs->at_once) && isinf(costs->tiles))
        return IN_PHASES;
    if (options->algorithm != FC_WINOGRAD)
        costs->phases = phases_cost(whole, asked);
    return costs->tiles < fmin(costs->at_once, costs->phases) ? IN_TILES
           : costs->at_once < costs->phases                   ? AT_ONCE
                                                              : IN_PHASES;
}

/* What all phases need, or an algorithm that cannot do one. */
static fc_status plan_phases(const fc_problem *whole, fc_algorithm_id asked, int threads, size_t *bytes,
                             int *unreached) {
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    *unreached = 0;
    do {
        const fc_problem p = phase_problem(whole, residue);
        if (fc_taps(&p) == 0) {
            *unreached = 1;
            continue;
        }
        const fc_algorithm *algorithm = fc_choose_forward(&p, asked);
        if (!algorithm)
            return FC_UNSUPPORTED;
        const size_t needed = algorithm->forward_scratch_bytes(&p, NULL, threads);
        *bytes = needed > *bytes ? needed : *bytes;
    } while (next_phase(whole, residue));
    return FC_OK;
}

/* Fills one row of pixels, whose channels lie together, with the bias, or 0. */
static void fill_row_of_pixels(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_problem *p = context;
    const int64_t *size = p->out_size, row = task % size[1], depth = task / size[1] % size[0];
    char *pixels = p->y.data + task / size[1] / size[0] * p->y.batch + depth * p->y.axis[0] + row * p->y.axis[1];
    fc_fill_channels(p->kernels, pixels, p->y.axis[2], size[2], p->groups * p->out_channels, p->finish.bias,
                     p->finish.bias_stride);
}

/* Fills one plane of the output of a problem with its bias, or 0. */
static void fill_plane(void *context, int64_t task, int thread) {
    (void)thread;
    const fc_problem *p = context;
    const int64_t channels = p->groups * p->out_channels, channel = task % channels;
    char *plane = p->y.data + task / channels * p->y.batch + channel * p->y.channel;
    fc_fill_plane(p->kernels, plane, p->out_size, p->y.axis, fc_bias_of(&p->finish, channel));
}

/* Where some positions meet no tap. */
static void fill_with_bias(const fc_problem *whole, int threads) {
    fc_problem all = *whole;
    all.out_channels = whole->in_channels;
    all.y = whole->x;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        all.out_size[axis] = whole->in_size[axis];
    if (all.y.channel == all.kernels->itemsize && all.groups * all.out_channels > 1)
        fc_parallel(all.batch * all.out_size[0] * all.out_size[1], threads, fill_row_of_pixels, &all);
    else
        fc_parallel(all.batch * all.groups * all.out_channels, threads, fill_plane, &all);
}

static void run_phases(const fc_problem *whole, fc_algorithm_id asked, int threads, void *block) {
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    do {
        const fc_problem p = phase_problem(whole, residue);
        if (fc_taps(&p) > 0)
            fc_choose_forward(&p, asked)->forward(&p, NULL, block, threads);
    } while (next_phase(whole, residue));
}

/* One channel of a depthwise problem. */
static fc_problem plane_problem(const fc_problem *whole, int64_t group) {
    fc_problem plane = *whole;
    plane.groups = 1;
    plane.x.data += group * whole->x.group;
    plane.y.data += group * whole->y.group;
    plane.w.data += group * whole->w.group;
    if (plane.finish.bias)
        plane.finish.bias += group * whole->finish.bias_stride;
    return plane;
}

/* Those whose weights are not all finite, which are left out when phases are done at once. */
static void run_other_planes(const fc_problem *whole, int threads, int unreached, void *block) {
    for (int64_t group = 0; group < whole->groups; ++group) {
        const fc_problem plane = plane_problem(whole, group);
        if (fc_depthwise_weights_finite(&plane, plane.w.data, 1))
            continue;
        if (unreached)
            fill_with_bias(&plane, threads);
        run_phases(&plane, FC_DEPTHWISE, threads, block);
    }
}

static fc_status run_in_phases(const fc_problem *whole, fc_algorithm_id asked, int threads) {
    size_t bytes = 1;
    int unreached;
    const fc_status status = plan_phases(whole, asked, threads, &bytes, &unreached);
    if (status != FC_OK)
        return status;
    phase_list phases;
    const int together = pack_together(whole, asked, &phases);
    void *block = fc_scratch_take(together ? together_bytes(&phases, threads) : bytes);
    if (!block)
        return FC_OUT_OF_MEMORY;
    if (unreached)
        fill_with_bias(whole, threads);
    if (together)
        run_together(&phases, threads, block);
    else
        run_phases(whole, asked, threads, block);
    fc_scratch_give(block);
    return FC_OK;
}

static fc_status run_at_once(const fc_problem *whole, int threads) {
    void *block = fc_scratch_take(fc_col2im_scratch_bytes(whole, threads));
    if (!block)
        return FC_OUT_OF_MEMORY;
    fc_col2im_run(whole, block, threads);
    fc_scratch_give(block);
    return FC_OK;
}

static fc_status run_in_tiles(const fc_problem *whole, int threads) {
    const fc_problem p = tile_problem(whole);
    void *block = fc_scratch_take(fc_winograd_algorithm.forward_scratch_bytes(&p, NULL, threads));
    if (!block)
        return FC_OUT_OF_MEMORY;
    fc_winograd_algorithm.forward(&p, NULL, block, threads);
    fc_scratch_give(block);
    return FC_OK;
}

static fc_status run_woven(const fc_problem *whole, int threads) {
    const fc_problem plane = plane_problem(whole, 0);
    size_t bytes = fc_depthwise_grad_input_scratch_bytes(whole);
    int unreached;
    const fc_status status = plan_phases(&plane, FC_DEPTHWISE, threads, &bytes, &unreached);
    if (status != FC_OK)
        return status;
    void *block = fc_scratch_take(bytes);
    if (!block)
        return FC_OUT_OF_MEMORY;
    if (!fc_depthwise_grad_input_run(whole, block, threads))
        run_other_planes(whole, threads, unreached, block);
    fc_scratch_give(block);
    return FC_OK;
}

fc_status fc_run_transposed(const fc_problem *whole, const fc_options *options) {
    const int threads = fc_worthwhile_threads(whole, fc_threads_for(options));
    way_costs costs;
    switch (way_of(whole, options, &costs)) {
    case DENSE:
        fc_dense_grad_input(whole, threads);
        return FC_OK;
    case WOVEN:
        return run_woven(whole, threads);
    case AT_ONCE:
        return run_at_once(whole, threads);
    case IN_TILES:
        return run_in_tiles(whole, threads);
    default:
        return run_in_phases(whole, asked_of_phases(whole, options), threads);
    }
}

static void choose_tiles(const fc_problem *whole, int threads, fc_conv_choice *choice) {
    const fc_problem p = tile_problem(whole);
    const size_t bytes = fc_winograd_algorithm.forward_scratch_bytes(&p, NULL, threads);
    choice->algorithm = FC_WINOGRAD;
    choice->scratch_bytes = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    choice->packed_bytes = 0;
}

/* What the ways cost, each under the name of its algorithm, where phases were counted as so many convolutions. */
static void compare_ways(const fc_problem *whole, fc_algorithm_id asked, const way_costs *costs,
                         fc_conv_choice *choice) {
    static const fc_algorithm_id of_phases[] = {FC_DIRECT, FC_IM2COL};
    for (int i = 0; i < 2 && whole->plane_stride != 1; ++i)
        if (asked == FC_AUTO || asked == FC_EXACT || asked == of_phases[i])
            choice->cost[of_phases[i]] = phases_cost(whole, of_phases[i]);
    if (!isinf(costs->at_once))
        choice->cost[FC_IM2COL] = fmin(costs->at_once, choice->cost[FC_IM2COL]);
    if (!isinf(costs->tiles))
        choice->cost[FC_WINOGRAD] = costs->tiles;
}

fc_status fc_choose_transposed(const fc_problem *whole, const fc_options *options, fc_conv_choice *choice) {
    const int threads = fc_worthwhile_threads(whole, fc_threads_for(options));
    way_costs costs;
    const way way = way_of(whole, options, &costs);
    if (way == DENSE) {
        fc_choose_dense(whole, choice);
        return FC_OK;
    }
    const fc_algorithm_id asked = way == WOVEN      ? FC_DEPTHWISE
                                  : way == IN_TILES ? FC_EXACT /* phases beside it, to compare with */
                                                    : asked_of_phases(whole, options);
    double heaviest = -1;
    int64_t residue[FC_SPATIAL] = {0, 0, 0};
    do {
        const fc_problem p = phase_problem(whole, residue);
        const fc_status status = fc_taps(&p) > 0 ? fc_add_choice(&p, asked, 0, threads, choice, &heaviest) : FC_OK;
        if (status != FC_OK)
            return status;
    } while (next_phase(whole, residue));
    if (choice->algorithm == FC_AUTO) /* no tap meets the input: what is filled with zeros has no other name */
        choice->algorithm = FC_DIRECT;
    phase_list phases;
    if (way == IN_PHASES && pack_together(whole, asked, &phases)) {
        const size_t bytes = together_bytes(&phases, threads);
        choice->scratch_bytes = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    }
    if (way == WOVEN)
        choice->scratch_bytes = fc_max(choice->scratch_bytes, (int64_t)fc_depthwise_grad_input_scratch_bytes(whole));
    if (!isinf(costs.at_once) || !isinf(costs.tiles))
        compare_ways(whole, options->algorithm, &costs, choice);
    if (way == AT_ONCE) {
        choice->algorithm = FC_IM2COL;
        choice->scratch_bytes = (int64_t)fc_col2im_scratch_bytes(whole, threads);
        choice->packed_bytes = 0;
    }
    if (way == IN_TILES)
        choose_tiles(whole, threads, choice);
    return FC_OK;
}
