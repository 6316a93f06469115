"""fastconv in PyTorch: beside ``torch.nn.functional`` on random geometries, by PyTorch's own checkers, in nine nets."""

from __future__ import annotations

import copy
import io
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close

pytest.importorskip("torch", reason="PyTorch is not installed: fastconv.interop.torch is not tested")

import torch
import torch_nets
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import fastconv
import fastconv.interop.torch as ours
from fastconv.interop.torch import modules, replace, restore

# PyTorch warns of parts of its own that it goes on using, and once in a process of what costs it a copy.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torch", "ignore:.*torch.jit.*", "ignore:Using padding='same' with even kernel"
)

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
FLOATS = (torch.float32, torch.float64)


@pytest.fixture(autouse=True, scope="module")
def _plain_sums() -> Iterator[None]:
    """Bounds are those of plain sums."""
    with fastconv.options(algorithm="exact"):
        yield


def theirs(name: str) -> Callable[..., Any]:
    return getattr(functional, name)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def with_gradients(function: Callable[..., Tensor], tensors: list[Tensor], grad: Tensor | None = None) -> list[Tensor]:
    """The output, then the gradients of all tensors."""
    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    output = function(*tensors)
    grad = torch.ones_like(output) if grad is None else grad
    return [output.detach(), *torch.autograd.grad(output, tensors, grad)]


def assert_as_torch(name: str, tensors: list[Tensor], terms: int, seed: int, **keywords: Any) -> None:
    """The output and all gradients of a map that is linear in each tensor, within the bound of sums of `terms`."""
    mine, right = getattr(ours, name), theirs(name)
    doubles = [tensor.double() for tensor in tensors]
    shape = right(*doubles, **keywords).shape
    grad = random(*shape, seed=seed, dtype=tensors[0].dtype)
    results = with_gradients(lambda *given: mine(*given, **keywords), tensors, grad)
    expected = with_gradients(lambda *given: right(*given, **keywords), doubles, grad.double())
    magnitudes = with_gradients(
        lambda *given: right(*given, **keywords), [tensor.abs() for tensor in doubles], grad.double().abs()
    )
    for result, double, magnitude in zip(results, expected, magnitudes, strict=True):
        assert result.dtype == tensors[0].dtype
        assert_close(result.numpy(), double.numpy(), terms, magnitude.numpy())


# ---------------------------------------------------------------------------------------------------------------------
# Random geometries


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))

    def axes(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank)))

    kernel, dilation, padding = axes(1, 3), axes(1, 2), axes(0, 2)
    return {
        "rank": rank,
        "kernel": kernel,
        "dilation": dilation,
        "padding": padding,
        "stride": axes(1, 3),
        "sizes": tuple((k - 1) * d + 1 + extra for k, d, extra in zip(kernel, dilation, axes(0, 4), strict=True)),
        "batch": draw(st.integers(0, 3)),
        "groups": draw(st.integers(1, 3)),
        "channels": draw(st.integers(1, 3)),
        "filters": draw(st.integers(1, 3)),
        "view": draw(st.sampled_from(["plain", "channels_last", "strided", "item"])),
        "seed": draw(st.integers(0, 2**32)),
    }


def images(case: dict[str, Any], channels: int, dtype: torch.dtype, batch: int | None = None) -> Tensor:
    """A batch, channels last where there is such a format, a view with gaps, or one item without its batch axis."""
    shape = (case["batch"] if batch is None else batch, channels, *case["sizes"])
    if case["view"] == "strided":
        return random(*shape[:-1], 2 * shape[-1], seed=case["seed"], dtype=dtype)[..., ::2]
    if case["view"] == "item":
        return random(*shape[1:], seed=case["seed"], dtype=dtype)
    tensor = random(*shape, seed=case["seed"], dtype=dtype)
    return tensor.contiguous(memory_format=FORMATS[tensor.dim()]) if last_of(case) else tensor


def last_of(case: dict[str, Any]) -> bool:
    return case["view"] == "channels_last" and case["rank"] > 1


