"""Ops across channels on the fast path: the tables against the reference, and what must not change a bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import PASSES, Case, cases_of, parameters
from checking import call, check, operands_of
from geometries import ChannelPool, Norm
from tolerance import assert_identical
from views import as_view

import fastconv
from fastconv import reference

SPLIT = tuple(
    kind(batch=5, sizes=sizes, last=last, **parameters)
    for kind, parameters in (
        (ChannelPool, {"channels": 36, "size": 4}),
        (Norm, {"channels": 37, "size": 5}),
        (Norm, {"channels": 37, "size": 4, "beta": 0.6}),
    )
    for sizes in ((1900,), (29, 131), (9, 10, 11))
    for last in (False, True)
)


@pytest.mark.parametrize("case", parameters(cases_of("channel_max_pool")))
def test_channel_max_pool_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", parameters(cases_of("local_response_norm")))
def test_local_response_norm_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("geometry", SPLIT, ids=lambda geometry: f"{geometry.stem}-{geometry}")
def test_same_bits_for_threads_batches_and_alignment(isa: str, geometry: Any) -> None:
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
def test_channel_max_pool_takes_the_last_nan_and_otherwise_the_first_maximum(isa: str, dtype: str, last: bool) -> None:
    groups = np.array([[1, 5, 5, 2], [np.nan, 9, np.nan, 9], [-np.inf] * 4, [np.inf, 0, np.inf, np.nan]], dtype)
    x = np.repeat(groups.ravel()[:, None], 37, axis=1)[None]  # 16 channels of 37 pixels
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if last else x
    values, indices = fastconv.channel_max_pool(x, 4, return_indices=True, layout="NWC" if last else None)
    shape = (1, 37, 4) if last else (1, 4, 37)
    expected = np.array([5, np.nan, -np.inf, np.nan], dtype), np.array([1, 6, 8, 15])
    for result, row in zip((values, indices), expected, strict=True):
        np.testing.assert_array_equal(result, np.broadcast_to(row if last else row[:, None], shape))


@pytest.mark.parametrize("last", [False, True])
def test_a_channel_named_twice_gets_both_gradients(isa: str, last: bool) -> None:
    """The indices are the caller's: whichever of all channels they name."""
    indices = np.array([[[4], [0], [4]]])
    g = np.array([[[1.0], [2.0], [8.0]]], np.float32)
    if last:
        indices, g = np.moveaxis(indices, 1, -1), np.moveaxis(g, 1, -1)
    shape, layout = ((1, 1, 6), "NWC") if last else ((1, 6, 1), None)
    grad = fastconv.channel_max_pool_backward(g, indices, shape, layout=layout)
    np.testing.assert_array_equal(grad.ravel(), [2, 0, 0, 0, 9, 0])


@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.6])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("last", [False, True])
def test_nan_and_infinity_reach_the_channels_around_them(isa: str, value: float, beta: float, last: bool) -> None:
    geometry = Norm(sizes=(3, 21), channels=9, size=4, beta=beta, last=last)
    for place in (0, 0.5, 1):
        operands = {name: array.copy() for name, array in operands_of(geometry, "float32").items()}
        operands["input"].flat[int(place * (operands["input"].size - 1))] = value
        for pass_name in ("forward", "backward"):
            (result,) = call(fastconv, geometry, pass_name, operands).values()
            wide = {name: array.astype(np.float64) for name, array in operands.items()}
            (expected,) = call(reference, geometry, pass_name, wide).values()
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
