"""Adaptive pooling, as in ``torch.nn.functional``: as many windows as are asked for.

Those of signals tell the whole story; the others say what the shapes are at their rank.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from . import _adaptive_operators as operators
from ._arguments import Sizes, as_images, as_output_size
from ._registry import channels_last, may_be_differentiated

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]


def _max_pool(rank: int, input: Tensor, output_size: Sizes, return_indices: bool) -> Any:
    op = f"adaptive_max_pool{rank}d"
    images, batched = as_images(op, rank, input)
    asked = return_indices or may_be_differentiated(images)
    sizes = as_output_size(op, output_size, images)
    values, indices = operators.adaptive_max_pool(images, sizes, asked, channels_last(images))
    if not batched:
        values, indices = values.squeeze(0), indices.squeeze(0)
    return (values, indices) if return_indices else values


def adaptive_max_pool1d(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum of signals over windows that cut each axis into equal parts, as ``functional.adaptive_max_pool1d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, W) or (C, W)
        Signals, as in `conv1d`.
    output_size : int, None, or tuple of them
        Windows on each axis; None keeps the size of the input. More than the input has are allowed.
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
    The windows stand at `fastconv.adaptive_max_pool`, with the rules for ties and NaN. Gradients are of any order.

    Examples
    --------
    >>> import torch
    >>> from fastconv.interop.torch import adaptive_max_pool1d
    >>> adaptive_max_pool1d(torch.tensor([[3.0, 1.0, 4.0, 1.0, 5.0]]), 2)
    tensor([[4., 5.]])
    """
    return _max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum of images over windows that cut each axis into equal parts, as ``functional.adaptive_max_pool2d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Images.
    output_size, return_indices
        As in `adaptive_max_pool1d`; a tuple has one entry for each of H and W.

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
    return _max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum of volumes over windows that cut each axis into equal parts, as ``functional.adaptive_max_pool3d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes.
    output_size, return_indices
        As in `adaptive_max_pool1d`; a tuple has one entry for each of D, H and W.

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
    return _max_pool(3, input, output_size, return_indices)


def _avg_pool(rank: int, input: Tensor, output_size: Sizes) -> Tensor:
    op = f"adaptive_avg_pool{rank}d"
    images, batched = as_images(op, rank, input)
    sizes = as_output_size(op, output_size, images)
    result: Tensor = operators.adaptive_avg_pool(images, sizes, channels_last(images))
    return result if batched else result.squeeze(0)


def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """Mean of signals over windows that cut each axis into equal parts, as ``functional.adaptive_avg_pool1d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, W) or (C, W)
        Signals, as in `conv1d`.
    output_size : int, None, or tuple of them
        Windows on each axis; None keeps the size of the input. More than the input has are allowed.

    Returns
    -------
    Tensor, shape (N, C, OW) or (C, OW)

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.

    Notes
    -----
    The windows and the cost stand at `fastconv.adaptive_avg_pool`. Gradients are of any order.

    Examples
    --------
    >>> import torch
    >>> from fastconv.interop.torch import adaptive_avg_pool1d
    >>> adaptive_avg_pool1d(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]), 2)
    tensor([[2., 4.]])
    """
    return _avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """Mean of images over windows that cut each axis into equal parts, as ``functional.adaptive_avg_pool2d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Images.
    output_size
        As in `adaptive_avg_pool1d`; a tuple has one entry for each of H and W.

    Returns
    -------
    Tensor, shape (N, C, OH, OW) or (C, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """Mean of volumes over windows that cut each axis into equal parts, as ``functional.adaptive_avg_pool3d``.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes.
    output_size
        As in `adaptive_avg_pool1d`; a tuple has one entry for each of D, H and W.

    Returns
    -------
    Tensor, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
        In the memory format of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `conv1d`.
    """
    return _avg_pool(3, input, output_size)
