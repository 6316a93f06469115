"""Convolution on the fast path: the table of cases against the reference, and what must not change a bit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import ALGORITHMS, GENERAL, Case, can, cases_of, parameters
from checking import call, check, compare, expected_of, operands_of, reference_results
from geometries import Conv
from tolerance import assert_identical
from views import as_view

import fastconv

PASSES = ("forward", "grad_input", "grad_weight")

# Enough of everything that each pass makes several tasks, of which the last are not whole.
SPLIT = (
    Conv(sizes=(29, 31), batch=5, channels=20, filters=37, padding=1),
    Conv(sizes=(29, 31), batch=5, channels=20, filters=37, padding=1, stride=2, last=True),
    Conv(sizes=(23, 40), batch=3, channels=37, filters=37, groups=37, padding=1),
    Conv(sizes=(23, 40), batch=3, channels=37, filters=37, groups=37, padding=1, last=True),
    Conv(sizes=(900,), batch=4, channels=8, filters=21, kernel=5),
    Conv(sizes=(9, 10, 11), batch=3, channels=5, filters=19, padding=1),
    Conv(sizes=(41, 60), batch=2, channels=3, filters=24, kernel=7, stride=2, padding=3),
    Conv(sizes=(5, 5), batch=19, channels=20, filters=37, kernel=5),
    Conv(sizes=(41, 41), batch=1, channels=64, filters=200, kernel=1, stride=2),  # a gradient divided by channels
)
WAYS = [(geometry, way) for geometry in SPLIT for way in (*ALGORITHMS, "auto") if can(way, geometry, "forward")]


@pytest.mark.parametrize("case", parameters(cases_of("conv")))
def test_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("geometry", "algorithm"), WAYS, ids=str)
def test_same_bits_for_any_number_of_threads(isa: str, geometry: Conv, algorithm: str, dtype: str) -> None:
    operands = operands_of(geometry, dtype)
    for pass_name in (name for name in PASSES if can(algorithm, geometry, name)):
        results = []
        for threads in (1, 2, 3, 8):
            with fastconv.num_threads(threads):
                results.append(call(fastconv, geometry, pass_name, operands, algorithm=algorithm))
        compare(geometry, results[0], *expected_of(geometry, pass_name, dtype), dtype, algorithm)
        for name, serial in results[0].items():
            for parallel, threads in zip(results[1:], (2, 3, 8), strict=True):
                assert_identical(parallel[name], serial, f"{name} with {threads} threads")


@pytest.mark.parametrize(("geometry", "algorithm"), WAYS, ids=str)
def test_same_bits_alone_or_in_a_batch(isa: str, geometry: Conv, algorithm: str) -> None:
    operands = operands_of(geometry, "float32")
    for pass_name in (name for name in PASSES[:2] if can(algorithm, geometry, name)):
        (together,) = call(fastconv, geometry, pass_name, operands, algorithm=algorithm).values()
        for n in range(geometry.batch):
            one = operands | {name: operands[name][n : n + 1] for name in ("input", "grad_output")}
            (alone,) = call(fastconv, replace(geometry, batch=1), pass_name, one, algorithm=algorithm).values()
            assert_identical(alone[0], together[n], f"{pass_name} of image {n}")


@pytest.mark.parametrize(("geometry", "algorithm"), [way for way in WAYS if way[0] in SPLIT[:4]], ids=str)
def test_same_bits_wherever_memory_begins(isa: str, geometry: Conv, algorithm: str) -> None:
    operands = operands_of(geometry, "float32")
    moved = {name: as_view(array, "offset") for name, array in operands.items()}
    for pass_name in (name for name in PASSES if can(algorithm, geometry, name)):
        (here,) = call(fastconv, geometry, pass_name, operands, algorithm=algorithm).values()
        (there,) = call(fastconv, geometry, pass_name, moved, algorithm=algorithm).values()
        assert_identical(there, here, pass_name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", GENERAL)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("pass_name", "operand", "padding"),
    [("forward", "input", 1), ("grad_input", "grad_output", 1), ("grad_weight", "input", 0)],
)
@pytest.mark.parametrize("last", [False, True])
def test_nan_and_infinity_reach_what_reads_them_and_nothing_else(
    isa: str, pass_name: str, operand: str, padding: int, value: float, algorithm: str, dtype: str, last: bool
) -> None:
    for stride in (1, 2):
        geometry = Conv(sizes=(9, 21), channels=5, filters=7, padding=padding, stride=stride, last=last)
        for place in (0, 0.5, 1):
            operands = dict(operands_of(geometry, dtype))
            operands[operand] = operands[operand].copy()
            operands[operand].flat[int(place * (operands[operand].size - 1))] = value
            result = call(fastconv, geometry, pass_name, operands, algorithm=algorithm)
            compare(geometry, result, *reference_results(geometry, pass_name, operands), dtype, algorithm, operands)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("operand", "passes"),
    [
        ("input", ("forward", "grad_weight")),
        ("weight", ("forward", "grad_input")),
        ("grad_output", ("grad_input", "grad_weight")),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("channels", "last"), [(5, False), (3, True), (17, True)])
def test_depthwise_puts_nan_and_infinity_where_direct_does(
    isa: str, channels: int, last: bool, value: float, operand: str, passes: tuple[str, ...], dtype: str
) -> None:
    """None of them meets padding."""
    for kernel, stride, width in ((3, 1, 70), (3, 2, 70), (5, 1, 21), (5, 2, 20), (7, 2, 9)):
        geometry = Conv(
            sizes=(19, width), channels=channels, filters=channels, groups=channels,
            kernel=kernel, padding=kernel // 2, stride=stride, last=last,
        )  # fmt: skip
        for place in (0, 0.5, 1):
            operands = dict(operands_of(geometry, dtype))
            operands[operand] = operands[operand].copy()
            operands[operand].flat[int(place * (operands[operand].size - 1))] = value
            for pass_name in passes:
                (result,) = call(fastconv, geometry, pass_name, operands, algorithm="depthwise").values()
                (expected,) = call(fastconv, geometry, pass_name, operands, algorithm="direct").values()
                np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
                np.testing.assert_array_equal(np.isinf(result), np.isinf(expected))


@pytest.mark.parametrize("last", [False, True])
def test_depthwise_needs_one_input_channel_a_group(last: bool) -> None:
    geometry = Conv(sizes=(9, 11), channels=4, filters=4, groups=2, last=last)
    for pass_name in PASSES:
        with pytest.raises(ValueError, match="algorithm"):
            call(fastconv, geometry, pass_name, operands_of(geometry, "float32"), algorithm="depthwise")


@pytest.mark.parametrize("kernel", [(3, 3), (1, 3), (5, 5), (3, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_depthwise_of_wide_images_that_lie_apart(isa: str, dtype: str, kernel: tuple[int, int]) -> None:
    """Rows that share cache sets and columns apart are copied piece by piece, of which the last is narrower."""
    random = np.random.default_rng(3)
    weight = random.integers(-3, 4, (2, 1, *kernel)).astype(dtype)
    options: dict[str, Any] = {"padding": (kernel[0] // 2, kernel[1] // 2), "groups": 2}
    for width in (257, 258, 263, 400, 510, 777, 1023):
        whole = random.integers(-9, 10, (1, 2, 90, 2048)).astype(dtype)
        for image in (whole[..., :1024][..., :width], whole[..., : 2 * width : 2]):
            for stride in (1, 2):
                got = fastconv.conv2d(image, weight, None, stride, algorithm="depthwise", **options)
                want = fastconv.conv2d(image, weight, None, stride, algorithm="direct", **options)
                assert_identical(got, want, f"{width} columns, stride {stride}")
            got = fastconv.conv2d_grad_input(image, weight, image.shape, algorithm="depthwise", **options)
            want = fastconv.conv2d_grad_input(image, weight, image.shape, algorithm="direct", **options)
            assert_identical(got, want, f"gradient, {width} columns")


STEPS = (-1, 1, 2, 3, 4, 9, 700)
"""Elements between neighbours on an axis: beside, apart, as far as a filter's taps, and far, in either direction."""


