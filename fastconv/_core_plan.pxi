# What would run, packed weights, and the rules of geometry for whoever asks for sizes. Included by _core.pyx.

cdef tuple PASSES = ("forward", "grad_input", "grad_weight")
cdef dict ALGORITHM_NAMES = {number: name for name, number in ALGORITHMS.items()}

cdef enum:
    PACKS_KEPT = 2
    ALIGNMENT = 64


cdef int forks = 0  # between this process and the one that imported us


def after_fork():
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)


cdef class PackedWeights:
    """Weights of one ConvPlan as its algorithms want them; made when first needed, the latest PACKS_KEPT are kept."""

    cdef object lock
    cdef int forks
    cdef list packs  # [(algorithm, instruction set), buffer], oldest first
    cdef fc_tensor weight  # of which the packs are
    cdef fc_dtype dtype
    cdef fc_tensor input  # for which `choice` was made
    cdef int choice_isa, choice_policy, choice
    cdef int64_t packed_bytes

    def __init__(self, lock):
        self.lock, self.forks = lock, forks
        self.packs = []
        self.choice_isa = -1

    def kept(self):
        """The algorithms whose packed weights are held now."""
        return tuple([ALGORITHM_NAMES[key[0]] for key, _ in self.packs])

    cdef object take(self, Op op, fc_dtype dtype, const fc_tensor *x, const fc_tensor *w, const fc_tensor *y,
                     const fc_conv_params *params, fc_options *opts):
        """Settles the algorithm in `opts` and its packed weights; the result keeps them alive."""
        cdef fc_conv_choice choice
        cdef fc_status status
        cdef fc_options own = opts[0]
        cdef int isa = opts.isa if opts.isa >= 0 else fc_isa_current(), policy = opts.algorithm, i
        cdef bint same
        if self.forks != forks:  # whoever held the lock has stayed with the parent
            self.lock, self.forks = threading.Lock(), forks
        self.lock.acquire()  # no `with`: see conv_backward
        try:
            if self.choice_isa < 0:
                self.weight, self.dtype = w[0], dtype
            elif self.dtype != dtype or not same_tensors(&self.weight, w):
                return None  # somebody has changed the plan's array: weights are packed in the call
            same = self.choice_isa == isa and self.choice_policy == policy
            for i in range(1, 2 + RANK):  # the choice does not see the batch
                same = same and self.input.size[i] == x.size[i] and self.input.stride[i] == x.stride[i]
            if not same:
                fc_conv_choice_init(&choice)
                status = fc_conv_choose(dtype, FC_FORWARD, x, w, y, params, opts, &choice, NULL)
                if status != FC_OK:
                    return None  # the call itself will say what is wrong
                self.choice, self.packed_bytes = choice.algorithm, choice.packed_bytes
                self.choice_isa, self.choice_policy = isa, policy
                self.input = x[0]
            own.algorithm = opts.algorithm = <fc_algorithm_id>self.choice
            if self.packed_bytes == 0:
                return None
            key = (self.choice, isa)
            buffer = None
            for held, candidate in self.packs:
                if held == key:
                    buffer = candidate
            if buffer is None:
                buffer = self.pack(op, dtype, w, params, &own)
                self.packs = [*self.packs[1 - PACKS_KEPT:], (key, buffer)]
            opts.packed = aligned(buffer)
            return buffer
        finally:
            self.lock.release()

    cdef object pack(self, Op op, fc_dtype dtype, const fc_tensor *w, const fc_conv_params *params,
                     const fc_options *opts):
        cdef void *data
        cdef fc_status status
        try:
            buffer = np.empty(self.packed_bytes + ALIGNMENT, np.uint8)
        except (ValueError, MemoryError):
            raise MemoryError(f"{op}: no memory for {self.packed_bytes} bytes of packed weights") from None
        data = aligned(buffer)
        with nogil:
            status = fc_conv_pack(dtype, w, params, opts, data)
        if status != FC_OK:
            raise RuntimeError(f"{op}: {fc_status_string(status).decode()}")
        self.packed(ALGORITHM_NAMES[<int>opts.algorithm])
        return buffer

    def packed(self, algorithm):
        """Called when weights have been packed for an algorithm; tests count it."""


