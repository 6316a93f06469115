"""fastconv in Keras's NumPy backend: Keras's own tests, and random layers beside what that backend does with JAX."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import DTypeLike, NDArray
from tolerance import assert_close

os.environ.setdefault("KERAS_BACKEND", "numpy")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("jax", reason="jax is not installed: Keras's NumPy backend needs it")
    keras = pytest.importorskip("keras", reason="keras is not installed: fastconv.interop.keras is not tested")
if keras.backend.backend() != "numpy":
    pytest.skip("KERAS_BACKEND is not numpy: fastconv.interop.keras is not tested", allow_module_level=True)

from keras.src.backend.numpy import nn

import fastconv.interop.keras as ours

Array = NDArray[Any]

NAMES = [name for name in ours.__all__ if not name.endswith("install")]
THEIRS = {name: getattr(nn, name) for name in NAMES}
PATH = Path(keras.__file__).parent / "src"


@pytest.fixture
def installed() -> Iterator[None]:
    ours.install()
    yield
    ours.uninstall()


# ---------------------------------------------------------------------------------------------------------------------
# Keras's own tests

SUITES = ("ops/nn_test.py", "layers/convolutional", "layers/pooling")
FAILING = {
    r"test_(hard_shrink|soft_shrink|tanh_shrink|threshold)_(bfloat16|float16|float32)": "compares with torch",
    r"test_enable_lora_conv[123]d_.*": "trains, which the NumPy backend does not",
}
"""Tests of these suites that fail, and why; with us and without."""
PLUGIN = """
import fastconv.interop.keras
from keras.src.backend.numpy import nn
fastconv.interop.keras.install()
nn.jax = nn.lax = None  # nothing in there may call it
"""


def keras_tests(folder: Path, suites: Iterable[str], *arguments: str) -> tuple[Counter[str], list[str]]:
    """How many tests of Keras passed, failed and were skipped, and the names of those that failed."""
    report = folder / "report.xml"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), f"--junitxml={report}"]
    subprocess.run(
        [*command, "-p", "no:cacheprovider", *arguments, *(str(PATH / suite) for suite in suites)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    outcomes = Counter(next((child.tag for child in case), "passed") for case in cases)
    return outcomes, [case.attrib["name"] for case in cases if case.find("failure") is not None]


def expected_to_fail(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in FAILING)


def test_kerass_own_tests(tmp_path: Path) -> None:
    (tmp_path / "ours_in_keras.py").write_text(PLUGIN)
    outcomes, failed = keras_tests(tmp_path, SUITES, "-p", "ours_in_keras")
    assert [name for name in failed if not expected_to_fail(name)] == []
    assert not outcomes["error"]
    # Those counted in the documentation, so that none is lost unseen; where PyTorch is installed, 12 fewer fail.
    page = " ".join((Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text().split())
    told = re.search(r"JAX out of their reach: (\d+) pass\. (\d+) fail", page)
    assert told is not None
    passing, failing = map(int, told.groups())
    if f"(Keras {keras.__version__})" in page:
        assert outcomes["passed"] + len(failed) == passing + failing, outcomes
        assert len(failed) == failing or find_spec("torch"), outcomes
    else:  # of another version
        assert outcomes["passed"] >= passing, outcomes


def test_what_fails_in_kerass_own_tests_fails_without_us(tmp_path: Path) -> None:
    outcomes, failed = keras_tests(
        tmp_path, ["ops/nn_test.py", "layers/convolutional/conv_test.py"], "-k", "shrink or threshold or lora"
    )
    assert all(map(expected_to_fail, failed)), failed
    assert sum("lora" in name for name in failed) == 6, outcomes
    assert len(failed) == 18 or find_spec("torch"), outcomes


# ---------------------------------------------------------------------------------------------------------------------
# Random layers, beside JAX

FEW = settings(max_examples=25)  # JAX compiles each geometry


def normal(seed: int, *shape: int, dtype: DTypeLike = np.float32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Any]:
    """Sizes and options of a layer; Keras has no strides and dilations in one."""
    rank = draw(st.integers(1, 3))

    def axes(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank)))

    kernel, dilated = axes(1, 3), draw(st.booleans())
    return {
        "kernel": kernel,
        "batch": (draw(st.integers(1, 2)),),
        "sizes": tuple(2 * (taps - 1) + 1 + more for taps, more in zip(kernel, axes(0, 3), strict=True)),
        "steps": {
            "strides": 1 if dilated else draw(st.one_of(st.integers(1, 3), st.just(axes(1, 3)))),
            "padding": draw(st.sampled_from(["valid", "same"])),
            "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
        },
        "dilation": {"dilation_rate": axes(1, 2) if dilated else 1},
    }


def image(layer: dict[str, Any], channels: int, dtype: DTypeLike = np.float32) -> Array:
    """A view with strides."""
    x = normal(0, *layer["batch"], *layer["sizes"], 2 * channels, dtype=dtype)[..., ::2]
    return x if layer["steps"]["data_format"] == "channels_last" else np.moveaxis(x, -1, 1)


def assert_like_theirs(name: str, arrays: list[Array], terms: int, *args: Any, **options: Any) -> None:
    """Twice the bound: JAX rounds too."""
    expected = THEIRS[name](*arrays, *args, **options)
    magnitude = getattr(ours, name)(*(abs(array.astype(np.float64)) for array in arrays), *args, **options)
    found = getattr(ours, name)(*arrays, *args, **options)
    assert found.dtype == expected.dtype
    assert_close(found, expected.astype(np.float64), terms, 2 * magnitude)


@FEW
@given(layer=layers(), groups=st.integers(1, 2), filters=st.integers(1, 2))
def test_conv(layer: dict[str, Any], groups: int, filters: int) -> None:
    x, w = image(layer, 2 * groups), normal(1, *layer["kernel"], 2, filters * groups)
    assert_like_theirs("conv", [x, w], w[..., 0].size, **layer["steps"], **layer["dilation"])


@FEW
@given(layer=layers(), channels=st.integers(1, 3), multiplier=st.integers(1, 2))
def test_depthwise_and_separable_conv(layer: dict[str, Any], channels: int, multiplier: int) -> None:
    x, d = image(layer, channels), normal(1, *layer["kernel"], channels, multiplier)
    if isinstance(layer["steps"]["strides"], tuple):
        layer["steps"]["strides"] = layer["steps"]["strides"][0]  # Keras wants them equal here
    options = {**layer["steps"], **layer["dilation"]}
    assert_like_theirs("depthwise_conv", [x, d], d[..., 0, 0].size, **options)
    p = normal(2, *(1,) * len(layer["kernel"]), channels * multiplier, 2)
    assert_like_theirs("separable_conv", [x, d, p], d[..., 0, 0].size + p[..., 0].size, **options)


@FEW
@given(layer=layers(), data=st.data())
def test_conv_transpose(layer: dict[str, Any], data: st.DataObject) -> None:
    x, w = image(layer, 3), normal(1, *layer["kernel"], 2, 3)
    strides = layer["steps"]["strides"]
    least = strides if isinstance(strides, int) else min(strides)
    appended = data.draw(st.one_of(st.none(), st.integers(0, least - 1)))
    if layer["steps"]["padding"] == "same" and appended is not None:
        # One element of each filter is to remain: Keras computes the rest for longer ones only.
        appended = None if min(layer["kernel"]) == 1 else appended
    options = {**layer["steps"], **layer["dilation"], "output_padding": appended}
    assert_like_theirs("conv_transpose", [x, w], w[..., 0, :].size, **options)


@FEW
@given(layer=layers())
def test_pools(layer: dict[str, Any]) -> None:
    x, kernel, steps = image(layer, 2), layer["kernel"], layer["steps"]
    assert_array_equal(ours.max_pool(x, kernel, **steps), THEIRS["max_pool"](x, kernel, **steps), strict=True)
    assert_like_theirs("average_pool", [x], int(np.prod(kernel)), kernel, **steps)
    data_format = steps["data_format"]
    # Keras's own shares one kind of smaller and one of larger windows: output sizes up to those of the input.
    sizes = tuple(min(pair) for pair in zip(kernel, layer["sizes"], strict=True))
    maxima = THEIRS["adaptive_max_pool"](x, sizes, data_format)
    assert_array_equal(ours.adaptive_max_pool(x, sizes, data_format), maxima, strict=True)
    assert_like_theirs("adaptive_average_pool", [x], x.size, sizes, data_format)


@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    steps=st.fixed_dictionaries(
        {name: st.integers(least, 2) for name, least in (("dilation", 1), ("padding", 0), ("stride", 1))}
    ),
    dtype=st.sampled_from([np.float32, np.float64, np.int32, np.uint8]),
)
def test_unfold_and_fold(kernel: tuple[int, int], steps: dict[str, int], dtype: DTypeLike) -> None:
    steps["padding"] = (steps["padding"],) * 2  # else Keras's own takes one number for two, and fails
    images = np.round(40 * normal(0, 2, 3, 7, 6)).astype(np.int8).astype(dtype)
    columns = ours.unfold(images, kernel, **steps)
    assert_array_equal(columns, THEIRS["unfold"](images, kernel, **steps), strict=True)
    expected = THEIRS["fold"](columns, (7, 6), kernel, **steps)
    assert_array_equal(ours.fold(columns, (7, 6), kernel, **steps), expected, strict=True)


# ---------------------------------------------------------------------------------------------------------------------
# Types, errors, and as a user would use it


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "float16", "bfloat16", "float64"])
def test_types(dtype: str) -> None:
    """Those that the backend returns with JAX, but that int64 and float64 stay."""
    x = np.arange(2 * 36).reshape(1, 6, 6, 2)
    x = (x % 3).astype(keras.ops.convert_to_tensor([], dtype).dtype)
    w = x[0, :3, :4].reshape(3, 2, 2, 2)
    for name, args in (
        ("conv", [w]),
        ("depthwise_conv", [w]),
        ("conv_transpose", [w]),
        ("average_pool", [4, 3, "same"]),
    ):
        found, expected = getattr(ours, name)(x, *args), THEIRS[name](x, *args) if dtype != "bool" else None
        if dtype == "bool":
            assert found.dtype == (np.float64 if "pool" in name else np.bool_)
            continue
        wide = {"float32": "float64", "int32": "int64"}.get(expected.dtype.name) if dtype.endswith("64") else None
        assert found.dtype == (wide if wide and "pool" not in name else found.dtype)
        if not wide:
            assert found.dtype == expected.dtype
        assert_array_equal(found.astype(np.float64), expected.astype(np.float64))
    assert ours.max_pool(x, 2).dtype == ours.adaptive_max_pool(x, 2).dtype == ours.unfold(x, 2).dtype == x.dtype


def test_bfloat16_beside_other_types() -> None:
    short = keras.ops.convert_to_tensor([], "bfloat16").dtype
    x, w = np.arange(72.0).reshape(1, 6, 6, 2) % 5, np.arange(16.0).reshape(2, 2, 2, 2) % 3
    want = ours.conv(x, w)
    for dtype, found in (("int32", short), ("float16", np.float32), ("float64", np.float64)):
        result = ours.conv(x.astype(short), w.astype(dtype))
        assert result.dtype == found
        assert_array_equal(result.astype(np.float64), want.astype(found).astype(np.float64))


def test_kernels_are_read_where_they_lie() -> None:
    kernel = np.ones((3, 3, 4, 8), np.float32)
    assert np.shares_memory(ours._filters(kernel), kernel)
    assert ours._filters(kernel).shape == (8, 4, 3, 3)


def test_strides_are_the_window_by_default(installed: None) -> None:
    """The backend's own fails there, as it adds the axes of batch and channels twice."""
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    assert_array_equal(keras.ops.max_pool(x, 2)[0, ..., 0], [[5, 7], [13, 15]])
    assert_array_equal(keras.ops.average_pool(x, 2)[0, ..., 0], [[2.5, 4.5], [10.5, 12.5]])


