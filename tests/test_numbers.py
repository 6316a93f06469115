"""What is more than ordinary numbers: subnormals, zeros with a sign, infinity times zero, overflow, cancellation."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import winograd_cases
from checking import call, compare, operands_of, reference_results
from geometries import Adaptive, Conv, Norm, Pad, Patches, Pool, Transpose
from numpy.typing import NDArray
from tolerance import assert_identical

import fastconv

Array = NDArray[Any]

PLAIN = Conv(sizes=(9, 21), channels=5, filters=7, padding=1)
SQUARE = Conv(sizes=(17, 19), channels=33, filters=10, padding=1)
APART = Conv(sizes=(13, 30), channels=6, filters=6, groups=6, padding=1)
LAST = Conv(sizes=(9, 21), channels=17, filters=18, padding=1, last=True)
WAYS: tuple[tuple[Conv, str], ...] = (
    (PLAIN, "direct"),
    (PLAIN, "im2col"),
    (SQUARE, "winograd"),
    (APART, "depthwise"),
    (LAST, "auto"),
)
PASSES = ("forward", "grad_input", "grad_weight")


def with_values(geometry: Any, dtype: str, **values: Array | float) -> dict[str, Any]:
    """The geometry's operands, some of them filled anew, and no bias."""
    operands = dict(operands_of(geometry, dtype))
    for name in ({"bias": 0.0} | values).keys() & operands.keys():
        operands[name] = np.full_like(operands[name], values.get(name, 0.0))
    return operands


# ---------------------------------------------------------------------------------------------------------------------
# Subnormal numbers

FLUSHES = platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")
needs_flushing = pytest.mark.skipif(not FLUSHES, reason="this CPU cannot take subnormal numbers for zeros")


def tiny(dtype: str) -> float:
    return float(np.finfo(dtype).smallest_normal) / 16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pass_name", PASSES)
@pytest.mark.parametrize(("geometry", "algorithm"), WAYS, ids=str)
def test_subnormals_are_numbers_unless_they_are_flushed(
    isa: str, geometry: Conv, algorithm: str, pass_name: str, dtype: str
) -> None:
    small = "grad_output" if pass_name == "grad_input" else "input"
    ones = {"weight": 1.0, "grad_output": 1.0} | {small: tiny(dtype)}
    operands = with_values(geometry, dtype, **ones)
    expected, magnitudes = reference_results(geometry, pass_name, operands)
    for threads in (1, 3):
        with fastconv.num_threads(threads):
            plain = call(fastconv, geometry, pass_name, operands, algorithm=algorithm)
            compare(geometry, plain, expected, magnitudes, dtype, algorithm, operands)
            if FLUSHES:
                with fastconv.options(flush_denormal=True):
                    (flushed,) = call(fastconv, geometry, pass_name, operands, algorithm=algorithm).values()
                np.testing.assert_array_equal(flushed, 0)
            # The threads, this one among them, are as they were.
            assert np.float32(1e-40) * np.float32(1) != 0
            (again,) = call(fastconv, geometry, pass_name, operands, algorithm=algorithm).values()
            assert_identical(again, next(iter(plain.values())))


@needs_flushing
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_that_computes_flushes(isa: str, dtype: str) -> None:
    pool = Pool(op="avg_pool", sizes=(12, 31), channels=3, kernel=3, stride=1, padding=1)
    norm = Norm(sizes=(5, 21), channels=9)
    transposed = Transpose(sizes=(6, 17), channels=4, filters=5, kernel=2, stride=2)
    cases = (
        (pool, "forward", {"input": tiny(dtype)}),
        (pool, "backward", {"grad_output": tiny(dtype)}),
        (norm, "forward", {"input": tiny(dtype)}),
        (transposed, "forward", {"input": tiny(dtype), "weight": 1.0}),
    )
    for geometry, pass_name, values in cases:
        operands = with_values(geometry, dtype, **values)
        (plain,) = call(fastconv, geometry, pass_name, operands).values()
        with fastconv.options(flush_denormal=True):
            (flushed,) = call(fastconv, geometry, pass_name, operands).values()
        assert plain.any(), pass_name
        assert not flushed.any(), pass_name


@needs_flushing
def test_a_plan_flushes_when_it_is_asked() -> None:
    plan = fastconv.ConvPlan(np.ones((1, 1, 1, 1), np.float32))
    small = np.full((1, 1, 2, 2), tiny("float32"), np.float32)
    with fastconv.options(flush_denormal=True):
        assert not plan(small).any()
    assert plan(small).all()


@needs_flushing
def test_flushing_is_of_the_block_and_outlives_no_error() -> None:
    x, w = np.full((1, 1, 4), tiny("float32"), np.float32), np.ones((1, 1, 1), np.float32)

    def flushed() -> bool:
        return not fastconv.conv1d(x, w).any()

    with fastconv.options(flush_denormal=True):
        with fastconv.options(algorithm="exact"):
            assert flushed()  # what a block does not name is as outside of it
        with fastconv.options(flush_denormal=False):
            assert not flushed()
        with pytest.raises(ValueError, match="kernel"):
            fastconv.conv1d(x[..., :1], np.ones((1, 1, 3), np.float32))
        assert np.float32(1e-40) * np.float32(1) != 0
        assert flushed()
    assert not flushed()


