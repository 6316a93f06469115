"""fastconv.signal beside scipy.signal: the same results for the same arguments."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy import signal as scipy_signal
from tolerance import assert_close, assert_identical
from views import as_view

from fastconv import signal

Array = NDArray[Any]

MODES = ["full", "same", "valid"]
BOUNDARIES = ["fill", "wrap", "symm", "pad", "circular", "symmetric"]
DTYPES = ["float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64"]
COMPLEX = ["complex64", "complex128"]
VIEWS = ["plain", "strided", "negative", "transposed", "broadcast"]


def array_of(seed: int, shape: tuple[int, ...], dtype: str, view: str = "plain") -> Array:
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind in "fc":
        array = random.standard_normal(shape) + (1j * random.standard_normal(shape) if kind == "c" else 0)
    elif kind == "b":
        array = random.random(shape) < 0.5
    else:
        limits = np.iinfo(dtype)
        reach = random.choice([5, 1000, 2**62])  # sums in float32, in float64, and in integers that wrap around
        array = random.integers(max(limits.min, -reach), min(limits.max, reach), shape, endpoint=True, dtype=dtype)
    return as_view(array.astype(dtype), view)


@st.composite
def pairs(draw: Callable[..., Any], rank: int | None = None) -> tuple[Array, Array]:
    """Two arrays: the second with 1 to 6 elements an axis, or the other way around."""
    rank = rank or draw(st.integers(1, 3))
    image = tuple(draw(st.lists(st.integers(1, 9), min_size=rank, max_size=rank)))
    image = (*image[:-1], draw(st.sampled_from([image[-1], 17, 40])))
    kernel = tuple(draw(st.lists(st.integers(1, 6), min_size=rank, max_size=rank)))
    arrays = [
        array_of(
            draw(st.integers(0, 2**32)), shape, draw(st.sampled_from([*DTYPES, *COMPLEX])), draw(st.sampled_from(VIEWS))
        )
        for shape in (image, kernel)
    ]
    return (arrays[1], arrays[0]) if draw(st.integers(0, 4)) == 0 else (arrays[0], arrays[1])


def fits(one: Array, other: Array) -> bool:
    at_least = [n >= k for n, k in zip(one.shape, other.shape, strict=True)]
    at_most = [n <= k for n, k in zip(one.shape, other.shape, strict=True)]
    return all(at_least) or all(at_most)


def check(name: str, one: Array, other: Array, **options: Any) -> None:
    """Integers are equal; floats are within the bound of their sums, complex ones in each part."""
    dtype = np.result_type(one, other)
    ours = getattr(signal, name)(one, other, **options)
    assert ours.dtype == dtype
    assert ours.flags.c_contiguous
    theirs = getattr(scipy_signal, name)
    if dtype.kind in "iu":
        assert_array_equal(ours, theirs(one.astype(dtype), other.astype(dtype), **options))
        return
    wide = np.complex128 if dtype.kind == "c" else np.float64
    exact = theirs(one.astype(wide), other.astype(wide), **options)
    if name == "correlate2d" and options["mode"] == "valid" and one.size < other.size:
        exact = exact.conj()  # there SciPy conjugates the other one
    if "fillvalue" in options:
        options["fillvalue"] = abs(options["fillvalue"])
    magnitude = theirs(np.abs(one.astype(wide)), np.abs(other.astype(wide)), **options)
    assert ours.shape == exact.shape
    terms = 2 * min(one.size, other.size) if "boundary" not in options else 2 * other.size
    for part in ("real", "imag") if dtype.kind == "c" else ("real",):
        assert_close(getattr(ours, part), getattr(exact, part), terms, magnitude)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@given(pair=pairs(), mode=st.sampled_from(MODES))
def test_sums_of_one_to_three_axes(name: str, pair: tuple[Array, Array], mode: str) -> None:
    if mode != "valid" or fits(*pair):
        check(name, *pair, mode=mode, method="direct")


@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
@given(
    pair=pairs(2),
    mode=st.sampled_from(MODES),
    boundary=st.sampled_from(BOUNDARIES),
    fillvalue=st.sampled_from([0, 1, 7]),
)
def test_images_with_a_border(name: str, pair: tuple[Array, Array], mode: str, boundary: str, fillvalue: int) -> None:
    if mode != "valid" or fits(*pair):
        check(name, *pair, mode=mode, boundary=boundary, fillvalue=fillvalue)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", range(1, 9))
def test_every_length(length: int, mode: str) -> None:
    for size in range(1, 9):
        one, other = array_of(1, (length,), "float64"), array_of(2, (size,), "float64")
        for name in ("convolve", "correlate"):
            for method in ("auto", "direct", "fft"):
                if mode == "same" and size > length and method == "direct":
                    expected = getattr(scipy_signal, name)(one, other, mode, "fft")
                else:
                    expected = getattr(scipy_signal, name)(one, other, mode, "direct")
                np.testing.assert_allclose(getattr(signal, name)(one, other, mode, method), expected, 1e-12, 1e-14)
        for name in ("convolve2d", "correlate2d"):
            for boundary in ("fill", "wrap", "symm"):
                ours, theirs = (
                    getattr(module, name)(one[None], other[None], mode, boundary) for module in (signal, scipy_signal)
                )
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@given(pair=pairs(), mode=st.sampled_from(MODES))
def test_transforms(name: str, pair: tuple[Array, Array], mode: str) -> None:
    one, other = pair
    dtype = np.result_type(one, other)
    if dtype.kind in "iu":
        one, other = (array % 100 for array in pair)
    if mode == "valid" and not fits(one, other):
        return
    ours = getattr(signal, name)(one, other, mode, "fft")
    theirs = getattr(scipy_signal, name)(one.astype(dtype), other.astype(dtype), mode, "direct")
    if dtype.kind in "iu":
        assert_array_equal(ours, theirs)
    else:
        few = 50 * np.finfo(ours.dtype).eps
        largest = float(np.abs(one).max()) * float(np.abs(other).max()) * min(one.size, other.size)
        np.testing.assert_allclose(ours, theirs, rtol=few, atol=few * largest)


def test_auto_takes_transforms_of_large_kernels_and_of_nothing_that_they_would_spoil(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []
    monkeypatch.setattr(signal, "_by_fft", lambda pair, _: taken.append(pair.op))
    large, small = np.ones((128, 128), np.float32), np.ones((5, 5), np.float32)
    signal.convolve(large, small)
    signal.convolve(large.astype(int), large.astype(int)[:64, :64], "valid")
    signal.correlate(np.full_like(large, np.nan), large[:64, :64])
    assert taken == []
    signal.convolve(large, large, "same")
    signal.correlate(large, large, "same")
    assert taken == ["convolve", "correlate"]
    monkeypatch.setattr(signal, "_scipy_fft", lambda: None)
    signal.convolve(large, large[:40, :40], "same")
    assert len(taken) == 2


def test_scipy_is_not_needed() -> None:
    code = """
