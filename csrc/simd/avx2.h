/* AVX2 with FMA: 32-byte vectors. */
#ifndef FC_EMULATED
#include <immintrin.h>
#define FC_SIMD_TRANSPOSE
#define FC_SIMD_LARGER
#define FC_SIMD_MASKED
#endif

#define FC_VECTOR_BYTES 32
#define fc_simd_fma_f32_avx2(a, b, c) _mm256_fmadd_ps(a, b, c)
#define fc_simd_fma_f64_avx2(a, b, c) _mm256_fmadd_pd(a, b, c)
#define fc_simd_larger_f32_avx2(x, best) _mm256_max_ps(x, best)
#define fc_simd_larger_f64_avx2(x, best) _mm256_max_pd(x, best)
#define fc_simd_load_masked_f32_avx2(at, mask) _mm256_maskload_ps((const float *)(at), (__m256i)(mask))
#define fc_simd_load_masked_f64_avx2(at, mask) _mm256_maskload_pd((const double *)(at), (__m256i)(mask))
#define FC_KEEP_IN_REGISTER(x) "+x"(x)

#ifdef FC_SIMD_TRANSPOSE
/* 16 bytes at `offset` of every `step`-th row, side by side. */
static inline __m256 fc_quarters_avx2(const char *const *rows, ptrdiff_t offset, int step) {
    const __m128 low = _mm_loadu_ps((const float *)(rows[0] + offset));
    return _mm256_insertf128_ps(_mm256_castps128_ps256(low), _mm_loadu_ps((const float *)(rows[step] + offset)), 1);
}

static inline void fc_simd_transpose_f32_avx2(char *dst, ptrdiff_t ldd, const char *const *rows, ptrdiff_t offset) {
    const __m256 r0 = fc_quarters_avx2(rows, offset, 4), r1 = fc_quarters_avx2(rows + 1, offset, 4);
    const __m256 r2 = fc_quarters_avx2(rows + 2, offset, 4), r3 = fc_quarters_avx2(rows + 3, offset, 4);
    const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(r0, r1)),
                  high01 = _mm256_castps_pd(_mm256_unpackhi_ps(r0, r1));
    const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(r2, r3)),
                  high23 = _mm256_castps_pd(_mm256_unpackhi_ps(r2, r3));
    _mm256_storeu_pd((double *)dst, _mm256_unpacklo_pd(low01, low23));
    _mm256_storeu_pd((double *)(dst + ldd), _mm256_unpackhi_pd(low01, low23));
    _mm256_storeu_pd((double *)(dst + 2 * ldd), _mm256_unpacklo_pd(high01, high23));
    _mm256_storeu_pd((double *)(dst + 3 * ldd), _mm256_unpackhi_pd(high01, high23));
}

static inline void fc_simd_transpose_f64_avx2(char *dst, ptrdiff_t ldd, const char *const *rows, ptrdiff_t offset) {
    const __m256d r0 = _mm256_castps_pd(fc_quarters_avx2(rows, offset, 2));
    const __m256d r1 = _mm256_castps_pd(fc_quarters_avx2(rows + 1, offset, 2));
    _mm256_storeu_pd((double *)dst, _mm256_unpacklo_pd(r0, r1));
    _mm256_storeu_pd((double *)(dst + ldd), _mm256_unpackhi_pd(r0, r1));
}
#endif
