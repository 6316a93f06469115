# Transposed convolution and its gradients. Included by _core.pyx.

cdef int as_transpose_params(Op op, object stride, object padding, object output_padding, object dilation,
                             object groups, int rank, const int64_t *kernel, fc_conv_params *params,
                             int64_t *extra) except -1:
    """As as_conv_params; "same" makes the output input * stride long, the odd element of padding at the end."""
    cdef int i
    cdef int64_t total
    fc_conv_params_init(params)
    for i in range(RANK):
        extra[i] = 0
    as_axes(op, "stride", stride, rank, 1, params.stride)
    as_axes(op, "dilation", dilation, rank, 1, params.dilation)
    as_axes(op, "output_padding", output_padding, rank, 0, extra)
    if isinstance(padding, str) and padding == "same":
        for i in range(RANK - rank, RANK):
            total = _errors.transposed_same_total(op, kernel[i], params.stride[i], params.dilation[i], extra[i])
            if total < 0:
                extra[i] -= total
                total = 0
            params.padding[i][0] = total // 2
            params.padding[i][1] = total - total // 2
    else:
        as_padding(op, padding, rank, kernel, kernel, params.stride, params.dilation, params.padding)
    return as_int(op, "groups", groups, groups, &params.groups)


cdef inline bint transpose_groups_fit(const fc_tensor *x, const fc_tensor *w, int64_t groups) noexcept:
    return 0 < groups <= x.size[1] and x.size[1] % groups == 0 and x.size[1] == w.size[0] and w.size[1] > 0


cdef str transpose_reason(fc_status status, const fc_options *opts):
    if status == FC_BAD_GROUPS:
        return "needs input channels = weight's first axis, divisible by groups"
    return reason(status, opts)


def conv_transpose(int rank, input, weight, bias, stride, padding, output_padding, groups, dilation, layout, algorithm,
                   out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, w, y
    cdef fc_vector b
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef double began
    cdef int64_t extra[RANK]
    cdef int last, batched, typenum
    op.base, op.suffix, op.rank = "conv_transpose", "", rank
    if not is_plain(input) or not is_plain(weight) or cnp.PyArray_TYPE(input) != cnp.PyArray_TYPE(weight) or (
        bias is not None and (not is_plain(bias) or cnp.PyArray_TYPE(bias) != cnp.PyArray_TYPE(input))
    ):
        return _coerce.call(
            conv_transpose, op, {"input": input, "weight": weight, "bias": bias}, rank,
            (stride, padding, output_padding, groups, dilation, layout, algorithm), out,
        )
    typenum = cnp.PyArray_TYPE(input)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    view_weight(op, "weight", weight, rank, &w)
    view_bias(bias, &b)
    as_transpose_params(op, stride, padding, output_padding, dilation, groups, rank, &w.size[2], &params, extra)
    as_options(op, algorithm, None, &opts)
    report.axis, report.value = -1, 0
    if not transpose_groups_fit(&x, &w, params.groups):
        status = FC_BAD_GROUPS
    else:
        status = fc_conv_transpose_output_size(&x.size[2], &w.size[2], &params, extra, &y.size[2], &report)
    if status == FC_OK and mul_overflows(w.size[1], params.groups):
        status = FC_OVERFLOW
    if status == FC_OK:
        y.size[0], y.size[1] = x.size[0], w.size[1] * params.groups
        if bias is not None and b.size != y.size[1]:
            _errors.bad_bias(op, bias.shape, y.size[1])
        result = result_array(op, "out", out, y.size, rank, last, batched, typenum, (input, weight, bias))
        view(op, "out", result, rank, last, &y)
        began = now()
        with nogil:
            status = fc_conv_transpose_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &w, &b, &params, &opts, &y,
                                               &report)
        if VERBOSE and status == FC_OK:  # as the gradient of the convolution that it transposes
            tell_conv(op, FC_GRAD_INPUT, &y, &w, &x, &params, &opts, typenum != cnp.NPY_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, transpose_reason(status, &opts), status == FC_OUT_OF_MEMORY, input=input, weight=weight,
                         stride=stride, padding=padding, output_padding=output_padding, groups=groups,
                         dilation=dilation)
    return result


