"""Normalisation of each element by its neighbours in the channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._forms import Array, Form, asarrays, integer, needs_shape, result_dtype


def _neighbours(x: Array, before: int, after: int) -> Array:
    """s[c] = sum of x[j] over j from c - before to c + after, as far as there are such channels."""
    channels = x.shape[1]
    windows = [x[:, max(c - before, 0) : c + after + 1] for c in range(channels)]
    return np.stack([window.sum(axis=1) for window in windows], axis=1)


def _divisor(x: Array, size: int, alpha: float, k: float) -> Array:
    return k + alpha / size * _neighbours(x * x, size // 2, (size - 1) // 2)


def local_response_norm(
    input: ArrayLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """y[c] = x[c] / d[c] ** beta, d[c] = k + alpha / size * sum of x[j] ** 2 over the `size` channels around c."""
    (input,) = asarrays(input)
    form, dtype = Form(0, input.ndim, layout), result_dtype(input)
    x, size = form.array(input), integer("size", size, 1)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return form.result(x * _divisor(x, size, alpha, k) ** -beta, dtype, out)


def local_response_norm_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of local response normalisation: that of x[j] through y[j], less that through every d[c] it is part of.

    grad[j] = g[j] * d[j] ** -beta - 2 * alpha * beta / size * x[j] * sum of g[c] * x[c] * d[c] ** (-beta - 1)
    """
    grad_output, input = asarrays(grad_output, input)
    form, dtype = Form(0, input.ndim, layout), result_dtype(grad_output, input)
    needs_shape("grad_output", grad_output, input.shape)
    g, x, size = form.array(grad_output), form.array(input), integer("size", size, 1)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        d = _divisor(x, size, alpha, k)
        through = _neighbours(g * x * d ** (-beta - 1), (size - 1) // 2, size // 2)  # d[c] reaches the other way
        return form.result(g * d**-beta - 2 * alpha * beta / size * x * through, dtype, out)
