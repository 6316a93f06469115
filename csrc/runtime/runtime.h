/* What the floors above need of the machine: instruction sets, threads, scratch memory. */
#ifndef FC_RUNTIME_H
#define FC_RUNTIME_H

#include "kernels/kernels.h"

/* cpu.c: 1 when CPU and OS have the set. */
int fc_cpu_has_baseline(void);
int fc_cpu_has_avx2(void);
int fc_cpu_has_avx512(void);

/* dispatch.c: the kernels of a set, of the current one for isa < 0, NULL when it is not usable. */
const fc_kernels *fc_kernels_for(int isa, fc_dtype dtype);

/* threads.c */
typedef void (*fc_task_fn)(void *context, int64_t task, int thread);
/* Calls fn(context, task, thread) once for every task < tasks; thread < threads tells concurrent calls apart. */
void fc_parallel(int64_t tasks, int threads, fc_task_fn fn, void *context);
/* The number of threads a call may use: the option, or the process-wide number. */
int fc_threads_for(const fc_options *options);

/* scratch.c: one block a call, aligned to 64 bytes, NULL when memory is short. */
void *fc_scratch_take(size_t bytes);
void fc_scratch_give(void *block);
/* Memory that outlives a call, aligned likewise. */
void *fc_memory_take(size_t bytes);
void fc_memory_give(void *memory);

#endif
