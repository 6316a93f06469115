"""fastconv's operators in ONNX's evaluator: ONNX's own conformance suite, and random nodes beside other evaluators."""

from __future__ import annotations

import math
import re
import unittest
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import DTypeLike, NDArray

pytest.importorskip("onnx", "1.19", reason="onnx 1.19 is not installed: fastconv.interop.onnx is not tested")

import onnx
from onnx import helper
from onnx.backend.test import BackendTest
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

import fastconv
from fastconv.interop.onnx import Backend, ops

Array = NDArray[Any]

OPERATORS = {operator.__name__ for operator in ops()}
OPSET = 22

# ---------------------------------------------------------------------------------------------------------------------
# ONNX's conformance suite

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")

EXCLUDED = {
    "test_squeezenet": "the evaluator's Softmax takes axis -1 for the default, which before opset 13 was 1",
    "test_densenet121": "the evaluator's BatchNormalization of opset 9 mixes statistics of the batch into those given",
}
"""Cases with operators of ours that do not run, and why not; `test_models_beside_correct_operators` runs them."""


def has_our_operators(case: Any) -> bool:
    """Whether the model of a case of the suite has a node that we compute. All of kind "real" have."""
    if case.kind == "real":
        return True
    model = case.model or onnx.load(f"{case.model_dir}/model.onnx")
    return any(node.op_type in OPERATORS and not node.domain for node in model.graph.node)


def conformance_tests() -> dict[str, type[unittest.TestCase]]:
    """The classes of the suite, with only those tests that concern us."""
    with warnings.catch_warnings():
        # ONNX makes its cases, of all operators, as it is imported; some overflow or divide by zero on purpose.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"onnx\.backend\.test\.case\.")
        suite = BackendTest(Backend, __name__)
        cases = [case for kind in KINDS for case in load_model_tests(kind=kind)]
    kept = {f"{case.name}_cpu" for case in cases if has_our_operators(case)}
    reasons = {f"{name}_cpu": reason for name, reason in EXCLUDED.items()}
    classes = suite.test_cases
    for tests in classes.values():
        for name in unittest.defaultTestLoader.getTestCaseNames(tests):
            if name not in kept:
                delattr(tests, name)
            elif name in reasons:
                setattr(tests, name, unittest.skip(reasons[name])(getattr(tests, name)))
    return classes


CONFORMANCE = conformance_tests()
globals().update(CONFORMANCE)


