/* AVX-512 (F, BW, DQ, VL): 64-byte vectors. */
#ifndef FC_EMULATED
#include <immintrin.h>
#define FC_SIMD_TRANSPOSE
#define FC_SIMD_LARGER
#define FC_SIMD_MASKED
#endif

#define FC_VECTOR_BYTES 64
#define fc_simd_fma_f32_avx512(a, b, c) _mm512_fmadd_ps(a, b, c)
#define fc_simd_fma_f64_avx512(a, b, c) _mm512_fmadd_pd(a, b, c)
#define fc_simd_larger_f32_avx512(x, best) _mm512_max_ps(x, best)
#define fc_simd_larger_f64_avx512(x, best) _mm512_max_pd(x, best)
#define fc_simd_load_masked_f32_avx512(at, mask) _mm512_maskz_loadu_ps(_mm512_movepi32_mask((__m512i)(mask)), at)
#define fc_simd_load_masked_f64_avx512(at, mask) _mm512_maskz_loadu_pd(_mm512_movepi64_mask((__m512i)(mask)), at)
#define FC_KEEP_IN_REGISTER(x) "+v"(x)

#ifdef FC_SIMD_TRANSPOSE
/* 16 bytes at `offset` of every `step`-th row, side by side. */
static inline __m512 fc_quarters_avx512(const char *const *rows, ptrdiff_t offset, int step) {
    __m512 x = _mm512_castps128_ps512(_mm_loadu_ps((const float *)(rows[0] + offset)));
    x = _mm512_insertf32x4(x, _mm_loadu_ps((const float *)(rows[step] + offset)), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps((const float *)(rows[2 * step] + offset)), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps((const float *)(rows[3 * step] + offset)), 3);
}

static inline void fc_simd_transpose_f32_avx512(char *dst, ptrdiff_t ldd, const char *const *rows, ptrdiff_t offset) {
    const __m512 r0 = fc_quarters_avx512(rows, offset, 4), r1 = fc_quarters_avx512(rows + 1, offset, 4);
    const __m512 r2 = fc_quarters_avx512(rows + 2, offset, 4), r3 = fc_quarters_avx512(rows + 3, offset, 4);
    const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r0, r1)),
                  high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r0, r1));
    const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r2, r3)),
                  high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r2, r3));
    _mm512_storeu_pd((double *)dst, _mm512_unpacklo_pd(low01, low23));
    _mm512_storeu_pd((double *)(dst + ldd), _mm512_unpackhi_pd(low01, low23));
    _mm512_storeu_pd((double *)(dst + 2 * ldd), _mm512_unpacklo_pd(high01, high23));
    _mm512_storeu_pd((double *)(dst + 3 * ldd), _mm512_unpackhi_pd(high01, high23));
}

static inline void fc_simd_transpose_f64_avx512(char *dst, ptrdiff_t ldd, const char *const *rows, ptrdiff_t offset) {
    const __m512d r0 = _mm512_castps_pd(fc_quarters_avx512(rows, offset, 2));
    const __m512d r1 = _mm512_castps_pd(fc_quarters_avx512(rows + 1, offset, 2));
    _mm512_storeu_pd((double *)dst, _mm512_unpacklo_pd(r0, r1));
    _mm512_storeu_pd((double *)(dst + ldd), _mm512_unpackhi_pd(r0, r1));
}
#endif
