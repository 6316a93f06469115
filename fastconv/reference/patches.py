"""Windows written out as the columns of a matrix, and columns added back to where they came from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._forms import Array, Form, Padding, asarrays, needs_shape, per_axis, result, result_dtype
from ._windows import Window


def im2col(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: Padding = 0,
    stride: int | Sequence[int] = 1,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """columns[n, (c, t), p] = input[n, c, p * stride + t * dilation - before]: a row for each channel and tap."""
    (input,) = asarrays(input)
    form, dtype = Form(0, input.ndim, layout), result_dtype(input, keep=True)
    x = form.array(input, dtype)
    window = Window(x.shape[2:], kernel_size, stride, padding, dilation)
    padded = window.padded(x)
    columns = np.stack([padded[grid] for _, grid in window.taps()], axis=2)
    return result(columns.reshape(x.shape[0], x.shape[1] * columns.shape[2], math.prod(window.out)), dtype, out)


def col2im(
    input: ArrayLike,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: Padding = 0,
    stride: int | Sequence[int] = 1,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Each element of the columns added where `im2col` would read it, in images of `output_size`."""
    (input,) = asarrays(input)
    dtype = result_dtype(input)
    sizes = per_axis("output_size", output_size, len(output_size) if np.ndim(output_size) else 2)
    form, window = Form(0, len(sizes) + 2, layout), Window(sizes, kernel_size, stride, padding, dilation)
    taps = math.prod(window.kernel)
    if input.ndim != 3 or 0 in input.shape[1:] or input.shape[1] % taps:
        raise ValueError(f"input has shape {input.shape}; needs (N, C * {taps}, {math.prod(window.out)})")
    needs_shape("input", input, (*input.shape[:2], math.prod(window.out)))
    batch, channels = input.shape[0], input.shape[1] // taps
    columns = input.astype(np.float64).reshape(batch, channels, taps, *window.out)
    images = window.padded(np.zeros((batch, channels, *sizes)))
    with np.errstate(invalid="ignore", over="ignore"):
        for tap, (_, grid) in enumerate(window.taps()):
            images[grid] += columns[:, :, tap]
        return form.result(window.cropped(images), dtype, out)
