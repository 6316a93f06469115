"""Largest and smallest of windows: ``maximum_filter``, ``minimum_filter``, and both along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from .. import _windows
from .._types import Array, ArrayLike, Int, Ints
from .._windows import IDLE, Border, cast, extended
from ._arguments import (
    Mode,
    Output,
    as_axes,
    as_axis,
    as_borders,
    as_filler,
    as_image,
    as_kernel,
    as_sizes,
    as_target,
    placed,
    sizes_along,
    spread,
)

__all__ = ["maximum_filter", "maximum_filter1d", "minimum_filter", "minimum_filter1d"]


def maximum_filter(
    input: ArrayLike,
    size: Ints | None = None,
    footprint: ArrayLike | None = None,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: float = 0.0,
    origin: Ints = 0,
    *,
    axes: Ints | None = None,
) -> Array:
    """Maximum of the window around every element.

    Parameters
    ----------
    input : array_like
        Any number of axes, not complex.
    size : int or sequence of int, optional
        Size of the window, for all axes or one each.
    footprint : array_like of bool, optional
        In place of `size`: the window itself, true where an element counts, with as many axes as `axes` has.
    output, mode, cval, origin
        As in `correlate`. For integers of 64 bits `cval` is an integer too.
    axes : int or tuple of int, optional
        The axes that the window lies along; default: all.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError
        If an argument has a value that is not allowed: neither or both of `size` and `footprint`, or a footprint that
        is false everywhere or longer than 1 on more than three axes. The message names it.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    fastconv.max_pool : strides, batches, indices.

    Notes
    -----
    Exact for all types, unsigned and 64-bit integers included. A window that holds a NaN gives NaN; SciPy's result
    depends on where it stands. Rectangular windows are pooled, at a cost that hardly grows with their size; others take
    one maximum of two images for each run of true elements along the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.maximum_filter(np.array([3, 1, 4, 1, 5], np.uint8), 3)
    array([3, 4, 4, 5, 5], dtype=uint8)
    >>> ndimage.maximum_filter(np.array([3, 1, 4, 1, 5]), footprint=[True, False, True])
    array([3, 4, 1, 5, 5])
    """
    return _extreme("maximum_filter", input, size, footprint, output, mode, cval, origin, axes, smallest=False)


def minimum_filter(
    input: ArrayLike,
    size: Ints | None = None,
    footprint: ArrayLike | None = None,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: float = 0.0,
    origin: Ints = 0,
    *,
    axes: Ints | None = None,
) -> Array:
    """Minimum of the window around every element.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes
        As in `maximum_filter`.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `maximum_filter`, which also says what becomes of NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.minimum_filter(np.array([3, 1, 4, 1, 5], np.uint8), 2)
    array([3, 1, 1, 1, 1], dtype=uint8)
    """
    return _extreme("minimum_filter", input, size, footprint, output, mode, cval, origin, axes, smallest=True)


def maximum_filter1d(
    input: ArrayLike,
    size: Int,
    axis: Int = -1,
    output: Output = None,
    mode: Mode = "reflect",
    cval: float = 0.0,
    origin: Int = 0,
) -> Array:
    """Maximum along one axis of the window around every element.

    Parameters
    ----------
    input, output, mode, cval, origin
        As in `maximum_filter`.
    size : int
        Size of the window.
    axis : int, default: -1
        The axis that it lies along.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `maximum_filter`, which also says what becomes of NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.maximum_filter1d(np.array([[3, 1, 4], [1, 5, 9]]), 2, axis=0)
    array([[3, 1, 4],
           [3, 5, 9]])
    """
    return _along("maximum_filter1d", input, size, axis, output, mode, cval, origin, smallest=False)


def minimum_filter1d(
    input: ArrayLike,
    size: Int,
    axis: Int = -1,
    output: Output = None,
    mode: Mode = "reflect",
    cval: float = 0.0,
    origin: Int = 0,
) -> Array:
    """Minimum along one axis of the window around every element.

    Parameters
    ----------
    input, output, mode, cval, origin
        As in `maximum_filter`.
    size : int
        Size of the window.
    axis : int, default: -1
        The axis that it lies along.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `maximum_filter`, which also says what becomes of NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.minimum_filter1d(np.array([[3, 1, 4], [1, 5, 9]]), 2, axis=0)
    array([[3, 1, 4],
           [1, 1, 4]])
    """
    return _along("minimum_filter1d", input, size, axis, output, mode, cval, origin, smallest=True)


def _along(
    op: str, input: Any, size: Any, axis: Any, output: Any, mode: Any, cval: Any, origin: Any, smallest: bool
) -> Array:
    image = as_image(op, input, "biuf")
    axes = as_axis(op, axis, image.ndim)
    return _extreme(op, image, size, None, output, mode, cval, origin, axes, smallest)


def _extreme(
    op: str,
    input: Any,
    size: Any,
    footprint: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    smallest: bool,
) -> Array:
    image = as_image(op, input, "biuf")
    along = as_axes(op, axes, image.ndim)
    if (size is None) == (footprint is None):
        raise ValueError(f"{op}: size is {size!r}, footprint is {footprint!r}; needs one of them")
    window = None if footprint is None else as_kernel(op, "footprint", footprint, along).astype(bool)
    if window is not None and not window.any():
        raise ValueError(f"{op}: footprint is false everywhere; needs an element that is true")
    if window is not None and window.all():
        size, window = window.shape, None
    sizes = as_sizes(op, size, len(along)) if window is None else sizes_along(window, along)
    borders = as_borders(op, sizes, mode, origin, along, image.ndim)
    target = as_target(op, output, image)
    if window is not None:
        if image.dtype.kind in "iub" and image.dtype.itemsize < 8:  # SciPy casts it for footprints alone
            cval = cast(np.array([as_filler(op, cval)]), image.dtype)[0]
        return target.deliver(_largest(op, image, borders, cval, smallest, spread(window, along, image.ndim)))
    filtered = [axis for axis in along if borders[axis] != IDLE]
    # A type that cannot hold all values of the image does not keep their order either: an axis at a time, as SciPy.
    at_once = len(filtered) or 1 if np.can_cast(image.dtype, target.dtype) else 1
    result = image
    for first in range(0, len(filtered), at_once):
        axes = filtered[first : first + at_once]
        some = placed((borders[axis] for axis in axes), axes, image.ndim)
        result = cast(_largest(op, result, some, cval, smallest), target.dtype)
    return target.deliver(result if filtered else image.copy())


def _largest(
    op: str, image: Array, borders: Sequence[Border], cval: Any, smallest: bool, window: Array | None = None
) -> Array:
    """Maxima, or minima, of rectangles or of `window`."""
    whole = image.dtype.kind in "iu" and image.dtype.itemsize == 8  # all others are floats without loss
    values = image if whole else image.astype(np.result_type(image.dtype, np.float32), copy=False)
    filler = values.dtype.type(0)
    if any(border.mode == "constant" and border != IDLE for border in borders):
        filler = _as_whole(op, cval, values.dtype) if whole else as_filler(op, cval)
    if smallest:
        values, filler = (~values, ~filler) if whole else (-values, -filler)
    result = (
        _windows.maximum(op, values, borders, filler)
        if window is None
        else _by_runs(op, values, window, borders, filler)
    )
    if smallest:
        result = ~result if whole else np.negative(result, out=result)
    return result


def _as_whole(op: str, cval: Any, dtype: np.dtype[Any]) -> Any:
    number, limits = as_filler(op, cval), np.iinfo(dtype)
    if number != number or abs(number) == np.inf or int(cval) != cval or not limits.min <= int(cval) <= limits.max:
        raise ValueError(f"{op}: cval is {cval!r}; needs an integer of the input's dtype {dtype}")
    return dtype.type(int(cval))


def _by_runs(op: str, values: Array, window: Array, borders: Sequence[Border], cval: Any) -> Array:
    """Maxima over a window of any form: over runs of true elements along its last axis first, then of these."""
    if values.size == 0:
        return values.copy()
    image, length = extended(op, values, borders, cval), values.shape[-1]
    runs: dict[int, Array] = {}
    result: Array | None = None
    for place in np.ndindex(window.shape[:-1]):
        start = 0
        for counts, elements in groupby(window[place]):
            size = len(list(elements))
            if counts:
                if size not in runs:
                    lines = [*[IDLE] * (values.ndim - 1), Border(size)]
                    runs[size] = _windows.maximum(op, image, lines, cval)
                rows = tuple(slice(first, first + count) for first, count in zip(place, values.shape[:-1], strict=True))
                maxima = runs[size][(*rows, slice(start, start + length))]
                result = maxima.copy() if result is None else np.maximum(result, maxima, out=result)
            start += size
    assert result is not None, "as_kernel has seen an element"
    return result
