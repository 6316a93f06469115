"""Smoothing: ``gaussian_filter``, ``uniform_filter``, and of one axis ``gaussian_filter1d``, ``uniform_filter1d``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

from .. import _errors, _windows
from .._types import Array, ArrayLike, Int, Ints
from .._windows import IDLE, Border, cast
from ._arguments import (
    Mode,
    Output,
    as_axes,
    as_axis,
    as_border,
    as_borders,
    as_filler,
    as_image,
    as_sizes,
    as_target,
    each,
    placed,
)
from ._sums import Line, separable

__all__ = ["gaussian_filter", "gaussian_filter1d", "uniform_filter", "uniform_filter1d"]

LEAST_SIGMA = 1e-15
"""Below it `gaussian_filter` leaves an axis alone."""
MOST_RADIUS = 2**59
"""A kernel of this radius has more bytes than 64 bits count."""


def gaussian_filter(
    input: ArrayLike,
    sigma: float | Sequence[float],
    order: Ints = 0,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: Int | Sequence[Int | None] | None = None,
    axes: Ints | None = None,
) -> Array:
    """Smooth an image with a Gaussian, or take derivatives of the smoothed image.

    Parameters
    ----------
    input, output, mode, cval
        As in `correlate`.
    sigma : float or sequence of float
        Standard deviation in elements, for all axes or one each. Zero leaves an axis as it is.
    order : int or sequence of int, default: 0
        Which derivative of the Gaussian to take, for all axes or one each; 0 smooths.
    truncate : float, default: 4.0
        The kernel ends at this many standard deviations, rounded.
    radius : int or sequence of int, optional
        Elements of the kernel on each side of its middle, in place of `truncate`.
    axes : int or tuple of int, optional
        The axes to filter, any number of them; default: all.

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
    The kernel is ``exp(-x**2 / (2 sigma**2))`` over the sum of these, times ``q(x)`` for a derivative, where ``q = 1``
    for order 0 and ``q' - x / sigma**2 q`` for the next one.

    One pass an axis, of ``2 radius + 1`` multiply-adds an element; results of passes have the type of the output, as in
    SciPy: of integers they are cut off each time. Two short passes over floats are done at once.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> point = np.zeros((5, 5))
    >>> point[2, 2] = 1
    >>> ndimage.gaussian_filter(point, 1, radius=1).round(2)
    array([[0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.08, 0.12, 0.08, 0.  ],
           [0.  , 0.12, 0.2 , 0.12, 0.  ],
           [0.  , 0.08, 0.12, 0.08, 0.  ],
           [0.  , 0.  , 0.  , 0.  , 0.  ]])
    """
    return _gaussian(
        "gaussian_filter", input, sigma, order, output, mode, cval, truncate, radius, axes, along_one=False
    )


def gaussian_filter1d(
    input: ArrayLike,
    sigma: float,
    axis: Int = -1,
    order: Int = 0,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: Int | None = None,
) -> Array:
    """Smooth along one axis with a Gaussian, or take a derivative.

    Parameters
    ----------
    input, output, mode, cval
        As in `correlate`.
    sigma, order, truncate, radius
        As in `gaussian_filter`, one number each. `sigma` is not zero.
    axis : int, default: -1
        The axis to filter.

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
    >>> ndimage.gaussian_filter1d(np.array([0.0, 0.0, 1.0, 0.0, 0.0]), 1, radius=1).round(2)
    array([0.  , 0.27, 0.45, 0.27, 0.  ])
    """
    op = "gaussian_filter1d"
    image = as_image(op, input)
    return _gaussian(
        op, image, sigma, order, output, mode, cval, truncate, radius, as_axis(op, axis, image.ndim), along_one=True
    )


def _gaussian(
    op: str,
    input: Any,
    sigma: Any,
    order: Any,
    output: Any,
    mode: Any,
    cval: Any,
    truncate: Any,
    radius: Any,
    axes: Any,
    along_one: bool,
) -> Array:
    image = as_image(op, input)
    along = as_axes(op, axes, image.ndim)
    given = (("sigma", sigma), ("order", order), ("mode", mode), ("radius", radius))
    values = [each(op, name, value, len(along)) for name, value in given]
    target, filler = as_target(op, output, image, image.dtype.kind == "c"), as_filler(op, cval, image.dtype.kind == "c")
    reach = _errors.as_real(op, "truncate", truncate)
    lines = []
    for axis, deviation, derivative, border_mode, half in zip(along, *values, strict=True):
        deviation = _errors.as_real(op, "sigma", deviation)
        if not 0 <= deviation < np.inf or (deviation == 0 and along_one):
            raise ValueError(f"{op}: sigma is {sigma!r}; needs numbers {'>' if along_one else '>='} 0")
        if deviation < LEAST_SIGMA and not along_one:
            continue
        if half is not None:
            half = _errors.as_int(op, "radius", half, radius)
        elif not abs(reach * deviation) < MOST_RADIUS:
            raise ValueError(f"{op}: sigma is {sigma!r}, truncate is {truncate!r}; needs a product < 2**59, the radius")
        else:
            half = int(reach * deviation + 0.5)
        if half >= MOST_RADIUS:
            raise ValueError(f"{op}: radius is {radius!r}; needs ints < 2**59")
        power = _errors.as_int(op, "order", derivative, order)
        for name, number, value in (("radius", half, radius), ("order", power, order)):
            if number < 0:
                raise ValueError(f"{op}: {name} is {value!r}, in elements {number}; needs ints >= 0")
        weights = _gaussian_kernel(deviation, power, half)
        lines.append(Line(axis, weights, as_border(op, weights.size, border_mode)))
    return target.deliver(separable(op, image, lines, filler, target.dtype) if lines else image.copy())


def _gaussian_kernel(sigma: float, order: int, radius: int) -> Array:
    """Weights of a correlation: the kernel of a convolution turned around."""
    places = np.arange(-radius, radius + 1)
    bell = np.exp(-0.5 / (sigma * sigma) * places**2)
    factor = Polynomial([1.0])
    for _ in range(order):
        factor = factor.deriv() - factor * Polynomial([0.0, 1 / (sigma * sigma)])
    return (factor(places) * (bell / bell.sum()))[::-1]


def uniform_filter(
    input: ArrayLike,
    size: Ints = 3,
    output: Output = None,
    mode: Mode | Sequence[Mode] = "reflect",
    cval: complex = 0.0,
    origin: Ints = 0,
    *,
    axes: Ints | None = None,
) -> Array:
    """Mean of the window around every element.

    Parameters
    ----------
    input, output, mode, cval, origin
        As in `correlate`.
    size : int or sequence of int, default: 3
        Size of the window, for all axes or one each.
    axes : int or tuple of int, optional
        The axes to filter, any number of them; default: all.

    Returns
    -------
    ndarray
        Of the shape of `input`; `output` if that is an array.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `correlate`, which also says how results compare with SciPy's.

    See Also
    --------
    fastconv.avg_pool : strides, batches.

    Notes
    -----
    Integers are cut off after each axis, as in SciPy; floats are summed over the whole window at once. NaN and infinity
    reach the windows that hold them; SciPy's running sums carry them to the end of the line.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.uniform_filter(np.array([1.0, 2.0, 6.0, 4.0, 5.0]))
    array([1.33333333, 3.        , 4.        , 5.        , 4.66666667])
    """
    op = "uniform_filter"
    image = as_image(op, input)
    along = as_axes(op, axes, image.ndim)
    return _uniform(op, image, as_sizes(op, size, len(along)), along, output, mode, cval, origin)


def uniform_filter1d(
    input: ArrayLike,
    size: Int,
    axis: Int = -1,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    origin: Int = 0,
) -> Array:
    """Mean along one axis of the window around every element.

    Parameters
    ----------
    input, output, mode, cval, origin
        As in `correlate`.
    size : int
        Size of the window.
    axis : int, default: -1
        The axis to filter.

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
    >>> ndimage.uniform_filter1d(np.array([[1, 2, 6], [5, 5, 9]]), 2)
    array([[1, 1, 4],
           [5, 5, 7]])
    """
    op = "uniform_filter1d"
    image = as_image(op, input)
    along = (as_axis(op, axis, image.ndim),)
    return _uniform(op, image, as_sizes(op, size, 1), along, output, mode, cval, origin)


def _uniform(
    op: str,
    image: Array,
    sizes: Sequence[int],
    along: Sequence[int],
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
) -> Array:
    borders = as_borders(op, sizes, mode, origin, along, image.ndim)
    target, filler = as_target(op, output, image, image.dtype.kind == "c"), as_filler(op, cval, image.dtype.kind == "c")
    filtered = [axis for axis in along if borders[axis] != IDLE]
    at_once = 1 if target.dtype.kind in "iub" else 3
    result = image
    for first in range(0, len(filtered), at_once):
        axes = filtered[first : first + at_once]
        result = _mean(op, result, placed((borders[axis] for axis in axes), axes, image.ndim), filler, target.dtype)
    return target.deliver(result if filtered else image.copy())


def _mean(op: str, image: Array, borders: Sequence[Border], cval: Any, dtype: np.dtype[Any]) -> Array:
    if image.dtype.kind == "c":
        cval = complex(cval)
        real = np.empty(0, dtype).real.dtype
        result = np.empty(image.shape, dtype)
        result.real = _mean(op, image.real, borders, cval.real, real)
        result.imag = _mean(op, image.imag, borders, cval.imag, real)
        return result
    count = math.prod(border.size for border in borders)
    if dtype.kind in "iub":
        # Sums are exact, and so is where their mean is cut off: means are 1 / count apart, more than float32 rounds.
        largest = max(-float(image.min(initial=0)), float(image.max(initial=0)), abs(cval))
        whole = image.dtype.kind != "f" and float(cval).is_integer()
        exact = np.float32 if whole and largest * count < 2**24 else np.float64
        return cast(_windows.total(op, image.astype(exact, copy=False), borders, cval, 1) / exact(count), dtype)
    computed = np.result_type(image.dtype, dtype, np.float32)
    return cast(_windows.total(op, image.astype(computed, copy=False), borders, cval, count), dtype)
