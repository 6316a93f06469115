"""PyTorch under inference mode: ``torch.nn.functional``, and the ATen functions that autograd calls for gradients."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from ..problem import Operands, Problem
from ..workloads import Conv, Pool
from .protocol import Cannot, Peer, Prepared, symmetric

__all__ = ["Torch", "TorchChannelsLast"]


class Torch(Peer):
    """Tensors in the default memory format, weights included."""

    name: ClassVar[str] = "torch"
    pip: ClassVar[str] = "pip install torch"
    modules: ClassVar[tuple[str, ...]] = ("torch",)

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch = torch
        self._mode = torch.inference_mode()
        self._mode.__enter__()  # for the life of the process: entering it is no part of a call

    def version(self) -> str:
        """Version."""
        return str(self._torch.__version__)

    def _lay(self, tensor: Any) -> Any:
        return tensor

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """Tensors made once; the call makes a new one."""
        tensor = lambda array: self._lay(self._torch.from_numpy(array))  # noqa: E731
        make = _conv if isinstance(problem.layer, Conv) else _pool
        return Prepared(make(self._torch, problem, operands, tensor), _to_numpy)


class TorchChannelsLast(Torch):
    """Tensors in the channels-last memory format, weights included: what torch recommends for speed on CPUs."""

    name: ClassVar[str] = "torch_channels_last"

    def _lay(self, tensor: Any) -> Any:
        formats = {4: self._torch.channels_last, 5: self._torch.channels_last_3d}
        return tensor.contiguous(memory_format=formats[tensor.ndim]) if tensor.ndim in formats else tensor

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """As without; one spatial axis has no such format."""
        if problem.rank == 1:
            raise Cannot("has no channels-last format for one spatial axis")
        return super().prepare(problem, operands)


def _to_numpy(got: Any) -> Any:
    return tuple(map(_to_numpy, got)) if isinstance(got, tuple) else got.numpy()


def _conv(torch: Any, problem: Problem, operands: Operands, tensor: Any) -> Any:
    layer, rank = problem.layer, problem.rank
    assert isinstance(layer, Conv)
    stride, dilation = layer.strides, layer.dilations
    extra = layer.output_padding if isinstance(layer.output_padding, tuple) else (layer.output_padding,) * rank
    x, w = tensor(operands.input), tensor(operands.weight)
    if problem.pass_name == "forward":
        b = None if operands.bias is None else torch.from_numpy(operands.bias)
        if layer.transposed:
            op = getattr(torch.nn.functional, f"conv_transpose{rank}d")
            return partial(op, x, w, b, stride, symmetric(layer), extra, layer.groups, dilation)
        conv = getattr(torch.nn.functional, f"conv{rank}d")
        if all(before == after for before, after in layer.pads):
            return partial(conv, x, w, b, stride, symmetric(layer), dilation, layer.groups)
        # What its users write for padding that differs; torch counts axes from the last.
        pads, pad = [p for both in reversed(layer.pads) for p in both], torch.nn.functional.pad
        return lambda: conv(pad(x, pads), w, b, stride, 0, dilation, layer.groups)
    number = 0 if problem.pass_name == "grad_input" else 1
    g = tensor(operands.grad)
    window = (stride, symmetric(layer), dilation, layer.transposed, extra, layer.groups)
    needs = [number == 0, number == 1, False]
    backward = torch.ops.aten.convolution_backward.default
    return lambda: backward(g, x, w, None, *window, needs)[number]


def _pool(torch: Any, problem: Problem, operands: Operands, tensor: Any) -> Any:
    layer, rank = problem.layer, problem.rank
    assert isinstance(layer, Pool)
    functional, aten = torch.nn.functional, torch.ops.aten
    x = tensor(operands.input)
    window = [list(values) for values in (layer.kernel_size, layer.strides, symmetric(layer))]
    dilation = list(layer.dilations)
    if problem.pass_name != "grad_input":
        if layer.kind == "global":
            return partial(getattr(functional, f"adaptive_avg_pool{rank}d"), x, 1)
        if layer.kind == "avg":
            return partial(
                getattr(functional, f"avg_pool{rank}d"), x, *window, layer.ceil_mode, layer.count_include_pad
            )
        indexed = problem.pass_name == "forward_indices"
        op = getattr(functional, f"max_pool{rank}d")
        return partial(op, x, *window, dilation, ceil_mode=layer.ceil_mode, return_indices=indexed)
    g = tensor(operands.grad)
    if rank == 1:  # ATen has no such gradients: autograd, too, sends 1-D through 2-D
        x, g = x.unsqueeze(2), g.unsqueeze(2)
        window, dilation = [[one, *values] for one, values in zip((1, 1, 0), window, strict=True)], [1, *dilation]
    flat = 2 if rank == 1 else rank
    if layer.kind == "global":
        call = partial(getattr(aten, f"_adaptive_avg_pool{flat}d_backward"), g, x)
    elif layer.kind == "avg":
        call = partial(
            getattr(aten, f"avg_pool{flat}d_backward"), g, x, *window, layer.ceil_mode, layer.count_include_pad, None
        )
    else:
        indices = tensor(operands.indices)
        indices = indices.unsqueeze(2) if rank == 1 else indices
        backward = getattr(aten, f"max_pool{flat}d_with_indices_backward")
        call = partial(backward, g, x, *window, dilation, layer.ceil_mode, indices)
    return (lambda: call().squeeze(2)) if rank == 1 else call
