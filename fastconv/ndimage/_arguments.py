"""Arguments that the filters share: axes, modes, origins, and where the result goes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from .. import _coerce, _errors
from .._types import Array, ArrayLike, Int
from .._windows import IDLE, Border, cast

Mode: TypeAlias = Literal[
    "reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-constant", "grid-wrap"
]
Output: TypeAlias = Array | DTypeLike | None

PAD_MODES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}
"""SciPy's modes, in the words of `fastconv.pad`."""


def as_axes(op: str, axes: Any, ndim: int) -> tuple[int, ...]:
    """The axes to filter, counted from the front; all if None."""
    if axes is None:
        return tuple(range(ndim))
    given = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    numbers = tuple(_errors.as_int(op, "axes", axis, axes) for axis in given)
    if not all(-ndim <= axis < ndim for axis in numbers):
        raise ValueError(f"{op}: axes is {axes!r}; needs axes of an array of {ndim}: {-ndim} to {ndim - 1}")
    numbers = tuple(axis % ndim for axis in numbers)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{op}: axes is {axes!r}; needs each axis once")
    return numbers


def as_axis(op: str, axis: Int, ndim: int) -> int:
    """One axis, counted from the front."""
    number = _errors.as_int(op, "axis", axis, axis)
    if not -ndim <= number < ndim:
        raise ValueError(f"{op}: axis is {axis!r}; needs an axis of an array of {ndim}: {-ndim} to {ndim - 1}")
    return number % ndim


def each(op: str, name: str, value: Any, count: int) -> list[Any]:
    """One value an axis: those of a sequence, or the same for all."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(f"{op}: {name} is {value!r}; needs one value, or {count}, one an axis")
    return values


def as_sizes(op: str, size: Any, count: int) -> list[int]:
    """Sizes of windows."""
    sizes = [_errors.as_int(op, "size", one, size) for one in each(op, "size", size, count)]
    if any(one < 1 for one in sizes):
        raise ValueError(f"{op}: size is {size!r}; needs ints >= 1")
    return sizes


def as_border(op: str, size: int, mode: Any = "reflect", origin: Any = 0, mirrored: bool = False) -> Border:
    """The border that gives every element a window, whose middle `origin` moves; back where the window is mirrored."""
    if not isinstance(mode, str) or mode not in PAD_MODES:
        _errors.bad_choice(op, "mode", mode, tuple(PAD_MODES))
    moved = _errors.as_int(op, "origin", origin, origin)
    before = (size - 1) // 2 - moved if mirrored else size // 2 + moved
    if not 0 <= before < size:
        raise ValueError(
            f"{op}: origin is {origin!r}; needs {-(size // 2)} to {(size - 1) // 2} for a window of {size}"
        )
    return IDLE if size == 1 else Border(size, before, size - 1 - before, PAD_MODES[mode])


def as_borders(
    op: str, sizes: Iterable[int], mode: Any, origin: Any, axes: Sequence[int], ndim: int, mirrored: bool = False
) -> list[Border]:
    """One border for each axis of an array, those of `axes` for windows of `sizes`."""
    each_of = zip(sizes, each(op, "mode", mode, len(axes)), each(op, "origin", origin, len(axes)), strict=True)
    return placed((as_border(op, *one, mirrored) for one in each_of), axes, ndim)


def placed(borders: Iterable[Border], axes: Iterable[int], ndim: int) -> list[Border]:
    """One border for each axis of an array, from those of `axes`."""
    found = dict(zip(axes, borders, strict=True))
    return [found.get(axis, IDLE) for axis in range(ndim)]


def as_kernel(op: str, name: str, value: ArrayLike, axes: Sequence[int], kinds: str = "biuf") -> Array:
    """Weights or a footprint, which lie along `axes` in the order that these have in the image."""
    kernel = _coerce.as_array(op, name, value, kinds)
    if kernel.ndim != len(axes) or kernel.size == 0:
        raise ValueError(
            f"{op}: {name} has shape {kernel.shape}; needs {len(axes)} axes, one for each of {tuple(axes)}, none empty"
        )
    return kernel


def sizes_along(kernel: Array, axes: Sequence[int]) -> list[int]:
    """The sizes of a kernel in the order of `axes`."""
    return [kernel.shape[sorted(axes).index(axis)] for axis in axes]


def spread(kernel: Array, axes: Iterable[int], ndim: int) -> Array:
    """A kernel with as many axes as the image."""
    return np.expand_dims(kernel, [axis for axis in range(ndim) if axis not in tuple(axes)])


def as_image(op: str, input: ArrayLike, kinds: str = "biufc") -> Array:
    """The input as an array of a type that the filters take."""
    return _coerce.as_array(op, "input", input, kinds)


class Target(NamedTuple):
    """The type and shape of a result, and the array to write it to, if there is one."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    array: Array | None

    def deliver(self, result: Array) -> Array:
        """The result where it belongs."""
        result = cast(result, self.dtype)
        if self.array is None:
            return np.ascontiguousarray(result).reshape(self.shape)
        self.array[...] = result.reshape(self.shape)
        return self.array


def as_target(op: str, output: Any, input: Array, complex_result: bool = False) -> Target:
    """What `output` says: an array of the input's shape, a type, or by default the type of the input."""
    array = output if isinstance(output, np.ndarray) else None
    if array is not None and (array.shape != input.shape or not array.flags.writeable):
        told = f"has shape {array.shape}" if array.flags.writeable else "is read-only"
        raise ValueError(f"{op}: output {told}; needs a writeable array of shape {input.shape}")
    if output is None:
        dtype = np.promote_types(input.dtype, np.complex64) if complex_result else input.dtype
        return Target(dtype.newbyteorder("="), input.shape, None)
    try:
        dtype = np.dtype(output if array is None else array.dtype)
    except TypeError:
        raise TypeError(f"{op}: output is {output!r}; needs an array, a dtype or None") from None
    if complex_result and dtype.kind in "biuf" and isinstance(output, (type, np.dtype)):  # not by name, as in SciPy
        promoted = np.promote_types(dtype, np.complex64)
        told = f"{op}: promoting specified output dtype to complex: output is of {dtype}, the result of {promoted}"
        warnings.warn(told, stacklevel=4)
        dtype = promoted
    kinds, most = ("c", 16) if complex_result else ("biuf", 8)
    if dtype.kind not in kinds or dtype.itemsize > most:
        wanted = "complex" if complex_result else "real"
        raise TypeError(f"{op}: output is of {dtype}; needs a {wanted} dtype of at most {most} bytes")
    return Target(dtype, input.shape, array)


def as_filler(op: str, cval: Any, complex_input: bool = False) -> Any:
    """The value beyond the border: a float or, where the input is complex, a complex number."""
    if complex_input and isinstance(cval, (complex, np.complexfloating)):
        return complex(cval)
    return _errors.as_real(op, "cval", int(cval) if isinstance(cval, (bool, np.bool_)) else cval)
