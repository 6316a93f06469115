/* Scratch memory: one block a call, kept for the next call in a small process-wide pool.
 *
 * Fresh pages cost more than the work of a small layer, so blocks are reused; the pool holds at most KEPT_BLOCKS of at
 * most KEPT_BYTES in all. Slots are exchanged atomically: no lock, so a fork in the middle of a call leaves none taken.
 */
#include "runtime/runtime.h"

#include <stdatomic.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#ifdef _WIN32 /* its C library lacks aligned_alloc, and frees such blocks by a function of their own */
#include <malloc.h>
#define TAKE_ALIGNED(alignment, bytes) _aligned_malloc(bytes, alignment)
#define GIVE_ALIGNED(block) _aligned_free(block)
#else
#define TAKE_ALIGNED(alignment, bytes) aligned_alloc(alignment, bytes)
#define GIVE_ALIGNED(block) free(block)
#endif

enum { KEPT_BLOCKS = 16, ALIGNMENT = 4096 };
#define KEPT_BYTES ((size_t)256 << 20)

static _Atomic(void *) pool[KEPT_BLOCKS];
static atomic_size_t kept; /* bytes in the pool */

/* Every block begins with its size, alone on the first lines of the page. */
enum { HEADER = 64 };

static size_t block_bytes(const void *base) { return *(const size_t *)base; }

/* Takes what a slot holds out of the pool. */
static void *empty_slot(int slot) {
    void *base = atomic_exchange(&pool[slot], NULL);
    if (base)
        atomic_fetch_sub(&kept, block_bytes(base));
    return base;
}

void *fc_scratch_take(size_t bytes) {
    if (bytes > SIZE_MAX / 2)
        return NULL;
    const size_t need = (bytes + HEADER + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *base = NULL;
    for (int i = 0; i < KEPT_BLOCKS && !base; ++i) {
        base = empty_slot(i);
        if (base && block_bytes(base) < need) {
            GIVE_ALIGNED(base); /* sizes settle at the largest in use */
            base = NULL;
        }
    }
    if (!base) {
        base = TAKE_ALIGNED(ALIGNMENT, need);
        if (!base)
            return NULL;
        *(size_t *)base = need;
    }
    return (char *)base + HEADER;
}

void fc_scratch_give(void *block) {
    if (!block)
        return;
    void *base = (char *)block - HEADER;
    const size_t bytes = block_bytes(base);
#ifdef __SANITIZE_ADDRESS__ /* which parts of it did not belong to, is forgotten */
    __asan_unpoison_memory_region(base, bytes);
#endif
    if (atomic_fetch_add(&kept, bytes) + bytes <= KEPT_BYTES)
        for (int i = 0; i < KEPT_BLOCKS; ++i) {
            void *empty = NULL;
            if (atomic_compare_exchange_strong(&pool[i], &empty, base))
                return;
        }
    atomic_fetch_sub(&kept, bytes);
    GIVE_ALIGNED(base);
}

void fc_clear_scratch(void) {
    for (int i = 0; i < KEPT_BLOCKS; ++i)
        GIVE_ALIGNED(empty_slot(i));
}

void *fc_memory_take(size_t bytes) {
    enum { LINE = 64 };
    return bytes > SIZE_MAX / 2 ? NULL : TAKE_ALIGNED(LINE, (bytes + LINE - 1) / LINE * LINE);
}

void fc_memory_give(void *memory) { GIVE_ALIGNED(memory); }
