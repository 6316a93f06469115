"""Gradients of convolution, one at a time: ``conv_grad_input``, ``conv_grad_weight``, for every rank and suffixed.

The two without a suffix tell the whole story; the others say what the shapes are at their rank. The arguments that
describe the convolution are those that `conv` was given.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import _core
from ._types import Algorithm, Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = [
    "conv1d_grad_input",
    "conv1d_grad_weight",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "conv3d_grad_input",
    "conv3d_grad_weight",
    "conv_grad_input",
    "conv_grad_weight",
]


def conv_grad_input(
    grad_output: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of a convolution with respect to its input.

    As a linear map this is the transpose of the convolution: it spreads each output over the window it came from.

    Parameters
    ----------
    grad_output : array_like, shape (N, K, *output)
        Gradient of the loss with respect to the output of `conv`.
    weight : array_like, shape (K, C / groups, *kernel)
        The filters of the convolution.
    input_shape : sequence of int, (N, C, *spatial)
        Shape of its input, in the axis order of `layout`. It is asked for because with a stride inputs of several
        sizes have outputs of one size.
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv`.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with the operands.

    Returns
    -------
    ndarray, shape `input_shape`
        `out` if it was given.

    Raises
    ------
    ValueError
        If `grad_output` is not of the shape that `conv` gives for `input_shape`, or as in `conv`.
    TypeError, MemoryError
        As in `conv`.

    See Also
    --------
    conv_backward : all gradients in one call.

    Notes
    -----
    With ``K' = K / groups`` filters in the group of channel ``c``, and ``c'`` the position of ``c`` in it::

        grad_input[n, c, i] = sum over the K' filters k of the group, and all p, r with
                              i = p * stride + r * dilation - padding_before of
                              weight[k, c', r] * grad_output[n, k, p]

    It is computed as a forward convolution: with stride 1 of `grad_output` with mirrored filters whose channel axes are
    swapped, with stride s as one such convolution for each of the s phases an axis, so that no zero is multiplied [1]_.
    The cost is that of the forward pass, ``N * K * C / groups * prod(output) * prod(kernel)`` multiply-adds.

    References
    ----------
    .. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> weight = np.array([[[1.0, 2.0, 3.0]]])
    >>> fastconv.conv_grad_input(np.array([[[1.0, 10.0]]]), weight, (1, 1, 5), stride=2)
    array([[[ 1.,  2., 13., 20., 30.]]])
    """
    return _core.conv_grad_input(
        0, grad_output, weight, input_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )


