/* fastconv: convolution and pooling on CPUs, forward and backward: the C contract.
 *
 * Every array is seen as (N, C, D, H, W); 1-D and 2-D problems have leading spatial axes of size 1. Layout is only a
 * matter of strides, counted in elements, of any sign, 0 included for arrays that are read. Functions check their
 * geometry before anything is written, report by status, never abort, keep no reference to what they were given, and
 * may be called from any thread. Results have the same bits for every number of threads.
 */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define FC_API __declspec(dllexport)
#else
#define FC_API __attribute__((visibility("default")))
#endif

#define FC_ABI_VERSION 1
#define FC_SPATIAL 3 /* spatial axes of every problem: depth, height, width */
#define FC_AXES (2 + FC_SPATIAL)

typedef enum fc_status {
    FC_OK = 0,
    FC_OUT_OF_MEMORY,
    FC_BAD_ARGUMENT,       /* a null pointer; an unknown dtype, algorithm or activation; packed weights for a policy */
    FC_BAD_STRIDE,         /* stride < 1 */
    FC_BAD_DILATION,       /* dilation < 1 */
    FC_BAD_PADDING,        /* padding < 0; in pooling also padding >= the dilated window */
    FC_BAD_KERNEL,         /* kernel size < 1 */
    FC_BAD_GROUPS,         /* groups < 1, or they do not divide the channels */
    FC_BAD_CHANNELS,       /* the channels of input, weight and output do not belong together */
    FC_BAD_BATCH,          /* input and output differ in N */
    FC_EMPTY_INPUT,        /* no channels or an empty spatial axis */
    FC_KERNEL_TOO_LARGE,   /* the dilated kernel exceeds the padded input: no output */
    FC_BAD_OUTPUT_SIZE,    /* output sizes that do not follow from the geometry */
    FC_BAD_INDEX,          /* a pooling index outside of its plane */
    FC_EMPTY_WINDOW,       /* a dilated pooling window that covers no input element */
    FC_BAD_OUTPUT_PADDING, /* output padding < 0, or not smaller than stride or dilation */
    FC_EMPTY_OUTPUT,       /* a transposed convolution whose padding takes away all of its output */
    FC_OVERFLOW,           /* a size or an offset leaves 64 bits */
    FC_UNSUPPORTED         /* the algorithm cannot do this problem, or the instruction set is not there */
} fc_status;

typedef enum fc_dtype { FC_FLOAT32 = 0, FC_FLOAT64 = 1, FC_DTYPES = 2 } fc_dtype;

typedef enum fc_activation { FC_IDENTITY = 0, FC_RELU = 1, FC_LEAKY_RELU = 2 } fc_activation;

/* FC_AUTO picks the fastest algorithm, FC_EXACT the fastest of those that compute plain sums of products. */
typedef enum fc_algorithm_id {
    FC_AUTO = 0,
    FC_EXACT = 1,
    FC_DIRECT = 2,
    FC_IM2COL = 3,
    FC_WINOGRAD = 4, /* kernels of 3x3, 5x5, or 3, 5, 7 along one axis; stride and dilation 1; forward and grad_input */
    FC_DEPTHWISE = 5, /* one input channel a group; forward and grad_input */
    FC_ALGORITHM_IDS = 6
} fc_algorithm_id;

/* An array: N, C, D, H, W. For convolution weights: output channels, input channels a group, D, H, W. */
typedef struct fc_tensor {
    void *data;
    int64_t size[FC_AXES];
    int64_t stride[FC_AXES]; /* in elements */
} fc_tensor;

typedef struct fc_vector {
    void *data; /* NULL: none */
    int64_t size, stride;
} fc_vector;

typedef struct fc_conv_params {
    int64_t stride[FC_SPATIAL], dilation[FC_SPATIAL], padding[FC_SPATIAL][2]; /* padding: before, after */
    int64_t groups;
    int flip; /* 1: true convolution, 0: cross-correlation */
} fc_conv_params;

typedef struct fc_pool_params {
    int64_t kernel[FC_SPATIAL], stride[FC_SPATIAL], dilation[FC_SPATIAL], padding[FC_SPATIAL][2];
    int ceil_mode;
    int count_include_pad;    /* average pooling: divide by the window clipped to the padded input */
    int64_t divisor_override; /* average pooling: divide by this instead, if not 0 */
} fc_pool_params;

typedef struct fc_options {
    int threads; /* 0: the process-wide number */
    int isa;     /* index into fc_isa_name, -1: the one chosen at start */
    fc_algorithm_id algorithm;
    fc_activation activation; /* forward only */
    double slope;             /* of FC_LEAKY_RELU */
    const void *packed;       /* fc_conv_forward: weights as fc_conv_pack left them for the algorithm, or NULL */
} fc_options;

/* Which axis and which value a status speaks of; `axis` is 0..2 (D, H, W) or -1. */
typedef struct fc_report {
    int axis;
    int64_t value;
} fc_report;

