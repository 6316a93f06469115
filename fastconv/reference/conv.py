"""Convolution, transposed convolution, and their gradients.

Three loops over the taps serve all of them: `_gather` correlates an array with weights, `_scatter` is its transpose,
`_correlate` contracts two arrays to weights. Groups are an axis of every operand: (N, groups, channels, ...) of arrays,
(groups, filters, channels, ...) of weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._forms import Array, Form, Padding, asarrays, integer, needs_shape, result, result_dtype
from ._windows import TransposedWindow, Window


def _grouped(array: Array, groups: int, axis: int = 1) -> Array:
    return array.reshape(*array.shape[:axis], groups, array.shape[axis] // groups, *array.shape[axis + 1 :])


def _flat(array: Array) -> Array:
    """(N, G, C, *spatial) -> (N, G, C, positions): the operand of a matrix product."""
    return array.reshape(*array.shape[:3], math.prod(array.shape[3:]))


def _gather(window: Window, w: Array, x: Array) -> Array:
    """y[n, g, o, p] = sum over c, t of w[g, o, c, t] * x[n, g, c, where tap t of window p stands]."""
    x = window.padded(x)
    y = np.zeros((*x.shape[:2], w.shape[1], math.prod(window.out)))
    for tap, grid in window.taps():
        y += w[tap] @ _flat(x[grid])
    return y.reshape(*y.shape[:3], *window.out)


def _scatter(window: Window, w: Array, y: Array) -> Array:
    """x[n, g, c, where tap t of window p stands] += sum over o of w[g, o, c, t] * y[n, g, o, p]."""
    x, y = window.padded(np.zeros((*y.shape[:2], w.shape[2], *window.sizes))), _flat(y)
    for tap, grid in window.taps():
        view = x[grid]
        view += (np.swapaxes(w[tap], 1, 2) @ y).reshape(view.shape)
    return window.cropped(x)


def _correlate(window: Window, y: Array, x: Array) -> Array:
    """w[g, o, c, t] = sum over n, p of y[n, g, o, p] * x[n, g, c, where tap t of window p stands]."""
    x, y = window.padded(x), _flat(y)
    w = np.empty((*y.shape[1:3], x.shape[2], *window.kernel))
    for tap, grid in window.taps():
        w[tap] = (y @ np.swapaxes(_flat(x[grid]), 2, 3)).sum(axis=0)
    return w


def _conv_window(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int
) -> tuple[Window, tuple[int, ...]]:
    """The window of a convolution and the shape of its output, once all shapes are seen to agree."""
    integer("groups", groups, 1)
    if len(w_shape) != len(x_shape) or 0 in w_shape:
        raise ValueError(f"weight has shape {w_shape}; needs {len(x_shape)} axes, none of them empty")
    if x_shape[1] != w_shape[1] * groups or w_shape[0] % groups:
        raise ValueError(f"groups is {groups}; does not fit {x_shape[1]} channels and weights {w_shape}")
    window = Window(x_shape[2:], w_shape[2:], stride, padding, dilation)
    return window, (x_shape[0], w_shape[0], *window.out)


def _flipped(weight: Array, flip: bool) -> Array:
    return np.flip(weight, tuple(range(2, weight.ndim))) if flip else weight


def _activate(y: Array, activation: Any) -> Array:
    if activation is None:
        return y
    if isinstance(activation, str) and activation == "relu":
        return np.where(y < 0, 0.0, y)
    if isinstance(activation, tuple) and len(activation) == 2 and activation[0] == "leaky_relu":
        return np.where(y < 0, float(activation[1]) * y, y)
    raise ValueError(f"activation is {activation!r}; needs None, 'relu' or ('leaky_relu', slope)")


def _check_needs(needs: set[str]) -> None:
    if needs - {"input", "weight", "bias"}:
        raise ValueError(f"needs is {needs!r}; may hold 'input', 'weight' and 'bias'")


def _grad_bias(g: Array, dtype: Any) -> Array:
    return result(g.sum(axis=(0, *range(2, g.ndim))), dtype, None)


def conv(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    layout: str | None = None,
    flip: bool = False,
    activation: str | tuple[str, float] | None = None,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """y[n, o, p] = activation(bias[o] + sum over c, t of input[n, c, p * stride + t * dilation] * weight[o, c, t])."""
    input, weight, bias = asarrays(input, weight, bias)
    form, dtype = Form(rank, input.ndim, layout), result_dtype(input, weight, bias)
    x, w = form.array(input), _flipped(weight.astype(np.float64), flip)
    window, shape = _conv_window(x.shape, w.shape, stride, padding, dilation, groups)
    with np.errstate(invalid="ignore", over="ignore"):
        y = _gather(window, _grouped(w, groups, axis=0), _grouped(x, groups)).reshape(shape)
        if bias is not None:
            needs_shape("bias", bias, shape[1:2])
            y += bias.astype(np.float64).reshape(-1, *[1] * len(window.out))
        return form.result(_activate(y, activation), dtype, out)


def conv_grad_input(
    rank: int,
    grad_output: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    layout: str | None = None,
    flip: bool = False,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of a convolution in its input: each output's gradient goes back, weighted, to where it read from."""
    grad_output, weight = asarrays(grad_output, weight)
    form, dtype = Form(rank, grad_output.ndim, layout), result_dtype(grad_output, weight)
    g, w, x_shape = form.array(grad_output), _flipped(weight.astype(np.float64), flip), form.shape(input_shape)
    window, shape = _conv_window(x_shape, w.shape, stride, padding, dilation, groups)
    needs_shape("grad_output", g, shape)
    with np.errstate(invalid="ignore", over="ignore"):
        grad = _scatter(window, _grouped(w, groups, axis=0), _grouped(g, groups)).reshape(x_shape)
        return form.result(grad, dtype, out)


