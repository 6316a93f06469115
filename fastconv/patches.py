"""Patches of images as columns of a matrix, and back: ``im2col`` and ``col2im``, each the gradient of the other."""

from __future__ import annotations

from collections.abc import Sequence

from . import _core
from ._types import Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = ["col2im", "im2col"]


def im2col(
    input: ArrayLike,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Padding = 0,
    stride: Ints = 1,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Write out every window of a batch of signals, images or volumes as a column.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.unfold``, here for one to three axes.
    A convolution is a product of matrices then: ``weight.reshape(K, -1) @ im2col(...)``. `conv` does that without ever
    storing the columns.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes. Integer types stay as they are.
    kernel_size : int or tuple of int
        Size of the window.
    dilation : int or tuple of int, default: 1
        Distance between the elements of a window.
    padding : int, tuple of int, tuple of (before, after) pairs, "valid" or "same", default: 0
        Zeros around the input, as in `conv`.
    stride : int or tuple of int, default: 1
        Step between windows.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input`; default: channels first. Columns look the same in every layout.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    ndarray, shape (N, C * prod(kernel_size), positions)
        Rows in the order of (C, *kernel), positions in that of the output of a convolution.

    Raises
    ------
    ValueError
        If the window is larger than the padded input, or an argument has a value that is not allowed. The message names
        the op, the argument, its value and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    col2im : the transpose of this map, and so its gradient.

    Notes
    -----
    ``columns[n, (c, r), p] = input[n, c, p * stride + r * dilation - padding_before]``. The columns take up to
    ``prod(kernel_size)`` times the memory of the input [1]_.

    References
    ----------
    .. [1] K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document
       processing", Tenth International Workshop on Frontiers in Handwriting Recognition, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.im2col(np.array([[[1.0, 2.0, 3.0, 4.0]]]), 2)
    array([[[1., 2., 3.],
            [2., 3., 4.]]])
    """
    return _core.im2col(0, input, kernel_size, dilation, padding, stride, layout, out)


def col2im(
    input: ArrayLike,
    output_size: Int | Sequence[Int],
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Padding = 0,
    stride: Ints = 1,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Add every column back into the window of the image that it is of: the transpose of `im2col`.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.fold``, for one to three spatial axes.
    Where windows overlap, values add up.

    Parameters
    ----------
    input : array_like, shape (N, C * prod(kernel_size), positions)
        Columns as `im2col` returns them.
    output_size : tuple of int, or int
        Spatial sizes of the images, one to three; a single int n stands for (n, n).
    kernel_size, dilation, padding, stride
        As given to `im2col`.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of the result; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    ndarray, shape (N, C, *output_size)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `im2col`; also if the columns are not those of such images.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.col2im(np.ones((1, 2, 3)), (4,), 2)
    array([[[1., 2., 2., 1.]]])
    """
    return _core.col2im(0, input, output_size, kernel_size, dilation, padding, stride, layout, out)
