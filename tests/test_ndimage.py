"""fastconv.ndimage beside scipy.ndimage: the same results for the same arguments."""

from __future__ import annotations

import doctest
import importlib
import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy import ndimage as scipy_ndimage
from tolerance import assert_close, assert_identical
from views import Exchanged, as_view

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
    image = image.copy()  # some of SciPy's filters misread broadcast axes
    theirs = getattr(scipy_ndimage, name)(image, *args, **options)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.flags.c_contiguous
    if ours.dtype.kind in "iub":
        assert_array_equal(ours, theirs.view(np.uint8) != 0 if ours.dtype == bool else theirs)
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


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", KERNELS)
def test_every_mode_origin_and_size_on_images_of_every_length(mode: str, size: int) -> None:
    """Up to where a border mirrors several times."""
    weights = np.random.default_rng(size).standard_normal(size)
    for length in range(1, 9):
        image = np.random.default_rng(length).standard_normal(length)
        for origin in range(-(size // 2), (size - 1) // 2 + 1):
            for name in ("correlate1d", "convolve1d", "uniform_filter1d", "maximum_filter1d", "minimum_filter1d"):
                what = weights if "1d" in name and "filter" not in name else size
                ours, theirs = (
                    getattr(module, name)(image, what, mode=mode, cval=0.5, origin=origin)
                    for module in (ndimage, scipy_ndimage)
                )
                np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", ["correlate", "convolve"])
def test_complex_numbers(name: str, dtype: str) -> None:
    image, weights = image_of(0, (7, 9), dtype), image_of(1, (2, 3), "complex128")
    for one, other in ((image, weights), (image, weights.real), (image.real, weights)):
        for options in ({}, {"mode": "constant", "cval": 1.5}, {"mode": "constant", "cval": 1 - 2j}):
            if one.dtype.kind == "c" or "cval" not in options:
                check_close(name, one, other, **options)
        check_close(f"{name}1d", one, other[0], axis=0)
    for name, *args in (("gaussian_filter", 1), ("uniform_filter", 2), ("sobel",), ("laplace",)):
        check_close(name, image, *args)


@pytest.mark.parametrize("output", [np.uint8, np.float32, float, np.dtype("int64")])
def test_real_types_of_complex_results_are_promoted(output: Any) -> None:
    image, weights = image_of(0, (7, 9), "float32"), image_of(1, (2, 3), "complex64")
    for module in (scipy_ndimage, ndimage):
        with pytest.warns(UserWarning, match="promoting specified output dtype to complex"):
            result = module.correlate(image, weights, output=output)
        assert result.dtype == np.promote_types(output, np.complex64)
    with pytest.warns(UserWarning, match=f"gaussian_filter: promoting .* output is of {np.dtype(output)}"):
        ndimage.gaussian_filter(image * 1j, 1, output=output)


def check_close(name: str, image: Array, *args: Any, **options: Any) -> None:
    """Within a few roundings of the largest element."""
    ours, theirs = (getattr(module, name)(image, *args, **options) for module in (ndimage, scipy_ndimage))
    assert ours.dtype == theirs.dtype
    few = 100 * np.finfo(ours.dtype).eps
    np.testing.assert_allclose(ours, theirs, rtol=few, atol=few * np.abs(theirs).max())


@given(case=cases())
def test_uniform_filter(case: dict[str, Any]) -> None:
    options = {"mode": case["modes"], "cval": case["cval"], "origin": case["origin"]}
    if case["image"].dtype.kind == "u":
        options["cval"] = abs(case["cval"])
    bound = scipy_ndimage.uniform_filter(wide(case["image"]), case["sizes"], **{**options, "cval": abs(case["cval"])})
    # SciPy's running sums have the errors of whole lines.
    terms = math.prod(case["sizes"]) + 3 * sum(case["image"].shape)
    check("uniform_filter", case["image"], case["sizes"], terms=terms, magnitude=bound + bound.max(), **options)


@given(case=cases(), data=st.data())
def test_gaussian_filter(case: dict[str, Any], data: st.DataObject) -> None:
    image, rank = case["image"], case["image"].ndim
    options: dict[str, Any] = {"mode": case["modes"], "cval": abs(case["cval"])}
    sigma = [data.draw(st.sampled_from([0, 0.3, 0.5, 1, 1.7])) for _ in range(rank)]
    if data.draw(st.booleans()):
        options["radius"] = [data.draw(st.integers(0, 4)) for _ in range(rank)]
    if image.dtype.kind == "f" or (image.dtype.kind == "i" and data.draw(st.booleans())):
        options["order"] = [data.draw(st.integers(0, 3)) for _ in range(rank)]
    bound, terms = wide(image), 0
    for axis, one in enumerate(sigma):
        if one:
            along = {name: value[axis] for name, value in options.items() if name != "cval"}
            radius = options.get("radius", [int(4 * one + 0.5)] * rank)[axis]
            point = np.zeros(2 * radius + 1)
            point[radius] = 1
            kernel = np.abs(scipy_ndimage.gaussian_filter1d(point, one, **{**along, "mode": "constant"}))
            bound = scipy_ndimage.convolve1d(bound, kernel, axis, mode=along["mode"], cval=options["cval"])
            # Weights of derivatives are sums themselves, of terms that nearly cancel far from the middle.
            terms += kernel.size + 2 + 100 * along.get("order", 0)
    check("gaussian_filter", image, sigma, terms=terms, magnitude=bound + bound.max(), **options)


@pytest.mark.parametrize("name", ["sobel", "prewitt", "laplace"])
@given(case=cases())
def test_derivatives(name: str, case: dict[str, Any]) -> None:
    image = case["image"]
    if image.dtype.kind == "u" and image.dtype.itemsize > 2:
        image = image.astype(np.int32)  # negative sums of unsigned integers of 32 bits: not defined in C
    options = {"mode": case["modes"], "cval": case["cval"]}
    axis = {} if name == "laplace" else {"axis": case["axis"]}
    bound = np.full(image.shape, 16 * max(wide(image).max(), 3.0) * image.ndim)
    check(name, image, **axis, terms=3**image.ndim + 3, magnitude=bound, **options)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
def test_flat_patches_are_cut_off_as_scipy_cuts_them_off(dtype: str) -> None:
    """Sums of equal elements lie beside integers, above or below as they happen to be rounded."""
    blocks = np.random.default_rng(0).integers(0, 255, (12, 10)).astype(dtype)
    image = blocks.repeat(14, 0).repeat(15, 1)
    for name, *args in (
        ("gaussian_filter", 0.5),
        ("gaussian_filter", 1),
        ("correlate", np.full((3, 3), 1 / 9)),
        ("convolve", np.full((2, 4), 1 / 8)),
        ("correlate1d", [0.3, 0.4, 0.2, 0.1]),
        ("uniform_filter", 3),
    ):
        for options in ({}, {"mode": "constant", "cval": 7}, {"mode": "constant", "cval": 2.5}, {"mode": "wrap"}):
            ours, theirs = (getattr(module, name)(image, *args, **options) for module in (ndimage, scipy_ndimage))
            assert_identical(ours, theirs, name)


@pytest.mark.parametrize("mode", ["reflect", "constant", "wrap"])
def test_tall_images(mode: str) -> None:
    """Longer than what is filtered at once."""
    for height in (63, 64, 65, 66, 128, 129, 200):
        image = image_of(height, (height, 21), "float64")
        for kernel in (np.ones((3, 3)), np.arange(6.0).reshape(3, 2), np.ones((2, 5))):
            check_close("correlate", image, kernel, mode=mode)
            check_close("convolve", np.stack([image, image + 1]), kernel, mode=mode, axes=(1, 2), origin=(0, -1))
        check_close("sobel", image, mode=mode)
        check_close("laplace", image, mode=mode)
        check_close("correlate", np.stack([image] * 4), np.ones((2, 3, 3)), mode=mode)


# ---- extremes


@pytest.mark.parametrize("name", ["maximum_filter", "minimum_filter"])
@given(case=cases([*FLOATS, *INTEGERS, "bool"]))
def test_extremes(name: str, case: dict[str, Any]) -> None:
    image, cval = case["image"], case["cval"]
    if image.dtype.kind == "u":
        cval = abs(cval)
    if image.dtype.kind in "iu" and image.dtype.itemsize == 8:
        cval = int(cval)
    if image.dtype == bool:
        cval = bool(cval)  # SciPy's bool holds other numbers too
    options = {"mode": case["modes"], "cval": cval, "origin": case["origin"]}
    expected = getattr(scipy_ndimage, name)(image, case["sizes"], **options)
    assert_identical(getattr(ndimage, name)(image, case["sizes"], **options), expected)
    axis = case["axis"]
    options = {"axis": axis, "mode": case["mode"], "cval": cval, "origin": case["origin"][axis]}
    expected = getattr(scipy_ndimage, f"{name}1d")(image, case["sizes"][axis], **options)
    assert_identical(getattr(ndimage, f"{name}1d")(image, case["sizes"][axis], **options), expected)


@pytest.mark.parametrize("name", ["maximum_filter", "minimum_filter"])
@given(case=cases(), data=st.data())
def test_windows_of_any_form(name: str, case: dict[str, Any], data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    footprint = random.random(case["sizes"]) < data.draw(st.sampled_from([0.2, 0.5, 0.9, 1]))
    footprint[tuple(random.integers(case["sizes"]))] = True
    options = {"footprint": footprint, "mode": case["mode"], "cval": abs(int(case["cval"])), "origin": case["origin"]}
    expected = getattr(scipy_ndimage, name)(case["image"].copy(), **options)
    assert_identical(getattr(ndimage, name)(case["image"], **options), expected)


def test_integers_of_64_bits_are_exact_where_scipy_rounds_them() -> None:
    for dtype in ("int64", "uint64"):
        limits = np.iinfo(dtype)
        image = np.array([[limits.max, limits.max - 1, limits.min, limits.min + 1]], dtype)
        assert ndimage.maximum_filter(image, (1, 2)).tolist() == [
            [limits.max, limits.max, limits.max - 1, 1 + limits.min]
        ]
        assert ndimage.minimum_filter(image, (1, 2), mode="constant", cval=5 if dtype == "uint64" else -5).tolist()[0][
            1:
        ] == [limits.max - 1, limits.min, limits.min]


def test_nan_reaches_the_windows_that_hold_it_and_no_others() -> None:
    image = np.ones((9, 11), np.float32)
    image[4, 5] = np.nan
    reached = scipy_ndimage.maximum_filter(np.isnan(image), 3)
    for result in (
        ndimage.maximum_filter(image, 3),
        ndimage.minimum_filter(image, 3),
        ndimage.uniform_filter(image, 3),
        ndimage.correlate(image, np.ones((3, 3))),
        ndimage.gaussian_filter(image, 1, radius=1),
        ndimage.sobel(image),
        ndimage.maximum_filter(image, footprint=np.ones((3, 3))),
    ):
        assert_array_equal(np.isnan(result), reached)


# ---- axes


@pytest.mark.parametrize("shape", [(5, 6, 7, 3), (3, 4, 5, 6), (4, 20, 3, 5), (2, 3, 20, 20)])
def test_some_axes_of_many(shape: tuple[int, ...]) -> None:
    for dtype in ("float64", "int16"):
        image = image_of(3, shape, dtype)
        for axes in (
            (0,),
            (1,),
            (2,),
            (3,),
            (0, 1),
            (1, 2),
            (0, 3),
            (3, 1),
            (-1, 0),
            (0, 1, 3),
            (2, 0, 3),
            (1, 2, 3),
            2,
        ):
            count = 1 if axes == 2 else len(axes)
            sizes = (2, 3, 4)[:count]
            weights = np.random.default_rng(1).integers(-3, 4, sizes)
            options = {"axes": axes, "mode": "mirror"}
            check_close("correlate", image.astype(float), weights, origin=(-1, 0, -1)[:count], **options)
            check_close("convolve", image.astype(float), weights, origin=(-1, 0, -1)[:count], **options)
            for name, argument in (
                ("uniform_filter", sizes),
                ("maximum_filter", sizes),
                ("minimum_filter", sizes),
                ("gaussian_filter", [0.7, 1, 1.3][:count]),
            ):
                if dtype == "float64":
                    check_close(name, image, argument, **options)
                else:
                    ours, theirs = (
                        getattr(module, name)(image, argument, **options) for module in (ndimage, scipy_ndimage)
                    )
                    assert_identical(ours, theirs)
            footprint = weights > 0
            footprint.flat[0] = True
            check_close("maximum_filter", image.astype(float), footprint=footprint, **options)
            check_close("laplace", image.astype(float), **options)
        for name in ("sobel", "prewitt", "laplace", "gaussian_filter", "uniform_filter"):
            check_close(name, image.astype(float), *([1] if name == "gaussian_filter" else []))


def test_kernels_longer_than_1_on_four_axes_are_refused() -> None:
    image = np.ones((3, 3, 3, 3))
    with pytest.raises(ValueError, match=r"^correlate: windows of \(2, 2, 2, 2\).*needs 3 axes at most"):
        ndimage.correlate(image, np.ones((2, 2, 2, 2)))
    assert ndimage.correlate(image, np.ones((2, 1, 2, 2))).max() == 8
    with pytest.raises(ValueError, match=r"^maximum_filter: windows of .* 3 axes"):
        ndimage.maximum_filter(image, 2)
    np.testing.assert_allclose(ndimage.gaussian_filter(image, 1), 1)


def test_images_of_no_axis_and_of_no_element() -> None:
    for name, *args in (
        ("correlate", 2.0),
        ("gaussian_filter", 1),
        ("uniform_filter", 3),
        ("maximum_filter", 3),
        ("laplace",),
    ):
        ours, theirs = (getattr(module, name)(np.float64(3), *args) for module in (ndimage, scipy_ndimage))
        assert_array_equal(ours, theirs)
        assert ours.shape == ()
    for dtype in ("float32", "int16"):
        for shape in ((0,), (0, 3), (3, 0), (2, 0, 3)):
            empty = np.empty(shape, dtype)
            weights = np.ones((2,) * len(shape))
            for result in (
                ndimage.correlate(empty, weights, mode="wrap"),
                ndimage.convolve(empty, weights / 3),
                ndimage.gaussian_filter(empty, 1),
                ndimage.uniform_filter(empty, 2),
                ndimage.maximum_filter(empty, 2),
                ndimage.minimum_filter(empty, footprint=np.eye(2)[0] if len(shape) == 1 else weights),
                ndimage.sobel(empty, 0),
                ndimage.laplace(empty),
            ):
                assert (result.shape, result.dtype) == (shape, dtype)


# ---- types, outputs, memory


@pytest.mark.parametrize("source", ["uint8", "int32", "float32", "float64", "bool"])
@pytest.mark.parametrize("target", ["uint8", "int16", "int64", "float32", "float64"])
def test_types_of_results(source: str, target: str) -> None:
    image = image_of(5, (8, 9), source)
    weights = np.random.default_rng(1).random((3, 2))
    for name, *args in (
        ("correlate", weights),
        ("correlate1d", weights[:, 0]),
        ("uniform_filter", 3),
        ("gaussian_filter", 0.8),
        ("maximum_filter", 2),
        ("prewitt",),
        ("laplace",),
    ):
        made = getattr(ndimage, name)(image, *args, output=target)
        assert made.dtype == target
        written = np.empty((9, 8), target).T
        assert getattr(ndimage, name)(image, *args, output=written) is written
        assert_array_equal(written, made)
        expected = getattr(scipy_ndimage, name)(image, *args, output=target)
        if np.dtype(target).kind == "f":
            np.testing.assert_allclose(made, expected, rtol=3e-6, atol=1e-4 if image.dtype.kind in "iu" else 1e-6)
        else:
            assert_array_equal(made, expected)


def test_float16_is_computed_in_float32_and_rounded_once() -> None:
    image, weights = image_of(0, (9, 10), "float32").astype(np.float16), image_of(1, (4, 5), "float64")
    for name, *args in (
        ("correlate", weights),
        ("gaussian_filter", 1),
        ("uniform_filter", 3),
        ("sobel",),
        ("maximum_filter", 3),
    ):
        result = getattr(ndimage, name)(image, *args)
        assert_identical(result, getattr(ndimage, name)(image.astype(np.float32), *args).astype(np.float16), name)


def test_the_output_may_be_the_input() -> None:
    image = image_of(0, (9, 10), "float64")
    for name, *args in (
        ("correlate", np.ones((3, 2))),
        ("gaussian_filter", 1),
        ("maximum_filter", 3),
        ("gaussian_filter", 0),
    ):
        expected, own = getattr(ndimage, name)(image, *args), image.copy()
        assert getattr(ndimage, name)(own, *args, output=own) is own
        assert_array_equal(own, expected)
        assert not np.may_share_memory(expected, image)


def test_arrays_of_other_libraries_and_of_every_make() -> None:
    image, weights = image_of(0, (9, 10), "float64"), np.arange(6.0).reshape(2, 3)
    expected = ndimage.correlate(image, weights)
    for other in (
        Exchanged(image),
        image.astype(">f8"),
        image.tolist(),
        np.asfortranarray(image),
        image[:, ::-1][:, ::-1],
    ):
        assert_identical(ndimage.correlate(other, weights), expected)
        assert_identical(ndimage.maximum_filter(other, 3), ndimage.maximum_filter(image, 3))
    assert_identical(ndimage.correlate(image, Exchanged(weights)), expected)
    swapped = image.astype(">i4")
    assert ndimage.maximum_filter(swapped, 3).dtype == np.dtype("=i4")


def test_arrays_of_the_array_api() -> None:
    xp = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    image = image_of(0, (9, 10), "float32")
    assert_identical(ndimage.gaussian_filter(xp.asarray(image), 1), ndimage.gaussian_filter(image, 1))
    assert_identical(fastconv.max_pool2d(xp.asarray(image[None]), 2), fastconv.max_pool2d(image[None], 2))


# ---- errors, words

IMAGE = np.ones((5, 6))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ndimage.correlate(IMAGE, np.ones(3)), ValueError, "correlate: weights has shape (3,); needs 2 axes"),
        (lambda: ndimage.correlate(IMAGE, np.ones((0, 3))), ValueError, "weights has shape (0, 3)"),
        (lambda: ndimage.convolve1d(IMAGE, np.ones((1, 3))), ValueError, "convolve1d: weights has shape (1, 3)"),
        (
            lambda: ndimage.correlate(IMAGE, np.ones((3, 3)), mode="edge"),
            ValueError,
            "mode is 'edge'; needs one of 'reflect'",
        ),
        (lambda: ndimage.correlate(IMAGE, np.ones((3, 3)), mode=None), ValueError, "mode is None"),
        (lambda: ndimage.sobel(IMAGE, mode=["wrap"]), ValueError, "sobel: mode is ['wrap']; needs one value, or 2"),
        (lambda: ndimage.convolve(IMAGE, np.ones((3, 4)), origin=(0, 2)), ValueError, "origin is 2; needs -2 to 1"),
        (lambda: ndimage.convolve(IMAGE, np.ones((3, 4)), origin=1.0), TypeError, "origin is 1.0; needs ints"),
        (lambda: ndimage.correlate(IMAGE, np.ones((3, 4)), cval="0"), TypeError, "cval is '0'; needs a number"),
        (lambda: ndimage.correlate(IMAGE, np.ones((3, 4)), cval=1j), TypeError, "cval is 1j; needs a number"),
        (lambda: ndimage.correlate(IMAGE, np.ones((3, 4)), np.ones((6, 5))), ValueError, "output has shape (6, 5)"),
        (lambda: ndimage.correlate(IMAGE, np.ones((3, 4)), "nothing"), TypeError, "output is 'nothing'"),
        (lambda: ndimage.correlate(IMAGE, 1j * np.ones((3, 4)), "float64"), TypeError, "needs a complex dtype"),
        (lambda: ndimage.correlate(IMAGE, 1j * np.ones((3, 4)), IMAGE), TypeError, "needs a complex dtype"),
        (lambda: ndimage.correlate(IMAGE, np.ones((3, 4)), axes=(0, 2)), ValueError, "axes is (0, 2); needs axes of"),
        (lambda: ndimage.correlate(IMAGE, np.ones((3, 4)), axes=(0, -2)), ValueError, "needs each axis once"),
        (lambda: ndimage.correlate1d(IMAGE, [1, 2], 2), ValueError, "axis is 2; needs an axis"),
        (lambda: ndimage.correlate([["a"]], [[1]]), TypeError, "input has dtype <U1"),
        (lambda: ndimage.gaussian_filter(IMAGE, (1, 2, 3)), ValueError, "sigma is (1, 2, 3); needs one value, or 2"),
        (lambda: ndimage.gaussian_filter(IMAGE, 1, radius=-1), ValueError, "radius is -1"),
        (
            lambda: ndimage.gaussian_filter(IMAGE, 1, radius=2**62),
            ValueError,
            "radius is 4611686018427387904; needs ints <",
        ),
        (lambda: ndimage.gaussian_filter(IMAGE, 1, radius=1.5), TypeError, "radius is 1.5; needs ints"),
        (lambda: ndimage.gaussian_filter(IMAGE, 1, order=-1), ValueError, "order is -1"),
        (lambda: ndimage.gaussian_filter1d(IMAGE, 0), ValueError, "sigma is 0; needs numbers > 0"),
        (lambda: ndimage.gaussian_filter(IMAGE, np.inf), ValueError, "sigma is inf; needs numbers >= 0"),
        (
            lambda: ndimage.gaussian_filter(IMAGE, 1e300),
            ValueError,
            "sigma is 1e+300, truncate is 4.0; needs a product",
        ),
        (lambda: ndimage.gaussian_filter(IMAGE, 1, truncate=1e30), ValueError, "sigma is 1, truncate is 1e+30"),
        (lambda: ndimage.gaussian_filter1d(IMAGE, 1, truncate=np.nan), ValueError, "sigma is 1, truncate is nan"),
        (lambda: ndimage.sobel(IMAGE, output=complex), TypeError, "output is of complex128; needs a real dtype"),
        (lambda: ndimage.uniform_filter(IMAGE, 0), ValueError, "size is 0; needs ints >= 1"),
        (lambda: ndimage.maximum_filter(IMAGE), ValueError, "size is None, footprint is None; needs one of them"),
        (lambda: ndimage.maximum_filter(IMAGE, 2, [[1]]), ValueError, "needs one of them"),
        (lambda: ndimage.maximum_filter(IMAGE, footprint=[[0]]), ValueError, "footprint is false everywhere"),
        (lambda: ndimage.maximum_filter(IMAGE, footprint=[1]), ValueError, "footprint has shape (1,); needs 2 axes"),
        (lambda: ndimage.minimum_filter(IMAGE * 1j, 2), TypeError, "input has dtype complex128"),
        (
            lambda: ndimage.minimum_filter(np.ones(3, int), 2, mode="constant", cval=0.5),
            ValueError,
            "cval is 0.5; needs an integer of the input's dtype int64",
        ),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ndimage.__all__)
def test_signatures_are_scipys(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (ndimage, scipy_ndimage))
    assert [(one.name, one.default) for one in ours.values()] == [(one.name, one.default) for one in theirs.values()]


def test_the_examples_of_the_page_run() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "images.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)


@pytest.mark.parametrize("module", ["_correlation", "_smoothing", "_derivatives", "_extremes"])
def test_examples_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"fastconv.ndimage.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