import sys
sys.modules["scipy"] = sys.modules["scipy.fft"] = None
import numpy as np
from fastconv import ndimage, signal
large = np.ones((100, 100))
print(signal.convolve(large, large, "valid"), ndimage.gaussian_filter(large, 1).max().round(9))
try:
    signal.convolve(large, large, method="fft")
except ImportError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        "[[10000.]] 1.0",
        "convolve: method 'fft' needs SciPy, which is not installed; 'direct' does not",
    ]


def test_bool_float16_and_single_numbers() -> None:
    one, other = array_of(1, (9,), "bool"), array_of(2, (4,), "bool")
    for name in ("convolve", "correlate"):
        for mode in MODES:
            assert_identical(getattr(signal, name)(one, other, mode), getattr(scipy_signal, name)(one, other, mode))
        assert getattr(signal, name)(3, 4) == 12
        assert getattr(signal, name)(3.0, 4j) == (12j if name == "convolve" else -12j)
    half, taps = array_of(1, (30, 20), "float16"), array_of(2, (3, 4), "float16")
    expected = signal.convolve2d(half.astype(np.float32), taps.astype(np.float32)).astype(np.float16)
    assert_identical(signal.convolve2d(half, taps), expected)
    assert_identical(signal.convolve(half, taps), expected)


