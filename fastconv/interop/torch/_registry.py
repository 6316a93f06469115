"""What the operators ``torch.ops.fastconv`` share: tensors as arrays and back, and how one is registered.

Every operator takes batches and one entry a spatial axis, two for padding: before and after. `channels_last` says how
the images of the result lie in memory. Arrays are views of tensors and tensors views of arrays: nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

import fastconv
from fastconv._types import Array

Axes: TypeAlias = Sequence[int]

DTYPES = (torch.float32, torch.float64, torch.float16)

_LAST = {4: ("NHWC", (0, 2, 3, 1), (0, 3, 1, 2)), 5: ("NDHWC", (0, 2, 3, 4, 1), (0, 4, 1, 2, 3))}
"""By number of axes: the name of the layout with channels last, the axes in its order, and back."""
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


# ---- tensors and arrays ----


def channels_last(images: Tensor) -> bool:
    """Whether channels lie together, of images and volumes: of signals PyTorch has no such format."""
    strides, channels = images.stride(), images.shape[1]
    return len(strides) > 3 and strides[1] == 1 and all(stride >= channels for stride in strides[2:])


def as_array(tensor: Tensor, last: bool = False) -> Array:
    array: Array = tensor.detach().numpy()
    return array.transpose(_LAST[array.ndim][1]) if last else array


def as_tensor(array: Array, last: bool = False) -> Tensor:
    return torch.from_numpy(array.transpose(_LAST[array.ndim][2]) if last else array)


def empty(like: Tensor, shape: Axes, last: bool, dtype: torch.dtype | None = None) -> Tensor:
    layout = _FORMATS[len(shape)] if last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device, memory_format=layout)


def layout_of(tensor: Tensor, last: bool) -> Any:
    return _LAST[tensor.dim()][0] if last else None


def pairs(padding: Axes) -> tuple[tuple[int, int], ...]:
    return tuple(zip(padding[::2], padding[1::2], strict=True))


def call(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """A call with as many threads as PyTorch's own operators have."""
    threads = torch.get_num_threads()
    if threads == fastconv.get_num_threads():
        return function(*arguments, **keywords)
    with fastconv.num_threads(threads):
        return function(*arguments, **keywords)


def check(op: str, **tensors: Tensor | None) -> None:
    """Of one type, which is one that fastconv computes."""
    first = next(iter(tensors))
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if tensor.dtype not in DTYPES:
            raise TypeError(f"{op}: {name} has dtype {tensor.dtype}; needs one of {', '.join(map(str, DTYPES))}")
        if tensor.dtype != tensors[first].dtype:
            raise TypeError(f"{op}: {name} has dtype {tensor.dtype}; needs {tensors[first].dtype}, as {first} has")


# ---- registration ----


def register(
    name: str,
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    setup: Callable[..., None],
    backward: Callable[..., Any],
) -> Any:
    """Make an operator. Autocast, which is to bfloat16 by default, computes it in float32.

    This is what `torch.library.custom_op` does, without a wrapper of its that costs each call 6 microseconds.
    """
    qualified = f"fastconv::{name}"
    torch.library.define(qualified, schema, tags=torch.Tag.pt2_compliant_tag)
    torch.library.impl(qualified, "CPU", kernel)
    torch.library.register_fake(qualified, fake)
    torch.library.register_autograd(qualified, backward, setup_context=setup)
    torch.library.register_autocast(qualified, "cpu", torch.float32)
    return getattr(torch.ops.fastconv, name).default
