# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""The one door to C: plain ndarrays, ints and tuples parsed into C structs, outputs allocated, the GIL released.

Whatever is not a plain array of a native dtype takes the side door `_coerce` and comes back plain; whatever is wrong is
told by `_errors`. Functions take their arguments by position, `rank` first: 1, 2 or 3 for the suffixed ops, which also
take one unbatched item, 0 for the rank-generic ones, which want a batch.
"""

from contextvars import ContextVar

import numpy as np

from . import _coerce, _errors

cimport numpy as cnp
from cpython.contextvars cimport get_value
from cpython.long cimport PyLong_AsLongLongAndOverflow
from libc.stdint cimport int64_t

cnp.import_array()

cdef enum:
    RANK = 3  # spatial axes of every C problem; lower ranks use the last ones

# What applies to the calls of this thread or task: (threads or 0, index of an instruction set or -1, algorithm).
options = ContextVar("fastconv_options", default=None)

cdef object np_ndarray = np.ndarray
cdef dict ALGORITHMS = {"auto": FC_AUTO, "exact": FC_EXACT, "direct": FC_DIRECT, "im2col": FC_IM2COL}
cdef tuple CHANNELS_FIRST = ("", "NCW", "NCHW", "NCDHW")
cdef tuple CHANNELS_LAST = ("", "NWC", "NHWC", "NDHWC")


# ---- arguments ----

cdef class Op:
    """The name of an op as it was called, spelled out only when an error needs it."""

    cdef str base, suffix
    cdef int rank

    def __init__(self, str base, str suffix, int rank):
        self.base, self.suffix, self.rank = base, suffix, rank

    def __str__(self):
        return f"{self.base}{str(self.rank) + 'd' if self.rank else ''}{self.suffix}"


cdef inline bint is_plain(object value) noexcept:
    """An aligned array of float32 or float64 in native byte order whose strides are whole elements."""
    cdef int typenum
    if type(value) is not np_ndarray:
        return False
    typenum = cnp.PyArray_TYPE(<cnp.ndarray>value)
    if typenum != cnp.NPY_FLOAT32 and typenum != cnp.NPY_FLOAT64:
        return False
    return is_behaved(<cnp.ndarray>value)


cdef inline bint is_behaved(cnp.ndarray array) noexcept:
    cdef int i
    cdef cnp.npy_intp itemsize = cnp.PyArray_ITEMSIZE(array)
    if not cnp.PyArray_ISALIGNED(array) or cnp.PyArray_ISBYTESWAPPED(array):
        return False
    for i in range(cnp.PyArray_NDIM(array)):
        if cnp.PyArray_STRIDE(array, i) % itemsize != 0:
            return False
    return True


cdef inline int as_int(Op op, str name, object value, object given, int64_t *result) except -1:
    cdef int overflow = 0
    if type(value) is not int:
        value = _errors.as_int(op, name, value, given)
    result[0] = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow:
        raise ValueError(f"{op}: {name} is {given!r}; needs values below 2**63")
    return 0


cdef int as_axes(Op op, str name, object value, int rank, int64_t least, int64_t *result) except -1:
    """One int for all axes or one an axis, into the last `rank` of three."""
    cdef int i
    if type(value) is int:
        as_int(op, name, value, value, &result[RANK - 1])
        for i in range(RANK - rank, RANK - 1):
            result[i] = result[RANK - 1]
    else:
        if not isinstance(value, (tuple, list)):
            value = _errors.as_axes(op, name, value, rank)
        if len(value) != rank:
            _errors.wrong_length(op, name, value, rank)
        for i in range(rank):
            as_int(op, name, value[i], value, &result[RANK - rank + i])
    for i in range(RANK - rank, RANK):
        if result[i] < least:
            _errors.too_small(op, name, value, rank, least)
    return 0


cdef int as_padding(Op op, object value, int rank, const int64_t *in_size, const int64_t *kernel,
                    const int64_t *stride, const int64_t *dilation, int64_t (*result)[2]) except -1:
    """An int, an int or a (before, after) pair an axis, "valid" or "same", into the last `rank` of three."""
    cdef int i, side
    cdef int64_t total, number
    if type(value) is int:
        as_int(op, "padding", value, value, &number)
        for i in range(RANK - rank, RANK):
            result[i][0] = result[i][1] = number
    elif isinstance(value, str):
        if value == "valid":
            return 0
        if value != "same":
            _errors.bad_padding(op, value, rank)
        for i in range(RANK - rank, RANK):
            # As ONNX SAME_UPPER: ceil(in / stride) outputs, the odd element of padding at the end.
            total = _errors.same_total(op, in_size[i], kernel[i], stride[i], dilation[i])
            result[i][0] = total // 2
            result[i][1] = total - total // 2
    else:
        if not isinstance(value, (tuple, list)):
            value = _errors.as_axes(op, "padding", value, rank)
        if len(value) != rank:
            _errors.bad_padding(op, value, rank)
        for i in range(rank):
            item = value[i]
            if isinstance(item, (tuple, list)) != isinstance(value[0], (tuple, list)):
                _errors.bad_padding(op, value, rank)
            if isinstance(item, (tuple, list)):
                if len(item) != 2:
                    _errors.bad_padding(op, value, rank)
                for side in range(2):
                    as_int(op, "padding", item[side], value, &result[RANK - rank + i][side])
            else:
                as_int(op, "padding", item, value, &result[RANK - rank + i][0])
                result[RANK - rank + i][1] = result[RANK - rank + i][0]
    for i in range(RANK - rank, RANK):
        if result[i][0] < 0 or result[i][1] < 0:
            _errors.too_small(op, "padding", value, rank, 0)
    return 0


cdef int as_flag(Op op, str name, object value) except -1:
    if value is True:
        return 1
    if value is False:
        return 0
    return _errors.as_flag(op, name, value)


cdef int as_layout(Op op, object layout, int rank) except -1:
    """1 for channels last."""
    if layout is None:
        return 0
    if isinstance(layout, str):
        if layout == CHANNELS_FIRST[rank]:
            return 0
        if layout == CHANNELS_LAST[rank]:
            return 1
    _errors.bad_choice(op, "layout", layout, (None, CHANNELS_FIRST[rank], CHANNELS_LAST[rank]))
    return -1


cdef int as_options(Op op, object algorithm, object activation, fc_options *result) except -1:
    """The call's own arguments over what `options` holds for this thread or task."""
    context = get_value(options)
    fc_options_init(result)
    if context is not None:
        result.threads = context[0]
        result.isa = context[1]
        if isinstance(algorithm, str) and algorithm == "auto":
            algorithm = context[2]
    number = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if number is None:
        _errors.bad_choice(op, "algorithm", algorithm, tuple(ALGORITHMS))
    result.algorithm = <fc_algorithm_id><int>number
    if activation is not None:
        if isinstance(activation, str) and activation == "relu":
            result.activation = FC_RELU
        else:
            result.activation = FC_LEAKY_RELU
            result.slope = _errors.leaky_slope(op, activation)
    return 0


