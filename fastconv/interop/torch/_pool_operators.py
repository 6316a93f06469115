"""Pooling and normalisation: what runs on a CPU, what shapes it has, and how gradients pass through it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import fastconv

from ._registry import (
    Axes,
    as_array,
    as_shape,
    as_tensor,
    call,
    check,
    empty,
    functions_by_rank,
    layout_of,
    pairs,
    picked,
    register,
)

_MAX_POOL, _MAX_POOL_BACKWARD = functions_by_rank("max_pool{}d"), functions_by_rank("max_pool{}d_backward")
_AVG_POOL, _AVG_POOL_BACKWARD = functions_by_rank("avg_pool{}d"), functions_by_rank("avg_pool{}d_backward")


def _output_shape(
    input: Tensor, kernel_size: Axes, stride: Axes, padding: Axes, dilation: Axes, ceil_mode: bool
) -> list[int]:
    outputs = []
    for size, taps, step, (before, after), gap in zip(
        input.shape[2:], kernel_size, stride, pairs(padding), dilation, strict=True
    ):
        last_start = size + before + after - gap * (taps - 1) - 1
        count = (last_start + (step - 1 if ceil_mode else 0)) // step + 1
        if ceil_mode and (count - 1) * step >= size + before:  # no window begins in the padding at the end
            count -= 1
        outputs.append(count)
    return [*input.shape[:2], *outputs]


# ---- maxima ----


def _max_pool(
    input: Tensor,
    kernel_size: Axes,
    stride: Axes,
    padding: Axes,
    dilation: Axes,
    ceil_mode: bool,
    return_indices: bool,
    last: bool,
) -> tuple[Tensor, Tensor]:
    check(_MAX_POOL[len(kernel_size)], input=input)
    window = kernel_size, stride, pairs(padding), dilation, ceil_mode, return_indices
    found = call(_MAX_POOL[len(kernel_size)], as_array(input, last), *window, layout=layout_of(input, last))
    if not return_indices:
        return as_tensor(found, last), torch.empty(0, dtype=torch.int64)
    values, indices = found
    return as_tensor(values, last), as_tensor(indices, last)


def _max_pool_fake(input: Tensor, kernel_size: Axes, *window: Any) -> tuple[Tensor, Tensor]:
    *geometry, return_indices, last = window
    check(_MAX_POOL[len(kernel_size)], input=input)
    shape = _output_shape(input, kernel_size, *geometry)
    indices = empty(input, shape, last, torch.int64) if return_indices else empty(input, [0], False, torch.int64)
    return empty(input, shape, last), indices


def _max_pool_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    input, *window, _, _, last = inputs
    ctx.save_for_backward(output[1])
    ctx.rest = input.shape, *window, last


def _max_pool_gradients(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    return max_pool_backward(grad, *ctx.saved_tensors, *ctx.rest), *(None for _ in range(7))


def _max_pool_backward(
    grad_output: Tensor,
    indices: Tensor,
    input_size: Axes,
    kernel_size: Axes,
    stride: Axes,
    padding: Axes,
    dilation: Axes,
    last: bool,
) -> Tensor:
    function = _MAX_POOL_BACKWARD[len(kernel_size)]
    check(function, grad_output=grad_output)
    arrays = as_array(grad_output, last), as_array(indices, last)
    shape, window = as_shape(input_size, last), (kernel_size, stride, pairs(padding), dilation)
    return as_tensor(call(function, *arrays, shape, *window, layout=layout_of(grad_output, last)), last)


def _max_pool_backward_fake(grad_output: Tensor, indices: Tensor, input_size: Axes, *window: Any) -> Tensor:
    return empty(grad_output, input_size, window[-1])


def _max_pool_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _max_pool_backward_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return picked(grad, *ctx.saved_tensors), *(None for _ in range(7))


max_pool = register(
    "max_pool",
    "(Tensor input, SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, SymInt[] dilation, bool ceil_mode, "
    "bool return_indices, bool channels_last) -> (Tensor, Tensor)",
    _max_pool,
    _max_pool_fake,
    _max_pool_setup,
    _max_pool_gradients,
)
max_pool_backward = register(
    "max_pool_backward",
    "(Tensor grad_output, Tensor indices, SymInt[] input_size, SymInt[] kernel_size, SymInt[] stride, "
    "SymInt[] padding, SymInt[] dilation, bool channels_last) -> Tensor",
    _max_pool_backward,
    _max_pool_backward_fake,
    _max_pool_backward_setup,
    _max_pool_backward_gradients,
)


# ---- means: a linear map and its transpose, each the gradient of the other ----


def _avg_pool(input: Tensor, kernel_size: Axes, stride: Axes, padding: Axes, *rest: Any) -> Tensor:
    *counting, last = rest
    check(_AVG_POOL[len(kernel_size)], input=input)
    window = kernel_size, stride, pairs(padding), *counting
    return as_tensor(
        call(_AVG_POOL[len(kernel_size)], as_array(input, last), *window, layout=layout_of(input, last)), last
    )


def _avg_pool_fake(input: Tensor, kernel_size: Axes, stride: Axes, padding: Axes, *rest: Any) -> Tensor:
    ceil_mode, _, _, last = rest
    check(_AVG_POOL[len(kernel_size)], input=input)
    return empty(input, _output_shape(input, kernel_size, stride, padding, [1] * len(kernel_size), ceil_mode), last)


def _avg_pool_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, *ctx.rest = inputs
    ctx.input_size = input.shape


def _avg_pool_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return avg_pool_backward(grad, ctx.input_size, *ctx.rest), *(None for _ in ctx.rest)


def _avg_pool_backward(
    grad_output: Tensor, input_size: Axes, kernel_size: Axes, stride: Axes, padding: Axes, *rest: Any
) -> Tensor:
    *counting, last = rest
    function = _AVG_POOL_BACKWARD[len(kernel_size)]
    check(function, grad_output=grad_output)
    shape, window = as_shape(input_size, last), (kernel_size, stride, pairs(padding), *counting)
    return as_tensor(
        call(function, as_array(grad_output, last), shape, *window, layout=layout_of(grad_output, last)), last
    )


def _avg_pool_backward_fake(grad_output: Tensor, input_size: Axes, *rest: Any) -> Tensor:
    return empty(grad_output, input_size, rest[-1])


def _avg_pool_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, _, *ctx.rest = inputs


def _avg_pool_backward_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return avg_pool(grad, *ctx.rest), None, *(None for _ in ctx.rest)


_AVG_POOL_ARGUMENTS = (
    "SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, bool ceil_mode, bool count_include_pad, "
    "SymInt? divisor_override, bool channels_last"
)
avg_pool = register(
    "avg_pool",
    f"(Tensor input, {_AVG_POOL_ARGUMENTS}) -> Tensor",
    _avg_pool,
    _avg_pool_fake,
    _avg_pool_setup,
    _avg_pool_gradients,
)
avg_pool_backward = register(
    "avg_pool_backward",
    f"(Tensor grad_output, SymInt[] input_size, {_AVG_POOL_ARGUMENTS}) -> Tensor",
    _avg_pool_backward,
    _avg_pool_backward_fake,
    _avg_pool_backward_setup,
    _avg_pool_backward_gradients,
)


# ---- local response normalisation ----


def _norm(input: Tensor, *rest: Any) -> Tensor:
    *numbers, last = rest
    check(fastconv.local_response_norm, input=input)
    result = call(fastconv.local_response_norm, as_array(input, last), *numbers, layout=layout_of(input, last))
    return as_tensor(result, last)


def _norm_fake(input: Tensor, *rest: Any) -> Tensor:
    check(fastconv.local_response_norm, input=input)
    return empty(input, input.shape, rest[-1])


def _norm_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, *ctx.rest = inputs
    ctx.save_for_backward(input)


def _norm_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return local_response_norm_backward(grad, *ctx.saved_tensors, *ctx.rest), *(None for _ in ctx.rest)


def _norm_backward(grad_output: Tensor, input: Tensor, *rest: Any) -> Tensor:
    *numbers, last = rest
    check(fastconv.local_response_norm_backward, grad_output=grad_output, input=input)
    arrays = as_array(grad_output, last), as_array(input, last)
    return as_tensor(
        call(fastconv.local_response_norm_backward, *arrays, *numbers, layout=layout_of(input, last)), last
    )


def _norm_backward_fake(grad_output: Tensor, input: Tensor, *rest: Any) -> Tensor:
    return empty(input, input.shape, rest[-1])


def _norm_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Nothing to keep for a gradient that there is not."""


def _norm_backward_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    raise NotImplementedError(
        "local_response_norm: its gradient has no gradient; needs torch.nn.functional.local_response_norm where "
        "second derivatives are wanted"
    )


_NORM_ARGUMENTS = "SymInt size, float alpha, float beta, float k, bool channels_last"
local_response_norm = register(
    "local_response_norm",
    f"(Tensor input, {_NORM_ARGUMENTS}) -> Tensor",
    _norm,
    _norm_fake,
    _norm_setup,
    _norm_gradients,
)
local_response_norm_backward = register(
    "local_response_norm_backward",
    f"(Tensor grad_output, Tensor input, {_NORM_ARGUMENTS}) -> Tensor",
    _norm_backward,
    _norm_backward_fake,
    _norm_backward_setup,
    _norm_backward_gradients,
)
