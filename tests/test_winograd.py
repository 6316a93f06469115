"""Winograd's algorithm beyond the table: where nothing finite stands, how accurate it is, what it refuses."""

from __future__ import annotations

import math
import runpy
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Case, can
from checking import call, check, operands_of
from features import WINOGRAD_CONVS
from geometries import Conv
from tolerance import assert_identical

import fastconv
from fastconv import reference
from fastconv._types import Array
from fastconv.reference import winograd

ROOT = Path(__file__).resolve().parents[1]
FAR = (  # transformed weights that lie in memory, and in L3: of few tiles, and of tiles that share an input
    Conv(sizes=(5, 7), batch=2, channels=352, filters=353, padding=1),
    Conv(sizes=(29, 31), batch=2, channels=177, filters=176, padding=1),
)
SPLIT = (
    *FAR,
    Conv(sizes=(29, 31), batch=5, channels=20, filters=37, padding=1),
    Conv(sizes=(14, 13), batch=3, channels=70, filters=50, padding=1, last=True),
    Conv(sizes=(29, 31), batch=3, channels=48, filters=37, padding=1),
    Conv(sizes=(9, 40), batch=4, channels=24, filters=24, groups=3, padding=1),
    Conv(sizes=(19, 23), batch=3, channels=40, filters=37, kernel=5, padding=2),
    Conv(sizes=(29, 31), batch=3, channels=40, filters=37, kernel=(1, 7), padding=(0, 3)),
    Conv(sizes=(29, 31), batch=3, channels=40, filters=37, kernel=(3, 1), padding=(1, 0), last=True),
    Conv(sizes=(5, 14, 15), batch=2, channels=20, filters=37, padding=1),
    Conv(sizes=(29, 31), batch=5, channels=20, filters=37, stride=2, padding=1),
    Conv(sizes=(57, 60), batch=3, channels=70, filters=50, stride=2, padding=1, last=True),
    Conv(sizes=(63, 70), batch=3, channels=3, filters=37, kernel=7, stride=2, padding=3),
    Conv(sizes=(69, 90), batch=3, channels=6, filters=38, groups=2, kernel=11, stride=4, padding=2, last=True),
    Conv(sizes=(5, 30, 31), batch=2, channels=5, filters=20, kernel=(3, 5, 5), stride=2, padding=1),
    # Few tiles in an image alone, many in a batch.
    Conv(sizes=(7, 8), batch=6, channels=70, filters=53, padding=1),
    Conv(sizes=(8, 5), batch=5, channels=102, filters=99, groups=3, padding=1, last=True),
    Conv(sizes=(1, 3, 4), batch=5, channels=36, filters=33, padding=1),
)


WINDOWS: tuple[tuple[int | tuple[int, ...], int], ...] = (
    *((3, 1), (4, 1), (5, 1), ((1, 7), 1), ((3, 1), 1), ((3, 3, 3), 1), (3, 2)),
    *((5, 2), (7, 2), (10, 2), (9, 4), (14, 4)),  # by phases
)
"""Kernels and strides."""


def test_the_constants_are_those_of_exact_arithmetic() -> None:
    assert all(winograd.is_exact(*form) for form in winograd.FORMS)
    assert all(winograd.is_exact_transpose(taps) for taps in (3, 4))
    script = ROOT / "csrc" / "winograd_points.py"
    if script.exists():  # not beside an installed package
        assert subprocess.run([sys.executable, str(script), "--check"]).returncode == 0
        assert runpy.run_path(str(script))["WINOGRAD"]["PAIRS"] == winograd.PAIRS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("pass_name", "geometry"),
    [each for each in product(("forward", "grad_input"), SPLIT) if can("winograd", each[1], each[0])],
    ids=str,
)
def test_same_bits_for_any_threads_and_batch_and_with_a_plan(
    isa: str, pass_name: str, geometry: Conv, dtype: str
) -> None:
    operands = operands_of(geometry, dtype)
    results = []
    for threads in (1, 2, 3):
        with fastconv.num_threads(threads):
            results += call(fastconv, geometry, pass_name, operands, algorithm="winograd").values()
    assert_identical(results[1], results[0], "with 2 threads")
    assert_identical(results[2], results[0], "with 3 threads")
    for n in range(geometry.batch):
        one = operands | {name: operands[name][n : n + 1] for name in ("input", "grad_output")}
        geometry_of_one = Conv(**{**vars(geometry), "batch": 1})
        (alone,) = call(fastconv, geometry_of_one, pass_name, one, algorithm="winograd").values()
        assert_identical(alone[0], results[0][n], f"image {n}")
    if pass_name == "forward":
        options: dict[str, Any] = {"layout": geometry.layout, "algorithm": "winograd"}
        weight, bias = operands["weight"], operands["bias"]
        plan = fastconv.ConvPlan(weight, bias, geometry.stride, geometry.padding, 1, geometry.groups, **options)
        assert_identical(plan(operands["input"]), results[0], "of a plan")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("geometry", [Conv(**{**vars(each), "batch": 1}) for each in FAR], ids=str)
