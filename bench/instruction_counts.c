/* Fixed small problems, each in a function of its own, for callgrind to count the instructions of.
 *
 * One thread, AVX2 where the machine has it (valgrind knows no AVX-512), else the baseline. Whole calls are counted:
 * checks, choice, packing and scratch memory too.
 */
#include "fastconv_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1, C = 16, K = 24, H = 14, W = 15, R = 3 };

static float x[N * C * H * W], w[K * C * R * R], y[N * K * H * W], g[N * K * H * W];
static double xd[N * C * H * W], wd[K * C * R * R], yd[N * K * H * W];
static int64_t indices[N * C * H * W];
static fc_options options;
static int isa;

static fc_tensor tensor(void *data, int64_t c, int64_t h, int64_t width) {
    return (fc_tensor){data, {N, c, 1, h, width}, {c * h * width, h * width, h * width, width, 1}};
}

static fc_tensor filters(void *data) { return (fc_tensor){data, {K, C, 1, R, R}, {C * R * R, R * R, R * R, R, 1}}; }

static const fc_conv_params SAME = {sizeof SAME, {1, 1, 1}, {1, 1, 1}, {{0, 0}, {1, 1}, {1, 1}}, 1, 0};
static const fc_pool_params POOL = {sizeof POOL, {1, 2, 2}, {1, 2, 2}, {1, 1, 1}, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, 0};
static const fc_lrn_params LRN = {sizeof LRN, 5, 5e-4, 0.75, 2.0};

static void must(fc_status status) {
    if (status != FC_OK) {
        fprintf(stderr, "%s\n", fc_status_string(status));
        exit(1);
    }
}

#define PROBLEM(name) __attribute__((noinline)) static void counted_##name(void)

static void forward(fc_algorithm_id algorithm, fc_dtype dtype, void *in, void *weights, void *out) {
    const fc_tensor input = tensor(in, C, H, W), output = tensor(out, K, H, W), weight = filters(weights);
    fc_options chosen = options;
    chosen.algorithm = algorithm;
    must(fc_conv_forward(dtype, &input, &weight, NULL, &SAME, &chosen, &output, NULL));
}

PROBLEM(conv_forward_direct) { forward(FC_DIRECT, FC_FLOAT32, x, w, y); }

PROBLEM(conv_forward_im2col) { forward(FC_IM2COL, FC_FLOAT32, x, w, y); }

PROBLEM(conv_forward_winograd) { forward(FC_WINOGRAD, FC_FLOAT32, x, w, y); }

PROBLEM(conv_forward_direct_f64) { forward(FC_DIRECT, FC_FLOAT64, xd, wd, yd); }

PROBLEM(conv_forward_im2col_f64) { forward(FC_IM2COL, FC_FLOAT64, xd, wd, yd); }

PROBLEM(conv_forward_tiny) {
    const fc_tensor input = {x, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}}, output = {y, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}};
    const fc_tensor weight = {w, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}};
    const fc_conv_params plain = FC_CONV_PARAMS_INIT;
    must(fc_conv_forward(FC_FLOAT32, &input, &weight, NULL, &plain, &options, &output, NULL));
}

PROBLEM(conv_grad_input) {
    const fc_tensor input = tensor(x, C, H, W), grad = tensor(g, K, H, W), weight = filters(w);
    must(fc_conv_grad_input(FC_FLOAT32, &grad, &weight, &SAME, &options, &input, NULL));
}

PROBLEM(conv_grad_weight) {
    const fc_tensor input = tensor(x, C, H, W), grad = tensor(g, K, H, W), weight = filters(w);
    must(fc_conv_grad_weight(FC_FLOAT32, &grad, &input, &SAME, &options, &weight, NULL));
}

PROBLEM(max_pool) {
    const fc_tensor input = tensor(x, C, H, W), output = tensor(y, C, H / 2, W / 2);
    must(fc_max_pool_forward(FC_FLOAT32, &input, &POOL, &options, &output, NULL, NULL));
}

PROBLEM(max_pool_indexed) {
    const fc_tensor input = tensor(x, C, H, W), output = tensor(y, C, H / 2, W / 2);
    const fc_tensor places = tensor(indices, C, H / 2, W / 2);
    must(fc_max_pool_forward(FC_FLOAT32, &input, &POOL, &options, &output, &places, NULL));
}

PROBLEM(avg_pool) {
    const fc_tensor input = tensor(x, C, H, W), output = tensor(y, C, H / 2, W / 2);
    must(fc_avg_pool_forward(FC_FLOAT32, &input, &POOL, &options, &output, NULL));
}

PROBLEM(avg_pool_backward) {
    const fc_tensor grad = tensor(y, C, H / 2, W / 2), input = tensor(x, C, H, W);
    must(fc_avg_pool_backward(FC_FLOAT32, &grad, &POOL, &options, &input, NULL));
}

PROBLEM(local_response_norm) {
    const fc_tensor input = tensor(x, C, H, W), output = tensor(y, C, H, W);
    must(fc_lrn_forward(FC_FLOAT32, &input, &LRN, &options, &output, NULL));
}

PROBLEM(kernels) { /* every kernel of the table, in both dtypes */
    for (int dtype = 0; dtype < FC_DTYPES; ++dtype)
        for (int i = 0; i < fc_kernel_loads(isa, (fc_dtype)dtype); ++i) {
            fc_kernel_load load;
            must(fc_kernel_rounds(isa, (fc_dtype)dtype, i, 20, &load));
        }
}

int main(void) {
    for (isa = fc_isa_count() - 1; isa > 0; --isa)
        if (fc_isa_usable(isa) && strcmp(fc_isa_name(isa), "avx2") == 0)
            break;
    fc_options_init(&options);
    options.threads = 1;
    options.isa = isa;
    void (*const problems[])(void) = {
        counted_conv_forward_direct,
        counted_conv_forward_im2col,
        counted_conv_forward_winograd,
        counted_conv_forward_direct_f64,
        counted_conv_forward_im2col_f64,
        counted_conv_forward_tiny,
        counted_conv_grad_input,
        counted_conv_grad_weight,
        counted_max_pool,
        counted_max_pool_indexed,
        counted_avg_pool,
        counted_avg_pool_backward,
        counted_local_response_norm,
        counted_kernels,
    };
    for (size_t i = 0; i < sizeof problems / sizeof problems[0]; ++i)
        problems[i]();
    printf("%s\n", fc_isa_name(isa));
    return 0;
}
