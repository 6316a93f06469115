"""Gradients of pooling: ``max_pool_backward`` and ``avg_pool_backward`` for every rank, and suffixed.

The two without a suffix tell the whole story; the others say what the shapes are at their rank. The arguments that
describe the window are those that the forward op was given.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import _core
from ._types import Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = [
    "avg_pool1d_backward",
    "avg_pool2d_backward",
    "avg_pool3d_backward",
    "avg_pool_backward",
    "max_pool1d_backward",
    "max_pool2d_backward",
    "max_pool3d_backward",
    "max_pool_backward",
]


def max_pool_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    kernel_size: Ints | None = None,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `max_pool` with respect to its input.

    Each element of `grad_output` goes to the one element of the input that was the maximum of its window.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, *output)
        Gradient of the loss with respect to the values of `max_pool`.
    indices : array_like of integers, shape of `grad_output`
        The indices of `max_pool`: flat, in the plane of the input.
    input_shape : sequence of int, (N, C, *spatial)
        Shape of the input of `max_pool`, in the axis order of `layout`.
    kernel_size, stride, padding, dilation : optional
        As given to `max_pool`. They are not needed; given, they allow a faster way to the same result.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with the operands.

    Returns
    -------
    ndarray, shape `input_shape`
        `out` if it was given.

    Raises
    ------
    ValueError
        If shapes do not fit, an index lies outside of its plane, or an argument has a value that is not allowed. The
        sizes that the window gives rounded down and rounded up (`ceil_mode`) are both accepted.
    TypeError
        If `indices` are not integers, or another argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    Notes
    -----
    ::

        grad_input[n, c, i] = sum over p with indices[n, c, p] == i of grad_output[n, c, p]

    The cost is ``N * C * prod(output)`` additions. The elements of equal maxima that came later get nothing.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> values, indices = fastconv.max_pool(np.array([[[3.0, 1.0, 4.0, 1.0, 5.0]]]), 3, stride=2, return_indices=True)
    >>> fastconv.max_pool_backward(np.array([[[1.0, 10.0]]]), indices, (1, 1, 5), 3, stride=2)
    array([[[ 0.,  0.,  1.,  0., 10.]]])
    """
    return _core.max_pool_backward(
        0, grad_output, indices, input_shape, kernel_size, stride, padding, dilation, layout, "max_pool", out
    )


def max_pool1d_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    kernel_size: Ints | None = None,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `max_pool1d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        Of shape (N, C, OW) or (C, OW).
    indices : array_like of integers, shape of `grad_output`
        The indices of `max_pool1d`.
    input_shape : sequence of int
        (N, C, W) or (C, W).
    kernel_size, stride, padding, dilation : optional
        As given to `max_pool1d`: a faster way to the same result.
    layout, out
        As in `max_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `max_pool_backward`, which also has the formula.
    """
    return _core.max_pool_backward(
        1, grad_output, indices, input_shape, kernel_size, stride, padding, dilation, layout, "max_pool", out
    )


def max_pool2d_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    kernel_size: Ints | None = None,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `max_pool2d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        Of shape (N, C, OH, OW) or (C, OH, OW).
    indices : array_like of integers, shape of `grad_output`
        The indices of `max_pool2d`.
    input_shape : sequence of int
        (N, C, H, W) or (C, H, W).
    kernel_size, stride, padding, dilation : optional
        As given to `max_pool2d`: a faster way to the same result.
    layout, out
        As in `max_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `max_pool_backward`, which also has the formula.
    """
    return _core.max_pool_backward(
        2, grad_output, indices, input_shape, kernel_size, stride, padding, dilation, layout, "max_pool", out
    )


def max_pool3d_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    kernel_size: Ints | None = None,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `max_pool3d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        Of shape (N, C, OD, OH, OW) or (C, OD, OH, OW).
    indices : array_like of integers, shape of `grad_output`
        The indices of `max_pool3d`.
    input_shape : sequence of int
        (N, C, D, H, W) or (C, D, H, W).
    kernel_size, stride, padding, dilation : optional
        As given to `max_pool3d`: a faster way to the same result.
    layout, out
        As in `max_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `max_pool_backward`, which also has the formula.
    """
    return _core.max_pool_backward(
        3, grad_output, indices, input_shape, kernel_size, stride, padding, dilation, layout, "max_pool", out
    )


def avg_pool_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
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
    """Gradient of `avg_pool` with respect to its input.

    Each element of `grad_output`, divided by the divisor of its window, goes to all elements of that window.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, *output)
        Gradient of the loss with respect to the output of `avg_pool`.
    input_shape : sequence of int, (N, C, *spatial)
        Shape of the input of `avg_pool`, in the axis order of `layout`.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As given to `avg_pool`.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `grad_output`.

    Returns
    -------
    ndarray, shape `input_shape`
        `out` if it was given.

    Raises
    ------
    ValueError
        If `grad_output` is not of the shape that `avg_pool` gives for `input_shape`, or as in `avg_pool`.
    TypeError, MemoryError
        As in `avg_pool`.

    Notes
    -----
    ::

        grad_input[n, c, i] = sum over all p, r with i = p * stride + r - padding_before of
                              grad_output[n, c, p] / divisor[p]

    with the divisor of `avg_pool`. The cost is at most ``N * C * prod(output) * prod(kernel_size)`` additions.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.avg_pool_backward(np.array([[[2.0, 20.0]]]), (1, 1, 3), 2, stride=1)
    array([[[ 1., 11., 10.]]])
    """
    return _core.avg_pool_backward(
        0,
        grad_output,
        input_shape,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        layout,
        out,
    )


def avg_pool1d_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
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
    """Gradient of `avg_pool1d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        Of shape (N, C, OW) or (C, OW).
    input_shape : sequence of int
        (N, C, W) or (C, W).
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As given to `avg_pool1d`.
    out : ndarray, optional
        As in `avg_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `avg_pool_backward`, which also has the formula.
    """
    return _core.avg_pool_backward(
        1,
        grad_output,
        input_shape,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        layout,
        out,
    )


def avg_pool2d_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
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
    """Gradient of `avg_pool2d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        Of shape (N, C, OH, OW) or (C, OH, OW).
    input_shape : sequence of int
        (N, C, H, W) or (C, H, W).
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As given to `avg_pool2d`.
    out : ndarray, optional
        As in `avg_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `avg_pool_backward`, which also has the formula.
    """
    return _core.avg_pool_backward(
        2,
        grad_output,
        input_shape,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        layout,
        out,
    )


def avg_pool3d_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
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
    """Gradient of `avg_pool3d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        Of shape (N, C, OD, OH, OW) or (C, OD, OH, OW).
    input_shape : sequence of int
        (N, C, D, H, W) or (C, D, H, W).
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As given to `avg_pool3d`.
    out : ndarray, optional
        As in `avg_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `avg_pool_backward`, which also has the formula.
    """
    return _core.avg_pool_backward(
        3,
        grad_output,
        input_shape,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
        layout,
        out,
    )
