# im2col, col2im, pad and its gradient. Included by _core.pyx.

cdef dict PAD_MODES = {
    "constant": FC_PAD_CONSTANT, "edge": FC_PAD_EDGE, "reflect": FC_PAD_REFLECT, "symmetric": FC_PAD_SYMMETRIC,
    "wrap": FC_PAD_WRAP,
}


cdef int as_patch_params(Op op, object kernel_size, object dilation, object padding, object stride, int rank,
                         const int64_t *in_size, int64_t *kernel, fc_conv_params *params) except -1:
    cdef int i
    for i in range(RANK):
        kernel[i] = 1
    as_axes(op, "kernel_size", kernel_size, rank, 1, kernel)
    return as_conv_params(op, stride, padding, dilation, 1, False, rank, in_size, kernel, params)


cdef int view_columns(Op op, str name, cnp.ndarray array, fc_tensor *tensor) except -1:
    """(N, channels * taps, positions)"""
    cdef int i
    cdef cnp.npy_intp itemsize = cnp.PyArray_ITEMSIZE(array)
    if cnp.PyArray_NDIM(array) != 3:
        _errors.bad_columns(op, name, (<object>array).shape)
    tensor.data = cnp.PyArray_DATA(array)
    tensor.size[2] = tensor.size[3] = 1
    tensor.stride[2] = tensor.stride[3] = 0
    for i in range(3):
        tensor.size[4 if i == 2 else i] = cnp.PyArray_DIM(array, i)
        tensor.stride[4 if i == 2 else i] = cnp.PyArray_STRIDE(array, i) // itemsize
    return 0


