"""Gradients of the fast path by what defines them, without the reference: the adjoint identity, finite differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cases import ALGORITHMS, BASE, Conv, Pool, conv_features, pool_features
from checking import call, operands_of, terms_of
from numpy.typing import NDArray
from tolerance import gamma

import fastconv

Array = NDArray[Any]

CONVS = tuple(
    geometry
    for rank in BASE
    for geometry in conv_features(rank)
    if geometry.batch and geometry.view == geometry.weight_view == "plain" and geometry.out is None
)
SMOOTH = tuple(geometry for geometry in CONVS if geometry.activation is None)


def dot(a: Array, b: Array) -> float:
    return math.fsum((a.astype(np.float64) * b.astype(np.float64)).ravel())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("geometry", SMOOTH, ids=str)
def test_adjoint_identity(isa: str, geometry: Conv, algorithm: str, dtype: str) -> None:
    """<conv(x, w), g> = <x, grad_input(g, w)> = <w, grad_weight(g, x)>, for it is linear in x and in w.

    Each of the three is a sum of the same products x w g, and off by at most gamma(n) times the sum of their absolute
    values, n the accumulation length of its op; the outer sums are exact.
    """
    operands = operands_of(geometry, dtype) | {"bias": None}
    x, w, g = operands["input"], operands["weight"], operands["grad_output"]
    y, grad_input, grad_weight = (
        call(fastconv, geometry, pass_name, operands, algorithm=algorithm).popitem()
        for pass_name in ("forward", "grad_input", "grad_weight")
    )
    positive = {name: None if array is None else np.abs(array) for name, array in operands.items()}
    magnitude = dot(call(fastconv, geometry, "forward", positive)["output"], positive["grad_output"]) * 1.01
    products = [dot(y[1], g), dot(grad_input[1], x), dot(grad_weight[1], w)]
    bounds = [gamma(terms_of(geometry, name) + 2, dtype) * magnitude for name, _ in (y, grad_input, grad_weight)]
    assert abs(products[0] - products[1]) <= bounds[0] + bounds[1] + 1e-30
    assert abs(products[0] - products[2]) <= bounds[0] + bounds[2] + 1e-30


def slope(f: Any, at: Array, along: Array, step: float) -> Array:
    """Derivative of f at a point along a direction, by a central difference."""
    return (f(at + step * along) - f(at - step * along)) / (2 * step)


@pytest.mark.parametrize("algorithm", ("auto", *ALGORITHMS))
@pytest.mark.parametrize("geometry", CONVS, ids=str)
def test_conv_backward_is_the_slope(isa: str, geometry: Conv, algorithm: str) -> None:
    operands = {name: array for name, array in operands_of(geometry, "float64").items() if array is not None}
    operands.setdefault("bias", np.zeros(geometry.filters))
    y = _linear(geometry, operands, algorithm)
    # The gradient of an activation is the caller's line: g where y > 0, slope * g elsewhere.
    factor = {None: 1.0, "relu": 0.0}.get(geometry.activation, 0.25)
    g = operands["grad_output"] * np.where(y > 0, 1.0, factor)
    grads = call(fastconv, geometry, "backward", operands | {"grad_output": g}, algorithm=algorithm)
    random = np.random.default_rng(3)
    for name, gradient in zip(("input", "weight", "bias"), grads.values(), strict=True):
        along = random.standard_normal(operands[name].shape)
        changes = slope(
            lambda array, name=name: _activated(geometry, operands | {name: array}, algorithm),
            operands[name],
            along,
            1e-7 if geometry.activation else 1.0,  # linear but for the kink, which a small step rarely meets
        )
        changes = dot(changes, operands["grad_output"])
        scale = dot(np.abs(gradient), np.abs(along)) + 1
        assert abs(changes - dot(gradient, along)) <= (1e-6 if geometry.activation else 1e-12) * scale, name


def _activated(geometry: Conv, operands: dict[str, Array], algorithm: str) -> Array:
    return call(fastconv, geometry, "forward", operands, algorithm=algorithm)["output"]


def _linear(geometry: Conv, operands: dict[str, Array], algorithm: str) -> Array:
    return call(fastconv, geometry, "forward", operands, algorithm=algorithm, activation=None)["output"]


POOLS = tuple(
    geometry
    for rank in BASE
    for op in ("max_pool", "avg_pool")
    for geometry in pool_features(op, rank)
    if geometry.batch and geometry.view == "plain" and geometry.out is None and geometry.values in ("ties", "normal")
)


@pytest.mark.parametrize("geometry", POOLS, ids=lambda geometry: f"{geometry.op}-{geometry}")
def test_pool_backward_is_the_slope(isa: str, geometry: Pool) -> None:
    random = np.random.default_rng(4)
    # All different by at least 1: a step of 1/8 along a direction of at most 1 changes no maximum.
    x = random.permutation(math.prod(geometry.input_shape)).reshape(geometry.input_shape).astype(np.float64)
    operands = {"input": x, "grad_output": operands_of(geometry, "float64")["grad_output"]}
    if geometry.op == "max_pool":
        operands["indices"] = call(fastconv, geometry, "indices", operands)["indices"]
    along = random.uniform(-1, 1, x.shape)
    changes = slope(lambda x: call(fastconv, geometry, "forward", {"input": x})["output"], x, along, 0.125)
    gradient = call(fastconv, geometry, "backward", operands)["grad_input"]
    scale = dot(np.abs(gradient), np.abs(along)) + dot(np.abs(changes), np.abs(operands["grad_output"])) + 1
    assert abs(dot(changes, operands["grad_output"]) - dot(gradient, along)) <= 1e-10 * scale