cdef int rank_of(Op op, int ndim, str name, object shape) except -1:
    """The rank of a generic op, from an array or shape that has batch and channels beside its spatial axes."""
    if op.rank:
        return op.rank
    if not 3 <= ndim <= 2 + RANK:
        _errors.wrong_rank(op, name, shape)
    return ndim - 2


# ---- arrays as tensors ----

cdef int view(Op op, str name, cnp.ndarray array, int rank, bint last, fc_tensor *tensor) except -1:
    """An array of images; 1 when it holds a batch, 0 when it is one item of a suffixed op."""
    cdef int ndim = cnp.PyArray_NDIM(array), batched, i, axis
    cdef cnp.npy_intp itemsize = cnp.PyArray_ITEMSIZE(array)
    if ndim != rank + 2 and not (op.rank and ndim == rank + 1):
        _errors.wrong_rank(op, name, (<object>array).shape, rank)
    batched = ndim - rank - 1
    tensor.data = cnp.PyArray_DATA(array)
    tensor.size[0] = cnp.PyArray_DIM(array, 0) if batched else 1
    tensor.stride[0] = cnp.PyArray_STRIDE(array, 0) // itemsize if batched else 0
    axis = ndim - 1 if last else batched
    tensor.size[1] = cnp.PyArray_DIM(array, axis)
    tensor.stride[1] = cnp.PyArray_STRIDE(array, axis) // itemsize
    for i in range(RANK):
        if i < RANK - rank:
            tensor.size[2 + i] = 1
            tensor.stride[2 + i] = 0
        else:
            axis = batched + (0 if last else 1) + i - (RANK - rank)
            tensor.size[2 + i] = cnp.PyArray_DIM(array, axis)
            tensor.stride[2 + i] = cnp.PyArray_STRIDE(array, axis) // itemsize
    return batched