def _lying_everywhere(shape: tuple[int, ...], dtype: str) -> Iterator[np.ndarray[Any, Any]]:
    """Arrays of which neighbours on each axis lie any of STEPS apart; elements may share memory."""
    largest = max(STEPS) * sum(size - 1 for size in shape)
    memory = np.random.default_rng(7).integers(-3, 4, sum(shape) + largest + 1).astype(dtype)
    for steps in itertools.product(STEPS, repeat=len(shape)):
        before = sum(size - 1 for size, step in zip(shape, steps, strict=True) if step < 0)
        strides = [step * memory.itemsize for step in steps]
        yield np.lib.stride_tricks.as_strided(memory[before:], shape, strides, writeable=False)


@pytest.mark.parametrize("algorithm", [*GENERAL, "winograd"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_count_as_they_read_wherever_their_elements_lie(isa: str, dtype: str, algorithm: str) -> None:
    random = np.random.default_rng(5)
    x, g = (random.integers(-3, 4, (1, channels, 5, 6)).astype(dtype) for channels in (2, 33))
    for weight in _lying_everywhere((33, 2, 3, 3), dtype):
        plain, where = np.ascontiguousarray(weight), f"strides {weight.strides}"
        got, want = (fastconv.conv2d(x, w, None, 1, 1, algorithm=algorithm) for w in (weight, plain))
        assert_identical(got, want, where)
        got, want = (fastconv.conv2d_grad_input(g, w, x.shape, 1, 1, algorithm=algorithm) for w in (weight, plain))
        assert_identical(got, want, f"gradient, {where}")


@pytest.mark.parametrize("algorithm", GENERAL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_images_count_as_they_read_wherever_their_elements_lie(isa: str, dtype: str, algorithm: str) -> None:
    random = np.random.default_rng(5)
    weight, g = (random.integers(-3, 4, shape).astype(dtype) for shape in ((3, 17, 3, 3), (2, 3, 3, 4)))
    for image in _lying_everywhere((2, 17, 5, 6), dtype):
        plain, where = np.ascontiguousarray(image), f"strides {image.strides}"
        got, want = (fastconv.conv2d(x, weight, algorithm=algorithm) for x in (image, plain))
        assert_identical(got, want, where)
        got, want = (fastconv.conv2d_grad_weight(g, x, weight.shape, algorithm=algorithm) for x in (image, plain))
        assert_identical(got, want, f"gradient, {where}")
