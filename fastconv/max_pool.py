"""Maximum pooling forward: ``max_pool`` for every rank, and ``max_pool1d`` to ``max_pool3d``.

The one without a suffix tells the whole story; the others say what the shapes are at their rank. Arguments are checked
below this file.
"""

from __future__ import annotations

from typing import Literal, overload

from . import _core
from ._types import Array, ArrayLike, Ints, Layout, Padding

__all__ = ["max_pool", "max_pool1d", "max_pool2d", "max_pool3d"]


@overload
def max_pool(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def max_pool(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    *,
    return_indices: Literal[True],
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def max_pool(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maximum over sliding windows, channel by channel, of a batch of signals, images or volumes.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.max_pool2d``.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes; types and strides as in `conv`.
    kernel_size : int or tuple of int
        Size of the window.
    stride : int or tuple of int, optional
        Step between windows; default: `kernel_size`.
    padding : int, tuple of int, tuple of (before, after) pairs, "valid" or "same", default: 0
        Elements added around the input, smaller than the window. They count as -inf: never chosen. The words mean what
        they mean in `conv`.
    dilation : int or tuple of int, default: 1
        Distance between the elements of a window.
    ceil_mode : bool, default: False
        Round the output size up, so that a window may reach past the padded end; one that would start there or beyond
        the input is dropped.
    return_indices : bool, default: False
        Also return where each maximum stands; `max_pool_backward` asks for it.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    out : ndarray, or pair of ndarray if `return_indices`, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    values : ndarray, shape (N, C, *output)
    indices : ndarray of int64, shape (N, C, *output)
        Only if `return_indices`. Flat index of the maximum in its plane of the input, row by row, the same numbers in
        every `layout`.

    Raises
    ------
    ValueError
        If shapes do not fit, the window is larger than the padded input, a pad is as large as the window, a window
        holds no element of the input (dilation can do that), or an argument has a value that is not allowed. The
        message names the op, the argument, its value and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    max_pool1d, max_pool2d, max_pool3d : the same for one rank; they also take a single item without its batch axis.
    max_pool_backward : the gradient.

    Notes
    -----
    ::

        values[n, c, p] = max over r < kernel_size of input[n, c, p * stride + r * dilation - padding_before]

    Of equal maxima the first wins. A window that holds a NaN gives NaN and the index of its last one, as torch does.
    Each axis of the output has ``(input + before + after - dilation * (kernel_size - 1) - 1) / stride + 1`` elements,
    rounded down, or up with `ceil_mode` [1]_. The cost is at most ``N * C * prod(output) * prod(kernel_size)``
    comparisons.

    References
    ----------
    .. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> values, indices = fastconv.max_pool(np.array([[[3.0, 1.0, 4.0, 1.0, 5.0]]]), 2, return_indices=True)
    >>> values
    array([[[3., 4.]]])
    >>> indices
    array([[[0, 2]]])
    >>> fastconv.max_pool(np.array([[[3.0, 1.0, 4.0, 1.0, 5.0]]]), 2, ceil_mode=True)
    array([[[3., 4., 5.]]])
    """
    return _core.max_pool(0, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    *,
    return_indices: Literal[True],
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def max_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maximum over sliding windows of signals.

    Parameters
    ----------
    input : array_like, shape (N, C, W) or (C, W)
        With ``layout="NWC"``, (N, W, C) or (W, C).
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices, layout, out
        As in `max_pool`.

    Returns
    -------
    values : ndarray, shape (N, C, OW) or (C, OW)
    indices : ndarray of int64, same shape, only if `return_indices`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `max_pool`, which also has the formula and the rules for ties and NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.max_pool1d(np.array([[3.0, 1.0, 4.0, 1.0, 5.0]]), 3, stride=1)
    array([[4., 4., 5.]])
    """
    return _core.max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    *,
    return_indices: Literal[True],
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def max_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maximum over sliding windows of images.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="NHWC"``, (N, H, W, C) or (H, W, C).
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices, layout, out
        As in `max_pool`; a tuple has one entry for H and one for W.

    Returns
    -------
    values : ndarray, shape (N, C, OH, OW) or (C, OH, OW)
    indices : ndarray of int64, same shape, only if `return_indices`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `max_pool`, which also has the formula and the rules for ties and NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> image = np.array([[12.0, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]])
    >>> fastconv.max_pool2d(image[None], 2)
    array([[[ 20.,  30.],
            [112.,  37.]]])
    """
    return _core.max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    ceil_mode: bool = ...,
    *,
    return_indices: Literal[True],
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def max_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maximum over sliding windows of volumes.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="NDHWC"``, (N, D, H, W, C) or (D, H, W, C).
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices, layout, out
        As in `max_pool`; a tuple has one entry for each of D, H and W.

    Returns
    -------
    values : ndarray, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
    indices : ndarray of int64, same shape, only if `return_indices`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `max_pool`, which also has the formula and the rules for ties and NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.max_pool3d(np.zeros((2, 16, 8, 112, 112)), (1, 2, 2)).shape
    (2, 16, 8, 56, 56)
    """
    return _core.max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)
