"""Whether a result is right: held against `fastconv.reference` in float64, element by element.

The bound is that of ``python -m fastconv check``: gamma(n) * sum |terms|, n the roundings on the way of any term. In
results that come through a transform, Fourier's or Winograd's, errors follow the largest element or sum instead.

The reference of a large problem would take longer than its timing. What exceeds `BUDGET` multiply-adds is checked in
part, always in the same places: of a convolution's output (and of the gradient in its input) a box at the first corner,
one at the last and two between them, up to 16 channels of the first and the last group, of the first and the last item;
of the gradient in the weights some filters, channels and taps; of pools some planes. In all of the result, what is not
finite is wrong.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .. import reference
from .._types import Array
from .check import compare, error_bound
from .passes import covering
from .peers.protocol import Tolerance
from .problem import Operands, Problem
from .workloads import Conv, Pool

__all__ = ["BUDGET", "verify"]

BUDGET = 20_000_000
"""Multiply-adds of the reference, twice that with the sum of the magnitudes: about a tenth of a second."""

Box: TypeAlias = tuple[tuple[int, int], ...]
"""A (start, stop) an axis."""


@dataclass(frozen=True)
class Part:
    """A part of the result, what it should be, and what the magnitudes of its terms add to (0 if nothing is added)."""

    index: tuple[Any, ...]
    want: Array
    magnitude: Array


def verify(problem: Problem, operands: Operands, got: Any, tolerance: Tolerance = "sum", budget: int = BUDGET) -> str:
    """Say what is wrong with a result (channels first; a pair where the op gives one); nothing if it is right."""
    parts = _conv_parts if isinstance(problem.layer, Conv) else _pool_parts
    values = got[0] if isinstance(got, tuple) else got
    shape = _result_shape(problem)
    if values.shape != shape:
        return f"shape {values.shape}, expected {shape}"
    if values.dtype != np.dtype(problem.dtype):
        return f"{values.dtype}, expected {problem.dtype}"
    if not np.isfinite(values).all():
        return f"{int((~np.isfinite(values)).sum())} elements are not finite"
    for part in parts(problem, operands, budget):
        if isinstance(got, tuple):  # max pooling with indices: two results in one array of pairs
            for result, want in zip(got, part.want, strict=True):
                failure = compare(result[part.index], want, np.zeros(want.shape)).failure
                if failure:
                    return failure
            continue
        bound = error_bound(_roundings(problem), part.magnitude, values.dtype)
        if tolerance == "tile":
            bound = np.maximum(bound, _tile_bound(part.magnitude, values.dtype))
        if tolerance == "spectrum":
            bound = np.maximum(bound, _spectrum_bound(problem, part.want, values.dtype))
        failure = compare(values[part.index], part.want, bound).failure
        if failure:
            return failure
    return ""


def _tile_bound(magnitude: Array, dtype: Any) -> float:
    """What Winograd's transforms may err by: every sum of a tile is made of all its elements, the largest too."""
    return 16 * float(np.finfo(dtype).eps) * float(magnitude.max())


def _spectrum_bound(problem: Problem, want: Array, dtype: Any) -> float:
    """What a Fourier transform may err by: a few roundings at each of its log2(n) levels, all of the largest size."""
    levels = math.log2(max(2, math.prod(problem.layer.size)))
    return 16 * levels * float(np.finfo(dtype).eps) * float(np.abs(want).max())


def _result_shape(problem: Problem) -> tuple[int, ...]:
    if problem.pass_name == "grad_input":
        return problem.input_shape
    if problem.pass_name == "grad_weight":
        assert isinstance(problem.layer, Conv)
        return problem.layer.weight_shape
    return problem.output_shape


