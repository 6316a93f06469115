"""From what the caller wrote to plain numbers and arrays (N, C, *spatial), and from these to the result."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


def integer(name: str, value: Any, minimum: int) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; needs an integer")
    if operator.index(value) < minimum:
        raise ValueError(f"{name} is {value!r}; needs an integer >= {minimum}")
    return operator.index(value)


def per_axis(name: str, value: int | Sequence[int], rank: int, minimum: int = 1) -> tuple[int, ...]:
    values = tuple(value) if np.ndim(value) else (value,) * rank
    if len(values) != rank:
        raise ValueError(f"{name} is {value!r}; needs an integer or {rank} of them")
    return tuple(integer(name, one, minimum) for one in values)


def result_dtype(*arrays: Array | None, keep: bool = False) -> np.dtype[Any]:
    """The result's type: NumPy's promotion, and float64 where that is still an integer, unless those are to `keep`."""
    dtype = np.result_type(*(array.dtype for array in arrays if array is not None)).newbyteorder("=")
    if dtype.kind in "biu":
        return dtype if keep else np.dtype(np.float64)
    if dtype not in (np.float16, np.float32, np.float64):
        raise TypeError(f"dtype {dtype} is not supported; needs real numbers of at most 64 bits")
    return dtype


def asarrays(*values: ArrayLike | None) -> list[Any]:
    return [None if value is None else np.asarray(value) for value in values]


class Form:
    """Rank, batch and axis order of one call: brings arrays and shapes to (N, C, *spatial), and results back."""

    def __init__(self, rank: int, ndim: int, layout: str | None) -> None:
        self.rank = rank or ndim - 2
        self.batched = ndim == self.rank + 2
        if self.rank < 1 or not (self.batched or ndim == self.rank + 1):
            raise ValueError(f"an array of {ndim} axes does not fit {rank or 'any number of'} spatial axes")
        axes = {1: "W", 2: "HW", 3: "DHW"}.get(self.rank, "...")
        if layout not in (None, "NC" + axes, "N" + axes + "C"):
            raise ValueError(f"layout is {layout!r}; needs None, 'NC{axes}' or 'N{axes}C'")
        self.channels_last = layout is not None and layout.endswith("C")

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        shape = tuple(integer("shape", size, 0) for size in shape)
        if len(shape) != self.rank + 1 + self.batched:
            raise ValueError(f"shape {shape} needs {self.rank + 1 + self.batched} entries")
        batch, *rest = shape if self.batched else (1, *shape)
        shape = (batch, rest[-1], *rest[:-1]) if self.channels_last else (batch, *rest)
        if 0 in shape[1:]:
            raise ValueError(f"shape {shape} has an empty axis other than the batch")
        return shape

    def array(self, array: Array, dtype: Any = np.float64) -> Array:
        self.shape(array.shape)
        array = array.astype(dtype) if self.batched else array.astype(dtype)[None]
        return np.moveaxis(array, -1, 1) if self.channels_last else array

    def result(self, array: Array, dtype: Any, out: Array | None) -> Array:
        array = np.moveaxis(array, 1, -1) if self.channels_last else array
        return result(array if self.batched else array[0], dtype, out)


def result(array: Array, dtype: Any, out: Array | None) -> Array:
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array.astype(dtype))
    if out is None:
        return array
    if out.shape != array.shape or out.dtype != array.dtype:
        raise ValueError(f"out is {out.dtype} {out.shape}; needs {array.dtype} {array.shape}")
    out[...] = array
    return out


def needs_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; needs {shape}")
