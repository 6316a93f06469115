"""README's tables for who comes from another library: both calls of a row give the same, and what they say holds."""

from __future__ import annotations

import importlib
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import ndimage, signal

import fastconv as fc

Array = NDArray[Any]

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
SECTION = README.partition("\n## If you come from ")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| `([^`]+)` \| `(fc\.[^`]+)` \| \S.* \|$", SECTION, re.MULTILINE)
# The first word of a call: where it is from.
MODULES = {
    "ndimage": "scipy.ndimage",
    "signal": "scipy.signal",
    "measure": "skimage.measure",
    "filters": "skimage.filters",
    "util": "skimage.util",
    "F": "torch.nn.functional",
    "torch": "torch",
    "ops": "keras.ops",
    "layers": "keras.layers",
    "tf": "tensorflow",
}
SOBEL = np.outer([1, 2, 1], [-1, 0, 1])[None, None]


def module_of(word: str) -> Any:
    name = MODULES[word]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        library = name.partition(".")[0]
        pytest.skip(f"{library} is not installed: what README.md says of it is not run")


def library_of(theirs: str) -> str:
    return MODULES[theirs.partition(".")[0]].partition(".")[0]


def operands_of(library: str, random: np.random.Generator) -> dict[str, Array]:
    """The names that the rows of a library use."""
    if library in ("scipy", "skimage"):
        image, kernel = random.random((9, 11)), random.standard_normal((3, 3))
        made = {"image": image, "kernel": kernel, "even": random.standard_normal((4, 4)), "sobel": SOBEL}
        return {**made, "x": image[None, None], "w": kernel[None, None]}
    if library == "torch":
        shapes: dict[str, tuple[int, ...]] = {"x": (2, 4, 9, 11), "w": (6, 4, 3, 3), "b": (6,), "g": (2, 6, 7, 9)}
    else:
        shapes = {"x": (2, 9, 11, 4), "w": (3, 3, 4, 6), "d": (3, 3, 4, 2), "t": (3, 3, 5, 4)}
    dtype = np.float64 if library == "torch" else np.float32  # TensorFlow's normalisation has no float64
    return {name: random.standard_normal(shape, dtype) for name, shape in shapes.items()}


def test_every_row_is_run() -> None:
    assert len(ROWS) == SECTION.count("\n| `") > 0
    assert {theirs.partition(".")[0] for theirs, _ in ROWS} == set(MODULES)


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=[f"{library_of(row[0])}: {row[0]}" for row in ROWS])
def test_both_calls_of_a_row_agree(random: np.random.Generator, theirs: str, ours: str) -> None:
    word = theirs.partition(".")[0]
    names = {word: module_of(word), "np": np}
    library = library_of(theirs)
    operands = operands_of(library, random)
    given = operands
    if library == "torch":
        given = {name: module_of("torch").from_numpy(operand) for name, operand in operands.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's of copies
        expected = np.asarray(eval(theirs, names | given))
    result = eval(ours, {"fc": fc, "np": np} | operands)
    tolerance = 1e-4 if result.dtype == np.float32 else 1e-10
    assert_allclose(result.squeeze(), expected.squeeze(), rtol=tolerance, atol=tolerance)


# ---- what the third column says beyond the row


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("reflect", "symmetric"), ("mirror", "reflect"), ("nearest", "edge"), ("wrap", "wrap"), ("grid-wrap", "wrap")],
)
def test_border_modes_of_ndimage(random: np.random.Generator, theirs: str, ours: str, axes: int) -> None:
    image, kernel = random.random((7, 8, 9)[-axes:]), random.random((5,) * axes)
    padded = fc.pad(image[None, None], 2, ours)
    for function, flip in ((ndimage.correlate, False), (ndimage.convolve, True)):
        result = fc.conv(padded, kernel[None, None], flip=flip)[0, 0]
        assert_allclose(result, function(image, kernel, mode=theirs), rtol=1e-12)


def test_default_border_mode_of_ndimage(random: np.random.Generator) -> None:
    image, kernel = random.random((9, 11)), random.random((3, 3))
    assert_allclose(ndimage.correlate(image, kernel), ndimage.correlate(image, kernel, mode="reflect"), rtol=0)


