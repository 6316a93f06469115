/* Which set of kernels runs: the table of instruction sets, the choice at start and the one made later.
 *
 * The choice falls on whole tables, never on single kernels: tile sizes and packed layouts differ between sets.
 */
#include "fastconv_private.h"
#include "runtime/runtime.h"

#include <stdatomic.h>

typedef struct instruction_set {
    const char *name;
    const fc_kernels *kernels[FC_DTYPES];
    int (*usable)(void);
} instruction_set;

#define FC_ISA(name, has) extern const fc_kernels fc_kernels_f32_##name, fc_kernels_f64_##name;
#include "runtime/isa_list.inc"
#undef FC_ISA

static const instruction_set SETS[] = {
#define FC_ISA(name, has) {#name, {&fc_kernels_f32_##name, &fc_kernels_f64_##name}, has},
#include "runtime/isa_list.inc"
#undef FC_ISA
};
enum { SET_COUNT = sizeof SETS / sizeof SETS[0] };

static atomic_int current = -1;

int fc_isa_count(void) { return SET_COUNT; }

const char *fc_isa_name(int isa) { return isa >= 0 && isa < SET_COUNT ? SETS[isa].name : NULL; }

/* Asked once: a hypervisor traps CPUID, and calls that name a set took 30 us longer. */
int fc_isa_usable(int isa) {
    enum { NOT_ASKED, NO, YES };
    static atomic_int answers[SET_COUNT];
    if (isa < 0 || isa >= SET_COUNT)
        return 0;
    int answer = atomic_load_explicit(&answers[isa], memory_order_relaxed);
    if (answer == NOT_ASKED) {
        answer = SETS[isa].usable() ? YES : NO;
        atomic_store_explicit(&answers[isa], answer, memory_order_relaxed);
    }
    return answer == YES;
}

int fc_isa_current(void) {
    int isa = atomic_load_explicit(&current, memory_order_relaxed);
    if (isa < 0) { /* first use: the highest set; whoever comes first, the answer is the same */
        for (isa = SET_COUNT - 1; !fc_isa_usable(isa); --isa)
            ;
        atomic_store_explicit(&current, isa, memory_order_relaxed);
    }
    return isa;
}

fc_status fc_isa_select(int isa) {
    if (!fc_isa_usable(isa))
        return FC_UNSUPPORTED;
    atomic_store_explicit(&current, isa, memory_order_relaxed);
    return FC_OK;
}

const fc_kernels *fc_kernels_for(int isa, fc_dtype dtype) {
    if (isa < 0)
        isa = fc_isa_current();
    else if (!fc_isa_usable(isa))
        return NULL;
    return (unsigned)dtype < FC_DTYPES ? SETS[isa].kernels[dtype] : NULL;
}

int fc_isa_lanes(int isa, fc_dtype dtype) {
    const fc_kernels *kernels = fc_kernels_for(isa, dtype);
    return kernels ? kernels->lanes : 0;
}

int64_t fc_fma_rounds(int isa, fc_dtype dtype, int64_t rounds) {
    const fc_kernels *kernels = fc_kernels_for(isa, dtype);
    return kernels ? kernels->fma_rounds(rounds) : 0;
}

fc_status fc_copy_rounds(int isa, void *dst, const void *src, int64_t bytes, int64_t rounds) {
    const fc_kernels *kernels = fc_kernels_for(isa, FC_FLOAT32);
    if (!kernels)
        return FC_UNSUPPORTED;
    const ptrdiff_t item = kernels->itemsize;
    for (int64_t i = 0; i < rounds; ++i)
        kernels->copy_matrix((fc_matrix){dst, 0, item}, (fc_matrix){(char *)src, 0, item}, 1, bytes / item);
    return FC_OK;
}
