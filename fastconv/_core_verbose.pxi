# FASTCONV_VERBOSE=1: what each call was, and how long it took. Included by _core.pyx.

cdef tuple AXES = ("", "w", "hw", "dhw")


cdef double now() except -1:
    """Seconds, or 0 where nobody asks for them."""
    return time.perf_counter() if VERBOSE else 0


cdef list sizes_of(const int64_t *numbers, int count):
    cdef int i
    return [numbers[i] for i in range(count)]


cdef int tell(Op op, str pass_name, str descriptor, bint double, int rank, bint last, str algorithm,
              const fc_options *opts, double began) except -1:
    cdef double seconds = time.perf_counter() - began
    cdef int isa = opts.isa if opts.isa >= 0 else fc_isa_current()
    cdef int threads = opts.threads if opts.threads > 0 else fc_get_num_threads()
    layout = f"n{AXES[rank]}c" if last else f"nc{AXES[rank]}"
    _verbose.tell(op, pass_name, descriptor, "f64" if double else "f32", layout, algorithm, fc_isa_name(isa).decode(),
                  threads if fc_has_openmp() else 1, seconds)
    return 0


cdef int tell_conv(Op op, fc_conv_pass which, const fc_tensor *x, const fc_tensor *w, const fc_tensor *y,
                   const fc_conv_params *params, const fc_options *opts, bint double, int rank, bint last,
                   double began, bint transposed=False) except -1:
    cdef fc_conv_choice choice
    cdef int axis
    algorithm = "-"
    fc_conv_choice_init(&choice)
    if fc_conv_choose(<fc_dtype>double, which, x, w, y, params, opts, &choice, NULL) == FC_OK:
        algorithm = ALGORITHM_NAMES[<int>choice.algorithm]
    before = [params.padding[axis][0] for axis in range(RANK)]
    descriptor = _verbose.conv_descriptor(
        rank, sizes_of(x.size, 2 + RANK), sizes_of(w.size, 2 + RANK), sizes_of(y.size, 2 + RANK),
        sizes_of(params.stride, RANK), before, sizes_of(params.dilation, RANK), params.groups,
    )
    return tell(op, PASSES[<int>which], descriptor, double, rank, last, algorithm, opts, began)


cdef int tell_pool(Op op, str pass_name, const fc_tensor *x, const fc_tensor *y, const fc_pool_params *params,
                   const fc_options *opts, bint double, int rank, bint last, double began) except -1:
    cdef int axis
    before = [params.padding[axis][0] for axis in range(RANK)]
    descriptor = _verbose.pool_descriptor(
        rank, sizes_of(x.size, 2 + RANK), sizes_of(y.size, 2 + RANK), sizes_of(params.kernel, RANK),
        sizes_of(params.stride, RANK), before, sizes_of(params.dilation, RANK),
    )
    return tell(op, pass_name, descriptor, double, rank, last, "-", opts, began)


cdef int tell_shape(Op op, str pass_name, const fc_tensor *x, const fc_options *opts, bint double, int rank, bint last,
                    double began) except -1:
    """For what is no convolution or pooling with a window of its own."""
    sizes = sizes_of(x.size, 2 + RANK)
    descriptor = "x".join(map(str, sizes[:2] + sizes[2 + RANK - rank:]))
    return tell(op, pass_name, descriptor, double, rank, last, "-", opts, began)
