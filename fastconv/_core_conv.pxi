# Convolution and its gradients. Included by _core.pyx.

cdef int as_conv_params(Op op, object stride, object padding, object dilation, object groups, object flip, int rank,
                        const int64_t *in_size, const int64_t *kernel, fc_conv_params *params) except -1:
    fc_conv_params_init(params)
    as_axes(op, "stride", stride, rank, 1, params.stride)
    as_axes(op, "dilation", dilation, rank, 1, params.dilation)
    as_padding(op, padding, rank, in_size, kernel, params.stride, params.dilation, params.padding)
    as_int(op, "groups", groups, groups, &params.groups)
    params.flip = as_flag(op, "flip", flip)
    return 0


cdef inline bint groups_fit(const fc_tensor *x, const fc_tensor *w, int64_t groups) noexcept:
    return (
        0 < groups <= x.size[1] and x.size[1] % groups == 0 and x.size[1] // groups == w.size[1]
        and w.size[0] > 0 and w.size[0] % groups == 0
    )


cdef str reason(fc_status status, const fc_options *opts=NULL):
    if status == FC_UNSUPPORTED and opts != NULL:
        return (f"algorithm {ALGORITHM_NAMES[<int>opts.algorithm]!r} needs "
                f"{fc_algorithm_needs(opts.algorithm).decode()}")
    if status == FC_BAD_GROUPS:
        return (
            "needs groups >= 1, at least one output channel, input channels = groups * weight's second axis, and "
            "output channels divisible by groups"
        )
    return fc_status_string(status).decode()


def conv(int rank, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm, out,
         PackedWeights packs=None):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, w, y
    cdef fc_vector b
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum
    op.base, op.suffix, op.rank = "conv", "", rank
    if not is_plain(input) or not is_plain(weight) or cnp.PyArray_TYPE(input) != cnp.PyArray_TYPE(weight) or (
        bias is not None and (not is_plain(bias) or cnp.PyArray_TYPE(bias) != cnp.PyArray_TYPE(input))
    ):
        return _coerce.call(
            conv, op, {"input": input, "weight": weight, "bias": bias}, rank,
            (stride, padding, dilation, groups, layout, flip, activation, algorithm), out,
        )
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    view_weight(op, "weight", weight, rank, &w)
    view_bias(bias, &b)
    as_conv_params(op, stride, padding, dilation, groups, flip, rank, &x.size[2], &w.size[2], &params)
    as_options(op, algorithm, activation, &opts)
    report.axis, report.value = -1, 0
    status = FC_OK
    if not groups_fit(&x, &w, params.groups):
        status = FC_BAD_GROUPS
    else:
        status = fc_conv_output_size(&x.size[2], &w.size[2], &params, &y.size[2], &report)
    if status == FC_OK:
        if bias is not None and b.size != w.size[0]:
            _errors.bad_bias(op, bias.shape, w.size[0])
        y.size[0], y.size[1] = x.size[0], w.size[0]
        result = result_array(op, "out", out, y.size, rank, last, batched, typenum, (input, weight, bias))
        view(op, "out", result, rank, last, &y)
        held = None if packs is None else packs.take(op, <fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &w, &y, &params,
                                                     &opts)
        began = now()
        with nogil:
            status = fc_conv_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &w, &b, &params, &opts, &y, &report)
        if VERBOSE and status == FC_OK:
            tell_conv(op, FC_FORWARD, &x, &w, &y, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status, &opts), status == FC_OUT_OF_MEMORY, input=input, weight=weight,
                         stride=stride, padding=padding, dilation=dilation, groups=groups)
    return result