def terms_of(case: dict[str, Any], *channels: int) -> int:
    """At least the length of every sum: over channels and taps, or over the batch and places of an image."""
    return max(channels) * int(np.prod(case["kernel"])) + max(1, case["batch"]) * int(np.prod(case["sizes"]) * 4**3)


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=geometries(), bias=st.booleans(), word=st.sampled_from([None, None, "same", "valid"]))
def test_conv(dtype: torch.dtype, case: dict[str, Any], bias: bool, word: str | None) -> None:
    filters, channels = case["filters"] * case["groups"], case["channels"]
    x = images(case, channels * case["groups"], dtype)
    w = random(filters, channels, *case["kernel"], seed=case["seed"] + 1, dtype=dtype)
    if last_of(case):
        w = w.contiguous(memory_format=FORMATS[w.dim()])
    b = [random(filters, seed=case["seed"] + 2, dtype=dtype)] if bias else []
    assert_as_torch(
        f"conv{case['rank']}d",
        [x, w, *b],
        terms_of(case, filters, channels),
        case["seed"] + 3,
        stride=1 if word == "same" else case["stride"],
        padding=case["padding"] if word is None else word,
        dilation=case["dilation"],
        groups=case["groups"],
    )


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=geometries(), bias=st.booleans(), data=st.data())
def test_conv_transpose(dtype: torch.dtype, case: dict[str, Any], bias: bool, data: st.DataObject) -> None:
    case["padding"] = tuple(
        min(pad, (k - 1) * d // 2) for pad, k, d in zip(*map(case.get, ("padding", "kernel", "dilation")), strict=True)
    )
    extra = [data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(case["stride"], case["dilation"], strict=True)]
    channels, filters = case["channels"] * case["groups"], case["filters"]
    x = images(case, channels, dtype, max(1, case["batch"]))  # PyTorch's own wants a batch
    w = random(channels, filters, *case["kernel"], seed=case["seed"] + 1, dtype=dtype)
    b = [random(filters * case["groups"], seed=case["seed"] + 2, dtype=dtype)] if bias else []
    assert_as_torch(
        f"conv_transpose{case['rank']}d",
        [x, w, *b],
        terms_of(case, filters, channels),
        case["seed"] + 3,
        stride=case["stride"],
        padding=case["padding"],
        output_padding=tuple(extra),
        groups=case["groups"],
        dilation=case["dilation"],
    )


def half(case: dict[str, Any]) -> tuple[int, ...]:
    """Padding as PyTorch wants it for pooling."""
    return tuple(min(pad, k // 2) for pad, k in zip(case["padding"], case["kernel"], strict=True))


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=geometries(), ceil_mode=st.booleans(), strides=st.booleans())
def test_max_pool(dtype: torch.dtype, case: dict[str, Any], ceil_mode: bool, strides: bool) -> None:
    name = f"max_pool{case['rank']}d"
    stride = case["stride"] if strides else None
    x = images(case, case["channels"], dtype, max(1, case["batch"]))
    x = (4 * x).round() / 4  # so that there are ties
    window = case["kernel"], stride, half(case), case["dilation"], ceil_mode
    values, indices = getattr(ours, name)(x, *window, return_indices=True)
    right, places = theirs(name)(x, *window, return_indices=True)
    assert torch.equal(values, right)
    assert torch.equal(indices, places)
    assert torch.equal(getattr(ours, name)(x, *window), right)
    grad = random(*right.shape, seed=case["seed"] + 1, dtype=dtype)
    _, result = with_gradients(lambda x: getattr(ours, name)(x, *window), [x], grad)
    _, double = with_gradients(lambda x: theirs(name)(x, *window), [x.double()], grad.double())
    _, magnitude = with_gradients(lambda x: theirs(name)(x, *window), [x.double()], grad.double().abs())
    assert_close(result.numpy(), double.numpy(), int(np.prod(case["kernel"])), magnitude.numpy())


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=geometries(), ceil_mode=st.booleans(), counted=st.booleans(), divisor=st.sampled_from([None, 3]))
def test_avg_pool(
    dtype: torch.dtype, case: dict[str, Any], ceil_mode: bool, counted: bool, divisor: int | None
) -> None:
    case["dilation"] = (1,) * case["rank"]
    override = {"divisor_override": divisor} if case["rank"] > 1 else {}
    assert_as_torch(
        f"avg_pool{case['rank']}d",
        [images(case, case["channels"], dtype, max(1, case["batch"]))],
        2 * int(np.prod(case["kernel"])),  # each with a division of its own in the gradient
        case["seed"] + 1,
        kernel_size=case["kernel"],
        stride=case["stride"],
        padding=half(case),
        ceil_mode=ceil_mode,
        count_include_pad=counted,
        **override,
    )


def parts(case: dict[str, Any]) -> int | list[int | None]:
    """Sizes of the output of adaptive pooling: fewer than there are, more, or as many."""
    sizes = [None if step == 3 else step * pad + 1 for step, pad in zip(case["stride"], case["padding"], strict=True)]
    return sizes if len(sizes) > 1 else sizes[0] or case["sizes"][0]  # PyTorch knows no None for signals


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=geometries())
def test_adaptive_max_pool(dtype: torch.dtype, case: dict[str, Any]) -> None:
    mine, right = (getattr(space, f"adaptive_max_pool{case['rank']}d") for space in (ours, functional))
    x = images(case, case["channels"], dtype, max(1, case["batch"]))
    x = (4 * x).round() / 4  # so that there are ties
    values, places = right(x, parts(case), return_indices=True)
    for result, expected in zip(mine(x, parts(case), return_indices=True), (values, places), strict=True):
        assert torch.equal(result, expected)
    assert torch.equal(mine(x, parts(case)), values)
    grad = random(*values.shape, seed=case["seed"] + 1, dtype=dtype)
    _, result = with_gradients(lambda x: mine(x, parts(case)), [x], grad)
    _, double = with_gradients(lambda x: right(x, parts(case)), [x.double()], grad.double())
    _, magnitude = with_gradients(lambda x: right(x, parts(case)), [x.double()], grad.double().abs())
    assert_close(result.numpy(), double.numpy(), values.numel(), magnitude.numpy())


