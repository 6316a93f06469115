"""How far a result may lie from the reference: the one place where tolerances are derived.

A sum of n products, added in any order, with or without fused multiply-adds, differs from the exact one by at most

    gamma(n) * sum |x||w|,    gamma(n) = n u / (1 - n u),    u = half the distance from 1 to the next number

(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1), element by element. The sum of absolute
products is the reference's own result on absolute values. A product that underflows adds at most the smallest
subnormal. The reference rounds too, in float64, and is granted the same bound in its own precision.

What is no plain sum is counted in roundings. A value made by n of them, each a factor 1 + d or its inverse, |d| <= u,
is off by a factor 1 + t, |t| <= gamma(n) (ibid., lemma 3.1). In its power b each of them counts b times, whole or not,
for (1 - u)^n >= 1 - n u holds of every real n >= 1.
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


def gamma(terms: float, dtype: DTypeLike) -> float:
    nu = (terms + EXTRA_ROUNDINGS) * unit_roundoff(dtype)
    assert nu < 1, f"{terms} terms are too many for a bound in {np.dtype(dtype)}"
    return nu / (1 - nu)


def error_bound(dtype: DTypeLike, terms: float, magnitude: Array) -> Array:
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


def norm_terms(name: str, size: int, beta: float) -> float:
    """Roundings in one element of local response normalisation, or in each term of its gradient.

    d = k + alpha / size * sum of squares, of positive terms, in the sum's own precision: one for each square (which an
    FMA saves), size - 1 in their sum, one in its product with alpha / size, one each in alpha, in the quotient and in
    adding k. That of k itself stands beside those of the sum.

    d ** -beta: by square roots and one division, each correctly rounded, it has 1 for beta = 1, 2 for 0.5, and 4.5 for
    0.75, as 1 / (a * sqrt(a)) with a = sqrt(d): a counts 1.5 times. Any other is pow of the C library, taken in double
    and off by at most 1 ulp, hence 2 u, and, in float32, one more for storing it. 5 covers all.

    One more for the product with x. In the gradient, the longer path is through the sum over c of
    g x d ** (-beta - 1): to d ** -beta are added the division by d (or, in pow, the rounding of the exponent) and two
    products; size - 1 in the sum; four in 2 alpha beta / size; two in its products with x and the sum; one in the last
    subtraction.
    """
    divisor, power = size + 4, 5
    if name == "output":
        return beta * divisor + power + 1
    return (beta + 1) * divisor + power + 1 + 2 + size - 1 + 4 + 2 + 1


def norm_magnitude(g: Array, x: Array, axis: int, size: int, alpha: float, beta: float, k: float) -> Array:
    """What the terms of the gradient of local response normalisation add to in absolute value; a NaN counts as 0."""
    g, x = np.abs(np.moveaxis(g, axis, -1)), np.nan_to_num(np.abs(np.moveaxis(x, axis, -1)))
    ahead = np.subtract.outer(np.arange(x.shape[-1]), np.arange(x.shape[-1])).T  # [c, j]: j - c
    holds = ((ahead >= -(size // 2)) & (ahead <= (size - 1) // 2)).astype(np.float64)
    d = k + alpha / size * (x**2 @ holds.T)
    magnitude = g * d**-beta + 2 * alpha * beta / size * x * ((g * x * d ** (-beta - 1)) @ holds)
    return np.moveaxis(magnitude, -1, axis)


def assert_close(
    actual: Array, expected: Array, terms: float, magnitude: Array, dtype: DTypeLike | None = None
) -> None:
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
