/* The choice of algorithm: the least estimated cost for one image.
 *
 * Batch size and threads are not looked at, so that an image's result has the same bits whatever surrounds it.
 */
#include "ops/choose.h"

static const fc_algorithm *const ALGORITHMS[] = {&fc_direct, &fc_im2col};
enum { ALGORITHM_COUNT = sizeof ALGORITHMS / sizeof ALGORITHMS[0] };

static const fc_algorithm *choose(const fc_problem *problem, fc_algorithm_id id, int forward) {
    if (id == FC_DIRECT)
        return &fc_direct;
    if (id == FC_IM2COL)
        return &fc_im2col;
    if (id != FC_AUTO && id != FC_EXACT)
        return NULL;
    const fc_algorithm *best = NULL;
    double least = 0;
    for (int i = 0; i < ALGORITHM_COUNT; ++i) {
        const fc_algorithm *candidate = ALGORITHMS[i];
        const double cost = forward ? candidate->forward_cost(problem) : candidate->grad_weight_cost(problem);
        if (!best || cost < least) {
            best = candidate;
            least = cost;
        }
    }
    return best;
}

const fc_algorithm *fc_choose_forward(const fc_problem *problem, fc_algorithm_id id) { return choose(problem, id, 1); }

const fc_algorithm *fc_choose_grad_weight(const fc_problem *problem, fc_algorithm_id id) {
    return choose(problem, id, 0);
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
