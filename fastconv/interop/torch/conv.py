"""Convolution and transposed convolution, as in ``torch.nn.functional``.

Those of signals tell the whole story; the others say what the shapes are at their rank.
"""

from __future__ import annotations

from torch import Tensor

from fastconv._errors import as_int

from . import _conv_operators as operators
from ._arguments import Ints, Words, as_axes, as_conv_pads, as_images, as_pads
from ._registry import channels_last

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]


def _conv(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints | Words,
    dilation: Ints,
    groups: int,
) -> Tensor:
    op = f"conv{rank}d"
    images, batched = as_images(op, rank, input, weight=weight, bias=bias)
    steps, gaps = as_axes(op, "stride", stride, rank), as_axes(op, "dilation", dilation, rank)
    pads, count = as_conv_pads(op, padding, weight, steps, gaps, rank), as_int(op, "groups", groups, groups)
    result = operators.conv(images, weight, bias, steps, pads, gaps, count, channels_last(images))
    return result if batched else result.squeeze(0)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | Words = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve signals with a bank of filters, as ``torch.nn.functional.conv1d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, W) or (C, W)
        Signals on the CPU, of float32, float64 or float16, of any strides; float16 is computed in float32 and rounded
        once.
    weight : Tensor, shape (K, C / groups, KW)
        Filters of the same type.
    bias : Tensor, shape (K,), optional
        Added to each output channel.
    stride : int or tuple of int, default: 1
        Step between windows.
    padding : int, tuple of int, "valid" or "same", default: 0
        Zeros on both sides. ``"same"`` keeps the size, with the odd zero, if any, at the end; it wants a stride of 1.
    dilation : int or tuple of int, default: 1
        Distance between the elements of a filter.
    groups : int, default: 1
        Channels and filters are cut into this many groups that do not see each other.

    Returns
    -------
    Tensor, shape (N, K, OW) or (K, OW)
        Of images and volumes, in the memory format of `input`: channels last if those of `input` lie together.

    Raises
    ------
    ValueError
        If shapes do not fit, a tensor is not on the CPU, or an argument has a value that is not allowed.
    TypeError
        If tensors are of other types or of several, or another argument has a wrong type.

    Notes
    -----
    The cost and the papers stand at `fastconv.conv`. The gradients are computed that are asked for, of any order: the
    map is linear in `input` and in `weight`, and its gradients are such maps again.

    Examples
    --------
    >>> import torch
    >>> from fastconv.interop.torch import conv1d
    >>> weight = torch.ones(1, 1, 3, requires_grad=True)
    >>> y = conv1d(torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]]), weight, stride=2)
    >>> y
    tensor([[ 7., 28.]], grad_fn=<SqueezeBackward1>)
    >>> y.sum().backward()
    >>> weight.grad
    tensor([[[ 5., 10., 20.]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | Words = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve images with a bank of filters, as ``torch.nn.functional.conv2d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Images.
    weight : Tensor, shape (K, C / groups, KH, KW)
        Filters.
    bias : Tensor, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups
        As in `conv1d`; a tuple has one entry for each of H and W.

    Returns
    -------
    Tensor, shape (N, K, OH, OW) or (K, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | Words = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve volumes with a bank of filters, as ``torch.nn.functional.conv3d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes.
    weight : Tensor, shape (K, C / groups, KD, KH, KW)
        Filters.
    bias : Tensor, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups
        As in `conv1d`; a tuple has one entry for each of D, H and W.

    Returns
    -------
    Tensor, shape (N, K, OD, OH, OW) or (K, OD, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Tensor:
    op = f"conv_transpose{rank}d"
    images, batched = as_images(op, rank, input, weight=weight, bias=bias)
    steps, pads = as_axes(op, "stride", stride, rank), as_pads(op, padding, rank)
    extra, gaps = as_axes(op, "output_padding", output_padding, rank), as_axes(op, "dilation", dilation, rank)
    count = as_int(op, "groups", groups, groups)
    result = operators.conv_transpose(images, weight, bias, steps, pads, extra, count, gaps, channels_last(images))
    return result if batched else result.squeeze(0)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution of signals, as ``torch.nn.functional.conv_transpose1d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, W) or (C, W)
        Signals, as in `conv1d`.
    weight : Tensor, shape (C, K / groups, KW)
        The filters of the convolution that is transposed.
    bias : Tensor, shape (K,), optional
        Added to each output channel.
    stride : int or tuple of int, default: 1
        Step between the places at which the filters are added to the output.
    padding : int or tuple of int, default: 0
        Elements cut off the output on both sides.
    output_padding : int or tuple of int, default: 0
        Elements appended to the output at the end, fewer than `stride` or than `dilation`.
    groups : int, default: 1
        Channels are cut into this many groups that do not see each other.
    dilation : int or tuple of int, default: 1
        Distance between the elements of a filter.

    Returns
    -------
    Tensor, shape (N, K, OW) or (K, OW)

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.

    Notes
    -----
    Sizes and cost stand at `fastconv.conv_transpose`. Gradients are of any order, as those of `conv1d`.

    Examples
    --------
    >>> import torch
    >>> from fastconv.interop.torch import conv_transpose1d
    >>> conv_transpose1d(torch.tensor([[1.0, 10.0]]), torch.tensor([[[1.0, 2.0, 3.0]]]), stride=2)
    tensor([[ 1.,  2., 13., 20., 30.]])
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution of images, as ``torch.nn.functional.conv_transpose2d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Images.
    weight : Tensor, shape (C, K / groups, KH, KW)
        The filters of the convolution that is transposed.
    bias : Tensor, shape (K,), optional
        Added to each output channel.
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose1d`; a tuple has one entry for each of H and W.

    Returns
    -------
    Tensor, shape (N, K, OH, OW) or (K, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution of volumes, as ``torch.nn.functional.conv_transpose3d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes.
    weight : Tensor, shape (C, K / groups, KD, KH, KW)
        The filters of the convolution that is transposed.
    bias : Tensor, shape (K,), optional
        Added to each output channel.
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose1d`; a tuple has one entry for each of D, H and W.

    Returns
    -------
    Tensor, shape (N, K, OD, OH, OW) or (K, OD, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