def _roundings(problem: Problem) -> int:
    layer = problem.layer
    if isinstance(layer, Pool):
        if problem.pass_name == "grad_input":
            return covering(layer.kernel_size, layer.strides, layer.dilations) + 1
        return 0 if layer.kind == "max" else math.prod(layer.kernel_size) + 1
    if problem.pass_name == "grad_weight":
        return problem.batch * math.prod(layer.size if layer.transposed else layer.output_size)
    # A transposed convolution adds as the gradient in the input does, and the other way about.
    scatters = (problem.pass_name == "grad_input") != layer.transposed
    terms = covering(layer.kernel_size, layer.strides, layer.dilations) if scatters else math.prod(layer.kernel_size)
    channels = layer.filters if problem.pass_name == "grad_input" else layer.channels
    return channels // layer.groups * terms + 1


# ---- pools


def _pool_parts(problem: Problem, operands: Operands, budget: int) -> Iterator[Part]:
    layer = problem.layer
    assert isinstance(layer, Pool)
    work = math.prod(layer.output_size) * math.prod(layer.kernel_size)
    index: tuple[Any, ...] = (_ends(problem.batch), slice(None))
    if problem.batch * layer.channels * work > budget:
        index = np.ix_(_ends(problem.batch), _some(problem, layer.channels, max(1, budget // work // 2)))
    window: tuple[Any, ...] = (layer.kernel_size, layer.stride, layer.padding)
    if problem.pass_name == "grad_input":
        backward = getattr(reference, f"{problem.op}_backward")
        g = operands.grad[index].astype(np.float64)
        arrays: tuple[Any, ...] = ((*g.shape[:2], *layer.size),)
        if layer.kind == "max":
            arrays, window = (operands.indices[index], *arrays), (*window, layer.dilation)
        else:
            window = () if layer.kind == "global" else (*window, layer.ceil_mode, layer.count_include_pad)
        yield Part(index, backward(g, *arrays, *window), backward(np.abs(g), *arrays, *window))
        return
    x, forward = operands.input[index].astype(np.float64), getattr(reference, problem.op)
    if layer.kind == "max":
        indexed = problem.pass_name == "forward_indices"
        want = forward(x, *window, layer.dilation, layer.ceil_mode, return_indices=indexed)
        yield Part(index, want, np.zeros(() if indexed else want.shape))
        return
    window = (1,) if layer.kind == "global" else (*window, layer.ceil_mode, layer.count_include_pad)
    yield Part(index, forward(x, *window), forward(np.abs(x), *window))


# ---- convolutions


def _conv_parts(problem: Problem, operands: Operands, budget: int) -> Iterator[Part]:
    layer = problem.layer
    assert isinstance(layer, Conv)
    whole = problem.batch * layer.multiply_adds <= budget
    # In a window that lies wholly in the padding there is nothing to cut out of the input.
    if (
        whole
        or layer.transposed
        or any(reach <= max(pads) for reach, pads in zip(layer.reach, layer.pads, strict=True))
    ):
        yield _whole(problem, operands)
        return
    parts = {"forward": _forward, "grad_input": _grad_input, "grad_weight": _grad_weight}[problem.pass_name]
    yield from parts(problem, layer, operands, budget)


def _whole(problem: Problem, operands: Operands) -> Part:
    layer, ops = problem.layer, reference
    assert isinstance(layer, Conv)
    window = {
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
    } | ({"output_padding": layer.output_padding} if layer.transposed else {})

    def run(sign: Any) -> Array:
        w = sign(operands.weight.astype(np.float64))
        if problem.pass_name == "forward":
            b = None if operands.bias is None else sign(operands.bias.astype(np.float64))
            return np.asarray(getattr(ops, problem.op)(sign(operands.input.astype(np.float64)), w, b, **window))
        g = sign(operands.grad.astype(np.float64))
        if layer.transposed:
            need, number = ("input", 0) if problem.pass_name == "grad_input" else ("weight", 1)
            x = sign(operands.input.astype(np.float64))
            return getattr(ops, f"{problem.op}_backward")(g, x, w, **window, needs=(need,))[number]
        if problem.pass_name == "grad_input":
            return np.asarray(getattr(ops, f"{problem.op}_grad_input")(g, w, problem.input_shape, **window))
        x = sign(operands.input.astype(np.float64))
        return np.asarray(getattr(ops, f"{problem.op}_grad_weight")(g, x, w.shape, **window))

    return Part((...,), run(lambda array: array), run(np.abs))


class _Axis:
    """One spatial axis of a convolution."""

    def __init__(self, layer: Conv, axis: int) -> None:
        self.size, self.out, self.kernel = layer.size[axis], layer.output_size[axis], layer.kernel_size[axis]
        self.stride, self.padding = layer.strides[axis], layer.pads[axis][0]
        self.dilation, self.reach = layer.dilations[axis], layer.reach[axis]

    def reading(self, start: int, stop: int, first_tap: int = 0, taps: int = 0) -> tuple[slice, tuple[int, int]]:
        """Where windows start to stop - 1 read in the input, and the padding before and after that.

        With `taps`, only that many from the `first_tap`.
        """
        low = start * self.stride - self.padding + first_tap * self.dilation
        reach = self.dilation * (taps - 1) + 1 if taps else self.reach
        high = low + (stop - 1 - start) * self.stride + reach
        return slice(max(low, 0), min(high, self.size)), (max(-low, 0), max(high - self.size, 0))

    def writing(self, start: int, stop: int) -> tuple[int, int]:
        """The windows that read from elements start to stop - 1 of the input."""
        low = -(-(start + self.padding - self.reach + 1) // self.stride)
        return max(low, 0), min((stop - 1 + self.padding) // self.stride + 1, self.out)


def _forward(problem: Problem, layer: Conv, operands: Operands, budget: int) -> Iterator[Part]:
    axes, items = [_Axis(layer, axis) for axis in range(problem.rank)], _ends(problem.batch)
    per_group, inputs = layer.filters // layer.groups, layer.channels // layer.groups
    groups, filters = _ends(layer.groups), _some(problem, per_group, 16)
    one = len(items) * len(groups) * len(filters) * inputs * math.prod(layer.kernel_size)
    conv = getattr(reference, f"conv{problem.rank}d")
    for box in _boxes(problem, layer.output_size, budget // one):
        cuts, pads = zip(*(axis.reading(*ends) for axis, ends in zip(axes, box, strict=True)), strict=True)
        for group in groups:
            chosen = group * per_group + filters
            x = operands.input[(items, slice(group * inputs, (group + 1) * inputs), *cuts)].astype(np.float64)
            w = operands.weight[chosen].astype(np.float64)
            b = None if operands.bias is None else operands.bias[chosen].astype(np.float64)
            options = {"stride": layer.stride, "padding": pads, "dilation": layer.dilation}
            want = conv(x, w, b, **options)
            magnitude = conv(np.abs(x), np.abs(w), None if b is None else np.abs(b), **options)
            yield Part(_index(items, chosen, box), want, magnitude)


def _grad_input(problem: Problem, layer: Conv, operands: Operands, budget: int) -> Iterator[Part]:
    axes, items = [_Axis(layer, axis) for axis in range(problem.rank)], _ends(problem.batch)
    outputs, per_group = layer.filters // layer.groups, layer.channels // layer.groups
    groups, channels = _ends(layer.groups), _some(problem, per_group, 16)
    one = len(items) * len(groups) * len(channels) * outputs * math.prod(layer.kernel_size)
    backward = getattr(reference, f"conv{problem.rank}d_grad_input")
    for box in _boxes(problem, layer.size, budget // one):
        windows = [axis.writing(*ends) for axis, ends in zip(axes, box, strict=True)]
        for group in groups:
            chosen = group * per_group + channels
            want = np.zeros((len(items), len(chosen), *(stop - start for start, stop in box)))
            magnitude = np.zeros_like(want)
            if all(start < stop for start, stop in windows):
                rows = slice(group * outputs, (group + 1) * outputs)
                g = operands.grad[(items, rows, *(slice(*ends) for ends in windows))].astype(np.float64)
                w = operands.weight[rows][:, channels].astype(np.float64)
                lengths = [
                    (stop - 1 - start) * axis.stride + axis.reach
                    for axis, (start, stop) in zip(axes, windows, strict=True)
                ]
                shape = (len(items), len(chosen), *lengths)
                target, source = _overlap(axes, windows, lengths, box)
                for result, sign in ((want, np.asarray), (magnitude, np.abs)):
                    grad = backward(sign(g), sign(w), shape, layer.stride, 0, layer.dilation)
                    result[(..., *target)] = grad[(..., *source)]
            yield Part(_index(items, chosen, box), want, magnitude)


def _overlap(axes: list[_Axis], windows: list[tuple[int, int]], lengths: list[int], box: Box) -> tuple[Any, Any]:
    """Where what the windows read lies in the box, and where the box lies in what they read."""
    target, source = [], []
    for axis, (first, _), length, (start, stop) in zip(axes, windows, lengths, box, strict=True):
        origin = first * axis.stride - axis.padding
        low, high = max(start, origin), min(stop, origin + length)
        target.append(slice(low - start, high - start))
        source.append(slice(low - origin, high - origin))
    return target, source


def _grad_weight(problem: Problem, layer: Conv, operands: Operands, budget: int) -> Iterator[Part]:
    axes = [_Axis(layer, axis) for axis in range(problem.rank)]
    outputs, inputs = layer.filters // layer.groups, layer.channels // layer.groups
    groups, positions = _ends(layer.groups), problem.batch * math.prod(layer.output_size)
    # All positions go into every element. Products of matrices are cheap, arrays copied for each tap are not.
    room = max(1, budget // positions // len(groups))
    taps = [min(axis.kernel, 3) for axis in axes] if room < math.prod(layer.kernel_size) else list(layer.kernel_size)
    side = max(1, math.isqrt(room // math.prod(taps)))
    filters, channels = _some(problem, outputs, side), _some(problem, inputs, side)
    start = [(axis.kernel - count) // 2 for axis, count in zip(axes, taps, strict=True)]
    cuts, pads = zip(
        *(axis.reading(0, axis.out, *tap) for axis, tap in zip(axes, zip(start, taps, strict=True), strict=True)),
        strict=True,
    )
    backward = getattr(reference, f"conv{problem.rank}d_grad_weight")
    for group in groups:
        g = operands.grad[:, group * outputs + filters].astype(np.float64)
        x = operands.input[(slice(None), group * inputs + channels, *cuts)].astype(np.float64)
        shape = (len(filters), len(channels), *taps)
        want, magnitude = (
            backward(sign(g), sign(x), shape, layer.stride, pads, layer.dilation) for sign in (np.asarray, np.abs)
        )
        box = tuple((first, first + count) for first, count in zip(start, taps, strict=True))
        yield Part(_index(group * outputs + filters, channels, box), want, magnitude)


def _index(first: Array, second: Array, box: Box) -> tuple[Any, ...]:
    return (*np.ix_(first, second), *(slice(*ends) for ends in box))


def _ends(count: int) -> Array:
    return np.unique([0, count - 1])


def _random(problem: Problem) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(problem.key.encode()))


def _some(problem: Problem, count: int, most: int) -> Array:
    """The first, the last and others between them, `most` in all, sorted."""
    if count <= most:
        return np.arange(count)
    between = 1 + _random(problem).permutation(count - 2)[: max(most - 2, 0)]
    return np.sort(np.concatenate([[0, count - 1][:most], between]))


def _boxes(problem: Problem, size: tuple[int, ...], positions: int) -> Iterator[Box]:
    """Two boxes at opposite corners and two between them, of `positions` elements in all."""
    edge = max(2, int((positions / 4) ** (1 / len(size))))
    if all(n <= edge for n in size):
        yield tuple((0, n) for n in size)
        return
    lengths = [min(edge, n) for n in size]
    random = _random(problem)
    yield tuple((0, length) for length in lengths)
    yield tuple((n - length, n) for n, length in zip(size, lengths, strict=True))
    for _ in range(2):
        starts = [int(random.integers(0, n - length + 1)) for n, length in zip(size, lengths, strict=True)]
        yield tuple((start, start + length) for start, length in zip(starts, lengths, strict=True))
