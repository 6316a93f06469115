/* fastconv: convolution and pooling on CPUs, forward and backward: the public C interface.
 *
 * docs/c_api.md tells how to link to it and what is promised from one version to the next.
 *
 * Arrays. Every array is seen as (N, C, D, H, W): batch, channels, depth, height, width. 1-D and 2-D problems have leading
 * spatial axes of size 1. Layout is only a matter of strides, counted in elements, of any sign, 0 included for arrays that
 * are read; elements of an array that is written must not share memory, nor overlap what is read. Data is aligned to its
 * elements. A batch of 0 images is a valid problem; every other axis has at least one element.
 *
 * Errors. Whatever can fail returns an fc_status and never aborts, prints or raises. Everything is checked, and all memory
 * taken, before the first element is written: a call that does not return FC_OK has written nothing but `report`. Null
 * pointers are reported as FC_BAD_ARGUMENT; where they are allowed, it is said below. `report` may always be NULL.
 *
 * Ownership. Functions keep no reference to what they were given. Memory is the caller's, but for plans, which
 * fc_conv_plan_free gives back. Returned strings live as long as the library.
 *
 * Threads. Every function may be called from any thread, at any time, several at once, on arrays that do not overlap what
 * another call writes; none needs Python or its GIL. A call uses at most fc_options.threads threads of its own.
 *
 * Bits. Results have the same bits for every number of threads, batch size, position in the batch and alignment. They
 * depend on dtype, layout, instruction set, algorithm and the geometry of one image.
 *
 * Structs that begin with `struct_size` may grow at their end. It is the sizeof that the caller was compiled with, as the
 * macros FC_..._INIT set it. A shorter struct than the library's is one whose missing fields are 0; a longer one must
 * be 0 where it goes beyond. Anything else is FC_BAD_STRUCT. The other structs never change within an ABI version.
 */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(_WIN32)
#define FC_API __attribute__((visibility("default")))
#elif defined(FC_EXPORTS) /* while the library itself is compiled */
#define FC_API __declspec(dllexport)
#else
#define FC_API __declspec(dllimport)
#endif

/* ---- versions ---- */

#define FC_VERSION_MAJOR 0
#define FC_VERSION_MINOR 1
#define FC_VERSION_PATCH 0
#define FC_VERSION_STRING "0.1.0.dev0"
/* Rises when a program compiled with an older header would no longer work; additions leave it. */
#define FC_ABI_VERSION 1

/* FC_VERSION_STRING of the library that runs. */
FC_API const char *fc_version_string(void);
/* FC_ABI_VERSION of the library that runs: where it is not that of the header, call nothing else. */
FC_API int fc_abi_version(void);

/* ---- errors ---- */

typedef enum fc_status {
    FC_OK = 0,
    FC_OUT_OF_MEMORY,
    FC_BAD_ARGUMENT,     /* a null pointer; an unknown dtype, algorithm, activation, pass or mode; packed weights where
                              the algorithm is a policy */
    FC_BAD_STRIDE,       /* stride < 1 */
    FC_BAD_DILATION,     /* dilation < 1; in average pooling any but 1 */
    FC_BAD_PADDING,      /* padding < 0; in pooling also padding >= the dilated window */
    FC_BAD_KERNEL,       /* kernel size < 1 */
    FC_BAD_GROUPS,       /* groups < 1, or they do not divide the channels */
    FC_BAD_CHANNELS,     /* the channels of input, weight and output do not belong together */
    FC_BAD_BATCH,        /* input and output differ in N */
    FC_EMPTY_INPUT,      /* no channels or an empty spatial axis */
    FC_KERNEL_TOO_LARGE, /* the dilated kernel exceeds the padded input: no output */
    FC_BAD_OUTPUT_SIZE,  /* output sizes that do not follow from the geometry */
    FC_BAD_INDEX,        /* a pooling index outside of its plane */
    FC_EMPTY_WINDOW,     /* a dilated pooling window that covers no input element */
    FC_BAD_OUTPUT_PADDING, /* output padding < 0, or not smaller than stride or dilation */
    FC_EMPTY_OUTPUT,       /* a transposed convolution whose padding takes away all of its output */
    FC_OVERFLOW,           /* a size or an offset leaves 64 bits */
    FC_UNSUPPORTED,        /* the algorithm cannot do this problem, or the instruction set is not there */
    FC_BAD_STRUCT          /* a struct_size that is none, or fields set that this library does not know */
} fc_status;

