/* The only file that knows OpenMP: independent tasks over a team of threads.
 *
 * Tasks write disjoint outputs and sum in an order fixed by the problem, so that neither the number of threads nor the
 * schedule changes a bit; for the same reason every thread computes in the floating-point mode of its caller. One thread
 * or one task is a plain call: even an inactive parallel region costs 0.3 us. libgomp's team does not survive fork(): a
 * forked child runs serially.
 */
#include "fastconv_private.h"
#include "runtime/float_mode.h"
#include "runtime/runtime.h"

#include <stdatomic.h>

#ifdef _OPENMP
#include <omp.h>

#ifdef __SANITIZE_THREAD__ /* libgomp is not compiled with the sanitizer: what its team waits for has to be said */
#include <sanitizer/tsan_interface.h>
#define UNSEEN __attribute__((no_sanitize("thread")))
#define HAPPENED_BEFORE(place) __tsan_acquire(place)
#define HAPPENS_BEFORE(place) __tsan_release(place)
#else
#define UNSEEN
#define HAPPENED_BEFORE(place) (void)(place)
#define HAPPENS_BEFORE(place) (void)(place)
#endif

static atomic_int forked;

#ifndef _WIN32 /* which has no fork() */
#include <pthread.h>

static void in_child(void) { atomic_store(&forked, 1); }

__attribute__((constructor)) static void watch_fork(void) { pthread_atfork(NULL, NULL, in_child); }

static void *wait_for_gate(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* How many of `count` threads can be started, all at once. The C library keeps the stacks of threads that ended for those
 * to come, if they are large enough: LLVM's OpenMP asks for more than the default, by a KiB from thread to thread. */
static int startable(int count) {
    enum { MORE = 1 << 20 };
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t started[FC_MOST_THREADS];
    pthread_attr_t larger;
    size_t stack;
    int found = 0;
    if (pthread_attr_init(&larger) != 0)
        return 0;
    if (pthread_attr_getstacksize(&larger, &stack) == 0)
        pthread_attr_setstacksize(&larger, stack + MORE);
    pthread_mutex_lock(&gate);
    while (found < count && pthread_create(&started[found], &larger, wait_for_gate, &gate) == 0)
        ++found;
    pthread_mutex_unlock(&gate);
    pthread_attr_destroy(&larger);
    for (int i = 0; i < found; ++i)
        pthread_join(started[i], NULL);
    return found;
}
#else
static int startable(int count) { return count; }
#endif

int fc_has_openmp(void) { return 1; }

/* What the team of this thread has: itself, and those that its last call left waiting. */
typedef struct team {
    int size, spared; /* spared: calls in a row that wanted fewer */
} team;

/* The size of the team for a call on `threads` threads. A thread that cannot be started, for want of memory or processes,
 * would end the process: so what the team lacks is tried first, and the call makes do with what there is. A smaller team
 * would end threads that the next large call has to start again, ten times as long as waking them: those not wanted wait
 * instead, for a while. */
static int team_for(int threads) {
    enum { PATIENCE = 100 };
    static _Thread_local team own = {1, 0};
    if (threads > own.size)
        own.size += startable(threads - own.size);
    own.spared = threads < own.size ? own.spared + 1 : 0;
    if (own.spared > PATIENCE)
        own = (team){threads, 0};
    return own.size;
}
#else
#define UNSEEN

int fc_has_openmp(void) { return 0; }
#endif

static atomic_int chosen_threads; /* by whoever called fc_set_num_threads; 0: nobody did */
static atomic_int default_threads = 1;

/* At least one; more than can be had would end the process, not the call. */
static int bounded(int threads) { return threads < 1 ? 1 : threads < FC_MOST_THREADS ? threads : FC_MOST_THREADS; }

void fc_set_num_threads(int threads) { atomic_store_explicit(&chosen_threads, bounded(threads), memory_order_relaxed); }

void fc_set_default_threads(int threads) {
    atomic_store_explicit(&default_threads, bounded(threads), memory_order_relaxed);
}

/* The first that is there: what the call asks for, what the process was told, what was found as it started. The last
 * gives way to what this thread told OpenMP: so tools that bound the threads of all libraries bound ours. */
static int threads_asked(int threads) {
#ifdef _OPENMP
    if (atomic_load_explicit(&forked, memory_order_relaxed))
        return 1;
    if (threads < 1)
        threads = atomic_load_explicit(&chosen_threads, memory_order_relaxed);
    if (threads >= 1)
        return bounded(threads);
    const int found = atomic_load_explicit(&default_threads, memory_order_relaxed);
    return found > 1 && omp_get_max_threads() < found ? omp_get_max_threads() : found;
#else
    (void)threads;
    return 1;
#endif
}

int fc_get_num_threads(void) { return threads_asked(0); }

int fc_threads_for(const fc_options *options) { return threads_asked(options->threads); }

UNSEEN void fc_parallel(int64_t tasks, int threads, fc_task_fn fn, void *context) {
#ifdef _OPENMP
    if (threads > tasks)
        threads = (int)tasks;
    const int size = threads > 1 ? team_for(threads) : 1;
    if (size > 1) {
        const fc_float_mode mode = fc_float_mode_now();
        char begin, end; /* places in memory, for the sanitizer */
        _Atomic int64_t next = 0;
        HAPPENS_BEFORE(&begin);
#pragma omp parallel num_threads(size)
        {
            HAPPENED_BEFORE(&begin);
            const fc_float_mode before = fc_enter_float_mode(mode);
            const int thread = omp_get_thread_num();
            int64_t task;
            while (thread < threads && (task = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed)) < tasks)
                fn(context, task, thread);
            fc_enter_float_mode(before);
            HAPPENS_BEFORE(&end);
        }
        HAPPENED_BEFORE(&end);
        return;
    }
#else
    (void)threads;
#endif
    for (int64_t task = 0; task < tasks; ++task)
        fn(context, task, 0);
}
