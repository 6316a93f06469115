"""Pooling on the fast path: the table of cases against the reference, and what must not change a bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import POOL_PASSES, Case, cases_of, parameters
from checking import call, check, operands_of
from geometries import Pool
from tolerance import assert_identical
from views import as_view

import fastconv

SPLIT = tuple(
    Pool(op=op, values="normal", batch=5, channels=19, kernel=kernel, stride=2, padding=1, sizes=sizes, last=last)
    for op in ("max_pool", "avg_pool")
    for sizes, kernel in (((900,), 3), ((29, 31), 3), ((9, 10, 11), 2))
    for last in (False, True)
)


@pytest.mark.parametrize("case", parameters(cases_of("max_pool")))
def test_max_pool_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", parameters(cases_of("avg_pool")))
def test_avg_pool_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("geometry", SPLIT, ids=lambda geometry: f"{geometry.op}-{geometry}")
def test_same_bits_for_threads_batches_and_alignment(isa: str, geometry: Pool) -> None:
    operands = operands_of(geometry, "float32")
    moved = {name: as_view(array, "offset") for name, array in operands.items()}
    for pass_name in POOL_PASSES[geometry.op]:
        with fastconv.num_threads(1):
            serial = call(fastconv, geometry, pass_name, operands)
        for threads in (2, 3):
            with fastconv.num_threads(threads):
                for name, result in call(fastconv, geometry, pass_name, moved).items():
                    assert_identical(result, serial[name], f"{pass_name} with {threads} threads")
        for n in range(geometry.batch):
            one = {name: array[n : n + 1] for name, array in operands.items()}
            for name, alone in call(fastconv, replace(geometry, batch=1), pass_name, one).items():
                assert_identical(alone[0], serial[name][n], f"{pass_name} of image {n}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (2, 2, 1), (3, 2, 0), (3, 2, 1), (3, 1, 1)])
@pytest.mark.parametrize("width", [131, 16, 7, 3])
def test_indices_outside_of_their_windows_count_as_without_windows(
    isa: str, dtype: str, width: int, kernel: int, stride: int, padding: int
) -> None:
    random = np.random.default_rng(5)
    x = random.standard_normal((2, 3, 12, width)).astype(dtype)
    y, indices = fastconv.max_pool2d(x, kernel, stride, padding, return_indices=True)
    g = random.standard_normal(y.shape).astype(dtype)
    for wrong in ((), ((1, 2, 3, -1), 0), ((0, 1, 4, y.shape[3] // 2), 12 * width - 1), ((1, 0, 0, 0), width - 1)):
        if wrong:
            indices[wrong[0]] = wrong[1]
        with_windows = fastconv.max_pool2d_backward(g, indices, x.shape, kernel, stride, padding)
        assert_identical(with_windows, fastconv.max_pool2d_backward(g, indices, x.shape))


@pytest.mark.parametrize("wrong", [-1, 12 * 9, 2**31, 2**32 + 3, -(2**40), 2**62])
def test_indices_outside_of_the_plane_are_refused_before_anything_is_written(isa: str, wrong: int) -> None:
    x = np.random.default_rng(7).standard_normal((2, 3, 12, 9))
    for dtype in (np.float32, np.float64):
        for kernel, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 1)):
            y, indices = fastconv.max_pool2d(x.astype(dtype), kernel, stride, padding, return_indices=True)
            indices[1, 2, -1, 1] = wrong
            out = np.full(x.shape, 7, dtype)
            with pytest.raises(ValueError, match="indices"):
                fastconv.max_pool2d_backward(y, indices, x.shape, kernel, stride, padding, out=out)
            assert (out == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("last", [False, True])
def test_max_pool_takes_the_last_nan_and_otherwise_the_first_maximum(isa: str, dtype: str, last: bool) -> None:
    row = np.array([[1, 5, 5, 2], [np.nan, 9, np.nan, 9], [-np.inf] * 4, [np.inf, 0, np.inf, np.nan]], dtype)
    x = np.repeat(row, 20, axis=0)[None]  # as 80 channels of one window each
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if last else x
    values, indices = fastconv.max_pool1d(x, 4, return_indices=True, layout="NWC" if last else None)
    np.testing.assert_array_equal(values.ravel(), np.repeat(np.array([5, np.nan, -np.inf, np.nan], dtype), 20))
    np.testing.assert_array_equal(indices.ravel(), np.repeat([1, 2, 0, 3], 20))


@pytest.mark.parametrize("op", ["avg_pool2d", "max_pool2d"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("last", [False, True])
def test_nan_and_infinity_reach_the_windows_that_hold_them(isa: str, op: str, value: float, last: bool) -> None:
    random = np.random.default_rng(1)
    for place in (0, 200, 377):
        x = random.standard_normal((1, 2, 9, 21)).astype(np.float32)
        x.flat[place] = value
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if last else x
        for kernel, stride in ((2, 2), (3, 2), (3, 1)):
            options = {"layout": "NHWC" if last else None, "padding": 1}
            result = getattr(fastconv, op)(x, kernel, stride, **options)
            expected = getattr(fastconv.reference, op)(x, kernel, stride, **options)
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count_include_pad", [False, True])
def test_the_gradient_of_an_average_over_more_than_the_image(isa: str, count_include_pad: bool) -> None:
    window: dict[str, Any] = {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": count_include_pad}
    for shape in ((1, 1, 1, 1), (1, 2, 1, 5), (2, 1, 4, 1), (1, 1, 2, 2)):
        grad = np.random.default_rng(0).integers(-9, 10, fastconv.avg_pool2d(np.zeros(shape), **window).shape) * 36.0
        got = fastconv.avg_pool2d_backward(grad, shape, **window)
        np.testing.assert_allclose(got, fastconv.reference.avg_pool2d_backward(grad, shape, **window), rtol=1e-15)