def conv_grad_weight(
    rank: int,
    grad_output: ArrayLike,
    input: ArrayLike,
    weight_shape: Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    layout: str | None = None,
    flip: bool = False,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of a convolution in its weights: what each tap read times the output's gradient, summed."""
    grad_output, input = asarrays(grad_output, input)
    form, dtype = Form(rank, grad_output.ndim, layout), result_dtype(grad_output, input)
    g, x, w_shape = form.array(grad_output), form.array(input), tuple(weight_shape)
    window, shape = _conv_window(x.shape, w_shape, stride, padding, dilation, groups)
    needs_shape("grad_output", g, shape)
    with np.errstate(invalid="ignore", over="ignore"):
        grad = _correlate(window, _grouped(g, groups), _grouped(x, groups)).reshape(w_shape)
        return result(_flipped(grad, flip), dtype, out)


def conv_backward(
    rank: int,
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: str | None = None,
    flip: bool = False,
    algorithm: str = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """(grad_input, grad_weight, grad_bias) of a convolution, None where `needs` does not name it."""
    arrays = asarrays(grad_output, input, weight)
    dtype, needs = result_dtype(*arrays), set(needs)
    grad_output, input, weight = (array.astype(dtype) for array in arrays)
    _check_needs(needs)
    geometry, options = (stride, padding, dilation, groups), {"layout": layout, "flip": flip}
    grad_input = grad_weight = grad_bias = None
    if "input" in needs:
        grad_input = conv_grad_input(rank, grad_output, weight, input.shape, *geometry, **options)
    if "weight" in needs:
        grad_weight = conv_grad_weight(rank, grad_output, input, weight.shape, *geometry, **options)
    if "bias" in needs:
        grad_bias = _grad_bias(Form(rank, grad_output.ndim, layout).array(grad_output), dtype)
    return grad_input, grad_weight, grad_bias


def _transposed_window(
    x_shape: tuple[int, ...], w: Array, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> tuple[TransposedWindow, tuple[int, ...]]:
    """The window of a transposed convolution and the shape of its output, once all shapes are seen to agree."""
    integer("groups", groups, 1)
    if w.ndim != len(x_shape) or 0 in w.shape:
        raise ValueError(f"weight has shape {w.shape}; needs {len(x_shape)} axes, none of them empty")
    if x_shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ValueError(f"groups is {groups}; does not fit {x_shape[1]} channels and weights {w.shape}")
    window = TransposedWindow(x_shape[2:], w.shape[2:], stride, padding, output_padding, dilation)
    return window, (x_shape[0], w.shape[1] * groups, *window.sizes)


def conv_transpose(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    *,
    layout: str | None = None,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """y[n, o, p * stride + t * dilation - before] = bias[o] + sum over c, p, t of input[n, c, p] * weight[c, o, t]."""
    input, weight, bias = asarrays(input, weight, bias)
    form, dtype = Form(rank, input.ndim, layout), result_dtype(input, weight, bias)
    x, w = form.array(input), weight.astype(np.float64)
    window, shape = _transposed_window(x.shape, w, stride, padding, output_padding, groups, dilation)
    with np.errstate(invalid="ignore", over="ignore"):
        y = _scatter(window, _grouped(w, groups, axis=0), _grouped(x, groups)).reshape(shape)
        if bias is not None:
            needs_shape("bias", bias, shape[1:2])
            y += bias.astype(np.float64).reshape(-1, *[1] * len(window.out))
        return form.result(y, dtype, out)


def conv_transpose_backward(
    rank: int,
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: str | None = None,
    algorithm: str = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """(grad_input, grad_weight, grad_bias) of a transposed convolution, None where `needs` does not name it."""
    grad_output, input, weight = arrays = asarrays(grad_output, input, weight)
    form, dtype, needs = Form(rank, input.ndim, layout), result_dtype(*arrays), set(needs)
    _check_needs(needs)
    g, x, w = form.array(grad_output), form.array(input), weight.astype(np.float64)
    window, shape = _transposed_window(x.shape, w, stride, padding, output_padding, groups, dilation)
    needs_shape("grad_output", g, shape)
    grad_input = grad_weight = grad_bias = None
    with np.errstate(invalid="ignore", over="ignore"):
        if "input" in needs:
            grad = _gather(window, _grouped(w, groups, axis=0), _grouped(g, groups))
            grad_input = form.result(grad.reshape(x.shape), dtype, None)
        if "weight" in needs:
            grad = _correlate(window, _grouped(x, groups), _grouped(g, groups))
            grad_weight = result(grad.reshape(w.shape), dtype, None)
        if "bias" in needs:
            grad_bias = _grad_bias(g, dtype)
    return grad_input, grad_weight, grad_bias