@pytest.mark.parametrize("dtype", FLOATS)
@given(case=geometries())
def test_adaptive_avg_pool(dtype: torch.dtype, case: dict[str, Any]) -> None:
    x = images(case, case["channels"], dtype, max(1, case["batch"]))
    # A window holds no more than its plane, and no element is in more windows than there are; each is divided.
    windows = [
        part or size for part, size in zip(np.broadcast_to(parts(case), case["rank"]), case["sizes"], strict=True)
    ]
    terms = 2 * int(max(np.prod(case["sizes"]), np.prod(windows)))
    assert_as_torch(f"adaptive_avg_pool{case['rank']}d", [x], terms, case["seed"] + 1, output_size=parts(case))


@given(case=geometries(), size=st.integers(1, 5), beta=st.sampled_from([0.5, 0.75, 1.0, 1.3]))
def test_local_response_norm(case: dict[str, Any], size: int, beta: float) -> None:
    case["view"] = case["view"].replace("item", "plain")
    x = images(case, 2 * case["channels"], torch.float64, max(1, case["batch"]))
    grad = random(*x.shape, seed=case["seed"] + 1)
    numbers = size, 0.5, beta, 1.5
    results = with_gradients(lambda x: ours.local_response_norm(x, *numbers), [x], grad)
    expected = with_gradients(lambda x: functional.local_response_norm(x, *numbers), [x], grad)
    for result, right in zip(results, expected, strict=True):
        # Powers, and sums of at most a few numbers around 1: some dozens of roundings.
        torch.testing.assert_close(
            result, right, rtol=100 * 2.0**-52, atol=100 * 2.0**-52 * float(1 + right.abs().max())
        )


# ---------------------------------------------------------------------------------------------------------------------
# PyTorch's own checkers


def samples(last: bool) -> dict[str, tuple[Any, ...]]:
    """Arguments of each operator that has gradients."""

    def image(*shape: int, seed: int = 0) -> Tensor:
        tensor = random(*shape, seed=seed)
        return (tensor.contiguous(memory_format=FORMATS[len(shape)]) if last else tensor).requires_grad_()

    x = image(2, 4, 7, 6)
    w, wt = random(6, 2, 3, 2, seed=1).requires_grad_(), random(4, 3, 3, 2, seed=2).requires_grad_()
    b = random(6, seed=3).requires_grad_()
    conv = [2, 1], [1, 1, 0, 1], [1, 2], 2, last
    transposed = [2, 1], [1, 1, 0, 1], [1, 0], 2, [1, 2], last
    window = [3, 2], [2, 1], [1, 1, 0, 1]
    operators = torch.ops.fastconv
    values, indices = operators.max_pool(x, *window, [1, 2], True, True, last)
    _, places = operators.adaptive_max_pool(x, [3, 7], True, last)
    return {
        "conv": (x, w, b, *conv),
        "conv_backward": (image(2, 6, 4, 5, seed=4), x, w, [True, True, True], *conv),
        "conv_transpose": (x, wt, b, *transposed),
        "conv_transpose_backward": (image(2, 6, 14, 7, seed=5), x, wt, [True, False, True], *transposed),
        "max_pool": (x, *window, [1, 2], True, True, last),
        "max_pool_backward": (image(*values.shape, seed=6), indices, x.shape, *window, [1, 2], last),
        "avg_pool": (x, *window, True, False, None, last),
        "avg_pool_backward": (image(2, 4, 4, 6, seed=7), x.shape, *window, True, False, None, last),
        "adaptive_max_pool": (x, [3, 7], True, last),
        "adaptive_max_pool_backward": (image(2, 4, 3, 7, seed=9), places, x.shape, last),
        "adaptive_avg_pool": (x, [3, 7], last),
        "adaptive_avg_pool_backward": (image(2, 4, 3, 7, seed=9), x.shape, last),
        "local_response_norm": (x, 3, 0.5, 0.75, 1.0, last),
        "local_response_norm_backward": (image(2, 4, 7, 6, seed=8), x, 3, 0.5, 0.75, 1.0, last),
    }


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", samples(False))
def test_operators_by_opcheck(name: str, last: bool) -> None:
    arguments = samples(last)[name]
    without = [argument.detach() if isinstance(argument, Tensor) else argument for argument in arguments]
    torch.library.opcheck(getattr(torch.ops.fastconv, f"{name}_no_grad").default, without)
    once = name == "local_response_norm_backward"
    torch.library.opcheck(getattr(torch.ops.fastconv, name).default, without if once else arguments)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "op",
    (
        *("conv", "conv_transpose", "max_pool", "avg_pool"),
        *("adaptive_max_pool", "adaptive_avg_pool", "local_response_norm"),
    ),
)
def test_gradients_of_gradients(op: str, last: bool, rank: int) -> None:
    x = random(1, 2, *(4, 3, 3)[:rank])
    if last and rank > 1:
        x = x.contiguous(memory_format=FORMATS[rank + 2])
    weight, bias = random(2, 1, *(2, 3, 1)[:rank], seed=1), random(2, seed=2)
    keywords: dict[str, Any] = {
        "conv": dict(stride=2, padding=1, groups=2),
        "conv_transpose": dict(stride=2, padding=1, output_padding=1, groups=2),
        "max_pool": dict(kernel_size=2, stride=1, ceil_mode=True),
        "avg_pool": dict(kernel_size=2, stride=2, ceil_mode=True, padding=1, count_include_pad=False),
        "adaptive_max_pool": dict(output_size=2),
        "adaptive_avg_pool": dict(output_size=2),
        "local_response_norm": dict(size=2, alpha=0.5),
    }[op]
    function = getattr(ours, op if op == "local_response_norm" else f"{op}{rank}d")
    tensors = [x, weight, bias] if "conv" in op else [x]
    tensors = [tensor.requires_grad_() for tensor in tensors]
    assert gradcheck(lambda *given: function(*given, **keywords), tensors)
    if op == "local_response_norm":
        (grad,) = torch.autograd.grad(function(x, **keywords).sum(), x, create_graph=True)
        with pytest.raises(NotImplementedError, match="its gradient has no gradient"):
            grad.sum().backward()
    else:
        assert gradgradcheck(lambda *given: function(*given, **keywords), tensors)


