/* What fastconv's own Python and benchmarks ask of the library beside the public interface. Not installed, not promised:
 * it may change with every commit.
 */
#ifndef FASTCONV_PRIVATE_H
#define FASTCONV_PRIVATE_H

#include "fastconv.h"

/* What the CPU offers, as words between blanks. */
FC_API const char *fc_cpu_features(void);

/* How many threads a call uses that names no number in a process that names none; at most as many as OpenMP is told. */
FC_API void fc_set_default_threads(int threads);

/* Runs `rounds` rounds of independent multiply-adds in registers; returns their number. Time it: the arithmetic limit. */
FC_API int64_t fc_fma_rounds(int isa, fc_dtype dtype, int64_t rounds);

/* Copies `bytes` from src to dst `rounds` times with the vectors of a set. Time it: the limits of caches and memory. */
FC_API fc_status fc_copy_rounds(int isa, void *dst, const void *src, int64_t bytes, int64_t rounds);

/* One kernel of a set on a small problem hot in L1, `rounds` times over; `load` is told what one round does. */
typedef struct fc_kernel_load {
    const char *name;
    int rows, vectors; /* of a GEMM tile, else 0 */
    double flops, bytes;
} fc_kernel_load;
FC_API int fc_kernel_loads(int isa, fc_dtype dtype); /* how many there are */
FC_API fc_status fc_kernel_rounds(int isa, fc_dtype dtype, int index, int64_t rounds, fc_kernel_load *load);

#endif
