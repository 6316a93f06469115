/* The kernels for baseline, compiled with its flags alone. Tile of 4 x 2 vectors: 16 registers and separate multiplies hold no more. */
#include "kernels/kernels.h"
#include "simd/baseline.h"

#define FC_ISA baseline
#define FC_TILE_ROWS 4
#define FC_TILE_VECTORS 2
#include "kernels/instruction_set.inc"
