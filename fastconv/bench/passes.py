"""What can be run of a layer: its passes, each with operands and one call that the ops and the reference both take.

Because `fastconv.reference` has the names and signatures of the ops, ``call(ops, *operands)`` is the fast result, the
true one, and, on absolute values, the sum of the magnitudes that its error is bounded by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import choose_algorithm, reference
from .._types import Array
from ..reference import winograd
from .workloads import Conv, Layer, Norm, Pool

__all__ = ["Pass", "covering", "describe", "passes"]


@dataclass(frozen=True)
class Pass:
    """One op on random operands."""

    name: str
    call: Callable[..., Any]
    operands: tuple[Array, ...]
    operations: int
    """Floating point operations: two a multiply-add; for pools, one an addition or comparison."""
    roundings: int
    """The most that any element of the result passes through, in whatever order its terms are summed."""
    magnitude: Callable[..., Array] | None = None
    """The sum of the magnitudes of the terms, in float64, where `call` on absolute values is not that."""


def describe(layer: Layer) -> str:
    """The geometry in a few characters: ``96x27x27 -> 256x27x27, 5x5 p2 g2``."""
    if isinstance(layer, Norm):
        return f"{_by(layer.channels, *layer.size)}, over {layer.neighbours} channels"
    channels = layer.filters if isinstance(layer, Conv) else layer.channels
    text = f"{_by(layer.channels, *layer.size)} -> {_by(channels, *layer.output_size)}, {_by(*layer.kernel_size)}"
    text += f"/{_each(layer.strides)}" if max(layer.strides) > 1 else ""
    text += f" p{_each(layer.pads)}" if max(map(max, layer.pads)) else ""
    text += f" d{_each(layer.dilations)}" if max(layer.dilations) > 1 else ""
    if isinstance(layer, Conv):
        text += f" g{layer.groups}" if layer.groups != 1 else ""
        text += " transposed" if layer.transposed else ""
    return text


def passes(layer: Layer, dtype: Any, algorithm: str = "auto", batch: int = 1, seed: int = 0) -> Iterator[Pass]:
    """Forward and gradients of `layer` on normally distributed numbers, one after the other."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype)

    if isinstance(layer, Conv):
        each = _transposed_passes if layer.transposed else _conv_passes
        yield from each(layer, normal, algorithm, batch)
    elif isinstance(layer, Norm):
        yield from _norm_passes(layer, normal, batch)
    elif layer.kind == "max":
        yield from _max_pool_passes(layer, normal, batch)
    else:
        yield from _avg_pool_passes(layer, normal, batch)