/* Options with every field at its default. */
FC_API void fc_options_init(fc_options *options);
FC_API const char *fc_status_string(fc_status status);
FC_API int fc_abi_version(void);

/* Spatial sizes of the output; they are what the ops below ask of their arrays. `report` may be NULL. */
FC_API fc_status fc_conv_output_size(const int64_t input[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                                     const fc_conv_params *params, int64_t output[FC_SPATIAL], fc_report *report);
FC_API fc_status fc_conv_transpose_output_size(const int64_t input[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                                               const fc_conv_params *params, const int64_t output_padding[FC_SPATIAL],
                                               int64_t output[FC_SPATIAL], fc_report *report);
FC_API fc_status fc_pool_output_size(const int64_t input[FC_SPATIAL], const fc_pool_params *params,
                                     int64_t output[FC_SPATIAL], fc_report *report);

/* output[n, k, o] = activation(bias[k] + sum over c, t of input[n, c, o * stride + t * dilation - padding] * weight[k, c, t]) */
FC_API fc_status fc_conv_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight, const fc_vector *bias,
                                 const fc_conv_params *params, const fc_options *options, const fc_tensor *output,
                                 fc_report *report);
/* Gradients of sum(output * grad_output), without activation. */
FC_API fc_status fc_conv_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                    const fc_conv_params *params, const fc_options *options,
                                    const fc_tensor *grad_input, fc_report *report);
FC_API fc_status fc_conv_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                     const fc_conv_params *params, const fc_options *options,
                                     const fc_tensor *grad_weight, fc_report *report);
FC_API fc_status fc_conv_grad_bias(fc_dtype dtype, const fc_tensor *grad_output, const fc_options *options,
                                   const fc_vector *grad_bias);

/* What runs for a problem, and what it takes; arrays need sizes alone. `pass`: one of those above. */
typedef enum fc_conv_pass { FC_FORWARD = 0, FC_GRAD_INPUT = 1, FC_GRAD_WEIGHT = 2 } fc_conv_pass;
typedef struct fc_conv_choice {
    fc_algorithm_id algorithm;
    double cost
        [FC_ALGORITHM_IDS]; /* estimates for one image, in vector multiply-adds; 0: cannot, may not here, or a policy */
    double multiply_adds;   /* of valid taps: padding is not multiplied */
    int64_t scratch_bytes;  /* of a call without packed weights */
    int64_t packed_bytes;   /* of the weights; 0: they are read as they lie */
} fc_conv_choice;
FC_API fc_status fc_conv_choose(fc_dtype dtype, fc_conv_pass pass, const fc_tensor *input, const fc_tensor *weight,
                                const fc_tensor *output, const fc_conv_params *params, const fc_options *options,
                                fc_conv_choice *choice, fc_report *report);
/* What a problem must be like for an algorithm, in words; NULL for a policy. Where it is not: FC_UNSUPPORTED. */
FC_API const char *fc_algorithm_needs(fc_algorithm_id id);
/* Weights as the forward pass of options->algorithm, no policy, wants them on options->isa: fc_conv_choice.packed_bytes
 * of them. They depend on nothing of the input but its channels. */
FC_API fc_status fc_conv_pack(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params,
                              const fc_options *options, void *packed);

/* The transpose of a convolution in its input, with a bias: `weight` is (input channels, output channels a group, ...).
 * Output padding is what the size of `output` has beyond what follows from the rest. */
FC_API fc_status fc_conv_transpose_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight,
                                           const fc_vector *bias, const fc_conv_params *params,
                                           const fc_options *options, const fc_tensor *output, fc_report *report);
FC_API fc_status fc_conv_transpose_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                              const fc_conv_params *params, const fc_options *options,
                                              const fc_tensor *grad_input, fc_report *report);
FC_API fc_status fc_conv_transpose_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                               const fc_conv_params *params, const fc_options *options,
                                               const fc_tensor *grad_weight, fc_report *report);

/* `indices` (int64 data, may be NULL): position of each maximum, flat in its D, H, W plane of the input. */
FC_API fc_status fc_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                                     const fc_options *options, const fc_tensor *output, const fc_tensor *indices,
                                     fc_report *report);
/* `params`: the windows, NULL if they are not known; they change nothing but how fast it is. Output sizes may be those
 * rounded down or up. */
FC_API fc_status fc_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                                      const fc_pool_params *params, const fc_options *options,
                                      const fc_tensor *grad_input, fc_report *report);
FC_API fc_status fc_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                                     const fc_options *options, const fc_tensor *output, fc_report *report);
FC_API fc_status fc_avg_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_pool_params *params,
                                      const fc_options *options, const fc_tensor *grad_input, fc_report *report);

/* Windows that cut each axis into as many parts as the output is long: part o is [o in / out, ceil((o + 1) in / out)).
 * The gradient of the maximum is fc_max_pool_backward. */