def test_as_many_cases_run_as_are_documented() -> None:
    names = [name for tests in CONFORMANCE.values() for name in unittest.defaultTestLoader.getTestCaseNames(tests)]
    page = " ".join((Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text().split())
    told = re.search(r"conformance suite: (\d+) of the (\d+) cases", page)
    assert told is not None
    passing, kept = map(int, told.groups())
    assert kept - passing == len(EXCLUDED)
    if f"onnx {onnx.__version__}," in page:
        assert len(names) == kept
    else:  # of another version
        assert len(names) >= kept


@pytest.fixture(autouse=True)
def _models_in_a_folder_of_their_own(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite writes inputs and outputs of its models, by default into the home directory."""
    monkeypatch.setenv("ONNX_MODELS", str(tmp_path))


class Softmax(OpRun):
    """As it was before opset 13: over all axes from one on, by default the second."""

    def _run(self, x: Array, **_: Any) -> tuple[Array]:
        rows = x.reshape(len(x), -1)
        powers = np.exp(rows - rows.max(axis=1, keepdims=True))
        return ((powers / powers.sum(axis=1, keepdims=True)).reshape(x.shape),)


class BatchNormalization(OpRun):
    """As it is in inference: by the statistics that are given."""

    def _run(
        self, x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float = 1e-5, **_: Any
    ) -> tuple[Array]:
        scale, bias, mean, var = (value.reshape(-1, 1, 1) for value in (scale, bias, mean, var))
        return ((scale * (x - mean) / np.sqrt(var + epsilon) + bias).astype(x.dtype),)


@pytest.mark.parametrize("name", EXCLUDED)
def test_models_beside_correct_operators(name: str) -> None:
    folder = f"{onnx.__path__[0]}/backend/test/data/light"
    stem = f"{folder}/light_{name.removeprefix('test_')}"
    x = (np.arange(3 * 224 * 224).reshape(1, 3, 224, 224) / (3 * 224 * 224)).astype(np.float32)
    evaluator = ReferenceEvaluator(f"{stem}.onnx", new_ops=[*ops(), Softmax, BatchNormalization])
    (result,) = evaluator.run(None, {"data_0": x})
    expected = onnx.numpy_helper.to_array(onnx.load_tensor(f"{stem}_output_0.pb"))
    assert_allclose(result, expected, rtol=1e-3, atol=1e-7)


# ---------------------------------------------------------------------------------------------------------------------
# Random nodes, beside the evaluator's own operators where those are right, and beside ONNX Runtime


def model_of(
    op: str, inputs: Iterable[Array], outputs: int = 1, opset: int = OPSET, **attributes: Any
) -> onnx.ModelProto:
    """One node; its second output, if any, is of indices."""
    arrays = list(inputs)
    dtypes = [helper.np_dtype_to_tensor_dtype(array.dtype) for array in arrays]
    sources = [
        helper.make_tensor_value_info(f"x{i}", dtype, array.shape)
        for i, (dtype, array) in enumerate(zip(dtypes, arrays, strict=True))
    ]
    shape = [None] * (2 + len(arrays[1]) if op == "Col2Im" else arrays[0].ndim)
    results = [
        helper.make_tensor_value_info(f"y{i}", onnx.TensorProto.INT64 if i else dtypes[0], shape)
        for i in range(outputs)
    ]
    node = helper.make_node(op, [value.name for value in sources], [value.name for value in results], **attributes)
    graph = helper.make_graph([node], op, sources, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def ours(op: str, *inputs: Array, **keywords: Any) -> tuple[Array, ...]:
    return Backend.run_model(model_of(op, inputs, **keywords), inputs)


def theirs(peer: str, op: str, *inputs: Array, **keywords: Any) -> list[Array]:
    """What the evaluator computes without us, or ONNX Runtime."""
    model = model_of(op, inputs, **keywords)
    feeds = {f"x{i}": array for i, array in enumerate(inputs)}
    if peer == "onnx":
        return ReferenceEvaluator(model).run(None, feeds)
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: nodes are not run beside it")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it warns of shapes that it infers by other rules than it computes
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def assert_close(actual: Array, expected: Array) -> None:
    """Sums of at most some hundreds of products of numbers around 1."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    tolerance = 200 * float(np.finfo(actual.dtype).eps)
    assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(expected).max())))


