/* The choice of algorithm: the least estimated cost for one image.
 *
 * Batch size and threads are not looked at, so that an image's result has the same bits whatever surrounds it.
 */
#include "ops/choose.h"

#include "algorithms/dense.h"

static const fc_algorithm *const ALGORITHMS[FC_ALGORITHM_IDS] = {
    [FC_DIRECT] = &fc_direct_algorithm,
    [FC_IM2COL] = &fc_im2col_algorithm,
    [FC_WINOGRAD] = &fc_winograd_algorithm,
    [FC_DEPTHWISE] = &fc_depthwise_algorithm,
};

static int supports(const fc_algorithm *algorithm, const fc_problem *problem, int grad_weight) {
    return algorithm->supports(problem) && (!grad_weight || algorithm->supports_grad_weight);
}

/* So few multiply-adds that a choice takes longer than what it could save: the least is what is set up soonest. */
static double tiny_cost(const fc_algorithm *algorithm, double multiply_adds) {
    return multiply_adds + (algorithm == &fc_im2col_algorithm ? 1 : 2);
}

static double cost_of(const fc_algorithm *algorithm, const fc_problem *problem, int grad_weight) {
    enum { TINY = 64 };
    const double multiply_adds = (double)problem->groups * (double)problem->in_channels *
                                 (double)problem->out_channels * (double)fc_taps(problem) *
                                 (double)fc_positions(problem);
    if (!grad_weight && multiply_adds <= TINY)
        return tiny_cost(algorithm, multiply_adds);
    return grad_weight ? algorithm->grad_weight_cost(problem) : algorithm->forward_cost(problem);
}

/* Whether a policy, or the algorithm itself, allows it. */
static int is_candidate(const fc_problem *problem, fc_algorithm_id id, fc_algorithm_id asked, int grad_weight) {
    const fc_algorithm *algorithm = ALGORITHMS[id];
    if (!supports(algorithm, problem, grad_weight))
        return 0;
    if (asked == FC_EXACT && !algorithm->exact)
        return 0;
    int (*by_default)(const fc_problem *) = grad_weight ? algorithm->grad_weight_by_default : algorithm->by_default;
    return id == asked || !by_default || by_default(problem);
}

static const fc_algorithm *choose(const fc_problem *problem, fc_algorithm_id asked, int grad_weight) {
    if ((unsigned)asked >= FC_ALGORITHM_IDS)
        return NULL;
    if (asked != FC_AUTO && asked != FC_EXACT)
        return supports(ALGORITHMS[asked], problem, grad_weight) ? ALGORITHMS[asked] : NULL;
    const fc_algorithm *best = NULL;
    double least = 0;
    for (int id = FC_EXACT + 1; id < FC_ALGORITHM_IDS; ++id) {
        if (!is_candidate(problem, (fc_algorithm_id)id, asked, grad_weight))
            continue;
        const double cost = cost_of(ALGORITHMS[id], problem, grad_weight);
        if (!best || cost < least) {
            best = ALGORITHMS[id];
            least = cost;
        }
    }
    return best;
}

fc_algorithm_id fc_algorithm_id_of(const fc_algorithm *algorithm) {
    int id = FC_EXACT + 1;
    while (ALGORITHMS[id] != algorithm)
        ++id;
    return (fc_algorithm_id)id;
}

const char *fc_algorithm_needs(fc_algorithm_id id) {
    return (unsigned)id < FC_ALGORITHM_IDS && ALGORITHMS[id] ? ALGORITHMS[id]->needs : NULL;
}

double fc_algorithm_cost(const fc_problem *problem, fc_algorithm_id id, fc_algorithm_id asked, int grad_weight) {
    return is_candidate(problem, id, asked, grad_weight) ? cost_of(ALGORITHMS[id], problem, grad_weight) : 0;
}

const fc_algorithm *fc_choose_forward(const fc_problem *problem, fc_algorithm_id id) { return choose(problem, id, 0); }

const fc_algorithm *fc_choose_grad_weight(const fc_problem *problem, fc_algorithm_id id) {
    return choose(problem, id, 1);
}

double fc_valid_multiply_adds(const fc_problem *p) {
    double all = (double)p->batch * (double)p->groups * (double)p->in_channels * (double)p->out_channels;
    for (int axis = 0; axis < FC_SPATIAL; ++axis)
        all *= fc_count_axis(p, axis).met;
    return all;
}

fc_status fc_add_choice(const fc_problem *p, fc_algorithm_id asked, int grad_weight, int threads,
                        fc_conv_choice *choice, double *heaviest) {
    const fc_algorithm *algorithm = grad_weight ? fc_choose_grad_weight(p, asked) : fc_choose_forward(p, asked);
    if (!algorithm)
        return FC_UNSUPPORTED;
    for (int id = FC_EXACT + 1; id < FC_ALGORITHM_IDS; ++id)
        choice->cost[id] += fc_algorithm_cost(p, (fc_algorithm_id)id, asked, grad_weight);
    const double multiply_adds = fc_valid_multiply_adds(p);
    choice->multiply_adds += multiply_adds;
    const size_t packed = grad_weight ? 0 : algorithm->packed_bytes(p);
    const size_t scratch = grad_weight ? algorithm->grad_weight_scratch_bytes(p, threads)
                                       : algorithm->forward_scratch_bytes(p, NULL, threads);
    const int64_t bytes = scratch > INT64_MAX ? INT64_MAX : (int64_t)scratch;
    choice->scratch_bytes = fc_max(choice->scratch_bytes, bytes);
    if (multiply_adds >= *heaviest) { /* of phases, the one with the most work gives the name */
        *heaviest = multiply_adds;
        choice->algorithm = fc_algorithm_id_of(algorithm);
        choice->packed_bytes = packed > INT64_MAX ? INT64_MAX : (int64_t)packed;
    }
    return FC_OK;
}

int fc_runs_dense(const fc_problem *problem, const fc_options *options) {
    return (fc_is_policy(options) || options->algorithm == FC_IM2COL) && fc_dense_supports(problem);
}

void fc_choose_dense(const fc_problem *problem, fc_conv_choice *choice) {
    choice->algorithm = FC_IM2COL;
    choice->multiply_adds = fc_valid_multiply_adds(problem);
    choice->cost[FC_IM2COL] = choice->multiply_adds / (double)fc_max(problem->batch, 1) / problem->kernels->lanes;
}

int fc_worthwhile_threads(const fc_problem *problem, int threads) {
    /* Waking a sleeping team costs 6 to 36 us, and milliseconds where cores are shared; a core does about 50 multiply-adds
     * a nanosecond at best: from 80 us on. */
    const double least = 4e6;
    const double work = (double)problem->batch * (double)problem->groups * (double)problem->in_channels *
                        (double)problem->out_channels * (double)fc_taps(problem) * (double)fc_positions(problem);
    const double most = 4 * work / least;
    return work < least ? 1 : most < threads ? (int)most : threads;
}
