/* Preloaded: lets the n-th allocation fail that chosen libraries ask for, and counts the bytes that they hold.
 *
 * Who asks is told by the return address. glibc alone, whose own functions stand behind these names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

extern void *__libc_malloc(size_t bytes), *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes), *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *block);

enum { MOST_PIECES = 64, MOST_BLOCKS = 4096 };

typedef struct piece {
    uintptr_t begin, end;
} piece;
static piece code[MOST_PIECES]; /* of the libraries that are watched */
static int pieces;

static atomic_long asked, failing; /* failing: which one, 0 for none */

/* Aligned blocks that are held. */
static atomic_flag busy = ATOMIC_FLAG_INIT;
static struct {
    void *address;
    size_t bytes;
} blocks[MOST_BLOCKS];
static int block_count;
static size_t held, peak;

static int add_pieces(struct dl_phdr_info *library, size_t size, void *name) {
    (void)size;
    if (strstr(library->dlpi_name, name))
        for (int i = 0; i < library->dlpi_phnum; ++i) {
            const ElfW(Phdr) *part = &library->dlpi_phdr[i];
            const uintptr_t begin = library->dlpi_addr + part->p_vaddr;
            if (part->p_type == PT_LOAD && part->p_flags & PF_X && pieces < MOST_PIECES)
                code[pieces++] = (piece){begin, begin + part->p_memsz};
        }
    return 0;
}

/* Watches the libraries whose path contains `name`, and no others; how many pieces of code they have. */
int watch_library(const char *name) {
    pieces = 0;
    dl_iterate_phdr(add_pieces, (void *)name);
    return pieces;
}

/* Counts anew; the n-th allocation from now fails, none for 0. */
void fail_at(long n) {
    atomic_store(&failing, n);
    atomic_store(&asked, 0);
    peak = held;
}

long allocations_asked(void) { return atomic_load(&asked); }

size_t bytes_held(void) { return held; }

size_t bytes_peak(void) { return peak; }

static int is_watched(const void *caller) {
    const uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < pieces; ++i)
        if (at >= code[i].begin && at < code[i].end)
            return 1;
    return 0;
}

static int fails(const void *caller) {
    if (!is_watched(caller) || atomic_fetch_add(&asked, 1) + 1 != atomic_load(&failing))
        return 0;
    errno = ENOMEM;
    return 1;
}

static void remember(void *block, size_t bytes) {
    while (atomic_flag_test_and_set(&busy))
        ;
    if (block_count < MOST_BLOCKS) {
        blocks[block_count].address = block;
        blocks[block_count++].bytes = bytes;
        held += bytes;
        peak = held > peak ? held : peak;
    }
    atomic_flag_clear(&busy);
}

static void forget(const void *block) {
    while (atomic_flag_test_and_set(&busy))
        ;
    for (int i = 0; i < block_count; ++i)
        if (blocks[i].address == block) {
            held -= blocks[i].bytes;
            blocks[i] = blocks[--block_count];
            break;
        }
    atomic_flag_clear(&busy);
}

void *malloc(size_t bytes) { return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes); }

void *calloc(size_t count, size_t bytes) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *block, size_t bytes) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(block, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    const void *caller = __builtin_return_address(0);
    void *block = fails(caller) ? NULL : __libc_memalign(alignment, bytes);
    if (block && is_watched(caller))
        remember(block, bytes);
    return block;
}

void free(void *block) {
    if (block && block_count)
        forget(block);
    __libc_free(block);
}