cdef bint same_tensors(const fc_tensor *a, const fc_tensor *b) noexcept:
    cdef int axis
    cdef bint same = a.data == b.data
    for axis in range(2 + RANK):
        same = same and a.size[axis] == b.size[axis] and a.stride[axis] == b.stride[axis]
    return same


def check_plan(weight, bias, stride, padding, dilation, groups, layout, activation, algorithm, input_shape):
    """Whatever of a plan's arguments is wrong without knowing an input."""
    cdef Op op = Op("ConvPlan", "", 0)
    cdef fc_tensor w
    cdef fc_conv_params params
    cdef fc_options opts
    cdef int64_t size[2 + RANK]
    cdef int last, rank = weight.ndim - 2
    last = as_layout(op, layout, rank)
    view_weight(op, "weight", weight, rank, &w)
    as_conv_params(op, stride, padding, dilation, groups, False, rank, &w.size[2], &w.size[2], &params)
    as_options(op, algorithm, activation, &opts)
    if 0 in weight.shape or params.groups < 1 or w.size[0] % params.groups != 0:
        _errors.geometry(op, "needs no empty axis, and output channels divisible by groups", False, weight=weight,
                         groups=groups)
    if bias is not None and bias.shape != (w.size[0],):
        _errors.bad_bias(op, bias.shape, w.size[0])
    if input_shape is not None:
        shape = tuple(_errors.as_shape(op, "input_shape", input_shape))
        if len(shape) == rank + 1:  # one item will do as well
            shape = (1, *shape)
        if len(shape) != rank + 2:
            _errors.bad_plan_input_shape(op, input_shape, rank, last)
        sizes_of_shape(op, "input_shape", shape, rank, last, size)
        if product(&size[1], 1 + RANK, 1) < 0:  # with an empty batch too
            _errors.too_large(op, "input_shape", input_shape)


