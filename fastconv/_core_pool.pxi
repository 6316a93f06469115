# Pooling and its gradients. Included by _core.pyx.

cdef int as_pool_params(Op op, object kernel_size, object stride, object padding, object dilation, object ceil_mode,
                        int rank, const int64_t *in_size, fc_pool_params *params) except -1:
    cdef int i
    fc_pool_params_init(params)
    as_axes(op, "kernel_size", kernel_size, rank, 1, params.kernel)
    if stride is None:
        for i in range(RANK):
            params.stride[i] = params.kernel[i]
    else:
        as_axes(op, "stride", stride, rank, 1, params.stride)
    as_axes(op, "dilation", dilation, rank, 1, params.dilation)
    as_padding(op, padding, rank, in_size, params.kernel, params.stride, params.dilation, params.padding)
    params.ceil_mode = as_flag(op, "ceil_mode", ceil_mode)
    return 0


cdef int as_average_params(Op op, object count_include_pad, object divisor_override, fc_pool_params *params) except -1:
    params.count_include_pad = as_flag(op, "count_include_pad", count_include_pad)
    if divisor_override is not None:
        as_int(op, "divisor_override", divisor_override, divisor_override, &params.divisor_override)
        if params.divisor_override == 0:
            raise ValueError(f"{op}: divisor_override is 0; needs an int other than 0, or None")
    return 0


def max_pool(int rank, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y, i
    cdef fc_pool_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum, indexed
    op.base, op.suffix, op.rank = "max_pool", "", rank
    if not is_plain(input):
        return _coerce.call_keeping_type(
            max_pool, op, input, rank,
            (kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout), out,
        )
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    as_pool_params(op, kernel_size, stride, padding, dilation, ceil_mode, rank, &x.size[2], &params)
    indexed = as_flag(op, "return_indices", return_indices)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    status = FC_EMPTY_INPUT
    if x.size[1] > 0:
        status = fc_pool_output_size(&x.size[2], &params, &y.size[2], &report)
    indices = None
    if status == FC_OK:
        y.size[0], y.size[1] = x.size[0], x.size[1]
        values = out
        if indexed and out is not None:
            values, indices = _errors.as_pair(op, out)
        result = result_array(op, "out", values, y.size, rank, last, batched, typenum, (input, indices))
        if indexed:
            indices = result_array(op, "out", indices, y.size, rank, last, batched, cnp.NPY_INT64, (input, result))
            view(op, "out", indices, rank, last, &i)
        view(op, "out", result, rank, last, &y)
        began = now()
        with nogil:
            status = fc_max_pool_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &params, &opts, &y,
                                         &i if indexed else NULL, &report)
        if VERBOSE and status == FC_OK:
            tell_pool(op, "forward", &x, &y, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, kernel_size=kernel_size,
                         stride=stride, padding=padding, dilation=dilation)
    return (result, indices) if indexed else result