def test_weights_that_caches_do_not_hold(isa: str, geometry: Conv, dtype: str) -> None:
    check(Case(geometry, "forward", dtype, isa, "winograd"))
    check(Case(geometry, "grad_input", dtype, isa, "winograd"))


def spoiled(
    operands: dict[str, Array], operand: str, other: str, value: str, share: float, random: np.random.Generator
) -> dict[str, Array]:
    """One element of `operand` is `value`; "large" is that share of the largest number."""
    changed = operands | {operand: operands[operand].copy()}
    put = float(value) if value != "large" else share * np.finfo(operands[operand].dtype).max
    if value == "large":  # plain sums are finite, transforms of it overflow
        changed[other] = operands[other] * 1e-3
    changed[operand].flat[random.integers(operands[operand].size)] = put
    return changed


def assert_same_places_not_finite(got: Array, want: Array) -> None:
    for is_it in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(is_it(got), is_it(want), is_it.__name__)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "large"])
@pytest.mark.parametrize("operand", ["input", "weight"])
@pytest.mark.parametrize("last", [False, True])
def test_what_is_not_finite_stands_where_plain_sums_put_it(
    isa: str, operand: str, value: str, dtype: str, last: bool
) -> None:
    random = np.random.default_rng(5)
    for trial in range(2 * len(WINDOWS)):
        kernel, stride = WINDOWS[trial % len(WINDOWS)]
        channels = (19, 35)[trial // len(WINDOWS)]
        sizes = (4, 13, 18) if kernel == (3, 3, 3) else (13, 18)
        geometry = Conv(
            sizes=sizes,
            channels=channels,
            filters=10,
            kernel=kernel,
            stride=stride,
            padding=1,
            activation="relu",
            last=last,
        )
        operands = dict(operands_of(geometry, dtype))
        changed = spoiled(operands, operand, "weight" if operand == "input" else "input", value, 0.9, random)
        # where it stands, whatever the activation does
        got = call(fastconv, geometry, "forward", changed, algorithm="winograd")["output"]
        want = call(fastconv, geometry, "forward", changed, algorithm="direct")["output"]
        assert_same_places_not_finite(got, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("geometry", SPLIT, ids=str)
def test_same_bits_of_the_gradient_of_the_weights_for_any_threads(isa: str, geometry: Conv, dtype: str) -> None:
    operands = operands_of(geometry, dtype)
    results = []
    for threads in (1, 2, 3, 7):
        with fastconv.num_threads(threads):
            results += call(fastconv, geometry, "grad_weight", operands, algorithm="winograd").values()
    for result in results[1:]:
        assert_identical(result, results[0], "with more threads")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "large"])
@pytest.mark.parametrize("operand", ["input", "grad_output"])
@pytest.mark.parametrize("last", [False, True])
def test_the_gradient_of_the_weights_is_not_finite_where_plain_sums_are_not(
    isa: str, operand: str, value: str, dtype: str, last: bool
) -> None:
    random = np.random.default_rng(6)
    paddings = {(1, 7): 0, (3, 1): (1, 0)}
    for kernel, stride in WINDOWS:
        padding = paddings.get(kernel, 1)
        sizes = (3, 14, 19) if kernel == (3, 3, 3) else (14, 19)
        geometry = Conv(sizes=sizes, channels=21, filters=18, kernel=kernel, stride=stride, padding=padding, last=last)
        operands = dict(operands_of(geometry, dtype))
        changed = spoiled(operands, operand, "grad_output" if operand == "input" else "input", value, 0.3, random)
        got = call(fastconv, geometry, "grad_weight", changed, algorithm="winograd")["grad_weight"]
        want = call(fastconv, geometry, "grad_weight", changed, algorithm="direct")["grad_weight"]
        assert_same_places_not_finite(got, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "large"])
