/* The kernels for neon, compiled with its flags alone. Tile of 8 x 3 vectors: 24 sums, 3 vectors and 1 broadcast of 32 registers. */
#include "kernels/kernels.h"
#include "simd/neon.h"

#define FC_ISA neon
#define FC_TILE_ROWS 8
#define FC_TILE_VECTORS 3
#include "kernels/instruction_set.inc"
