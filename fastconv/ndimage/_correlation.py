"""Weighted sums: ``correlate``, ``convolve``, and along one axis ``correlate1d``, ``convolve1d``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._types import Array, ArrayLike, Int, Ints
from ._arguments import (
    Mode,
    Output,
    as_axes,
    as_axis,
    as_borders,
    as_filler,
    as_image,
    as_kernel,
    as_target,
    sizes_along,
    spread,
)
from ._sums import weighted

__all__ = ["convolve", "convolve1d", "correlate", "correlate1d"]


def correlate(
    input: ArrayLike,
    weights: ArrayLike,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: complex = 0.0,
    origin: Ints = 0,
    *,
    axes: Ints | None = None,
) -> Array:
    """Correlate an image with a kernel, one result for every element.

    Parameters
    ----------
    input : array_like
        Any number of axes. Integers, bool, float16, float32, float64, complex64 and complex128.
    weights : array_like
        The kernel, with as many axes as `axes` has. Three of them at most may be longer than 1.
    output : ndarray or dtype, optional
        Where to write the result, an array of the shape of `input`, or the type it is to have. Default: that of
        `input`; complex if the weights are. A real type of a complex result is promoted, with a warning.
    mode : {"reflect", "constant", "nearest", "mirror", "wrap"} or sequence of them, default: "reflect"
        What stands beyond the border, for all axes or one each. Beside ``a b c``: the image mirrored at its edge,
        ``b a|a b c|c b``; `cval`; the edge itself, ``a a|a b c|c c``; the image mirrored about its last element,
        ``c b|a b c|b a``; the image again, ``b c|a b c|a b``. ``"grid-mirror"``, ``"grid-constant"`` and
        ``"grid-wrap"`` are other names of reflect, constant and wrap.
    cval : float, default: 0.0
        What ``"constant"`` has beyond the border; complex for complex input.
    origin : int or sequence of int, default: 0
        The middle of a window is its element ``size // 2 + origin``, for all axes or one each.
    axes : int or tuple of int, optional
        The axes that the kernel lies along, in the order that they have in `input`; default: all. Sequences for `mode`
        and `origin` have the order of `axes`.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError
        If an argument has a value that is not allowed, more than three axes of the kernel are longer than 1, or shapes
        do not fit. The message names the argument, its value and what is allowed.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    convolve : the same with the kernel mirrored.
    fastconv.conv : channels, strides, batches.

    Notes
    -----
    With ``c = size // 2 + origin`` on each axis::

        output[p] = sum over j < size of weights[j] * input[p + j - c]

    The result is that of `scipy.ndimage.correlate`. Complex weights are conjugated. Beyond it: float16 (computed in
    float32), and a mode for each axis. Sums of float32 are float32 here, and float64, rounded once, there: with ``n``
    weights both differ by at most ``(n + 2) * 2**-24 * sum |weights| |input|``. Integers are the same, cut off towards
    zero, as long as sums stay below 2**53 and fit the type; larger ones are taken modulo its range. NaN reaches every
    window that holds it, by way of zero weights too, which SciPy leaves out.

    The cost is one multiply-add for each element and weight.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.correlate(np.array([1.0, 2.0, 4.0, 8.0]), [1, 0, 0])
    array([1., 1., 2., 4.])
    >>> ndimage.correlate(np.array([1, 2, 4, 8], np.uint8), [1, 1], mode="constant", cval=9)
    array([10,  3,  6, 12], dtype=uint8)
    """
    return _windowed("correlate", input, weights, output, mode, cval, origin, axes, mirrored=False)


def convolve(
    input: ArrayLike,
    weights: ArrayLike,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: complex = 0.0,
    origin: Ints = 0,
    *,
    axes: Ints | None = None,
) -> Array:
    """Convolve an image with a kernel, one result for every element.

    Parameters
    ----------
    input, weights, output, mode, cval, axes
        As in `correlate`.
    origin : int or sequence of int, default: 0
        The middle of a window is its element ``(size - 1) // 2 - origin``, for all axes or one each.

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
    With ``c = size // 2 + origin`` on each axis::

        output[p] = sum over j < size of weights[j] * input[p - j + c]

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.convolve(np.array([1.0, 2.0, 4.0, 8.0]), [1, 0, 0])
    array([2., 4., 8., 8.])
    """
    return _windowed("convolve", input, weights, output, mode, cval, origin, axes, mirrored=True)


def correlate1d(
    input: ArrayLike,
    weights: ArrayLike,
    axis: Int = -1,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    origin: Int = 0,
) -> Array:
    """Correlate along one axis.

    Parameters
    ----------
    input, output, mode, cval, origin
        As in `correlate`.
    weights : array_like, one axis
        The kernel.
    axis : int, default: -1
        The axis that it lies along.

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
    >>> ndimage.correlate1d(np.array([[1.0, 2.0, 4.0], [0.0, 3.0, 9.0]]), [-1, 1])
    array([[0., 1., 2.],
           [0., 3., 6.]])
    """
    return _along("correlate1d", input, weights, axis, output, mode, cval, origin, mirrored=False)


def convolve1d(
    input: ArrayLike,
    weights: ArrayLike,
    axis: Int = -1,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    origin: Int = 0,
) -> Array:
    """Convolve along one axis.

    Parameters
    ----------
    input, output, mode, cval
        As in `correlate`.
    weights : array_like, one axis
        The kernel.
    axis : int, default: -1
        The axis that it lies along.
    origin : int, default: 0
        As in `convolve`.

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
    >>> ndimage.convolve1d(np.array([[1.0, 2.0, 4.0], [0.0, 3.0, 9.0]]), [1, -1])
    array([[1., 2., 0.],
           [3., 6., 0.]])
    """
    return _along("convolve1d", input, weights, axis, output, mode, cval, origin, mirrored=True)


def _along(
    op: str, input: Any, weights: Any, axis: Any, output: Any, mode: Any, cval: Any, origin: Any, mirrored: bool
) -> Array:
    image = as_image(op, input)
    axes = (as_axis(op, axis, image.ndim),)
    return _windowed(op, image, weights, output, mode, cval, origin, axes, mirrored, line=True)


def _windowed(
    op: str,
    input: Any,
    weights: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    mirrored: bool,
    line: bool = False,
) -> Array:
    image = as_image(op, input)
    along = as_axes(op, axes, image.ndim)
    kernel = as_kernel(op, "weights", weights, along, "biufc")
    kernel = kernel.astype(np.complex128 if kernel.dtype.kind == "c" else np.float64)
    complex_result = "c" in (image.dtype.kind, kernel.dtype.kind)
    borders = as_borders(op, sizes_along(kernel, along), mode, origin, along, image.ndim, mirrored)
    target, filler = as_target(op, output, image, complex_result), as_filler(op, cval, image.dtype.kind == "c")
    if mirrored:
        kernel = kernel[(slice(None, None, -1),) * kernel.ndim]
    elif complex_result:
        kernel = kernel.conj()
    return target.deliver(weighted(op, image, spread(kernel, along, image.ndim), borders, filler, target.dtype, line))
