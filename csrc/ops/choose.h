/* Which algorithm runs. */
#ifndef FC_CHOOSE_H
#define FC_CHOOSE_H

#include "algorithms/algorithm.h"

static inline int fc_is_policy(const fc_options *options) {
    return options->algorithm == FC_AUTO || options->algorithm == FC_EXACT;
}

/* The algorithm asked for, or for a policy the cheapest; NULL if that is unknown or cannot do the problem. */
const fc_algorithm *fc_choose_forward(const fc_problem *problem, fc_algorithm_id id);
const fc_algorithm *fc_choose_grad_weight(const fc_problem *problem, fc_algorithm_id id);
fc_algorithm_id fc_algorithm_id_of(const fc_algorithm *algorithm);
/* Its estimate for one image, in vector multiply-adds; 0 if it cannot do the problem, or is not to where `asked`. */
double fc_algorithm_cost(const fc_problem *problem, fc_algorithm_id id, fc_algorithm_id asked, int grad_weight);
/* Adds what a problem would run on, and what it takes; of several the one with the most work, `heaviest`, gives the name. */
fc_status fc_add_choice(const fc_problem *problem, fc_algorithm_id asked, int grad_weight, int threads,
                        fc_conv_choice *choice, double *heaviest);
/* Whether a gradient is computed as that of a dense layer, which it is. */
int fc_runs_dense(const fc_problem *problem, const fc_options *options);
void fc_choose_dense(const fc_problem *problem, fc_conv_choice *choice);
/* Taps that meet the input, over all output positions. */
double fc_valid_multiply_adds(const fc_problem *problem);
/* Threads worth waking for a problem. */
int fc_worthwhile_threads(const fc_problem *problem, int threads);

#endif