def conv1d_grad_input(
    grad_output: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of `conv1d` with respect to its input.

    Parameters
    ----------
    grad_output, weight : array_like
        Of shapes (N, K, OW) or (K, OW), and (K, C / groups, KW).
    input_shape : sequence of int
        (N, C, W) or (C, W).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv1d`.
    out : ndarray, optional
        As in `conv_grad_input`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_grad_input`, which also has the formula and the cost.
    """
    return _core.conv_grad_input(
        1, grad_output, weight, input_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )


def conv2d_grad_input(
    grad_output: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of `conv2d` with respect to its input.

    Parameters
    ----------
    grad_output, weight : array_like
        Of shapes (N, K, OH, OW) or (K, OH, OW), and (K, C / groups, KH, KW).
    input_shape : sequence of int
        (N, C, H, W) or (C, H, W).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv2d`.
    out : ndarray, optional
        As in `conv_grad_input`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_grad_input`, which also has the formula and the cost.
    """
    return _core.conv_grad_input(
        2, grad_output, weight, input_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )


def conv3d_grad_input(
    grad_output: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of `conv3d` with respect to its input.

    Parameters
    ----------
    grad_output, weight : array_like
        Of shapes (N, K, OD, OH, OW) or (K, OD, OH, OW), and (K, C / groups, KD, KH, KW).
    input_shape : sequence of int
        (N, C, D, H, W) or (C, D, H, W).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv3d`.
    out : ndarray, optional
        As in `conv_grad_input`.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_grad_input`, which also has the formula and the cost.
    """
    return _core.conv_grad_input(
        3, grad_output, weight, input_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )


def conv_grad_weight(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of a convolution with respect to its filters.

    Every filter element is shared by all positions of the output, so its gradient is a sum over all of them.

    Parameters
    ----------
    grad_output : array_like, shape (N, K, *output)
        Gradient of the loss with respect to the output of `conv`.
    input : array_like, shape (N, C, *spatial)
        The input of the convolution.
    weight_shape : sequence of int, (K, C / groups, *kernel)
        Shape of its filters, in this order in every `layout`.
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv`.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with the operands.

    Returns
    -------
    ndarray, shape `weight_shape`
        `out` if it was given. An empty batch gives zeros.

    Raises
    ------
    ValueError
        If `grad_output` is not of the shape that `conv` gives for `input` and `weight_shape`, or as in `conv`.
    TypeError, MemoryError
        As in `conv`.

    See Also
    --------
    conv_backward : all gradients in one call.

    Notes
    -----
    With ``g`` the group of filter ``k``, ``C' = C / groups``, and `input` zero outside of its borders::

        grad_weight[k, c, r] = sum over n, p of
                               grad_output[n, k, p] * input[n, g * C' + c, p * stride + r * dilation - padding_before]

    With ``flip=True`` the sum belongs to ``grad_weight[k, c, kernel - 1 - r]``. The batch is summed in a fixed order,
    so that the bits do not depend on the number of threads. The cost is that of the forward pass,
    ``N * K * C' * prod(output) * prod(kernel)`` multiply-adds. LeCun et al. [1]_ train their shared weights so.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
       Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> signal = np.array([[[1.0, 2.0, 4.0, 8.0]]])
    >>> fastconv.conv_grad_weight(np.array([[[1.0, 10.0]]]), signal, (1, 1, 3))
    array([[[21., 42., 84.]]])
    """
    return _core.conv_grad_weight(
        0, grad_output, input, weight_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )


def conv1d_grad_weight(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of `conv1d` with respect to its filters.

    Parameters
    ----------
    grad_output, input : array_like
        Of shapes (N, K, OW) or (K, OW), and (N, C, W) or (C, W).
    weight_shape : sequence of int
        (K, C / groups, KW).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv1d`.
    out : ndarray, optional
        As in `conv_grad_weight`.

    Returns
    -------
    ndarray, shape `weight_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_grad_weight`, which also has the formula and the cost.
    """
    return _core.conv_grad_weight(
        1, grad_output, input, weight_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )


def conv2d_grad_weight(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of `conv2d` with respect to its filters.

    Parameters
    ----------
    grad_output, input : array_like
        Of shapes (N, K, OH, OW) or (K, OH, OW), and (N, C, H, W) or (C, H, W).
    weight_shape : sequence of int
        (K, C / groups, KH, KW).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv2d`.
    out : ndarray, optional
        As in `conv_grad_weight`.

    Returns
    -------
    ndarray, shape `weight_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_grad_weight`, which also has the formula and the cost.
    """
    return _core.conv_grad_weight(
        2, grad_output, input, weight_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )


def conv3d_grad_weight(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of `conv3d` with respect to its filters.

    Parameters
    ----------
    grad_output, input : array_like
        Of shapes (N, K, OD, OH, OW) or (K, OD, OH, OW), and (N, C, D, H, W) or (C, D, H, W).
    weight_shape : sequence of int
        (K, C / groups, KD, KH, KW).
    stride, padding, dilation, groups, layout, flip, algorithm
        As given to `conv3d`.
    out : ndarray, optional
        As in `conv_grad_weight`.

    Returns
    -------
    ndarray, shape `weight_shape`

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_grad_weight`, which also has the formula and the cost.
    """
    return _core.conv_grad_weight(
        3, grad_output, input, weight_shape, stride, padding, dilation, groups, layout, flip, algorithm, out
    )
