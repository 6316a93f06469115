# Arguments of calls: ints, tuples, words and arrays parsed into C structs. Included by _core.pyx.
#
# A caller's `__index__`, `__eq__` or attribute may do anything, to the other arguments too. So a list is read as the
# tuple that it was when it was met; and arrays become structs before the first argument is parsed that may run such
# code, the output after the last.

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
        raise ValueError(f"{op}: {name} is {given!r}; needs 64-bit ints")
    return 0


cdef inline bint mul_overflows(int64_t a, int64_t b) noexcept:
    """Whether a product of sizes is more than any array holds."""
    return a > 0 and b > 0 and a > (<int64_t>1 << 48) // b


cdef int64_t product(const int64_t *numbers, int count, int64_t start) noexcept:
    """start * numbers[0] * ..., or -1 where that is more than any array holds."""
    cdef int i
    for i in range(count):
        if mul_overflows(start, numbers[i]):
            return -1
        start *= numbers[i]
    return start


cdef int as_axes(Op op, str name, object value, int rank, int64_t least, int64_t *result) except -1:
    """One int for all axes or one an axis, into the last `rank` of three."""
    cdef int i
    if type(value) is int:
        as_int(op, name, value, value, &result[RANK - 1])
        for i in range(RANK - rank, RANK - 1):
            result[i] = result[RANK - 1]
    else:
        axes = tuple(value) if isinstance(value, (tuple, list)) else _errors.as_axes(op, name, value, rank)
        if len(axes) != rank:
            _errors.wrong_length(op, name, value, rank)
        for i in range(rank):
            as_int(op, name, axes[i], value, &result[RANK - rank + i])
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
        axes = tuple(value) if isinstance(value, (tuple, list)) else _errors.as_axes(op, "padding", value, rank)
        if len(axes) != rank:
            _errors.bad_padding(op, value, rank)
        for i in range(rank):
            item = axes[i]
            if isinstance(item, (tuple, list)) != isinstance(axes[0], (tuple, list)):
                _errors.bad_padding(op, value, rank)
            if isinstance(item, (tuple, list)):
                sides = tuple(item)
                if len(sides) != 2:
                    _errors.bad_padding(op, value, rank)
                for side in range(2):
                    as_int(op, "padding", sides[side], value, &result[RANK - rank + i][side])
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
        plain = PyUnicode_FromObject(layout)  # of a subclass the letters alone: arrays have not been read yet
        if plain == <str>CHANNELS_FIRST[rank]:
            return 0
        if plain == <str>CHANNELS_LAST[rank]:
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
        result.flush_denormal = context[3]
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
        if not 1 <= op.rank <= RANK:
            raise ValueError(f"rank is {op.rank}; needs 1 to {RANK}")
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
        _errors.wrong_rank(op, name, (<object>array).shape, rank, last)
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


cdef void view_bias(object bias, fc_vector *vector) noexcept:
    """No data for None; of more than one axis no size that fits."""
    cdef cnp.ndarray array
    vector.data = NULL
    vector.size = -1
    if bias is None:
        return
    array = <cnp.ndarray>bias
    vector.data = cnp.PyArray_DATA(array)
    if cnp.PyArray_NDIM(array) == 1:
        vector.size = cnp.PyArray_DIM(array, 0)
        vector.stride = cnp.PyArray_STRIDE(array, 0) // cnp.PyArray_ITEMSIZE(array)


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
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else _errors.as_shape(op, name, shape)
    ndim = len(sizes)
    if ndim != rank + 2 and not (op.rank and ndim == rank + 1):
        _errors.wrong_rank(op, name, shape, rank, last)
    for i in range(ndim):
        as_int(op, name, sizes[i], shape, &numbers[i])
        if numbers[i] < 0:
            _errors.too_small(op, name, shape, ndim, 0)
    batched = ndim - rank - 1
    size[0] = numbers[0] if batched else 1
    size[1] = numbers[ndim - 1 if last else batched]
    for i in range(RANK):
        axis = batched + (0 if last else 1) + i - (RANK - rank)
        size[2 + i] = numbers[axis] if i >= RANK - rank else 1
    if product(size, 2 + RANK, 1) < 0:
        _errors.too_large(op, name, shape)
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
    except (ValueError, MemoryError):  # ValueError: more elements than an address space holds
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
    # From here to the reading of its strides nothing of the caller's runs.
    if not is_behaved(<cnp.ndarray>out):
        raise ValueError(f"{op}: {name} is misaligned or byte-swapped; needs a plain array to write to")
    return <cnp.ndarray>out
