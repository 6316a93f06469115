/* AVX2 with FMA: 32-byte vectors. */
#ifndef FC_EMULATED
#include <immintrin.h>
#endif

#define FC_VECTOR_BYTES 32
#define fc_simd_fma_f32_avx2(a, b, c) _mm256_fmadd_ps(a, b, c)
#define fc_simd_fma_f64_avx2(a, b, c) _mm256_fmadd_pd(a, b, c)
#define FC_KEEP_IN_REGISTER(x) "+x"(x)
