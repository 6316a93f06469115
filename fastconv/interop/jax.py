"""Convolutions and poolings for JAX on CPUs, under ``jit``, ``grad``, ``jvp`` and ``vmap``.

Under the names of fastconv, with its arguments but for `activation`, which XLA fuses itself, and `out`. Arrays are
promoted to one floating type. Needs the package ``jax``.

Each function is a primitive of JAX that calls back into Python. ``jax.pure_callback`` would be the official way, but it
first makes JAX arrays of what it hands over, which waits for a thread of the pool whose thread it holds: with one CPU,
programs with arrays of some 100 KB stop for ever [1]_. A primitive of one's own gets NumPy arrays, and what is linear
can say so: a convolution is linear in its input and in its filters, its gradients are too, and the three are one
another's transposes, so that derivatives of any order, forward and reverse, run on fastconv.

References
----------
.. [1] https://github.com/jax-ml/jax/issues/24255
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeAlias

import numpy as np

from ._needs import needs

with needs("jax"):
    import jax
    import jax.numpy as jnp
    from jax.core import ShapedArray
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

import fastconv
from fastconv._types import Algorithm, Array, ArrayLike, Int, Ints, Layout, Padding

from ._layouts import is_last
from ._transposes import conv_transpose_grad_input, conv_transpose_grad_weight, taken

__all__ = [
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
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

P = ParamSpec("P")
Axes: TypeAlias = tuple[int, ...]
Function: TypeAlias = Callable[..., Any]


# ---- primitives: functions of arrays, of the `shape` of the result, and of options ----


def _primitive(function: Function, batches: tuple[bool, ...]) -> Primitive:
    """``function(*arrays, shape, **options)``, computed on the host.

    `batches` says which arrays have a batch that is also that of the result; if none does, ``vmap`` goes one by one.
    """
    primitive = Primitive(f"fastconv_{function.__name__}")
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=("shape", "dtype", "options")))
    primitive.def_abstract_eval(lambda *_, shape, dtype, options: ShapedArray(shape, dtype))  # noqa: ARG005

    def lowering(ctx: mlir.LoweringRuleContext, *values: Any, shape: Axes, dtype: Any, options: Any) -> Any:
        def callback(*arrays: Any) -> tuple[Any]:
            return (function(*arrays, shape=shape, **dict(options)).astype(dtype, copy=False),)

        results, _, _ = mlir.emit_python_callback(
            ctx, callback, None, values, ctx.avals_in, ctx.avals_out, has_side_effect=False
        )
        return results

    def mapped(arrays: Sequence[Any], axes: Sequence[Any], *, shape: Axes, **params: Any) -> tuple[Any, int]:
        on = tuple(axis is not None for axis in axes)
        arrays = [jnp.moveaxis(a, axis, 0) if here else a for a, axis, here in zip(arrays, axes, on, strict=True)]
        if on == batches:
            size = arrays[0].shape[0]
            merged = [
                a.reshape(size * a.shape[1], *a.shape[2:]) if here else a for a, here in zip(arrays, on, strict=True)
            ]
            return primitive.bind(*merged, shape=(size * shape[0], *shape[1:]), **params).reshape(size, *shape), 0

        def one(slices: dict[int, Any]) -> Any:
            return primitive.bind(*(slices.get(i, a) for i, a in enumerate(arrays)), shape=shape, **params)

        return jax.lax.map(one, {i: a for i, a in enumerate(arrays) if on[i]}), 0

    mlir.register_lowering(primitive, lowering, platform="cpu")
    batching.primitive_batchers[primitive] = mapped
    return primitive


def _bound(primitive: Primitive, *arrays: Any, like: Any, **params: Any) -> Any:
    """The primitive with a result of the shape of what is `like` it."""
    return primitive.bind(*arrays, **{**params, "shape": like.aval.shape})


def _product(forward: Function, to_input: Function, to_weight: Function) -> Primitive:
    """Of a map that is linear in an input and a weight: the other two are its transposes, and each is one of theirs."""
    product = _primitive(forward, (True, False))
    to_input = _primitive(to_input, (True, False))
    to_weight = _primitive(to_weight, (False, False))
    ad.defbilinear(
        product,
        lambda ct, x, w, **params: _bound(to_input, ct, w, like=x, **params),
        lambda ct, x, w, **params: _bound(to_weight, ct, x, like=w, **params),
    )
    ad.defbilinear(
        to_input,
        lambda ct, g, w, **params: _bound(product, ct, w, like=g, **params),
        lambda ct, g, w, **params: _bound(to_weight, g, ct, like=w, **params),
    )
    ad.defbilinear(
        to_weight,
        lambda ct, g, x, **params: _bound(product, x, ct, like=g, **params),
        lambda ct, g, x, **params: _bound(to_input, g, ct, like=x, **params),
    )
    return product


def _linear(forward: Function, backward: Function, others: int = 0) -> Primitive:
    """Of a map that is linear in its first array, with its transpose; `others` are constants, with a batch as well."""
    there = _primitive(forward, (True,) * (1 + others))
    back = _primitive(backward, (True,) * (1 + others))
    for primitive, transpose in ((there, back), (back, there)):
        ad.defjvp(primitive, functools.partial(_push, primitive), *(None,) * others)
        ad.primitive_transposes[primitive] = functools.partial(_pull, transpose)
    return there


def _push(primitive: Primitive, tangent: Any, _: Any, *others: Any, **params: Any) -> Any:
    return primitive.bind(tangent, *others, **params)


def _pull(transpose: Primitive, cotangent: Any, x: Any, *others: Any, **params: Any) -> tuple[Any, ...]:
    pulled = ad.Zero(x.aval) if type(cotangent) is ad.Zero else _bound(transpose, cotangent, *others, like=x, **params)
    return pulled, *(None for _ in others)


# ---- what they compute: `shape` is that of the result ----


def _conv(x: Array, w: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.conv(x, w, **options)


def _conv_to_input(g: Array, w: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.conv_grad_input(g, w, shape, **options)


def _conv_to_weight(g: Array, x: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.conv_grad_weight(g, x, shape, **options)


def _conv_transpose(x: Array, w: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.conv_transpose(x, w, **options)


def _conv_transpose_to_input(g: Array, w: Array, *, shape: Axes, **options: Any) -> Array:
    return conv_transpose_grad_input(fastconv.conv_transpose_backward, g, w, shape, **options)


def _conv_transpose_to_weight(g: Array, x: Array, *, shape: Axes, **options: Any) -> Array:
    return conv_transpose_grad_weight(fastconv.conv_transpose_backward, g, x, shape, **options)


def _avg_pool(x: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.avg_pool(x, **options)


def _avg_pool_to_input(g: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.avg_pool_backward(g, shape, **options)


def _max_pool(x: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.max_pool(x, **options)


def _places(x: Array, *, shape: Axes, **options: Any) -> Array:
    return fastconv.max_pool(x, **options, return_indices=True)[1]


def _taken(x: Array, indices: Array, *, shape: Axes, layout: Layout | None, **window: Any) -> Array:
    return taken(x, indices, x.ndim - 2, layout)


def _added(g: Array, indices: Array, *, shape: Axes, ceil_mode: bool, **window: Any) -> Array:
    return fastconv.max_pool_backward(g, indices, shape, **window)


_CONV = _product(_conv, _conv_to_input, _conv_to_weight)
_CONV_TRANSPOSE = _product(_conv_transpose, _conv_transpose_to_input, _conv_transpose_to_weight)
_AVG_POOL = _linear(_avg_pool, _avg_pool_to_input)
_MAX_POOL, _PLACES = _primitive(_max_pool, (True,)), _primitive(_places, (True,))
_TAKEN = _linear(_taken, _added, others=1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _maxima(x: Any, params: Any) -> Any:
    return _MAX_POOL.bind(x, **dict(params))


@_maxima.defjvp
def _maxima_jvp(params: Any, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    params = dict(params)
    indices = _PLACES.bind(jax.lax.stop_gradient(primals[0]), **{**params, "dtype": np.dtype(np.int32)})
    return tuple(_TAKEN.bind(array, indices, **params) for array in (*primals, *tangents))


# ---- the functions ----


def conv(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
) -> jax.Array:
    """`fastconv.conv` of JAX arrays.

    Parameters
    ----------
    input, weight, bias : array
        As in `fastconv.conv`.
    stride, padding, dilation, groups, layout, flip, algorithm
        As in `fastconv.conv`; constants.

    Returns
    -------
    jax.Array, shape (N, K, *output)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.conv`, when the function is traced.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from fastconv.interop.jax import conv
    >>> signal = jnp.array([[[1.0, 2.0, 4.0, 8.0]]])
    >>> loss = lambda weight: conv(signal, weight, algorithm="exact").sum()
    >>> jax.jit(jax.grad(loss))(jnp.array([[[-1.0, 0.0, 1.0]]]))
    Array([[[ 3.,  6., 12.]]], dtype=float32)
    """
    options = _frozen(
        stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout, flip=flip, algorithm=algorithm
    )
    return _with_bias(_CONV, _conv, input, weight, bias, options)


def conv_transpose(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
) -> jax.Array:
    """`fastconv.conv_transpose` of JAX arrays.

    Parameters
    ----------
    input, weight, bias : array
        As in `fastconv.conv_transpose`.
    stride, padding, output_padding, groups, dilation, layout, algorithm
        As in `fastconv.conv_transpose`; constants.

    Returns
    -------
    jax.Array, shape (N, K, *output)

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.conv_transpose`, when the function is traced.
    """
    options = _frozen(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
        layout=layout,
        algorithm=algorithm,
    )
    return _with_bias(_CONV_TRANSPOSE, _conv_transpose, input, weight, bias, options)


def max_pool(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    *,
    layout: Layout | None = None,
) -> jax.Array:
    """`fastconv.max_pool` of a JAX array.

    Parameters
    ----------
    input : array
        As in `fastconv.max_pool`.
    kernel_size, stride, padding, dilation, ceil_mode, layout
        As in `fastconv.max_pool`; constants.

    Returns
    -------
    jax.Array, shape (N, C, *output)

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.max_pool`, when the function is traced.
    """
    options = _frozen(
        kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode, layout=layout
    )
    (x,), params = _prepared(_max_pool, (input,), options)
    return _maxima(x, tuple(params.items()))


def avg_pool(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
) -> jax.Array:
    """`fastconv.avg_pool` of a JAX array.

    Parameters
    ----------
    input : array
        As in `fastconv.avg_pool`.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As in `fastconv.avg_pool`; constants.

    Returns
    -------
    jax.Array, shape (N, C, *output)

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.avg_pool`, when the function is traced.
    """
    options = _frozen(
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
        layout=layout,
    )
    (x,), params = _prepared(_avg_pool, (input,), options)
    return _AVG_POOL.bind(x, **params)


def _with_bias(
    product: Primitive, function: Function, input: Any, weight: Any, bias: Any, options: tuple[Any, ...]
) -> jax.Array:
    beside = () if bias is None else (bias,)
    arrays, params = _prepared(function, (input, weight), options, beside)
    result = product.bind(*arrays, **params)
    if bias is None:
        return result
    last = is_last(dict(options)["layout"])
    channels, bias = result.shape[-1 if last else 1], jnp.asarray(bias, result.dtype)
    if bias.shape != (channels,):
        raise ValueError(f"{function.__name__[1:]}: bias has shape {bias.shape}; needs ({channels},)")
    return result + bias.reshape(-1, *(1,) * (0 if last else result.ndim - 2))


def _prepared(
    function: Function, arrays: Sequence[Any], options: tuple[Any, ...], beside: Sequence[Any] = ()
) -> tuple[list[Any], dict[str, Any]]:
    """Arrays of one type, which those `beside` have a say in, and the parameters of a primitive.

    An empty batch tells the shape, and what is wrong; but for what only an item can tell, which is then computed.
    """
    arrays, beside = ([x if hasattr(x, "dtype") else np.asarray(x) for x in some] for some in (arrays, beside))
    dtype = jnp.result_type(*arrays, *beside, float)
    arrays = [jnp.asarray(array, dtype) for array in arrays]
    zero, given = np.zeros((), dtype), dict(options)
    first, *others = (np.broadcast_to(zero, array.shape) for array in arrays)
    # Whether an algorithm can, and whether a window with gaps holds anything.
    asked = given.get("algorithm", "auto") not in ("auto", "exact") or (others == [] and given.get("dilation", 1) != 1)
    shape = function(first[: int(asked)], *others, shape=None, **given).shape
    return arrays, {"shape": (len(first), *shape[1:]), "dtype": np.dtype(dtype), "options": options}


def _frozen(**options: Any) -> tuple[tuple[str, Any], ...]:
    """Options that can be compared and hashed, as JAX wants it of what it keeps compiled."""
    return tuple((name, _tuple(value)) for name, value in options.items())


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, (list, tuple, np.ndarray)) else value


def _of_rank(function: Callable[P, jax.Array], rank: int) -> Callable[P, jax.Array]:
    """The function for signals, images or volumes alone, with or without a batch."""

    @functools.wraps(function)
    def ranked(input: Any, *args: Any, **options: Any) -> jax.Array:
        axes = jnp.ndim(input)
        if axes not in (rank + 1, rank + 2):
            raise ValueError(
                f"{ranked.__name__}: input has shape {jnp.shape(input)}; needs {rank + 1} or {rank + 2} axes"
            )
        if axes == rank + 2:
            return function(input, *args, **options)
        return function(jnp.expand_dims(input, 0), *args, **options)[0]

    ranked.__name__ = ranked.__qualname__ = f"{function.__name__}{rank}d"
    ranked.__doc__ = f"`{function.__name__}` over {rank} spatial axes; the batch may be missing."
    return ranked


conv1d, conv2d, conv3d = (_of_rank(conv, rank) for rank in (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = (_of_rank(conv_transpose, rank) for rank in (1, 2, 3))
max_pool1d, max_pool2d, max_pool3d = (_of_rank(max_pool, rank) for rank in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_of_rank(avg_pool, rank) for rank in (1, 2, 3))
