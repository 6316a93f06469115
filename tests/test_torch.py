"""PyTorch as a second opinion on the reference, where it is installed: the same calls, names and arguments."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from fastconv import reference

torch = pytest.importorskip("torch", reason="PyTorch, an optional peer, is not installed")
F = torch.nn.functional

SIZES = {1: (11,), 2: (9, 8), 3: (6, 7, 5)}
CONVS = [
    dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    for stride, padding, dilation, groups in product((1, 2, 3), (0, 1, 2), (1, 2), (1, 2))
]
POOLS = [
    dict(kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil)
    for kernel, stride, padding, ceil in product((2, 3), (None, 1, 3), (0, 1), (False, True))
]


def draw(*shape: int) -> Any:
    """Few different values, so that maxima tie."""
    return np.random.default_rng(sum(shape)).integers(-3, 4, shape).astype(np.float64)


def agree(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize("arguments", CONVS, ids=str)
def test_convolution(rank: int, arguments: dict[str, Any]) -> None:
    groups, name = arguments["groups"], f"conv{rank}d"
    x, w, b = draw(2, 4, *SIZES[rank]), draw(6, 4 // groups, *(2, 3, 2)[:rank]), draw(6)
    tx, tw, tb = (torch.from_numpy(array).requires_grad_() for array in (x, w, b))
    y = getattr(F, name)(tx, tw, tb, **arguments)
    agree(getattr(reference, name)(x, w, b, **arguments), y)

    g = draw(*y.shape)
    y.backward(torch.from_numpy(g))
    for ours, theirs in zip(getattr(reference, f"{name}_backward")(g, x, w, **arguments), (tx, tw, tb), strict=True):
        agree(ours, theirs.grad)
    agree(getattr(reference, f"{name}_grad_input")(g, w, x.shape, **arguments), tx.grad)
    agree(getattr(reference, f"{name}_grad_weight")(g, x, w.shape, **arguments), tw.grad)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize("nan", [False, True])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("arguments", POOLS, ids=str)
def test_max_pooling(rank: int, arguments: dict[str, Any], dilation: int, nan: bool) -> None:
    name = f"max_pool{rank}d"
    x = draw(2, 3, *SIZES[rank])
    if nan:
        x.reshape(-1)[::7] = np.nan
    tx = torch.from_numpy(x).requires_grad_()
    y, indices = getattr(F, name)(tx, **arguments, dilation=dilation, return_indices=True)
    ours = getattr(reference, name)(x, **arguments, dilation=dilation, return_indices=True)
    agree(ours[0], y)
    agree(ours[1], indices)

    g = draw(*y.shape)
    y.backward(torch.from_numpy(g))
    agree(getattr(reference, f"{name}_backward")(g, ours[1], x.shape), tx.grad)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("divisor_override", [None, 5])
@pytest.mark.parametrize("arguments", POOLS, ids=str)
def test_average_pooling(
    rank: int, arguments: dict[str, Any], divisor_override: int | None, count_include_pad: bool
) -> None:
    name = f"avg_pool{rank}d"
    arguments = dict(arguments, count_include_pad=count_include_pad)
    if rank > 1:  # PyTorch has no divisor in one dimension
        arguments["divisor_override"] = divisor_override
    x = draw(2, 3, *SIZES[rank])
    tx = torch.from_numpy(x).requires_grad_()
    y = getattr(F, name)(tx, **arguments)
    agree(getattr(reference, name)(x, **arguments), y)

    g = draw(*y.shape)
    y.backward(torch.from_numpy(g))
    agree(getattr(reference, f"{name}_backward")(g, x.shape, **arguments), tx.grad)