@dataclass
class Case:
    """A window over an image, and the attributes that say so."""

    sizes: list[int]
    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    auto_pad: str
    pads: list[int]
    ceil_mode: int
    batch: int
    channels: int
    seed: int
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def reach(self) -> list[int]:
        return [gap * (taps - 1) + 1 for gap, taps in zip(self.dilations, self.kernel, strict=True)]

    @property
    def attributes(self) -> dict[str, Any]:
        """What a node has; ONNX wants no `pads` beside an `auto_pad`, and no list that has only defaults is needed."""
        lists = {"strides": self.strides, "dilations": self.dilations}
        shown = {name: value for name, value in lists.items() if set(value) != {1}}
        padding = {"pads": self.pads} if self.auto_pad == "NOTSET" else {"auto_pad": self.auto_pad}
        return {**shown, **padding, **self.extra}

    @property
    def pool_attributes(self) -> dict[str, Any]:
        return {"kernel_shape": self.kernel, "ceil_mode": self.ceil_mode, **self.attributes}

    def normal(self, *shape: int, dtype: DTypeLike) -> Array:
        self.seed += 1
        return np.random.default_rng(self.seed).standard_normal(shape).astype(dtype)

    def image(self, dtype: DTypeLike) -> Array:
        return self.normal(self.batch, self.channels, *self.sizes, dtype=dtype)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Pads stay below the kernel, as ONNX Runtime wants it, and the window within the image, so that none is empty."""
    rank = draw(st.integers(1, 3))

    def axes(least: int, most: int) -> list[int]:
        return draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank))

    kernel, strides, dilations = axes(1, 3), axes(1, 3), axes(1, 2)
    auto_pad = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    pads = [draw(st.integers(0, taps - 1)) for taps in (*kernel, *kernel)]
    ceil_mode, batch, channels, seed = (
        draw(st.integers(least, most)) for least, most in ((0, 1), (1, 2), (1, 3), (0, 2**32))
    )
    case = Case([], kernel, strides, dilations, auto_pad, pads, ceil_mode, batch, channels, seed)
    case.sizes = [reach + draw(st.integers(0, 3)) for reach in case.reach]
    if auto_pad.startswith("SAME"):  # else padding would be negative: test_same_with_a_stride_beyond_the_window
        case.strides = [min(pair) for pair in zip(strides, case.reach, strict=True)]
    return case


PEERS = ("onnx", "onnxruntime")
FLOATS = (np.float32, np.float64)


def with_pads(case: Case) -> Case:
    """The case with the padding that `auto_pad` means by the specification in numbers."""
    if case.auto_pad == "NOTSET":
        return case
    totals = [
        max((math.ceil(size / stride) - 1) * stride + reach - size, 0) if case.auto_pad != "VALID" else 0
        for size, stride, reach in zip(case.sizes, case.strides, case.reach, strict=True)
    ]
    less, more = [total // 2 for total in totals], [(total + 1) // 2 for total in totals]
    return replace(case, auto_pad="NOTSET", pads=more + less if case.auto_pad == "SAME_LOWER" else less + more)


@pytest.mark.parametrize(("peer", "dtype"), [("onnx", np.float32), ("onnx", np.float64), ("onnxruntime", np.float32)])
@given(
    case=cases(),
    groups=st.integers(1, 3),
    filters=st.integers(1, 2),
    bias=st.booleans(),
    told=st.booleans(),
    opset=st.sampled_from([1, 11, OPSET]),
)
def test_conv(
    peer: str, dtype: DTypeLike, case: Case, groups: int, filters: int, bias: bool, told: bool, opset: int
) -> None:
    x = case.normal(case.batch, case.channels * groups, *case.sizes, dtype=dtype)
    w = case.normal(filters * groups, case.channels, *case.kernel, dtype=dtype)
    b = [case.normal(filters * groups, dtype=dtype)] if bias else []
    # The operator itself is as old where ONNX Runtime runs it; the evaluator has one, the latest.
    keywords = {"group": groups, "opset": opset if peer == "onnxruntime" else OPSET}
    keywords |= {"kernel_shape": case.kernel} if told else {}
    (result,) = ours("Conv", x, w, *b, **keywords, **case.attributes)
    # Before version 1.23 the evaluator gets `auto_pad` wrong; ONNX Runtime refuses SAME with dilations.
    if peer == "onnx" or max(case.dilations) > 1:
        case = with_pads(case)
    assert_close(result, theirs(peer, "Conv", x, w, *b, **keywords, **case.attributes)[0])


@st.composite
def transposed_cases(draw: st.DrawFn) -> Case:
    """With sizes of which padding leaves something, and either `output_padding`, `output_shape` or none of them."""
    case = draw(cases())
    case.sizes = [draw(st.integers(3, 4)) for _ in case.sizes]
    said = draw(st.sampled_from(["nothing", "output_padding", "output_shape"]))
    if said == "output_padding":
        case.extra[said] = [draw(st.integers(0, stride - 1)) for stride in case.strides]
    if said == "output_shape":
        whole = fastconv.arithmetic.output_size(
            case.sizes, case.kernel, case.strides, 0, case.dilations, transposed=True
        )
        case.extra[said] = [size - draw(st.integers(0, 2)) for size in whole]
    return case


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=transposed_cases(), groups=st.integers(1, 2), filters=st.integers(1, 2))
def test_conv_transpose_beside_onnx(dtype: DTypeLike, case: Case, groups: int, filters: int) -> None:
    if not case.auto_pad.startswith("SAME"):
        case.extra.pop("output_shape", None)  # the evaluator cuts nothing off the beginning then
    x = case.normal(case.batch, case.channels * groups, *case.sizes, dtype=dtype)
    w = case.normal(case.channels * groups, filters, *case.kernel, dtype=dtype)
    b = case.normal(filters * groups, dtype=dtype)
    # The evaluator's own groups go wrong unless each has one input and one output channel; one at a time is right.
    parts = zip(np.split(x, groups, axis=1), np.split(w, groups), np.split(b, groups), strict=True)
    expected = [theirs("onnx", "ConvTranspose", *part, **case.attributes)[0] for part in parts]
    (result,) = ours("ConvTranspose", x, w, b, group=groups, **case.attributes)
    assert_close(result, np.concatenate(expected, axis=1))


@given(case=transposed_cases(), groups=st.integers(1, 2), opset=st.sampled_from([1, 11, 22]))
def test_conv_transpose_beside_runtime(case: Case, groups: int, opset: int) -> None:
    x = case.normal(case.batch, case.channels * groups, *case.sizes, dtype=np.float32)
    w = case.normal(case.channels * groups, 2, *case.kernel, dtype=np.float32)
    b = case.normal(2 * groups, dtype=np.float32)
    keywords = {"group": groups, "opset": opset, **case.attributes}
    assert_close(
        ours("ConvTranspose", x, w, b, **keywords)[0], theirs("onnxruntime", "ConvTranspose", x, w, b, **keywords)[0]
    )


def right_in(peer: str, op: str, case: Case) -> Case:
    """The case, changed where the peer's own pooling does not follow the specification."""
    same = case.auto_pad.startswith("SAME")
    if peer == "onnxruntime":
        if same:
            case.dilations = [1] * len(case.kernel)  # padding does not count them
    elif op == "MaxPool":
        case.strides[0] = max(case.strides[0], 2)  # without strides and dilations it takes pads in another order
        if same:
            case.auto_pad = "SAME_UPPER"  # the other is rounded down
            case.kernel[0] = max(case.kernel[0], 2)
            case.sizes[0] = max(case.sizes[0], case.reach[0])
        if case.auto_pad == "VALID":
            case.ceil_mode = 0  # not supported
    elif case.auto_pad != "NOTSET":
        case.ceil_mode, case.dilations = 0, [1] * len(case.kernel)  # not supported
    elif case.ceil_mode:
        case.strides = [min(stride, 2) for stride in case.strides]  # two elements more would move the windows by one
    if same:  # after what has changed: see `cases`
        case.strides = [min(pair) for pair in zip(case.strides, case.reach, strict=True)]
    return case


