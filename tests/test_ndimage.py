"""fastconv.ndimage beside scipy.ndimage: the same results for the same arguments."""

from __future__ import annotations

import doctest
import importlib
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy import ndimage as scipy_ndimage
from tolerance import assert_close, assert_identical
from views import as_view

import fastconv
from fastconv import ndimage

Array = NDArray[Any]

MODES = ["reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-constant", "grid-wrap"]
FLOATS = ["float32", "float64"]
INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64"]
KERNELS = range(1, 7)
VIEWS = ["plain", "strided", "negative", "transposed", "broadcast"]


def image_of(seed: int, shape: tuple[int, ...], dtype: str) -> Array:
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.standard_normal(shape).astype(dtype)
    if np.dtype(dtype).kind == "c":
        return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(dtype)
    limits = np.iinfo(np.uint8 if dtype == "bool" else dtype)
    flat = random.random() < 0.5  # few values, so that sums come near integers
    low, high = (0, 2) if dtype == "bool" or flat else (max(limits.min, -1000), min(limits.max, 1000))
    return random.integers(low, high, shape).astype(dtype)


@st.composite
def cases(draw: Callable[..., Any], dtypes: list[str] = [*FLOATS, *INTEGERS]) -> dict[str, Any]:  # noqa: B006
    """An image, sizes of windows of 1 to 6, and how they stand."""
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=rank, max_size=rank)))
    shape = (*shape[:-1], draw(st.sampled_from([shape[-1], 17, 40])))
    sizes = [draw(st.sampled_from(KERNELS)) for _ in shape]
    image = image_of(draw(st.integers(0, 2**32)), shape, draw(st.sampled_from(dtypes)))
    return {
        "image": as_view(image, draw(st.sampled_from(VIEWS))),
        "sizes": sizes,
        "weights": np.random.default_rng(draw(st.integers(0, 2**32))).standard_normal(sizes),
        "mode": draw(st.sampled_from(MODES)),
        "modes": [draw(st.sampled_from(MODES)) for _ in shape],
        "cval": draw(st.sampled_from([0.0, 1.0, 3.0, -2.5])),
        "origin": [draw(st.integers(-(size // 2), (size - 1) // 2)) for size in sizes],
        "axis": draw(st.integers(-rank, rank - 1)),
    }


def wide(image: Array) -> Array:
    return np.abs(image.astype(np.float64))


def kept_in_range(image: Array, weights: Array, cval: float) -> tuple[Array, float]:
    """Weights and filler whose sums fit the type of the image: what C makes of others is not defined.

    Below 32 bits it is the remainder, on all machines that SciPy runs on.
    """
    if image.dtype.kind not in "iu" or image.dtype.itemsize < 4:
        return weights, cval
    if image.dtype.kind == "u":
        weights, cval = np.abs(weights), abs(cval)
    return weights / 16, cval


def check(name: str, image: Array, *args: Any, terms: int, magnitude: Array, **options: Any) -> None:
    """Integers are equal; floats are within the bound of sums of `terms`, whose absolute values add to `magnitude`."""
    ours = getattr(ndimage, name)(image, *args, **options)
    theirs = getattr(scipy_ndimage, name)(image, *args, **options)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.flags.c_contiguous
    if ours.dtype.kind in "iub":
        assert_array_equal(ours.astype(int), theirs.view(np.uint8).astype(bool) if ours.dtype == bool else theirs)
    else:
        exact = getattr(scipy_ndimage, name)(image.astype(np.float64), *args, **options)
        assert_close(ours, exact, terms, magnitude)


# ---- sums


@pytest.mark.parametrize("name", ["correlate", "convolve"])
@given(case=cases([*FLOATS, *INTEGERS, "bool"]))
def test_kernels_of_all_axes(name: str, case: dict[str, Any]) -> None:
    weights, cval = kept_in_range(case["image"], case["weights"], case["cval"])
    options = {"mode": case["mode"], "origin": case["origin"]}
    bound = getattr(scipy_ndimage, name)(wide(case["image"]), np.abs(weights), cval=abs(cval), **options)
    check(name, case["image"], weights, terms=weights.size, magnitude=bound, cval=cval, **options)


@pytest.mark.parametrize("name", ["correlate1d", "convolve1d"])
@pytest.mark.parametrize("form", ["any", "symmetric", "antisymmetric", "whole"])
@given(case=cases([*FLOATS, *INTEGERS, "bool"]))
def test_kernels_of_one_axis(name: str, form: str, case: dict[str, Any]) -> None:
    axis = case["axis"]
    weights = case["weights"].ravel()[: case["sizes"][axis]]
    if form == "whole":
        weights = np.rint(weights)
    elif form != "any":
        weights = weights + (1 if form == "symmetric" else -1) * weights[::-1]
    weights, cval = kept_in_range(case["image"], weights, case["cval"])
    options = {"axis": axis, "mode": case["mode"], "origin": case["origin"][axis]}
    bound = getattr(scipy_ndimage, name)(wide(case["image"]), np.abs(weights), cval=abs(cval), **options)
    check(name, case["image"], weights, terms=weights.size, magnitude=bound, cval=cval, **options)
