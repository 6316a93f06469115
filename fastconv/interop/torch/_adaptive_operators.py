"""Adaptive pooling: what runs on a CPU, what shapes it has, and how gradients pass through it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
    picked,
    register,
)

_MAX_POOL = functions_by_rank("adaptive_max_pool{}d")
_MAX_POOL_BACKWARD = functions_by_rank("adaptive_max_pool{}d_backward")
_AVG_POOL = functions_by_rank("adaptive_avg_pool{}d")
_AVG_POOL_BACKWARD = functions_by_rank("adaptive_avg_pool{}d_backward")


# ---- maxima ----


def _max_pool(input: Tensor, output_size: Axes, return_indices: bool, last: bool) -> tuple[Tensor, Tensor]:
    function = _MAX_POOL[len(output_size)]
    check(function, input=input)
    found = call(function, as_array(input, last), tuple(output_size), return_indices, layout=layout_of(input, last))
    if not return_indices:
        return as_tensor(found, last), torch.empty(0, dtype=torch.int64)
    values, indices = found
    return as_tensor(values, last), as_tensor(indices, last)


def _max_pool_fake(input: Tensor, output_size: Axes, return_indices: bool, last: bool) -> tuple[Tensor, Tensor]:
    check(_MAX_POOL[len(output_size)], input=input)
    shape = [*input.shape[:2], *output_size]
    indices = empty(input, shape, last, torch.int64) if return_indices else empty(input, [0], False, torch.int64)
    return empty(input, shape, last), indices


def _max_pool_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.rest = inputs[0].shape, inputs[3]


def _max_pool_gradients(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    return adaptive_max_pool_backward(grad, *ctx.saved_tensors, *ctx.rest), None, None, None


def _max_pool_backward(grad_output: Tensor, indices: Tensor, input_size: Axes, last: bool) -> Tensor:
    function = _MAX_POOL_BACKWARD[len(input_size) - 2]
    check(function, grad_output=grad_output)
    arrays = as_array(grad_output, last), as_array(indices, last)
    return as_tensor(call(function, *arrays, as_shape(input_size, last), layout=layout_of(grad_output, last)), last)


def _max_pool_backward_fake(grad_output: Tensor, indices: Tensor, input_size: Axes, last: bool) -> Tensor:
    return empty(grad_output, input_size, last)


def _max_pool_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _max_pool_backward_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return picked(grad, *ctx.saved_tensors), None, None, None


adaptive_max_pool = register(
    "adaptive_max_pool",
    "(Tensor input, SymInt[] output_size, bool return_indices, bool channels_last) -> (Tensor, Tensor)",
    _max_pool,
    _max_pool_fake,
    _max_pool_setup,
    _max_pool_gradients,
)
adaptive_max_pool_backward = register(
    "adaptive_max_pool_backward",
    "(Tensor grad_output, Tensor indices, SymInt[] input_size, bool channels_last) -> Tensor",
    _max_pool_backward,
    _max_pool_backward_fake,
    _max_pool_backward_setup,
    _max_pool_backward_gradients,
)


# ---- means: a linear map and its transpose, each the gradient of the other ----


def _avg_pool(input: Tensor, output_size: Axes, last: bool) -> Tensor:
    function = _AVG_POOL[len(output_size)]
    check(function, input=input)
    return as_tensor(call(function, as_array(input, last), tuple(output_size), layout=layout_of(input, last)), last)


def _avg_pool_fake(input: Tensor, output_size: Axes, last: bool) -> Tensor:
    check(_AVG_POOL[len(output_size)], input=input)
    return empty(input, [*input.shape[:2], *output_size], last)


def _avg_pool_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.rest = inputs[0].shape, inputs[2]


def _avg_pool_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return adaptive_avg_pool_backward(grad, *ctx.rest), None, None


def _avg_pool_backward(grad_output: Tensor, input_size: Axes, last: bool) -> Tensor:
    function = _AVG_POOL_BACKWARD[len(input_size) - 2]
    check(function, grad_output=grad_output)
    shape = as_shape(input_size, last)
    return as_tensor(call(function, as_array(grad_output, last), shape, layout=layout_of(grad_output, last)), last)


def _avg_pool_backward_fake(grad_output: Tensor, input_size: Axes, last: bool) -> Tensor:
    return empty(grad_output, input_size, last)


def _avg_pool_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.rest = inputs[0].shape[2:], inputs[2]


def _avg_pool_backward_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return adaptive_avg_pool(grad, *ctx.rest), None, None


adaptive_avg_pool = register(
    "adaptive_avg_pool",
    "(Tensor input, SymInt[] output_size, bool channels_last) -> Tensor",
    _avg_pool,
    _avg_pool_fake,
    _avg_pool_setup,
    _avg_pool_gradients,
)
adaptive_avg_pool_backward = register(
    "adaptive_avg_pool_backward",
    "(Tensor grad_output, SymInt[] input_size, bool channels_last) -> Tensor",
    _avg_pool_backward,
    _avg_pool_backward_fake,
    _avg_pool_backward_setup,
    _avg_pool_backward_gradients,
)