cdef int view_weight(Op op, str name, cnp.ndarray array, int rank, fc_tensor *tensor) except -1:
    """Weights: (out, in / groups, *kernel) in every layout."""
    cdef int i
    cdef cnp.npy_intp itemsize = cnp.PyArray_ITEMSIZE(array)
    if cnp.PyArray_NDIM(array) != rank + 2:
        _errors.wrong_weight_rank(op, name, (<object>array).shape, rank)
    tensor.data = cnp.PyArray_DATA(array)
    for i in range(2):
        tensor.size[i] = cnp.PyArray_DIM(array, i)
        tensor.stride[i] = cnp.PyArray_STRIDE(array, i) // itemsize
    for i in range(RANK):
        if i < RANK - rank:
            tensor.size[2 + i] = 1
            tensor.stride[2 + i] = 0
        else:
            tensor.size[2 + i] = cnp.PyArray_DIM(array, 2 + i - (RANK - rank))
            tensor.stride[2 + i] = cnp.PyArray_STRIDE(array, 2 + i - (RANK - rank)) // itemsize
    return 0


cdef int sizes_of_shape(Op op, str name, object shape, int rank, bint last, int64_t *size) except -1:
    """A shape argument into N, C, D, H, W; 1 when it has a batch."""
    cdef int ndim, batched, i, axis
    cdef int64_t numbers[2 + RANK]
    if not isinstance(shape, (tuple, list)):
        shape = _errors.as_shape(op, name, shape)
    ndim = len(shape)
    if ndim != rank + 2 and not (op.rank and ndim == rank + 1):
        _errors.wrong_rank(op, name, shape, rank)
    for i in range(ndim):
        as_int(op, name, shape[i], shape, &numbers[i])
        if numbers[i] < 0:
            _errors.too_small(op, name, shape, ndim, 0)
    batched = ndim - rank - 1
    size[0] = numbers[0] if batched else 1
    size[1] = numbers[ndim - 1 if last else batched]
    for i in range(RANK):
        axis = batched + (0 if last else 1) + i - (RANK - rank)
        size[2 + i] = numbers[axis] if i >= RANK - rank else 1
    return batched


cdef cnp.ndarray allocate(Op op, const int64_t *size, int rank, bint last, bint batched, int typenum):
    cdef cnp.npy_intp dims[2 + RANK]
    cdef int i, n = 0
    if batched:
        dims[n] = size[0]
        n += 1
    if not last:
        dims[n] = size[1]
        n += 1
    for i in range(RANK - rank, RANK):
        dims[n] = size[2 + i]
        n += 1
    if last:
        dims[n] = size[1]
        n += 1
    try:
        return cnp.PyArray_EMPTY(n, dims, typenum, 0)
    except ValueError:  # more elements than an address space holds
        raise MemoryError(f"{op}: no memory for a result of shape {tuple([dims[i] for i in range(n)])}") from None


cdef cnp.ndarray result_array(Op op, str name, object out, const int64_t *size, int rank, bint last, bint batched,
                              int typenum, tuple inputs):
    """A new array, or the caller's own once it is known to fit."""
    cdef int i
    if out is None:
        return allocate(op, size, rank, last, batched, typenum)
    shape = [size[2 + i] for i in range(RANK - rank, RANK)]
    shape = [*shape, size[1]] if last else [size[1], *shape]
    shape = tuple([size[0], *shape] if batched else shape)
    _errors.check_out(op, name, out, shape, cnp.PyArray_DescrFromType(typenum), inputs)
    if not is_behaved(<cnp.ndarray>out):
        raise ValueError(f"{op}: {name} is misaligned or byte-swapped; needs a plain array to write to")
    return <cnp.ndarray>out


# ---- convolution ----

cdef int as_conv_params(Op op, object stride, object padding, object dilation, object groups, object flip, int rank,
                        const int64_t *in_size, const int64_t *kernel, fc_conv_params *params) except -1:
    cdef int i
    for i in range(RANK):
        params.stride[i] = params.dilation[i] = 1
        params.padding[i][0] = params.padding[i][1] = 0
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


