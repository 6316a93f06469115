/* runtime/threads.c as the fuzzer wants it: threads that take turns. Tasks run last to first, each as another thread than
 * its neighbours, so that what depends on their order or shares scratch memory differs from a run on one thread, and a
 * failure happens again. Every problem is worth its threads (the linker's --wrap).
 */
#include "runtime/runtime.h"

struct fc_problem;
int __wrap_fc_worthwhile_threads(const struct fc_problem *problem, int threads);
int __wrap_fc_elementwise_threads(const fc_tensor *tensor, const fc_options *options);

int fc_has_openmp(void) { return 1; }

int fc_get_num_threads(void) { return 1; }

void fc_set_num_threads(int threads) { (void)threads; }

int fc_threads_for(const fc_options *options) { return options->threads > 0 ? options->threads : 1; }

int __wrap_fc_worthwhile_threads(const struct fc_problem *problem, int threads) {
    (void)problem;
    return threads;
}

int __wrap_fc_elementwise_threads(const fc_tensor *tensor, const fc_options *options) {
    (void)tensor;
    return fc_threads_for(options);
}

void fc_parallel(int64_t tasks, int threads, fc_task_fn fn, void *context) {
    for (int64_t i = 0; i < tasks; ++i) {
        const int64_t task = threads > 1 ? tasks - 1 - i : i;
        fn(context, task, (int)(i % threads));
    }
}
