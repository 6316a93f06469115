/* A program that uses fastconv as a user's would: valid C99 and C++11, linked to what an installation carries.
 *
 * Reads an image (2, 3, 9, 8), filters (4, 3, 3, 3), biases (4) and a gradient (2, 4, 9, 8) of doubles from standard input.
 * Four threads then compute the same with one plan, and must agree; the results go to standard output: convolution, its
 * three gradients, the maxima of 3x3 windows two apart and their gradient. Then everything that a caller can get wrong must
 * come back as a status. Exits with 1, and says why, where anything else happens.
 */
#include <fastconv.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { N = 2, C = 3, H = 9, W = 8, K = 4, R = 3, PH = 4, PW = 3, THREADS = 4, RUNS = 50 };
enum { IMAGE = N * C * H * W, FILTERS = K * C * R * R, FEATURES = N * K * H * W, POOLED = N * K * PH * PW };

typedef struct inputs {
    double image[IMAGE], filters[FILTERS], bias[K], grad[FEATURES];
} inputs;

typedef struct results {
    double features[FEATURES], grad_image[IMAGE], grad_filters[FILTERS], grad_bias[K];
    double pooled[POOLED], grad_features[FEATURES];
} results;

static inputs in;
static fc_conv_plan *plan;

static fc_tensor tensor(const void *data, int64_t n, int64_t c, int64_t h, int64_t w) {
    fc_tensor t = {(void *)data, {n, c, 1, h, w}, {c * h * w, h * w, 0, w, 1}};
    return t;
}

static fc_conv_params same_size(void) {
    fc_conv_params params = FC_CONV_PARAMS_INIT;
    for (int axis = 1; axis < FC_SPATIAL; ++axis)
        params.padding[axis][0] = params.padding[axis][1] = R / 2;
    return params;
}

/* Returns the first status that is not FC_OK. */
static fc_status compute(results *out) {
    const fc_tensor image = tensor(in.image, N, C, H, W), filters = tensor(in.filters, K, C, R, R);
    const fc_tensor grad = tensor(in.grad, N, K, H, W), features = tensor(out->features, N, K, H, W);
    const fc_tensor grad_image = tensor(out->grad_image, N, C, H, W);
    const fc_tensor grad_filters = tensor(out->grad_filters, K, C, R, R);
    const fc_tensor pooled = tensor(out->pooled, N, K, PH, PW), grad_features = tensor(out->grad_features, N, K, H, W);
    const fc_vector bias = {in.bias, K, 1}, grad_bias = {out->grad_bias, K, 1};
    const fc_conv_params params = same_size();
    const fc_options options = FC_OPTIONS_INIT;
    int64_t places[POOLED];
    const fc_tensor indices = tensor(places, N, K, PH, PW);
    fc_pool_params windows = FC_POOL_PARAMS_INIT;
    for (int axis = 1; axis < FC_SPATIAL; ++axis) {
        windows.kernel[axis] = 3;
        windows.stride[axis] = 2;
    }
    fc_status status = fc_conv_plan_run(plan, &image, &bias, &features, NULL);
    if (status == FC_OK)
        status = fc_conv_grad_input(FC_FLOAT64, &grad, &filters, &params, &options, &grad_image, NULL);
    if (status == FC_OK)
        status = fc_conv_grad_weight(FC_FLOAT64, &grad, &image, &params, &options, &grad_filters, NULL);
    if (status == FC_OK)
        status = fc_conv_grad_bias(FC_FLOAT64, &grad, &options, &grad_bias);
    if (status == FC_OK)
        status = fc_max_pool_forward(FC_FLOAT64, &features, &windows, &options, &pooled, &indices, NULL);
    if (status == FC_OK)
        status = fc_max_pool_backward(FC_FLOAT64, &pooled, &indices, &windows, &options, &grad_features, NULL);
    return status;
}