cdef str reason(fc_status status):
    if status == FC_BAD_GROUPS:
        return "needs input channels = groups * weight's second axis, and output channels divisible by groups"
    return fc_status_string(status).decode()


def conv(int rank, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, w, y
    cdef fc_vector b
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status
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
    b.data = NULL
    as_conv_params(op, stride, padding, dilation, groups, flip, rank, &x.size[2], &w.size[2], &params)
    as_options(op, algorithm, activation, &opts)
    report.axis, report.value = -1, 0
    status = FC_OK
    if not groups_fit(&x, &w, params.groups):
        status = FC_BAD_GROUPS
    else:
        status = fc_conv_output_size(&x.size[2], &w.size[2], &params, &y.size[2], &report)
    if status == FC_OK:
        if bias is not None:
            if cnp.PyArray_NDIM(bias) != 1 or cnp.PyArray_DIM(bias, 0) != w.size[0]:
                _errors.bad_bias(op, bias.shape, w.size[0])
            b.data = cnp.PyArray_DATA(bias)
            b.size = w.size[0]
            b.stride = cnp.PyArray_STRIDE(bias, 0) // cnp.PyArray_ITEMSIZE(bias)
        y.size[0], y.size[1] = x.size[0], w.size[0]
        result = result_array(op, "out", out, y.size, rank, last, batched, typenum, (input, weight, bias))
        view(op, "out", result, rank, last, &y)
        with nogil:
            status = fc_conv_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &w, &b, &params, &opts, &y, &report)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, weight=weight,
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
        with nogil:
            status = fc_conv_grad_input(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &w, &params, &opts, &x, &report)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input_shape=input_shape, weight=weight,
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
        with nogil:
            status = fc_conv_grad_weight(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &x, &params, &opts, &w, &report)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, weight_shape=weight_shape,
                         stride=stride, padding=padding, dilation=dilation, groups=groups)
    return result


cdef int as_weight_shape(Op op, object shape, int rank, int64_t *size) except -1:
    cdef int i
    if not isinstance(shape, (tuple, list)):
        shape = _errors.as_shape(op, "weight_shape", shape)
    if len(shape) != rank + 2:
        _errors.wrong_weight_rank(op, "weight_shape", shape, rank)
    for i in range(RANK):
        size[2 + i] = 1
    for i in range(rank + 2):
        as_int(op, "weight_shape", shape[i], shape, &size[i if i < 2 else i + RANK - rank])
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


def conv_grad_bias(int rank, grad_output, layout):
    """The sum of a plain grad_output over everything but its channels."""
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor y
    cdef fc_vector b
    cdef fc_options opts
    cdef fc_status status
    cdef int last, typenum
    op.base, op.suffix, op.rank = "conv", "_backward", rank
    typenum = cnp.PyArray_TYPE(grad_output)
    rank = rank_of(op, cnp.PyArray_NDIM(grad_output), "grad_output", grad_output.shape)
    last = as_layout(op, layout, rank)
    view(op, "grad_output", grad_output, rank, last, &y)
    as_options(op, "auto", None, &opts)
    result = np.empty(y.size[1], grad_output.dtype)
    b.data, b.size, b.stride = cnp.PyArray_DATA(result), y.size[1], 1
    with nogil:
        status = fc_conv_grad_bias(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &opts, &b)
    if status != FC_OK:
        raise RuntimeError(f"{op}: {fc_status_string(status).decode()}")
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
    geometry = (stride, padding, dilation, groups, layout, flip, algorithm, None)
    grad_input = grad_weight = grad_bias = None
    with _errors.called_as(op):
        # The geometry is the same for both: whichever runs first finds what is wrong before anything is computed.
        if "input" in needs:
            grad_input = conv_grad_input(rank, grad_output, weight, input.shape, *geometry)
        if "weight" in needs or not needs:
            grad_weight = conv_grad_weight(rank, grad_output, input, weight.shape, *geometry)
        if "bias" in needs:
            grad_bias = conv_grad_bias(rank, grad_output, layout)
    return grad_input, grad_weight if "weight" in needs else None, grad_bias


# ---- pooling ----

