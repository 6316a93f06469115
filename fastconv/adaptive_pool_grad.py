"""Gradients of adaptive pooling: ``adaptive_avg_pool_backward``, ``adaptive_max_pool_backward``, for every rank."""

from __future__ import annotations

from collections.abc import Sequence

from . import _core
from ._types import Array, ArrayLike, Int, Layout

__all__ = [
    "adaptive_avg_pool1d_backward",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool3d_backward",
    "adaptive_avg_pool_backward",
    "adaptive_max_pool1d_backward",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool3d_backward",
    "adaptive_max_pool_backward",
]


def adaptive_avg_pool_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_avg_pool`: each output's, divided, is added to all elements of its window.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, *output_size)
        Gradient of the loss with respect to the output.
    input_shape : sequence of int, (N, C, *spatial)
        Shape of the input, in the axis order of `layout`.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `grad_output`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.adaptive_avg_pool_backward(np.array([[[3.0, 6.0]]]), (1, 1, 5))
    array([[[1., 1., 3., 2., 2.]]])
    """
    return _core.adaptive_avg_pool_backward(0, grad_output, input_shape, layout, out)


def adaptive_avg_pool1d_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_avg_pool1d`.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, OW) or (C, OW)
        Gradient of the loss with respect to the output.
    input_shape : sequence of int
        (N, C, W) or (C, W).
    layout, out
        As in `adaptive_avg_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool_backward`.
    """
    return _core.adaptive_avg_pool_backward(1, grad_output, input_shape, layout, out)


def adaptive_avg_pool2d_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_avg_pool2d`.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, OH, OW) or (C, OH, OW)
        Gradient of the loss with respect to the output.
    input_shape : sequence of int
        (N, C, H, W) or (C, H, W).
    layout, out
        As in `adaptive_avg_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool_backward`.
    """
    return _core.adaptive_avg_pool_backward(2, grad_output, input_shape, layout, out)


def adaptive_avg_pool3d_backward(
    grad_output: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_avg_pool3d`.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
        Gradient of the loss with respect to the output.
    input_shape : sequence of int
        (N, C, D, H, W) or (C, D, H, W).
    layout, out
        As in `adaptive_avg_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_avg_pool_backward`.
    """
    return _core.adaptive_avg_pool_backward(3, grad_output, input_shape, layout, out)


def adaptive_max_pool_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_max_pool`: each output's is added to the element of the input that its index names.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, *output_size)
        Gradient of the loss with respect to the output.
    indices : array_like of integers, same shape
        As `adaptive_max_pool` returned them.
    input_shape : sequence of int, (N, C, *spatial)
        Shape of the input, in the axis order of `layout`.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with the operands.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError
        If shapes do not fit or an index lies outside of its plane. Nothing has been written then.
    TypeError
        If indices are no integers, or another argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.adaptive_max_pool_backward(np.array([[[3.0, 6.0]]]), np.array([[[1, 3]]]), (1, 1, 5))
    array([[[0., 3., 0., 6., 0.]]])
    """
    return _core.max_pool_backward(
        0, grad_output, indices, input_shape, None, None, 0, 1, layout, "adaptive_max_pool", out
    )


def adaptive_max_pool1d_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_max_pool1d`.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, OW) or (C, OW)
        Gradient of the loss with respect to the output.
    indices : array_like of integers, same shape
        As `adaptive_max_pool1d` returned them.
    input_shape : sequence of int
        (N, C, W) or (C, W).
    layout, out
        As in `adaptive_max_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_max_pool_backward`.
    """
    return _core.max_pool_backward(
        1, grad_output, indices, input_shape, None, None, 0, 1, layout, "adaptive_max_pool", out
    )


def adaptive_max_pool2d_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_max_pool2d`.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, OH, OW) or (C, OH, OW)
        Gradient of the loss with respect to the output.
    indices : array_like of integers, same shape
        As `adaptive_max_pool2d` returned them.
    input_shape : sequence of int
        (N, C, H, W) or (C, H, W).
    layout, out
        As in `adaptive_max_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_max_pool_backward`.
    """
    return _core.max_pool_backward(
        2, grad_output, indices, input_shape, None, None, 0, 1, layout, "adaptive_max_pool", out
    )


def adaptive_max_pool3d_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `adaptive_max_pool3d`.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
        Gradient of the loss with respect to the output.
    indices : array_like of integers, same shape
        As `adaptive_max_pool3d` returned them.
    input_shape : sequence of int
        (N, C, D, H, W) or (C, D, H, W).
    layout, out
        As in `adaptive_max_pool_backward`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `adaptive_max_pool_backward`.
    """
    return _core.max_pool_backward(
        3, grad_output, indices, input_shape, None, None, 0, 1, layout, "adaptive_max_pool", out
    )
