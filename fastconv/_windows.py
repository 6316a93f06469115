"""Windows over some axes of an array of any number of axes: what `ndimage` and `signal` have in common.

The ops take (N, C, *spatial) with one to three spatial axes. `Batch` shows an array so, without a copy where strides
allow it; `correlate`, `maximum` and `total` are the three ops on it, one window at every position. A border is made by
the op itself where it is zeros (for the maximum, where it holds nothing new), and by `fastconv.pad` else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ._types import Algorithm, Array, Layout
from .avg_pool import avg_pool
from .conv import conv
from .max_pool import max_pool
from .padding import pad

FEW = 16
"""Fewer elements than this behind the axes with windows are channels; more are an axis of a plane."""
BLOCK = 1 << 16
"""Elements of planes that are summed together."""
PLAIN: Algorithm = "exact"
"""Never winograd: sums of integers are to be exact."""
LAYOUTS: tuple[Layout, ...] = ("NWC", "NHWC", "NDHWC")


class Border(NamedTuple):
    """Windows of `size` along an axis, and what extends it before; `mode` is one of `fastconv.pad`."""

    size: int
    before: int = 0
    after: int = 0
    mode: str = "constant"

    @property
    def pads(self) -> tuple[int, int]:
        """As the ops have it."""
        return self.before, self.after

    def positions(self, length: int) -> int:
        """The windows on an axis of that length."""
        return length + self.before + self.after - self.size + 1


IDLE = Border(1)
"""Of an axis without windows."""


class Batch:
    """`array` as (N, 1, *spatial), or (N, *spatial, C) where few elements lie behind the axes with windows.

    `borders` has one entry for each axis of the array, three of which at most are not `IDLE`.
    """

    def __init__(self, op: str, array: Array, borders: Sequence[Border]) -> None:
        if array.ndim == 0:
            array, borders = array.reshape(1), [IDLE]
        axes = [axis for axis, border in enumerate(borders) if border != IDLE] or [array.ndim - 1]
        if len(axes) > 3:
            sizes = tuple(border.size for border in borders)
            raise ValueError(f"{op}: windows of {sizes} on an array of shape {array.shape}; needs 3 axes at most")
        order, first, stop = list(range(array.ndim)), axes[0], axes[-1] + 1
        if stop - first > 3:  # too far apart: the others first, which copies
            order = [axis for axis in order if axis not in axes] + axes
            first, stop = array.ndim - len(axes), array.ndim
        array, along = array.transpose(order), [borders[axis] for axis in order]
        self._shape = [border.positions(length) for border, length in zip(along, array.shape, strict=True)]
        self._back = np.argsort(order)

        outer, sizes, inner = math.prod(array.shape[:first]), array.shape[first:stop], math.prod(array.shape[stop:])
        self.array, self.borders, self.channels = array, along[first:stop], 1
        self.layout: Layout | None = None
        if array.size == 0:
            return
        if inner >= FEW and len(sizes) < 3:
            sizes, self.borders = (*sizes, inner), [*self.borders, IDLE]
        elif inner > 1:
            self.channels = inner
        elif len(sizes) == 1:
            outer, sizes, self.borders = 1, (outer, *sizes), [IDLE, *self.borders]
        last = self.channels > 1
        self.layout = LAYOUTS[len(sizes) - 1] if last else None
        self.array = array.reshape((outer, *sizes, inner) if last else (outer, 1, *sizes))

    @property
    def window(self) -> tuple[int, ...]:
        """The size of the windows on each spatial axis."""
        return tuple(border.size for border in self.borders)

    def run(self, by_op: Callable[[Border], bool], value: float, call: Callable[[Array, Any], Array]) -> Array:
        """What `call` makes of the array and its padding, with the axes as they were.

        The borders that `by_op` accepts are its padding; the others have been added to the array.
        """
        if self.array.size == 0:
            return np.empty(self._shape, self.array.dtype).transpose(self._back)
        array, left = self.array, tuple(border.pads if by_op(border) else (0, 0) for border in self.borders)
        for mode in sorted({border.mode for border in self.borders if any(border.pads) and not by_op(border)}):
            pads = [b.pads if b.mode == mode and not by_op(b) else (0, 0) for b in self.borders]
            array = pad(array, pads, mode, value if mode == "constant" else 0.0, layout=self.layout)
        return call(array, left).reshape(self._shape).transpose(self._back)


def extended(op: str, array: Array, borders: Sequence[Border], value: Any) -> Array:
    """`array` with its borders, for what is no op."""
    batch = Batch(op, array, [border._replace(size=1) if any(border.pads) else IDLE for border in borders])
    return batch.run(lambda _: False, value, lambda image, _: image)


def correlate(op: str, array: Array, weights: Array, borders: Sequence[Border], value: float = 0.0) -> Array:
    """Sums of products with `weights`, of as many axes as `array` and of the same type: a float, or complex."""
    if array.dtype.kind == "c":
        value = complex(value)
        parts = [
            correlate(op, image, factors, borders, filler)
            for image, filler in ((array.real, value.real), (array.imag, value.imag))
            for factors in (weights.real, weights.imag)
        ]
        return (parts[0] - parts[3]) + 1j * (parts[1] + parts[2])
    batch = Batch(op, array, borders)
    kernel = weights.reshape(batch.window)

    def sums(image: Array, padding: Any) -> Array:
        if batch.layout is None and len(batch.window) == 3 and batch.window[0] > 1:
            return _correlate_volumes(image[:, 0], kernel, padding)
        filters = np.broadcast_to(kernel, (batch.channels, 1, *kernel.shape))
        return conv(image, filters, None, 1, padding, 1, batch.channels, layout=batch.layout, algorithm=PLAIN)

    zeros = value == 0
    return batch.run(lambda border: border.mode == "constant" and zeros, value, sums)


def _correlate_planes(image: Array, weights: Array, padding: Sequence[tuple[int, int]]) -> Array:
    """Planes (N, C, H, W), each with the same weights."""
    filters = np.broadcast_to(weights, (image.shape[1], 1, *weights.shape))
    return conv(image, filters, None, 1, tuple(padding), 1, image.shape[1], algorithm=PLAIN)


def _correlate_volumes(image: Array, weights: Array, padding: Sequence[tuple[int, int]]) -> Array:
    """Volumes (N, D, H, W), a tap of the depth at a time: single planes are filtered in place, volumes are not.

    Some planes of the result at a time, whose sums stay in the cache.
    """
    before = padding[0][0]
    depth, *plane = (
        size + sum(pads) - taps + 1 for size, pads, taps in zip(image.shape[1:], padding, weights.shape, strict=True)
    )
    result = np.zeros((len(image), depth, *plane), image.dtype)
    block = max(BLOCK // max(math.prod(plane), 1), 1)
    for start, (tap, filters) in product(range(0, depth, block), enumerate(weights)):
        shift = tap - before
        first, stop = max(start, -shift), min(start + block, depth, image.shape[1] - shift)
        if first < stop:
            result[:, first:stop] += _correlate_planes(image[:, first + shift : stop + shift], filters, padding[1:])
    return result


def total(op: str, array: Array, borders: Sequence[Border], value: float, divisor: int) -> Array:
    """Sums of windows of a float array over `divisor`."""
    batch = Batch(op, array, borders)
    return batch.run(
        lambda border: border.mode == "constant" and value == 0,
        value,
        lambda image, padding: avg_pool(image, batch.window, 1, padding, divisor_override=divisor, layout=batch.layout),
    )


def maximum(op: str, array: Array, borders: Sequence[Border], value: float) -> Array:
    """Maxima of windows; integers stay what they are."""
    batch = Batch(op, array, borders)
    return batch.run(
        # What mirrors or repeats the edge of a window about its middle repeats elements of this very window.
        lambda border: border.mode in ("symmetric", "edge") and abs(border.before - border.after) <= 1,
        value,
        lambda image, padding: max_pool(image, batch.window, 1, padding, layout=batch.layout),
    )


def cast(values: Array, dtype: np.dtype[Any]) -> Array:
    """As a cast in C: towards zero, then modulo the range of an integer type."""
    if dtype.kind not in "iub" or values.dtype.kind in "iub":
        return values.astype(dtype, copy=False)
    with np.errstate(invalid="ignore"):  # NaN and what leaves 64 bits are no integers
        whole = values.astype(np.int32 if dtype.itemsize <= 2 and values.dtype == np.float32 else np.int64)
        if dtype == np.uint64:
            whole = np.where(values < 2.0**63, whole.view(np.uint64), values.astype(np.uint64))
    return whole.astype(dtype)