def test_transposed_output_padding_beyond_the_stride() -> None:
    tensors = [random(1, 1, 4).requires_grad_(), random(1, 1, 3, seed=1).requires_grad_()]
    keywords = dict(stride=1, output_padding=2, dilation=3)
    assert gradcheck(lambda *given: ours.conv_transpose1d(*given, **keywords), tensors)
    assert gradgradcheck(lambda *given: ours.conv_transpose1d(*given, **keywords), tensors)


# ---------------------------------------------------------------------------------------------------------------------
# Memory, types, threads


class Calls(TorchDispatchMode):
    """The operators of ours that run, with their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "fastconv":
            self.calls.append((func._opname, args))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("rank", [2, 3])
def test_channels_last_goes_in_and_out(rank: int) -> None:
    layout, sizes = FORMATS[rank + 2], (8, 7, 6)[:rank]
    x = random(2, 4, *sizes).contiguous(memory_format=layout).requires_grad_()
    part = x.chunk(2, 1)[1]  # not dense, but channels lie together
    weight = random(4, 2, *(3,) * rank)
    for source, results in (
        (x, [getattr(ours, f"conv{rank}d")(x, weight, groups=2)]),
        (part, [getattr(ours, f"conv{rank}d")(part, weight)]),
        (x, [getattr(ours, f"conv_transpose{rank}d")(x, weight)]),
        (x, getattr(ours, f"max_pool{rank}d")(x, 2, return_indices=True)),
        (x, [getattr(ours, f"avg_pool{rank}d")(x, 2)]),
        (x, getattr(ours, f"adaptive_max_pool{rank}d")(x, 3, return_indices=True)),
        (x, [getattr(ours, f"adaptive_avg_pool{rank}d")(x, 3)]),
        (x, [ours.local_response_norm(x, 2)]),
    ):
        (grad,) = torch.autograd.grad(results[0].sum(), source)
        for tensor in (*results, grad):
            assert tensor.is_contiguous(memory_format=layout)
            assert not tensor.is_contiguous()
    assert getattr(ours, f"conv{rank}d")(x.contiguous(), weight, groups=2).is_contiguous()


def test_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, kept = [], fastconv.local_response_norm

    def noted(array: Any, *arguments: Any, **keywords: Any) -> Any:
        result = kept(array, *arguments, **keywords)
        seen.extend(image.__array_interface__["data"][0] for image in (array, result))
        return result

    noted.__name__ = kept.__name__
    monkeypatch.setattr(fastconv, "local_response_norm", noted)
    for x in (random(2, 3, 4, 5), random(2, 4, 5, 3).permute(0, 3, 1, 2), random(2, 3, 8, 5)[:, :, ::2]):
        seen.clear()
        result = ours.local_response_norm(x, 2)
        assert seen == [x.data_ptr(), result.data_ptr()]


def test_only_the_gradients_that_are_asked_for() -> None:
    x, w, b = random(1, 2, 5), random(3, 2, 3), random(3)
    for asked in ([True, False, False], [False, True, True], [False, False, True]):
        for tensor, need in zip((x, w, b), asked, strict=True):
            tensor.grad = None
            tensor.requires_grad_(need)
        with Calls() as log:
            ours.conv1d(x, w, b).sum().backward()
        assert [name for name, _ in log.calls] == ["conv_no_grad", "conv_backward_no_grad"]
        assert list(log.calls[1][1][3]) == asked
        assert [tensor.grad is not None for tensor in (x, w, b)] == asked


def test_no_indices_where_nobody_asks() -> None:
    x = random(1, 2, 5).requires_grad_()
    for function, asked in ((torch.no_grad(), False), (torch.enable_grad(), True)):
        with function, Calls() as log:
            ours.max_pool1d(x, 2)
            ours.adaptive_max_pool1d(x, 2)
        assert log.calls[0][1][6] is log.calls[1][1][2] is asked


@pytest.mark.parametrize("op", ["conv2d", "max_pool2d", "avg_pool2d"])
def test_float16_is_rounded_once(op: str) -> None:
    arguments = [random(2, 3, 6, 6, dtype=torch.float16), random(4, 3, 3, 3, dtype=torch.float16)]
    if op == "conv2d":
        results = with_gradients(ours.conv2d, arguments)
        expected = with_gradients(ours.conv2d, [tensor.float() for tensor in arguments])
    else:
        results = with_gradients(lambda x: getattr(ours, op)(x, 2), arguments[:1])
        expected = with_gradients(lambda x: getattr(ours, op)(x, 2), [arguments[0].float()])
    for result, single in zip(results, expected, strict=True):
        assert torch.equal(result, single.half())


def test_autocast_computes_in_float32() -> None:
    x, w = random(1, 2, 5, dtype=torch.bfloat16), random(3, 2, 3, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu"):
        y = ours.conv1d(x, w)
    (grad,) = torch.autograd.grad(y.sum(), w)
    assert y.dtype == grad.dtype == torch.float32
    torch.testing.assert_close(y, functional.conv1d(x.float(), w))


@pytest.mark.skipif(fastconv.runtime.config()["OpenMP"] != "yes", reason="built without OpenMP")
def test_threads_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, kept = [], fastconv.local_response_norm

    def noted(*arguments: Any, **keywords: Any) -> Any:
        seen.append(fastconv.get_num_threads())
        return kept(*arguments, **keywords)

    noted.__name__ = kept.__name__
    monkeypatch.setattr(fastconv, "local_response_norm", noted)
    before, own = torch.get_num_threads(), fastconv.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            ours.local_response_norm(random(1, 2, 3), 2)
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 3]
    assert fastconv.get_num_threads() == own


X, W = random(2, 3, 8, 8), random(4, 3, 3, 3)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: ours.conv2d(X.numpy(), W), TypeError, "conv2d: input is a ndarray; needs a torch.Tensor"),
        (lambda: ours.conv2d(X, None), TypeError, "conv2d: weight is a NoneType; needs a torch.Tensor"),
        (lambda: ours.conv2d(X.bfloat16(), W), TypeError, "conv2d: input has dtype torch.bfloat16; needs one of"),
        (lambda: ours.conv2d(X, W.float()), TypeError, "weight has dtype torch.float32; needs torch.float64, as input"),
        (lambda: ours.max_pool2d(X.long(), 2), TypeError, "max_pool2d: input has dtype torch.int64; needs one of"),
        (lambda: ours.conv2d(X[0, 0], W), ValueError, "conv2d: input has shape (8, 8); needs (N, C, H, W) or"),
        (lambda: ours.conv2d(X, W[0]), ValueError, "conv2d: weight has shape (3, 3, 3); needs 4 axes"),
        (lambda: ours.conv2d(X, W[:, :2]), ValueError, "input channels = groups * weight's second axis"),
        (lambda: ours.conv2d(X, W, X), ValueError, "conv2d: bias has shape (2, 3, 8, 8); needs (4,)"),
        (lambda: ours.conv2d(X, W, stride=(1, 2, 3)), ValueError, "conv2d: stride is (1, 2, 3); needs an int or 2"),
        (lambda: ours.conv2d(X, W, stride=1.5), TypeError, "conv2d: stride is 1.5; needs ints"),
        (lambda: ours.conv2d(X, W, groups="2"), TypeError, "conv2d: groups is '2'; needs ints"),
        (lambda: ours.conv2d(X, W, padding=-1), ValueError, "conv2d: padding is"),
        (lambda: ours.conv2d(X, W, padding="full"), ValueError, "conv2d: padding is 'full'; needs"),
        (lambda: ours.conv2d(X, W, padding="same", stride=2), ValueError, "padding is 'same' and stride is (2, 2)"),
        (lambda: ours.conv_transpose2d(X, W), ValueError, "conv_transpose2d: needs"),
        (lambda: ours.conv_transpose1d(X, W), ValueError, "conv_transpose1d: weight has shape (4, 3, 3, 3); needs 3"),
        (lambda: ours.max_pool2d(X, 2, padding=2), ValueError, "max_pool2d: padding must not be negative, and in"),
        (lambda: ours.avg_pool2d(X, 2, divisor_override=0), ValueError, "avg_pool2d: divisor_override is 0; needs"),
        (lambda: ours.adaptive_avg_pool2d(X, 0), ValueError, "output_size is 0; needs an int or 2 ints, each >= 1"),
        (lambda: ours.adaptive_avg_pool2d(X, (2, None, 2)), ValueError, "output_size is (2, None, 2); needs an int or"),
        (lambda: ours.adaptive_max_pool2d(X, "2"), TypeError, "adaptive_max_pool2d: output_size is '2'; needs ints"),
        (lambda: ours.adaptive_max_pool2d(X[0, 0], 2), ValueError, "adaptive_max_pool2d: input has shape (8, 8)"),
        (lambda: ours.adaptive_max_pool2d(X.long(), 2), TypeError, "adaptive_max_pool2d: input has dtype torch.int64"),
        (lambda: ours.local_response_norm(X, 0), ValueError, "local_response_norm: size is 0; needs an int >= 1"),
        (lambda: ours.local_response_norm(X[0, 0], 1), ValueError, "local_response_norm: input has shape (8, 8)"),
        (lambda: replace(X), TypeError, "replace: model is a Tensor; needs a torch.nn.Module"),
        (lambda: restore(None), TypeError, "restore: model is a NoneType; needs a torch.nn.Module"),
    ],
)
def test_errors_teach(function: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        function()


def test_other_devices_are_refused() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        on_gpu = torch.empty(1, 3, 8, 8, device="cuda")
        with pytest.raises(ValueError, match="conv2d: input is on device cuda:0; needs 'cpu'"):
            ours.conv2d(on_gpu, on_gpu)


# ---------------------------------------------------------------------------------------------------------------------
# Compilers and transforms


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()


class Small(nn.Module):
    """A layer of each kind for images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding="same")
        self.norm = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, padding_mode="reflect")
        self.pool1, self.pool2 = nn.MaxPool2d(2), nn.AvgPool2d(2, padding=1)
        self.response = nn.LocalResponseNorm(3)
        self.pool3, self.pool4 = nn.AdaptiveMaxPool2d((None, 4)), nn.AdaptiveAvgPool2d((3, None))
        self.up = nn.ConvTranspose2d(8, 4, 3, 2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(torch.relu(self.norm(self.conv1(x))))
        return self.up(self.pool4(self.pool3(self.pool2(self.response(self.pool1(x))))))


def compiler() -> str | None:
    return shutil.which("g++") or shutil.which("clang++")


@pytest.mark.parametrize("dynamic", [False, True])
def test_traced(dynamic: bool) -> None:
    model = Small().double()
    compiled = torch.compile(replace(copy.deepcopy(model)), backend="aot_eager", fullgraph=True, dynamic=dynamic)
    for batch, size, layout in ((2, 20, torch.contiguous_format), (3, 17, torch.channels_last)):
        x = random(batch, 3, size, size).contiguous(memory_format=layout)
        assert_as_before(parameter_gradients(compiled, x), parameter_gradients(model, x), training=True)
        with torch.no_grad():
            assert_sums_close(compiled(x), model(x))


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler for Inductor")
def test_compiled() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)).double()
    expected = parameter_gradients(model, X)
    compiled = torch.compile(replace(model), fullgraph=True)
    assert_as_before(parameter_gradients(compiled, X), expected, training=False)


