"""Differentiable convolutions and poolings for HIPS autograd, and its `convolve` on fastconv.

Under the names and signatures of fastconv, for code that is written with ``autograd.numpy``. Needs the package
``autograd``.

A convolution is linear in its input and in its filters, and so are its two gradients in what they are made of. The
three are one another's gradients, so that derivatives of any order, reverse and forward, run on fastconv. Pooling has
pairs, a linear map and its transpose, the places of maxima being constants.

Arguments are those of fastconv's functions, but for `out`, which is refused: autograd keeps results for its gradients.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal, NamedTuple, ParamSpec, TypeAlias, cast

import numpy as np

from ._needs import needs

with needs("autograd"):
    import autograd.numpy as anp
    from autograd.core import make_jvp, make_vjp
    from autograd.extend import def_linear, defjvp, defjvp_argnums, defvjp, defvjp_argnums, primitive
    from autograd.tracer import getval, isbox

import fastconv
from fastconv._types import Layout

from ._layouts import is_last
from ._transposes import conv_transpose_grad_input, conv_transpose_grad_weight, taken

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolve",
    "local_response_norm",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

P = ParamSpec("P")
Function: TypeAlias = Callable[..., Any]
Mode: TypeAlias = Literal["full", "valid", "same"]


def _differentiable(function: Callable[P, Any], call: Function) -> Callable[P, Any]:
    """`call` under the name and signature of a function of fastconv, without its `out`."""
    name = function.__name__

    @functools.wraps(function)
    def wrapped(input: Any, *args: Any, out: None = None, **options: Any) -> Any:
        if out is not None:
            raise ValueError(f"{name}: out is given; needs None, as autograd keeps results for its gradients")
        return call(input, *args, **options)  # autograd sees only what is positional

    wrapped.__module__ = __name__
    wrapped.__doc__ = f"`fastconv.{name}`, differentiable by autograd; `out` must be None."
    return cast(Callable[P, Any], wrapped)


# ---- convolutions: products of two arrays ----


def _product(forward: Function, to_input: Function, to_weight: Function) -> tuple[Function, Function, Function]:
    """Primitives of a map that is linear in two arrays, and of its transposes: each a gradient of the others.

    They are called as ``product(input, weight, *rest)``, ``to_input(grad_output, weight, input_shape, *rest)`` and
    ``to_weight(grad_output, input, weight_shape, *rest)``.
    """
    product, to_input, to_weight = primitive(forward), primitive(to_input), primitive(to_weight)
    defvjp(
        product,
        lambda _ans, x, w, *rest, **options: lambda g: to_input(g, w, np.shape(x), *rest, **options),
        lambda _ans, x, w, *rest, **options: lambda g: to_weight(g, x, np.shape(w), *rest, **options),
    )
    defvjp(
        to_input,
        lambda _ans, _g, w, _, *rest, **options: lambda x: product(x, w, *rest, **options),
        lambda _ans, g, w, _, *rest, **options: lambda x: to_weight(g, x, np.shape(w), *rest, **options),
    )
    defvjp(
        to_weight,
        lambda _ans, _g, x, _, *rest, **options: lambda w: product(x, w, *rest, **options),
        lambda _ans, g, x, _, *rest, **options: lambda w: to_input(g, w, np.shape(x), *rest, **options),
    )
    for function in (product, to_input, to_weight):
        def_linear(function)
    return product, to_input, to_weight


def _layer(function: Callable[P, Any], to_input: Function, to_weight: Function) -> Callable[P, Any]:
    """A convolution with its bias and activation, both computed in the same pass over the output."""
    product, to_input, to_weight = _product(
        lambda x, w, *geometry, **options: function(x, w, None, *geometry, **options), to_input, to_weight
    )
    layer = primitive(function)

    def vjps(argnums: Sequence[int], ans: Any, args: Sequence[Any], options: dict[str, Any]) -> Function:
        (x, w, _, *geometry), options = args, dict(options)
        activation = options.pop("activation", None)
        channels = _channel_axis(ans, w, options.get("layout"))
        pullbacks = (
            lambda g: to_input(g, w, np.shape(x), *geometry, **options),
            lambda g: to_weight(g, x, np.shape(w), *geometry, **options),
            lambda g: anp.sum(g, tuple(axis for axis in range(np.ndim(ans)) if axis != channels)),
        )

        def vjp(g: Any) -> list[Any]:
            g = _activation_gradient(activation, ans, g)
            return [pullbacks[argnum](g) for argnum in argnums]

        return vjp

    def jvps(argnums: Sequence[int], tangents: Any, ans: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
        (x, w, _, *geometry), options = args, dict(options)
        activation = options.pop("activation", None)
        after = np.ndim(ans) - _channel_axis(ans, w, options.get("layout")) - 1
        pushes = (
            lambda t: product(t, w, *geometry, **options),
            lambda t: product(x, t, *geometry, **options),
            lambda t: anp.reshape(t, (-1, *(1,) * after)) * anp.ones_like(ans),
        )
        total = sum(pushes[argnum](tangent) for argnum, tangent in zip(argnums, tangents, strict=True))
        return _activation_gradient(activation, ans, total)

    defvjp_argnums(layer, vjps)
    defjvp_argnums(layer, jvps)

    def call(input: Any, weight: Any, bias: Any = None, *geometry: Any, **options: Any) -> Any:
        if _slope(options.get("activation")) < 0:
            raise ValueError(
                f"{function.__name__}: activation is {options['activation']!r}; needs a slope >= 0: the sign of the "
                "output tells its gradient"
            )
        return layer(input, weight, bias, *geometry, **options)

    return _differentiable(function, call)


def _channel_axis(output: Any, weight: Any, layout: Layout | None) -> int:
    last = np.ndim(output) - 1
    return last if is_last(layout) else last - (np.ndim(weight) - 2)


def _slope(activation: Any) -> float:
    """Of an activation below zero. What is no activation is for fastconv to refuse."""
    slope = activation[1] if isinstance(activation, (tuple, list)) and len(activation) == 2 else 0
    return slope if isinstance(slope, Real) else 0


def _activation_gradient(activation: Any, output: Any, gradient: Any) -> Any:
    if activation is None:
        return gradient
    slope = _slope(activation)
    return anp.where(output > 0, gradient, slope * gradient if slope else 0)


def _transposed(function: Callable[P, Any], backward: Function) -> Callable[P, Any]:
    return _layer(
        function,
        functools.partial(conv_transpose_grad_input, backward),
        functools.partial(conv_transpose_grad_weight, backward),
    )


conv = _layer(fastconv.conv, fastconv.conv_grad_input, fastconv.conv_grad_weight)
conv1d = _layer(fastconv.conv1d, fastconv.conv1d_grad_input, fastconv.conv1d_grad_weight)
conv2d = _layer(fastconv.conv2d, fastconv.conv2d_grad_input, fastconv.conv2d_grad_weight)
conv3d = _layer(fastconv.conv3d, fastconv.conv3d_grad_input, fastconv.conv3d_grad_weight)
conv_transpose = _transposed(fastconv.conv_transpose, fastconv.conv_transpose_backward)
conv_transpose1d = _transposed(fastconv.conv_transpose1d, fastconv.conv_transpose1d_backward)
conv_transpose2d = _transposed(fastconv.conv_transpose2d, fastconv.conv_transpose2d_backward)
conv_transpose3d = _transposed(fastconv.conv_transpose3d, fastconv.conv_transpose3d_backward)


# ---- pooling: linear maps, once it is known where the maxima are ----


def _linear(forward: Function, backward: Function) -> tuple[Function, Function]:
    """Primitives of a linear map and of its transpose, ``backward(grad_output, input_shape, *rest)``."""
    there, back = primitive(forward), primitive(backward)
    defvjp(there, lambda _ans, x, *rest, **options: lambda g: back(g, np.shape(x), *rest, **options))
    defvjp(back, lambda _ans, _g, _, *rest, **options: lambda x: there(x, *rest, **options))
    def_linear(there)
    def_linear(back)
    return there, back


def _mean(function: Callable[P, Any], backward: Function) -> Callable[P, Any]:
    return _differentiable(function, _linear(function, backward)[0])


def _adaptive_mean(function: Callable[P, Any], backward: Function) -> Callable[P, Any]:
    """`backward` learns the size of the output from its gradient."""
    return _mean(function, lambda g, shape, output_size, **options: backward(g, shape, **options))  # noqa: ARG005


def _maximum(function: Callable[P, Any], backward: Function, rank: int = 0) -> Callable[P, Any]:
    """Maxima: the values are those of `function`, and derivatives those of the elements at its indices."""
    signature = inspect.signature(function)
    shared = (signature.parameters.keys() & inspect.signature(backward).parameters.keys()) - {"out"}
    chosen, added = _linear(
        lambda x, indices, **options: taken(x, indices, rank or x.ndim - 2, options.get("layout")),
        lambda g, shape, indices, **options: backward(g, indices, shape, **options),
    )
    maxima = primitive(lambda _input, values, _indices, **_window: values)
    defvjp(maxima, lambda _ans, x, _, indices, **options: lambda g: added(g, np.shape(x), indices, **options))
    defjvp(maxima, lambda t, _ans, _x, _, indices, **options: chosen(t, indices, **options))

    def call(input: Any, *args: Any, **options: Any) -> Any:
        if not isbox(input):
            return function(input, *args, **options)
        given = signature.bind(getval(input), *args, **options).arguments
        values, indices = function(**{**given, "return_indices": True})
        values = maxima(input, values, indices, **{name: given[name] for name in shared & given.keys()})
        return (values, indices) if given.get("return_indices") else values

    return _differentiable(function, call)


max_pool = _maximum(fastconv.max_pool, fastconv.max_pool_backward)
max_pool1d = _maximum(fastconv.max_pool1d, fastconv.max_pool1d_backward, 1)
max_pool2d = _maximum(fastconv.max_pool2d, fastconv.max_pool2d_backward, 2)
max_pool3d = _maximum(fastconv.max_pool3d, fastconv.max_pool3d_backward, 3)
avg_pool = _mean(fastconv.avg_pool, fastconv.avg_pool_backward)
avg_pool1d = _mean(fastconv.avg_pool1d, fastconv.avg_pool1d_backward)
avg_pool2d = _mean(fastconv.avg_pool2d, fastconv.avg_pool2d_backward)
avg_pool3d = _mean(fastconv.avg_pool3d, fastconv.avg_pool3d_backward)
adaptive_max_pool = _maximum(fastconv.adaptive_max_pool, fastconv.adaptive_max_pool_backward)
adaptive_max_pool1d = _maximum(fastconv.adaptive_max_pool1d, fastconv.adaptive_max_pool1d_backward, 1)
adaptive_max_pool2d = _maximum(fastconv.adaptive_max_pool2d, fastconv.adaptive_max_pool2d_backward, 2)
adaptive_max_pool3d = _maximum(fastconv.adaptive_max_pool3d, fastconv.adaptive_max_pool3d_backward, 3)
adaptive_avg_pool = _adaptive_mean(fastconv.adaptive_avg_pool, fastconv.adaptive_avg_pool_backward)
adaptive_avg_pool1d = _adaptive_mean(fastconv.adaptive_avg_pool1d, fastconv.adaptive_avg_pool1d_backward)
adaptive_avg_pool2d = _adaptive_mean(fastconv.adaptive_avg_pool2d, fastconv.adaptive_avg_pool2d_backward)
adaptive_avg_pool3d = _adaptive_mean(fastconv.adaptive_avg_pool3d, fastconv.adaptive_avg_pool3d_backward)


# ---- local response normalisation ----

_norm = primitive(fastconv.local_response_norm)
_norm_backward = primitive(fastconv.local_response_norm_backward)


def _norm_formula(
    g: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, *, layout: Layout | None = None
) -> Any:
    """What `_norm_backward` computes, in differentiable steps: only derivatives of it come this way."""
    below, above = size // 2, (size - 1) // 2
    d = k + alpha / size * _channel_sums(x * x, below, above, layout)
    shared = _channel_sums(g * x * d ** (-beta - 1), above, below, layout)
    return g * d**-beta - 2 * alpha * beta / size * x * shared


def _channel_sums(x: Any, below: int, above: int, layout: Layout | None) -> Any:
    """Of each channel, those from `below` under it to `above` over it."""
    axis = -1 if is_last(layout) else 1
    lines = anp.moveaxis(x, axis, -1)
    ones = np.ones((1, 1, below + 1 + above), getval(x).dtype)
    sums = conv(anp.reshape(lines, (math.prod(lines.shape[:-1]), 1, lines.shape[-1])), ones, None, 1, ((below, above),))
    return anp.moveaxis(anp.reshape(sums, lines.shape), -1, axis)


defvjp(_norm, lambda _ans, x, *rest, **options: lambda g: _norm_backward(g, x, *rest, **options))
defvjp(
    _norm_backward,
    lambda _ans, g, x, *rest, **options: make_vjp(lambda g: _norm_formula(g, x, *rest, **options), g)[0],
    lambda _ans, g, x, *rest, **options: make_vjp(lambda x: _norm_formula(g, x, *rest, **options), x)[0],
)
# The formula is linear in the gradient, so that its own gradient there is the push forward, at whatever point.
defjvp(_norm, lambda t, ans, x, *rest, **options: make_vjp(lambda g: _norm_formula(g, x, *rest, **options), ans)[0](t))
defjvp(
    _norm_backward,
    lambda t, _ans, _g, x, *rest, **options: _norm_backward(t, x, *rest, **options),
    lambda t, _ans, g, x, *rest, **options: make_jvp(lambda x: _norm_formula(g, x, *rest, **options), x)(t)[1],
)
local_response_norm = _differentiable(fastconv.local_response_norm, _norm)


# ---- autograd's own convolution ----


class _Operand(NamedTuple):
    """An array of `convolve` as a batch: its axes merged into (ignored, dot, *convolved), and their sizes."""

    array: Any
    ignored: tuple[int, ...]
    dot: tuple[int, ...]
    convolved: tuple[int, ...]


def convolve(
    A: Any,  # noqa: N803  # autograd's name
    B: Any,  # noqa: N803
    axes: Sequence[Sequence[int]] | None = None,
    dot_axes: Sequence[Sequence[int]] = ((), ()),
    mode: Mode = "full",
) -> Any:
    """Convolve along some axes, sum over others, and combine every one of the rest with every other.

    In place of ``autograd.scipy.signal.convolve``: the same arguments and results, and derivatives of any order.

    Parameters
    ----------
    A, B : array
        What to convolve. This is true convolution, which mirrors one of the two. Integers become float64.
    axes : pair of sequences of int, optional
        Axes of `A` and of `B` to convolve along, as many of each, at most three; default: all.
    dot_axes : pair of sequences of int, default: none
        Axes of `A` and of `B`, of pairwise equal sizes, to sum over the products of.
    mode : {"full", "valid", "same"}, default: "full"
        All overlaps; those where the shorter of the two lies within the longer, which must be the same array on every
        axis; or as many as `A` is long, centred.

    Returns
    -------
    array
        Its axes are those of `A` that are in neither list, those of `B` that are in neither, and the convolved ones,
        in the order of `axes`.

    Raises
    ------
    ValueError
        If `mode` is another, axes do not pair up, there are more than three to convolve along, or in mode ``"valid"``
        neither array is the shorter one on all axes.
    TypeError
        If the arrays are complex, which autograd's own allows.

    See Also
    --------
    conv : the same for fixed axes, with strides, padding, dilation and groups.

    Notes
    -----
    Axes are merged into those of one `conv` call, without copies where those merged lie next to each other in memory.
    The cost is the product of the sizes of all axes of the result, of those summed over and of the shorter array along
    the convolved ones.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastconv.interop.autograd import convolve
    >>> signal, taps = np.array([1.0, 2.0, 4.0]), np.array([1.0, -1.0])
    >>> convolve(signal, taps)
    array([ 1.,  1.,  2., -4.])
    >>> grad(lambda taps: np.sum(convolve(signal, taps, mode="valid") ** 2))(taps)
    array([20., 10.])

    A bank of filters over a batch of images, as in autograd's example of a convolutional net:

    >>> images, filters = np.ones((8, 1, 28, 28)), np.ones((1, 6, 5, 5))
    >>> convolve(images, filters, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid").shape
    (8, 6, 24, 24)
    """
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"convolve: mode is {mode!r}; needs 'full', 'valid' or 'same'")
    if axes is None:
        axes = [*range(np.ndim(A))], [*range(np.ndim(B))]
    for name, pair in (("axes", axes), ("dot_axes", dot_axes)):
        if len(pair) != 2 or len(pair[0]) != len(pair[1]):
            raise ValueError(f"convolve: {name} is {pair!r}; needs as many axes of A as of B")
    if len(axes[0]) > 3:
        raise ValueError(f"convolve: axes is {axes!r}; needs at most 3 to convolve along")
    a, b = _operand("A", A, axes[0], dot_axes[0]), _operand("B", B, axes[1], dot_axes[1])
    if a.dot != b.dot:
        raise ValueError(f"convolve: dot_axes is {dot_axes!r}, of sizes {a.dot} in A and {b.dot} in B; needs the same")
    image_first = mode == "same" or math.prod(a.convolved) >= math.prod(b.convolved)
    image, filters = (a, b) if image_first else (b, a)
    kernel = filters.convolved
    if mode == "valid" and any(size < taps for size, taps in zip(image.convolved, kernel, strict=True)):
        raise ValueError(
            f"convolve: A has sizes {a.convolved} and B {b.convolved} along axes; mode 'valid' needs one of them to be "
            "the shorter on all"
        )
    padding = {
        "full": [(taps - 1, taps - 1) for taps in kernel],
        "valid": [(0, 0) for _ in kernel],
        "same": [(taps // 2, (taps - 1) // 2) for taps in kernel],
    }[mode]
    result = conv(image.array, filters.array, None, 1, padding or 0, flip=True)
    if not image_first:
        result = anp.swapaxes(result, 0, 1)
    convolved = result.shape[2:] if kernel else ()
    return anp.reshape(result, (*a.ignored, *b.ignored, *convolved))


def _operand(name: str, array: Any, convolved: Sequence[int], dot: Sequence[int]) -> _Operand:
    """The axes merged; where there is none to convolve along, one of size one stands for them."""
    if np.iscomplexobj(getval(array)):
        raise TypeError(f"convolve: {name} is complex; needs real numbers")
    shape = np.shape(array)
    axes = range(len(shape))
    named = [*dot, *convolved]
    if not all(-len(shape) <= axis < len(shape) for axis in named) or len({axes[axis] for axis in named}) < len(named):
        raise ValueError(
            f"convolve: axes is {[*convolved]} and dot_axes is {[*dot]} for {name} of shape {shape}; needs different "
            "axes of it"
        )
    dot, convolved = [axes[axis] for axis in dot], [axes[axis] for axis in convolved]
    ignored = [axis for axis in axes if axis not in dot + convolved]
    sizes = [tuple(shape[axis] for axis in group) for group in (ignored, dot, convolved)]
    merged = (math.prod(sizes[0]), math.prod(sizes[1]), *(sizes[2] or (1,)))
    return _Operand(anp.reshape(anp.transpose(array, (*ignored, *dot, *convolved)), merged), *sizes)
