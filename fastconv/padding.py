"""Padding of the spatial axes, and its gradient: ``pad``, ``pad_backward``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from . import _core
from ._types import Array, ArrayLike, Int, Layout

__all__ = ["pad", "pad_backward"]

Mode: TypeAlias = Literal["constant", "edge", "reflect", "symmetric", "wrap"]
Pads: TypeAlias = Int | Sequence[Int] | Sequence[tuple[Int, Int]]


def pad(
    input: ArrayLike,
    padding: Pads,
    mode: Mode = "constant",
    value: float = 0.0,
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Pad the spatial axes of a batch of signals, images or volumes.

    The modes are those of `numpy.pad`. Zeros need no call: `conv` and the pools pad by themselves, without a copy.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes. Integer types stay as they are.
    padding : int, tuple of int, or tuple of (before, after) pairs
        Elements to add, one number for all sides, one a spatial axis, or a pair an axis; any number of them.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}, default: "constant"
        What is added beside ``a b c``: `value`; the edge ``a a|a b c|c c``; a reflection about the last element
        ``c b|a b c|b a`` or behind it ``b a|a b c|c b``; the other end ``b c|a b c|a b``.
    value : float, default: 0.0
        What ``"constant"`` adds.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `input`.

    Returns
    -------
    ndarray, shape (N, C, *padded)
        In the axis order of `layout`.

    Raises
    ------
    ValueError
        If an argument has a value that is not allowed, such as a negative pad. The message names the op, the argument,
        its value and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    pad_backward : the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.pad(np.array([[[1.0, 2.0, 3.0]]]), 2, "reflect")
    array([[[3., 2., 1., 2., 3., 2., 1.]]])
    >>> fastconv.pad(np.array([[[1, 2, 3]]]), ((0, 2),), value=9)
    array([[[1, 2, 3, 9, 9]]])
    """
    return _core.pad(0, input, padding, mode, value, layout, out)


def pad_backward(
    grad_output: ArrayLike,
    padding: Pads,
    mode: Mode = "constant",
    *,
    layout: Layout | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of `pad` with respect to its input: what was copied is added back to where it came from.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, *padded)
        Gradient of the loss with respect to the output.
    padding, mode, layout
        As given to `pad`.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with `grad_output`.

    Returns
    -------
    ndarray, shape (N, C, *spatial)
        The size of `grad_output` without the padding.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `pad`; also if the padding leaves nothing of `grad_output`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.pad_backward(np.ones((1, 1, 7)), 2, "edge")
    array([[[3., 1., 3.]]])
    """
    return _core.pad_backward(0, grad_output, padding, mode, layout, out)
