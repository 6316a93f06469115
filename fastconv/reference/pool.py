"""Pooling by a sliding window, by as many windows as the output is to have, and over channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._forms import Array, Form, Padding, asarrays, integer, needs_shape, per_axis, result_dtype
from ._windows import Window, parts


def _winners(x: Array) -> Array:
    """Index of the largest along the last axis: the first such, or the last NaN if any."""
    nan = np.isnan(x)
    last = x.shape[-1] - 1 - np.argmax(nan[..., ::-1], axis=-1)
    return np.where(nan.any(axis=-1), last, np.argmax(x, axis=-1))


def _checked_indices(form: Form, grad_output: Array, indices: Array, limit: int) -> Array:
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices are {indices.dtype}; need integers")
    needs_shape("indices", indices, grad_output.shape)
    where = form.array(indices, np.int64)
    if ((where < 0) | (where >= limit)).any():
        raise ValueError(f"indices range from {where.min()} to {where.max()}; need 0 to {limit - 1}")
    return where


def _to_planes(form: Form, grad_output: Array, indices: Array, x_shape: tuple[int, ...]) -> Array:
    """Gradients added to the elements of the plane that their indices name."""
    g, plane = form.array(grad_output), math.prod(x_shape[2:])
    where = _checked_indices(form, grad_output, indices, plane)
    needs_shape("grad_output", g, (*x_shape[:2], *g.shape[2:]))
    grad = np.zeros((*x_shape[:2], plane))
    batch, channel, *_ = np.indices(g.shape, sparse=True)
    np.add.at(grad, (batch, channel, where), g)
    return grad.reshape(x_shape)


def _pair(out: Any) -> tuple[Any, Any]:
    return (None, None) if out is None else out


def _pool_window(sizes: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Window:
    window = Window(sizes, kernel, kernel if stride is None else stride, padding, dilation, ceil)
    if any(max(pair) >= reach for pair, reach in zip(window.pads, window.reach, strict=True)):
        raise ValueError(f"padding is {padding!r}; needs less than the window, {window.reach}")
    return window


def max_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Largest element of each window and its flat index in the plane: the first such, or the last NaN if any."""
    (input,) = asarrays(input)
    form, dtype = Form(rank, input.ndim, layout), result_dtype(input, keep=True)
    x = form.array(input, dtype)
    window = _pool_window(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    plane = np.arange(math.prod(window.sizes)).reshape(window.sizes)
    x, plane = window.padded(x), window.padded(plane, -1)
    best = np.zeros((*x.shape[:2], *window.out), dtype)
    where = np.full(best.shape, -1, np.int64)
    for _, grid in window.taps():
        value, position = x[grid], plane[grid]
        better = (position >= 0) & ((where < 0) | (value > best) | np.isnan(value))
        best, where = np.where(better, value, best), np.where(better, position, where)
    if (where < 0).any():
        raise ValueError(f"padding is {padding!r}; leaves a window without any element of the input")
    if not return_indices:
        return form.result(best, dtype, out)
    values, indices = _pair(out)
    return form.result(best, dtype, values), form.result(where, np.int64, indices)


def max_pool_backward(
    rank: int,
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of max pooling: each output's gradient goes to the element of the plane that its index names."""
    grad_output, indices = asarrays(grad_output, indices)
    form, dtype = Form(rank, grad_output.ndim, layout), result_dtype(grad_output)
    g, x_shape = form.array(grad_output), form.shape(input_shape)
    if kernel_size is not None:
        geometry = (x_shape[2:], kernel_size, stride, padding, dilation)
        floor, ceil = (_pool_window(*geometry, ceil_mode).out for ceil_mode in (False, True))
        if any(size not in allowed for size, *allowed in zip(g.shape[2:], floor, ceil, strict=True)):
            raise ValueError(f"grad_output has shape {grad_output.shape}; needs spatial sizes {floor} or {ceil}")
    return form.result(_to_planes(form, grad_output, indices, x_shape), dtype, out)


def _divisors(window: Window, count_include_pad: bool, divisor_override: int | None) -> Array | float:
    """What each window's sum is divided by: its elements within the padded (or the bare) input, axis times axis."""
    if divisor_override is not None:
        if integer("divisor_override", divisor_override, -(2**63)) == 0:
            raise ValueError("divisor_override is 0; needs another integer")
        return float(divisor_override)
    counts = np.ones(())
    for axis, (size, (before, after)) in enumerate(zip(window.sizes, window.pads, strict=True)):
        start = np.arange(window.out[axis]) * window.stride[axis] - before
        low, high = (-before, size + after) if count_include_pad else (0, size)
        ends = np.minimum(start + window.kernel[axis], high)
        counts = np.multiply.outer(counts, ends - np.maximum(start, low))
    return counts


def avg_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Sum of each window over its divisor."""
    (input,) = asarrays(input)
    form, dtype = Form(rank, input.ndim, layout), result_dtype(input)
    x = form.array(input)
    window = _pool_window(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    divisors, x = _divisors(window, count_include_pad, divisor_override), window.padded(x)
    with np.errstate(invalid="ignore", over="ignore"):
        total = sum(x[grid] for _, grid in window.taps())
        return form.result(total / divisors, dtype, out)


def avg_pool_backward(
    rank: int,
    grad_output: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of average pooling: each output's gradient over its divisor, added to every element of its window."""
    (grad_output,) = asarrays(grad_output)
    form, dtype = Form(rank, grad_output.ndim, layout), result_dtype(grad_output)
    g, x_shape = form.array(grad_output), form.shape(input_shape)
    window = _pool_window(x_shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    needs_shape("grad_output", g, (*x_shape[:2], *window.out))
    share = g / _divisors(window, count_include_pad, divisor_override)
    grad = window.padded(np.zeros(x_shape))
    with np.errstate(invalid="ignore", over="ignore"):
        for _, grid in window.taps():
            grad[grid] += share
        return form.result(window.cropped(grad), dtype, out)


def _adaptive_sizes(output_size: Any, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """As many windows an axis as asked for, and one an element where None stands."""
    given = tuple(output_size) if np.ndim(output_size) else (output_size,) * len(sizes)
    return per_axis("output_size", [s if n is None else n for n, s in zip(given, sizes, strict=True)], len(sizes))


def adaptive_avg_pool(
    rank: int,
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Mean of each window from floor(o * in / out) to ceil((o + 1) * in / out), the end not included."""
    (input,) = asarrays(input)
    form, dtype = Form(rank, input.ndim, layout), result_dtype(input)
    x = form.array(input)
    y = np.empty((*x.shape[:2], *_adaptive_sizes(output_size, x.shape[2:])))
    with np.errstate(invalid="ignore", over="ignore"):
        for place, part in parts(x.shape[2:], y.shape[2:]):
            y[place] = x[part].mean(axis=tuple(range(2, x.ndim)))
        return form.result(y, dtype, out)


def adaptive_avg_pool_backward(
    rank: int,
    grad_output: ArrayLike,
    input_shape: Sequence[int],
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of adaptive average pooling: each output's gradient over its window's size, added to all of it."""
    (grad_output,) = asarrays(grad_output)
    form, dtype = Form(rank, grad_output.ndim, layout), result_dtype(grad_output)
    g, x_shape = form.array(grad_output), form.shape(input_shape)
    needs_shape("grad_output", g, (*x_shape[:2], *g.shape[2:]))
    grad = np.zeros(x_shape)
    with np.errstate(invalid="ignore", over="ignore"):
        for place, part in parts(x_shape[2:], g.shape[2:]):
            count = math.prod(axis.stop - axis.start for axis in part[1:])
            grad[part] += g[place].reshape(*g.shape[:2], *[1] * (g.ndim - 2)) / count
        return form.result(grad, dtype, out)


def adaptive_max_pool(
    rank: int,
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
    *,
    layout: str | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Largest element of each window of adaptive pooling and its flat index in the plane, chosen as in max pooling."""
    (input,) = asarrays(input)
    form, dtype = Form(rank, input.ndim, layout), result_dtype(input, keep=True)
    x = form.array(input, dtype)
    plane = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
    where = np.empty((*x.shape[:2], *_adaptive_sizes(output_size, x.shape[2:])), np.int64)
    for place, part in parts(x.shape[2:], where.shape[2:]):
        where[place] = plane[part].ravel()[_winners(x[part].reshape(*x.shape[:2], plane[part].size))]
    flat = x.reshape(*x.shape[:2], plane.size)
    best = np.take_along_axis(flat, where.reshape(*x.shape[:2], -1 if where.size else 0), axis=2).reshape(where.shape)
    if not return_indices:
        return form.result(best, dtype, out)
    values, indices = _pair(out)
    return form.result(best, dtype, values), form.result(where, np.int64, indices)


def adaptive_max_pool_backward(
    rank: int,
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[int],
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of adaptive max pooling: each output's gradient goes to the element that its index names."""
    grad_output, indices = asarrays(grad_output, indices)
    form, dtype = Form(rank, grad_output.ndim, layout), result_dtype(grad_output)
    return form.result(_to_planes(form, grad_output, indices, form.shape(input_shape)), dtype, out)


def channel_max_pool(
    input: ArrayLike,
    size: int,
    return_indices: bool = False,
    *,
    layout: str | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Largest of each `size` neighbouring channels and which of all the channels it is, chosen as in max pooling."""
    (input,) = asarrays(input)
    form, dtype = Form(0, input.ndim, layout), result_dtype(input, keep=True)
    x, size = form.array(input, dtype), integer("size", size, 1)
    if x.shape[1] % size:
        raise ValueError(f"size is {size}; does not divide {x.shape[1]} channels")
    x = np.moveaxis(x.reshape(x.shape[0], x.shape[1] // size, size, *x.shape[2:]), 2, -1)
    where = _winners(x)
    best = np.take_along_axis(x, where[..., None], axis=-1)[..., 0]
    if not return_indices:
        return form.result(best, dtype, out)
    where += size * np.arange(x.shape[1]).reshape(-1, *[1] * form.rank)
    values, indices = _pair(out)
    return form.result(best, dtype, values), form.result(where, np.int64, indices)


def channel_max_pool_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[int],
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of max pooling over channels: each output's gradient goes to the channel that its index names."""
    grad_output, indices = asarrays(grad_output, indices)
    form, dtype = Form(0, grad_output.ndim, layout), result_dtype(grad_output)
    g, x_shape = form.array(grad_output), form.shape(input_shape)
    if (g.shape[0], *g.shape[2:]) != (x_shape[0], *x_shape[2:]) or x_shape[1] % g.shape[1]:
        raise ValueError(f"grad_output has shape {grad_output.shape}; does not fit an input of {tuple(input_shape)}")
    where = _checked_indices(form, grad_output, indices, x_shape[1])
    grad = np.zeros(x_shape)
    batch, _, *place = np.indices(g.shape, sparse=True)
    np.add.at(grad, (batch, where, *place), g)
    return form.result(grad, dtype, out)
