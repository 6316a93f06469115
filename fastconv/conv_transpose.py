"""Transposed convolution and its gradients: ``conv_transpose``, ``conv_transpose_backward``, for every rank.

The two without a suffix tell the whole story; the others say what the shapes are at their rank.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import _core
from ._types import Algorithm, Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = [
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "conv_transpose_backward",
]


def conv_transpose(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Transposed convolution: the linear map that is the transpose of a convolution, with a bias.

    It makes images larger, as decoders and generators do ("deconvolution", which it is not: it inverts shapes, not
    values). Names, order and meaning of the arguments are those of ``torch.nn.functional.conv_transpose2d``.

    Parameters
    ----------
    input : array_like, shape (N, C, *spatial)
        N items of C channels, with one to three spatial axes; types and strides as in `conv`.
    weight : array_like, shape (C, K / groups, *kernel)
        The filters of the convolution that is transposed: its outputs are this input. This order of axes holds in
        every `layout`.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride : int or tuple of int, default: 1
        Step between the places at which the filters are added to the output.
    padding : int, tuple of int, tuple of (before, after) pairs, "valid" or "same", default: 0
        Elements cut off the output, those that the transposed convolution had added to its input. ``"valid"`` is 0.
        ``"same"`` makes the output ``input * stride`` long, an odd element being cut off at the end.
    output_padding : int or tuple of int, default: 0
        Elements appended to the output at the end, fewer than `stride` or than `dilation`: convolutions with a stride
        map inputs of several sizes to outputs of one size, and this tells which of them is meant.
    groups : int, default: 1
        Channels are cut into this many groups that do not see each other.
    dilation : int or tuple of int, default: 1
        Distance between the elements of a filter.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes of `input` and of the output; default: channels first.
    algorithm : {"auto", "exact", "direct", "im2col", "winograd", "depthwise"}, default: "auto"
        As in `conv`.
    out : ndarray, optional
        Where to put the result: exact shape and dtype, any strides, sharing no memory with the operands.

    Returns
    -------
    ndarray, shape (N, K, *output)
        In the axis order of `layout`; `out` if it was given.

    Raises
    ------
    ValueError
        If shapes do not fit, `padding` leaves no output, or an argument has a value that is not allowed. The message
        names the op, the argument, its value and what is allowed; nothing has been written then.
    TypeError
        If an argument has a wrong type.
    MemoryError
        If the result or the scratch memory cannot be allocated.

    See Also
    --------
    conv_grad_input : the same map without bias, for the gradient.
    conv_transpose_backward : the gradients.

    Notes
    -----
    Each axis of the output has [1]_ ::

        output = (input - 1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1

    elements. It is computed as one plain convolution for each remainder of the output position modulo `stride`, so that
    nothing is multiplied by the zeros between stretched inputs. The cost is at most
    ``N * C * K / groups * prod(input) * prod(kernel)`` multiply-adds.

    References
    ----------
    .. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016, chapter 4.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> fastconv.conv_transpose(np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0]]]), stride=2)
    array([[[ 1.,  2., 13., 20., 30.]]])
    """
    return _core.conv_transpose(
        0, input, weight, bias, stride, padding, output_padding, groups, dilation, layout, algorithm, out
    )


