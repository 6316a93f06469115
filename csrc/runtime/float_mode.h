/* How a thread computes: the control bits of its floating-point unit.
 *
 * Subnormal numbers take a hundred cycles an operation on many CPUs; x86 and ARM can be told to take them for zeros, one
 * thread at a time. On other CPUs the mode is the direction of rounding alone.
 */
#ifndef FC_FLOAT_MODE_H
#define FC_FLOAT_MODE_H

#include <stdint.h>

typedef uint64_t fc_float_mode;

#if defined(__SSE__)

enum {
    FC_FLUSHES = 0x8040,
    FC_MODE_STATUS = 0x3f
}; /* MXCSR: denormals are zero, flush to zero; exceptions seen so far */

static inline fc_float_mode fc_float_mode_now(void) { return __builtin_ia32_stmxcsr() & ~(unsigned)FC_MODE_STATUS; }

static inline void fc_set_float_mode(fc_float_mode mode) {
    __builtin_ia32_ldmxcsr((unsigned)mode | (__builtin_ia32_stmxcsr() & FC_MODE_STATUS));
}

#elif defined(__aarch64__)

enum { FC_FLUSHES = 1 << 24 }; /* FPCR.FZ: operands and results */

static inline fc_float_mode fc_float_mode_now(void) {
    fc_float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}

static inline void fc_set_float_mode(fc_float_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }

#else

#include <fenv.h>

enum { FC_FLUSHES = 0 };

static inline fc_float_mode fc_float_mode_now(void) { return (fc_float_mode)fegetround(); }

static inline void fc_set_float_mode(fc_float_mode mode) { fesetround((int)mode); }

#endif

/* Changes this thread's mode where it has to; returns the one to go back to. Writing is dearer than looking. */
static inline fc_float_mode fc_enter_float_mode(fc_float_mode mode) {
    const fc_float_mode before = fc_float_mode_now();
    if (mode != before)
        fc_set_float_mode(mode);
    return before;
}

#endif
