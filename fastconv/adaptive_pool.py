"""Adaptive pooling: as many windows as are asked for, whatever the size of the input.

``adaptive_avg_pool`` and ``adaptive_max_pool`` tell the whole story; the suffixed ones say what the shapes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, overload

from . import _core
from ._types import Array, ArrayLike, Int, Layout

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

# One number for every axis, or one an axis; None keeps the size of the input.
Sizes: TypeAlias = Int | Sequence[Int | None] | None


def adaptive_avg_pool(
    input: ArrayLike,
    output_size: Sizes,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Means over windows that cut each axis into as many nearly equal parts as are asked for.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.adaptive_avg_pool2d``.
    ``output_size=1`` is global average pooling.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes; types and strides as in `conv`.
    output_size : int, None, or tuple of them
        Sizes of the output, one number or one a spatial axis; None keeps the size of the input. More than the input has
        are allowed.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    ndarray, shape (N, C, *output_size)
        In the axis order of `layout`; `out` if it was given.

    Raises
    ------
    ValueError
        If a size is less than 1 or sizes do not fit the spatial axes. The message names the op, the argument, its value
        and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d : for one rank, also without a batch axis.
    adaptive_avg_pool_backward : the gradient.

    Notes
    -----
    Window ``o`` of an axis reaches from ``floor(o * input / output)`` to, exclusive,
    ``ceil((o + 1) * input / output)``: neighbours share an element where the sizes do not divide. The cost is about one
    addition an input element, more where windows overlap. Pooling to a fixed grid goes back to spatial pyramid pooling
    [1]_, the global mean before a classifier to [2]_.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Spatial pyramid pooling in deep convolutional networks for visual
       recognition", ECCV 2014.
    .. [2] Min Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> signal = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    >>> fastconv.adaptive_avg_pool(signal, 2)
    array([[[2., 4.]]])
    >>> fastconv.adaptive_avg_pool(signal, 1)
    array([[[3.]]])
    """
    return _core.adaptive_pool(0, input, output_size, True, False, layout, out)


def adaptive_avg_pool1d(
    input: ArrayLike,
    output_size: Sizes,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Means of signals over windows that cut each axis into as many nearly equal parts as are asked for.

    Parameters
    ----------
    input : array_like, shape (N, C, W) or (C, W)
        With ``layout="NWC"``, (N, W, C) or (W, C).
    output_size, layout, out
        As in `adaptive_avg_pool`.

    Returns
    -------
    ndarray, shape (N, C, OW) or (C, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool`, which also has the windows and the cost.
    """
    return _core.adaptive_pool(1, input, output_size, True, False, layout, out)


def adaptive_avg_pool2d(
    input: ArrayLike,
    output_size: Sizes,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Means of images over windows that cut each axis into as many nearly equal parts as are asked for.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="NHWC"``, (N, H, W, C) or (H, W, C).
    output_size, layout, out
        As in `adaptive_avg_pool`.

    Returns
    -------
    ndarray, shape (N, C, OH, OW) or (C, OH, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool`, which also has the windows and the cost.
    """
    return _core.adaptive_pool(2, input, output_size, True, False, layout, out)


def adaptive_avg_pool3d(
    input: ArrayLike,
    output_size: Sizes,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Means of volumes over windows that cut each axis into as many nearly equal parts as are asked for.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="NDHWC"``, (N, D, H, W, C) or (D, H, W, C).
    output_size, layout, out
        As in `adaptive_avg_pool`.

    Returns
    -------
    ndarray, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool`, which also has the windows and the cost.
    """
    return _core.adaptive_pool(3, input, output_size, True, False, layout, out)


@overload
def adaptive_max_pool(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def adaptive_max_pool(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[True],
    *,
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def adaptive_max_pool(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maxima over windows that cut each axis into as many nearly equal parts as are asked for.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.adaptive_max_pool2d``.
    ``output_size=1`` is global max pooling. Integer types stay as they are.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes; types and strides as in `max_pool`.
    output_size : int, None, or tuple of them
        As in `adaptive_avg_pool`, which also tells where the windows lie.
    return_indices : bool, default: False
        Also return where each maximum stands; `adaptive_max_pool_backward` asks for it.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    out : ndarray, or pair of ndarray if `return_indices`, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    values : ndarray, shape (N, C, *output_size)
    indices : ndarray of int64, same shape
        Only if `return_indices`. Flat index of the maximum in its plane of the input, as in `max_pool`, with the same
        rules for ties and NaN.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool`.

    See Also
    --------
    adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d : for one rank, also without a batch axis.
    adaptive_max_pool_backward : the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.adaptive_max_pool(np.array([[[1.0, 5.0, 3.0, 4.0, 2.0]]]), 2, return_indices=True)
    (array([[[5., 4.]]]), array([[[1, 3]]]))
    """
    return _core.adaptive_pool(0, input, output_size, False, return_indices, layout, out)


@overload
def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[True],
    *,
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maxima of signals over windows that cut each axis into as many nearly equal parts as are asked for.

    Parameters
    ----------
    input : array_like, shape (N, C, W) or (C, W)
        With ``layout="NWC"``, (N, W, C) or (W, C).
    output_size, return_indices, layout, out
        As in `adaptive_max_pool`.

    Returns
    -------
    values : ndarray, shape (N, C, OW) or (C, OW)
    indices : ndarray of int64, same shape, only if `return_indices`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_max_pool`.
    """
    return _core.adaptive_pool(1, input, output_size, False, return_indices, layout, out)


@overload
def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[True],
    *,
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maxima of images over windows that cut each axis into as many nearly equal parts as are asked for.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="NHWC"``, (N, H, W, C) or (H, W, C).
    output_size, return_indices, layout, out
        As in `adaptive_max_pool`.

    Returns
    -------
    values : ndarray, shape (N, C, OH, OW) or (C, OH, OW)
    indices : ndarray of int64, same shape, only if `return_indices`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_max_pool`.
    """
    return _core.adaptive_pool(2, input, output_size, False, return_indices, layout, out)


@overload
def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: Literal[True],
    *,
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: Sizes,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maxima of volumes over windows that cut each axis into as many nearly equal parts as are asked for.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="NDHWC"``, (N, D, H, W, C) or (D, H, W, C).
    output_size, return_indices, layout, out
        As in `adaptive_max_pool`.

    Returns
    -------
    values : ndarray, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
    indices : ndarray of int64, same shape, only if `return_indices`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_max_pool`.
    """
    return _core.adaptive_pool(3, input, output_size, False, return_indices, layout, out)
