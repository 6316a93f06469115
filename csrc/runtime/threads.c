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
#include <pthread.h>

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

static void in_child(void) { atomic_store(&forked, 1); }

__attribute__((constructor)) static void watch_fork(void) { pthread_atfork(NULL, NULL, in_child); }

int fc_has_openmp(void) { return 1; }
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
    if (threads > 1) {
        const fc_float_mode mode = fc_float_mode_now();
        char begin, end; /* places in memory, for the sanitizer */
        HAPPENS_BEFORE(&begin);
#pragma omp parallel num_threads(threads)
        {
            HAPPENED_BEFORE(&begin);
            const fc_float_mode before = fc_enter_float_mode(mode);
#pragma omp for schedule(dynamic, 1)
            for (int64_t task = 0; task < tasks; ++task)
                fn(context, task, omp_get_thread_num());
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
