"""What the operators ``torch.ops.fastconv`` share: tensors as arrays and back, and how one is registered.

Every operator takes batches and one entry a spatial axis, two for padding: before and after. `channels_last` says how
the images of the result lie in memory. Arrays are views of tensors, and tensors views of arrays.
"""

from __future__ import annotations

import inspect
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
    array: Array = (tensor.detach() if tensor.requires_grad else tensor).numpy()
    return array.transpose(_LAST[array.ndim][1]) if last else array


def as_tensor(array: Array, last: bool = False) -> Tensor:
    return torch.from_numpy(array.transpose(_LAST[array.ndim][2]) if last else array)


def empty(like: Tensor, shape: Axes, last: bool, dtype: torch.dtype | None = None) -> Tensor:
    layout = _FORMATS[len(shape)] if last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device, memory_format=layout)


def layout_of(tensor: Tensor, last: bool) -> Any:
    return _LAST[tensor.dim()][0] if last else None


def as_shape(sizes: Axes, last: bool) -> Axes:
    """The sizes of a tensor in the order of its array's axes."""
    return [sizes[axis] for axis in _LAST[len(sizes)][1]] if last else sizes


def pairs(padding: Axes) -> tuple[tuple[int, int], ...]:
    return tuple(zip(padding[::2], padding[1::2], strict=True))


def picked(images: Tensor, indices: Tensor) -> Tensor:
    """Of each plane the elements that `indices` names."""
    return images.flatten(2).gather(2, indices.flatten(2)).view(indices.shape)


def functions_by_rank(name: str) -> dict[int, Callable[..., Any]]:
    return {rank: getattr(fastconv, name.format(rank)) for rank in (1, 2, 3)}


def call(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """A call with as many threads as PyTorch's own operators have."""
    threads = torch.get_num_threads()
    if threads == fastconv.get_num_threads():
        return function(*arguments, **keywords)
    with fastconv.num_threads(threads):
        return function(*arguments, **keywords)


def check(function: Callable[..., Any], **tensors: Tensor | None) -> None:
    """Of one type, which is one that fastconv computes."""
    first, op = next(iter(tensors)), function.__name__
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if tensor.dtype not in DTYPES:
            raise TypeError(f"{op}: {name} has dtype {tensor.dtype}; needs one of {', '.join(map(str, DTYPES))}")
        if tensor.dtype != tensors[first].dtype:
            raise TypeError(f"{op}: {name} has dtype {tensor.dtype}; needs {tensors[first].dtype}, as {first} has")


def may_be_differentiated(tensor: Tensor) -> bool:
    """Whether a gradient may be asked for; in graphs for others and in transforms, where it is not known, it may."""
    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return True
    if not torch.is_grad_enabled():
        return False
    return tensor.requires_grad or (
        not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack() is not None
    )


# ---- registration ----


def register(
    name: str,
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    setup: Callable[..., None],
    gradients: Callable[..., Any],
) -> Callable[..., Any]:
    """Make an operator, and return what calls it.

    `torch.library.custom_op` does the same, with a wrapper around each kernel. The autograd that either makes of
    `setup` and `gradients` costs a call more than all the rest, even where no gradient is asked for. So the operator
    stands there twice, with autograd and without; and unless a compiler looks on, which wants to see one operator,
    autograd goes around the second. Autocast, which is to bfloat16 by default, computes in float32.
    """
    qualified, plain = f"fastconv::{name}", f"fastconv::{name}_no_grad"
    for operator in (qualified, plain):
        torch.library.define(operator, schema, tags=torch.Tag.pt2_compliant_tag)
        torch.library.impl(operator, "CPU", kernel)
        torch.library.register_fake(operator, fake)
        torch.library.register_autocast(operator, "cpu", torch.float32)
    torch.library.register_autograd(qualified, gradients, setup_context=setup)
    whole = getattr(torch.ops.fastconv, name).default
    without_grad = getattr(torch.ops.fastconv, f"{name}_no_grad").default

    class Eager(torch.autograd.Function):
        generate_vmap_rule = True
        setup_context, backward = staticmethod(setup), staticmethod(gradients)

        @staticmethod
        def forward(*arguments: Any) -> Any:
            return without_grad(*arguments)

    Eager.forward.__signature__ = inspect.signature(Eager.forward)  # else PyTorch works it out in each call

    def run(*arguments: Any) -> Any:
        # A graph outlives the mode that it is captured in. Autocast must come before autograd, which is then to save
        # what it casts to.
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"):
            return whole(*arguments)
        return (Eager.apply if torch.is_grad_enabled() else without_grad)(*arguments)

    return run
