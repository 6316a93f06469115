"""The side door: whatever is not a plain float32 or float64 array comes back as one.

Lists, other array libraries (DLPack), integers, bool, float16, byte-swapped, misaligned and subclassed arrays. Types
promote as NumPy's; what is then no float becomes float64, as in `np.linalg`; float16 is computed in float32 and rounded
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _errors

SUPPORTED = "float32 or float64, or what converts to them: float16, integers, bool"


def as_array(op: object, name: str, value: Any, kinds: str = "biuf") -> np.ndarray[Any, Any]:
    """`value` as an array of numbers of these kinds, none of more than 64 bits (for complex ones: each part)."""
    try:
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            value = np.from_dlpack(value)
        with memory_for(op, f"{name} as an array"):
            array = np.asarray(value)
    except (ValueError, TypeError, BufferError, RuntimeError) as error:
        raise ValueError(f"{op}: {name} is no array: {error}") from None
    if array.dtype.kind not in kinds or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        wanted = SUPPORTED + (", complex64 or complex128" if "c" in kinds else "")
        raise TypeError(f"{op}: {name} has dtype {array.dtype}; needs {wanted}")
    return array


def _plain(
    op: object, arrays: dict[str, Any], optional: tuple[str, ...] = ("bias",)
) -> tuple[list[Any], np.dtype[Any]]:
    """The arrays in the dtype they are computed in, and the dtype of the result."""
    given = {
        name: None if value is None and name in optional else as_array(op, name, value)
        for name, value in arrays.items()
    }
    result = np.result_type(*[array.dtype for array in given.values() if array is not None])
    if result.kind != "f":
        result = np.dtype(np.float64)
    compute = np.dtype(np.float64 if result.itemsize == 8 else np.float32)
    plain = [None if array is None else _behaved(op, name, array, compute) for name, array in given.items()]
    return plain, result.newbyteorder("=")


def _behaved(op: object, name: str, array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    with memory_for(op, f"{name}, shape {array.shape}, as {dtype}"):
        converted = array.astype(dtype, copy=False)
        whole = all(stride % dtype.itemsize == 0 for stride in converted.strides)
        return converted if converted.flags.aligned and whole else converted.copy()


@contextmanager
def memory_for(op: object, what: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise MemoryError(f"{op}: no memory for {what}") from None


def call(
    function: Callable[..., Any], op: object, arrays: dict[str, Any], rank: int, rest: tuple[Any, ...], out: Any
) -> Any:
    """`function` of `_core` once more, on plain arrays; its result in the dtype that the arrays promote to."""
    plain, dtype = _plain(op, arrays)
    if dtype.itemsize > 2:
        for target in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(target, np.ndarray):
                _errors.refuse_overlap(op, "out", target, arrays.values())
        return function(rank, *plain, *rest, out)
    return _delivered(
        op, function(rank, *plain, *rest, None), lambda result: result.astype(dtype), arrays.values(), out
    )


def call_keeping_type(
    function: Callable[..., Any],
    op: object,
    input: Any,
    rank: int,
    rest: tuple[Any, ...],
    out: Any,
    moves: bool = False,
) -> Any:
    """As `call`, for what only chooses values, or only moves them: integers and booleans keep their type."""
    array = as_array(op, "input", input)
    if array.dtype.kind == "f":
        return call(function, op, {"input": array}, rank, rest, out)
    with memory_for(op, f"input, shape {array.shape}, as float64"):
        plain, back = (_moved if moves else _ranked)(array)
    return _delivered(op, function(rank, plain, *rest, None), back, (input,), out)


def call_pad(
    function: Callable[..., Any], op: object, input: Any, rank: int, rest: tuple[Any, Any, Any, Any], out: Any
) -> Any:
    """`pad` with its value in the dtype of an integer input."""
    padding, mode, value, layout = rest
    array = as_array(op, "input", input)
    if array.dtype.kind == "f":
        return call(function, op, {"input": array}, rank, rest, out)
    number = _errors.as_real(op, "value", value) if not isinstance(value, (bool, np.bool_)) else value
    kept = _as_type(op, value, array.dtype) if number == number else None
    if kept is None or kept != value:
        raise ValueError(f"{op}: value is {value!r}; needs a value of the input's dtype {array.dtype}")
    with memory_for(op, f"input, shape {array.shape}, as float64"):
        plain, back = _moved(array)
    filler = float(_moved(np.array(kept))[0])
    return _delivered(op, function(rank, plain, padding, mode, filler, layout, None), back, (input,), out)


def _as_type(op: object, value: Any, dtype: np.dtype[Any]) -> Any:
    try:
        return np.array(int(value)).astype(dtype, casting="unsafe")
    except OverflowError:
        return None


Back = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def _ranked(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], Back]:
    """Integers as floats of the same order: their values where float64 holds them, else their places when sorted."""
    if array.dtype.itemsize < 8:
        return array.astype(np.float64), lambda result: result.astype(array.dtype.newbyteorder("="))
    values, places = np.unique(array, return_inverse=True)
    plain = places.reshape(array.shape).astype(np.float64)
    return plain, lambda result: values[result.astype(np.int64)].astype(array.dtype.newbyteorder("="))


def _moved(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], Back]:
    """Integers as floats that come back the same when moved: their values, or for 64 bits their bits."""
    dtype = array.dtype.newbyteorder("=")
    if dtype.itemsize < 8:
        return array.astype(np.float64), lambda result: result.astype(dtype)
    return array.astype(dtype, copy=False).view(np.float64), lambda result: result.view(dtype)


def _converted(op: object, result: np.ndarray[Any, Any], convert: Back) -> np.ndarray[Any, Any]:
    with memory_for(op, f"a result of shape {result.shape}"):
        return convert(result)


def _delivered(op: object, result: Any, convert: Back, inputs: Iterable[Any], out: Any) -> Any:
    """A result, or values and indices, in the type asked for: as they are, or written to `out`."""
    if isinstance(result, tuple):
        values, indices = _converted(op, result[0], convert), result[1]
        if out is None:
            return values, indices
        targets = _errors.as_pair(op, out)
        _errors.check_out(op, "out", targets[0], values.shape, values.dtype, inputs)
        _errors.check_out(op, "out", targets[1], indices.shape, indices.dtype, (*inputs, targets[0]))
        targets[0][...], targets[1][...] = values, indices
        return targets
    result = _converted(op, result, convert)
    if out is None:
        return result
    _errors.check_out(op, "out", out, result.shape, result.dtype, inputs)
    out[...] = result
    return out


def call_backward(
    function: Callable[..., Any], op: object, arrays: dict[str, Any], rank: int, rest: tuple[Any, ...]
) -> tuple[Any, ...]:
    plain, dtype = _plain(op, arrays)
    gradients = function(rank, *plain, *rest)
    return tuple(
        None if gradient is None else _converted(op, gradient, lambda plain: plain.astype(dtype, copy=False))
        for gradient in gradients
    )


def as_indices(op: object, indices: Any) -> np.ndarray[Any, Any]:
    """Indices of max pooling as plain int64."""
    array = as_array(op, "indices", indices)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices has dtype {array.dtype}; needs integers, as max pooling returns them")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{op}: indices holds {array.max()}; needs positions in a plane of the input")
    with memory_for(op, f"indices, shape {array.shape}, as int64"):
        return np.array(array, np.int64)