def attributes_of(op: str, opset: int) -> set[str]:
    return set(onnx.defs.get_schema(op, opset).attributes)


def known(op: str, opset: int, attributes: dict[str, Any]) -> dict[str, Any]:
    """Those attributes that an operator of a version has, and the version."""
    names = attributes_of(op, opset)
    return {"opset": opset, **{name: value for name, value in attributes.items() if name in names}}


def as_of(op: str, opset: int, case: Case) -> Case:
    """The case without what an operator of a version cannot be told."""
    names = attributes_of(op, opset)
    if "dilations" not in names:
        case.dilations = [1] * len(case.kernel)
        if case.auto_pad.startswith("SAME"):
            case.strides = [min(pair) for pair in zip(case.strides, case.reach, strict=True)]
    return case


@pytest.mark.parametrize("peer", PEERS)
@given(case=cases(), column_major=st.integers(0, 1), outputs=st.integers(1, 2))
def test_max_pool(peer: str, case: Case, column_major: int, outputs: int) -> None:
    case = right_in(peer, "MaxPool", case)
    x = case.image(np.float32)
    keywords = {"outputs": outputs, "storage_order": column_major, **case.pool_attributes}
    for actual, expected in zip(ours("MaxPool", x, **keywords), theirs(peer, "MaxPool", x, **keywords), strict=True):
        assert_array_equal(actual, expected, strict=True)