def conv_grad_input(int rank, grad_output, weight, input_shape, stride, padding, dilation, groups, layout, flip,
                    algorithm, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, w, y
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum
    cdef int64_t expected[RANK]
    op.base, op.suffix, op.rank = "conv", "_grad_input", rank
    if (
        not is_plain(grad_output) or not is_plain(weight)
        or cnp.PyArray_TYPE(grad_output) != cnp.PyArray_TYPE(weight)
    ):
        return _coerce.call(
            conv_grad_input, op, {"grad_output": grad_output, "weight": weight}, rank,
            (input_shape, stride, padding, dilation, groups, layout, flip, algorithm), out,
        )
    typenum = cnp.PyArray_TYPE(weight)
    rank = rank_of(op, cnp.PyArray_NDIM(weight), "weight", weight.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "grad_output", grad_output, rank, last, &y)
    view_weight(op, "weight", weight, rank, &w)
    if sizes_of_shape(op, "input_shape", input_shape, rank, last, x.size) != batched:
        _errors.batch_mismatch(op, "grad_output", grad_output.shape, "input_shape", input_shape)
    as_conv_params(op, stride, padding, dilation, groups, flip, rank, &x.size[2], &w.size[2], &params)
    as_options(op, algorithm, None, &opts)
    report.axis, report.value = -1, 0
    if not groups_fit(&x, &w, params.groups):
        status = FC_BAD_GROUPS
    else:
        status = fc_conv_output_size(&x.size[2], &w.size[2], &params, expected, &report)
    if status == FC_OK:
        check_grad_output(op, grad_output, &y, x.size[0], w.size[0], expected, rank, last, batched,
                          {"input_shape": input_shape, "weight": weight})
        result = result_array(op, "out", out, x.size, rank, last, batched, typenum, (grad_output, weight))
        view(op, "out", result, rank, last, &x)
        began = now()
        with nogil:
            status = fc_conv_grad_input(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &w, &params, &opts, &x, &report)
        if VERBOSE and status == FC_OK:
            tell_conv(op, FC_GRAD_INPUT, &x, &w, &y, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status, &opts), status == FC_OUT_OF_MEMORY, input_shape=input_shape, weight=weight,
                         stride=stride, padding=padding, dilation=dilation, groups=groups)
    return result


def conv_grad_weight(int rank, grad_output, input, weight_shape, stride, padding, dilation, groups, layout, flip,
                     algorithm, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, w, y
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int last, batched, typenum
    cdef int64_t expected[RANK]
    op.base, op.suffix, op.rank = "conv", "_grad_weight", rank
    if not is_plain(grad_output) or not is_plain(input) or cnp.PyArray_TYPE(grad_output) != cnp.PyArray_TYPE(input):
        return _coerce.call(
            conv_grad_weight, op, {"grad_output": grad_output, "input": input}, rank,
            (weight_shape, stride, padding, dilation, groups, layout, flip, algorithm), out,
        )
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    if view(op, "grad_output", grad_output, rank, last, &y) != batched:
        _errors.batch_mismatch(op, "grad_output", grad_output.shape, "input", input.shape)
    as_weight_shape(op, weight_shape, rank, w.size)
    as_conv_params(op, stride, padding, dilation, groups, flip, rank, &x.size[2], &w.size[2], &params)
    as_options(op, algorithm, None, &opts)
    report.axis, report.value = -1, 0
    if not groups_fit(&x, &w, params.groups):
        status = FC_BAD_GROUPS
    else:
        status = fc_conv_output_size(&x.size[2], &w.size[2], &params, expected, &report)
    if status == FC_OK:
        check_grad_output(op, grad_output, &y, x.size[0], w.size[0], expected, rank, last, batched,
                          {"input": input, "weight_shape": weight_shape})
        result = result_array(op, "out", out, w.size, rank, False, True, typenum, (grad_output, input))
        view_weight(op, "out", result, rank, &w)
        began = now()
        with nogil:
            status = fc_conv_grad_weight(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &x, &params, &opts, &w, &report)
        if VERBOSE and status == FC_OK:
            tell_conv(op, FC_GRAD_WEIGHT, &x, &w, &y, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, reason(status, &opts), status == FC_OUT_OF_MEMORY, input=input, weight_shape=weight_shape,
                         stride=stride, padding=padding, dilation=dilation, groups=groups)
    return result


cdef int as_weight_shape(Op op, object shape, int rank, int64_t *size) except -1:
    cdef int i
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else _errors.as_shape(op, "weight_shape", shape)
    if len(sizes) != rank + 2:
        _errors.wrong_weight_rank(op, "weight_shape", shape, rank)
    for i in range(RANK):
        size[2 + i] = 1
    for i in range(rank + 2):
        as_int(op, "weight_shape", sizes[i], shape, &size[i if i < 2 else i + RANK - rank])
    for i in range(2 + RANK):
        if size[i] < 1:
            _errors.too_small(op, "weight_shape", shape, rank + 2, 1)
    return 0


cdef int check_grad_output(Op op, object grad_output, const fc_tensor *y, int64_t n, int64_t channels,
                           const int64_t *spatial, int rank, bint last, bint batched, dict facts) except -1:
    cdef int i
    cdef bint fits = y.size[0] == n and y.size[1] == channels
    for i in range(RANK):
        fits = fits and y.size[2 + i] == spatial[i]
    if not fits:
        shape = [spatial[i] for i in range(RANK - rank, RANK)]
        shape = [*shape, channels] if last else [channels, *shape]
        _errors.bad_grad_output(op, grad_output.shape, tuple([n, *shape] if batched else shape), **facts)
    return 0


cdef object conv_grad_bias(Op op, object grad_output, object layout):
    """The sum of a plain grad_output over everything but its channels."""
    if not is_plain(grad_output):
        raise ValueError(f"{op}: grad_output was changed during the call")
    cdef fc_tensor y
    cdef fc_vector b
    cdef fc_options opts
    cdef fc_status status
    cdef int last, rank, typenum
    typenum = cnp.PyArray_TYPE(grad_output)
    rank = rank_of(op, cnp.PyArray_NDIM(grad_output), "grad_output", grad_output.shape)
    last = as_layout(op, layout, rank)
    view(op, "grad_output", grad_output, rank, last, &y)
    as_options(op, "auto", None, &opts)
    result = allocate(op, y.size, 0, False, False, typenum)
    b.data, b.size, b.stride = cnp.PyArray_DATA(result), y.size[1], 1
    with nogil:
        status = fc_conv_grad_bias(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &opts, &b)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, grad_output=grad_output)
    return result


