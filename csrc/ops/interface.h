/* What every public function does first, so that nothing a caller hands over can take the process down. */
#ifndef FC_INTERFACE_H
#define FC_INTERFACE_H

#include "fastconv.h"
#include "runtime/float_mode.h"

/* Leaves the function where something is missing. */
#define FC_NEED(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return FC_BAD_ARGUMENT;                                                                                    \
    } while (0)

/* An array with elements behind it, as far as can be told. */
static inline int fc_is_array(const fc_tensor *tensor) { return tensor && (tensor->data || tensor->size[0] == 0); }

/* Fills our struct of `size` bytes from a caller's, whose own size stands at its front. */
fc_status fc_adopt(void *ours, size_t size, const void *theirs);
/* Fills a caller's struct, which tells its size, from ours of `size` bytes. */
fc_status fc_hand_over(void *theirs, const void *ours, size_t size);

/* Makes a parameter, a pointer to a struct that may grow, point to one of this library's own size; leaves the function
 * where that cannot be. Nothing is copied for callers compiled with this header. */
#define FC_ADOPT(type, parameter)                                                                                      \
    FC_NEED(parameter);                                                                                                \
    FC_ADOPT_OR_NULL(type, parameter)

#define FC_ADOPT_OR_NULL(type, parameter)                                                                              \
    type own_##parameter;                                                                                              \
    do {                                                                                                               \
        if (parameter && parameter->struct_size != sizeof own_##parameter) {                                           \
            if (fc_adopt(&own_##parameter, sizeof own_##parameter, parameter) != FC_OK)                                \
                return FC_BAD_STRUCT;                                                                                  \
            parameter = &own_##parameter;                                                                              \
        }                                                                                                              \
    } while (0)

/* The same for the options of what computes. Until the function returns, this thread computes as they ask. */
#define FC_ADOPT_OPTIONS(options)                                                                                      \
    FC_ADOPT(fc_options, options);                                                                                     \
    __attribute__((cleanup(fc_leave_float_mode), unused)) fc_float_mode mode_before =                                  \
        fc_enter_float_mode(fc_float_mode_now() | (options->flush_denormal ? FC_FLUSHES : 0))

static inline void fc_leave_float_mode(const fc_float_mode *before) { fc_enter_float_mode(*before); }

#endif