@given(
    case=cases(), column_major=st.integers(0, 1), outputs=st.integers(1, 2), opset=st.sampled_from([1, 8, 10, 11, 12])
)
def test_max_pool_of_old_versions(case: Case, column_major: int, outputs: int, opset: int) -> None:
    case = as_of("MaxPool", opset, right_in("onnxruntime", "MaxPool", case))
    x = case.image(np.float32)
    keywords = known("MaxPool", opset, {"storage_order": column_major, **case.pool_attributes})
    keywords["outputs"] = outputs if opset > 1 else 1
    expected = theirs("onnxruntime", "MaxPool", x, **keywords)
    for actual, wanted in zip(ours("MaxPool", x, **keywords), expected, strict=True):
        assert_array_equal(actual, wanted, strict=True)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float16, np.float64])
@given(case=cases())
def test_max_pool_keeps_types(dtype: DTypeLike, case: Case) -> None:
    x = np.round(case.image(np.float64) * 40).astype(np.int8).astype(dtype)
    (result,) = ours("MaxPool", x, **case.pool_attributes)
    (expected,) = ours("MaxPool", x.astype(np.float32), **case.pool_attributes)
    assert_array_equal(result, expected.astype(dtype), strict=True)


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=cases(), count_include_pad=st.integers(0, 1))
def test_average_pool_beside_onnx(dtype: DTypeLike, case: Case, count_include_pad: int) -> None:
    case = right_in("onnx", "AveragePool", case)
    keywords = {"count_include_pad": count_include_pad, **case.pool_attributes}
    x = case.image(dtype)
    assert_close(ours("AveragePool", x, **keywords)[0], theirs("onnx", "AveragePool", x, **keywords)[0])


@given(case=cases(), count_include_pad=st.integers(0, 1), opset=st.sampled_from([7, 10, 11, 19, OPSET]))
def test_average_pool_beside_runtime(case: Case, count_include_pad: int, opset: int) -> None:
    """Which has no AveragePool of version 1."""
    case = as_of("AveragePool", opset, right_in("onnxruntime", "AveragePool", case))
    keywords = known("AveragePool", opset, {"count_include_pad": count_include_pad, **case.pool_attributes})
    x = case.image(np.float32)
    assert_close(ours("AveragePool", x, **keywords)[0], theirs("onnxruntime", "AveragePool", x, **keywords)[0])


@given(case=cases(), dilation=st.integers(2, 3), count_include_pad=st.integers(0, 1))
def test_average_pool_with_dilations_in_float16(case: Case, dilation: int, count_include_pad: int) -> None:
    """Large values, whose sums do not fit float16; one rounding at the end."""
    case.dilations, case.sizes = [dilation] * len(case.kernel), [size + 6 for size in case.sizes]
    keywords = {"count_include_pad": count_include_pad, **case.pool_attributes}
    x = (30000 + 1000 * case.image(np.float32)).astype(np.float16)
    (result,) = ours("AveragePool", x, **keywords)
    assert result.dtype == np.float16
    (expected,) = ours("AveragePool", x.astype(np.float64), **keywords)
    assert_allclose(result, expected, rtol=2 * float(np.finfo(np.float16).eps))


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=cases())
def test_global_pools(dtype: DTypeLike, case: Case) -> None:
    x = case.image(dtype)
    assert_close(ours("GlobalAveragePool", x)[0], theirs("onnx", "GlobalAveragePool", x)[0])
    # The evaluator's own maximum is right in two dimensions only.
    flat = x.reshape(*x.shape[:2], -1, 1)
    (expected,) = theirs("onnx", "GlobalMaxPool", flat)
    (result,) = ours("GlobalMaxPool", x)
    assert_array_equal(result, expected.reshape(*x.shape[:2], *(1,) * (x.ndim - 2)), strict=True)


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=cases(), size=st.integers(1, 6), beta=st.sampled_from([0.5, 0.6, 0.75, 1.0]), bias=st.floats(1, 3))
def test_lrn(dtype: DTypeLike, case: Case, size: int, beta: float, bias: float) -> None:
    attributes = {"size": size, "alpha": 0.5 * size, "beta": beta, "bias": bias}  # its quotient is a float32
    x = case.image(dtype)
    # The evaluator's own takes the batch for the channels, and 4 axes only: it is right of C images of C channels.
    image = x[:1].reshape(1, case.channels, -1, 1)
    (expected,) = theirs("onnx", "LRN", np.repeat(image, case.channels, axis=0), **attributes)
    assert_close(ours("LRN", x, **attributes)[0][:1], expected[:1].reshape(1, *x.shape[1:]))


