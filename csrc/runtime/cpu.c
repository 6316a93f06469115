/* What this CPU and its operating system offer.
 *
 * CPUID tells what the core can execute, XCR0 whether the OS saves the registers it needs; both must agree. On aarch64
 * Advanced SIMD is part of the base architecture, nothing has to be asked.
 */
#include "fastconv_private.h"
#include "runtime/runtime.h"

int fc_cpu_has_baseline(void) { return 1; } /* what the compiler took for granted */

#ifdef FC_EMULATED /* a build for tests: every set is compiled for the plainest CPU */

int fc_cpu_has_avx2(void) { return 1; }

int fc_cpu_has_avx512(void) { return 1; }

const char *fc_cpu_features(void) { return "emulated"; }

#elif defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

enum { LEAF1_ECX_FMA = 1u << 12, LEAF1_ECX_OSXSAVE = 1u << 27, LEAF1_ECX_AVX = 1u << 28 };
enum {
    LEAF7_EBX_AVX2 = 1u << 5,
    LEAF7_EBX_AVX512F = 1u << 16,
    LEAF7_EBX_AVX512DQ = 1u << 17,
    LEAF7_EBX_AVX512BW = 1u << 30
};
#define LEAF7_EBX_AVX512VL (1u << 31)
enum { XCR0_YMM = 0x6, XCR0_ZMM = 0xe6 };

static unsigned leaf1_ecx(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) ? c : 0;
}

static unsigned leaf7_ebx(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) ? b : 0;
}

static int os_saves(unsigned state) {
    if (!(leaf1_ecx() & LEAF1_ECX_OSXSAVE))
        return 0;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return (low & state) == state;
}

int fc_cpu_has_avx2(void) {
    const unsigned need = LEAF1_ECX_FMA | LEAF1_ECX_AVX;
    return (leaf1_ecx() & need) == need && (leaf7_ebx() & LEAF7_EBX_AVX2) && os_saves(XCR0_YMM);
}

int fc_cpu_has_avx512(void) {
    const unsigned need = LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512VL;
    return fc_cpu_has_avx2() && (leaf7_ebx() & need) == need && os_saves(XCR0_ZMM);
}

const char *fc_cpu_features(void) {
    if (fc_cpu_has_avx512())
        return "sse2 avx2 fma avx512f avx512bw avx512dq avx512vl";
    return fc_cpu_has_avx2() ? "sse2 avx2 fma" : "sse2";
}

#else

int fc_cpu_has_avx2(void) { return 0; }

int fc_cpu_has_avx512(void) { return 0; }

const char *fc_cpu_features(void) {
#if defined(__aarch64__)
    return "asimd";
#else
    return "";
#endif
}

#endif