def _conv_passes(layer: Conv, normal: Callable[..., Array], algorithm: str, batch: int) -> Iterator[Pass]:
    op = f"conv{len(layer.size)}d"
    x, w = normal(batch, layer.channels, *layer.size), normal(*layer.weight_shape)
    b, g = (normal(layer.filters),) if layer.bias else (), normal(batch, layer.filters, *layer.output_size)
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    flops = 2 * batch * layer.multiply_adds

    def forward(ops: Any, x: Array, w: Array, b: Array | None = None) -> Array:
        return getattr(ops, op)(x, w, b, *geometry, algorithm=algorithm)

    def grad_input(ops: Any, g: Array, w: Array) -> Array:
        return getattr(ops, f"{op}_grad_input")(g, w, x.shape, *geometry, algorithm=algorithm)

    def grad_weight(ops: Any, g: Array, x: Array) -> Array:
        return getattr(ops, f"{op}_grad_weight")(g, x, w.shape, *geometry, algorithm=algorithm)

    terms = {"forward": math.prod(w.shape[1:]) + 1, "grad_input": layer.filters // layer.groups * _covering(layer)}
    for run, operands in ((forward, (x, w, *b)), (grad_input, (g, w))):
        name = run.__name__
        options = {"dtype": x.dtype, "algorithm": algorithm, "pass_name": name}
        if choose_algorithm(x.shape, w.shape, *geometry, **options).algorithm == "winograd":
            yield Pass(name, run, operands, flops, *_winograd_bound(layer, name))
        else:
            # A sum of n products, in any order and with or without FMA, has at most n roundings on the way of any term.
            yield Pass(name, run, operands, flops, terms[name])
    yield Pass("grad_weight", grad_weight, (g, x), flops, batch * math.prod(layer.output_size))


def _winograd_bound(layer: Conv, name: str) -> tuple[int, Callable[..., Array]]:
    """Roundings, and the sum of magnitudes, of a pass; the gradient of the input has stride 1."""
    pads = tuple(before for before, _ in layer.pads)
    swaps = name == "grad_input"
    channels = (layer.filters if swaps else layer.channels) // layer.groups
    size = layer.size if swaps else layer.output_size
    if swaps and winograd.transposes(layer.kernel_size, layer.strides):

        def of_transpose(image: Array, w: Array) -> Array:
            return winograd.transposed_magnitude(image, w, tuple(-pad for pad in pads), size, layer.groups)

        return winograd.transposed_roundings(channels) + 1, of_transpose
    offset = tuple(pad - (taps - 1) if swaps else -pad for pad, taps in zip(pads, layer.kernel_size, strict=True))
    stride = (1,) * layer.rank if swaps else layer.strides

    def magnitude(image: Array, w: Array, b: Array | None = None) -> Array:
        if swaps:  # channels exchanged within each group, taps turned
            w = w.reshape(layer.groups, -1, *w.shape[1:]).swapaxes(1, 2)
            w = np.flip(w.reshape(-1, *w.shape[2:]), range(2, 2 + layer.rank))
        total = winograd.magnitude(image, w, offset, size, layer.groups, stride)
        return total if b is None else total + np.abs(b).reshape(-1, *(1,) * layer.rank)

    return winograd.roundings(layer.kernel_size, channels, stride) + 1, magnitude


def _transposed_passes(layer: Conv, normal: Callable[..., Array], algorithm: str, batch: int) -> Iterator[Pass]:
    """Its gradients are the convolution that it transposes, and that one's gradient of the weights."""
    conv, op = f"conv{layer.rank}d", f"conv_transpose{layer.rank}d"
    x, w = normal(batch, layer.channels, *layer.size), normal(*layer.weight_shape)
    b, g = (normal(layer.filters),) if layer.bias else (), normal(batch, layer.filters, *layer.output_size)
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    transposed = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    flops = 2 * batch * layer.multiply_adds

    def forward(ops: Any, x: Array, w: Array, b: Array | None = None) -> Array:
        return getattr(ops, op)(x, w, b, *transposed, algorithm=algorithm)

    def grad_input(ops: Any, g: Array, w: Array) -> Array:
        return getattr(ops, conv)(g, w, None, *geometry, algorithm=algorithm)

    def grad_weight(ops: Any, x: Array, g: Array) -> Array:
        return getattr(ops, f"{conv}_grad_weight")(x, g, w.shape, *geometry, algorithm=algorithm)

    yield Pass("forward", forward, (x, w, *b), flops, layer.channels // layer.groups * _covering(layer) + 1)
    yield Pass("grad_input", grad_input, (g, w), flops, math.prod(w.shape[1:]))
    yield Pass("grad_weight", grad_weight, (x, g), flops, batch * math.prod(layer.size))


def _max_pool_passes(layer: Pool, normal: Callable[..., Array], batch: int) -> Iterator[Pass]:
    op = f"max_pool{len(layer.size)}d"
    x, g = normal(batch, layer.channels, *layer.size), normal(batch, layer.channels, *layer.output_size)
    window = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    _, indices = getattr(reference, op)(x, *window, layer.ceil_mode, return_indices=True)

    def forward(ops: Any, x: Array) -> tuple[Array, Array]:
        return getattr(ops, op)(x, *window, layer.ceil_mode, return_indices=True)

    def backward(ops: Any, g: Array, indices: Array) -> Array:
        return getattr(ops, f"{op}_backward")(g, indices, x.shape, *window)

    yield Pass("forward", forward, (x,), g.size * math.prod(layer.kernel_size), 0)
    yield Pass("backward", backward, (g, indices), g.size, _covering(layer) - 1)


def _avg_pool_passes(layer: Pool, normal: Callable[..., Array], batch: int) -> Iterator[Pass]:
    window: tuple[Any, ...]
    backward_window: tuple[Any, ...]
    if layer.kind == "global":
        op, window, backward_window = f"adaptive_avg_pool{layer.rank}d", (1,), ()
    else:
        op, window = f"avg_pool{layer.rank}d", (layer.kernel_size, layer.stride, layer.padding)
        window = backward_window = (*window, layer.ceil_mode, layer.count_include_pad)
    x, g = normal(batch, layer.channels, *layer.size), normal(batch, layer.channels, *layer.output_size)

    def forward(ops: Any, x: Array) -> Array:
        return getattr(ops, op)(x, *window)

    def backward(ops: Any, g: Array) -> Array:
        return getattr(ops, f"{op}_backward")(g, x.shape, *backward_window)

    # n - 1 additions, and two roundings where the division is a multiplication by the rounded reciprocal.
    additions = g.size * math.prod(layer.kernel_size)
    yield Pass("forward", forward, (x,), additions, math.prod(layer.kernel_size) + 1)
    yield Pass("backward", backward, (g,), additions, _covering(layer) + 1)


def _norm_passes(layer: Norm, normal: Callable[..., Array], batch: int) -> Iterator[Pass]:
    x, g = normal(batch, layer.channels, *layer.size), normal(batch, layer.channels, *layer.size)
    window = (layer.neighbours, layer.alpha, layer.beta, layer.k)

    def forward(ops: Any, x: Array) -> Array:
        return ops.local_response_norm(x, *window)

    def backward(ops: Any, g: Array, x: Array) -> Array:
        return ops.local_response_norm_backward(g, x, *window)

    def magnitude(g: Array, x: Array) -> Array:
        direct = np.abs(g) * reference.local_response_norm(np.abs(x), *window) / np.abs(x)
        return 2 * direct - reference.local_response_norm_backward(np.abs(g), np.abs(x), *window)

    # A square, a sum of n, a multiply-add; three quarters of that through the power, which adds four of its own.
    n = layer.neighbours
    yield Pass("forward", forward, (x,), x.size * (2 * n + 7), n + 8)
    yield Pass("backward", backward, (g, x), x.size * (3 * n + 15), 3 * n + 18, magnitude)


def covering(kernel_size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> int:
    """The most windows that any one element of the input lies in."""
    axes = zip(kernel_size, strides, dilations, strict=True)
    return math.prod(-(-k // (stride // math.gcd(stride, dilation))) for k, stride, dilation in axes)


def _covering(layer: Conv | Pool) -> int:
    return covering(layer.kernel_size, layer.strides, layer.dilations)


def _by(*sizes: int) -> str:
    return "x".join(map(str, sizes))


def _each(axes: Sequence[int | tuple[int, int]]) -> str:
    """One number for all axes where they agree: ``2``, ``0x3``, ``(4+0)``."""
    texts = [str(a) if isinstance(a, int) else str(a[0]) if a[0] == a[1] else f"({a[0]}+{a[1]})" for a in axes]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)