@pytest.mark.parametrize("dtype", [*FLOATS, np.int8, np.uint16, np.int64])
@given(case=cases())
def test_col2im(dtype: DTypeLike, case: Case) -> None:
    case.auto_pad = "NOTSET"
    pads = list(zip(case.pads[: len(case.kernel)], case.pads[len(case.kernel) :], strict=True))
    windows = fastconv.arithmetic.output_size(case.sizes, case.kernel, case.strides, pads, case.dilations)
    rows = case.channels * math.prod(case.kernel)
    columns = np.round(case.normal(case.batch, rows, math.prod(windows), dtype=np.float64) * 25).astype(np.int8)
    columns = columns.astype(dtype)
    inputs = columns, np.array(case.sizes), np.array(case.kernel)
    (result,) = ours("Col2Im", *inputs, **case.attributes)
    with np.errstate(over="ignore"):  # small types wrap around
        (expected,) = theirs("onnx", "Col2Im", *inputs, **case.attributes)
    assert_array_equal(result, expected, strict=True)


# ---------------------------------------------------------------------------------------------------------------------
# What other evaluators get wrong or refuse, by hand

SIGNAL = np.array([[[1, 2, 3, 4, 5]]], np.float32)


def test_same_with_a_stride_beyond_the_window() -> None:
    """No padding then, rather than less than none."""
    for auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        attributes = {"kernel_shape": [1], "strides": [3], "auto_pad": auto_pad}
        for op in ("MaxPool", "AveragePool"):
            for ceil_mode in (0, 1):
                assert_array_equal(ours(op, SIGNAL, ceil_mode=ceil_mode, **attributes)[0], [[[1, 4]]])
        assert_array_equal(ours("Conv", SIGNAL, np.ones((1, 1, 1), np.float32), **attributes)[0], [[[1, 4]]])