def test_exported() -> None:
    model, x = replace(Small().double().eval()), random(2, 3, 20, 20)
    exported = torch.export.export(model, (x,))
    assert any("fastconv" in str(node.target) for node in exported.graph.nodes)
    torch.testing.assert_close(exported.module()(x), model(x))


def test_exported_with_sizes_that_are_symbols() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            sizes = x.shape[2] // 2, 3
            return ours.adaptive_avg_pool2d(x, sizes), ours.conv2d(x, W, padding=x.shape[2] // 4)

    height = torch.export.Dim("height", min=4, max=64)
    exported = torch.export.export(Half(), (X,), dynamic_shapes={"x": {2: height}})
    taller = random(2, 3, 12, 8)
    for result, right in zip(exported.module()(taller), Half()(taller), strict=True):
        assert torch.equal(result, right)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_transforms() -> None:
    batches, w = random(3, 2, 3, 6, 6), random(4, 3, 3, 3)

    def losses(functions: Any) -> tuple[Tensor, Tensor]:
        def loss(x: Tensor, w: Tensor) -> Tensor:
            return functions.max_pool2d(functions.conv2d(x, w), 2).square().sum()

        return torch.func.grad(loss, 1)(batches[0], w), torch.func.vmap(torch.func.grad(loss, 1), (0, None))(batches, w)

    for result, right in zip(losses(ours), losses(functional), strict=True):
        torch.testing.assert_close(result, right)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_gradients_of_mapped_maxima() -> None:
    images = random(3, 2, 4, 8, 8).requires_grad_()
    torch.func.vmap(lambda x: ours.max_pool2d(x, 2))(images).sum().backward()
    expected = with_gradients(lambda x: functional.max_pool2d(x, 2), [images.flatten(0, 1)])[1]
    assert torch.equal(images.grad.flatten(0, 1), expected)


def test_graphs_captured_without_gradients_have_them() -> None:
    model, images = replace(nn.Sequential(nn.Conv2d(4, 6, 3), nn.MaxPool2d(2))), random(2, 4, 8, 8, dtype=torch.float32)
    with torch.no_grad():
        captured = torch.export.export(model, (images,)).module()
    captured(images).sum().backward()
    model(images).sum().backward()
    for got, want in zip(captured.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(got.grad, want.grad)


def test_windows_as_pytorch_writes_them() -> None:
    images = random(2, 4, 9, 9)
    for layer in (
        nn.MaxPool2d((2,)),
        nn.AvgPool2d((2,)),
        nn.MaxPool2d(3, stride=(2,), padding=(1,)),
        nn.AvgPool2d(2, []),
    ):
        expected = layer(images)
        assert torch.allclose(replace(layer)(images), expected)
    weight = random(6, 4, 3, 3)
    window = {"stride": (2,), "padding": (1,), "dilation": [2]}
    assert ours.conv2d(images, weight, **window).shape == functional.conv2d(images, weight, **window).shape


def test_shapes_are_checked_without_data() -> None:
    weight = torch.empty(6, 4, 3, 3, device="meta")
    with pytest.raises(ValueError, match="input has 5 channels; needs 4"):
        ours.conv2d(torch.empty(1, 5, 8, 8, device="meta"), weight)
    with pytest.raises(ValueError, match="at least one element on each axis"):
        ours.conv2d(torch.empty(1, 4, 2, 2, device="meta"), weight)


def test_no_forward_mode() -> None:
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match="forward mode AD"):
        ours.conv2d(forward_ad.make_dual(X, X), W)


# ---------------------------------------------------------------------------------------------------------------------
# Models


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "Conv1d": (nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2), (2, 4, 9)),
    "Conv2d": (nn.Conv2d(4, 6, 3, stride=2, padding="valid", bias=False), (2, 4, 9, 8)),
    "Conv3d": (nn.Conv3d(2, 3, (1, 2, 3), padding="same"), (1, 2, 4, 5, 6)),
    "ConvTranspose1d": (nn.ConvTranspose1d(4, 6, 3, 2, output_padding=1), (2, 4, 9)),
    "ConvTranspose2d": (nn.ConvTranspose2d(4, 6, 3, 2, padding=1, groups=2), (4, 5, 6)),
    "ConvTranspose3d": (nn.ConvTranspose3d(2, 3, 2, dilation=2), (1, 2, 3, 4, 5)),
    "MaxPool1d": (nn.MaxPool1d(3, 2, 1, ceil_mode=True), (2, 4, 9)),
    "MaxPool2d": (nn.MaxPool2d(2, dilation=2), (2, 4, 9, 8)),
    "MaxPool3d": (nn.MaxPool3d((1, 2, 2)), (2, 3, 4, 5)),
    "AvgPool1d": (nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 4, 9)),
    "AvgPool2d": (nn.AvgPool2d(2, divisor_override=3), (2, 4, 9, 8)),
    "AvgPool3d": (nn.AvgPool3d(2, ceil_mode=True), (1, 2, 3, 4, 5)),
    "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(4), (2, 4, 9)),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d((None, 3)), (2, 4, 9, 8)),
    "AdaptiveMaxPool3d": (nn.AdaptiveMaxPool3d(2), (2, 3, 4, 5)),
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(4), (2, 4, 9)),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((3, None)), (2, 4, 9, 8)),
    "AdaptiveAvgPool3d": (nn.AdaptiveAvgPool3d((5, 2, 1)), (1, 2, 3, 4, 5)),
    "LocalResponseNorm": (nn.LocalResponseNorm(3, k=2.0), (2, 4, 9)),
}


