/* No instruction set assumed beyond the target's own: 16-byte vectors, SSE2 on x86-64, NEON registers on aarch64.
 * Multiply and add stay two instructions (-ffp-contract=off), so that every baseline gives the same bits.
 */
#if defined(__SSE2__) && !defined(FC_EMULATED)
#include <emmintrin.h>
#define FC_SIMD_LARGER
#endif

#define FC_VECTOR_BYTES 16
#define fc_simd_fma_f32_baseline(a, b, c) ((a) * (b) + (c))
#define fc_simd_fma_f64_baseline(a, b, c) ((a) * (b) + (c))
#define fc_simd_larger_f32_baseline(x, best) _mm_max_ps(x, best)
#define fc_simd_larger_f64_baseline(x, best) _mm_max_pd(x, best)
