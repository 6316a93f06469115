"""Spatial axes made longer, by a constant or by more of the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._forms import Array, Form, asarrays, result_dtype
from ._windows import pads


def _sources(size: int, before: int, after: int, mode: str) -> Array:
    """Where each element of the padded axis comes from; -1: from nowhere."""
    at = np.arange(-before, size + after)
    if mode == "constant":
        return np.where((at >= 0) & (at < size), at, -1)
    if mode == "edge":
        return np.clip(at, 0, size - 1)
    if mode == "wrap":
        return at % size
    if mode == "symmetric":  # there and back, the ends twice
        return np.minimum(at % (2 * size), 2 * size - 1 - at % (2 * size))
    if mode == "reflect":  # there and back, the ends once
        period = max(2 * size - 2, 1)
        return np.minimum(at % period, period - at % period) if size > 1 else 0 * at
    raise ValueError(f"mode is {mode!r}; needs 'constant', 'reflect', 'edge', 'wrap' or 'symmetric'")


def _fill(value: Any, dtype: np.dtype[Any]) -> Any:
    """`value` in `dtype`, which has to be able to hold it: floats round it, integers do not."""
    if np.ndim(value) or not isinstance(value, bool | np.bool_ | int | float | np.integer | np.floating):
        raise TypeError(f"value is {value!r}; needs a real number")
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            fill = np.array(value).astype(dtype)
        except OverflowError:
            fill = None
    if fill is None or (np.isinf(fill) and not math.isinf(value) if dtype.kind == "f" else fill.item() != value):
        raise ValueError(f"value is {value!r}; {dtype} cannot hold it")
    return fill


def pad(
    input: ArrayLike,
    padding: int | Sequence[int] | Sequence[tuple[int, int]],
    mode: str = "constant",
    value: float = 0.0,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """`input` with more elements before and after each spatial axis, as `numpy.pad` has them."""
    (input,) = asarrays(input)
    form, dtype = Form(0, input.ndim, layout), result_dtype(input, keep=True)
    x, fill = form.array(input, dtype), _fill(value, dtype)
    for axis, (before, after) in enumerate(pads(padding, form.rank), 2):
        source = _sources(x.shape[axis], before, after, mode)
        inside = (source >= 0).reshape(-1, *[1] * (x.ndim - 1 - axis))
        x = np.where(inside, np.take(x, np.maximum(source, 0), axis), fill)
    return form.result(x, dtype, out)


def pad_backward(
    grad_output: ArrayLike,
    padding: int | Sequence[int] | Sequence[tuple[int, int]],
    mode: str = "constant",
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of padding: that of every element of the padded array, added to the element it was copied from."""
    (grad_output,) = asarrays(grad_output)
    form, dtype = Form(0, grad_output.ndim, layout), result_dtype(grad_output)
    grad = form.array(grad_output)
    with np.errstate(invalid="ignore", over="ignore"):
        for axis, (before, after) in enumerate(pads(padding, form.rank), 2):
            size = grad.shape[axis] - before - after
            if size < 1:
                raise ValueError(f"padding is {padding!r}; leaves nothing of grad_output, {grad_output.shape}")
            source = _sources(size, before, after, mode)
            g = np.moveaxis(grad, axis, 0)
            grad = np.zeros((size, *g.shape[1:]))
            np.add.at(grad, source[source >= 0], g[source >= 0])
            grad = np.moveaxis(grad, 0, axis)
        return form.result(grad, dtype, out)
