"""Arguments that change others while they are read, and arrays that lie about themselves: nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastconv

# What NumPy 2.5 deprecates is what is done to arrays here.
pytestmark = pytest.mark.filterwarnings("ignore:Setting the (dtype|shape) on a NumPy array:DeprecationWarning")

X, W = np.ones((1, 2, 6, 6), np.float32), np.ones((2, 2, 3, 3), np.float32)
Y = fastconv.conv2d(X, W)


class Clears:
    """An int that empties the list it is in."""

    def __init__(self, value: int) -> None:
        self.value, self.list = value, []

    def __index__(self) -> int:
        self.list.clear()
        return self.value


def emptied(*values: int) -> list[Any]:
    first = Clears(values[0])
    first.list.extend([first, *values[1:]])
    return first.list


@pytest.mark.parametrize(
    "call",
    [
        lambda: fastconv.conv2d(X, W, stride=emptied(1, 1)),
        lambda: fastconv.conv2d(X, W, padding=emptied(1, 1)),
        lambda: fastconv.conv2d(X, W, padding=[emptied(1, 1), (1, 1)]),
        lambda: fastconv.conv2d(X, W, dilation=emptied(1, 1)),
        lambda: fastconv.conv_grad_input(Y, W, emptied(1, 2, 6, 6)),
        lambda: fastconv.conv_grad_weight(Y, X, emptied(2, 2, 3, 3)),
        lambda: fastconv.max_pool2d(X, emptied(2, 2)),
        lambda: fastconv.avg_pool2d_backward(X, emptied(1, 2, 12, 12), 2),
        lambda: fastconv.adaptive_avg_pool2d(X, emptied(2, 2)),
        lambda: fastconv.adaptive_max_pool2d(X, emptied(2, 2)),
        lambda: fastconv.pad(X, emptied(1, 1)),
        lambda: fastconv.im2col(X, emptied(2, 2)),
        lambda: fastconv.arithmetic.output_size(emptied(6, 6), 3),
    ],
)
def test_a_list_is_read_as_it_was(call: Callable[[], Any]) -> None:
    call()


class Liar(np.ndarray):
    """A view that tells what is not so."""

    dtype = property(lambda self: self.told.get("dtype", np.ndarray.view(self, np.ndarray).dtype))
    shape = property(lambda self: self.told.get("shape", np.ndarray.view(self, np.ndarray).shape))
    strides = property(lambda self: self.told.get("strides", np.ndarray.view(self, np.ndarray).strides))
    flags = property(lambda self: self.told.get("flags", np.ndarray.view(self, np.ndarray).flags))

    def __array_function__(self, *_: Any) -> bool:
        return False


def liar(array: np.ndarray[Any, Any], **told: Any) -> np.ndarray[Any, Any]:
    result = array.view(Liar)
    result.told = told
    return result


OPS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "conv": (lambda x, out: fastconv.conv2d(x, np.ones((1, 1, 3, 3)), padding=1, out=out), (1, 1, 4, 4)),
    "max_pool": (lambda x, out: fastconv.max_pool2d(x, 3, 1, 1, out=out), (1, 1, 4, 4)),
    "avg_pool": (lambda x, out: fastconv.avg_pool2d(x, 1, out=out), (1, 1, 4, 4)),
    "norm": (lambda x, out: fastconv.local_response_norm(x, 1, out=out), (1, 1, 4, 4)),
    "pad": (lambda x, out: fastconv.pad(x, 0, out=out), (1, 1, 4, 4)),
}


@pytest.mark.parametrize("op", OPS)
def test_out_is_what_it_is_not_what_it_says(op: str) -> None:
    function, shape = OPS[op]
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    for lie in ("dtype", "shape", "flags", "strides", "overlap"):
        memory = np.zeros(64, np.float32 if lie == "dtype" else np.float64)
        out = memory[:16].reshape(shape)
        told: dict[str, Any] = {}
        if lie == "dtype":
            told = {"dtype": np.dtype(np.float64)}
        elif lie == "shape":
            out, told = memory[:4].reshape(1, 1, 2, 2), {"shape": shape}
        elif lie == "flags":
            out.flags.writeable = False
            told = {"flags": np.zeros(1).flags}
        elif lie == "strides":
            out = np.lib.stride_tricks.as_strided(memory, shape, (0, 0, 0, 8))
            told = {"strides": (128, 128, 32, 8)}
        operand = x
        if lie == "overlap":
            operand = liar(memory[8:24].reshape(shape))
        with pytest.raises((TypeError, ValueError), match="out"):
            function(operand, liar(out, **told))
        assert_array_equal(memory, 0)


def test_what_claims_to_be_an_array_is_none() -> None:
    class Claims:
        __class__ = np.ndarray  # type: ignore[assignment]

    with pytest.raises(TypeError, match=r"conv2d: out is .*needs an ndarray"):
        fastconv.conv2d(X, W, out=Claims())


class SetsType:
    """An int, or a word, that makes an array one of another type while a call is parsed."""

    def __init__(self, array: np.ndarray[Any, Any], dtype: Any, value: int = 1) -> None:
        self.array, self.dtype, self.value = array, dtype, value

    def __index__(self) -> int:
        self.array.dtype = self.dtype
        return self.value


class Word(str):
    array: np.ndarray[Any, Any]

    def __eq__(self, other: object) -> bool:
        self.array.dtype = np.float64
        return str(self) == other

    __hash__ = str.__hash__


def test_a_type_that_is_set_in_the_call_changes_nothing() -> None:
    memory = np.array([1.0, 777.0])
    bias = memory[:1]
    x, w = np.zeros((1, 2, 6, 6)), np.zeros((1, 2, 3, 3))
    assert_array_equal(fastconv.conv2d(x, w, bias, stride=SetsType(bias, np.float32)), np.ones((1, 1, 4, 4)))

    image = np.zeros((1, 1, 4, 4), np.float32)
    word = Word("NCHW")
    word.array = image
    assert_array_equal(fastconv.max_pool2d(image, 2, layout=word), np.zeros((1, 1, 2, 2)))
    assert image.dtype == np.float32  # nothing of the word's ran

    grad = np.ones((1, 2, 4, 4), np.float32)
    with pytest.raises(ValueError, match="changed during the call"):
        fastconv.conv2d_backward(grad, X, W, SetsType(grad, np.int32), needs=("bias",))


def test_a_plan_stays_as_it_was_made() -> None:
    stride, padding = [1, 1], [[1, 1], [1, 1]]
    plan = fastconv.ConvPlan(W, stride=stride, padding=padding)
    expected = plan(X)
    stride[0], padding[0][0] = 3, 0
    assert_array_equal(plan(X), expected)
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del plan.weight


@pytest.mark.parametrize("algorithm", ["auto", "im2col"])
def test_a_plan_whose_array_became_another_packs_anew(algorithm: str) -> None:
    weight = np.random.default_rng(0).standard_normal((16, 16, 3, 6)).astype(np.float32)
    plan = fastconv.ConvPlan(np.ascontiguousarray(weight[..., :3]), padding=1, algorithm=algorithm)
    x = np.random.default_rng(1).standard_normal((1, 16, 12, 12)).astype(np.float32)
    expected = plan(x)
    plan.weight.flags.writeable = True
    plan.weight.shape = (16, 16, 9, 1)  # the plan's own array, in place
    assert plan(x).shape == (1, 16, 6, 14)
    plan.weight.shape = (16, 16, 3, 3)
    assert_array_equal(plan(x), expected)
