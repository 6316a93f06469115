/* The kernels for avx2, compiled with its flags alone. Tile of 6 x 2 vectors: 12 sums, 2 vectors and 1 broadcast fill 15 of 16 registers; 12 cover a latency of 4 on two pipes. */
#include "kernels/kernels.h"
#include "simd/avx2.h"

#define FC_ISA avx2
#define FC_TILE_ROWS 6
#define FC_TILE_VECTORS 2
#include "kernels/instruction_set.inc"