cdef int as_pool_params(Op op, object kernel_size, object stride, object padding, object dilation, object ceil_mode,
                        int rank, const int64_t *in_size, fc_pool_params *params) except -1:
    cdef int i
    for i in range(RANK):
        params.kernel[i] = params.stride[i] = params.dilation[i] = 1
        params.padding[i][0] = params.padding[i][1] = 0
    as_axes(op, "kernel_size", kernel_size, rank, 1, params.kernel)
    if stride is None:
        for i in range(RANK):
            params.stride[i] = params.kernel[i]
    else:
        as_axes(op, "stride", stride, rank, 1, params.stride)
    as_axes(op, "dilation", dilation, rank, 1, params.dilation)
    as_padding(op, padding, rank, in_size, params.kernel, params.stride, params.dilation, params.padding)
    params.ceil_mode = as_flag(op, "ceil_mode", ceil_mode)
    params.count_include_pad = 1
    params.divisor_override = 0
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
    cdef int last, batched, typenum, indexed
    op.base, op.suffix, op.rank = "max_pool", "", rank
    if not is_plain(input):
        return _coerce.call(
            max_pool, op, {"input": input}, rank,
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
        with nogil:
            status = fc_max_pool_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &params, &opts, &y,
                                         &i if indexed else NULL, &report)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input=input, kernel_size=kernel_size,
                         stride=stride, padding=padding, dilation=dilation)
    return (result, indices) if indexed else result


def max_pool_backward(int rank, grad_output, indices, input_shape, kernel_size, stride, padding, dilation, layout, out):
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, y, i
    cdef fc_pool_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_status status = FC_OK
    cdef int last, batched, typenum, axis
    cdef bint fits
    cdef int64_t floors[RANK]
    cdef int64_t ceils[RANK]
    op.base, op.suffix, op.rank = "max_pool", "_backward", rank
    if type(indices) is not np_ndarray or cnp.PyArray_TYPE(indices) != cnp.NPY_INT64 or not is_behaved(indices):
        indices = _coerce.as_indices(op, indices)
    if not is_plain(grad_output):
        return _coerce.call(
            max_pool_backward, op, {"grad_output": grad_output}, rank,
            (indices, input_shape, kernel_size, stride, padding, dilation, layout), out,
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
    if kernel_size is not None:
        as_pool_params(op, kernel_size, stride, padding, dilation, False, rank, &x.size[2], &params)
        status = FC_EMPTY_INPUT
        if x.size[1] > 0:
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
        with nogil:
            status = fc_max_pool_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &i, &opts, &x, &report)
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
        with nogil:
            status = fc_avg_pool_forward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &x, &params, &opts, &y, &report)
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
        with nogil:
            status = fc_avg_pool_backward(<fc_dtype>(typenum != cnp.NPY_FLOAT32), &y, &params, &opts, &x, &report)
    if status != FC_OK:
        _errors.geometry(op, reason(status), status == FC_OUT_OF_MEMORY, input_shape=input_shape,
                         kernel_size=kernel_size, stride=stride, padding=padding, dilation=1)
    return result


# ---- the machine ----

def isa_compiled():
    """Names of all instruction sets in the library, lowest first."""
    return tuple([fc_isa_name(isa).decode() for isa in range(fc_isa_count())])


def isa_names():
    """Names of the instruction sets usable on this machine, lowest first."""
    return tuple([fc_isa_name(isa).decode() for isa in range(fc_isa_count()) if fc_isa_usable(isa)])


def isa_index(name):
    return isa_compiled().index(name)


def get_isa():
    return fc_isa_name(fc_isa_current()).decode()


def set_isa(name):
    fc_isa_select(isa_index(name))


def isa_lanes(name, dtype):
    """Elements of a vector: of float32 for dtype "float32", else of float64."""
    return fc_isa_lanes(isa_index(name), FC_FLOAT32 if dtype == "float32" else FC_FLOAT64)


def cpu_features():
    return tuple(fc_cpu_features().decode().split())


def has_openmp():
    return bool(fc_has_openmp())


def get_num_threads():
    return fc_get_num_threads()


def set_num_threads(int threads):
    fc_set_num_threads(threads)


def clear_scratch():
    fc_clear_scratch()


def fma_rounds(name, dtype, int64_t rounds):
    """Runs multiply-adds in registers and returns their number; the caller times it."""
    cdef int isa = isa_index(name)
    cdef fc_dtype number = FC_FLOAT32 if dtype == "float32" else FC_FLOAT64
    cdef int64_t done
    with nogil:
        done = fc_fma_rounds(isa, number, rounds)
    return done
