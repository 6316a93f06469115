/* Which algorithm runs. */
#ifndef FC_CHOOSE_H
#define FC_CHOOSE_H

#include "algorithms/algorithm.h"

/* The algorithm asked for, or for a policy the cheapest; NULL if that is unknown or cannot do the problem. */
const fc_algorithm *fc_choose_forward(const fc_problem *problem, fc_algorithm_id id);
const fc_algorithm *fc_choose_grad_weight(const fc_problem *problem, fc_algorithm_id id);
fc_algorithm_id fc_algorithm_id_of(const fc_algorithm *algorithm);
/* Its estimate for one image, in vector multiply-adds; 0 if it cannot do the problem, or is not to where `asked`. */
double fc_algorithm_cost(const fc_problem *problem, fc_algorithm_id id, fc_algorithm_id asked, int grad_weight);
/* Threads worth waking for a problem. */
int fc_worthwhile_threads(const fc_problem *problem, int threads);

#endif