def conv_transpose1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Transposed convolution of signals.

    Parameters
    ----------
    input : array_like, shape (N, C, W) or (C, W)
        With ``layout="NWC"``, (N, W, C) or (W, C).
    weight : array_like, shape (C, K / groups, KW)
        The filters of the convolution that is transposed.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride, padding, output_padding, groups, dilation, layout, algorithm, out
        As in `conv_transpose`.

    Returns
    -------
    ndarray, shape (N, K, OW) or (K, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_transpose`, which also has the sizes and the cost.
    """
    return _core.conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation, layout, algorithm, out
    )


def conv_transpose2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Transposed convolution of images.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="NHWC"``, (N, H, W, C) or (H, W, C).
    weight : array_like, shape (C, K / groups, KH, KW)
        The filters of the convolution that is transposed.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride, padding, output_padding, groups, dilation, layout, algorithm, out
        As in `conv_transpose`.

    Returns
    -------
    ndarray, shape (N, K, OH, OW) or (K, OH, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_transpose`, which also has the sizes and the cost.
    """
    return _core.conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation, layout, algorithm, out
    )


def conv_transpose3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
) -> Array:
    """Transposed convolution of volumes.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="NDHWC"``, (N, D, H, W, C) or (D, H, W, C).
    weight : array_like, shape (C, K / groups, KD, KH, KW)
        The filters of the convolution that is transposed.
    bias : array_like, shape (K,), optional
        Added to each output channel.
    stride, padding, output_padding, groups, dilation, layout, algorithm, out
        As in `conv_transpose`.

    Returns
    -------
    ndarray, shape (N, K, OD, OH, OW) or (K, OD, OH, OW)
        In the axis order of `layout`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_transpose`, which also has the sizes and the cost.
    """
    return _core.conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation, layout, algorithm, out
    )


def conv_transpose_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of a transposed convolution with respect to its input, weight and bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, K, *output)
        Gradient of the loss with respect to the output of `conv_transpose`.
    input, weight : array_like
        As given to `conv_transpose`.
    stride, padding, output_padding, groups, dilation, layout, algorithm
        As given to `conv_transpose`.
    needs : iterable of {"input", "weight", "bias"}, default: all three
        Which gradients to compute.

    Returns
    -------
    grad_input : ndarray or None
        A convolution of `grad_output`; None if not in `needs`, as the others.
    grad_weight : ndarray or None
        Of the shape of `weight`.
    grad_bias : ndarray or None, shape (K,)
        The sum of `grad_output` over all but its channels.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_transpose`, before any gradient is computed.

    Notes
    -----
    Each of the first two costs as much as the forward pass.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> x, w = np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0]]])
    >>> grads = fastconv.conv_transpose_backward(np.ones((1, 1, 5)), x, w, stride=2)
    >>> grads[0], grads[1], grads[2]
    (array([[[6., 6.]]]), array([[[11., 11., 11.]]]), array([5.]))
    """
    return _core.conv_transpose_backward(
        0, grad_output, input, weight, stride, padding, output_padding, groups, dilation, needs, layout, algorithm
    )


def conv_transpose1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `conv_transpose1d` with respect to its input, weight and bias.

    Parameters
    ----------
    grad_output, input : array_like
        Of shapes (N, K, OW) or (K, OW), and (N, C, W) or (C, W).
    weight : array_like, shape (C, K / groups, KW)
        As given to `conv_transpose1d`.
    stride, padding, output_padding, groups, dilation, needs, layout, algorithm
        As in `conv_transpose_backward`.

    Returns
    -------
    grad_input, grad_weight, grad_bias : ndarray or None
        As in `conv_transpose_backward`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_transpose_backward`.
    """
    return _core.conv_transpose_backward(
        1, grad_output, input, weight, stride, padding, output_padding, groups, dilation, needs, layout, algorithm
    )


def conv_transpose2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `conv_transpose2d` with respect to its input, weight and bias.

    Parameters
    ----------
    grad_output, input : array_like
        Of shapes (N, K, OH, OW) or (K, OH, OW), and (N, C, H, W) or (C, H, W).
    weight : array_like, shape (C, K / groups, KH, KW)
        As given to `conv_transpose2d`.
    stride, padding, output_padding, groups, dilation, needs, layout, algorithm
        As in `conv_transpose_backward`.

    Returns
    -------
    grad_input, grad_weight, grad_bias : ndarray or None
        As in `conv_transpose_backward`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_transpose_backward`.
    """
    return _core.conv_transpose_backward(
        2, grad_output, input, weight, stride, padding, output_padding, groups, dilation, needs, layout, algorithm
    )


def conv_transpose3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: Int = 1,
    dilation: Ints = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `conv_transpose3d` with respect to its input, weight and bias.

    Parameters
    ----------
    grad_output, input : array_like
        Of shapes (N, K, OD, OH, OW) or (K, OD, OH, OW), and (N, C, D, H, W) or (C, D, H, W).
    weight : array_like, shape (C, K / groups, KD, KH, KW)
        As given to `conv_transpose3d`.
    stride, padding, output_padding, groups, dilation, needs, layout, algorithm
        As in `conv_transpose_backward`.

    Returns
    -------
    grad_input, grad_weight, grad_bias : ndarray or None
        As in `conv_transpose_backward`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv_transpose_backward`.
    """
    return _core.conv_transpose_backward(
        3, grad_output, input, weight, stride, padding, output_padding, groups, dilation, needs, layout, algorithm
    )
