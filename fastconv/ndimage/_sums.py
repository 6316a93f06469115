"""Weighted sums in the type that a result asks for.

Results of float32 are summed in float32, unless the input needs float64, as all other results do. SciPy sums in float64
throughout, and rounds once.

Integers are cut off, so that the last bit of a sum decides where it comes near an integer, as it does on every flat
patch of an image. There sums are taken again in SciPy's order and precision; elsewhere any order will do, and where
all sums are exact there is nothing to settle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import _windows
from .._types import Array
from .._windows import Border, cast
from ._arguments import placed, spread

At: TypeAlias = Callable[[int], Array]
"""The elements under a tap, one for each window."""
Order: TypeAlias = Callable[[At, Array], Array]
"""Weighted sums over all taps."""

FUSED = 25
"""Taps of a product of two lines up to which one pass over the image takes less time than two."""
MANY = 4096
"""Sums to be taken again from which on it pays to look for windows of equal elements; and levels of these at most."""
FLOAT32_ERROR = 2.0**-7
"""Most doubt about sums in float32 with which few enough of them lie near an integer to be taken again."""


def weighted(
    op: str,
    image: Array,
    weights: Array,
    borders: Sequence[Border],
    cval: Any,
    dtype: np.dtype[Any],
    line: bool = False,
) -> Array:
    """The correlation of `image` with `weights` of as many axes, in `dtype`; `line`: SciPy has a filter of one axis."""
    if dtype.kind in "iub":
        return _integers(op, image, weights, borders, cval, dtype, line)
    computed = np.result_type(image.real.dtype, np.empty(0, dtype).real.dtype, np.float32)
    if image.dtype.kind == "c" or weights.dtype.kind == "c":
        computed = np.result_type(computed, np.complex64)
    return cast(_correlate(op, image, weights, borders, cval, computed), dtype)


def _correlate(op: str, image: Array, weights: Array, borders: Sequence[Border], cval: Any, dtype: Any) -> Array:
    return _windows.correlate(op, image.astype(dtype, copy=False), weights.astype(dtype), borders, cval)


def _integers(
    op: str,
    image: Array,
    weights: Array,
    borders: Sequence[Border],
    cval: float,
    dtype: np.dtype[Any],
    line: bool,
) -> Array:
    if image.size == 0:
        return np.empty(image.shape, dtype)
    low, high = float(image.min()), float(image.max())
    largest = max(-low, high, abs(cval))
    magnitude = float(np.abs(weights).sum()) * largest
    narrow = image.dtype.kind != "f" and largest < 2**24
    if image.dtype.kind != "f" and float(cval).is_integer() and is_whole(weights):
        computed, doubt = np.float32 if magnitude < 2**24 else np.float64, 0.0
    else:
        computed, doubt = np.float32, _doubt(weights.size, magnitude, np.float32)
        if not (narrow and doubt <= FLOAT32_ERROR):
            computed, doubt = np.float64, _doubt(weights.size, magnitude, np.float64)
    sums = _correlate(op, image, weights, borders, cval, computed)
    result = cast(sums, dtype)
    if doubt:
        nearest = np.rint(sums)
        np.subtract(sums, nearest, out=sums)
        near = (np.abs(sums, out=sums) <= doubt) & (nearest != 0)  # to zero all are cut off alike
        order = _line if line else _in_order
        if narrow and high - low < MANY < np.count_nonzero(near):
            _settle_flat(op, result, near, image, weights, borders, cval, order)
        near = np.flatnonzero(near)
        places = np.unravel_index(near, image.shape)
        result.flat[near] = cast(order(_elements(image, places, weights.shape, borders, cval), weights.ravel()), dtype)
    return result


def _settle_flat(
    op: str,
    result: Array,
    near: Array,
    image: Array,
    weights: Array,
    borders: Sequence[Border],
    cval: float,
    order: Order,
) -> None:
    """Write the sums of windows of equal elements, one for each level of the image, and take them out of `near`."""
    low = image.min()
    levels = np.arange(float(low), float(image.max()) + 1)
    sums = cast(order(lambda _: levels, weights.ravel()), result.dtype)
    values = image.astype(np.float32)
    flat = _windows.maximum(op, values, borders, cval) == -_windows.maximum(op, -values, borders, -cval)
    flat &= near
    np.copyto(result, sums[(values - np.float32(low)).astype(np.int32)], where=flat)
    near ^= flat


def _elements(
    image: Array, places: Sequence[Array], sizes: Sequence[int], borders: Sequence[Border], cval: float
) -> At:
    """What lies under each tap of the windows at some places."""
    tables = [
        np.pad(
            np.arange(length),
            border.pads,
            border.mode,
            **({"constant_values": -1} if border.mode == "constant" else {}),
        )
        for length, border in zip(image.shape, borders, strict=True)
    ]

    def at(tap: int) -> Array:
        offsets = np.unravel_index(tap, sizes)
        index = [table[place + offset] for table, place, offset in zip(tables, places, offsets, strict=True)]
        beyond = np.any([positions < 0 for positions in index], axis=0)
        return np.where(beyond, cval, image[tuple(index)]).astype(np.float64)

    return at


def _doubt(terms: int, magnitude: float, dtype: Any) -> float:
    """How far sums of products in `dtype`, of rounded weights, and in float64 may lie apart (Higham 2002, 3.1)."""
    return 2 * (terms + 2) * float(np.finfo(dtype).eps) * magnitude


def is_whole(weights: Array) -> bool:
    """Whether all weights are integers."""
    return bool((weights == np.rint(weights)).all())


def _line(at: At, weights: Array) -> Array:
    """The order of SciPy's filters of one axis: symmetric ones by pairs from the ends, others the last tap first."""
    count, middle = len(weights), len(weights) // 2
    mirrored = weights[::-1]
    for sign in (1, -1) if count % 2 else ():
        if (np.abs(weights - sign * mirrored)[middle + 1 :] <= np.finfo(float).eps).all():
            result = at(middle) * weights[middle]
            for tap in range(middle):
                result += (at(tap) + sign * at(count - 1 - tap)) * weights[tap]
            return result
    result = at(count - 1) * weights[-1]
    for tap in range(count - 1):
        result += at(tap) * weights[tap]
    return result


