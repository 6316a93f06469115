"""Gradients of the fast path by what defines them, without the reference: the adjoint identity, finite differences."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import GENERAL
from checking import call, operands_of, terms_of
from features import BASE, TABLE
from geometries import Conv, Norm, Transpose
from numpy.typing import NDArray
from tolerance import gamma

import fastconv

Array = NDArray[Any]


def features(*stems: str) -> tuple[Any, ...]:
    """The features of some ops, less those that are about memory."""
    return tuple(
        geometry
        for stem in stems
        for rank in BASE
        for geometry in TABLE[stem][0](rank)
        if geometry.batch and geometry.out is None
        if geometry.view == getattr(geometry, "weight_view", "plain") == "plain"
        if getattr(geometry, "values", "normal") in ("normal", "ties")
    )


def name_of(geometry: Any) -> str:
    return f"{geometry.stem}-{geometry}"


CONVS = features("conv")
SMOOTH = tuple(geometry for geometry in CONVS if geometry.activation is None)


def dot(a: Array, b: Array) -> float:
    return math.fsum((a.astype(np.float64) * b.astype(np.float64)).ravel())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", GENERAL)
@pytest.mark.parametrize("geometry", (*SMOOTH, *features("conv_transpose")), ids=name_of)
def test_adjoint_identity(isa: str, geometry: Conv | Transpose, algorithm: str, dtype: str) -> None:
    """<conv(x, w), g> = <x, grad_input(g, w)> = <w, grad_weight(g, x)>, for it is linear in x and in w.

    Each of the three is a sum of the same products x w g, and off by at most gamma(n) times the sum of their absolute
    values, n the accumulation length of its op; the outer sums are exact.
    """
    operands = operands_of(geometry, dtype) | {"bias": None}
    x, w, g = operands["input"], operands["weight"], operands["grad_output"]
    passes = ("forward", "grad_input", "grad_weight") if isinstance(geometry, Conv) else ("forward", "backward")
    results: dict[str, Array] = {}
    for pass_name in passes:
        results |= call(fastconv, geometry, pass_name, operands, algorithm=algorithm)
    positive = {name: None if array is None else np.abs(array) for name, array in operands.items()}
    magnitude = dot(call(fastconv, geometry, "forward", positive)["output"], positive["grad_output"]) * 1.01
    products = [dot(results["output"], g), dot(results["grad_input"], x), dot(results["grad_weight"], w)]
    names = ("output", "grad_input", "grad_weight")
    bounds = [gamma(terms_of(geometry, name) + 2, dtype) * magnitude for name in names]
    assert abs(products[0] - products[1]) <= bounds[0] + bounds[1] + 1e-30
    assert abs(products[0] - products[2]) <= bounds[0] + bounds[2] + 1e-30


def slope(f: Any, at: Array, along: Array, step: float) -> Array:
    """Derivative of f at a point along a direction, by a central difference."""
    return (f(at + step * along) - f(at - step * along)) / (2 * step)


@pytest.mark.parametrize("algorithm", ("auto", *GENERAL))
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


POOLS = ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "channel_max_pool")


@pytest.mark.parametrize("geometry", features(*POOLS), ids=name_of)
def test_pool_backward_is_the_slope(isa: str, geometry: Any) -> None:
    random = np.random.default_rng(4)
    # All different by at least 1: a step of 1/8 along a direction of at most 1 changes no maximum.
    x = random.permutation(math.prod(geometry.input_shape)).reshape(geometry.input_shape).astype(np.float64)
    operands = {"input": x, "grad_output": operands_of(geometry, "float64")["grad_output"]}
    if "max_pool" in geometry.stem:
        operands["indices"] = call(fastconv, geometry, "indices", operands)["indices"]
    along = random.uniform(-1, 1, x.shape)
    changes = slope(lambda x: call(fastconv, geometry, "forward", {"input": x})["output"], x, along, 0.125)
    gradient = call(fastconv, geometry, "backward", operands)["grad_input"]
    scale = dot(np.abs(gradient), np.abs(along)) + dot(np.abs(changes), np.abs(operands["grad_output"])) + 1
    assert abs(dot(changes, operands["grad_output"]) - dot(gradient, along)) <= 1e-10 * scale


@pytest.mark.parametrize("geometry", features("conv_transpose"), ids=str)
def test_conv_transpose_backward_is_the_slope(isa: str, geometry: Transpose) -> None:
    operands = {name: array for name, array in operands_of(geometry, "float64").items() if array is not None}
    operands.setdefault("bias", np.zeros(geometry.filters))
    grads = call(fastconv, geometry, "backward", operands)
    random = np.random.default_rng(5)
    for name, gradient in zip(("input", "weight", "bias"), grads.values(), strict=True):
        along = random.standard_normal(operands[name].shape)
        changes = slope(
            lambda array, name=name: _output(geometry, operands | {name: array}), operands[name], along, 1.0
        )
        scale = dot(np.abs(gradient), np.abs(along)) + 1
        assert abs(dot(changes, operands["grad_output"]) - dot(gradient, along)) <= 1e-12 * scale, name


def _output(geometry: Any, operands: dict[str, Array]) -> Array:
    return call(fastconv, geometry, "forward", operands)["output"]


@pytest.mark.parametrize("geometry", features("adaptive_avg_pool", "patches", "pad"), ids=name_of)
def test_adjoint_identity_of_what_is_linear(isa: str, geometry: Any) -> None:
    """<f(x), g> = <x, f's gradient of g>, each off by at most gamma(n) times the sum of the terms' absolute values."""
    operands = operands_of(geometry, "float64")
    x, g = operands["input"], operands["grad_output"]
    there, back = ("im2col", "col2im") if geometry.stem == "patches" else ("forward", "backward")
    if getattr(geometry, "value", 0):
        geometry = replace(geometry, value=0.0)  # what is added is no function of x
    (y,), ((name, gradient),) = (
        call(fastconv, geometry, there, operands).values(),
        call(fastconv, geometry, back, operands).items(),
    )
    positive = {"input": np.abs(x)}
    magnitude = dot(call(fastconv, geometry, there, positive)["output"], np.abs(g)) * 1.01
    bound = gamma(terms_of(geometry, "output") + 2, "float64") + gamma(terms_of(geometry, name) + 2, "float64")
    assert abs(dot(y, g) - dot(gradient, x)) <= bound * magnitude + 1e-30


@pytest.mark.parametrize("geometry", features("local_response_norm"), ids=str)
def test_local_response_norm_backward_is_the_slope(isa: str, geometry: Norm) -> None:
    operands = operands_of(geometry, "float64")
    x, g = operands["input"], operands["grad_output"]
    along = np.random.default_rng(6).uniform(-1, 1, x.shape)

    def norm(x: Array) -> Array:
        return _output(geometry, operands | {"input": x})

    # Two steps, so that the error of the third order leaves.
    near, far = slope(norm, x, along, 2.0**-12), slope(norm, x, along, 2.0**-11)
    changes = (4 * near - far) / 3
    gradient = call(fastconv, geometry, "backward", operands)["grad_input"]
    scale = dot(np.abs(gradient), np.abs(along)) + 1
    assert abs(dot(changes, g) - dot(gradient, along)) <= 1e-9 * scale