FC_API fc_status fc_adaptive_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                              const fc_tensor *output, const fc_tensor *indices, fc_report *report);
FC_API fc_status fc_adaptive_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                              const fc_tensor *output, fc_report *report);
FC_API fc_status fc_adaptive_avg_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_options *options,
                                               const fc_tensor *grad_input, fc_report *report);

/* Maximum over runs of input channels / output channels neighbours; `indices` (may be NULL): the channel of each. */
FC_API fc_status fc_channel_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                             const fc_tensor *output, const fc_tensor *indices, fc_report *report);
FC_API fc_status fc_channel_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                                              const fc_options *options, const fc_tensor *grad_input,
                                              fc_report *report);

/* output = input * (k + alpha / size * sum of squares of the channels from c - size / 2 to c + (size - 1) / 2) ^ -beta */
typedef struct fc_lrn_params {
    int64_t size;
    double alpha, beta, k;
} fc_lrn_params;
FC_API fc_status fc_lrn_forward(fc_dtype dtype, const fc_tensor *input, const fc_lrn_params *params,
                                const fc_options *options, const fc_tensor *output, fc_report *report);
FC_API fc_status fc_lrn_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                 const fc_lrn_params *params, const fc_options *options, const fc_tensor *grad_input,
                                 fc_report *report);

/* Patches as columns: `columns` has sizes (N, C * taps, 1, 1, output positions); col2im adds what overlaps. */
FC_API fc_status fc_im2col(fc_dtype dtype, const fc_tensor *input, const int64_t kernel[FC_SPATIAL],
                           const fc_conv_params *params, const fc_options *options, const fc_tensor *columns,
                           fc_report *report);
FC_API fc_status fc_col2im(fc_dtype dtype, const fc_tensor *columns, const int64_t kernel[FC_SPATIAL],
                           const fc_conv_params *params, const fc_options *options, const fc_tensor *output,
                           fc_report *report);

typedef enum fc_pad_mode {
    FC_PAD_CONSTANT = 0,
    FC_PAD_EDGE = 1,      /* a a | a b c | c c */
    FC_PAD_REFLECT = 2,   /* c b | a b c | b a */
    FC_PAD_SYMMETRIC = 3, /* b a | a b c | c b */
    FC_PAD_WRAP = 4,      /* b c | a b c | a b */
    FC_PAD_MODES = 5
} fc_pad_mode;
/* `value`: one element of the dtype, for FC_PAD_CONSTANT; the output's sizes tell how much is padded behind. */
FC_API fc_status fc_pad(fc_dtype dtype, const fc_tensor *input, const int64_t before[FC_SPATIAL], fc_pad_mode mode,
                        const void *value, const fc_options *options, const fc_tensor *output, fc_report *report);
FC_API fc_status fc_pad_backward(fc_dtype dtype, const fc_tensor *grad_output, const int64_t before[FC_SPATIAL],
                                 fc_pad_mode mode, const fc_options *options, const fc_tensor *grad_input,
                                 fc_report *report);

/* Instruction sets, lowest first. A set is usable when it was compiled and the CPU and the OS have it. */
FC_API int fc_isa_count(void);
FC_API const char *fc_isa_name(int isa); /* NULL outside of 0..count-1 */
FC_API int fc_isa_usable(int isa);
FC_API int fc_isa_current(void);
FC_API fc_status fc_isa_select(int isa);
FC_API int fc_isa_lanes(int isa, fc_dtype dtype);
/* What the CPU offers, as words between blanks. */
FC_API const char *fc_cpu_features(void);

/* Runs `rounds` rounds of independent multiply-adds in registers; returns their number. Time it: the arithmetic limit. */
FC_API int64_t fc_fma_rounds(int isa, fc_dtype dtype, int64_t rounds);

/* Copies `bytes` from src to dst `rounds` times with the vectors of a set. Time it: the limits of caches and memory. */
FC_API fc_status fc_copy_rounds(int isa, void *dst, const void *src, int64_t bytes, int64_t rounds);

/* One kernel of a set on a small problem hot in L1, `rounds` times over; `load` is told what one round does. */
typedef struct fc_kernel_load {
    const char *name;
    int rows, vectors; /* of a GEMM tile, else 0 */
    double flops, bytes;
} fc_kernel_load;
FC_API int fc_kernel_loads(int isa, fc_dtype dtype); /* how many there are */
FC_API fc_status fc_kernel_rounds(int isa, fc_dtype dtype, int index, int64_t rounds, fc_kernel_load *load);

FC_API int fc_has_openmp(void);
FC_API int fc_get_num_threads(void);
FC_API void fc_set_num_threads(int threads);
/* Frees the scratch memory kept between calls. */
FC_API void fc_clear_scratch(void);

#ifdef __cplusplus
}
#endif
#endif
