"""Plans and the choice of algorithm: the bits of calls without a plan, packed once, safe to share and to pickle."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from cases import GENERAL
from checking import operands_of
from features import BASE, conv_features
from geometries import Conv
from in_processes import needs_fork
from tolerance import assert_identical

import fastconv

GEOMETRIES = [
    geometry for rank in BASE for geometry in conv_features(rank) if not geometry.generic and not geometry.flip
]


def plan_of(geometry: Conv, dtype: str, algorithm: str, **options: Any) -> fastconv.ConvPlan:
    operands = operands_of(geometry, dtype)
    window = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    options = {"layout": geometry.layout, "activation": geometry.activation, "algorithm": algorithm} | options
    return fastconv.ConvPlan(operands["weight"], operands["bias"], *window, **options)


def called(geometry: Conv, dtype: str, algorithm: str) -> Any:
    operands = operands_of(geometry, dtype)
    window = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    op = getattr(fastconv, f"conv{geometry.rank}d")
    options = {"layout": geometry.layout, "activation": geometry.activation, "algorithm": algorithm}
    return op(operands["input"], operands["weight"], operands["bias"], *window, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", ("auto", *GENERAL))
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_plan_has_the_bits_of_a_call(isa: str, geometry: Conv, algorithm: str, dtype: str) -> None:
    x, expected = operands_of(geometry, dtype)["input"], called(geometry, dtype, algorithm)
    plan = plan_of(geometry, dtype, algorithm)
    assert_identical(plan(x), expected)
    out = np.empty_like(expected)
    assert plan(x, out) is out
    assert_identical(out, expected)
    assert_identical(plan_of(geometry, dtype, algorithm, input_shape=x.shape)(x), expected)


SMALL = Conv(sizes=(9, 11), channels=4, filters=6, padding=1)


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is packed from here on, by algorithm."""
    found: list[str] = []

    class Watched(fastconv._core.PackedWeights):
        def packed(self, algorithm: str) -> None:
            found.append(algorithm)

    monkeypatch.setattr(fastconv._core, "PackedWeights", Watched)
    return found


def test_weights_are_packed_once(packings: list[str]) -> None:
    x = operands_of(SMALL, "float32")["input"]
    plan = plan_of(SMALL, "float32", "direct")
    assert packings == []
    for _ in range(3):
        plan(x)
    plan(np.concatenate([x, x]))
    plan(np.ascontiguousarray(x[:, :, 1:, 2:]))
    assert packings == ["direct"]
    with ThreadPoolExecutor(8) as pool:
        fresh = plan_of(SMALL, "float32", "direct")
        list(pool.map(lambda _: fresh(x), range(64)))
    assert packings == ["direct"] * 2


def test_a_known_input_shape_packs_at_once(packings: list[str]) -> None:
    x = operands_of(SMALL, "float32")["input"]
    plan = plan_of(SMALL, "float32", "direct", input_shape=x.shape)
    assert packings == ["direct"]
    plan(x)
    plan_of(SMALL, "float32", "direct", input_shape=x.shape[1:])(x[0])
    assert packings == ["direct"] * 2


def test_two_packings_are_kept(packings: list[str]) -> None:
    x = operands_of(SMALL, "float32")["input"]
    plan = plan_of(SMALL, "float32", "direct")
    for isa in [*fastconv.runtime.instruction_sets()] * 2:
        with fastconv.runtime._force_isa(isa):
            plan(x)
    assert plan._packs.kept() == ("direct",) * min(2, len(fastconv.runtime.instruction_sets()))


def test_a_plan_keeps_its_own_weights() -> None:
    operands = {name: None if a is None else a.copy() for name, a in operands_of(SMALL, "float32").items()}
    plan = fastconv.ConvPlan(operands["weight"], operands["bias"], padding=1)
    before = plan(operands["input"])
    operands["weight"][...] = np.nan
    operands["bias"][...] = np.nan
    assert_identical(plan(operands["input"]), before)
    with pytest.raises(ValueError, match="read-only"):
        plan.weight[...] = 0


@pytest.mark.parametrize("algorithm", ("auto", *GENERAL))
def test_pickles_hold_raw_weights_and_pack_again(algorithm: str) -> None:
    x = operands_of(SMALL, "float32")["input"]
    plan = plan_of(SMALL, "float32", algorithm, input_shape=x.shape)
    pickled = pickle.dumps(plan)
    assert len(pickled) < plan.weight.nbytes + 1500
    again = pickle.loads(pickled)
    assert again._packs.kept() == ()
    assert repr(again) == repr(plan)
    assert_identical(again(x), plan(x))
    assert not again.weight.flags.writeable


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("weight", np.ones(()), "weight has shape"),
        ("weight", np.ones(3), "weight has shape"),
        ("weight", np.ones((1,) * 6), "weight has shape"),
        ("weight", np.ones((1,) * 30), "weight has shape"),
        ("weight", None, "weight"),
        ("bias", np.ones((2, 2)), "bias"),
        ("stride", 0, "stride"),
        ("algorithm", "fastest", "algorithm"),
        ("unknown", 1, "unknown"),
    ],
)
def test_whatever_a_pickle_holds_is_checked(name: str, value: Any, told: str) -> None:
    state = plan_of(SMALL, "float32", "auto").__getstate__()
    plan = fastconv.ConvPlan.__new__(fastconv.ConvPlan)
    with pytest.raises((ValueError, TypeError), match=told):
        plan.__setstate__(state | {name: value})


