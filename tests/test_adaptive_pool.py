"""Adaptive pooling on the fast path: the table of cases against the reference, and what must not change a bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import PASSES, Case, cases_of, parameters
from checking import call, check, operands_of
from geometries import Adaptive
from tolerance import assert_identical
from views import as_view

import fastconv

SPLIT = tuple(
    Adaptive(op=op, values="normal", batch=5, channels=19, sizes=sizes, output_size=output_size, last=last)
    for op in ("adaptive_max_pool", "adaptive_avg_pool")
    for sizes, output_size in (((900,), 130), ((29, 31), (7, 40)), ((29, 31), 1), ((9, 10, 11), (4, 3, 5)))
    for last in (False, True)
)


@pytest.mark.parametrize("case", parameters(cases_of("adaptive_max_pool")))
def test_adaptive_max_pool_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", parameters(cases_of("adaptive_avg_pool")))
def test_adaptive_avg_pool_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("geometry", SPLIT, ids=lambda geometry: f"{geometry.op}-{geometry}")
def test_same_bits_for_threads_batches_and_alignment(isa: str, geometry: Adaptive) -> None:
    operands = operands_of(geometry, "float32")
    moved = {name: as_view(array, "offset") for name, array in operands.items()}
    for pass_name in PASSES[geometry.stem]:
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
@pytest.mark.parametrize("last", [False, True])
def test_windows_that_divide_are_those_of_pooling(isa: str, dtype: str, last: bool) -> None:
    """Where the sizes divide, adaptive pooling is pooling by windows side by side."""
    random = np.random.default_rng(6)
    x = random.integers(-9, 9, (2, 24, 15, 15) if last else (2, 15, 24, 15)).astype(dtype)
    options = {"layout": "NHWC" if last else None}
    mean = fastconv.adaptive_avg_pool2d(x, (6, 5), **options)
    np.testing.assert_allclose(mean, fastconv.avg_pool2d(x, (4, 3), **options), rtol=1e-6, atol=1e-6)
    adaptive = fastconv.adaptive_max_pool2d(x, (6, 5), return_indices=True, **options)
    pooled = fastconv.max_pool2d(x, (4, 3), return_indices=True, **options)
    for one, other in zip(adaptive, pooled, strict=True):
        assert_identical(one, other)


@pytest.mark.parametrize("output_size", [1, (1, 1), [1, 1], np.array([1, 1])])
def test_global_pooling_is_an_output_of_one(isa: str, output_size: object) -> None:
    x = np.arange(60, dtype=np.float32).reshape(1, 5, 3, 4)
    np.testing.assert_array_equal(fastconv.adaptive_avg_pool2d(x, output_size).ravel(), x.mean(axis=(2, 3)).ravel())
    np.testing.assert_array_equal(fastconv.adaptive_max_pool2d(x, output_size).ravel(), x.max(axis=(2, 3)).ravel())
