"""Convolution and transposed convolution: what runs on a CPU, what shapes it has, and how gradients pass through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeAlias

from torch import Tensor

import fastconv
from fastconv._types import Array

from ._registry import Axes, as_array, as_tensor, call, check, empty, layout_of, pairs, register

Gradients: TypeAlias = tuple[Tensor, ...]
"""Of input, weight and bias; those that were not asked for are empty."""


# Sizes are counted here, not by fastconv.arithmetic: a compiler's are symbols.


def _conv_size(input: Tensor, weight: Tensor, stride: Axes, padding: Axes, dilation: Axes, groups: int) -> list[int]:
    _check_channels("conv", input.shape[1], weight.shape[1] * groups)
    outputs = [
        (size + before + after - gap * (taps - 1) - 1) // step + 1
        for size, taps, step, (before, after), gap in zip(
            input.shape[2:], weight.shape[2:], stride, pairs(padding), dilation, strict=True
        )
    ]
    return _checked("conv", [input.shape[0], weight.shape[0], *outputs])


def _conv_transpose_size(
    input: Tensor, weight: Tensor, stride: Axes, padding: Axes, output_padding: Axes, groups: int, dilation: Axes
) -> list[int]:
    _check_channels("conv_transpose", input.shape[1], weight.shape[0])
    outputs = [
        (size - 1) * step - before - after + gap * (taps - 1) + extra + 1
        for size, taps, step, (before, after), extra, gap in zip(
            input.shape[2:], weight.shape[2:], stride, pairs(padding), output_padding, dilation, strict=True
        )
    ]
    return _checked("conv_transpose", [input.shape[0], weight.shape[1] * groups, *outputs])


def _check_channels(op: str, given: int, needed: int) -> None:
    if given != needed:
        raise ValueError(f"{op}: input has {given} channels; needs {needed}, as weight and groups say")


def _checked(op: str, shape: list[int]) -> list[int]:
    if any(size < 1 for size in shape[2:]):
        raise ValueError(f"{op}: the result would have shape {tuple(shape)}; needs at least one element on each axis")
    return shape


def _packable(weight: Tensor) -> Array:
    """The weights in order: for 512 x 512 filters of 3x3 that takes 2 ms, packing them from channels last 8 more."""
    return as_array(weight.contiguous())


def _register_bilinear(name: str, numbers: str, output_size: Callable[..., list[int]]) -> tuple[Any, Any]:
    """A map that is linear in `input` and in `weight`, and the operator of its gradients.

    The gradients are linear in each argument too, and their gradients are the same two maps again, to any order.
    """
    functions = {rank: getattr(fastconv, f"{name}{rank}d") for rank in (1, 2, 3)}
    backwards = {rank: getattr(fastconv, f"{name}{rank}d_backward") for rank in (1, 2, 3)}

    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
        stride, padding, *others, last = rest
        function = functions[len(stride)]
        check(function, input=input, weight=weight, bias=bias)
        arrays = as_array(input, last), _packable(weight), None if bias is None else as_array(bias)
        geometry = stride, pairs(padding), *others
        return as_tensor(call(function, *arrays, *geometry, layout=layout_of(input, last)), last)

    def forward_fake(input: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
        *geometry, last = rest
        check(functions[len(geometry[0])], input=input, weight=weight, bias=bias)
        return empty(input, output_size(input, weight, *geometry), last)

    def forward_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, _, *ctx.rest = inputs
        ctx.save_for_backward(input, weight)

    def forward_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        needs = ctx.needs_input_grad[:3]
        gradients = grad_op(grad, *ctx.saved_tensors, needs, *ctx.rest)
        asked = [gradient if need else None for gradient, need in zip(gradients, needs, strict=True)]
        return *asked, *[None for _ in ctx.rest]

    def grad(grad_output: Tensor, input: Tensor, weight: Tensor, needs: Sequence[bool], *rest: Any) -> Gradients:
        stride, padding, *others, last = rest
        function = backwards[len(stride)]
        check(function, grad_output=grad_output, input=input, weight=weight)
        asked = [name for name, need in zip(("input", "weight", "bias"), needs, strict=True) if need]
        arrays = as_array(grad_output, last), as_array(input, last), _packable(weight) if needs[0] else as_array(weight)
        geometry = stride, pairs(padding), *others
        gradients = call(function, *arrays, *geometry, needs=asked, layout=layout_of(input, last))
        lasts = last, False, False
        return tuple(
            empty(input, [0], False) if array is None else as_tensor(array, order)
            for array, order in zip(gradients, lasts, strict=True)
        )

    def grad_fake(grad_output: Tensor, input: Tensor, weight: Tensor, needs: Sequence[bool], *rest: Any) -> Gradients:
        shapes = (input.shape, rest[-1]), (weight.shape, False), (grad_output.shape[1:2], False)
        return tuple(
            empty(input, shape, last) if need else empty(input, [0], False)
            for (shape, last), need in zip(shapes, needs, strict=True)
        )

    def grad_setup(ctx: Any, inputs: tuple[Any, ...], output: Gradients) -> None:
        grad_output, input, weight, ctx.needs, *ctx.rest = inputs
        ctx.save_for_backward(grad_output, input, weight)
        ctx.set_materialize_grads(False)

    def grad_gradients(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        grad_output, input, weight = ctx.saved_tensors
        of_input, of_weight, of_bias = [grad if need else None for grad, need in zip(grads, ctx.needs, strict=True)]
        to_grad_output = to_input = to_weight = None
        if ctx.needs_input_grad[0]:
            terms = []
            if of_input is not None:
                terms.append(op(of_input, weight, None, *ctx.rest))
            if of_weight is not None:
                terms.append(op(input, of_weight, None, *ctx.rest))
            if of_bias is not None:
                terms.append(of_bias.reshape(-1, *[1 for _ in weight.shape[2:]]).expand_as(grad_output))
            to_grad_output = reduce(add, terms) if terms else None
        if ctx.needs_input_grad[1] and of_weight is not None:
            to_input, _, _ = grad_op(grad_output, input, of_weight, (True, False, False), *ctx.rest)
        if ctx.needs_input_grad[2] and of_input is not None:
            _, to_weight, _ = grad_op(grad_output, of_input, weight, (False, True, False), *ctx.rest)
        return to_grad_output, to_input, to_weight, None, *[None for _ in ctx.rest]

    op = register(
        name,
        f"(Tensor input, Tensor weight, Tensor? bias, {numbers}, bool channels_last) -> Tensor",
        forward,
        forward_fake,
        forward_setup,
        forward_gradients,
    )
    grad_op = register(
        f"{name}_backward",
        f"(Tensor grad_output, Tensor input, Tensor weight, bool[] needs, {numbers}, bool channels_last) "
        "-> (Tensor, Tensor, Tensor)",
        grad,
        grad_fake,
        grad_setup,
        grad_gradients,
    )
    return op, grad_op


conv, conv_backward = _register_bilinear(
    "conv", "SymInt[] stride, SymInt[] padding, SymInt[] dilation, SymInt groups", _conv_size
)
conv_transpose, conv_transpose_backward = _register_bilinear(
    "conv_transpose",
    "SymInt[] stride, SymInt[] padding, SymInt[] output_padding, SymInt groups, SymInt[] dilation",
    _conv_transpose_size,
)
