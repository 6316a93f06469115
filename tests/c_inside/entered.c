/* Which functions of a library have been entered: a breakpoint at the first byte of each, taken away when it is met.
 *
 * x86 alone. Symbols tell where functions begin; nothing of the library is compiled otherwise for it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { BREAKPOINT = 0xCC, PAGE = 4096 };

static unsigned char **function, *first_byte, *met; /* functions by address */
static long functions;

static int compare(const void *a, const void *b) {
    const uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static void on_breakpoint(int signal, siginfo_t *info, void *context) {
    (void)info;
    greg_t *at = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    const unsigned char *key = (const unsigned char *)(uintptr_t)(*at - 1);
    unsigned char **found = bsearch(&key, function, (size_t)functions, sizeof *function, compare);
    if (!found) {
        raise(signal == SIGTRAP ? SIGABRT : signal);
        return;
    }
    met[found - function] = 1;
    **found = first_byte[found - function];
    *at -= 1;
}

/* Watches functions at ascending addresses; 0 where their pages may not be written. */
int watch(unsigned char **addresses, long count) {
    struct sigaction action = {.sa_sigaction = on_breakpoint, .sa_flags = SA_SIGINFO};
    function = malloc((size_t)count * sizeof *function);
    first_byte = malloc((size_t)count);
    met = calloc((size_t)count, 1);
    if (!function || !first_byte || !met || sigaction(SIGTRAP, &action, NULL) != 0)
        return 0;
    functions = count;
    for (long i = 0; i < count; ++i) {
        unsigned char *page = (unsigned char *)((uintptr_t)addresses[i] / PAGE * PAGE);
        if (mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
            return 0;
        function[i] = addresses[i];
        first_byte[i] = *addresses[i];
    }
    for (long i = 0; i < count; ++i)
        *function[i] = BREAKPOINT;
    return 1;
}

int entered(long i) { return met[i]; }
