"""im2col, col2im and pad on the fast path: the tables against the reference, and what must not change a bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import PASSES, Case, cases_of, parameters
from checking import call, check, operands_of
from features import PAD_MODES
from geometries import Pad, Patches
from tolerance import assert_identical
from views import as_view

import fastconv

SPLIT = (
    *(
        Patches(batch=5, channels=19, stride=stride, padding=1, sizes=sizes, last=last)
        for sizes, stride in (((900,), 1), ((29, 31), 2), ((9, 10, 11), 1))
        for last in (False, True)
    ),
    *(
        Pad(batch=5, channels=19, mode=mode, padding=pads, sizes=sizes, last=last)
        for sizes, pads, mode in (((900,), 70, "wrap"), ((29, 31), (40, 3), "reflect"), ((9, 10, 11), 2, "constant"))
        for last in (False, True)
    ),
)


@pytest.mark.parametrize("case", parameters(cases_of("patches")))
def test_im2col_and_col2im_match_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", parameters(cases_of("pad")))
def test_pad_matches_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("geometry", SPLIT, ids=lambda geometry: f"{geometry.stem}-{geometry}")
def test_same_bits_for_threads_batches_and_alignment(isa: str, geometry: Any) -> None:
    operands = operands_of(geometry, "float32")
    moved = {name: as_view(array, "offset") for name, array in operands.items()}
    for pass_name in PASSES[geometry.stem]:
        with fastconv.num_threads(1):
            (serial,) = call(fastconv, geometry, pass_name, operands).values()
        for threads in (2, 3):
            with fastconv.num_threads(threads):
                (result,) = call(fastconv, geometry, pass_name, moved).values()
            assert_identical(result, serial, f"{pass_name} with {threads} threads")
        for n in range(geometry.batch):
            one = {name: array[n : n + 1] for name, array in operands.items()}
            (alone,) = call(fastconv, replace(geometry, batch=1), pass_name, one).values()
            assert_identical(alone[0], serial[n], f"{pass_name} of image {n}")


@pytest.mark.parametrize("mode", PAD_MODES)
def test_pad_is_numpys(isa: str, mode: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    for padding in (0, 3, (2, 11), ((1, 2), (0, 3)), ((40, 0), (2, 19))):
        widths = padding if np.ndim(padding) == 2 else np.broadcast_to(np.reshape(padding, (-1, 1)), (2, 2))
        expected = np.pad(x, [(0, 0), (0, 0), *map(tuple, widths)], mode)
        assert_identical(fastconv.pad(x, padding, mode), expected)


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 200), ("int64", 2**62 + 1), ("bool", True), ("float16", 0.1)])
def test_pad_fills_in_the_arrays_own_type(dtype: str, value: float) -> None:
    result = fastconv.pad(np.zeros((1, 1, 1), dtype), 1, value=value)
    np.testing.assert_array_equal(result.ravel(), np.array([value, 0, value], dtype))
    assert result.dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 256), ("uint8", -1), ("int32", 0.5), ("int64", float("nan")), ("bool", 2)]
)
def test_pad_refuses_a_value_that_the_type_cannot_hold(dtype: str, value: float) -> None:
    for module in (fastconv, fastconv.reference):
        with pytest.raises(ValueError, match=f"value is .*{value}.*{dtype}"):
            module.pad(np.zeros((1, 1, 1), dtype), 1, value=value)


@pytest.mark.parametrize("last", [False, True])
def test_conv_is_a_product_with_patches(isa: str, last: bool) -> None:
    """Small integers: every sum is exact, whatever its order."""
    random = np.random.default_rng(0)
    x = random.integers(-8, 9, (2, 9, 11, 4) if last else (2, 4, 9, 11)).astype(np.float32)
    w = random.integers(-8, 9, (6, 4, 3, 2)).astype(np.float32)
    layout = "NHWC" if last else None
    columns = fastconv.im2col(x, (3, 2), dilation=2, padding=1, stride=(2, 1), layout=layout)
    product = w.reshape(6, -1) @ columns
    expected = fastconv.conv2d(x, w, None, (2, 1), 1, 2, layout=layout)
    if last:
        expected = np.moveaxis(expected, -1, 1)
    np.testing.assert_array_equal(product.reshape(expected.shape), expected)


def test_a_number_for_the_output_size_of_col2im_is_two() -> None:
    columns = np.random.default_rng(0).standard_normal((2, 3 * 4, 16))
    assert_identical(fastconv.col2im(columns, 5, 2), fastconv.col2im(columns, (5, 5), 2))