def max_pool_backward(int rank, grad_output, indices, input_shape, kernel_size, stride, padding, dilation, layout, base,
                      out):
    """`base`: "max_pool" or "adaptive_max_pool", of which indices are all that the gradient needs."""
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y, i
    cdef fc_pool_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status = FC_OK
    cdef double began
    cdef int last, batched, typenum, axis
    cdef bint fits, known = kernel_size is not None
    cdef int64_t floors[RANK]
    cdef int64_t ceils[RANK]
    op.base, op.suffix, op.rank = base, "_backward", rank
    if type(indices) is not np_ndarray or cnp.PyArray_TYPE(indices) != cnp.NPY_INT64 or not is_behaved(indices):
        indices = _coerce.as_indices(op, indices)
    if not is_plain(grad_output):
        return _coerce.call(
            max_pool_backward, op, {"grad_output": grad_output}, rank,
            (indices, input_shape, kernel_size, stride, padding, dilation, layout, base), out,
        )
    typenum = cnp.PyArray_TYPE(grad_output)
    rank = rank_of(op, cnp.PyArray_NDIM(grad_output), "grad_output", grad_output.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "grad_output", grad_output, rank, last, &y)
    if cnp.PyArray_NDIM(indices) != cnp.PyArray_NDIM(grad_output) or indices.shape != grad_output.shape:
        _errors.bad_indices_shape(op, indices.shape, grad_output.shape)
    view(op, "indices", indices, rank, last, &i)
    if sizes_of_shape(op, "input_shape", input_shape, rank, last, x.size) != batched:
        _errors.batch_mismatch(op, "grad_output", grad_output.shape, "input_shape", input_shape)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    fits = x.size[0] == y.size[0] and x.size[1] == y.size[1]
    for axis in range(1, 2 + RANK):
        if x.size[axis] < 1:
            status = FC_EMPTY_INPUT
        fits = fits and y.size[axis] > 0
    if kernel_size is not None:
        as_pool_params(op, kernel_size, stride, padding, dilation, False, rank, &x.size[2], &params)
        if status == FC_OK:
            status = fc_pool_output_size(&x.size[2], &params, floors, &report)
        params.ceil_mode = 1
        if status == FC_OK:
            fc_pool_output_size(&x.size[2], &params, ceils, &report)
            for axis in range(RANK):
                fits = fits and (y.size[2 + axis] == floors[axis] or y.size[2 + axis] == ceils[axis])
    if status == FC_OK:
        if not fits:
            _errors.geometry(op, "grad_output does not fit", False, grad_output=grad_output, input_shape=input_shape,
                             kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
        result = result_array(op, "out", out, x.size, rank, last, batched, typenum, (grad_output, indices))
        view(op, "out", result, rank, last, &x)
        began = now()
        with nogil:
            status = fc_max_pool_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &i,
                                          &params if known else NULL, &opts, &x, &report)
        if VERBOSE and status == FC_OK:
            if kernel_size is None:
                tell_shape(op, "backward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
            else:
                tell_pool(op, "backward", &x, &y, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status == FC_BAD_INDEX:
        _errors.bad_index(op, report.value, x.size[2] * x.size[3] * x.size[4], input_shape)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input_shape=input_shape,
                         kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    return result


def avg_pool(int rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout,
             out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_pool_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum
    op.base, op.suffix, op.rank = "avg_pool", "", rank
    if not is_plain(input):
        return _coerce.call(
            avg_pool, op, {"input": input}, rank,
            (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout), out,
        )
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    as_pool_params(op, kernel_size, stride, padding, 1, ceil_mode, rank, &x.size[2], &params)
    as_average_params(op, count_include_pad, divisor_override, &params)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    status = FC_EMPTY_INPUT
    if x.size[1] > 0:
        status = fc_pool_output_size(&x.size[2], &params, &y.size[2], &report)
    if status == FC_OK:
        y.size[0], y.size[1] = x.size[0], x.size[1]
        result = result_array(op, "out", out, y.size, rank, last, batched, typenum, (input,))
        view(op, "out", result, rank, last, &y)
        began = now()
        with nogil:
            status = fc_avg_pool_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &params, &opts, &y, &report)
        if VERBOSE and status == FC_OK:
            tell_pool(op, "forward", &x, &y, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, kernel_size=kernel_size,
                         stride=stride, padding=padding, dilation=1)
    return result


def avg_pool_backward(int rank, grad_output, input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad,
                      divisor_override, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_pool_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum
    cdef int64_t expected[RANK]
    op.base, op.suffix, op.rank = "avg_pool", "_backward", rank
    if not is_plain(grad_output):
        return _coerce.call(
            avg_pool_backward, op, {"grad_output": grad_output}, rank,
            (input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout), out,
        )
    typenum = cnp.PyArray_TYPE(grad_output)
    rank = rank_of(op, cnp.PyArray_NDIM(grad_output), "grad_output", grad_output.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "grad_output", grad_output, rank, last, &y)
    if sizes_of_shape(op, "input_shape", input_shape, rank, last, x.size) != batched:
        _errors.batch_mismatch(op, "grad_output", grad_output.shape, "input_shape", input_shape)
    as_pool_params(op, kernel_size, stride, padding, 1, ceil_mode, rank, &x.size[2], &params)
    as_average_params(op, count_include_pad, divisor_override, &params)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    status = FC_EMPTY_INPUT
    if x.size[1] > 0:
        status = fc_pool_output_size(&x.size[2], &params, expected, &report)
    if status == FC_OK:
        check_grad_output(op, grad_output, &y, x.size[0], x.size[1], expected, rank, last, batched,
                          {"input_shape": input_shape, "kernel_size": kernel_size})
        result = result_array(op, "out", out, x.size, rank, last, batched, typenum, (grad_output,))
        view(op, "out", result, rank, last, &x)
        began = now()
        with nogil:
            status = fc_avg_pool_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &params, &opts, &x, &report)
        if VERBOSE and status == FC_OK:
            tell_pool(op, "backward", &x, &y, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input_shape=input_shape,
                         kernel_size=kernel_size, stride=stride, padding=padding, dilation=1)
    return result
