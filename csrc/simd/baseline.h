/* No instruction set assumed beyond the target's own: 16-byte vectors, SSE2 on x86-64, NEON registers on aarch64.
 * Multiply and add stay two instructions (-ffp-contract=off), so that every baseline gives the same bits.
 */
#define FC_VECTOR_BYTES 16
#define fc_simd_fma_f32_baseline(a, b, c) ((a) * (b) + (c))
#define fc_simd_fma_f64_baseline(a, b, c) ((a) * (b) + (c))
