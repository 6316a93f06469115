"""NumPy as someone without a library writes it, well: im2col by ``sliding_window_view`` and a matrix product.

Depthwise layers and pools go tap by tap over whole arrays, which is faster than gathering their windows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..._types import Array
from ..problem import Operands, Problem
from ..workloads import Conv, Pool
from .protocol import Cannot, Peer, Prepared

__all__ = ["NumPy"]


class NumPy(Peer):
    """Products by whatever BLAS NumPy has."""

    name: ClassVar[str] = "numpy"
    pip: ClassVar[str] = "pip install numpy"
    modules: ClassVar[tuple[str, ...]] = ("numpy",)

    def version(self) -> str:
        """Version."""
        return np.__version__

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """A function of the arrays."""
        if isinstance(problem.layer, Conv):
            if problem.layer.transposed:
                raise Cannot("transposed convolutions are not written for it here")
            return Prepared(_conv(problem, operands))
        return Prepared(_pool(problem, operands), lambda got: got)


class _Window:
    """A window that slides over padded arrays (N, C, *spatial)."""

    def __init__(self, problem: Problem) -> None:
        layer = problem.layer
        self.kernel, self.stride, self.dilation = layer.kernel_size, layer.strides, layer.dilations
        self.padding = tuple(before for before, _ in layer.pads)
        self.size, self.out, self.reach = layer.size, layer.output_size, layer.reach
        # As much behind as the last window needs: more than the padding in ceil_mode, less where windows leave a rest.
        ends = [(n - 1) * s + r for n, s, r in zip(self.out, self.stride, self.reach, strict=True)]
        self.padded_size = tuple(max(e, n + p) for e, n, p in zip(ends, self.size, self.padding, strict=True))

    def padded(self, x: Array, value: float = 0.0) -> Array:
        if self.padded_size == self.size:
            return x
        wide = np.full((*x.shape[:2], *self.padded_size), value, x.dtype)
        wide[self.inner] = x
        return wide

    @property
    def inner(self) -> tuple[Any, ...]:
        """Where in a padded array the array lies."""
        return (..., *(slice(p, p + n) for p, n in zip(self.padding, self.size, strict=True)))

    def columns(self, x: Array, groups: int) -> Array:
        """(N, groups, channels * taps, positions): a view if the window is one element and leaves none out."""
        rank = len(self.kernel)
        axes = tuple(range(2, 2 + rank))
        steps = (..., *(slice(None, None, s) for s in self.stride), *(slice(None, None, d) for d in self.dilation))
        windows = sliding_window_view(self.padded(x), self.reach, axis=axes)[steps]
        # In NumPy's view the taps come last; the product wants the positions there.
        order = (0, 1, *range(2 + rank, 2 + 2 * rank), *axes)
        taps = x.shape[1] // groups * math.prod(self.kernel)
        return windows.transpose(order).reshape(x.shape[0], groups, taps, math.prod(self.out))

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...]]]:
        """For each tap its index and where it reads in a padded array."""
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            grid = zip(starts, self.out, self.stride, strict=True)
            yield tap, (..., *(slice(start, start + (n - 1) * s + 1, s) for start, n, s in grid))


def _conv(problem: Problem, operands: Operands) -> Callable[[], Array]:
    layer, window = problem.layer, _Window(problem)
    assert isinstance(layer, Conv)
    w, groups = operands.weight, layer.groups
    if layer.groups == layer.channels == layer.filters > 1:
        return _depthwise(problem, operands, window)
    matrix = w.reshape(groups, w.shape[0] // groups, -1)
    if problem.pass_name == "forward":
        x, b = operands.input, operands.bias
        column = None if b is None else b.reshape(1, groups, -1, 1)

        def forward() -> Array:
            y = matrix @ window.columns(x, groups)
            if column is not None:
                y += column
            return y.reshape(problem.output_shape)

        return forward
    g = operands.grad.reshape(problem.batch, groups, w.shape[0] // groups, -1)
    if problem.pass_name == "grad_weight":
        x = operands.input

        def grad_weight() -> Array:
            products = g @ window.columns(x, groups).swapaxes(2, 3)
            return (products[0] if len(products) == 1 else products.sum(axis=0)).reshape(w.shape)

        return grad_weight
    turned = np.ascontiguousarray(matrix.swapaxes(1, 2))

    def grad_input() -> Array:
        columns = (turned @ g).reshape(*problem.input_shape[:2], *window.kernel, *window.out)
        wide = np.zeros((*problem.input_shape[:2], *window.padded_size), g.dtype)
        for tap, grid in window.taps():
            wide[grid] += columns[(slice(None), slice(None), *tap)]
        return wide[window.inner]

    return grad_input


def _depthwise(problem: Problem, operands: Operands, window: _Window) -> Callable[[], Array]:
    layer, x, g = problem.layer, operands.input, operands.grad
    assert isinstance(layer, Conv)
    w = operands.weight.reshape(layer.channels, *[1] * problem.rank, *window.kernel)
    bias = operands.bias
    column = None if bias is None else bias.reshape(-1, *[1] * problem.rank)

    def forward() -> Array:
        wide = window.padded(x)
        y = np.zeros(problem.output_shape, x.dtype) if column is None else np.empty(problem.output_shape, x.dtype)
        if column is not None:
            y[...] = column
        product = np.empty_like(y)
        for tap, grid in window.taps():
            np.multiply(wide[grid], w[(..., *tap)], out=product)
            y += product
        return y

    def grad_input() -> Array:
        wide = np.zeros((*x.shape[:2], *window.padded_size), x.dtype)
        product = np.empty_like(g)
        for tap, grid in window.taps():
            np.multiply(g, w[(..., *tap)], out=product)
            wide[grid] += product
        return wide[window.inner]

    def grad_weight() -> Array:
        wide, grad = window.padded(x), np.empty_like(operands.weight)
        for tap, grid in window.taps():
            grad[(slice(None), 0, *tap)] = np.einsum("nc...,nc...->c", wide[grid], g)
        return grad

    return {"forward": forward, "grad_input": grad_input, "grad_weight": grad_weight}[problem.pass_name]


def _pool(problem: Problem, operands: Operands) -> Callable[[], Any]:
    layer = problem.layer
    assert isinstance(layer, Pool)
    if layer.kind == "global":
        return _global(problem, operands)
    window = _Window(problem)
    if layer.kind == "max":
        return _max(problem, operands, window)
    if layer.ceil_mode or not layer.count_include_pad:
        raise Cannot("averages in ceil_mode or without their padding are not written for it here")
    x, g, area = operands.input, operands.grad, math.prod(window.kernel)

    def forward() -> Array:
        wide, y = window.padded(x), np.zeros(problem.output_shape, x.dtype)
        for _, grid in window.taps():
            y += wide[grid]
        y *= x.dtype.type(1 / area)
        return y

    def grad_input() -> Array:
        share, wide = g * x.dtype.type(1 / area), np.zeros((*x.shape[:2], *window.padded_size), x.dtype)
        for _, grid in window.taps():
            wide[grid] += share
        return wide[window.inner]

    return forward if problem.pass_name == "forward" else grad_input


def _max(problem: Problem, operands: Operands, window: _Window) -> Callable[[], Any]:
    x = operands.input

    def forward() -> Array:
        wide, y = window.padded(x, -np.inf), np.full(problem.output_shape, -np.inf, x.dtype)
        for _, grid in window.taps():
            np.maximum(y, wide[grid], out=y)
        return y

    positions = np.arange(math.prod(window.size)).reshape(1, 1, *window.size)

    def forward_indices() -> tuple[Array, Array]:
        wide, places = window.padded(x, -np.inf), window.padded(positions)
        y, where = np.full(problem.output_shape, -np.inf, x.dtype), np.empty(problem.output_shape, np.int64)
        for _, grid in window.taps():
            value = wide[grid]
            better = value > y
            np.copyto(y, value, where=better)
            np.copyto(where, places[grid], where=better)
        return y, where

    def grad_input() -> Array:
        size = math.prod(window.size)
        planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * problem.rank) * size
        flat = (operands.indices + planes).ravel()
        return np.bincount(flat, operands.grad.ravel(), x.size).astype(x.dtype).reshape(x.shape)

    return {"forward": forward, "forward_indices": forward_indices, "grad_input": grad_input}[problem.pass_name]


def _global(problem: Problem, operands: Operands) -> Callable[[], Array]:
    axes, x, g = tuple(range(2, 2 + problem.rank)), operands.input, operands.grad
    if problem.pass_name == "forward":
        return lambda: x.mean(axis=axes, keepdims=True)
    share = x.dtype.type(1 / math.prod(problem.layer.size))
    return lambda: np.broadcast_to(g * share, x.shape).copy()
