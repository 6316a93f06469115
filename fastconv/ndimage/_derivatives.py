"""Derivatives: ``sobel``, ``prewitt``, ``laplace``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._types import Array, ArrayLike, Int, Ints
from ._arguments import Mode, Output, as_axes, as_axis, as_border, as_filler, as_image, as_target, each
from ._sums import Line, added, separable

__all__ = ["laplace", "prewitt", "sobel"]

DIFFERENCE = np.array([-1.0, 0.0, 1.0])
SECOND_DIFFERENCE = np.array([1.0, -2.0, 1.0])


def sobel(
    input: ArrayLike,
    axis: Int = -1,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: complex = 0.0,
) -> Array:
    """Sobel's derivative: differences along one axis, smoothed by 1 2 1 along all others.

    Parameters
    ----------
    input, output, mode, cval
        As in `correlate`; `mode` has one entry for each axis of `input`.
    axis : int, default: -1
        The axis along which to take differences.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `correlate`, which also says how results compare with SciPy's.

    Notes
    -----
    Results have the type of `input`, as in SciPy: differences of unsigned integers wrap around. Ask for
    ``output=np.float32`` there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> edge = np.array([[0.0, 0.0, 1.0, 1.0]] * 3)
    >>> ndimage.sobel(edge)
    array([[0., 4., 4., 0.],
           [0., 4., 4., 0.],
           [0., 4., 4., 0.]])
    """
    return _gradient("sobel", input, axis, output, mode, cval, np.array([1.0, 2.0, 1.0]))


def prewitt(
    input: ArrayLike,
    axis: Int = -1,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: complex = 0.0,
) -> Array:
    """Prewitt's derivative: differences along one axis, summed by 1 1 1 along all others.

    Parameters
    ----------
    input, output, mode, cval
        As in `correlate`; `mode` has one entry for each axis of `input`.
    axis : int, default: -1
        The axis along which to take differences.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `correlate`, which also says how results compare with SciPy's.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.prewitt(np.array([[0.0, 0.0, 1.0, 1.0]] * 2))
    array([[0., 3., 3., 0.],
           [0., 3., 3., 0.]])
    """
    return _gradient("prewitt", input, axis, output, mode, cval, np.ones(3))


def _gradient(op: str, input: Any, axis: Any, output: Any, mode: Any, cval: Any, smoother: Array) -> Array:
    image = as_image(op, input)
    first = as_axis(op, axis, image.ndim)
    borders = [as_border(op, 3, one) for one in each(op, "mode", mode, image.ndim)]
    target, filler = as_target(op, output, image, image.dtype.kind == "c"), as_filler(op, cval, image.dtype.kind == "c")
    others = [other for other in range(image.ndim) if other != first]
    lines = [Line(first, DIFFERENCE, borders[first]), *(Line(other, smoother, borders[other]) for other in others)]
    return target.deliver(separable(op, image, lines, filler, target.dtype))


def laplace(
    input: ArrayLike,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: complex = 0.0,
    *,
    axes: Ints | None = None,
) -> Array:
    """Laplace's operator: second differences, summed over the axes.

    Parameters
    ----------
    input, output, mode, cval
        As in `correlate`.
    axes : int or tuple of int, optional
        The axes along which to take differences, any number of them; default: all.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `correlate`, which also says how results compare with SciPy's.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.laplace(np.array([0.0, 1.0, 4.0, 9.0, 16.0]))
    array([ 1.,  2.,  2.,  2., -7.])
    """
    op = "laplace"
    image = as_image(op, input)
    along = as_axes(op, axes, image.ndim)
    borders = [as_border(op, 3, one) for one in each(op, "mode", mode, len(along))]
    target, filler = as_target(op, output, image, image.dtype.kind == "c"), as_filler(op, cval, image.dtype.kind == "c")
    lines = [Line(axis, SECOND_DIFFERENCE, border) for axis, border in zip(along, borders, strict=True)]
    if not lines:
        return target.deliver(image.copy())
    return target.deliver(added(op, image, lines, filler, target.dtype))
