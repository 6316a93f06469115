/* Maxima with indices: pool.c hands over what it has checked. */
#ifndef FC_POOL_INDEXED_H
#define FC_POOL_INDEXED_H

#include "ops/pool_pieces.h"

fc_status fc_pool_indexed(fc_pool_run *run, int threads);

#endif