/* What a status means, in words, for every number. */
FC_API const char *fc_status_string(fc_status status);

/* Which axis and which value a status speaks of: axis 0..2 (D, H, W), or -1 for none of them. Written only where a status
 * speaks of one: begin with {-1, 0}. */
typedef struct fc_report {
    int axis;
    int64_t value;
} fc_report;

/* ---- arrays ---- */

#define FC_SPATIAL 3 /* spatial axes of every problem: depth, height, width */
#define FC_AXES (2 + FC_SPATIAL)

/* Counts such as FC_DTYPES are those of the header, and grow with it. */
typedef enum fc_dtype { FC_FLOAT32 = 0, FC_FLOAT64 = 1, FC_DTYPES = 2 } fc_dtype;

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

/* ---- how a call runs ---- */

typedef enum fc_activation { FC_IDENTITY = 0, FC_RELU = 1, FC_LEAKY_RELU = 2 } fc_activation;

/* FC_AUTO and FC_EXACT are policies: FC_AUTO picks the fastest algorithm, FC_EXACT the fastest of those that compute plain
 * sums of products. */
typedef enum fc_algorithm_id {
    FC_AUTO = 0,
    FC_EXACT = 1,
    FC_DIRECT = 2,
    FC_IM2COL = 3,
    FC_WINOGRAD = 4,  /* what kernels, strides: fc_algorithm_needs */
    FC_DEPTHWISE = 5, /* one input channel a group */
    FC_ALGORITHM_IDS = 6
} fc_algorithm_id;

/* What a problem must be like for an algorithm, in words; NULL for a policy. Where it is not: FC_UNSUPPORTED. */
FC_API const char *fc_algorithm_needs(fc_algorithm_id id);

typedef struct fc_options {
    size_t struct_size;
    int threads; /* the most a call may use; 0: the process-wide number */
    int isa;     /* index into fc_isa_name, -1: the current one */
    fc_algorithm_id algorithm;
    fc_activation activation; /* fc_conv_forward and plans only */
    double slope;             /* of FC_LEAKY_RELU */
    const void *packed;       /* fc_conv_forward: weights as fc_conv_pack left them for the algorithm, or NULL */
    int flush_denormal;       /* 1: subnormal numbers are taken for zeros, where the CPU can (x86-64, aarch64); its
                                 threads are as before when the call returns */
} fc_options;
#define FC_OPTIONS_INIT {sizeof(fc_options), 0, -1, FC_AUTO, FC_IDENTITY, 0.0, NULL, 0}

/* The same for languages without macros; inline, so that the size is the caller's. */
static inline void fc_options_init(fc_options *options) {
    const fc_options init = FC_OPTIONS_INIT;
    *options = init;
}

/* ---- convolution ---- */

typedef struct fc_conv_params {
    size_t struct_size;
    int64_t stride[FC_SPATIAL], dilation[FC_SPATIAL], padding[FC_SPATIAL][2]; /* padding: before, after */
    int64_t groups;
    int64_t flip; /* 1: true convolution, 0: cross-correlation */
} fc_conv_params;
/* Stride, dilation and groups 1, no padding, cross-correlation. */
#define FC_CONV_PARAMS_INIT {sizeof(fc_conv_params), {1, 1, 1}, {1, 1, 1}, {{0, 0}, {0, 0}, {0, 0}}, 1, 0}
static inline void fc_conv_params_init(fc_conv_params *params) {
    const fc_conv_params init = FC_CONV_PARAMS_INIT;
    *params = init;
}

