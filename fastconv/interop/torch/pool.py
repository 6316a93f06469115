"""Pooling and local response normalisation, as in ``torch.nn.functional``.

Those of signals tell the whole story; the others say what the shapes are at their rank.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastconv import _errors

from . import _pool_operators as operators
from ._arguments import Ints, as_axes, as_images, as_pads, as_steps
from ._registry import channels_last, may_be_differentiated

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "local_response_norm",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]


def _max_pool(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    op = f"max_pool{rank}d"
    images, batched = as_images(op, rank, input)
    taps = as_axes(op, "kernel_size", kernel_size, rank)
    steps = as_steps(op, stride, taps)
    pads, gaps = as_pads(op, padding, rank), as_axes(op, "dilation", dilation, rank)
    asked = return_indices or may_be_differentiated(images)
    values, indices = operators.max_pool(images, taps, steps, pads, gaps, ceil_mode, asked, channels_last(images))
    if not batched:
        values, indices = values.squeeze(0), indices.squeeze(0)
    return (values, indices) if return_indices else values


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum over sliding windows of signals, as ``torch.nn.functional.max_pool1d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, W) or (C, W)
        Signals, as in `conv1d`.
    kernel_size : int or tuple of int
        Size of the window.
    stride : int or tuple of int, optional
        Step between windows; default: `kernel_size`.
    padding : int or tuple of int, default: 0
        Elements added on both sides, fewer than the window is long. They are never chosen.
    dilation : int or tuple of int, default: 1
        Distance between the elements of a window.
    ceil_mode : bool, default: False
        Round the output size up, so that a window may reach past the padded end.
    return_indices : bool, default: False
        Also return where each maximum stands, flat in its plane of the input.

    Returns
    -------
    values : Tensor, shape (N, C, OW) or (C, OW)
    indices : Tensor of int64, of the same shape, only if `return_indices`

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.

    Notes
    -----
    Rules for ties and NaN stand at `fastconv.max_pool`. Gradients are of any order.

    Examples
    --------
    >>> import torch
    >>> from fastconv.interop.torch import max_pool1d
    >>> max_pool1d(torch.tensor([[3.0, 1.0, 4.0, 1.0, 5.0]]), 2, ceil_mode=True)
    tensor([[3., 4., 5.]])
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum over sliding windows of images, as ``torch.nn.functional.max_pool2d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Images.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool1d`; a tuple has one entry for each of H and W.

    Returns
    -------
    values : Tensor, shape (N, C, OH, OW) or (C, OH, OW)
        In the memory format of `input`.
    indices : Tensor of int64, of the same shape and format, only if `return_indices`

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum over sliding windows of volumes, as ``torch.nn.functional.max_pool3d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool1d`; a tuple has one entry for each of D, H and W.

    Returns
    -------
    values : Tensor, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
        In the memory format of `input`.
    indices : Tensor of int64, of the same shape and format, only if `return_indices`

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:
    op = f"avg_pool{rank}d"
    images, batched = as_images(op, rank, input)
    taps = as_axes(op, "kernel_size", kernel_size, rank)
    steps = as_steps(op, stride, taps)
    counting = ceil_mode, count_include_pad, divisor_override
    result = operators.avg_pool(images, taps, steps, as_pads(op, padding, rank), *counting, channels_last(images))
    return result if batched else result.squeeze(0)


def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Mean over sliding windows of signals, as ``torch.nn.functional.avg_pool1d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, W) or (C, W)
        Signals, as in `conv1d`.
    kernel_size : int or tuple of int
        Size of the window.
    stride : int or tuple of int, optional
        Step between windows; default: `kernel_size`.
    padding : int or tuple of int, default: 0
        Zeros on both sides, fewer than the window is long.
    ceil_mode : bool, default: False
        Round the output size up, so that a window may reach past the padded end.
    count_include_pad : bool, default: True
        Whether padding counts in the divisor. What `ceil_mode` adds never does.

    Returns
    -------
    Tensor, shape (N, C, OW) or (C, OW)

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.

    Notes
    -----
    The cost stands at `fastconv.avg_pool`. Gradients are of any order.

    Examples
    --------
    >>> import torch
    >>> from fastconv.interop.torch import avg_pool1d
    >>> avg_pool1d(torch.tensor([[3.0, 1.0, 4.0, 2.0]]), 2, padding=1, count_include_pad=False)
    tensor([[3.0000, 2.5000, 2.0000]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean over sliding windows of images, as ``torch.nn.functional.avg_pool2d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Images.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad
        As in `avg_pool1d`; a tuple has one entry for each of H and W.
    divisor_override : int, optional
        Divide every sum by this, whatever its window holds. Not zero.

    Returns
    -------
    Tensor, shape (N, C, OH, OW) or (C, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean over sliding windows of volumes, as ``torch.nn.functional.avg_pool3d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad
        As in `avg_pool1d`; a tuple has one entry for each of D, H and W.
    divisor_override : int, optional
        Divide every sum by this, whatever its window holds. Not zero.

    Returns
    -------
    Tensor, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Divide by a power of the mean square of neighbouring channels, as ``torch.nn.functional.local_response_norm``.

    Parameters
    ----------
    input : Tensor, shape (N, C, W), (N, C, H, W) or (N, C, D, H, W)
        As in `conv1d`.
    size : int
        Neighbouring channels, the element's own included.
    alpha : float, default: 1e-4
        Factor of the mean square.
    beta : float, default: 0.75
        The exponent.
    k : float, default: 1.0
        Added to the mean square.

    Returns
    -------
    Tensor, shape of `input`
        In its memory format.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    NotImplementedError
        If a second derivative is asked for.

    Notes
    -----
    The formula stands at `fastconv.local_response_norm`.

    Examples
    --------
    >>> import torch
    >>> from fastconv.interop.torch import local_response_norm
    >>> local_response_norm(torch.tensor([[[1.0], [3.0]]]), 1, alpha=1.0, beta=1.0, k=1.0)
    tensor([[[0.5000],
             [0.3000]]])
    """
    op = "local_response_norm"
    if isinstance(input, Tensor) and not 3 <= input.dim() <= 5:
        _errors.wrong_rank(op, "input", input.shape)
    images, _ = as_images(op, input.dim() - 2 if isinstance(input, Tensor) else 1, input)
    size = _errors.as_int(op, "size", size, size)
    return operators.local_response_norm(images, size, alpha, beta, k, channels_last(images))