@pytest.mark.parametrize("value", [1, "yes", 0.0])
def test_flush_denormal_is_a_bool(value: Any) -> None:
    with pytest.raises(TypeError, match=r"options: flush_denormal is .*; needs a bool"):
        fastconv.options(flush_denormal=value)


# ---------------------------------------------------------------------------------------------------------------------
# Zeros with a sign, infinity times zero, overflow


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maxima_have_the_sign_of_the_element_they_are(isa: str, dtype: str) -> None:
    """Zeros are equal whatever their sign: the first is taken, and its bits."""
    random = np.random.default_rng(0)
    x = np.where(random.random((2, 3, 20, 37)) < 0.5, 0.0, -0.0).astype(dtype)
    for kernel, stride in ((2, 2), (3, 2), (3, 1), (5, 1), (13, 1)):
        values, indices = fastconv.max_pool2d(x, kernel, stride, return_indices=True)
        chosen = np.take_along_axis(x.reshape(2, 3, -1), indices.reshape(2, 3, -1), 2)
        assert_identical(values, chosen.reshape(values.shape), f"{kernel}/{stride}")
        np.testing.assert_array_equal(fastconv.max_pool2d(x, kernel, stride), 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("geometry", "algorithm"), WAYS, ids=str)
def test_zeros_of_either_sign_make_zeros(isa: str, geometry: Conv, algorithm: str, dtype: str) -> None:
    operands = with_values(geometry, dtype, input=-0.0)
    (result,) = call(fastconv, geometry, "forward", operands, algorithm=algorithm).values()
    np.testing.assert_array_equal(result, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize(("geometry", "algorithm"), WAYS, ids=str)
def test_infinity_times_zero_is_nan(isa: str, geometry: Conv, algorithm: str, value: float, dtype: str) -> None:
    """No weight is skipped for being zero, nor any input."""
    operands = with_values(geometry, dtype, weight=0.0)
    operands["input"] = operands["input"].copy()
    place = (0, 5, 4, 2) if geometry.last else (0, 2, 5, 4)
    operands["input"][place] = value
    result = call(fastconv, geometry, "forward", operands, algorithm=algorithm)
    compare(geometry, result, *reference_results(geometry, "forward", operands), dtype, algorithm, operands)
    assert np.isnan(result["output"]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("geometry", "algorithm"), WAYS, ids=str)
def test_what_grows_too_large_is_infinite(isa: str, geometry: Conv, algorithm: str, dtype: str) -> None:
    operands = with_values(geometry, dtype, input=np.finfo(dtype).max, weight=1.0)
    (result,) = call(fastconv, geometry, "forward", operands, algorithm=algorithm).values()
    np.testing.assert_array_equal(result, np.inf)


def test_what_exceeds_float16_is_infinite() -> None:
    """It is computed in float32; the one rounding at the end overflows, as NumPy's own conversion does, and says so."""
    x, w = np.full((1, 1, 8), 60000, np.float16), np.ones((1, 1, 2), np.float16)
    with pytest.warns(RuntimeWarning, match="overflow encountered in cast"):
        result = fastconv.conv1d(x, w)
    np.testing.assert_array_equal(result, np.float16(np.inf))
    # What is too large on the way only, is not lost.
    np.testing.assert_array_equal(fastconv.avg_pool1d(x, 4), np.float16(60000))
    np.testing.assert_array_equal(fastconv.conv1d(x, np.array([[[1, -1, 0.5]]], np.float16)), np.float16(30000))


# ---------------------------------------------------------------------------------------------------------------------
# Errors on data that are not random


def cancelling(random: np.random.Generator, shape: tuple[int, ...], axes: Sequence[int], dtype: str) -> Array:
    """Neighbours along these axes add to almost nothing: sums lose all digits but the last."""
    values = random.standard_normal(shape)
    values = np.where(np.indices(shape)[list(axes)].sum(0) % 2 == 0, 1e4 + values, -1e4 - values)
    return values.astype(dtype)


def photograph(shape: tuple[int, ...], dtype: str, last: bool) -> Array:
    datasets = pytest.importorskip("sklearn.datasets", reason="its photograph needs scikit-learn")
    picture = datasets.load_sample_image("china.jpg")
    batch, spatial, channels = shape[0], shape[1:-1] if last else shape[2:], shape[-1] if last else shape[1]
    rows, columns = np.ix_(np.arange(channels) * 7 % 300, np.arange(math.prod(spatial)))
    planes = picture[:, :, 1][rows, columns % 600].reshape(1, channels, *spatial)
    planes = np.repeat(planes, batch, 0).astype(dtype)
    return np.moveaxis(planes, 1, -1) if last else planes


def hard_operands(
    random: np.random.Generator, geometry: Any, dtype: str, data: str, axes: Sequence[int]
) -> dict[str, Any]:
    """Those of a geometry, with images of photographs, or of what cancels along `axes`."""
    operands = dict(operands_of(geometry, dtype))
    for name in ("input", "grad_output"):
        shape = operands[name].shape
        if data == "cancelling":
            operands[name] = cancelling(random, shape, axes, dtype)
        else:
            operands[name] = photograph(shape, dtype, geometry.last)
    return operands


TILED = (
    Conv(sizes=(14, 15), channels=17, filters=9, kernel=5, padding=2),
    Conv(sizes=(14, 15), channels=17, filters=9, kernel=(1, 7), padding=(0, 3)),
    Conv(sizes=(14, 15), channels=17, filters=9, kernel=3, padding=1, stride=2),
    Conv(sizes=(21, 22), channels=4, filters=9, kernel=7, padding=3, stride=2),
    Conv(sizes=(31, 32), channels=3, filters=9, kernel=11, padding=2, stride=4),
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["cancelling", "photograph"])
@pytest.mark.parametrize("pass_name", (*PASSES, "backward"))
@pytest.mark.parametrize(("geometry", "algorithm"), (*WAYS, *((tiled, "winograd") for tiled in TILED)), ids=str)
def test_errors_stay_within_the_bound(
    isa: str, geometry: Conv, algorithm: str, pass_name: str, data: str, dtype: str
) -> None:
    random = np.random.default_rng(3)
    if algorithm == "winograd" and geometry.stride != 1 and not winograd_cases.can(geometry, pass_name):
        algorithm = "auto"  # a pass that has no such algorithm, or several of which one has not
    operands = hard_operands(random, geometry, dtype, data, [1 if pass_name in ("forward", "grad_input") else -1])
    if data == "cancelling":
        operands["weight"] = 1 + random.random(geometry.weight_shape).astype(dtype) / 1024
    result = call(fastconv, geometry, pass_name, operands, algorithm=algorithm)
    compare(geometry, result, *reference_results(geometry, pass_name, operands), dtype, algorithm, operands)


TRANSPOSED = Transpose(sizes=(9, 17), channels=6, filters=5, kernel=4, stride=2, padding=1)
TRANSPOSED_APART = Transpose(sizes=(9, 17), channels=6, filters=6, groups=6, kernel=4, stride=2, padding=1)
TRANSPOSED_LAST = Transpose(sizes=(7, 12), channels=18, filters=16, kernel=3, padding=1, last=True)
AVERAGED = Pool(op="avg_pool", sizes=(19, 38), channels=5, kernel=4, stride=2, padding=1, values="normal")
AVERAGED_LAST = Pool(op="avg_pool", sizes=(14, 15), channels=33, kernel=2, stride=1, last=True, values="normal")
PARTED = Adaptive(op="adaptive_avg_pool", sizes=(19, 38), channels=5, output_size=(5, 9), values="normal")
PARTED_LAST = Adaptive(
    op="adaptive_avg_pool", sizes=(14, 15), channels=33, output_size=(20, 4), last=True, values="normal"
)
COLUMNS = Patches(sizes=(9, 17), channels=4, kernel=3, padding=1)
REFLECTED = Pad(sizes=(9, 17), channels=4, padding=5, mode="reflect")
NORMED = Norm(sizes=(5, 21), channels=12, size=4)
NORMED_LAST = Norm(sizes=(5, 21), channels=35, size=6, beta=0.6, last=True)
OTHER_WAYS: tuple[tuple[Any, str | None], ...] = (
    *((TRANSPOSED, algorithm) for algorithm in ("direct", "im2col", "auto")),
    (TRANSPOSED_APART, "auto"),
    (TRANSPOSED_LAST, "auto"),
    *((geometry, None) for geometry in (AVERAGED, AVERAGED_LAST, PARTED, PARTED_LAST, NORMED, NORMED_LAST)),
    *((geometry, None) for geometry in (COLUMNS, REFLECTED)),
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["cancelling", "photograph"])
@pytest.mark.parametrize("pass_name", ["forward", "backward"])
@pytest.mark.parametrize(("geometry", "algorithm"), OTHER_WAYS, ids=str)
def test_errors_of_other_ops_stay_within_the_bound(
    isa: str, geometry: Any, algorithm: str | None, pass_name: str, data: str, dtype: str
) -> None:
    random = np.random.default_rng(3)
    operands = hard_operands(random, geometry, dtype, data, (-2, -1) if geometry.last else (1, -1))
    # What is multiplied by what cancels has one sign; with a stride of 2 such elements of grad_output have it already.
    one_sign = ("weight", "input") if pass_name == "backward" and getattr(geometry, "stride", 1) == 1 else ("weight",)
    for name in one_sign:
        if data == "cancelling" and name in operands:
            operands[name] = 1 + random.random(operands[name].shape).astype(dtype) / 1024
    options = {"algorithm": algorithm} if algorithm else {}
    if geometry is COLUMNS:
        pass_name = {"forward": "im2col", "backward": "col2im"}[pass_name]
    result = call(fastconv, geometry, pass_name, operands, **options)
    compare(geometry, result, *reference_results(geometry, pass_name, operands), dtype, algorithm, operands)
