"""Geometry: where windows stand and what they read, the part of a row that an adaptive window covers, pads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ._forms import Array, per_axis


def pads(padding: Any, rank: int) -> list[tuple[int, int]]:
    """Elements added (before, after) each axis, of an integer, one an axis, or pairs."""
    if np.ndim(padding) < 2:
        return [(p, p) for p in per_axis("padding", padding, rank, 0)]
    pairs = [per_axis("padding", pair, 2, 0) for pair in padding]
    if len(pairs) != rank or any(np.ndim(pair) != 1 for pair in padding):
        raise ValueError(f"padding is {padding!r}; needs {rank} pairs")
    return [(before, after) for before, after in pairs]


class Window:
    """A window of taps that slides over `sizes`: where it stands, how often, and how far it reaches past the ends."""

    def __init__(
        self, sizes: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False
    ) -> None:
        self.sizes, rank = sizes, len(sizes)
        self._shape(rank, kernel, stride, dilation)
        self.pads = self._pads(padding)
        self.out = tuple(self._count(axis, ceil_mode) for axis in range(rank))
        if min(self.out) < 1:
            raise ValueError(f"a window of {self.reach} over {self.sizes} padded by {self.pads} gives an empty output")

    def _shape(self, rank: int, kernel: Any, stride: Any, dilation: Any) -> None:
        self.kernel = per_axis("kernel_size", kernel, rank)
        self.stride = per_axis("stride", stride, rank)
        self.dilation = per_axis("dilation", dilation, rank)
        self.reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]

    def _pads(self, padding: Any) -> list[tuple[int, int]]:
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f"padding is {padding!r}; needs 'valid', 'same', integers or pairs of them")
            axes = zip(self.sizes, self.stride, self.reach, strict=True)
            totals = [max((-(-size // s) - 1) * s + reach - size, 0) for size, s, reach in axes]
            return [(total // 2, total - total // 2) if padding == "same" else (0, 0) for total in totals]
        return pads(padding, len(self.sizes))

    def _count(self, axis: int, ceil_mode: bool) -> int:
        size, (before, after), stride = self.sizes[axis], self.pads[axis], self.stride[axis]
        room = size + before + after - self.reach[axis]
        if not ceil_mode:
            return room // stride + 1
        count = -(-room // stride) + 1
        return count - 1 if (count - 1) * stride >= size + before else count  # no window begins in the padding behind

    def full(self) -> list[tuple[int, int]]:
        """The padding, with what the last window of `ceil_mode` needs beyond it."""
        axes = zip(self.pads, self.out, self.stride, self.reach, self.sizes, strict=True)
        return [
            (before, max(after, (n - 1) * s + reach - size - before)) for (before, after), n, s, reach, size in axes
        ]

    def padded(self, array: Array, value: float = 0) -> Array:
        lead = array.ndim - len(self.sizes)
        return np.pad(array, [(0, 0)] * lead + self.full(), constant_values=value)

    def cropped(self, array: Array) -> Array:
        """What `padded` put an array into, taken out again."""
        axes = zip(self.pads, self.sizes, strict=True)
        return array[(..., *(slice(before, before + size) for (before, _), size in axes))]

    def taps(self) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """For each tap: its index among the weights, and the index into a padded array that gives (..., *out)."""
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            grid = zip(starts, self.out, self.stride, strict=True)
            yield (..., *tap), (..., *(slice(start, start + (n - 1) * s + 1, s) for start, n, s in grid))


class TransposedWindow(Window):
    """The window of a transposed convolution of `out`: it slides over the result, of `sizes`, and adds to it."""

    def __init__(
        self, out: tuple[int, ...], kernel: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any
    ) -> None:
        self.out, rank = out, len(out)
        self._shape(rank, kernel, stride, dilation)
        more = per_axis("output_padding", output_padding, rank, 0)
        if any(p >= max(s, d) for p, s, d in zip(more, self.stride, self.dilation, strict=True)):
            raise ValueError(f"output_padding is {output_padding!r}; needs less than the stride or the dilation")
        if isinstance(padding, str) and padding == "same":  # the result has stride elements for each of `out`
            excess = [reach + p - s for reach, p, s in zip(self.reach, more, self.stride, strict=True)]
            more = tuple(p + max(-e, 0) for p, e in zip(more, excess, strict=True))
            padding = [(max(e, 0) // 2, max(e, 0) - max(e, 0) // 2) for e in excess]
        self.pads = pads(0 if isinstance(padding, str) and padding == "valid" else padding, rank)
        axes = zip(out, self.stride, self.reach, more, self.pads, strict=True)
        self.sizes = tuple((n - 1) * s + reach + p - sum(pair) for n, s, reach, p, pair in axes)
        if min(self.sizes) < 1:
            raise ValueError(f"padding is {padding!r}; leaves an output of {self.sizes}")


def parts(sizes: Sequence[int], out: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...]]]:
    """For each element of a result of `out`: its index, and that of the window of adaptive pooling over `sizes`."""
    for place in np.ndindex(*out):
        axes = zip(place, sizes, out, strict=True)
        yield (..., *place), (..., *(slice(o * size // n, -(-(o + 1) * size // n)) for o, size, n in axes))
