/* AVX-512 (F, BW, DQ, VL): 64-byte vectors. */
#ifndef FC_EMULATED
#include <immintrin.h>
#endif

#define FC_VECTOR_BYTES 64
#define fc_simd_fma_f32_avx512(a, b, c) _mm512_fmadd_ps(a, b, c)
#define fc_simd_fma_f64_avx512(a, b, c) _mm512_fmadd_pd(a, b, c)
#define FC_KEEP_IN_REGISTER(x) "+v"(x)