def test_pickled_weights_are_the_plans_own() -> None:
    """Protocol 5 may hand out memory of the caller's."""
    weight = np.ones((4, 3, 3, 3), np.float32)
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(fastconv.ConvPlan(weight), protocol=5, buffer_callback=buffers.append)
    memory = [bytearray(buffer) for buffer in buffers]
    plan = pickle.loads(pickled, buffers=memory)
    for block in memory:
        block[:] = bytes(len(block))
    np.testing.assert_array_equal(plan.weight, weight)


def test_a_plan_has_the_bits_of_a_call_for_views_too() -> None:
    """A view may want another algorithm than an array of its shape; the choice is made anew for it."""
    random = np.random.default_rng(0)
    for filters, size in ((8, 7), (8, 14), (16, 14)):
        wide = random.standard_normal((1, 256, size, 2 * size), np.float32)
        w = random.standard_normal((filters, 256, 1, 1), np.float32)
        plan = fastconv.ConvPlan(w)
        for x in (np.ascontiguousarray(wide[..., :size]), wide[..., :size], wide[..., ::-2]):
            assert_identical(plan(x), fastconv.conv2d(x, w))


def test_a_plan_cannot_be_changed() -> None:
    """Other groups would ask for more packed weights than there are."""
    plan = plan_of(SMALL, "float32", "direct")
    x = operands_of(SMALL, "float32")["input"]
    before = plan(x)
    for one in (plan, pickle.loads(pickle.dumps(plan))):
        for name in ("weight", "bias", "stride", "padding", "dilation", "groups", "layout", "activation", "algorithm"):
            with pytest.raises(AttributeError, match=f"ConvPlan: {name} cannot be set"):
                setattr(one, name, 2)
        assert_identical(one(x), before)


def test_plans_are_shared_by_threads() -> None:
    plan = plan_of(SMALL, "float32", "auto")
    inputs = [np.random.default_rng(i).standard_normal((2, 4, 9 + i % 3, 11), np.float32) for i in range(32)]
    expected = [plan(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for one, result in zip(expected * 4, pool.map(plan, inputs * 4), strict=True):
            assert_identical(result, one)


@needs_fork
def test_a_fork_while_weights_are_packed_leaves_the_child_a_plan_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    packing, forked, parent = threading.Event(), threading.Event(), os.getpid()

    class Slow(fastconv._core.PackedWeights):
        def packed(self, *_: str) -> None:  # under the lock
            if os.getpid() == parent:  # the events' own locks may be held for ever in the child
                packing.set()
                forked.wait(10)

    monkeypatch.setattr(fastconv._core, "PackedWeights", Slow)
    plan, x = plan_of(SMALL, "float32", "direct"), operands_of(SMALL, "float32")["input"]
    thread = threading.Thread(target=plan, args=(x,))
    thread.start()
    packing.wait(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads is the point
        child = os.fork()
    if child == 0:
        signal.alarm(10)
        plan(x)
        os._exit(0)
    forked.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(("weight", "input"), [("float32", "float64"), ("float16", "float16"), ("int32", "float32")])
def test_other_types_promote_as_without_a_plan(weight: str, input: str) -> None:
    operands = operands_of(SMALL, "float32")
    w, x = (5 * operands["weight"]).astype(weight), operands["input"].astype(input)
    assert_identical(fastconv.ConvPlan(w, padding=1)(x), fastconv.conv2d(x, w, padding=1))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"weight": np.ones((6, 4))}, ValueError),
        ({"weight": np.ones((6, 0, 3, 3))}, ValueError),
        ({"weight": np.ones((6, 4, 3, 3), complex)}, TypeError),
        ({"weight": None}, TypeError),
        ({"bias": np.ones(5)}, ValueError),
        ({"stride": 0}, ValueError),
        ({"stride": 1.5}, TypeError),
        ({"padding": "full"}, ValueError),
        ({"dilation": (1, 2, 3)}, ValueError),
        ({"groups": 4}, ValueError),
        ({"layout": "NHCW"}, ValueError),
        ({"activation": "tanh"}, ValueError),
        ({"algorithm": "fft"}, ValueError),
        ({"input_shape": (4, 9)}, ValueError),
        ({"input_shape": 7}, TypeError),
        ({"input_shape": iter((2, 4, 9, 9))}, TypeError),
        ({"input_shape": (0, 2**62, 9, 9)}, ValueError),
        ({"stride": iter((1, 1))}, TypeError),
    ],
)
def test_what_is_wrong_is_told_when_the_plan_is_made(changed: dict[str, Any], error: type[Exception]) -> None:
    arguments = {"weight": np.ones((6, 4, 3, 3)), "bias": np.ones(6)} | changed
    with pytest.raises(error) as caught:
        fastconv.ConvPlan(**arguments)
    assert str(caught.value).startswith("ConvPlan: ")
    assert next(iter(changed)) in str(caught.value)