def _in_order(at: At, weights: Array) -> Array:
    """The order of SciPy's filters of several axes: row by row, without weights below its threshold."""
    result: Any = 0.0
    for tap in np.flatnonzero(np.abs(weights) > np.finfo(float).eps):
        result = result + at(tap) * weights[tap]
    return result


class Line(NamedTuple):
    """One pass of a separable filter: weights along an axis."""

    axis: int
    weights: Array
    border: Border


def separable(op: str, image: Array, lines: Sequence[Line], cval: Any, dtype: np.dtype[Any]) -> Array:
    """Pass after pass, each result in `dtype` as SciPy has them; two short passes at once where that is the same."""
    if _fusible(image, lines, cval, dtype):
        lines = sorted(lines, key=lambda line: line.axis)
        weights = np.multiply.outer(*(line.weights for line in lines))
        return _pass(op, image, [line.axis for line in lines], weights, [line.border for line in lines], cval, dtype)
    between = np.dtype(np.float32) if dtype == np.float16 else dtype
    for line in lines:
        image = _pass(op, image, [line.axis], line.weights, [line.border], cval, between)
    return cast(image, dtype)


def added(op: str, image: Array, lines: Sequence[Line], cval: Any, dtype: np.dtype[Any]) -> Array:
    """The sum of passes over the same image, two of them at once where that is the same."""
    if _fusible(image, lines, 0, dtype) and (dtype.kind in "fc" or float(cval).is_integer()):
        lines = sorted(lines, key=lambda line: line.axis)
        weights = np.zeros([line.weights.size for line in lines])
        first, second = (line.border.before for line in lines)
        weights[:, second] += lines[0].weights
        weights[first, :] += lines[1].weights
        return _pass(op, image, [line.axis for line in lines], weights, [line.border for line in lines], cval, dtype)
    parts = [_pass(op, image, [line.axis], line.weights, [line.border], cval, dtype) for line in lines]
    for part in parts[1:]:
        parts[0] += part
    return parts[0]


def _fusible(image: Array, lines: Sequence[Line], cval: Any, dtype: np.dtype[Any]) -> bool:
    if len(lines) != 2 or math.prod(line.weights.size for line in lines) > FUSED:
        return False
    if cval != 0 and any(line.border.mode == "constant" for line in lines):
        return False  # the second pass would have `cval` where the first has its sums
    whole = image.dtype.kind in "iub" and all(is_whole(line.weights) for line in lines)
    return dtype.kind in "fc" or (
        whole and dtype.kind in "iu"
    )  # integers wrap around, in whatever order they are added


def _pass(
    op: str,
    image: Array,
    axes: Sequence[int],
    weights: Array,
    borders: Iterable[Border],
    cval: Any,
    dtype: np.dtype[Any],
) -> Array:
    everywhere = placed(borders, axes, image.ndim)
    return weighted(op, image, spread(weights, axes, image.ndim), everywhere, cval, dtype, line=len(axes) == 1)
