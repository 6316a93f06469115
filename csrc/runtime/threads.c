/* The only file that knows OpenMP: independent tasks over a team of threads.
 *
 * Tasks write disjoint outputs and sum in an order fixed by the problem, so that neither the number of threads nor the
 * schedule changes a bit. One thread or one task is a plain call: even an inactive parallel region costs 0.3 us.
 * libgomp's team does not survive fork(): a forked child runs serially.
 */
#include "runtime/runtime.h"

#include <stdatomic.h>

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>

static atomic_int forked;

static void in_child(void) { atomic_store(&forked, 1); }

__attribute__((constructor)) static void watch_fork(void) { pthread_atfork(NULL, NULL, in_child); }

int fc_has_openmp(void) { return 1; }
#else
int fc_has_openmp(void) { return 0; }
#endif

static atomic_int process_threads = 1;

int fc_get_num_threads(void) { return atomic_load_explicit(&process_threads, memory_order_relaxed); }

/* More than can be had would end the process, not the call. */
static int bounded(int threads) { return threads < FC_MOST_THREADS ? threads : FC_MOST_THREADS; }

void fc_set_num_threads(int threads) {
    atomic_store_explicit(&process_threads, threads < 1 ? 1 : bounded(threads), memory_order_relaxed);
}

int fc_threads_for(const fc_options *options) {
#ifdef _OPENMP
    if (atomic_load_explicit(&forked, memory_order_relaxed))
        return 1;
    return options->threads > 0 ? bounded(options->threads) : fc_get_num_threads();
#else
    (void)options;
    return 1;
#endif
}

void fc_parallel(int64_t tasks, int threads, fc_task_fn fn, void *context) {
#ifdef _OPENMP
    if (threads > tasks)
        threads = (int)tasks;
    if (threads > 1) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
        for (int64_t task = 0; task < tasks; ++task)
            fn(context, task, omp_get_thread_num());
        return;
    }
#else
    (void)threads;
#endif
    for (int64_t task = 0; task < tasks; ++task)
        fn(context, task, 0);
}