def assert_sums_close(result: Tensor, right: Tensor, magnitude: float | None = None) -> None:
    """Within 2^20 roundings of the largest element: a hundred layers of sums of ten thousand products, in float64."""
    assert result.shape == right.shape
    largest = float(right.detach().abs().max()) if magnitude is None else magnitude
    assert float((result - right).detach().abs().max()) <= 2.0**20 * 2.0**-53 * largest


def parameter_gradients(model: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """The output, and the gradients of the input and of all parameters."""
    x = x.detach().requires_grad_()
    output = model(x)
    tensors = [x, *(model.parameters() if isinstance(model, nn.Module) else ())]
    return [output.detach(), *torch.autograd.grad(output, tensors, random(*output.shape, seed=9))]


def assert_as_before(results: list[Tensor], expected: list[Tensor], training: bool) -> None:
    """In training, statistics of a batch are subtracted: a gradient of 0 is what is left of the largest."""
    largest = max(float(right.abs().max()) for right in expected) if training else None
    for result, right in zip(results, expected, strict=True):
        assert_sums_close(result, right, largest)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    layer, shape = copy.deepcopy(LAYERS[name])
    layer.double()
    expected = parameter_gradients(layer, random(*shape))
    assert replace(layer) is layer
    assert type(layer) is getattr(modules, name)
    assert isinstance(layer, getattr(nn, name))
    assert_as_before(parameter_gradients(layer, random(*shape)), expected, training=False)
    assert type(restore(layer)) is getattr(nn, name)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_traced_by_jit(name: str) -> None:
    layer, shape = copy.deepcopy(LAYERS[name])
    x = random(*shape)
    expected = layer.double()(x)
    assert_sums_close(torch.jit.trace(replace(layer), (x,))(x), expected)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode: str) -> None:
    layer = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode, dtype=torch.float64)
    expected = layer(X[:, :2])
    assert_sums_close(replace(layer)(X[:, :2]), expected)


