"""The same values in memory of every kind: what an op must read, and write, through its strides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

OUT_VIEWS = ("plain", "offset", "strided", "negative", "transposed", "slice_of_axis_1", "slice_of_last_axis")
VIEWS = (*OUT_VIEWS, "broadcast", "broadcast_last")
SENTINEL = -12345.0


def sentinel(dtype: DTypeLike) -> Any:
    """What memory holds that nobody has written."""
    kind = np.dtype(dtype).kind
    return np.array(SENTINEL if kind in "fc" else True if kind == "b" else np.iinfo(dtype).max - 7).astype(dtype)


def empty_view(shape: tuple[int, ...], dtype: DTypeLike, kind: str) -> tuple[Array, Array]:
    """A buffer full of the sentinel and a writeable view of it, of the given shape."""
    unwritten = sentinel(dtype)
    if kind == "plain":
        buffer = np.full(shape, unwritten, dtype)
        return buffer, buffer
    if kind == "offset":  # contiguous, one element past where the allocator aligned it
        buffer = np.full(int(np.prod(shape)) + 1, unwritten, dtype)
        return buffer, buffer[1:].reshape(shape)
    if kind == "strided":  # no unit stride anywhere, gaps on every axis
        buffer = np.full([2 * size + 1 for size in shape], unwritten, dtype)
        return buffer, buffer[tuple(slice(1, 2 * size + 1, 2) for size in shape)]
    if kind == "negative":
        buffer = np.full(shape, unwritten, dtype)
        return buffer, buffer[tuple([slice(None, None, -1)] * len(shape))]
    if kind == "transposed":
        buffer = np.full(shape[::-1], unwritten, dtype)
        return buffer, buffer.T
    if kind in ("slice_of_axis_1", "slice_of_last_axis"):  # a place in a concatenation buffer
        axis = len(shape) - 1 if kind == "slice_of_last_axis" else min(1, len(shape) - 1)
        buffer = np.full([size + 3 * (a == axis) for a, size in enumerate(shape)], unwritten, dtype)
        return buffer, buffer[(slice(None),) * axis + (slice(2, 2 + shape[axis]),)]
    raise ValueError(kind)


def as_view(array: Array, kind: str) -> Array:
    """`array` as a view of the given kind; the broadcast ones repeat its first slice along the first or last axis."""
    if kind == "broadcast":
        return np.broadcast_to(array[:1], array.shape)
    if kind == "broadcast_last":
        return np.broadcast_to(array[..., :1], array.shape)
    _, view = empty_view(array.shape, array.dtype, kind)
    view[...] = array
    return view


def written_outside(buffer: Array, view: Array) -> bool:
    """Whether anything of the buffer but the view has been written."""
    kept = view.copy()
    view[...] = sentinel(buffer.dtype)
    changed = bool((buffer != sentinel(buffer.dtype)).any())
    view[...] = kept
    return changed


class Exchanged:
    """An array of another library, as DLPack shows it: neither an ndarray nor convertible by ``__array__``."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)