/* Spatial sizes of the output: what the functions below ask of their arrays. Along each axis
 * floor((input + before + after - dilation * (kernel - 1) - 1) / stride) + 1. */
FC_API fc_status fc_conv_output_size(const int64_t input[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                                     const fc_conv_params *params, int64_t output[FC_SPATIAL], fc_report *report);

/* Writes output (N, K, ...) from input (N, C, ...) and weight (K, C / groups, ...):
 * output[n, k, o] = activation(bias[k] + sum over c, t of input[n, c, o * stride + t * dilation - padding] * weight[k, c, t]),
 * c over the channels of k's group. `bias`: K elements, or NULL. With options->packed, `weight` is still what was packed:
 * where sums of FC_WINOGRAD are not finite, it is read again. */
FC_API fc_status fc_conv_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight, const fc_vector *bias,
                                 const fc_conv_params *params, const fc_options *options, const fc_tensor *output,
                                 fc_report *report);
/* Gradients of sum(output * grad_output), without activation, each written whole: that of the input, shaped as the input
 * was; that of the weights, summed over the batch and 0 for an empty one; that of the bias, K elements. */
FC_API fc_status fc_conv_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                    const fc_conv_params *params, const fc_options *options,
                                    const fc_tensor *grad_input, fc_report *report);
FC_API fc_status fc_conv_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                     const fc_conv_params *params, const fc_options *options,
                                     const fc_tensor *grad_weight, fc_report *report);
FC_API fc_status fc_conv_grad_bias(fc_dtype dtype, const fc_tensor *grad_output, const fc_options *options,
                                   const fc_vector *grad_bias);

/* A convolution prepared once: a copy of the weights, packed as algorithms want them, with parameters, activation and
 * options as they were at creation. */
typedef struct fc_conv_plan fc_conv_plan;
/* Makes a plan, whatever inputs will be. What is wrong with weights, parameters and options is told now; whether a named
 * algorithm can do an input, by its run. A named algorithm packs now, a policy when it first chooses one. options->isa -1 is
 * the set that is current now; options->packed must be NULL. On failure *plan is NULL. */
FC_API fc_status fc_conv_plan_create(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params,
                                     const fc_options *options, fc_conv_plan **plan, fc_report *report);
/* fc_conv_forward with the plan's weights: the same bits as with weights that lie densely. Any number of threads may run a
 * plan at once. The choice for the last sizes and strides is kept. A run of an empty batch only prepares: it chooses and
 * packs. */
FC_API fc_status fc_conv_plan_run(fc_conv_plan *plan, const fc_tensor *input, const fc_vector *bias,
                                  const fc_tensor *output, fc_report *report);
/* Frees a plan that nobody runs any more; NULL is none. */
FC_API void fc_conv_plan_free(fc_conv_plan *plan);

typedef enum fc_conv_pass { FC_FORWARD = 0, FC_GRAD_INPUT = 1, FC_GRAD_WEIGHT = 2 } fc_conv_pass;

#define FC_ALGORITHM_SLOTS 16 /* room for ids to come */
typedef struct fc_conv_choice {
    size_t struct_size;
    fc_algorithm_id algorithm; /* never a policy; where a gradient falls into several problems, that of the largest */
    double multiply_adds;      /* of valid taps: padding is not multiplied */
    int64_t scratch_bytes;     /* of a call without packed weights or bias; of a bias, a copy at most is added */
    int64_t packed_bytes;      /* of the weights; 0: they are read as they lie */
    double cost
        [FC_ALGORITHM_SLOTS]; /* estimates for one image, in vector multiply-adds; 0: cannot, may not, or a policy */
} fc_conv_choice;
#define FC_CONV_CHOICE_INIT {sizeof(fc_conv_choice), FC_AUTO, 0.0, 0, 0, {0.0}}
static inline void fc_conv_choice_init(fc_conv_choice *choice) {
    const fc_conv_choice init = FC_CONV_CHOICE_INIT;
    *choice = init;
}

