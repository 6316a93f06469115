"""Pooling across channels, and its gradient: ``channel_max_pool``, ``channel_max_pool_backward``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

from . import _core
from ._types import Array, ArrayLike, Int, Layout

__all__ = ["channel_max_pool", "channel_max_pool_backward"]


@overload
def channel_max_pool(
    input: ArrayLike,
    size: Int,
    return_indices: Literal[False] = ...,
    *,
    layout: Layout | None = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def channel_max_pool(
    input: ArrayLike,
    size: Int,
    return_indices: Literal[True],
    *,
    layout: Layout | None = ...,
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
def channel_max_pool(
    input: ArrayLike,
    size: Int,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Maximum over `size` neighbouring channels, pixel by pixel: the maxout of Goodfellow et al. [1]_.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes; types and strides as in `max_pool`.
    size : int
        Channels to a maximum; must divide C.
    return_indices : bool, default: False
        Also return which channel each maximum is from; `channel_max_pool_backward` asks for it.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    out : ndarray, or pair of ndarray if `return_indices`, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    values : ndarray, shape (N, C / size, *spatial)
        In the axis order of `layout`. Integer types stay as they are.
    indices : ndarray of int64, same shape
        Only if `return_indices`: the channel of the input, 0 to C - 1. Of equal maxima the first wins; a NaN wins over
        all, the last one of several.

    Raises
    ------
    ValueError
        If `size` does not divide the channels, or another argument has a value that is not allowed. The message names
        the op, the argument, its value and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    Notes
    -----
    ``values[n, k, p] = max over j < size of input[n, k * size + j, p]``; one comparison an input element.

    References
    ----------
    .. [1] Ian Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio, "Maxout networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> responses = np.array([[[1.0, 8.0], [5.0, 2.0], [3.0, 3.0], [7.0, 0.0]]])
    >>> fastconv.channel_max_pool(responses, 2)
    array([[[5., 8.],
            [7., 3.]]])
    """
    return _core.channel_max_pool(0, input, size, return_indices, layout, out)


def channel_max_pool_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[Int],
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `channel_max_pool`: each output's is added to the channel that its index names.

    Parameters
    ----------
    grad_output : array_like, shape (N, C / size, *spatial)
        Gradient of the loss with respect to the output.
    indices : array_like of integers, same shape
        As `channel_max_pool` returned them.
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
        If shapes do not fit or an index is no channel of the input. Nothing has been written then.
    TypeError
        If indices are no integers, or another argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.channel_max_pool_backward(np.array([[[1.0, 2.0]]]), np.array([[[1, 0]]]), (1, 2, 2))
    array([[[0., 2.],
            [1., 0.]]])
    """
    return _core.channel_max_pool_backward(0, grad_output, indices, input_shape, layout, out)
