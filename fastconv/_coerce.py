"""The side door: whatever is not a plain float32 or float64 array comes back as one.

Lists, other array libraries (DLPack), integers, bool, float16, byte-swapped, misaligned and subclassed arrays. Types
promote as NumPy's; what is then no float becomes float64, as in `np.linalg`; float16 is computed in float32 and rounded
once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _errors

SUPPORTED = "float32 or float64, or what converts to them: float16, integers, bool"


def _as_array(op: object, name: str, value: Any) -> np.ndarray[Any, Any]:
    try:
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            value = np.from_dlpack(value)
        array = np.asarray(value)
    except (ValueError, TypeError, BufferError, RuntimeError) as error:
        raise ValueError(f"{op}: {name} is no array: {error}") from None
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{op}: {name} has dtype {array.dtype}; needs {SUPPORTED}")
    return array


def _plain(
    op: object, arrays: dict[str, Any], optional: tuple[str, ...] = ("bias",)
) -> tuple[list[Any], np.dtype[Any]]:
    """The arrays in the dtype they are computed in, and the dtype of the result."""
    given = {
        name: None if value is None and name in optional else _as_array(op, name, value)
        for name, value in arrays.items()
    }
    result = np.result_type(*[array.dtype for array in given.values() if array is not None])
    if result.kind != "f":
        result = np.dtype(np.float64)
    compute = np.dtype(np.float64 if result.itemsize == 8 else np.float32)
    return [None if array is None else _behaved(array, compute) for array in given.values()], result.newbyteorder("=")


def _behaved(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    converted = array.astype(dtype, copy=False)
    whole = all(stride % dtype.itemsize == 0 for stride in converted.strides)
    return converted if converted.flags.aligned and whole else converted.copy()


def call(
    function: Callable[..., Any], op: object, arrays: dict[str, Any], rank: int, rest: tuple[Any, ...], out: Any
) -> Any:
    """`function` of `_core` once more, on plain arrays; its result in the dtype that the arrays promote to."""
    plain, dtype = _plain(op, arrays)
    if dtype.itemsize > 2:
        return function(rank, *plain, *rest, out)
    result = function(rank, *plain, *rest, None)
    if isinstance(result, tuple):  # values and indices of max pooling
        values, indices = result
        if out is None:
            return values.astype(dtype), indices
        targets = _errors.as_pair(op, out)
        _write(op, targets[1], indices, (*arrays.values(), targets[0]))
        return _write(op, targets[0], values.astype(dtype), arrays.values()), targets[1]
    result = result.astype(dtype)
    return result if out is None else _write(op, out, result, arrays.values())


def _write(op: object, out: Any, result: np.ndarray[Any, Any], inputs: Any) -> Any:
    _errors.check_out(op, "out", out, result.shape, result.dtype, [a for a in inputs if isinstance(a, np.ndarray)])
    out[...] = result
    return out


def call_backward(
    function: Callable[..., Any], op: object, arrays: dict[str, Any], rank: int, rest: tuple[Any, ...]
) -> tuple[Any, ...]:
    plain, dtype = _plain(op, arrays)
    gradients = function(rank, *plain, *rest)
    return tuple(None if gradient is None else gradient.astype(dtype, copy=False) for gradient in gradients)


def as_indices(op: object, indices: Any) -> np.ndarray[Any, Any]:
    """Indices of max pooling as plain int64."""
    array = _as_array(op, "indices", indices)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices has dtype {array.dtype}; needs integers, as max pooling returns them")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{op}: indices holds {array.max()}; needs positions in a plane of the input")
    return np.array(array, np.int64)