/* What would run for a pass of a convolution, and what it takes. Arrays need sizes and strides alone, no data. */
FC_API fc_status fc_conv_choose(fc_dtype dtype, fc_conv_pass pass, const fc_tensor *input, const fc_tensor *weight,
                                const fc_tensor *output, const fc_conv_params *params, const fc_options *options,
                                fc_conv_choice *choice, fc_report *report);
/* Writes weights as the forward pass of options->algorithm, no policy, wants them on options->isa: fc_conv_choice.packed_bytes
 * of them, to memory aligned to 64 bytes. They depend on nothing of the input but its channels. Plans do this by
 * themselves. */
FC_API fc_status fc_conv_pack(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params,
                              const fc_options *options, void *packed);

/* ---- transposed convolution ---- */

/* Spatial sizes of the output. Along each axis
 * (input - 1) * stride - before - after + dilation * (kernel - 1) + 1 + output_padding. */
FC_API fc_status fc_conv_transpose_output_size(const int64_t input[FC_SPATIAL], const int64_t kernel[FC_SPATIAL],
                                               const fc_conv_params *params, const int64_t output_padding[FC_SPATIAL],
                                               int64_t output[FC_SPATIAL], fc_report *report);

/* The transpose of a convolution in its input, with a bias (NULL: none) for each output channel: `weight` is (input channels,
 * output channels a group, ...). Output padding is what the size of `output` has beyond what follows from the rest. No
 * activation. */
FC_API fc_status fc_conv_transpose_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight,
                                           const fc_vector *bias, const fc_conv_params *params,
                                           const fc_options *options, const fc_tensor *output, fc_report *report);
/* As for convolution; its gradient of the bias is fc_conv_grad_bias. */
FC_API fc_status fc_conv_transpose_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                              const fc_conv_params *params, const fc_options *options,
                                              const fc_tensor *grad_input, fc_report *report);
FC_API fc_status fc_conv_transpose_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                               const fc_conv_params *params, const fc_options *options,
                                               const fc_tensor *grad_weight, fc_report *report);

/* ---- pooling ---- */

typedef struct fc_pool_params {
    size_t struct_size;
    int64_t kernel[FC_SPATIAL], stride[FC_SPATIAL], dilation[FC_SPATIAL], padding[FC_SPATIAL][2];
    int ceil_mode;         /* 1: output sizes are rounded up, but no window begins behind the input */
    int count_include_pad; /* average pooling, 1: divide by the window clipped to the padded input; 0: to the input */
    int64_t divisor_override; /* average pooling: divide by this instead, if not 0 */
} fc_pool_params;
/* Windows of one element, and an average over whole windows. */
#define FC_POOL_PARAMS_INIT {sizeof(fc_pool_params), {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {{0, 0}, {0, 0}, {0, 0}}, 0, 1, 0}
static inline void fc_pool_params_init(fc_pool_params *params) {
    const fc_pool_params init = FC_POOL_PARAMS_INIT;
    *params = init;
}

/* As fc_conv_output_size; with ceil_mode rounded up, less a last window that would begin behind the input. */
FC_API fc_status fc_pool_output_size(const int64_t input[FC_SPATIAL], const fc_pool_params *params,
                                     int64_t output[FC_SPATIAL], fc_report *report);

/* Maximum of each window; padding never wins, NaN always does. `indices` (int64 data, of the output's size, or NULL): the
 * position of each maximum, the first of equal ones, flat in its D, H, W plane of the input. */
FC_API fc_status fc_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                                     const fc_options *options, const fc_tensor *output, const fc_tensor *indices,
                                     fc_report *report);
/* Adds each element of grad_output to where `indices` says, 0 elsewhere. `params`: the windows, NULL if they are not known;
 * they change nothing but how fast it is, and output sizes may be those rounded down or up. */
FC_API fc_status fc_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                                      const fc_pool_params *params, const fc_options *options,
                                      const fc_tensor *grad_input, fc_report *report);
/* Mean of each window, or its sum over divisor_override; and the gradient, written whole. */
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

