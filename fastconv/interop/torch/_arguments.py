"""Arguments of ``torch.nn.functional`` as the operators have them: batches, and ints for each spatial axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import SymInt, Tensor

from fastconv import _errors

from ._registry import Axes

Ints: TypeAlias = int | Sequence[int]
Sizes: TypeAlias = int | Sequence[int | None] | None
Words: TypeAlias = Literal["valid", "same"]

_INTS = (int, SymInt)  # a compiler's


def as_ints(sizes: Sequence[int]) -> Sequence[int]:
    """Sizes of a tensor as an operator takes them: where a graph is traced, PyTorch makes them tensors."""
    return [int(size) for size in sizes] if torch.jit.is_tracing() else sizes


def as_axes(op: str, name: str, value: Ints, rank: int) -> tuple[int, ...]:
    """One int a spatial axis; one alone is for all of them."""
    if type(value) in _INTS:
        return (value,) * rank
    axes = value if isinstance(value, (tuple, list)) else _errors.as_axes(op, name, value, rank)
    if len(axes) == 1:
        axes = (*axes,) * rank
    if len(axes) != rank:
        _errors.wrong_length(op, name, value, rank)
    return tuple([axis if type(axis) in _INTS else _errors.as_int(op, name, axis, value) for axis in axes])


def as_steps(op: str, stride: Ints | None, taps: tuple[int, ...]) -> tuple[int, ...]:
    """The stride of a pool: by default, which PyTorch also writes as (), that of windows side by side."""
    if stride is None or (isinstance(stride, (tuple, list)) and not stride):
        return taps
    return as_axes(op, "stride", stride, len(taps))


def as_pads(op: str, padding: Ints, rank: int) -> tuple[int, ...]:
    """Two ints a spatial axis: before and after."""
    return tuple([pad for pad in as_axes(op, "padding", padding, rank) for _ in range(2)])


def as_output_size(op: str, value: Sizes, images: Tensor) -> tuple[int, ...]:
    """One int a spatial axis; None is the size that the images have."""
    sizes = as_ints(images.shape[2:])
    asked: Any = (None,) * len(sizes) if value is None else value
    if isinstance(asked, (tuple, list)) and None in asked:
        if len(asked) != len(sizes):
            _errors.wrong_length(op, "output_size", value, len(sizes))
        windows = as_axes(op, "output_size", tuple([1 if axis is None else axis for axis in asked]), len(sizes))
    else:
        asked = windows = as_axes(op, "output_size", asked, len(sizes))
    if any(count < 1 for count in windows):
        _errors.too_small(op, "output_size", value, len(sizes), 1)
    return tuple([size if axis is None else count for axis, count, size in zip(asked, windows, sizes, strict=True)])


def as_conv_pads(
    op: str, padding: Ints | Words, weight: Tensor, stride: Axes, dilation: Axes, rank: int
) -> tuple[int, ...]:
    if not isinstance(padding, str):
        return as_pads(op, padding, rank)
    if padding == "valid":
        return (0, 0) * rank
    if padding != "same":
        _errors.bad_choice(op, "padding", padding, ("an int or one a spatial axis", "valid", "same"))
    if set(stride) != {1}:
        raise ValueError(
            f"{op}: padding is 'same' and stride is {tuple(stride)}; needs a stride of 1, as PyTorch has it"
        )
    totals = [gap * (taps - 1) for taps, gap in zip(as_ints(weight.shape[2:]), dilation, strict=True)]
    return tuple([pad for total in totals for pad in (total // 2, total - total // 2)])


def as_images(op: str, rank: int, input: Tensor, **others: Tensor | None) -> tuple[Tensor, bool]:
    """`input` with a batch axis, and whether it had one."""
    for name, tensor in {"input": input, **others}.items():
        if tensor is None and name == "bias":
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: {name} is a {type(tensor).__name__}; needs a torch.Tensor")
        if not (tensor.is_cpu or tensor.is_meta):
            raise ValueError(f"{op}: {name} is on device {tensor.device}; needs 'cpu'")
        if name == "weight" and tensor.dim() != rank + 2:
            _errors.wrong_weight_rank(op, name, tensor.shape, rank)
    if input.dim() == rank + 2:
        return input, True
    if input.dim() != rank + 1:
        _errors.wrong_rank(op, "input", input.shape, rank)
    return input.unsqueeze(0), False