@pytest.mark.parametrize("operand", ["grad_output", "weight"])
@pytest.mark.parametrize("last", [False, True])
def test_the_strided_gradient_of_the_input_is_not_finite_where_plain_sums_are_not(
    isa: str, operand: str, value: str, dtype: str, last: bool
) -> None:
    random = np.random.default_rng(7)
    for kernel, padding in product((3, 4), (0, 1, 2)):
        geometry = Conv(
            sizes=(14, 19),
            channels=18,
            filters=21,
            kernel=kernel,
            stride=2,
            padding=padding,
            last=last,
            flip=padding == 2,
        )
        operands = dict(operands_of(geometry, dtype))
        changed = spoiled(
            operands, operand, "weight" if operand == "grad_output" else "grad_output", value, 0.3, random
        )
        got = call(fastconv, geometry, "grad_input", changed, algorithm="winograd")["grad_input"]
        want = call(fastconv, geometry, "grad_input", changed, algorithm="direct")["grad_input"]
        assert_same_places_not_finite(got, want)


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("channels", [8, 16, 64, 128])
def test_the_transpose_has_at_most_twice_the_error_of_plain_sums(isa: str, kernel: int, channels: int) -> None:
    """Plain: channel by channel, tap by tap. The worst of 10 tensors each."""
    errors, plain_errors = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        x = random.standard_normal((1, channels, 14, 14)).astype(np.float32)
        w = random.standard_normal((channels, 16, kernel, kernel)) * np.sqrt(2 / (kernel**2 * channels / 4))
        w = w.astype(np.float32)
        want = reference.conv_transpose2d(x.astype(np.float64), w.astype(np.float64), None, 2)
        plain = np.zeros(want.shape[1:], np.float32)
        for c, i, j in np.ndindex(channels, kernel, kernel):
            plain[:, i : i + 28 : 2, j : j + 28 : 2] += w[c, :, i, j][:, None, None] * x[0, c]
        largest = np.abs(want).max()
        got = fastconv.conv_transpose2d(x, w, None, 2, algorithm="winograd")
        errors.append(np.abs(got - want).max() / largest)
        plain_errors.append(np.abs(plain - want[0]).max() / largest)
    assert max(errors) <= 2 * max(plain_errors)