def conv_transpose_backward(int rank, grad_output, input, weight, stride, padding, output_padding, groups, dilation,
                            needs, layout, algorithm):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, w, y, result_view
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
    cdef int64_t extra[RANK]
    cdef int64_t expected[RANK]
    cdef double began
    cdef int last, batched, typenum
    op.base, op.suffix, op.rank = "conv_transpose", "_backward", rank
    needs = _errors.as_needs(op, needs)
    if not (is_plain(grad_output) and is_plain(input) and is_plain(weight)) or not (
        cnp.PyArray_TYPE(grad_output) == cnp.PyArray_TYPE(input) == cnp.PyArray_TYPE(weight)
    ):
        return _coerce.call_backward(
            conv_transpose_backward, op, {"grad_output": grad_output, "input": input, "weight": weight}, rank,
            (stride, padding, output_padding, groups, dilation, needs, layout, algorithm),
        )
    typenum = cnp.PyArray_TYPE(input)
    cdef fc_dtype dtype = <fc_dtype>(typenum != cnp.NPY_FLOAT32)
    rank = rank_of(op, cnp.PyArray_NDIM(input), "input", input.shape)
    last = as_layout(op, layout, rank)
    batched = view(op, "input", input, rank, last, &x)
    if view(op, "grad_output", grad_output, rank, last, &y) != batched:
        _errors.batch_mismatch(op, "grad_output", grad_output.shape, "input", input.shape)
    view_weight(op, "weight", weight, rank, &w)
    as_transpose_params(op, stride, padding, output_padding, dilation, groups, rank, &w.size[2], &params, extra)
    as_options(op, algorithm, None, &opts)
    report.axis, report.value = -1, 0
    if not transpose_groups_fit(&x, &w, params.groups):
        status = FC_BAD_GROUPS
    else:
        status = fc_conv_transpose_output_size(&x.size[2], &w.size[2], &params, extra, expected, &report)
    if status == FC_OK and mul_overflows(w.size[1], params.groups):
        status = FC_OVERFLOW
    grad_input = grad_weight = grad_bias = None
    if status == FC_OK:
        check_grad_output(op, grad_output, &y, x.size[0], w.size[1] * params.groups, expected, rank, last, batched,
                          {"input": input, "weight": weight})
        if "input" in needs:
            grad_input = allocate(op, x.size, rank, last, batched, typenum)
            view(op, "grad_input", grad_input, rank, last, &result_view)
            began = now()
            with nogil:
                status = fc_conv_transpose_grad_input(dtype, &y, &w, &params, &opts, &result_view, &report)
            if VERBOSE and status == FC_OK:  # as passes of the convolution that it transposes
                tell_conv(op, FC_FORWARD, &y, &w, &x, &params, &opts, dtype != FC_FLOAT32, rank, last, began)
    if status == FC_OK and "weight" in needs:
        grad_weight = allocate(op, w.size, rank, False, True, typenum)
        view_weight(op, "grad_weight", grad_weight, rank, &result_view)
        began = now()
        with nogil:
            status = fc_conv_transpose_grad_weight(dtype, &y, &x, &params, &opts, &result_view, &report)
        if VERBOSE and status == FC_OK:
            tell_conv(op, FC_GRAD_WEIGHT, &y, &w, &x, &params, &opts, dtype != FC_FLOAT32, rank, last, began)
    if status != FC_OK:
        _errors.geometry(op, transpose_reason(status, &opts), status == FC_OUT_OF_MEMORY, input=input, weight=weight,
                         stride=stride, padding=padding, output_padding=output_padding, groups=groups,
                         dilation=dilation)
    if "bias" in needs:
        grad_bias = conv_grad_bias(op, grad_output, layout)
    return grad_input, grad_weight, grad_bias
