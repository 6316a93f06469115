/* The transpose of a convolution: the gradient of its input, with a bias. */
#ifndef FC_TRANSPOSED_H
#define FC_TRANSPOSED_H

#include "algorithms/algorithm.h"

/* `whole` is the forward problem that is being transposed: x is written, y read, and finish is that of x, a bias alone. */
fc_status fc_run_transposed(const fc_problem *whole, const fc_options *options);
/* What would run, and what it takes; `choice` is empty before. */
fc_status fc_choose_transposed(const fc_problem *whole, const fc_options *options, fc_conv_choice *choice);

#endif