def test_install_and_uninstall() -> None:
    x, w = np.ones((1, 4, 4, 1), np.float32), np.ones((2, 2, 1, 1), np.float32)
    ours.install()
    ours.install()
    try:
        assert [getattr(nn, name) for name in NAMES] == [getattr(ours, name) for name in NAMES]
        assert_array_equal(keras.ops.conv(x, w), np.full((1, 3, 3, 1), 4))
    finally:
        ours.uninstall()
    assert [getattr(nn, name) for name in NAMES] == list(THEIRS.values())
    ours.uninstall()
    assert nn.conv is THEIRS["conv"]


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match="install: Keras's backend is 'torch'; needs KERAS_BACKEND=numpy"):
        ours.install()
    assert nn.conv is THEIRS["conv"]


def test_a_keras_without_one_of_the_names_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(nn, "fold")
    with pytest.raises(AttributeError, match="fold"):
        ours.install()
    assert [getattr(nn, name) for name in NAMES if name != "fold"] == [
        function for name, function in THEIRS.items() if name != "fold"
    ]
    assert not ours._replaced


def test_without_jax(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras imports JAX as it starts; then none of these asks for it."""
    monkeypatch.setattr(nn, "jax", None)
    monkeypatch.setattr(nn, "lax", None)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("jax", "jaxlib")]:
        monkeypatch.setitem(sys.modules, name, None)
    x, w, t = (np.ones(shape, np.float32) for shape in ((2, 8, 8, 4), (3, 3, 4, 5), (3, 3, 5, 4)))
    with pytest.raises(ImportError):
        import jax  # noqa: F401
    with pytest.raises(AttributeError):
        THEIRS["conv"](x, w)
    calls: dict[str, Callable[[], Array]] = {
        "conv": lambda: keras.ops.conv(x, w, 2, "same"),
        "depthwise_conv": lambda: keras.ops.depthwise_conv(x, w, 2),
        "separable_conv": lambda: keras.ops.separable_conv(x, w, np.ones((1, 1, 20, 3), np.float32)),
        "conv_transpose": lambda: keras.ops.conv_transpose(x, t, 2),
        "max_pool": lambda: keras.ops.max_pool(x, 2),
        "average_pool": lambda: keras.ops.average_pool(x, 3, 2, "same"),
        "adaptive_max_pool": lambda: keras.ops.adaptive_max_pool(x, 3),
        "adaptive_average_pool": lambda: keras.ops.adaptive_average_pool(x, 3),
        "unfold": lambda: keras.ops.unfold(x, 2),
        "fold": lambda: keras.ops.fold(np.ones((1, 4, 9), np.float32), 4, 2),
    }
    assert sorted(calls) == sorted(NAMES)
    for call in calls.values():
        assert call().dtype == np.float32


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, of its variables
def test_a_model_predicts_the_same() -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((20, 20, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, strides=2),
            layers.SeparableConv2D(6, 3, dilation_rate=2, padding="same"),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
            layers.AveragePooling2D(2, padding="same"),
        ]
    )
    x = normal(0, 2, 20, 20, 3)
    expected = model.predict(x, verbose=0)
    ours.install()
    try:
        found = model.predict(x, verbose=0)
    finally:
        ours.uninstall()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize(
    ("name", "shapes", "args", "message"),
    [
        (
            "conv",
            [(1, 6, 6, 3), (2, 2, 2, 4)],
            [],
            "conv: inputs has 3 channels, and kernel, shape (2, 2, 2, 4), has 2",
        ),
        ("conv", [(6, 6), (2, 2, 2, 4)], [], "inputs has shape (6, 6); needs 3, 4 or 5 axes"),
        ("conv", [(1, 6, 6, 3), (7, 3, 3, 4)], [], "the dilated kernel exceeds the padded input"),
        ("conv", [(1, 6, 6, 3), (3, 3, 3, 4)], [1, "full"], "padding is 'full'"),
        ("depthwise_conv", [(1, 6, 6, 3), (3, 3, 2, 4)], [], "depthwise_conv: inputs has 3 channels; needs 2"),
        ("conv_transpose", [(1, 6, 6, 3), (3, 3, 4, 2)], [], "conv_transpose: "),
        ("conv_transpose", [(1, 6, 6, 3), (3, 3, 4, 3)], [2, "valid", 2], "output_padding is [2, 2]"),
        ("max_pool", [(1, 6, 6, 3)], [7], "max_pool: the dilated kernel exceeds"),
        ("average_pool", [(1, 6, 6, 3)], [2, 1, "valid", "last"], "data_format"),
    ],
)
def test_errors(name: str, shapes: list[tuple[int, ...]], args: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(ours, name)(*map(np.ones, shapes), *args)


def test_examples() -> None:
    import doctest

    results = doctest.testmod(ours)
    assert results.attempted
    assert not results.failed


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text()
    section = page[page.index("## Keras") :]
    block = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Any] = {}
    try:
        exec(block, names)
    finally:
        ours.uninstall()
    assert names["y"].shape == (8, 16, 16, 16)
