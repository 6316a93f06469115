/* The choice of algorithm: the least estimated cost for one image.
 *
 * Batch size and threads are not looked at, so that an image's result has the same bits whatever surrounds it.
 */
#include "ops/choose.h"

static const fc_algorithm *const ALGORITHMS[FC_ALGORITHM_IDS] = {
    [FC_DIRECT] = &fc_direct_algorithm,
    [FC_IM2COL] = &fc_im2col_algorithm,
    [FC_WINOGRAD] = &fc_winograd_algorithm,
    [FC_DEPTHWISE] = &fc_depthwise_algorithm,
};

static int supports(const fc_algorithm *algorithm, const fc_problem *problem, int grad_weight) {
    return algorithm->supports(problem) && (!grad_weight || algorithm->supports_grad_weight);
}

static double cost_of(const fc_algorithm *algorithm, const fc_problem *problem, int grad_weight) {
    return grad_weight ? algorithm->grad_weight_cost(problem) : algorithm->forward_cost(problem);
}

static const fc_algorithm *choose(const fc_problem *problem, fc_algorithm_id id, int grad_weight) {
    if ((unsigned)id >= FC_ALGORITHM_IDS)
        return NULL;
    if (id != FC_AUTO && id != FC_EXACT)
        return supports(ALGORITHMS[id], problem, grad_weight) ? ALGORITHMS[id] : NULL;
    const fc_algorithm *best = NULL;
    double least = 0;
    for (int i = FC_EXACT + 1; i < FC_ALGORITHM_IDS; ++i) {
        if (!supports(ALGORITHMS[i], problem, grad_weight) || (id == FC_EXACT && !ALGORITHMS[i]->exact) ||
            (ALGORITHMS[i]->by_default && !ALGORITHMS[i]->by_default(problem)))
            continue;
        const double cost = cost_of(ALGORITHMS[i], problem, grad_weight);
        if (!best || cost < least) {
            best = ALGORITHMS[i];
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

double fc_algorithm_cost(const fc_problem *problem, fc_algorithm_id id, int grad_weight) {
    return supports(ALGORITHMS[id], problem, grad_weight) ? cost_of(ALGORITHMS[id], problem, grad_weight) : 0;
}

const fc_algorithm *fc_choose_forward(const fc_problem *problem, fc_algorithm_id id) { return choose(problem, id, 0); }

const fc_algorithm *fc_choose_grad_weight(const fc_problem *problem, fc_algorithm_id id) {
    return choose(problem, id, 1);
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
