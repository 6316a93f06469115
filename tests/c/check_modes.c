/* The floating-point mode of a call's threads is that of its caller: rounded in another direction, results have the same
 * bits for any number of threads; and the mode is as it was when the call returns.
 */
#include "checks.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 32, SIZE = 32, IMAGE = CHANNELS * SIZE * SIZE, WEIGHTS = CHANNELS * CHANNELS * 9 };

static fc_tensor planes(float *data, int64_t n, int64_t size) {
    return (fc_tensor){data, {n, CHANNELS, 1, size, size}, {CHANNELS * size * size, size * size, size * size, size, 1}};
}

static void run(const fc_options *options, int threads, float *input, float *weight, float *output) {
    const fc_tensor x = planes(input, 1, SIZE), w = planes(weight, CHANNELS, 3), y = planes(output, 1, SIZE - 2);
    const fc_conv_params params = FC_CONV_PARAMS_INIT;
    fc_options own = *options;
    own.threads = threads;
    expect(fc_conv_forward(FC_FLOAT32, &x, &w, NULL, &params, &own, &y, NULL), FC_OK);
}

void check_modes(const fc_options *options) {
    const size_t bytes = sizeof(float) * IMAGE;
    float *input = malloc(bytes), *weight = malloc(sizeof(float) * WEIGHTS), *outputs[3];
    for (int i = 0; i < 3; ++i)
        outputs[i] = calloc(IMAGE, sizeof(float));
    for (int i = 0; i < IMAGE; ++i)
        input[i] = 1.0F / (float)(i % 97 + 3);
    for (int i = 0; i < WEIGHTS; ++i)
        weight[i] = 1.0F / (float)(i % 89 + 3);
    run(options, 1, input, weight, outputs[0]);
#ifdef FE_UPWARD
    const int nearest = fegetround();
    if (fesetround(FE_UPWARD) == 0) {
        run(options, 1, input, weight, outputs[1]);
        run(options, 4, input, weight, outputs[2]);
        if (fegetround() != FE_UPWARD)
            fail("the direction of rounding was changed");
        if (!memcmp(outputs[0], outputs[1], bytes))
            fail("the direction of rounding makes no difference");
        if (memcmp(outputs[1], outputs[2], bytes))
            fail("threads do not round as their caller does");
        fesetround(nearest);
    }
#endif
    fc_options flushing = *options;
    flushing.flush_denormal = 1;
    volatile float small = 1e-40F;
    for (int threads = 1; threads <= 4; threads += 3) {
        run(&flushing, threads, input, weight, outputs[1]);
        if (memcmp(outputs[0], outputs[1], bytes))
            fail("flushing changes numbers that are large enough");
        if (small * 1.0F == 0)
            fail("flushing outlives the call");
    }
    for (int i = 0; i < 3; ++i)
        free(outputs[i]);
    free(input);
    free(weight);
}
