"""What counts as an array or a number, what types come out, and what comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerance import assert_close, assert_identical

import fastconv
from fastconv import reference


def test_lists_and_scalars_convert_as_numpy_converts_them() -> None:
    x, w = [[1, 2, 4, 8, 16]], [[[1, 0, -1]]]
    result = fastconv.conv1d(x, w, [1])
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [[-2, -5, -11]])
    np.testing.assert_array_equal(fastconv.max_pool1d([[1.0, 3.0, 2.0]], 2, 1), [[3, 3]])
    np.testing.assert_array_equal(fastconv.avg_pool1d([[1.0, 3.0, 2.0]], 2, 1), [[2, 2.5]])
    gradient = fastconv.conv1d_grad_input([[1, 1, 1]], w, [1, 5])
    np.testing.assert_array_equal(gradient, [[1, 1, 0, -1, -1]])


INTEGERS = ["bool", "int8", "uint8", "int32", "int64", "uint64"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_become_float64_where_there_is_something_to_compute(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (2, 3, 8, 9)).astype(dtype)
    w = np.random.default_rng(1).integers(0, 2, (3, 3, 3, 3)).astype(dtype)
    y, indices = reference.max_pool2d(x, 2, return_indices=True)
    calls: dict[str, tuple[Any, ...]] = {
        "conv2d": (x, w),
        "conv_transpose2d": (x, w),
        "avg_pool2d": (x, 2),
        "adaptive_avg_pool2d": (x, (3, 5)),
        "local_response_norm": (x, 3),
        "col2im": (x.reshape(2, 12, 18), (4, 7), 2),
        "max_pool2d_backward": (y, indices, x.shape),
        "adaptive_avg_pool2d_backward": (x, (2, 3, 10, 10)),
        "local_response_norm_backward": (x, x, 3),
        "pad_backward": (x, 2, "wrap"),
    }
    for op, arguments in calls.items():
        result = getattr(fastconv, op)(*arguments)
        assert result.dtype == np.float64, op
        np.testing.assert_allclose(result, getattr(reference, op)(*arguments), rtol=1e-13, atol=1e-13, err_msg=op)
    for op in ("conv2d_backward", "conv_transpose2d_backward"):
        g = np.ones((2, 3, *((6, 7) if op == "conv2d_backward" else (10, 11))), dtype)
        for result, expected in zip(getattr(fastconv, op)(g, x, w), getattr(reference, op)(g, x, w), strict=True):
            assert result.dtype == np.float64, op
            np.testing.assert_allclose(result, expected, rtol=1e-13, err_msg=op)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_stay_where_they_are_only_chosen_or_moved(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (2, 4, 8, 9)).astype(dtype)
    calls: dict[str, tuple[Any, ...]] = {
        "max_pool2d": (x, 2),
        "adaptive_max_pool2d": (x, 3),
        "channel_max_pool": (x, 2),
        "im2col": (x, 3),
        "pad": (x, 2, "reflect"),
    }
    for op, arguments in calls.items():
        assert_identical(getattr(fastconv, op)(*arguments), getattr(reference, op)(*arguments), op)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (("float32", "float64", None), "float64"),
        (("float32", "float32", "float64"), "float64"),
        (("float32", "int8", None), "float32"),
        (("float32", "int64", None), "float64"),
        (("float16", "float32", None), "float32"),
        (("float16", "float16", "float32"), "float32"),
        (("float16", "int8", None), "float16"),
        (("uint8", "float32", "bool"), "float32"),
    ],
)
def test_types_promote_as_numpy_promotes_them(types: tuple[str | None, ...], expected: str) -> None:
    shapes = ((2, 3, 11), (4, 3, 3), (4,))
    random = np.random.default_rng(0)
    values = [type_ and random.integers(0, 2, shape).astype(type_) for type_, shape in zip(types, shapes, strict=True)]
    result = fastconv.conv1d(*values)
    assert result.dtype == expected
    np.testing.assert_array_equal(result, reference.conv1d(*values))


@pytest.mark.parametrize(
    "name",
    [
        "conv2d",
        "conv2d_grad_input",
        "conv2d_grad_weight",
        "conv_transpose2d",
        "max_pool2d",
        "avg_pool2d",
        "adaptive_avg_pool2d",
        "col2im",
        "pad_backward",
    ],
)
def test_float16_is_computed_in_float32_and_rounded_once(isa: str, name: str) -> None:
    random = np.random.default_rng(2)
    x, w = random.standard_normal((2, 30, 9, 10)).astype("e"), random.standard_normal((5, 30, 3, 3)).astype("e")
    g = random.standard_normal((2, 5, 7, 8)).astype("e")
    arguments, terms = {
        "conv2d": ((x, w), 270),
        "conv2d_grad_input": ((g, w, x.shape), 45),
        "conv2d_grad_weight": ((g, x, w.shape), 112),
        "conv_transpose2d": ((g, w), 45),
        "max_pool2d": ((x, 3), 0),
        "avg_pool2d": ((x, 3), 9),
        "adaptive_avg_pool2d": ((x, (4, 3)), 16),
        "col2im": ((x.reshape(2, 300, 9), (4, 4), 2), 4),
        "pad_backward": ((x, 3, "symmetric"), 4),
    }[name]
    result = getattr(fastconv, name)(*arguments)
    assert result.dtype == np.float16
    wide = [one.astype("d") if isinstance(one, np.ndarray) else one for one in arguments]
    positive = [np.abs(one) if isinstance(one, np.ndarray) else one for one in wide]
    exact = getattr(reference, name)(*wide)
    if name == "max_pool2d":
        np.testing.assert_array_equal(result, exact)
    else:
        assert_close(result, exact, terms, getattr(reference, name)(*positive))
    out = np.empty(result.shape, "e")
    assert getattr(fastconv, name)(*arguments, out=out) is out
    assert_identical(out, result)


def odd_arrays(array: Any) -> dict[str, Any]:
    """The same values as NumPy may hold them where no C loop can read them in place."""
    raw = np.zeros(array.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(array.dtype).reshape(array.shape)
    misaligned[...] = array
    record = np.zeros(array.shape, [("flag", np.uint8), ("value", array.dtype)])
    record["value"] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    return {
        "byte-swapped": array.astype(array.dtype.newbyteorder()),
        "misaligned": misaligned,
        "a field of records": record["value"],
        "read-only": read_only,
        "a subclass": array.view(type("Subclass", (np.ndarray,), {})),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", odd_arrays(np.zeros(1)))
def test_arrays_of_every_make_are_read_right(kind: str, dtype: str) -> None:
    random = np.random.default_rng(3)
    x, w = random.standard_normal((2, 3, 9, 10)).astype(dtype), random.standard_normal((4, 3, 3, 3)).astype(dtype)
    odd_x, odd_w = odd_arrays(x)[kind], odd_arrays(w)[kind]
    result = fastconv.conv2d(odd_x, odd_w)
    assert type(result) is np.ndarray
    assert_identical(result, fastconv.conv2d(x, w))
    assert_identical(fastconv.max_pool2d(odd_x, 2), fastconv.max_pool2d(x, 2))
    assert_identical(fastconv.avg_pool2d(odd_x, 2), fastconv.avg_pool2d(x, 2))
    assert_identical(fastconv.conv_transpose2d(odd_x, odd_w[:3]), fastconv.conv_transpose2d(x, w[:3]))
    for op, parameter in (
        ("adaptive_max_pool2d", 4),
        ("adaptive_avg_pool2d", 4),
        ("channel_max_pool", 3),
        ("local_response_norm", 3),
        ("im2col", 2),
        ("pad", 2),
    ):
        assert_identical(getattr(fastconv, op)(odd_x, parameter), getattr(fastconv, op)(x, parameter), op)


class Exchanged:
    """An array of another library, as DLPack shows it: neither an ndarray nor convertible by ``__array__``."""

    def __init__(self, array: Any, device: tuple[int, int] = (1, 0)) -> None:
        self.array, self.device = array, device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **options: Any) -> Any:
        if self.device[0] != 1:
            raise BufferError("this array lies on a device that the CPU cannot read")
        return self.array.__dlpack__(**options)


def test_arrays_of_other_libraries_come_by_dlpack() -> None:
    x, w = np.random.default_rng(3).standard_normal((2, 3, 9, 9)), np.ones((4, 3, 3, 3))
    assert_identical(fastconv.conv2d(Exchanged(x), Exchanged(w)), fastconv.conv2d(x, w))
    assert_identical(fastconv.pad(Exchanged(x), 2, "edge"), fastconv.pad(x, 2, "edge"))
    with pytest.raises(ValueError, match=r"^conv2d: input is no array.*(device|DLPack)"):
        fastconv.conv2d(Exchanged(x, (2, 0)), w)


def test_results_are_fresh_contiguous_arrays() -> None:
    x, w = np.ones((2, 8, 9, 3), np.float32), np.ones((4, 3, 1, 1), np.float32)
    for result in (
        fastconv.conv2d(x, w, layout="NHWC"),
        fastconv.max_pool2d(x, 1, layout="NHWC"),
        fastconv.avg_pool2d(x, 1, layout="NHWC"),
        fastconv.conv_transpose2d(x, w.reshape(3, 4, 1, 1), layout="NHWC"),
        fastconv.adaptive_max_pool2d(x, None, layout="NHWC"),
        fastconv.adaptive_avg_pool2d(x, (8, 9), layout="NHWC"),
        fastconv.channel_max_pool(x, 1, layout="NHWC"),
        fastconv.local_response_norm(x, 1, layout="NHWC"),
        fastconv.im2col(x, 1, layout="NHWC"),
        fastconv.pad(x, 0, layout="NHWC"),
    ):
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert not np.may_share_memory(result, x)


def test_numpy_integers_are_integers_and_lists_are_tuples() -> None:
    x, w = np.ones((2, 3, 9, 10)), np.ones((4, 3, 3, 3))
    expected = fastconv.conv2d(x, w, None, (2, 1), ((1, 0), (2, 1)), 1, 1)
    same = fastconv.conv2d(x, w, None, np.array([2, 1]), np.array([[1, 0], [2, 1]]), np.int8(1), np.uint64(1))
    assert_identical(same, expected)
    assert_identical(fastconv.conv2d(x, w, None, [2, 1], [[1, 0], [2, 1]], [1, 1]), expected)
    assert_identical(fastconv.avg_pool2d(x, [2, 3], np.int32(2)), fastconv.avg_pool2d(x, (2, 3), 2))
    geometry = ((2, 1), ((1, 0), (2, 1)))
    gradients = [fastconv.conv2d_grad_input(expected, w, shape, *geometry) for shape in (x.shape, list(x.shape))]
    assert_identical(*gradients)


def test_backward_computes_what_is_needed() -> None:
    random = np.random.default_rng(0)
    x, w, g = (random.standard_normal(shape) for shape in ((2, 3, 9), (4, 3, 3), (2, 4, 7)))
    every = fastconv.conv1d_backward(g, x, w)
    for needs in ([], ["bias"], ["weight", "input"], ["bias", "weight", "bias"]):
        some = fastconv.conv1d_backward(g, x, w, needs=iter(needs))
        for name, one, whole in zip(("input", "weight", "bias"), some, every, strict=True):
            assert (one is None) == (name not in needs)
            if one is not None:
                assert_identical(one, whole)


def test_either_output_size_is_taken_by_max_pool_backward() -> None:
    x = np.random.default_rng(0).standard_normal((1, 1, 8))
    for ceil_mode in (False, True):
        y, indices = fastconv.max_pool1d(x, 3, 2, ceil_mode=ceil_mode, return_indices=True)
        result = fastconv.max_pool1d_backward(y, indices, x.shape, 3, 2)
        np.testing.assert_array_equal(result, reference.max_pool1d_backward(y, indices, x.shape))