static void *worker(void *out) {
    for (int run = 0; run < RUNS; ++run)
        if (compute((results *)out) != FC_OK)
            return out;
    return NULL;
}

static int expect(const char *what, fc_status status, fc_status expected) {
    if (status != expected)
        fprintf(stderr, "%s: %s, expected: %s\n", what, fc_status_string(status), fc_status_string(expected));
    return status != expected;
}

/* How many errors are not told as they should be. */
static int refusals(void) {
    double data[16] = {0};
    const fc_tensor image = tensor(data, 1, 1, 4, 4), filter = tensor(data, 1, 1, 3, 3),
                    output = tensor(data, 1, 1, 2, 2);
    const fc_tensor wrong = tensor(data, 1, 1, 3, 2), nowhere = tensor(NULL, 1, 1, 4, 4);
    fc_conv_params params = FC_CONV_PARAMS_INIT, unset = FC_CONV_PARAMS_INIT;
    fc_options options = FC_OPTIONS_INIT;
    fc_pool_params windows = FC_POOL_PARAMS_INIT;
    fc_conv_plan *none;
    fc_report report = {-1, 0};
    int bad = 0;
    unset.struct_size = 0;
    bad += expect("a null pointer", fc_conv_forward(FC_FLOAT64, NULL, &filter, NULL, &params, &options, &output, NULL),
                  FC_BAD_ARGUMENT);
    bad += expect("no data", fc_conv_forward(FC_FLOAT64, &nowhere, &filter, NULL, &params, &options, &output, NULL),
                  FC_BAD_ARGUMENT);
    bad += expect("no size", fc_conv_forward(FC_FLOAT64, &image, &filter, NULL, &unset, &options, &output, NULL),
                  FC_BAD_STRUCT);
    bad +=
        expect("a wrong size", fc_conv_forward(FC_FLOAT64, &image, &filter, NULL, &params, &options, &wrong, &report),
               FC_BAD_OUTPUT_SIZE);
    bad += report.axis != 1 || report.value != 2;
    params.stride[2] = 0;
    bad += expect("no stride", fc_conv_grad_input(FC_FLOAT64, &output, &filter, &params, &options, &image, &report),
                  FC_BAD_STRIDE);
    bad += report.axis != 2 || report.value != 0;
    bad += expect("a plan without a stride",
                  fc_conv_plan_create(FC_FLOAT64, &filter, &params, &options, &none, &report), FC_BAD_STRIDE);
    bad += none != NULL;
    windows.kernel[2] = 5;
    bad += expect("a window too large", fc_avg_pool_forward(FC_FLOAT64, &image, &windows, &options, &image, NULL),
                  FC_KERNEL_TOO_LARGE);
    return bad;
}

int main(void) {
    static results out[THREADS];
    pthread_t threads[THREADS];
    const fc_tensor filters = tensor(in.filters, K, C, R, R);
    const fc_conv_params params = same_size();
    const fc_options options = FC_OPTIONS_INIT;
    if (fc_abi_version() != FC_ABI_VERSION || fread(&in, sizeof in, 1, stdin) != 1)
        return 1;
    fc_set_num_threads(2);
    if (expect("a plan", fc_conv_plan_create(FC_FLOAT64, &filters, &params, &options, &plan, NULL), FC_OK))
        return 1;
    for (int i = 0; i < THREADS; ++i)
        if (pthread_create(&threads[i], NULL, worker, &out[i]) != 0)
            return 1;
    int failed = 0;
    for (int i = 0; i < THREADS; ++i) {
        void *failure;
        pthread_join(threads[i], &failure);
        failed += failure != NULL || memcmp(&out[i], &out[0], sizeof out[0]) != 0;
    }
    fc_conv_plan_free(plan);
    fc_clear_scratch();
    if (failed)
        fprintf(stderr, "%d of %d threads computed something else\n", failed, THREADS);
    if (failed || refusals() || fwrite(&out[0], sizeof out[0], 1, stdout) != 1)
        return 1;
    return 0;
}