def test_inputs_that_do_not_fit_are_told_by_the_call() -> None:
    plan = fastconv.ConvPlan(np.ones((6, 4, 3, 3), np.float32))
    out = np.full((2, 6, 7, 7), -1, np.float32)
    for shape in ((2, 5, 9, 9), (2, 4, 2, 9), (9, 9)):
        with pytest.raises(ValueError, match="conv2d: "):
            plan(np.ones(shape, np.float32), out)
    with pytest.raises(ValueError, match="conv2d: "):
        fastconv.ConvPlan(np.ones((6, 4, 3, 3), np.float32), input_shape=(2, 5, 9, 9))
    assert (out == -1).all()


# ---- what would run


@pytest.mark.parametrize("pass_name", ["forward", "grad_input", "grad_weight"])
@pytest.mark.parametrize("stride", [1, 2, (1, 3)])
def test_the_choice_names_an_algorithm_and_counts_what_is_computed(pass_name: str, stride: Any) -> None:
    shape, weight_shape = (2, 6, 9, 11), (8, 3, 3, 3)
    choice = fastconv.choose_algorithm(shape, weight_shape, stride, 1, groups=2, pass_name=pass_name)
    assert choice.algorithm in GENERAL
    assert all(name in choice.reason for name in GENERAL)
    ones = fastconv.reference.conv2d(np.ones(shape), np.ones(weight_shape), stride=stride, padding=1, groups=2)
    assert choice.flops == 2 * ones.sum()  # each multiply-add by other than padding adds 1
    assert choice.bytes_moved == 4 * (np.prod(shape) + np.prod(weight_shape) + ones.size)
    assert choice.scratch_bytes > 0
    forced = fastconv.choose_algorithm(shape, weight_shape, stride, 1, groups=2, algorithm="direct", dtype="float64")
    assert forced.algorithm == "direct"
    assert forced.reason.startswith("asked for")
    assert forced.bytes_moved == 2 * choice.bytes_moved


def test_the_choice_takes_no_longer_for_more_taps() -> None:
    taps = 2**40  # which took hours, one by one
    choice = fastconv.choose_algorithm((1, 1, taps + 1), (1, 1, taps))
    assert choice.flops == 2 * 2 * taps


def test_the_choice_sees_neither_batch_nor_threads() -> None:
    one = fastconv.choose_algorithm((1, 64, 14, 14), (64, 64, 3, 3), padding=1)
    with fastconv.num_threads(1):
        many = fastconv.choose_algorithm((64, 64, 14, 14), (64, 64, 3, 3), padding=1)
    assert (many.algorithm, many.reason) == (one.algorithm, one.reason)
    assert many.flops == 64 * one.flops


def test_options_reach_the_choice_and_the_layout_its_shapes() -> None:
    for algorithm in GENERAL:
        with fastconv.options(algorithm=algorithm):
            assert fastconv.choose_algorithm((1, 4, 9), (4, 4, 3)).algorithm == algorithm
            assert fastconv.choose_algorithm((1, 9, 4), (4, 4, 3), layout="NWC").algorithm == algorithm


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"input_shape": (4, 9)}, ValueError),
        ({"input_shape": (1, 5, 9, 9)}, ValueError),
        ({"input_shape": 3}, TypeError),
        ({"weight_shape": (6, 4, 3)}, ValueError),
        ({"weight_shape": (6, 4, 30, 3)}, ValueError),
        ({"stride": 0}, ValueError),
        ({"dtype": "float16"}, ValueError),
        ({"dtype": "no"}, TypeError),
        ({"pass_name": "backward"}, ValueError),
        ({"algorithm": "fft"}, ValueError),
    ],
)
def test_a_bad_choice_is_told(changed: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        fastconv.choose_algorithm(**{"input_shape": (1, 4, 9, 9), "weight_shape": (6, 4, 3, 3)} | changed)
    assert str(caught.value).startswith("choose_algorithm: ")
    assert next(iter(changed)) in str(caught.value)
