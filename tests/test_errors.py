"""Bad input: the type of the error, a message that names op, argument and value, and an `out` nobody has touched.

Each row of the table changes some arguments of a call that is good otherwise.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from views import SENTINEL

import fastconv
from fastconv import reference

F32 = np.float32
CONVS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight", "conv2d_backward")
MAX_POOLS = ("max_pool2d", "max_pool2d_backward")
AVG_POOLS = ("avg_pool2d", "avg_pool2d_backward")
POOLS = (*MAX_POOLS, *AVG_POOLS)
TRANSPOSED = ("conv_transpose2d", "conv_transpose2d_backward")
ADAPTIVE = ("adaptive_avg_pool2d", "adaptive_max_pool2d")
ADAPTIVE_BACKWARD = ("adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward")
CHANNEL_MAX = ("channel_max_pool", "channel_max_pool_backward")
LRN = ("local_response_norm", "local_response_norm_backward")
PATCHES = ("im2col", "col2im")
PADS = ("pad", "pad_backward")
UNSUFFIXED = (*CHANNEL_MAX, *LRN, *PATCHES, *PADS)
SUFFIXED = (*CONVS, *POOLS, *TRANSPOSED, *ADAPTIVE, *ADAPTIVE_BACKWARD)
OPS = (*SUFFIXED, *UNSUFFIXED)


def ones(*shape: int, dtype: Any = F32) -> Any:
    return np.ones(shape, dtype)


INPUT, WEIGHT, CONVOLVED, POOLED = (2, 4, 7, 8), (6, 2, 3, 3), (2, 6, 5, 6), (2, 4, 3, 4)
MAXED, COLUMNS = (2, 2, 7, 8), (2, 16, 42)
GOOD: dict[str, dict[str, Any]] = {
    "conv2d": {"input": ones(*INPUT), "weight": ones(*WEIGHT), "bias": ones(6), "groups": 2},
    "conv2d_grad_input": {
        "grad_output": ones(*CONVOLVED),
        "weight": ones(*WEIGHT),
        "input_shape": INPUT,
        "groups": 2,
    },
    "conv2d_grad_weight": {
        "grad_output": ones(*CONVOLVED),
        "input": ones(*INPUT),
        "weight_shape": WEIGHT,
        "groups": 2,
    },
    "conv2d_backward": {
        "grad_output": ones(*CONVOLVED),
        "input": ones(*INPUT),
        "weight": ones(*WEIGHT),
        "groups": 2,
    },
    "max_pool2d": {"input": ones(*INPUT), "kernel_size": 2},
    "max_pool2d_backward": {
        "grad_output": ones(*POOLED),
        "indices": ones(*POOLED, dtype=np.int64),
        "input_shape": INPUT,
        "kernel_size": 2,
    },
    "avg_pool2d": {"input": ones(*INPUT), "kernel_size": 2},
    "avg_pool2d_backward": {"grad_output": ones(*POOLED), "input_shape": INPUT, "kernel_size": 2},
    "conv_transpose2d": {"input": ones(*CONVOLVED), "weight": ones(*WEIGHT), "bias": ones(4), "groups": 2},
    "conv_transpose2d_backward": {
        "grad_output": ones(*INPUT),
        "input": ones(*CONVOLVED),
        "weight": ones(*WEIGHT),
        "groups": 2,
    },
    "adaptive_avg_pool2d": {"input": ones(*INPUT), "output_size": (3, 4)},
    "adaptive_max_pool2d": {"input": ones(*INPUT), "output_size": (3, 4)},
    "adaptive_avg_pool2d_backward": {"grad_output": ones(*POOLED), "input_shape": INPUT},
    "adaptive_max_pool2d_backward": {
        "grad_output": ones(*POOLED),
        "indices": ones(*POOLED, dtype=np.int64),
        "input_shape": INPUT,
    },
    "channel_max_pool": {"input": ones(*INPUT), "size": 2},
    "channel_max_pool_backward": {
        "grad_output": ones(*MAXED),
        "indices": ones(*MAXED, dtype=np.int64),
        "input_shape": INPUT,
    },
    "local_response_norm": {"input": ones(*INPUT), "size": 3},
    "local_response_norm_backward": {"grad_output": ones(*INPUT), "input": ones(*INPUT), "size": 3},
    "im2col": {"input": ones(*INPUT), "kernel_size": 2},
    "col2im": {"input": ones(*COLUMNS), "output_size": (7, 8), "kernel_size": 2},
    "pad": {"input": ones(*INPUT), "padding": 1},
    "pad_backward": {"grad_output": ones(*INPUT), "padding": 1},
}

HUGE = 2**62  # of which two do not add in 64 bits
TOO_LARGE = (ValueError, MemoryError)

# ops, the argument at fault, its bad value, the error, what the message must hold beside the names (default: the value)
Row = tuple[tuple[str, ...], str, Any, Any, str | None]


def rows(ops: tuple[str, ...], argument: str, error: Any, *values: Any, text: str | None = None) -> list[Row]:
    return [(ops, argument, value, error, text) for value in values]


def array_rows(ops: tuple[str, ...], argument: str, *shapes: tuple[int, ...]) -> list[Row]:
    return [(ops, argument, ones(*shape), ValueError, str(shape)) for shape in shapes]


WITH_OUT = tuple(op for op in OPS if op not in ("conv2d_backward", "conv_transpose2d_backward"))
WINDOWED = (*CONVS, *POOLS, *TRANSPOSED, *PATCHES)  # with stride, padding and mostly dilation
DILATED = (*CONVS, *MAX_POOLS, *TRANSPOSED, *PATCHES)
WITH_KERNEL = (*POOLS, *PATCHES)
FORWARD = tuple(op for op in OPS if "input" in GOOD[op] and "grad_output" not in GOOD[op])
NEEDS_KERNEL = ("max_pool2d", *AVG_POOLS, *PATCHES)
WITH_SHAPE = (
    *("conv2d_grad_input", "max_pool2d_backward", "avg_pool2d_backward"),
    *(*ADAPTIVE_BACKWARD, "channel_max_pool_backward"),
)
TABLE: list[Row] = [
    *rows(WINDOWED, "stride", ValueError, 0, -3, (1, 2, 3), (1,), (1, 0), (), 2**70),
    *rows(WINDOWED, "stride", TypeError, 2.0, True, "2", (1, 2.5), (1, "2"), np.float64(2)),
    *rows((*CONVS, *TRANSPOSED, *PATCHES), "stride", TypeError, None),
    *rows((*WINDOWED, *PADS), "padding", TypeError, {1, 2}, {1: 1, 2: 1}),  # no order
    *rows(WINDOWED, "stride", TypeError, iter((1, 1)), text="iterator"),  # cannot be read twice
    *rows(WITH_SHAPE, "input_shape", TypeError, iter(INPUT), text="iterator"),
    *rows(DILATED, "dilation", ValueError, 0, -3, (1, 2, 3), (1,), (2, 0)),
    *rows(DILATED, "dilation", (ValueError, MemoryError), HUGE, text=""),
    *rows((*CONVS, *MAX_POOLS, *PATCHES), "dilation", ValueError, 99, text=""),
    *rows(DILATED, "dilation", TypeError, 2.0, True, "2", None, (1, 2.5)),
    *rows((*WINDOWED, *PADS), "padding", ValueError, -1, (1, -2), (1, 2, 3), (1,), "full", ((1, 2),)),
    *rows((*WINDOWED, *PADS), "padding", ValueError, ((1, 2, 3), (0, 0)), ((1, -2), (0, 0))),
    *rows((*WINDOWED, *PADS), "padding", TypeError, 1.0, True, None, (1, 0.5), ((1, 2.0), (0, 0)), (1, True)),
    *rows((*WINDOWED, *PADS), "padding", TOO_LARGE, HUGE, (0, HUGE), text=""),
    *rows((*WINDOWED, *PADS), "padding", ValueError, 2**70),
    *rows(PADS, "padding", ValueError, "same", "valid"),
    *rows(POOLS, "padding", ValueError, 2, (0, 2), ((0, 0), (2, 0)), 99),
    *rows(TRANSPOSED, "padding", ValueError, 99, (0, 9)),
    *rows(("pad_backward",), "padding", ValueError, 4, (0, 9)),
    *rows((*CONVS, *TRANSPOSED), "groups", ValueError, 0, -1, 4, 2**70),
    *rows((*CONVS, *TRANSPOSED), "groups", TypeError, 2.0, True, "2", None, (2,)),
    *rows(TRANSPOSED, "output_padding", ValueError, -1, (0, -1), (1, 2, 3), 1, (0, 3), HUGE, 2**70),
    *rows(TRANSPOSED, "output_padding", TypeError, 0.0, "0", None, True),
    *rows(OPS, "layout", ValueError, "NWHC", "nchw", "NCDHW", "NC", ""),
    *rows(OPS, "layout", (TypeError, ValueError), 3, ("N", "C")),
    *rows(PADS, "mode", ValueError, "zeros", "mirror", ""),
    *rows(PADS, "mode", (TypeError, ValueError), None, 0),
    *rows(("pad",), "value", TypeError, "0", None, (1,), 1j),
    *rows(ADAPTIVE, "output_size", ValueError, 0, -1, (3,), (1, 2, 3), (3, 0), (None, -1), 2**70),
    *rows(ADAPTIVE, "output_size", TypeError, 2.0, "3", True, (3, 4.0)),
    *rows(ADAPTIVE, "output_size", TOO_LARGE, HUGE, (1, 2**50), text=""),
    *rows(("col2im",), "output_size", ValueError, (7, 9), (), (1, 2, 3, 4), (7, 0), 2**70, (7,)),
    *rows(("col2im",), "output_size", TypeError, 7.5, "78", None, (7, 8.0)),
    *rows(("channel_max_pool",), "size", ValueError, 0, -2, 3, 8, 2**70),
    *rows(LRN, "size", ValueError, 0, -2, 2**70),
    *rows(("channel_max_pool", *LRN), "size", TypeError, 2.0, "2", None, True, (2,)),
    *[row for name in ("alpha", "beta", "k") for row in rows(LRN, name, TypeError, "1", None, (1,), True, 1j)],
    *rows((*CONVS, *TRANSPOSED), "algorithm", ValueError, "fft", "", "Direct"),
    *rows((*CONVS, *TRANSPOSED), "algorithm", (TypeError, ValueError), None, 1),
    *rows(("conv2d",), "activation", ValueError, "tanh", "leaky_relu", ("leaky_relu",), ("elu", 1.0)),
    *rows(("conv2d",), "activation", (TypeError, ValueError), 1, ("leaky_relu", "x"), ("leaky_relu", None)),
    *rows(
        ("conv2d_backward", "conv_transpose2d_backward"),
        "needs",
        ValueError,
        ("inputs",),
        ("input", "out"),
        text="input",
    ),
    *rows(("conv2d_backward", "conv_transpose2d_backward"), "needs", (TypeError, ValueError), 5, (1,), None),
    # shapes
    *array_rows(("conv2d",), "input", (7, 8), (8,), (1, 2, 4, 7, 8), (2, 3, 7, 8), (2, 4, 2, 8), (2, 4, 7, 2)),
    *array_rows(("conv2d",), "input", (2, 0, 7, 8), (2, 4, 0, 8)),
    *array_rows(("conv2d", "conv2d_backward"), "weight", (6, 2, 3), (6, 2, 3, 3, 3), (6, 4, 3, 3), (5, 2, 3, 3)),
    *array_rows(("conv2d", "conv2d_grad_input"), "weight", (6, 2, 9, 3), (6, 2, 3, 9), (6, 2, 0, 3)),
    *array_rows(("conv2d",), "bias", (5,), (6, 1), (1,), ()),
    *array_rows(
        tuple(op for op in SUFFIXED if ("grad" in op or "backward" in op) and "adaptive" not in op),
        "grad_output",
        (7, 8),
        (3, 6, 5, 6),
        (2, 5, 5, 6),
        (2, 6, 5, 7),
        (2, 4, 9, 4),
    ),
    *array_rows(ADAPTIVE_BACKWARD, "grad_output", (7, 8), (3, 4, 3, 4), (2, 5, 3, 4), (2, 4, 0, 4)),
    *array_rows(("channel_max_pool_backward",), "grad_output", (7, 8), (2, 3, 7, 8), (2, 2, 7, 9), (3, 2, 7, 8)),
    *array_rows(("local_response_norm_backward",), "grad_output", (7, 8), (2, 4, 7, 9), (2, 3, 7, 8)),
    *array_rows(("pad_backward",), "grad_output", (7, 8), (4, 7, 2), (2, 4, 2, 8), (2, 0, 7, 8)),
    *array_rows(("conv_transpose2d",), "input", (7, 8), (1, 2, 6, 5, 6), (2, 5, 5, 6), (2, 0, 5, 6), (2, 6, 0, 6)),
    *array_rows(("conv_transpose2d_backward",), "input", (7, 8), (2, 5, 5, 6), (3, 6, 5, 6), (2, 6, 5, 7)),
    *array_rows(TRANSPOSED, "weight", (6, 2, 3), (5, 2, 3, 3), (6, 0, 3, 3), (6, 2, 0, 3)),
    *array_rows(("conv_transpose2d",), "bias", (5,), (6,), (4, 1), ()),
    *array_rows(("col2im",), "input", (16, 42), (2, 15, 42), (2, 16, 41), (2, 0, 42), (1, 2, 16, 42)),
    *array_rows(("im2col", "pad", *LRN, "channel_max_pool"), "input", (7, 8), (8,), (2, 0, 7, 8), (1,) * 6),
    *array_rows((*ADAPTIVE, "max_pool2d", "avg_pool2d"), "input", (7, 8), (1, 2, 4, 7, 8), (2, 0, 7, 8), (2, 4, 7, 0)),
    *array_rows(("conv2d_grad_weight", "conv2d_backward"), "input", (3, 4, 7, 8), (2, 3, 7, 8), (2, 4, 7, 9)),
    *rows(WITH_SHAPE, "input_shape", ValueError, (4, 7), (2, 4, 7, 8, 9), (2, 4, -7, 8), (2, 5, 7, 8), (2, 4, 0, 8)),
    *rows(("conv2d_grad_input",), "input_shape", TypeError, (2, 4, 7.0, 8), 7, None, "2478", (2, 4, True, 8)),
    *rows(WITH_SHAPE[1:], "input_shape", TypeError, (2, 4, 7.0, 8), 7, None),
    *rows(WITH_SHAPE[1:], "input_shape", TOO_LARGE, (2, 4, HUGE, HUGE), text=""),
    *rows(("conv2d_grad_input",), "input_shape", TOO_LARGE, (2, 4, HUGE, HUGE), text=""),
    *rows(("conv2d_grad_weight",), "weight_shape", ValueError, (6, 2, 3), (6, 4, 3, 3), (6, 2, 9, 3), (6, 2, -3, 3)),
    *rows(("conv2d_grad_weight",), "weight_shape", TypeError, (6, 2, 3.0, 3), 6, None),
    *rows(("conv2d_grad_weight",), "weight_shape", TOO_LARGE, (HUGE, 2, HUGE, 3), text=""),
    # windows of pools
    *rows(WITH_KERNEL, "kernel_size", ValueError, 0, -1, (2,), (1, 2, 3), (2, 0), 2**70),
    *rows(WITH_KERNEL, "kernel_size", TypeError, 2.0, True, "2", (2, 2.0)),
    *rows(NEEDS_KERNEL, "kernel_size", ValueError, 99, (2, 9)),
    *rows(NEEDS_KERNEL, "kernel_size", TOO_LARGE, HUGE, text=""),
    *rows(NEEDS_KERNEL, "kernel_size", TypeError, None),
    *rows(AVG_POOLS, "divisor_override", ValueError, 0),
    *rows(AVG_POOLS, "divisor_override", TypeError, 2.5, True, "2"),
    # indices
    *[
        row
        for ops, shape, end in (
            (("max_pool2d_backward", "adaptive_max_pool2d_backward"), POOLED, 56),
            (("channel_max_pool_backward",), MAXED, 4),
        )
        for row in (
            *rows(ops, "indices", ValueError, np.full(shape, end), text=str(end)),
            *rows(ops, "indices", ValueError, np.full(shape, -1), text="-1"),
            *rows(ops, "indices", ValueError, np.full(shape, HUGE), text=str(HUGE)),
            *rows(ops, "indices", ValueError, np.zeros((2, 4, 3, 3), int), text="(2, 4, 3, 3)"),
            *rows(ops, "indices", TypeError, np.zeros(shape), text="float64"),
            *rows(ops, "indices", TypeError, np.zeros(shape, bool), text="bool"),
        )
    ],
    # types of arrays
    *[
        (ops, name, np.zeros(GOOD[ops[0]][name].shape, dtype), TypeError, dtype)
        for dtype in ("complex64", "complex128", "object")
        for ops, names in ((("conv2d",), ("input", "weight", "bias")), (("conv2d_grad_input",), ("grad_output",)))
        for name in names
    ],
    *[((op,), "input", np.zeros(INPUT, "complex64"), TypeError, "complex64") for op in FORWARD],
    *rows(FORWARD, "input", TypeError, np.zeros(INPUT, "U3"), text=""),
    *rows(FORWARD, "input", (TypeError, ValueError), None, "image", text=""),
    *rows(FORWARD, "input", (TypeError, ValueError), [[1.0], [1.0, 2.0]], text=""),
]


def result_shape(op: str) -> tuple[int, ...]:
    return getattr(reference, op)(**GOOD[op]).shape


def sentinel(op: str, dtype: Any = F32) -> Any:
    return np.full(result_shape(op), SENTINEL, dtype)


def label(row: tuple[str, str, Any, Any, Any]) -> str:
    op, argument, value, *_ = row
    text = f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else repr(value)
    return f"{op}-{argument}={text}".replace(" ", "")


SPREAD = [(op, *row) for ops, *row in TABLE for op in ops]


@pytest.mark.parametrize(("op", "argument", "value", "error", "text"), SPREAD, ids=map(label, SPREAD))
def test_bad_input(op: str, argument: str, value: Any, error: Any, text: str | None) -> None:
    arguments = {**GOOD[op], argument: value}
    out = None
    if op in WITH_OUT:
        arguments["out"] = out = sentinel(op)
    with pytest.raises(error) as caught:
        getattr(fastconv, op)(**arguments)
    _says(str(caught.value), op, argument, str(value) if text is None else text)
    assert out is None or (out == SENTINEL).all(), "out was written"


def _says(message: str, op: str, argument: str, text: str) -> None:
    assert message.startswith(f"{op}: ")
    assert argument in message
    assert text.strip("()[]") in message, "the message must show the value"


@pytest.mark.parametrize("op", WITH_OUT)
def test_bad_out(op: str) -> None:
    good = sentinel(op)
    read_only = good.copy()
    read_only.flags.writeable = False
    for out, error, text in (
        (good[..., :-1], ValueError, str(good[..., :-1].shape)[1:-1]),
        (good[None], ValueError, str(good[None].shape)[1:-1]),
        (good[0], ValueError, str(good[0].shape)[1:-1]),
        (good.astype(np.float64), (TypeError, ValueError), "float64"),
        (good.astype(np.int32), (TypeError, ValueError), "int32"),
        (read_only, ValueError, "read"),
        (good.tolist(), TypeError, "list"),
        (3, TypeError, ""),
    ):
        with pytest.raises(error) as caught:
            getattr(fastconv, op)(**GOOD[op], out=out)
        _says(str(caught.value), op, "out", text)
    assert (good == SENTINEL).all()
    assert (read_only == SENTINEL).all()


@pytest.mark.parametrize("op", WITH_OUT)
def test_out_must_share_no_memory_with_an_operand(op: str) -> None:
    for name, array in GOOD[op].items():
        if not isinstance(array, np.ndarray):
            continue
        shape = result_shape(op)
        buffer = np.ones(max(int(np.prod(shape)), array.size) + 1, array.dtype)
        operand = buffer[: array.size].reshape(array.shape)
        out = buffer[-int(np.prod(shape)) :].view(F32)[: int(np.prod(shape))].reshape(shape)
        with pytest.raises(ValueError, match="out") as caught:
            getattr(fastconv, op)(**{**GOOD[op], name: operand}, out=out)
        _says(str(caught.value), op, "out", "")
        assert (buffer == 1).all()


@pytest.mark.parametrize(("op", "dtype"), [("conv2d", ">f4"), ("avg_pool2d", np.int64), ("max_pool2d", ">f8")])
def test_out_shares_no_memory_with_an_operand_that_is_converted(op: str, dtype: Any) -> None:
    operand, shape = np.ones(INPUT, dtype), result_shape(op)
    out = operand.view("=f4" if dtype == ">f4" else "=f8").ravel()[: np.prod(shape)].reshape(shape)
    with pytest.raises(ValueError, match="out shares memory"):
        getattr(fastconv, op)(**GOOD[op] | {"input": operand}, out=out)
    assert (operand == 1).all()


@pytest.mark.parametrize(
    ("op", "bad"), [("max_pool2d", 0), ("max_pool2d", 1), ("channel_max_pool", 0), ("adaptive_max_pool2d", 0)]
)
@pytest.mark.parametrize("dtype", ["int32", "float16", "float32"])
def test_neither_of_a_pair_is_written_when_one_is_wrong(op: str, bad: int, dtype: str) -> None:
    pair = [sentinel(op, dtype), sentinel(op, np.int64)]
    given = [array[..., :-1] if i == bad else array for i, array in enumerate(pair)]
    with pytest.raises(ValueError, match="out has shape"):
        getattr(fastconv, op)(**GOOD[op] | {"input": ones(*INPUT, dtype=dtype)}, return_indices=True, out=given)
    for array in pair:
        assert (array == SENTINEL).all()


@pytest.mark.parametrize(
    ("op", "argument", "value"),
    [
        *((op, name, 10**400) for op in LRN for name in ("alpha", "beta", "k")),
        *(("pad", "value", 10**400), ("conv2d", "activation", ("leaky_relu", 10**400))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_numbers_beyond_float64(op: str, argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{op}: {argument} is .*; needs a number that float64 holds"):
        getattr(fastconv, op)(**GOOD[op] | {argument: value})


@pytest.mark.parametrize(("op", "dtype"), [("conv1d", "float16"), ("max_pool1d", "int8"), ("pad", ">f4")])
def test_no_memory_to_convert_an_operand(op: str, dtype: str) -> None:
    vast = np.broadcast_to(np.zeros((), dtype), (1, 1, 2**45))
    rest = (np.ones((1, 1, 1), dtype),) if op == "conv1d" else (1,)
    with pytest.raises(MemoryError, match=rf"^{op}: no memory for input, shape \(1, 1, {2**45}\)"):
        getattr(fastconv, op)(vast, *rest)


def test_sizes_beyond_64_bits_are_refused_before_anything_runs() -> None:
    vast = np.broadcast_to(F32(1), (2**57, 1, 4))
    with pytest.raises(ValueError, match=r"^conv1d_backward: .*64-bit"):
        fastconv.conv1d_backward(vast, vast, ones(1, 1, 1), needs=["bias"])
    with pytest.raises(ValueError, match=r"^adaptive_max_pool1d: .*64-bit offsets: input has shape"):
        fastconv.adaptive_max_pool1d(vast[:, 0].T[None], 1)


def test_an_empty_gradient_of_adaptive_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="grad_output"):
        fastconv.adaptive_max_pool2d_backward(ones(2, 4, 0, 4), ones(2, 4, 0, 4, dtype=int), INPUT)


def test_out_of_a_max_pool_with_indices_is_a_pair() -> None:
    values, indices = sentinel("max_pool2d"), sentinel("max_pool2d", np.int64)
    pair = fastconv.max_pool2d(**GOOD["max_pool2d"], return_indices=True, out=(values.copy(), indices.copy()))
    assert not (pair[0] == SENTINEL).any()
    assert not (pair[1] == SENTINEL).any()
    for out in (
        values,
        (values,),
        (values, indices, indices),
        (values, values.copy()),
        (values, indices.astype(np.int32)),
        (values, indices[..., :-1]),
        (values.astype(np.float64), indices),
        (values, None),
        (values, values.view(np.int32).astype(np.int64)[..., ::2]),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            fastconv.max_pool2d(**GOOD["max_pool2d"], return_indices=True, out=out)
        _says(str(caught.value), "max_pool2d", "out", "")
    with pytest.raises((ValueError, TypeError)) as caught:
        fastconv.max_pool2d(**GOOD["max_pool2d"], out=(values, indices))
    _says(str(caught.value), "max_pool2d", "out", "")
    assert (values == SENTINEL).all()
    assert (indices == SENTINEL).all()


def test_values_and_indices_may_not_share_memory() -> None:
    buffer = np.full(2 * int(np.prod(POOLED)), SENTINEL, np.int64)
    indices = buffer[: int(np.prod(POOLED))].reshape(POOLED)
    values = buffer.view(F32)[: int(np.prod(POOLED))].reshape(POOLED)
    with pytest.raises(ValueError, match="out"):
        fastconv.max_pool2d(**GOOD["max_pool2d"], return_indices=True, out=(values, indices))
    assert (buffer == SENTINEL).all()


def test_a_window_without_any_element_is_refused() -> None:
    out = np.full((1, 1, 1), SENTINEL)
    with pytest.raises(ValueError, match=r"^max_pool1d: .*padding") as caught:
        fastconv.max_pool1d(np.ones((1, 1, 2)), 2, 1, ((2, 1),), 4, out=out)
    assert "2" in str(caught.value)
    assert out[0, 0, 0] == SENTINEL


def test_every_op_names_itself() -> None:
    """By the name it was called by, of each rank and of none."""
    for rank, digit in ((1, "1d"), (2, "2d"), (3, "3d"), (2, "")):
        x = np.ones((1, 2, *[5] * rank))
        w = np.ones((2, 2, *[2] * rank))
        y = np.ones((1, 2, *[4] * rank))
        arrays = {
            "input": x,
            "weight": w,
            "grad_output": y,
            "indices": np.ones(y.shape, int),
            "input_shape": x.shape,
            "weight_shape": w.shape,
            "kernel_size": 2,
            "output_size": 4,
            "stride": 1,
        }
        for two_dimensional in SUFFIXED:
            op = two_dimensional.replace("2d", digit)
            function = getattr(fastconv, op)
            taken = arrays | ({"input": y, "grad_output": x} if "transpose" in op else {})
            given = {name: taken[name] for name in inspect.signature(function).parameters if name in taken}
            function(**given, layout=None)
            with pytest.raises(ValueError, match="layout") as caught:
                function(**given, layout="CHWN")
            _says(str(caught.value), op, "layout", "CHWN")


def test_the_rank_generic_ops_want_a_batch() -> None:
    x, w = np.ones((4, 9)), np.ones((6, 4, 3))
    assert fastconv.conv1d(x, w).shape == (6, 7)
    for call in (lambda: fastconv.conv(x, w), lambda: fastconv.avg_pool(x, 2), lambda: fastconv.max_pool(x, 2)):
        with pytest.raises(ValueError, match="input") as caught:
            call()
        assert "(4, 9)" in str(caught.value)


def test_a_stride_beyond_the_input_is_one_window() -> None:
    x, w = ones(*INPUT), ones(*WEIGHT)
    np.testing.assert_array_equal(fastconv.conv2d(x, w, groups=2, stride=HUGE), np.full((2, 6, 1, 1), 18, F32))
    np.testing.assert_array_equal(fastconv.avg_pool2d(x, 2, HUGE), np.ones((2, 4, 1, 1), F32))


def test_filters_of_zero_strides_beyond_memory() -> None:
    weight = np.broadcast_to(np.float32(1), (2**40, 2, 3, 3))
    with pytest.raises(TOO_LARGE):
        fastconv.conv2d(ones(2, 2, 7, 8), weight)
    np.testing.assert_array_equal(fastconv.conv2d(ones(1, 2, 3, 3), ones(1, 2, 3, 3)), [[[[18]]]])