@pytest.mark.parametrize(
    ("kernel", "size", "stride"),
    [
        *((3, size, 1) for size in (7, 14, 28, 56)),
        *((3, size, 2) for size in (7, 14, 28, 56)),
        *((5, 28, 1), ((1, 3), 9, 1), ((1, 5), 17, 1), ((1, 7), 28, 1), ((7, 1), 35, 1)),
        *((4, 18, 1), (4, 28, 1), (5, 28, 2), (7, 36, 2), (7, 64, 2), (9, 64, 2), (11, 56, 4)),
    ],
    ids=str,
)
def test_the_gradient_of_the_weights_has_at_most_twice_the_error_of_plain_sums(
    isa: str, kernel: int | tuple[int, int], size: int, stride: int
) -> None:
    """Plain: pixel by pixel. The worst of 10 tensors each."""
    kernel_size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    errors, plain_errors = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        x = random.standard_normal((2, 16, size, size)).astype(np.float32)
        padded = np.pad(x, ((0, 0), (0, 0), *((pad, pad) for pad in padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, (2, 3))[:, :, ::stride, ::stride]
        g = random.standard_normal((2, 8, *windows.shape[2:4])).astype(np.float32)
        products = np.einsum("nkhw,nchwrs->kcrsnhw", g, windows).reshape(8, 16, *kernel_size, -1)
        want = np.einsum("nkhw,nchwrs->kcrs", g, windows, dtype=np.float64, optimize=True)
        plain = products.cumsum(-1, dtype=np.float32)[..., -1]
        options: dict[str, Any] = {"stride": stride, "padding": padding, "algorithm": "winograd"}
        got = fastconv.conv2d_grad_weight(g, x, want.shape, **options)
        errors.append(np.abs(got - want).max() / np.abs(want).max())
        plain_errors.append(np.abs(plain - want).max() / np.abs(want).max())
    assert max(errors) <= 2 * max(plain_errors)


@pytest.mark.parametrize("geometry", WINOGRAD_CONVS[:7], ids=str)
def test_exact_is_never_winograd(isa: str, geometry: Conv) -> None:
    operands = operands_of(geometry, "float32")
    shape, window = geometry.input_shape, (geometry.stride, geometry.padding, 1, geometry.groups)
    options: dict[str, Any] = {"layout": geometry.layout, "algorithm": "exact"}
    choice = fastconv.choose_algorithm(shape, geometry.weight_shape, *window, **options)
    assert choice.algorithm != "winograd"
    exact = call(fastconv, geometry, "forward", operands, algorithm="exact")["output"]
    assert_identical(exact, call(fastconv, geometry, "forward", operands, algorithm=choice.algorithm)["output"])


def plainly(x: Any, w: Any, padding: tuple[int, int], stride: int = 1) -> Any:
    """One float32 sum for each output, term by term."""
    x = np.pad(x[0], ((0, 0), *((pad, pad) for pad in padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (1, 2))[:, ::stride, ::stride]
    total = np.zeros((len(w), *windows.shape[1:3]), np.float32)
    for c, i, j in np.ndindex(*w.shape[1:]):
        total += w[:, c, i, j][:, None, None] * windows[c, :, :, i, j]
    return total[None]


@pytest.mark.parametrize(
    ("kernel", "channels", "size", "stride"),
    [
        *((3, channels, 20, 1) for channels in (1, 2, 4, 8, 16, 31, 32, 48)),
        *((3, channels, size, 1) for channels, size in ((32, 14), (64, 14), (256, 7))),
        *((3, channels, 28, 2) for channels in (1, 2, 4, 8, 16, 32, 64, 128)),
        *((5, channels, size, 1) for channels, size in ((8, 20), (16, 14), (48, 14))),
        *((4, channels, 20, 1) for channels in (9, 12, 16, 32, 64)),
        *((5, channels, 64, 2) for channels in (3, 8, 11, 12, 16, 32)),
        *((kernel, channels, 64, 2) for kernel in (6, 7, 8, 9) for channels in (3, 8, 16)),
        *((kernel, 3, 112, 4) for kernel in (9, 11, 13)),
        *(((1, taps), channels, 17, 1) for taps in (3, 5) for channels in (16, 24, 32, 64, 128)),
        *(((1, 7), channels, 17, 1) for channels in (48, 64, 128)),
    ],
    ids=str,
)
def test_at_most_twice_the_error_of_plain_sums(
    isa: str, kernel: int | tuple[int, int], channels: int, size: int, stride: int
) -> None:
    """The worst of 20 tensors each; log-normal data, where single large elements spoil tiles, by the medians."""
    kernel_size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    draw = {"normal": np.random.Generator.standard_normal, "uniform": np.random.Generator.random}
    draw["log-normal"] = lambda random, shape: random.lognormal(size=shape)
    for data in draw:
        errors, plain_errors = [], []
        for seed in range(20):
            random = np.random.default_rng(seed)
            x = draw[data](random, (1, channels, size, size)).astype(np.float32)
            w = random.standard_normal((16, channels, *kernel_size)) * np.sqrt(2 / (math.prod(kernel_size) * channels))
            w = w.astype(np.float32)
            want = reference.conv2d(x.astype(np.float64), w.astype(np.float64), None, stride, padding)
            largest = np.abs(want).max()
            got = fastconv.conv2d(x, w, None, stride, padding, algorithm="winograd")
            errors.append(np.abs(got - want).max() / largest)
            plain_errors.append(np.abs(plainly(x, w, padding, stride) - want).max() / largest)
        typical = np.median if data == "log-normal" else np.max
        assert typical(errors) <= 2 * typical(plain_errors), data


@pytest.mark.parametrize(
    "changed",
    [
        {"kernel": 2},
        {"kernel": 6},
        {"kernel": (2, 1)},
        {"kernel": (1, 9)},
        {"kernel": (3, 5)},
        {"kernel": 7},
        {"kernel": 1},
        {"stride": 3},
        {"stride": (1, 2)},
        {"stride": 2, "kernel": 2},
        {"stride": 2, "kernel": (5, 7)},
        {"stride": 4, "kernel": 7},
        {"stride": 4, "kernel": 15, "padding": 2},
        {"stride": 2, "kernel": (1, 3)},
        {"dilation": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("pass_name", ["forward", "grad_input", "grad_weight", "backward"])
def test_what_it_cannot_do_is_told(changed: dict[str, Any], pass_name: str) -> None:
    geometry = Conv(**{"sizes": (11, 12), **changed})
    with pytest.raises(
        ValueError, match=r"^conv2d.*: algorithm 'winograd' needs a kernel of 3x3, 4x4, 5x5 or, .*stride"
    ):
        call(fastconv, geometry, pass_name, operands_of(geometry, "float32"), algorithm="winograd")


def test_a_strided_gradient_of_the_input_has_fewer_kernels() -> None:
    geometry = Conv(sizes=(11, 12), stride=2, kernel=5)
    with pytest.raises(ValueError, match=r"^conv2d_grad_input: algorithm 'winograd' needs .* in grad_input 3x3 or 4x4"):
        call(fastconv, geometry, "grad_input", operands_of(geometry, "float32"), algorithm="winograd")


@pytest.mark.parametrize("sizes", [(3, 3), (3, 40), (40, 4)])
def test_one_output_along_an_axis_has_any_stride(isa: str, sizes: tuple[int, int]) -> None:
    check(Case(Conv(sizes=sizes, channels=12, stride=2), "forward", "float32", isa, "winograd"))
    check(Case(Conv(sizes=sizes, channels=12, stride=2), "grad_weight", "float32", isa, "winograd"))