def im2col(int rank, input, kernel_size, dilation, padding, stride, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int64_t kernel[RANK]
    cdef int64_t positions[RANK]
    cdef int64_t size[2 + RANK]
    cdef int last, typenum
    op.base, op.suffix, op.rank = "im2col", "", 0
    if not is_plain(input):
        return _coerce.call_keeping_type(im2col, op, input, rank, (kernel_size, dilation, padding, stride, layout), out,
                                         moves=True)
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    view(op, "input", input, rank, last, &x)
    as_patch_params(op, kernel_size, dilation, padding, stride, rank, &x.size[2], kernel, &params)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    require_positive_spatial(op, input, &x)
    status = fc_conv_output_size(&x.size[2], kernel, &params, positions, &report)
    if status == FC_OK:
        size[0], size[1], size[2], size[3] = x.size[0], product(kernel, RANK, x.size[1]), 1, 1
        size[4] = product(positions, RANK, 1)
        if size[1] < 0 or size[4] < 0:
            status = FC_OVERFLOW
    if status == FC_OK:
        result = result_array(op, "out", out, size, 1, False, True, typenum, (input,))
        view_columns(op, "out", result, &y)
        began = now()
        with nogil:
            status = fc_im2col(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, kernel, &params, &opts, &y, &report)
        if VERBOSE and status == FC_OK:
            tell_shape(op, "forward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, kernel_size=kernel_size,
                         dilation=dilation, padding=padding, stride=stride)
    return result


def col2im(int rank, input, output_size, kernel_size, dilation, padding, stride, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int64_t kernel[RANK]
    cdef int64_t positions[RANK]
    cdef int64_t taps
    cdef int last, typenum, i
    op.base, op.suffix, op.rank = "col2im", "", 0
    if not is_plain(input):
        return _coerce.call(col2im, op, {"input": input}, rank,
                            (output_size, kernel_size, dilation, padding, stride, layout), out)
    typenum = cnp.PyArray_TYPE(input)
    view_columns(op, "input", input, &x)
    output_size = _errors.as_output_size(op, output_size)
    rank = len(output_size)
    last = as_layout(op, layout, rank)
    for i in range(RANK):
        y.size[2 + i] = 1
    as_axes(op, "output_size", output_size, rank, 1, &y.size[2])
    as_patch_params(op, kernel_size, dilation, padding, stride, rank, &y.size[2], kernel, &params)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    status = fc_conv_output_size(&y.size[2], kernel, &params, positions, &report)
    if status == FC_OK:
        taps = product(kernel, RANK, 1)
        if taps < 1 or x.size[1] < 1 or x.size[1] % taps != 0 or x.size[2 + RANK - 1] != product(positions, RANK, 1):
            _errors.bad_column_sizes(op, input.shape, taps, product(positions, RANK, 1), output_size=output_size,
                                     kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
        y.size[0], y.size[1] = x.size[0], x.size[1] // taps
        result = result_array(op, "out", out, y.size, rank, last, True, typenum, (input,))
        view(op, "out", result, rank, last, &y)
        began = now()
        with nogil:
            status = fc_col2im(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, kernel, &params, &opts, &y, &report)
        if VERBOSE and status == FC_OK:
            tell_shape(op, "forward", &y, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, output_size=output_size,
                         kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
    return result


cdef int as_pads(Op op, object padding, object mode, int rank, int64_t *before, int64_t *after,
                 fc_pad_mode *number) except -1:
    cdef int64_t pads[RANK][2]
    cdef int i
    if not isinstance(mode, str) or mode not in PAD_MODES:
        _errors.bad_choice(op, "mode", mode, tuple(PAD_MODES))
    number[0] = <fc_pad_mode><int>PAD_MODES[mode]
    if isinstance(padding, str):
        _errors.bad_pads(op, padding, rank)
    for i in range(RANK):
        pads[i][0] = pads[i][1] = 0
    as_padding(op, padding, rank, NULL, NULL, NULL, NULL, pads)
    for i in range(RANK):
        before[i], after[i] = pads[i][0], pads[i][1]
        if before[i] > (<int64_t>1 << 60) or after[i] > (<int64_t>1 << 60):
            _errors.too_large(op, "padding", padding)
    return 0


def pad(int rank, input, padding, mode, value, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef fc_pad_mode number
    cdef int64_t before[RANK]
    cdef int64_t after[RANK]
    cdef double wide
    cdef float narrow
    cdef int last, typenum, i
    cdef void *filler
    op.base, op.suffix, op.rank = "pad", "", 0
    if not is_plain(input):
        return _coerce.call_pad(pad, op, input, rank, (padding, mode, value, layout), out)
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    view(op, "input", input, rank, last, &x)
    as_pads(op, padding, mode, rank, before, after, &number)
    wide = _errors.as_real(op, "value", value)
    narrow = <float>wide
    filler = &wide if typenum == cnp.NPY_FLOAT64 else <void *>&narrow
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    require_positive_spatial(op, input, &x)
    y.size[0], y.size[1] = x.size[0], x.size[1]
    for i in range(RANK):
        if x.size[2 + i] > (<int64_t>1 << 60):
            _errors.too_large(op, "input", input.shape)
        y.size[2 + i] = x.size[2 + i] + before[i] + after[i]
    result = result_array(op, "out", out, y.size, rank, last, True, typenum, (input,))
    view(op, "out", result, rank, last, &y)
    began = now()
    with nogil:
        status = fc_pad(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, before, number, filler, &opts, &y, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "forward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, padding=padding)
    return result


def pad_backward(int rank, grad_output, padding, mode, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef fc_pad_mode number
    cdef int64_t before[RANK]
    cdef int64_t after[RANK]
    cdef int last, typenum, i
    op.base, op.suffix, op.rank = "pad", "_backward", 0
    if not is_plain(grad_output):
        return _coerce.call(pad_backward, op, {"grad_output": grad_output}, rank, (padding, mode, layout), out)
    typenum = cnp.PyArray_TYPE(grad_output)
    rank = rank_of(op, cnp.PyArray_NDIM(grad_output), "grad_output", grad_output.shape)
    last = as_layout(op, layout, rank)
    view(op, "grad_output", grad_output, rank, last, &y)
    as_pads(op, padding, mode, rank, before, after, &number)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    x.size[0], x.size[1] = y.size[0], y.size[1]
    for i in range(RANK):
        x.size[2 + i] = y.size[2 + i] - before[i] - after[i]
        if x.size[2 + i] < 1 or x.size[1] < 1:
            _errors.geometry(op, "the padding leaves nothing of grad_output", False, grad_output=grad_output,
                             padding=padding)
    result = result_array(op, "out", out, x.size, rank, last, True, typenum, (grad_output,))
    view(op, "out", result, rank, last, &x)
    began = now()
    with nogil:
        status = fc_pad_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, before, number, &opts, &x, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "backward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, grad_output=grad_output, padding=padding)
    return result
