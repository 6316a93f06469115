# Adaptive pooling. Included by _core.pyx.

cdef int as_output_size(Op op, object output_size, int rank, object input, const fc_tensor *x,
                        int64_t *result) except -1:
    """An int or one an axis; None keeps the size of the input."""
    cdef int i, axis
    if output_size is None or isinstance(output_size, (tuple, list)):
        sizes = (None,) * rank if output_size is None else tuple(output_size)
        if len(sizes) != rank:
            _errors.wrong_length(op, "output_size", output_size, rank)
        for i in range(RANK):
            axis = i - (RANK - rank)
            if axis < 0:
                result[i] = 1
            elif sizes[axis] is None:
                result[i] = x.size[2 + i]
            else:
                as_int(op, "output_size", sizes[axis], output_size, &result[i])
                if result[i] < 1:
                    _errors.too_small(op, "output_size", output_size, rank, 1)
    else:
        for i in range(RANK):
            result[i] = 1
        as_axes(op, "output_size", output_size, rank, 1, result)
    if product(result, RANK, product(x.size, 2, 1)) < 0:
        _errors.geometry(op, fc_status_string(FC_OVERFLOW).decode(), False, input=input, output_size=output_size)
    return 0


def adaptive_pool(int rank, input, output_size, average, return_indices, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y, i
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef fc_dtype dtype
    cdef int last, batched, typenum, indexed, mean = average
    op.base, op.suffix, op.rank = "adaptive_avg_pool" if mean else "adaptive_max_pool", "", rank
    if not is_plain(input):
        rest = (output_size, average, return_indices, layout)
        if mean:
            return _coerce.call(adaptive_pool, op, {"input": input}, rank, rest, out)
        return _coerce.call_keeping_type(adaptive_pool, op, input, rank, rest, out)
    typenum = cnp.PyArray_TYPE(input)
    dtype = <fc_dtype>(typenum != cnp.NPY_FLOAT32)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    as_output_size(op, output_size, rank, input, &x, &y.size[2])
    indexed = as_flag(op, "return_indices", return_indices)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    require_positive_spatial(op, input, &x)
    y.size[0], y.size[1] = x.size[0], x.size[1]
    values, indices = out, None
    if indexed and out is not None:
        values, indices = _errors.as_pair(op, out)
    result = result_array(op, "out", values, y.size, rank, last, batched, typenum, (input, indices))
    if indexed:
        indices = result_array(op, "out", indices, y.size, rank, last, batched, cnp.NPY_INT64, (input, result))
        view(op, "out", indices, rank, last, &i)
    view(op, "out", result, rank, last, &y)
    began = now()
    with nogil:
        if mean:
            status = fc_adaptive_avg_pool_forward(dtype, &x, &opts, &y, &report)
        else:
            status = fc_adaptive_max_pool_forward(dtype, &x, &opts, &y, &i if indexed else NULL, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "forward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, output_size=output_size)
    return (result, indices) if indexed else result


def adaptive_avg_pool_backward(int rank, grad_output, input_shape, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum, axis
    cdef bint fits
    op.base, op.suffix, op.rank = "adaptive_avg_pool", "_backward", rank
    if not is_plain(grad_output):
        return _coerce.call(adaptive_avg_pool_backward, op, {"grad_output": grad_output}, rank, (input_shape, layout),
                            out)
    typenum = cnp.PyArray_TYPE(grad_output)
    rank = rank_of(op, cnp.PyArray_NDIM(grad_output), "grad_output", grad_output.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "grad_output", grad_output, rank, last, &y)
    if sizes_of_shape(op, "input_shape", input_shape, rank, last, x.size) != batched:
        _errors.batch_mismatch(op, "grad_output", grad_output.shape, "input_shape", input_shape)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    fits = x.size[0] == y.size[0] and x.size[1] == y.size[1]
    for axis in range(1, 2 + RANK):
        fits = fits and x.size[axis] > 0 and y.size[axis] > 0
    if not fits:
        _errors.geometry(op, "grad_output does not fit", False, grad_output=grad_output, input_shape=input_shape)
    result = result_array(op, "out", out, x.size, rank, last, batched, typenum, (grad_output,))
    view(op, "out", result, rank, last, &x)
    began = now()
    with nogil:
        status = fc_adaptive_avg_pool_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &opts, &x, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "backward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, grad_output=grad_output,
                         input_shape=input_shape)
    return result
