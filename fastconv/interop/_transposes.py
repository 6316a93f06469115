"""What libraries that differentiate need beside fastconv's own functions: transposes of linear maps, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv._types import Array, Layout

from ._layouts import is_last


def conv_transpose_grad_input(
    backward: Callable[..., Any], grad_output: Array, weight: Array, shape: Sequence[int], *rest: Any, **options: Any
) -> Array:
    """Of a transposed convolution, by its `backward`, which wants an input, but only for its shape."""
    return backward(grad_output, _stand_in(shape, grad_output), weight, *rest, needs=("input",), **options)[0]


def conv_transpose_grad_weight(
    backward: Callable[..., Any], grad_output: Array, input: Array, shape: Sequence[int], *rest: Any, **options: Any
) -> Array:
    """Of a transposed convolution, by its `backward`, which wants a weight, but only for its shape."""
    return backward(grad_output, input, _stand_in(shape, grad_output), *rest, needs=("weight",), **options)[1]


def _stand_in(shape: Sequence[int], like: Array) -> Array:
    return np.broadcast_to(np.zeros((), np.asarray(like).dtype), shape)


def taken(input: Array, indices: Array, rank: int, layout: Layout | None) -> Array:
    """The elements of the planes of `input` that `indices` number: what max pooling is once they are known."""
    first = input.ndim - rank - is_last(layout)  # of the spatial axes
    flat = [array.reshape(*array.shape[:first], -1, *array.shape[first + rank :]) for array in (input, indices)]
    return np.take_along_axis(*flat, axis=first).reshape(indices.shape)
