# cython: language_level=3
"""Convolution and pooling of float64 arrays (N, C, H, W), into arrays of the caller, without the GIL."""

from fastconv._core cimport (
    FC_FLOAT64, FC_OK, fc_avg_pool_forward, fc_conv_forward, fc_conv_grad_input, fc_conv_params, fc_conv_params_init,
    fc_options, fc_options_init, fc_pool_params, fc_pool_params_init, fc_status, fc_status_string, fc_tensor,
)


cdef fc_tensor tensor(double[:, :, :, ::1] array) noexcept:
    """An array (N, C, H, W)."""
    cdef fc_tensor result
    cdef int axis
    result.data = &array[0, 0, 0, 0] if array.size else NULL
    result.size[2] = 1
    result.stride[2] = 0
    for axis in range(4):
        result.size[axis if axis < 2 else axis + 1] = array.shape[axis]
        result.stride[axis if axis < 2 else axis + 1] = array.strides[axis] // sizeof(double)
    return result


cdef int check(fc_status status) except -1:
    if status != FC_OK:
        raise ValueError(fc_status_string(status).decode())
    return 0


def conv2d(double[:, :, :, ::1] input, double[:, :, :, ::1] weight, double[:, :, :, ::1] output, int padding):
    cdef fc_tensor x = tensor(input), w = tensor(weight), y = tensor(output)
    cdef fc_conv_params params
    cdef fc_options options
    cdef fc_status status
    fc_conv_params_init(&params)
    fc_options_init(&options)
    params.padding[1][0] = params.padding[1][1] = params.padding[2][0] = params.padding[2][1] = padding
    with nogil:
        status = fc_conv_forward(FC_FLOAT64, &x, &w, NULL, &params, &options, &y, NULL)
    check(status)


def conv2d_grad_input(double[:, :, :, ::1] grad_output, double[:, :, :, ::1] weight, double[:, :, :, ::1] grad_input,
                      int padding):
    cdef fc_tensor g = tensor(grad_output), w = tensor(weight), x = tensor(grad_input)
    cdef fc_conv_params params
    cdef fc_options options
    cdef fc_status status
    fc_conv_params_init(&params)
    fc_options_init(&options)
    params.padding[1][0] = params.padding[1][1] = params.padding[2][0] = params.padding[2][1] = padding
    with nogil:
        status = fc_conv_grad_input(FC_FLOAT64, &g, &w, &params, &options, &x, NULL)
    check(status)


def avg_pool2d(double[:, :, :, ::1] input, double[:, :, :, ::1] output, int window):
    cdef fc_tensor x = tensor(input), y = tensor(output)
    cdef fc_pool_params params
    cdef fc_options options
    cdef fc_status status
    fc_pool_params_init(&params)
    fc_options_init(&options)
    params.kernel[1] = params.kernel[2] = params.stride[1] = params.stride[2] = window
    with nogil:
        status = fc_avg_pool_forward(FC_FLOAT64, &x, &params, &options, &y, NULL)
    check(status)
