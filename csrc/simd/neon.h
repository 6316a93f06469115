/* aarch64 Advanced SIMD: 16-byte vectors, 32 registers, fused multiply-add. */
#include <arm_neon.h>

#define FC_VECTOR_BYTES 16
#define fc_simd_fma_f32_neon(a, b, c) vfmaq_f32(c, a, b)
#define fc_simd_fma_f64_neon(a, b, c) vfmaq_f64(c, a, b)
#define FC_KEEP_IN_REGISTER(x) "+w"(x)
