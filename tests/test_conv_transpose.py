"""Transposed convolution on the fast path: the table of cases against the reference, and what must not change a bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import GENERAL, Case, cases_of, parameters
from checking import call, check, compare, expected_of, operands_of, reference_results
from geometries import Transpose
from tolerance import assert_identical
from views import as_view

import fastconv

# Enough of everything that each pass makes several tasks, of which the last are not whole.
SPLIT = (
    Transpose(sizes=(15, 17), batch=5, channels=20, filters=37, kernel=4, stride=2, padding=1),
    Transpose(sizes=(15, 17), batch=5, channels=20, filters=37, kernel=4, stride=2, padding=1, last=True),
    Transpose(sizes=(23, 40), batch=3, channels=37, filters=37, groups=37, padding=1),
    Transpose(sizes=(23, 40), batch=3, channels=37, filters=37, groups=37, padding=1, last=True),
    Transpose(sizes=(300,), batch=4, channels=8, filters=21, kernel=5, stride=3, output_padding=2),
    Transpose(sizes=(5, 6, 7), batch=3, channels=5, filters=19, padding="same", stride=2),
)


@pytest.mark.parametrize("case", parameters(cases_of("conv_transpose")))
def test_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", (*GENERAL, "auto"))
@pytest.mark.parametrize("geometry", SPLIT, ids=str)
def test_same_bits_for_any_number_of_threads(isa: str, geometry: Transpose, algorithm: str, dtype: str) -> None:
    operands = operands_of(geometry, dtype)
    for pass_name in ("forward", "backward"):
        results = []
        for threads in (1, 2, 3):
            with fastconv.num_threads(threads):
                results.append(call(fastconv, geometry, pass_name, operands, algorithm=algorithm))
        compare(geometry, results[0], *expected_of(geometry, pass_name, dtype), dtype)
        for name, serial in results[0].items():
            assert_identical(results[1][name], serial, f"{name} with 2 threads")
            assert_identical(results[2][name], serial, f"{name} with 3 threads")


@pytest.mark.parametrize("algorithm", (*GENERAL, "auto"))
@pytest.mark.parametrize("geometry", SPLIT, ids=str)
def test_same_bits_alone_or_in_a_batch_and_wherever_memory_begins(
    isa: str, geometry: Transpose, algorithm: str
) -> None:
    operands = operands_of(geometry, "float32")
    moved = {name: as_view(array, "offset") for name, array in operands.items()}
    for pass_name, name in (("forward", "output"), ("backward", "grad_input")):
        together = call(fastconv, geometry, pass_name, operands, algorithm=algorithm)[name]
        there = call(fastconv, geometry, pass_name, moved, algorithm=algorithm)[name]
        assert_identical(there, together, f"{name} of arrays one element on")
        for n in range(geometry.batch):
            one = operands | {key: operands[key][n : n + 1] for key in ("input", "grad_output")}
            alone = call(fastconv, replace(geometry, batch=1), pass_name, one, algorithm=algorithm)[name]
            assert_identical(alone[0], together[n], f"{name} of image {n}")


@pytest.mark.parametrize("algorithm", GENERAL)
@pytest.mark.parametrize("geometry", SPLIT, ids=str)
def test_is_the_gradient_of_a_convolution_to_the_bit(isa: str, geometry: Transpose, algorithm: str) -> None:
    """With the same algorithm: one engine under two names."""
    operands = operands_of(geometry, "float32") | {"bias": None}
    output = call(fastconv, geometry, "forward", operands, algorithm=algorithm)["output"]
    window = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    options = {"layout": geometry.layout, "algorithm": algorithm}
    op = getattr(fastconv, f"conv{geometry.rank}d_grad_input")
    assert_identical(op(operands["input"], operands["weight"], output.shape, *window, **options), output)


@pytest.mark.parametrize("algorithm", GENERAL)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("pass_name", "operand"), [("forward", "input"), ("backward", "grad_output")])
@pytest.mark.parametrize("last", [False, True])
def test_nan_and_infinity_reach_what_reads_them_and_nothing_else(
    isa: str, pass_name: str, operand: str, value: float, algorithm: str, last: bool
) -> None:
    for stride in (1, 2):
        geometry = Transpose(sizes=(5, 21), channels=5, filters=7, padding=1, stride=stride, last=last)
        for place in (0, 0.5, 1):
            operands: dict[str, Any] = dict(operands_of(geometry, "float32"))
            operands[operand] = operands[operand].copy()
            operands[operand].flat[int(place * (operands[operand].size - 1))] = value
            result = call(fastconv, geometry, pass_name, operands, algorithm=algorithm)
            expected, magnitudes = reference_results(geometry, pass_name, operands)
            for name in ("output", "grad_input"):  # a gradient of the weights is met by every element
                if name in result:
                    compare(geometry, {name: result[name]}, {name: expected[name]}, {name: magnitudes[name]}, "float32")


def test_backward_computes_what_is_needed(isa: str) -> None:
    random = np.random.default_rng(0)
    x, w, g = (random.standard_normal(shape) for shape in ((2, 3, 9), (3, 4, 3), (2, 4, 19)))
    every = fastconv.conv_transpose1d_backward(g, x, w, stride=2)
    for needs in ([], ["bias"], ["weight", "input"], ["bias", "weight", "bias"]):
        some = fastconv.conv_transpose1d_backward(g, x, w, stride=2, needs=iter(needs))
        for name, one, whole in zip(("input", "weight", "bias"), some, every, strict=True):
            assert (one is None) == (name not in needs)
            if one is not None:
                assert_identical(one, whole)
