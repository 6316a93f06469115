"""Average pooling forward: ``avg_pool`` for every rank, and ``avg_pool1d`` to ``avg_pool3d``.

The one without a suffix tells the whole story; the others say what the shapes are at their rank. Arguments are checked
below this file.
"""

from __future__ import annotations

from . import _core
from ._types import Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = ["avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d"]


def avg_pool(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Mean over sliding windows, channel by channel, of a batch of signals, images or volumes.

    Names, order and meaning of the arguments are those of ``torch.nn.functional.avg_pool2d``.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes; types and strides as in `conv`.
    kernel_size : int or tuple of int
        Size of the window.
    stride : int or tuple of int, optional
        Step between windows; default: `kernel_size`.
    padding : int, tuple of int, tuple of (before, after) pairs, "valid" or "same", default: 0
        Zeros added around the input, fewer than the window is long. The words mean what they mean in `conv`.
    ceil_mode : bool, default: False
        Round the output size up, so that a window may reach past the padded end; one that would start there or beyond
        the input is dropped.
    count_include_pad : bool, default: True
        Whether padding counts in the divisor. What `ceil_mode` adds never does.
    divisor_override : int, optional
        Divide every sum by this, whatever its window holds. Not zero.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    ndarray, shape (N, C, *output)
        In the axis order of `layout`; `out` if it was given.

    Raises
    ------
    ValueError
        If shapes do not fit, the window is larger than the padded input, a pad is as large as the window, or an
        argument has a value that is not allowed. The message names the op, the argument, its value and what is
        allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    avg_pool1d, avg_pool2d, avg_pool3d : the same for one rank; they also take a single item without its batch axis.
    avg_pool_backward : the gradient.

    Notes
    -----
    ::

        output[n, c, p] = sum over r < kernel_size of input[n, c, p * stride + r - padding_before] / divisor[p]

    The divisor is the number of elements of the window that lie in the padded input, or with
    ``count_include_pad=False`` in the input itself. Each axis of the output has
    ``(input + before + after - kernel_size) / stride + 1`` elements, rounded down, or up with `ceil_mode` [1]_. The
    cost is at most ``N * C * prod(output) * prod(kernel_size)`` additions. The subsampling layers of LeNet-5 [2]_ are
    such means, followed by one factor and one bias a channel.

    References
    ----------
    .. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016.
    .. [2] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
       Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> signal = np.array([[[3.0, 1.0, 4.0, 2.0]]])
    >>> fastconv.avg_pool(signal, 2)
    array([[[2., 3.]]])
    >>> fastconv.avg_pool(signal, 2, padding=1)
    array([[[1.5, 2.5, 1. ]]])
    >>> fastconv.avg_pool(signal, 2, padding=1, count_include_pad=False)
    array([[[3. , 2.5, 2. ]]])
    """
    return _core.avg_pool(
        0, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout, out
    )


def avg_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Mean over sliding windows of signals.

    Parameters
    ----------
    input : array_like, shape (N, C, W) or (C, W)
        With ``layout="NWC"``, (N, W, C) or (W, C).
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad, divisor_override, layout, out
        As in `avg_pool`.

    Returns
    -------
    ndarray, shape (N, C, OW) or (C, OW)

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `avg_pool`, which also has the formula and the rule of the divisor.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.avg_pool1d(np.array([[3.0, 1.0, 4.0, 2.0]]), 2)
    array([[2., 3.]])
    """
    return _core.avg_pool(
        1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout, out
    )


def avg_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Mean over sliding windows of images.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="NHWC"``, (N, H, W, C) or (H, W, C).
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad, divisor_override, layout, out
        As in `avg_pool`; a tuple has one entry for H and one for W.

    Returns
    -------
    ndarray, shape (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `avg_pool`, which also has the formula and the rule of the divisor.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.avg_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    return _core.avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout, out
    )


def avg_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Mean over sliding windows of volumes.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="NDHWC"``, (N, D, H, W, C) or (D, H, W, C).
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad, divisor_override, layout, out
        As in `avg_pool`; a tuple has one entry for each of D, H and W.

    Returns
    -------
    ndarray, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `avg_pool`, which also has the formula and the rule of the divisor.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.avg_pool3d(np.zeros((2, 16, 8, 7, 7)), (8, 7, 7)).shape
    (2, 16, 1, 1, 1)
    """
    return _core.avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout, out
    )
