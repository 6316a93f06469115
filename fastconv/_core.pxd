# The C interface, fastconv.h, for `cimport` anywhere: from fastconv._core cimport fc_conv_forward, ...
# Nothing else of _core can be had in C: a module that does so imports no Python of fastconv, it links to the library.
from libc.stdint cimport int64_t


cdef extern from "fastconv.h" nogil:
    const int FC_VERSION_MAJOR
    const int FC_VERSION_MINOR
    const int FC_VERSION_PATCH
    const int FC_ABI_VERSION
    const int FC_MOST_THREADS

    ctypedef enum fc_status:
        FC_OK
        FC_OUT_OF_MEMORY
        FC_BAD_ARGUMENT
        FC_BAD_STRIDE
        FC_BAD_DILATION
        FC_BAD_PADDING
        FC_BAD_KERNEL
        FC_BAD_GROUPS
        FC_BAD_CHANNELS
        FC_BAD_BATCH
        FC_EMPTY_INPUT
        FC_KERNEL_TOO_LARGE
        FC_BAD_OUTPUT_SIZE
        FC_BAD_INDEX
        FC_EMPTY_WINDOW
        FC_BAD_OUTPUT_PADDING
        FC_EMPTY_OUTPUT
        FC_OVERFLOW
        FC_UNSUPPORTED
        FC_BAD_STRUCT

    ctypedef enum fc_dtype:
        FC_FLOAT32
        FC_FLOAT64

    ctypedef enum fc_activation:
        FC_IDENTITY
        FC_RELU
        FC_LEAKY_RELU

    ctypedef enum fc_algorithm_id:
        FC_AUTO
        FC_EXACT
        FC_DIRECT
        FC_IM2COL
        FC_WINOGRAD
        FC_DEPTHWISE
        FC_ALGORITHM_IDS

    ctypedef enum fc_conv_pass:
        FC_FORWARD
        FC_GRAD_INPUT
        FC_GRAD_WEIGHT

    ctypedef enum fc_pad_mode:
        FC_PAD_CONSTANT
        FC_PAD_EDGE
        FC_PAD_REFLECT
        FC_PAD_SYMMETRIC
        FC_PAD_WRAP

    ctypedef struct fc_tensor:
        void *data
        int64_t size[5]
        int64_t stride[5]

    ctypedef struct fc_vector:
        void *data
        int64_t size
        int64_t stride

    ctypedef struct fc_conv_params:
        size_t struct_size
        int64_t stride[3]
        int64_t dilation[3]
        int64_t padding[3][2]
        int64_t groups
        int64_t flip

    ctypedef struct fc_pool_params:
        size_t struct_size
        int64_t kernel[3]
        int64_t stride[3]
        int64_t dilation[3]
        int64_t padding[3][2]
        int ceil_mode
        int count_include_pad
        int64_t divisor_override

    ctypedef struct fc_options:
        size_t struct_size
        int threads
        int isa
        fc_algorithm_id algorithm
        fc_activation activation
        double slope
        const void *packed
        int flush_denormal

    ctypedef struct fc_conv_choice:
        size_t struct_size
        fc_algorithm_id algorithm
        double multiply_adds
        int64_t scratch_bytes
        int64_t packed_bytes
        double cost[16]

    ctypedef struct fc_lrn_params:
        size_t struct_size
        int64_t size
        double alpha
        double beta
        double k

    ctypedef struct fc_report:
        int axis
        int64_t value

    ctypedef struct fc_conv_plan:
        pass

    const char *fc_version_string()
    int fc_abi_version()
    const char *fc_status_string(fc_status status)
    void fc_options_init(fc_options *options)
    void fc_conv_params_init(fc_conv_params *params)
    void fc_pool_params_init(fc_pool_params *params)
    void fc_lrn_params_init(fc_lrn_params *params)
    void fc_conv_choice_init(fc_conv_choice *choice)
    fc_status fc_conv_output_size(const int64_t *input, const int64_t *kernel, const fc_conv_params *params,
                                  int64_t *output, fc_report *report)
    fc_status fc_pool_output_size(const int64_t *input, const fc_pool_params *params, int64_t *output,
                                  fc_report *report)
    fc_status fc_conv_transpose_output_size(const int64_t *input, const int64_t *kernel, const fc_conv_params *params,
                                            const int64_t *output_padding, int64_t *output, fc_report *report)
    fc_status fc_conv_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight, const fc_vector *bias,
                              const fc_conv_params *params, const fc_options *options, const fc_tensor *output,
                              fc_report *report)
    fc_status fc_conv_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                 const fc_conv_params *params, const fc_options *options,
                                 const fc_tensor *grad_input, fc_report *report)
    fc_status fc_conv_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                  const fc_conv_params *params, const fc_options *options,
                                  const fc_tensor *grad_weight, fc_report *report)
    fc_status fc_conv_grad_bias(fc_dtype dtype, const fc_tensor *grad_output, const fc_options *options,
                                const fc_vector *grad_bias)
    fc_status fc_conv_plan_create(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params,
                                  const fc_options *options, fc_conv_plan **plan, fc_report *report)
    fc_status fc_conv_plan_run(fc_conv_plan *plan, const fc_tensor *input, const fc_vector *bias,
                               const fc_tensor *output, fc_report *report)
    void fc_conv_plan_free(fc_conv_plan *plan)
    fc_status fc_conv_choose(fc_dtype dtype, fc_conv_pass which, const fc_tensor *input, const fc_tensor *weight,
                             const fc_tensor *output, const fc_conv_params *params, const fc_options *options,
                             fc_conv_choice *choice, fc_report *report)
    const char *fc_algorithm_needs(fc_algorithm_id id)
    fc_status fc_conv_pack(fc_dtype dtype, const fc_tensor *weight, const fc_conv_params *params,
                           const fc_options *options, void *packed)
    fc_status fc_conv_transpose_forward(fc_dtype dtype, const fc_tensor *input, const fc_tensor *weight,
                                        const fc_vector *bias, const fc_conv_params *params,
                                        const fc_options *options, const fc_tensor *output, fc_report *report)
    fc_status fc_conv_transpose_grad_input(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *weight,
                                           const fc_conv_params *params, const fc_options *options,
                                           const fc_tensor *grad_input, fc_report *report)
    fc_status fc_conv_transpose_grad_weight(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                                            const fc_conv_params *params, const fc_options *options,
                                            const fc_tensor *grad_weight, fc_report *report)
    fc_status fc_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                                  const fc_options *options, const fc_tensor *output, const fc_tensor *indices,
                                  fc_report *report)
    fc_status fc_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                                   const fc_pool_params *params, const fc_options *options,
                                   const fc_tensor *grad_input, fc_report *report)
    fc_status fc_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_pool_params *params,
                                  const fc_options *options, const fc_tensor *output, fc_report *report)
    fc_status fc_avg_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_pool_params *params,
                                   const fc_options *options, const fc_tensor *grad_input, fc_report *report)
    fc_status fc_adaptive_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                           const fc_tensor *output, const fc_tensor *indices, fc_report *report)
    fc_status fc_adaptive_avg_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                           const fc_tensor *output, fc_report *report)
    fc_status fc_adaptive_avg_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_options *options,
                                            const fc_tensor *grad_input, fc_report *report)
    fc_status fc_channel_max_pool_forward(fc_dtype dtype, const fc_tensor *input, const fc_options *options,
                                          const fc_tensor *output, const fc_tensor *indices, fc_report *report)
    fc_status fc_channel_max_pool_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *indices,
                                           const fc_options *options, const fc_tensor *grad_input, fc_report *report)
    fc_status fc_lrn_forward(fc_dtype dtype, const fc_tensor *input, const fc_lrn_params *params,
                             const fc_options *options, const fc_tensor *output, fc_report *report)
    fc_status fc_lrn_backward(fc_dtype dtype, const fc_tensor *grad_output, const fc_tensor *input,
                              const fc_lrn_params *params, const fc_options *options, const fc_tensor *grad_input,
                              fc_report *report)
    fc_status fc_im2col(fc_dtype dtype, const fc_tensor *input, const int64_t *kernel, const fc_conv_params *params,
                        const fc_options *options, const fc_tensor *columns, fc_report *report)
    fc_status fc_col2im(fc_dtype dtype, const fc_tensor *columns, const int64_t *kernel, const fc_conv_params *params,
                        const fc_options *options, const fc_tensor *output, fc_report *report)
    fc_status fc_pad(fc_dtype dtype, const fc_tensor *input, const int64_t *before, fc_pad_mode mode,
                     const void *value, const fc_options *options, const fc_tensor *output, fc_report *report)
    fc_status fc_pad_backward(fc_dtype dtype, const fc_tensor *grad_output, const int64_t *before, fc_pad_mode mode,
                              const fc_options *options, const fc_tensor *grad_input, fc_report *report)
    int fc_isa_count()
    const char *fc_isa_name(int isa)
    int fc_isa_usable(int isa)
    int fc_isa_current()
    fc_status fc_isa_select(int isa)
    int fc_isa_lanes(int isa, fc_dtype dtype)
    int fc_has_openmp()
    int fc_get_num_threads()
    void fc_set_num_threads(int threads)
    void fc_clear_scratch()