def test_axes_of_one_element() -> None:
    one, other = array_of(1, (4, 1, 5, 6), "float64"), array_of(2, (2, 1, 3, 2), "float64")
    check("convolve", one, other, mode="same", method="direct")
    check("convolve", one[None], other[None], mode="full", method="direct")
    with pytest.raises(ValueError, match=r"^convolve: windows of \(2, 2, 2, 2\).* 3 axes at most"):
        signal.convolve(np.ones((3, 3, 3, 3)), np.ones((2, 2, 2, 2)))


def test_fill_is_taken_in_the_type_of_the_result() -> None:
    image, kernel = np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((3, 3), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, of complex numbers on the way
        expected = scipy_signal.convolve2d(image, kernel, fillvalue=2.9)
    assert_identical(signal.convolve2d(image, kernel, fillvalue=2.9), expected)
    check("convolve2d", image * (1 + 1j), kernel, boundary="fill", fillvalue=2)
    assert signal.convolve2d(image * 1j, kernel, fillvalue=1 - 1j)[0, 0] == 8 - 8j


def test_nan_and_infinity_reach_the_sums_that_hold_them() -> None:
    image = np.ones((64, 64))
    image[40, 5] = np.nan
    assert np.isnan(signal.convolve(image, np.ones((30, 30)), "same")).sum() == 30 * 21
    image[40, 5] = np.inf
    assert np.isposinf(signal.correlate(image, np.ones((3, 3)))).sum() == 9


ONE = np.ones((4, 5))
BYTES = ONE.astype(np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: signal.convolve(ONE, [1]), ValueError, "convolve: in1 has shape (4, 5) and in2 has shape (1,); needs"),
        (lambda: signal.correlate(ONE, ONE[:0]), ValueError, "in2 has shape (0, 5); needs an element at least"),
        (lambda: signal.convolve2d(ONE[0], ONE[0]), ValueError, "convolve2d: in1 has shape (5,)"),
        (lambda: signal.convolve(ONE, ONE, "wide"), ValueError, "mode is 'wide'; needs one of 'full', 'same', 'valid'"),
        (lambda: signal.convolve(ONE, ONE, 2), TypeError, "mode is 2; needs one of"),
        (lambda: signal.convolve(ONE, ONE, method="fast"), ValueError, "method is 'fast'; needs one of 'auto'"),
        (lambda: signal.correlate2d(ONE, ONE, boundary="edge"), ValueError, "boundary is 'edge'; needs one of 'fill'"),
        (lambda: signal.correlate2d(ONE, ONE, fillvalue="0"), TypeError, "fillvalue is '0'; needs a number"),
        (lambda: signal.correlate2d(ONE, ONE, fillvalue=1j), TypeError, "needs a real number for arrays of float64"),
        (
            lambda: signal.correlate2d(ONE, ONE[:3].repeat(2, 1), "valid"),
            ValueError,
            "'valid' needs one that is as large",
        ),
        (lambda: signal.convolve2d(BYTES, BYTES, fillvalue=-1), ValueError, "needs a number in the range of uint8"),
        (lambda: signal.convolve2d(BYTES, BYTES, fillvalue=256), ValueError, "needs a number in the range of uint8"),
        (lambda: signal.convolve2d(BYTES, BYTES, fillvalue=np.nan), ValueError, "fillvalue is nan"),
        (lambda: signal.convolve(["a"], ["b"]), TypeError, "convolve: in1 has dtype <U1"),
    ],
)
def test_errors_name_the_argument(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


@pytest.mark.parametrize("name", signal.__all__)
def test_signatures_are_scipys(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (signal, scipy_signal))
    assert [(one.name, one.default) for one in ours.values()] == [(one.name, one.default) for one in theirs.values()]


def test_examples_run() -> None:
    results = doctest.testmod(signal)
    assert results.attempted > 0
    assert results.failed == 0
