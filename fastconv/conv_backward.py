"""All gradients of a convolution in one call: ``conv_backward`` for every rank, and suffixed.

The one without a suffix tells the whole story; the others say what the shapes are at their rank. The arguments that
describe the convolution are those that `conv` was given.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import _core
from ._types import Algorithm, Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = ["conv1d_backward", "conv2d_backward", "conv3d_backward", "conv_backward"]


def conv_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """All gradients of a convolution, or those that are needed.

    Parameters
    ----------
    grad_output : array_like, shape (N, K, *output)
        Gradient of the loss with respect to the output of `conv`. If that had an `activation`, multiply by its slope
        first: the notes of `conv` have the line.
    input : array_like, shape (N, C, *spatial)
        The input of the convolution.
    weight : array_like, shape (K, C / groups, *kernel)
        Its filters.
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv`.
    needs : iterable of {"input", "weight", "bias"}, default: all three
        Which gradients to compute. A frozen layer needs ``"input"`` only, the first layer of a net does not need it.

    Returns
    -------
    grad_input : ndarray, shape of `input`, or None if not needed
    grad_weight : ndarray, shape of `weight`, or None if not needed
    grad_bias : ndarray, shape (K,), or None if not needed

    Raises
    ------
    ValueError
        If `grad_output` is not of the shape that `conv` gives, `needs` has another word, or as in `conv`.
    TypeError, MemoryError
        As in `conv`.

    See Also
    --------
    conv_grad_input, conv_grad_weight : one gradient each, with formula and cost.

    Notes
    -----
    The gradient of the bias is ``grad_output`` summed over all axes but that of the channels.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> signal = np.array([[[1.0, 2.0, 4.0, 8.0]]])
    >>> weight = np.array([[[-1.0, 0.0, 1.0]]])
    >>> grad_input, grad_weight, grad_bias = fastconv.conv_backward(np.array([[[1.0, 10.0]]]), signal, weight)
    >>> grad_input
    array([[[ -1., -10.,   1.,  10.]]])
    >>> grad_weight
    array([[[21., 42., 84.]]])
    >>> grad_bias
    array([11.])
    """
    return _core.conv_backward(
        0, grad_output, input, weight, stride, padding, dilation, groups, needs, layout, flip, algorithm
    )


def conv1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """All gradients of `conv1d`, or those that are needed.

    Parameters
    ----------
    grad_output, input, weight : array_like
        Of shapes (N, K, OW) or (K, OW), (N, C, W) or (C, W), and (K, C / groups, KW).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv1d`.
    needs : iterable of {"input", "weight", "bias"}, default: all three
        Which gradients to compute.

    Returns
    -------
    grad_input : ndarray, shape of `input`, or None if not needed
    grad_weight : ndarray, shape of `weight`, or None if not needed
    grad_bias : ndarray, shape (K,), or None if not needed

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_backward`.
    """
    return _core.conv_backward(
        1, grad_output, input, weight, stride, padding, dilation, groups, needs, layout, flip, algorithm
    )


def conv2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """All gradients of `conv2d`, or those that are needed.

    Parameters
    ----------
    grad_output, input, weight : array_like
        Of shapes (N, K, OH, OW) or (K, OH, OW), (N, C, H, W) or (C, H, W), and (K, C / groups, KH, KW).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv2d`.
    needs : iterable of {"input", "weight", "bias"}, default: all three
        Which gradients to compute.

    Returns
    -------
    grad_input : ndarray, shape of `input`, or None if not needed
    grad_weight : ndarray, shape of `weight`, or None if not needed
    grad_bias : ndarray, shape (K,), or None if not needed

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_backward`.
    """
    return _core.conv_backward(
        2, grad_output, input, weight, stride, padding, dilation, groups, needs, layout, flip, algorithm
    )


def conv3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """All gradients of `conv3d`, or those that are needed.

    Parameters
    ----------
    grad_output, input, weight : array_like
        Of shapes (N, K, OD, OH, OW) or (K, OD, OH, OW), (N, C, D, H, W) or (C, D, H, W), and
        (K, C / groups, KD, KH, KW).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv3d`.
    needs : iterable of {"input", "weight", "bias"}, default: all three
        Which gradients to compute.

    Returns
    -------
    grad_input : ndarray, shape of `input`, or None if not needed
    grad_weight : ndarray, shape of `weight`, or None if not needed
    grad_bias : ndarray, shape (K,), or None if not needed

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_backward`.
    """
    return _core.conv_backward(
        3, grad_output, input, weight, stride, padding, dilation, groups, needs, layout, flip, algorithm
    )