def test_output_size_and_indices() -> None:
    up, x = nn.ConvTranspose2d(3, 2, 3, stride=2, dtype=torch.float64), random(1, 3, 4, 4)
    expected = up(x, output_size=[10, 9])
    assert_sums_close(replace(up)(x, output_size=[10, 9]), expected)
    for pool in (nn.MaxPool2d(2, return_indices=True), nn.AdaptiveMaxPool2d(2, return_indices=True)):
        values, indices = replace(pool)(x)
        assert torch.equal(
            functional.max_unpool2d(values, indices, 2).flatten(2).gather(2, indices.flatten(2)), values.flatten(2)
        )


class Doubled(nn.Conv2d):
    """Somebody else's layer."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def test_what_a_model_keeps() -> None:
    shared = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.Sequential(shared, nn.Sequential(Doubled(3, 3, 1), nn.BatchNorm2d(3)), shared, nn.MaxPool2d(2)).double()
    calls = []
    shared.register_forward_hook(lambda *_: calls.append(1))
    nn.utils.parametrizations.weight_norm(model[1][0])
    model.eval()
    parameters, names, expected = list(model.parameters()), list(model.state_dict()), model(X)
    types = [type(module) for module in model.modules()]

    assert replace(model) is model
    assert model[0] is model[2]
    assert type(shared) is modules.Conv2d
    assert isinstance(model[1][0], Doubled)
    assert type(model[1][1]) is nn.BatchNorm2d
    assert all(now is then for now, then in zip(model.parameters(), parameters, strict=True))
    assert list(model.state_dict()) == names
    assert not shared.training
    calls.clear()
    assert_sums_close(model(X), expected)
    assert len(calls) == 2
    assert all(module.training for module in model.train().modules())
    assert type(replace(model)[0]) is modules.Conv2d  # once more changes nothing

    assert restore(model) is model
    assert [type(module) for module in model.modules()] == types


def test_copies_and_files() -> None:
    model = Small().double().eval()
    expected = model(X)
    replace(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False)):
        assert type(again.conv1) is modules.Conv2d
        assert_sums_close(again(X), expected)
    other = Small().double().eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(X), restore(model)(X))
    replace(other).load_state_dict(model.state_dict())
    assert_sums_close(other(X), expected)


@pytest.mark.parametrize("name", torch_nets.NETS)
def test_nets_have_their_published_parameters(name: str) -> None:
    with torch.device("meta"):
        net = torch_nets.NETS[name]()
    assert sum(parameter.numel() for parameter in net.parameters()) == torch_nets.PARAMETERS[name]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", torch_nets.NETS)
def test_nets(name: str, training: bool) -> None:
    """The same outputs and gradients before and after, without dropout."""
    torch.manual_seed(0)
    size = {"alexnet": 67, "inception_v3": 75}.get(name, 40)
    net = torch_nets.NETS[name](**({"width": 16} if name in ("alexnet", "vgg16") else {})).double().train(training)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = random(2 if not training else 4, 3, size, size)
    expected = parameter_gradients(copy.deepcopy(net), x)
    results = parameter_gradients(replace(net), x)
    assert not any(type(module) in modules._PARENTS.values() for module in net.modules())
    assert_as_before(results, expected, training)


# ---------------------------------------------------------------------------------------------------------------------
# Documentation


@pytest.mark.parametrize("name", ["adaptive_pool", "conv", "pool", "modules"])
def test_examples(name: str) -> None:
    import doctest
    import importlib

    results = doctest.testmod(importlib.import_module(f"fastconv.interop.torch.{name}"))
    assert results.attempted
    assert not results.failed


def test_the_signatures_are_those_of_torch() -> None:
    """By name and order, where Python can see them; the others' first line of help says them."""
    import inspect

    for name in ours.__all__[:-2]:
        mine = list(inspect.signature(getattr(ours, name)).parameters)
        if "max_pool" in name:
            assert mine == list(inspect.signature(getattr(functional, f"{name}_with_indices")).parameters)
        elif inspect.isfunction(theirs(name)):
            assert mine == list(inspect.signature(theirs(name)).parameters)
        else:
            (said,) = re.findall(rf"^\s*{name}\((.*?)\)", theirs(name).__doc__, re.MULTILINE)
            assert mine == [argument.split("=")[0].strip() for argument in said.split(",")]


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text()
    section = page[page.index("## PyTorch") :]
    block = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["y"].shape == (1, 10)
    assert names["model"][0].weight.grad is not None
