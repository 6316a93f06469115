/* Windows that hold all of the input: global pooling (pool_whole.c). */
#ifndef FC_POOL_WHOLE_H
#define FC_POOL_WHOLE_H

#include "ops/pool_pieces.h"

/* One window that holds all of the input becomes a column of it, if channels are side by side; returns whether planes lie
 * contiguous instead, and fc_pool_whole_planes is to run. */
int fc_pool_merge_whole(fc_pool_run *run);
void fc_pool_whole_planes(fc_pool_run *run, int threads);

#endif