@pytest.mark.parametrize("size", [(4, 4), (2, 3), (3, 4), (5, 3)], ids=str)
@pytest.mark.parametrize("shape", [(9, 11), (8, 10)], ids=str)
def test_odd_element_of_padding(random: np.random.Generator, shape: tuple[int, int], size: tuple[int, int]) -> None:
    image, kernel = random.random(shape), random.random(size)
    before = tuple((n // 2, (n - 1) // 2) for n in size)
    calls = [
        (ndimage.correlate(image, kernel, mode="constant"), before, False),
        (ndimage.convolve(image, kernel, mode="constant"), "same", True),
        (signal.convolve2d(image, kernel, "same"), before, True),
        (signal.convolve(image, kernel, "same"), before, True),
        (signal.fftconvolve(image, kernel, "same"), before, True),
        (signal.correlate(image, kernel, "same"), before, False),
        (signal.correlate2d(image, kernel, "same"), "same", False),
    ]
    for expected, padding, flip in calls:
        result = fc.conv2d(image[None], kernel[None, None], padding=padding, flip=flip)[0]
        assert_allclose(result, expected, rtol=1e-12)
    assert_allclose(fc.max_pool2d(image[None], size, 1, before)[0], ndimage.maximum_filter(image, size))


def test_integer_images(random: np.random.Generator) -> None:
    image = random.integers(0, 256, (9, 11), np.uint8)
    padded = fc.pad(image[None, None], 1, "symmetric")
    result = fc.conv2d(padded, SOBEL)[0, 0]
    assert ndimage.sobel(image).dtype == padded.dtype == np.uint8
    assert result.dtype == np.float64
    assert (ndimage.sobel(image) != result).any()


def test_kernels_larger_than_the_image_are_exchanged_by_scipy_alone(random: np.random.Generator) -> None:
    image, kernel = random.random((3, 3)), random.random((9, 11))
    assert signal.convolve2d(image, kernel, "valid").shape == (7, 9)
    with pytest.raises(ValueError, match="exceeds the padded input"):
        fc.conv2d(image[None], kernel[None, None])


def test_alpha_of_local_response_norm(random: np.random.Generator) -> None:
    """Of TensorFlow's formula and of AlexNet's, in NumPy: sums of squares, not means."""
    x = random.standard_normal((2, 3, 4, 9))
    squares = np.pad(x**2, [(0, 0)] * 3 + [(2, 2)])
    sums = sum(squares[..., j : j + 9] for j in range(5))
    result = fc.local_response_norm(x, 5, 5 * 0.1, 0.75, 2.0, layout="NHWC")
    assert_allclose(result, x / (2.0 + 0.1 * sums) ** 0.75, rtol=1e-12)


def test_kernels_of_keras_are_views() -> None:
    kernel = np.zeros((3, 3, 4, 2), np.float32)
    assert np.shares_memory(kernel.transpose(3, 2, 0, 1), kernel)
    assert np.shares_memory(kernel.transpose(2, 3, 0, 1).reshape(-1, 1, 3, 3), kernel)


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_words_for_padding_in_keras(random: np.random.Generator, stride: int, size: int) -> None:
    ops = module_of("ops")
    x, w, t = (
        random.standard_normal(shape, np.float32) for shape in ((2, 9, 11, 4), (size, size, 4, 6), (size, size, 5, 4))
    )
    extra = max(stride - size, 0)
    for word, appended in (("same", 0), ("valid", extra)):
        options: dict[str, Any] = {"stride": stride, "padding": word, "layout": "NHWC"}
        pairs = (
            (ops.conv(x, w, stride, word), fc.conv2d(x, w.transpose(3, 2, 0, 1), **options)),
            (
                ops.conv_transpose(x, t, stride, word),
                fc.conv_transpose2d(x, t.transpose(3, 2, 0, 1), **options, output_padding=appended),
            ),
        )
        for expected, result in pairs:
            assert_allclose(result, np.asarray(expected), rtol=1e-4, atol=1e-4)


def test_filters_of_skimage(random: np.random.Generator) -> None:
    filters, measure = module_of("filters"), module_of("measure")
    image = random.random((9, 11))
    down, right = filters.sobel_h(image), filters.sobel_v(image)
    assert_allclose(filters.sobel(image), np.sqrt((down**2 + right**2) / 2), rtol=1e-12)
    bytes_ = (255 * image).astype(np.uint8)
    assert_allclose(filters.sobel_v(bytes_), filters.sobel_v(bytes_ / 255), atol=1e-12)
    # Blocks that are not whole: zeros win over what is negative, and count.
    for reduce, pool in ((np.max, fc.max_pool2d), (np.mean, fc.avg_pool2d)):
        theirs, ours = measure.block_reduce(-image, 2, reduce), pool(-image[None], 2, ceil_mode=True)[0]
        assert_allclose(ours[:-1, :-1], theirs[:-1, :-1], rtol=1e-12)
        assert (ours[-1] < theirs[-1]).all()
        assert (ours[:, -1] < theirs[:, -1]).all()