def conv_backward(int rank, grad_output, input, weight, stride, padding, dilation, groups, needs, layout, flip,
                  algorithm):
    cdef Op op = Op.__new__(Op)
    op.base, op.suffix, op.rank = "conv", "_backward", rank
    needs = _errors.as_needs(op, needs)
    if not (is_plain(grad_output) and is_plain(input) and is_plain(weight)) or not (
        cnp.PyArray_TYPE(grad_output) == cnp.PyArray_TYPE(input) == cnp.PyArray_TYPE(weight)
    ):
        return _coerce.call_backward(
            conv_backward, op, {"grad_output": grad_output, "input": input, "weight": weight}, rank,
            (stride, padding, dilation, groups, needs, layout, flip, algorithm),
        )
    check_backward(op, grad_output, input, weight, stride, padding, dilation, groups, layout, flip, algorithm)
    geometry = (stride, padding, dilation, groups, layout, flip, algorithm, None)
    grad_input = grad_weight = grad_bias = None
    # No `with`: Cython's takes it that an exception has a traceback, which it has not where Python finds no memory.
    try:
        if "input" in needs:
            grad_input = conv_grad_input(rank, grad_output, weight, input.shape, *geometry)
        if "weight" in needs:
            grad_weight = conv_grad_weight(rank, grad_output, input, weight.shape, *geometry)
        if "bias" in needs:
            grad_bias = conv_grad_bias(op, grad_output, layout)
    except (MemoryError, ValueError) as error:
        raise _errors.told_as(op, error) from None
    return grad_input, grad_weight, grad_bias


cdef int check_backward(Op op, grad_output, input, weight, stride, padding, dilation, groups, layout, flip,
                        algorithm) except -1:
    """Everything that can be wrong with plain arguments, before the first gradient is computed."""
    cdef fc_tensor x, w, y
    cdef fc_conv_params params
    cdef fc_options opts
    cdef int64_t expected[RANK]
    cdef int last, batched, rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    if view(op, "grad_output", grad_output, rank, last, &y) != batched:
        _errors.batch_mismatch(op, "grad_output", grad_output.shape, "input", input.shape)
    view_weight(op, "weight", weight, rank, &w)
    as_conv_params(op, stride, padding, dilation, groups, flip, rank, &x.size[2], &w.size[2], &params)
    as_options(op, algorithm, None, &opts)
    cdef fc_status status = FC_BAD_GROUPS
    if groups_fit(&x, &w, params.groups):
        status = fc_conv_output_size(&x.size[2], &w.size[2], &params, expected, NULL)
    if status != FC_OK:
        _errors.geometry(op, reason(status), False, input=input, weight=weight, stride=stride, padding=padding,
                         dilation=dilation, groups=groups)
    check_grad_output(op, grad_output, &y, x.size[0], w.size[0], expected, rank, last, batched,
                      {"input": input, "weight": weight})
    return 0
