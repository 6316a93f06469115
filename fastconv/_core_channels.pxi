# Operations across channels: channel_max_pool, local_response_norm, and their gradients. Included by _core.pyx.

def channel_max_pool(int rank, input, size, return_indices, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y, i
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int64_t run
    cdef int last, batched, typenum, indexed, axis
    op.base, op.suffix, op.rank = "channel_max_pool", "", 0
    if not is_plain(input):
        return _coerce.call_keeping_type(channel_max_pool, op, input, rank, (size, return_indices, layout), out)
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    as_int(op, "size", size, size, &run)
    if run < 1 or x.size[1] < 1 or x.size[1] % run != 0:
        _errors.bad_channel_run(op, size, x.size[1], input.shape)
    indexed = as_flag(op, "return_indices", return_indices)
    as_options(op, "auto", None, &opts)
    y = x
    y.size[1] = x.size[1] // run
    require_positive_spatial(op, input, &x)
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
        status = fc_channel_max_pool_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &opts, &y,
                                             &i if indexed else NULL, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "forward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, size=size)
    return (result, indices) if indexed else result


cdef int require_positive_spatial(Op op, object array, const fc_tensor *x) except -1:
    cdef int axis
    for axis in range(1, 2 + RANK):
        if x.size[axis] < 1:
            _errors.geometry(op, fc_status_string(FC_EMPTY_INPUT).decode(), False, input=array)
    return 0


def channel_max_pool_backward(int rank, grad_output, indices, input_shape, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y, i
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum, axis
    cdef bint fits
    op.base, op.suffix, op.rank = "channel_max_pool", "_backward", 0
    if type(indices) is not np_ndarray or cnp.PyArray_TYPE(indices) != cnp.NPY_INT64 or not is_behaved(indices):
        indices = _coerce.as_indices(op, indices)
    if not is_plain(grad_output):
        return _coerce.call(channel_max_pool_backward, op, {"grad_output": grad_output}, rank,
                            (indices, input_shape, layout), out)
    typenum = cnp.PyArray_TYPE(grad_output)
    rank = rank_of(op, cnp.PyArray_NDIM(grad_output), "grad_output", grad_output.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "grad_output", grad_output, rank, last, &y)
    if indices.shape != grad_output.shape:
        _errors.bad_indices_shape(op, indices.shape, grad_output.shape)
    view(op, "indices", indices, rank, last, &i)
    sizes_of_shape(op, "input_shape", input_shape, rank, last, x.size)
    fits = y.size[1] > 0 and x.size[1] > 0 and x.size[1] % y.size[1] == 0
    for axis in range(2 + RANK):
        fits = fits and (axis == 1 or x.size[axis] == y.size[axis]) and (axis == 0 or x.size[axis] > 0)
    if not fits:
        _errors.geometry(op, "grad_output does not fit", False, grad_output=grad_output, input_shape=input_shape)
    as_options(op, "auto", None, &opts)
    report.axis, report.value = -1, 0
    result = result_array(op, "out", out, x.size, rank, last, batched, typenum, (grad_output, indices))
    view(op, "out", result, rank, last, &x)
    began = now()
    with nogil:
        status = fc_channel_max_pool_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &i, &opts, &x, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "backward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status == FC_BAD_INDEX:
        _errors.bad_channel_index(op, report.value, x.size[1], input_shape)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, grad_output=grad_output,
                         input_shape=input_shape)
    return result


cdef int as_lrn_params(Op op, object size, object alpha, object beta, object k, fc_lrn_params *params) except -1:
    fc_lrn_params_init(params)
    as_int(op, "size", size, size, &params.size)
    if params.size < 1:
        _errors.bad_lrn_size(op, size)
    params.alpha = _errors.as_real(op, "alpha", alpha)
    params.beta = _errors.as_real(op, "beta", beta)
    params.k = _errors.as_real(op, "k", k)
    return 0


def local_response_norm(int rank, input, size, alpha, beta, k, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y
    cdef fc_lrn_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum
    op.base, op.suffix, op.rank = "local_response_norm", "", 0
    if not is_plain(input):
        return _coerce.call(local_response_norm, op, {"input": input}, rank, (size, alpha, beta, k, layout), out)
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    as_lrn_params(op, size, alpha, beta, k, &params)
    as_options(op, "auto", None, &opts)
    require_positive_spatial(op, input, &x)
    result = result_array(op, "out", out, x.size, rank, last, batched, typenum, (input,))
    view(op, "out", result, rank, last, &y)
    began = now()
    with nogil:
        status = fc_lrn_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &params, &opts, &y, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "forward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, size=size)
    return result


def local_response_norm_backward(int rank, grad_output, input, size, alpha, beta, k, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y, g
    cdef fc_lrn_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum
    op.base, op.suffix, op.rank = "local_response_norm", "_backward", 0
    if not is_plain(grad_output) or not is_plain(input) or cnp.PyArray_TYPE(grad_output) != cnp.PyArray_TYPE(input):
        return _coerce.call(local_response_norm_backward, op, {"grad_output": grad_output, "input": input}, rank,
                            (size, alpha, beta, k, layout), out)
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    if grad_output.shape != input.shape:
        _errors.bad_grad_output(op, grad_output.shape, input.shape, input=input)
    view(op, "grad_output", grad_output, rank, last, &g)
    as_lrn_params(op, size, alpha, beta, k, &params)
    as_options(op, "auto", None, &opts)
    require_positive_spatial(op, input, &x)
    result = result_array(op, "out", out, x.size, rank, last, batched, typenum, (grad_output, input))
    view(op, "out", result, rank, last, &y)
    began = now()
    with nogil:
        status = fc_lrn_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &g, &x, &params, &opts, &y, &report)
    if VERBOSE and status == FC_OK:
        tell_shape(op, "backward", &x, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, size=size)
    return result