def test_conv_transpose_longer_than_its_filters_reach() -> None:
    """It grows at the end, and has the bias there."""
    w, b = np.ones((1, 1, 1), np.float32), np.full(1, 0.5, np.float32)
    expected = [[[1.5, 0.5, 2.5, 0.5, 3.5, 0.5]]]
    for attributes in ({"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"output_shape": [6]}):
        assert_array_equal(ours("ConvTranspose", SIGNAL[..., :3], w, b, strides=[2], **attributes)[0], expected)


def test_valid_rounds_up_where_asked_to() -> None:
    attributes = {"kernel_shape": [2], "strides": [2], "auto_pad": "VALID"}
    assert_array_equal(ours("MaxPool", SIGNAL, ceil_mode=0, **attributes)[0], [[[2, 4]]])
    assert_array_equal(ours("MaxPool", SIGNAL, ceil_mode=1, **attributes)[0], [[[2, 4, 5]]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_stay(dtype: DTypeLike) -> None:
    x = np.arange(2 * 4 * 5 * 6).reshape(2, 4, 5, 6).astype(dtype)
    w = np.ones((4, 4, 2, 2), dtype)
    inputs = {"Conv": (x, w), "ConvTranspose": (x, w), "Col2Im": (x[:, :, 0], np.array([3, 4]), np.array([2, 2]))}
    attributes = {"MaxPool": {"kernel_shape": [2, 2]}, "AveragePool": {"kernel_shape": [2, 2]}, "LRN": {"size": 3}}
    for op in sorted(OPERATORS):
        assert ours(op, *inputs.get(op, (x,)), **attributes.get(op, {}))[0].dtype == dtype, op


@pytest.mark.parametrize(
    ("op", "attributes", "message"),
    [
        ("Conv", {"kernel_shape": [3]}, "Conv: kernel_shape is [3]; needs [2]"),
        ("Conv", {"pads": [1]}, "Conv: pads is [1]; needs 2 entries"),
        ("Conv", {"pads": [-1, 0]}, "padding is ((-1, 0),)"),
        ("Conv", {"strides": [1, 1]}, "Conv: strides is [1, 1]; needs 1 entries"),
        ("Conv", {"auto_pad": "SAME"}, "Conv: auto_pad is 'SAME'; needs"),
        ("ConvTranspose", {"output_shape": [1, 1, 6]}, "ConvTranspose: output_shape is [1, 1, 6]; needs 1 entries"),
        ("ConvTranspose", {"output_shape": [7]}, "output_padding is (1,)"),
        ("MaxPool", {"kernel_shape": [2, 2]}, "MaxPool: kernel_shape is [2, 2]; needs 1 entries"),
        ("MaxPool", {"kernel_shape": [2], "dilations": [7], "pads": [5, 5]}, "a pooling window without any input"),
        ("AveragePool", {"kernel_shape": [2], "dilations": [7], "pads": [5, 5]}, "a window without any input"),
        ("AveragePool", {"kernel_shape": [2], "dilations": [5]}, "the dilated kernel exceeds the padded input"),
        ("LRN", {"size": 0}, "size is 0"),
    ],
)
def test_errors(op: str, attributes: dict[str, Any], message: str) -> None:
    weights = [np.ones((1, 1, 2), np.float32)] if op.startswith("Conv") else []
    inputs = [SIGNAL, *weights]
    evaluator = ReferenceEvaluator(model_of(op, inputs, **attributes), new_ops=ops())
    with pytest.raises(ValueError, match=re.escape(message)):
        evaluator.run(None, {f"x{i}": array for i, array in enumerate(inputs)})


# ---------------------------------------------------------------------------------------------------------------------
# The backend


def test_backend_refuses() -> None:
    model = model_of("GlobalMaxPool", [SIGNAL])
    assert Backend.supports_device("CPU:0")
    assert not Backend.supports_device("CUDA")
    with pytest.raises(ValueError, match="prepare: device is 'CUDA:1'; needs 'CPU'"):
        Backend.prepare(model, "CUDA:1")
    with pytest.raises(ValueError, match="run: inputs has 2 arrays; needs 1"):
        Backend.run_model(model, [SIGNAL, SIGNAL])
    model.graph.node[0].op_type = "GlobalMostPool"
    with pytest.raises(onnx.checker.ValidationError, match="GlobalMostPool"):
        Backend.prepare(model)


def test_a_node_alone() -> None:
    pool = onnx.helper.make_node("MaxPool", ["x"], ["y", "at"], kernel_shape=[2])
    for inputs in ([SIGNAL], {"x": SIGNAL}):
        values, places = Backend.run_node(pool, inputs)
        assert_array_equal(values, fastconv.max_pool1d(SIGNAL, 2, 1))
        assert_array_equal(places, fastconv.max_pool1d(SIGNAL, 2, 1, return_indices=True)[1])
    with pytest.raises(ValueError, match=r"run_node: inputs has 2 arrays; needs 1: \['x'\]"):
        Backend.run_node(pool, [SIGNAL, SIGNAL])
    with pytest.raises(ValueError, match="run_node: device is 'CUDA'; needs 'CPU'"):
        Backend.run_node(pool, [SIGNAL], "CUDA")


def test_operators_in_functions_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17, "local": 1]>
        pool (float[1, 1, 5] x) => (float[1, 1, 4] y) { y = local.Largest<width = [2]> (x) }
        <opset_import: ["": 17], domain: "local">
        Largest<width> (x) => (y) { y = MaxPool<kernel_shape: ints = @width> (x) }"""
    )
    kernels, kept = [], fastconv.max_pool

    def noted(*args: Any) -> Any:
        kernels.append(args[1])
        return kept(*args)

    monkeypatch.setattr(fastconv, "max_pool", noted)
    assert_array_equal(Backend.run_model(model, [SIGNAL])[0], [[[2, 3, 4, 5]]])
    assert kernels == [(2,)]


def test_examples() -> None:
    import doctest

    import fastconv.interop.onnx

    results = doctest.testmod(fastconv.interop.onnx)
    assert results.attempted
    assert not results.failed


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text()
    section = page[page.index("## ONNX") :].partition("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["y"].shape == (1, 8, 14, 14)
    assert names["y"].max() == 9
