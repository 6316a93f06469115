"""How far a result may lie from the reference: the one place where tolerances are derived.

A sum of n products, added in any order, with or without fused multiply-adds, differs from the exact one by at most

    gamma(n) * sum |x||w|,    gamma(n) = n u / (1 - n u),    u = half the distance from 1 to the next number

(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1), element by element. The sum of absolute
products is the reference's own result on absolute values. A product that underflows adds at most the smallest
subnormal. The reference rounds too, in float64, and is granted the same bound in its own precision.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

EXTRA_ROUNDINGS = 2
"""Beside the sum: the bias, or a division; and the slope of an activation."""


def unit_roundoff(dtype: DTypeLike) -> float:
    return float(np.finfo(dtype).eps) / 2


def gamma(terms: int, dtype: DTypeLike) -> float:
    nu = (terms + EXTRA_ROUNDINGS) * unit_roundoff(dtype)
    assert nu < 1, f"{terms} terms are too many for a bound in {np.dtype(dtype)}"
    return nu / (1 - nu)


def error_bound(dtype: DTypeLike, terms: int, magnitude: Array) -> Array:
    """Largest difference from a float64 reference of sums of `terms` products whose absolute values add to `magnitude`.

    float16 is computed in float32 and rounded once.
    """
    dtype = np.dtype(dtype)
    computed = np.dtype(np.float32) if dtype == np.float16 else dtype
    bound = (gamma(terms, computed) + gamma(terms, np.float64)) * magnitude
    bound = bound + (terms + EXTRA_ROUNDINGS) * float(np.finfo(computed).smallest_subnormal)
    if computed != dtype:
        bound = bound + unit_roundoff(dtype) * (magnitude + bound) + float(np.finfo(dtype).smallest_subnormal)
    return bound


def conv_terms(name: str, batch: int, weight_shape: tuple[int, ...], groups: int, positions: int) -> int:
    """Accumulation length of one element of a convolution's output or of one of its gradients."""
    filters, channels, *kernel = weight_shape
    return {
        "output": channels * math.prod(kernel),
        "grad_input": filters // groups * math.prod(kernel),
        "grad_weight": batch * positions,
        "grad_bias": batch * positions,
    }[name]


def assert_close(actual: Array, expected: Array, terms: int, magnitude: Array, dtype: DTypeLike | None = None) -> None:
    """`actual` within the bound of the float64 `expected`; NaN and infinities exactly where that has them.

    `dtype` is what the sums were accumulated in, where that is not the type of `actual`.
    """
    assert actual.shape == expected.shape, f"shape {actual.shape}; the reference has {expected.shape}"
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], "NaN and infinities must be the reference's")
    bound = error_bound(dtype or actual.dtype, terms, np.where(finite, magnitude, 0))
    error = np.abs(np.where(finite, actual, 0).astype(np.float64) - np.where(finite, expected, 0))
    wrong = ~(error <= bound)
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(wrong, error / bound, 0)), error.shape)
        worst = tuple(int(index) for index in worst)
        raise AssertionError(
            f"{wrong.sum()} of {wrong.size} elements off by more than the bound; worst at {worst}: "
            f"{actual[worst]!r}, reference {expected[worst]!r}, error {error[worst]:.3g}, bound {bound[worst]:.3g}"
        )


def assert_identical(actual: Array, expected: Array, what: str = "") -> None:
    """The same bits."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes(), f"not the same bits {what}"