cdef void *aligned(cnp.ndarray buffer) noexcept:
    return <void *>((<size_t>cnp.PyArray_DATA(buffer) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)


def choose_algorithm(input_shape, weight_shape, stride, padding, dilation, groups, dtype, layout, algorithm, pass_name):
    """(algorithm, {algorithm: estimated cost}, multiply-adds, bytes of input, weights and output, scratch bytes)"""
    cdef Op op = Op.__new__(Op)
    cdef fc_tensor x, w, y
    cdef fc_conv_params params
    cdef fc_options opts
    cdef fc_report report
    cdef fc_conv_choice choice
    cdef fc_status status
    cdef int last, i
    cdef double elements
    op.base, op.suffix, op.rank = "choose_algorithm", "", 0
    cdef int wide = _errors.as_native_dtype(op, dtype) == cnp.NPY_FLOAT64
    input_shape = tuple(_errors.as_shape(op, "input_shape", input_shape))
    if not 3 <= len(input_shape) <= 2 + RANK:
        _errors.wrong_rank(op, "input_shape", input_shape)
    cdef int rank = len(input_shape) - 2
    last = as_layout(op, layout, rank)
    sizes_of_shape(op, "input_shape", input_shape, rank, last, x.size)
    as_weight_shape(op, weight_shape, rank, w.size)
    as_conv_params(op, stride, padding, dilation, groups, False, rank, &x.size[2], &w.size[2], &params)
    as_options(op, algorithm, None, &opts)
    if pass_name not in PASSES:
        _errors.bad_choice(op, "pass_name", pass_name, PASSES)
    report.axis, report.value = -1, 0
    if not groups_fit(&x, &w, params.groups):
        status = FC_BAD_GROUPS
    else:
        status = fc_conv_output_size(&x.size[2], &w.size[2], &params, &y.size[2], &report)
    if status == FC_OK:
        y.size[0], y.size[1] = x.size[0], w.size[0]
        dense_strides(&x, rank, last)
        dense_strides(&y, rank, last)
        dense_strides(&w, rank, False)
        x.data = w.data = y.data = NULL
        fc_conv_choice_init(&choice)
        status = fc_conv_choose(<fc_dtype>wide, <fc_conv_pass><int>PASSES.index(pass_name),
                                &x, &w, &y, &params, &opts, &choice, &report)
    if status != FC_OK:
        _errors.geometry(op, reason(status, &opts), status == FC_OUT_OF_MEMORY, input_shape=input_shape,
                         weight_shape=weight_shape, stride=stride, padding=padding, dilation=dilation, groups=groups)
    elements = 0
    for tensor_size in ([x.size[i] for i in range(2 + RANK)], [w.size[i] for i in range(2 + RANK)],
                        [y.size[i] for i in range(2 + RANK)]):
        elements += math.prod(tensor_size)
    costs = {name: choice.cost[which] for name, which in ALGORITHMS.items() if which > FC_EXACT}
    return (ALGORITHM_NAMES[<int>choice.algorithm], costs, int(choice.multiply_adds),
            int(elements) * (8 if wide else 4), choice.scratch_bytes)


cdef void dense_strides(fc_tensor *tensor, int rank, bint last) noexcept:
    """Those of a dense array; of axes that it does not have 0, as view() leaves them: the choice looks at them."""
    cdef int64_t step = 1
    cdef int axis
    if last:
        tensor.stride[1] = 1
        step = tensor.size[1]
    for axis in range(1 + RANK, 1, -1):
        tensor.stride[axis] = step if axis >= 2 + RANK - rank else 0
        step *= tensor.size[axis]
    if not last:
        tensor.stride[1] = step
        step *= tensor.size[1]
    tensor.stride[0] = step


# ---- sizes ----

cdef int as_sizes(Op op, str name, object sizes, int64_t *result) except -1:
    cdef int i
    for i in range(RANK):
        result[i] = 1
    axes = tuple(sizes) if isinstance(sizes, (tuple, list)) else _errors.as_shape(op, name, sizes)
    if not 1 <= len(axes) <= RANK:
        _errors.wrong_size_count(op, name, sizes)
    as_axes(op, name, axes, len(axes), 1, result)
    return len(axes)


cdef tuple sizes_or_error(Op op, fc_status status, const int64_t *sizes, int rank, dict facts):
    cdef int i
    if status != FC_OK:
        _errors.geometry(op, fc_status_string(status).decode(), False, **facts)
    return tuple([sizes[i] for i in range(RANK - rank, RANK)])


def conv_output_size(input_size, kernel_size, stride, padding, dilation):
    cdef Op op = Op("output_size", "", 0)
    cdef fc_conv_params params
    cdef int64_t sizes[RANK]
    cdef int64_t kernel[RANK]
    cdef int64_t result[RANK]
    cdef int rank = as_sizes(op, "input_size", input_size, sizes)
    as_patch_params(op, kernel_size, dilation, padding, stride, rank, sizes, kernel, &params)
    return sizes_or_error(op, fc_conv_output_size(sizes, kernel, &params, result, NULL), result, rank,
                          {"input_size": input_size, "kernel_size": kernel_size, "stride": stride, "padding": padding,
                           "dilation": dilation})


def conv_transpose_output_size(input_size, kernel_size, stride, padding, output_padding, dilation):
    cdef Op op = Op("output_size", "", 0)
    cdef fc_conv_params params
    cdef int64_t sizes[RANK]
    cdef int64_t kernel[RANK]
    cdef int64_t extra[RANK]
    cdef int64_t result[RANK]
    cdef int i, rank = as_sizes(op, "input_size", input_size, sizes)
    for i in range(RANK):
        kernel[i] = 1
    as_axes(op, "kernel_size", kernel_size, rank, 1, kernel)
    as_transpose_params(op, stride, padding, output_padding, dilation, 1, rank, kernel, &params, extra)
    return sizes_or_error(op, fc_conv_transpose_output_size(sizes, kernel, &params, extra, result, NULL), result, rank,
                          {"input_size": input_size, "kernel_size": kernel_size, "stride": stride, "padding": padding,
                           "output_padding": output_padding, "dilation": dilation})


def pool_output_size(input_size, kernel_size, stride, padding, dilation, ceil_mode):
    cdef Op op = Op("output_size", "", 0)
    cdef fc_pool_params params
    cdef int64_t sizes[RANK]
    cdef int64_t result[RANK]
    cdef int rank = as_sizes(op, "input_size", input_size, sizes)
    as_pool_params(op, kernel_size, stride, padding, dilation, ceil_mode, rank, sizes, &params)
    return sizes_or_error(op, fc_pool_output_size(sizes, &params, result, NULL), result, rank,
                          {"input_size": input_size, "kernel_size": kernel_size, "stride": stride, "padding": padding,
                           "dilation": dilation})