/* ---- across channels ---- */

/* Maximum over runs of input channels / output channels neighbours; `indices` (int64 data, of the output's size, or NULL):
 * the channel of each. */
FC_API fc_status fc_channel_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                             const fc_tensor *output, const fc_tensor *indices, fc_report *report);
/* Adds each element of grad_output to the channel that `indices` says, 0 elsewhere. */
FC_API fc_status fc_channel_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                                              const fc_options *options, const fc_tensor *grad_input,
                                              fc_report *report);

/* Local response normalisation:
 * output = input * (k + alpha / size * sum of squares of the channels from c - size / 2 to c + (size - 1) / 2) ^ -beta */
typedef struct fc_lrn_params {
    size_t struct_size;
    int64_t size;
    double alpha, beta, k;
} fc_lrn_params;
#define FC_LRN_PARAMS_INIT {sizeof(fc_lrn_params), 5, 1e-4, 0.75, 1.0}
static inline void fc_lrn_params_init(fc_lrn_params *params) {
    const fc_lrn_params init = FC_LRN_PARAMS_INIT;
    *params = init;
}
FC_API fc_status fc_lrn_forward(fc_dtype dtype, const fc_tensor *input, const fc_lrn_params *params,
                                const fc_options *options, const fc_tensor *output, fc_report *report);
FC_API fc_status fc_lrn_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                 const fc_lrn_params *params, const fc_options *options, const fc_tensor *grad_input,
                                 fc_report *report);

/* ---- patches and padding ---- */

/* Patches as columns: `columns` has sizes (N, C * taps, 1, 1, output positions); col2im adds what overlaps. Groups and flip
 * of `params` are not looked at. */
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
/* `before`: padding in front of each spatial axis; the output's sizes tell how much is behind. `value`: one element of the
 * dtype for FC_PAD_CONSTANT, else it may be NULL. */
FC_API fc_status fc_pad(fc_dtype dtype, const fc_tensor *input, const int64_t before[FC_SPATIAL], fc_pad_mode mode,
                        const void *value, const fc_options *options, const fc_tensor *output, fc_report *report);
/* Adds each element of grad_output to that which fc_pad copied there; what stood on constants is left out. */
FC_API fc_status fc_pad_backward(fc_dtype dtype, const fc_tensor *grad_output, const int64_t before[FC_SPATIAL],
                                 fc_pad_mode mode, const fc_options *options, const fc_tensor *grad_input,
                                 fc_report *report);

/* ---- the machine ---- */

/* Instruction sets, lowest first. A set is usable when it was compiled and the CPU and the OS have it. */
FC_API int fc_isa_count(void);
FC_API const char *fc_isa_name(int isa); /* NULL outside of 0..count-1 */
FC_API int fc_isa_usable(int isa);       /* 1 or 0 */
/* What calls with fc_options.isa -1 run on: the highest usable set, unless another one was selected for the process. */
FC_API int fc_isa_current(void);
FC_API fc_status fc_isa_select(int isa); /* FC_UNSUPPORTED for one that is not usable */
/* Elements of a vector; 0 for a set that is not usable. */
FC_API int fc_isa_lanes(int isa, fc_dtype dtype);

/* Threads of calls that do not say how many. Set, it holds for the whole process; numbers below 1 count as 1, those above
 * FC_MOST_THREADS as that. Until then it is 1 or, where the Python package was imported, the CPUs of the process, though no
 * more than the calling thread has set by omp_set_num_threads. 1 in a forked child, and without OpenMP. */
#define FC_MOST_THREADS 4096
FC_API int fc_has_openmp(void); /* 0: every call runs on its caller's thread alone */
FC_API int fc_get_num_threads(void);
FC_API void fc_set_num_threads(int threads);
/* Frees the scratch memory that is kept between calls: at most 256 MiB. Calls in other threads are not disturbed. */
FC_API void fc_clear_scratch(void);

#ifdef __cplusplus
}
#endif
#endif
