"""The reference of pooling against what shares nothing with it."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from independent import (
    RANKS,
    SIZES,
    TINY,
    Array,
    difference,
    functional,
    layout_of,
    needs_torch,
    op,
    shape_of,
    spread,
    torch,
)
from numpy.testing import assert_allclose, assert_array_equal

from fastconv import reference

# ---- SciPy


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("rank", RANKS)
def test_max_pool_is_maximum_filter(random: np.random.Generator, rank: int, stride: int, dilation: int) -> None:
    x = random.integers(-5, 5, (2, 3, *SIZES[rank])).astype(float)
    footprint = spread(np.ones((1, 1, *[3] * rank)), dilation)[0, 0] > 0
    expected = np.stack([
        [scipy.ndimage.maximum_filter(x[n, c], footprint=footprint, mode="constant", cval=-np.inf) for c in range(3)]
        for n in range(2)
    ])[(..., *[slice(None, None, stride)] * rank)]  # fmt: skip
    values, indices = op("max_pool", rank)(x, 3, stride, dilation, dilation, return_indices=True)
    assert_array_equal(values, expected)
    planes = np.take_along_axis(x.reshape(2, 3, -1), indices.reshape(2, 3, -1), axis=2)
    assert_array_equal(planes.reshape(values.shape), values)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("rank", RANKS)
def test_avg_pool_is_uniform_filter(random: np.random.Generator, rank: int, stride: int) -> None:
    x = random.standard_normal((2, 3, *SIZES[rank]))
    every = (..., *[slice(None, None, stride)] * rank)

    def mean(images: Array) -> Array:
        filtered = [[scipy.ndimage.uniform_filter(one, 3, mode="constant") for one in item] for item in images]
        return np.array(filtered)[every]

    assert_allclose(op("avg_pool", rank)(x, 3, stride, 1), mean(x), rtol=1e-11, atol=1e-11)
    result = op("avg_pool", rank)(x, 3, stride, 1, count_include_pad=False)
    assert_allclose(result, mean(x) / mean(np.ones_like(x)), rtol=1e-11, atol=1e-11)


# ---- finite differences


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("rank", RANKS)
def test_pool_gradients_are_finite_differences(
    random: np.random.Generator, rank: int, ceil_mode: bool, layout: str
) -> None:
    sizes = {1: (8,), 2: (5, 6), 3: (4, 3, 4)}[rank]
    options = {"layout": layout_of(rank, layout == "last")}
    shape = shape_of(2, 2, sizes, layout == "last")
    x = random.permutation(np.prod(shape)).reshape(shape).astype(float)  # no ties: the maximum is linear nearby
    max_pool, avg_pool = op("max_pool", rank), op("avg_pool", rank)

    y, indices = max_pool(x, 3, 2, 1, 1, ceil_mode, True, **options)
    g = random.standard_normal(y.shape)
    expected = difference(lambda x: max_pool(x, 3, 2, 1, 1, ceil_mode, **options), x, g)
    assert_allclose(op("max_pool_backward", rank)(g, indices, x.shape, **options), expected, atol=1e-10)
    assert_allclose(op("max_pool_backward", rank)(g, indices, x.shape, 3, 2, 1, **options), expected, atol=1e-10)

    for counting in ((True, None), (False, None), (True, 5)):
        window = (3, 2, 1, ceil_mode, *counting)
        expected = difference(lambda x, window=window: avg_pool(x, *window, **options), x, g)
        assert_allclose(op("avg_pool_backward", rank)(g, x.shape, *window, **options), expected, atol=1e-10)


# ---- adaptive pooling: window o holds element i where [i, i + 1) and [o in / out, (o + 1) in / out) overlap

OUTPUTS: dict[int, list[Any]] = {
    1: [1, 5, 9, 23, 24, 40, None],
    2: [1, (4, 7), (None, 5), (9, None), (20, 3), (10, 30)],
    3: [2, (3, None, 5), (15, 4, 1), (8, 7, 9)],
}
CASES = [(rank, output_size) for rank, sizes in OUTPUTS.items() for output_size in sizes]


def holds(size: int, out: int) -> Array:
    """[o, i]: whether window o holds element i."""
    edges = [Fraction(o * size, out) for o in range(out + 1)]
    return np.array([[i < edges[o + 1] and i + 1 > edges[o] for i in range(size)] for o in range(out)])


def windows_of(rank: int, output_size: Any) -> list[Array]:
    given = output_size if isinstance(output_size, tuple) else (output_size,) * rank
    return [holds(size, size if out is None else out) for size, out in zip(SIZES[rank], given, strict=True)]


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize(("rank", "output_size"), CASES)
def test_adaptive_avg_pool_is_a_matrix_an_axis_and_its_gradient_the_transpose(
    random: np.random.Generator, rank: int, output_size: Any, layout: str
) -> None:
    x = random.standard_normal((2, 3, *SIZES[rank]))
    means = [window / window.sum(axis=1, keepdims=True) for window in windows_of(rank, output_size)]
    expected = x
    for axis, mean in enumerate(means, 2):
        expected = np.moveaxis(np.tensordot(mean, expected, (1, axis)), 0, axis)
    g = random.standard_normal(expected.shape)
    gradient = g
    for axis, mean in enumerate(means, 2):
        gradient = np.moveaxis(np.tensordot(mean.T, gradient, (1, axis)), 0, axis)
    if layout == "last":
        x, g, expected, gradient = (np.moveaxis(array, 1, -1) for array in (x, g, expected, gradient))
    options = {"layout": layout_of(rank, layout == "last")}
    assert_allclose(op("adaptive_avg_pool", rank)(x, output_size, **options), expected, atol=1e-13)
    assert_allclose(op("adaptive_avg_pool_backward", rank)(g, x.shape, **options), gradient, atol=1e-13)


@pytest.mark.parametrize("values", ["ties", "nan"])
@pytest.mark.parametrize(("rank", "output_size"), CASES)
def test_adaptive_max_pool_is_the_maximum_of_what_its_windows_hold(
    random: np.random.Generator, rank: int, output_size: Any, values: str
) -> None:
    x = random.integers(-3, 4, (2, 3, *SIZES[rank])).astype(float)
    if values == "nan":
        x[random.random(x.shape) < 0.03] = np.nan
        x[0, 0] = -np.inf
    best, indices = op("adaptive_max_pool", rank)(x, output_size, return_indices=True)
    windows = windows_of(rank, output_size)
    planes = x.reshape(2, 3, -1)
    for place in np.ndindex(best.shape[2:]):
        mask = np.ones(())
        for window, o in zip(windows, place, strict=True):
            mask = np.multiply.outer(mask, window[o])
        held = np.flatnonzero(mask)
        for n, c in np.ndindex(2, 3):
            inside = planes[n, c, held]
            nans = held[np.isnan(inside)]
            where = nans[-1] if nans.size else held[inside == inside.max()][0]
            assert indices[(n, c, *place)] == where
            assert_array_equal(best[(n, c, *place)], planes[n, c, where])
    assert_array_equal(op("adaptive_max_pool", rank)(x, output_size), best)


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("rank", RANKS)
def test_adaptive_pool_gradients_are_finite_differences(random: np.random.Generator, rank: int, layout: str) -> None:
    options = {"layout": layout_of(rank, layout == "last")}
    shape = shape_of(1, 2, TINY[rank], layout == "last")
    x = random.permutation(np.prod(shape)).reshape(shape).astype(float)
    for output_size in (1, (2, 3, 2)[:rank], (9, None, 2)[:rank]):
        for stem in ("adaptive_max_pool", "adaptive_avg_pool"):
            pool, backward = op(stem, rank), op(f"{stem}_backward", rank)
            g = random.standard_normal(pool(x, output_size, **options).shape)
            indices = pool(x, output_size, True, **options)[1:] if "max" in stem else ()
            expected = difference(lambda x, pool=pool, output_size=output_size: pool(x, output_size, **options), x, g)
            assert_allclose(backward(g, *indices, x.shape, **options), expected, atol=1e-10)


# ---- over channels


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 12])
@pytest.mark.parametrize("rank", RANKS)
def test_channel_max_pool_is_maximum_filter_along_the_channels(
    random: np.random.Generator, rank: int, size: int, last: bool
) -> None:
    x = random.integers(-3, 4, (2, 12, *SIZES[rank])).astype(float)
    ahead = scipy.ndimage.maximum_filter1d(x, size, axis=1, origin=-(size // 2), mode="nearest")
    expected = ahead[:, ::size][:, : 12 // size]
    options = {"layout": layout_of(rank, last)}
    given = np.moveaxis(x, 1, -1) if last else x
    values, indices = reference.channel_max_pool(given, size, return_indices=True, **options)
    g = random.standard_normal(values.shape)
    gradient = reference.channel_max_pool_backward(g, indices, given.shape, **options)
    if last:
        values, indices, g, gradient = (np.moveaxis(array, -1, 1) for array in (values, indices, g, gradient))
    assert_array_equal(values, expected)
    assert_array_equal(np.take_along_axis(x, indices, axis=1), expected)
    groups = x.reshape(2, 12 // size, size, *SIZES[rank])
    first = groups.argmax(axis=2)  # NumPy's first maximum
    assert_array_equal(indices, first + size * np.arange(12 // size).reshape(-1, *[1] * rank))
    received = np.zeros(x.shape)
    np.put_along_axis(received, indices, g, axis=1)
    assert_array_equal(gradient, received)


def test_channel_max_pool_takes_the_last_nan_and_adds_gradients_of_one_channel() -> None:
    x = np.array([1, np.nan, 3, np.nan, 5, 2, 5, 5.0]).reshape(1, 8, 1)
    values, indices = reference.channel_max_pool(x, 4, return_indices=True)
    assert_array_equal(values.ravel(), [np.nan, 5])
    assert_array_equal(indices.ravel(), [3, 4])
    gradient = reference.channel_max_pool_backward(np.array([[[2.0], [3.0]]]), np.array([[[5], [5]]]), x.shape)
    assert_array_equal(gradient.ravel(), [0, 0, 0, 0, 0, 5, 0, 0])


@pytest.mark.parametrize("rank", RANKS)
def test_channel_max_pool_gradient_is_a_finite_difference(random: np.random.Generator, rank: int) -> None:
    shape = (2, 6, *TINY[rank])
    x = random.permutation(np.prod(shape)).reshape(shape).astype(float)
    values, indices = reference.channel_max_pool(x, 3, return_indices=True)
    g = random.standard_normal(values.shape)
    expected = difference(lambda x: reference.channel_max_pool(x, 3), x, g)
    assert_allclose(reference.channel_max_pool_backward(g, indices, shape), expected, atol=1e-10)


# ---- types


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float32"])
@pytest.mark.parametrize("stem", ["max_pool", "adaptive_max_pool", "channel_max_pool"])
def test_maxima_keep_the_type_exactly(random: np.random.Generator, stem: str, dtype: str) -> None:
    if dtype == "bool":
        x = random.random((1, 4, 6)) < 0.5
    elif np.dtype(dtype).kind == "f":
        x = random.standard_normal((1, 4, 6)).astype(dtype)
    else:  # neighbours that float64 cannot tell apart, where the type has them
        high = np.iinfo(dtype).max
        x = high - random.integers(0, 5, (1, 4, 6)).astype(dtype)
    pool = getattr(reference, stem)
    result = pool(x, *((2,) if stem != "adaptive_max_pool" else (3,)))
    windows = x.reshape(1, 2, 2, 6).max(axis=2) if stem == "channel_max_pool" else x.reshape(1, 4, 3, 2).max(axis=3)
    assert result.dtype == dtype
    assert_array_equal(result, windows)


# ---- torch, whose names and meanings these are


POOL_WINDOWS = [
    {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    for kernel, stride, padding, ceil_mode in product((1, 2, 3, 4), (None, 1, 2, 3, 5), (0, 1, 2), (False, True))
    if 2 * padding <= kernel
]


@needs_torch
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("rank", RANKS)
def test_max_pool_is_torchs_with_ties_and_nan(random: np.random.Generator, rank: int, dilation: int) -> None:
    for size, window in product((7, 10), POOL_WINDOWS):
        x = random.integers(-2, 3, (2, 3, *[size] * (rank - 1), 9)).astype(float)
        x[random.random(x.shape) < 0.1] = np.nan
        x[0, 0], x[0, 1] = -np.inf, 1.0
        arguments = {**window, "dilation": dilation, "return_indices": True}
        tensor = torch.tensor(x, requires_grad=True)
        theirs = getattr(functional, f"max_pool{rank}d")(input=tensor, **arguments)
        ours = op("max_pool", rank)(input=x, **arguments)
        assert_array_equal(ours[0], theirs[0].detach().numpy(), str(arguments))
        assert_array_equal(ours[1], theirs[1].numpy(), str(arguments))
        g = random.standard_normal(ours[0].shape)
        theirs[0].backward(torch.tensor(g))
        assert_allclose(op("max_pool_backward", rank)(g, ours[1], x.shape), tensor.grad.numpy(), atol=1e-13)


@needs_torch
@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("rank", RANKS)
def test_avg_pool_is_torchs(random: np.random.Generator, rank: int, count_include_pad: bool) -> None:
    divisors = [{}] if rank == 1 else [{}, {"divisor_override": 3}, {"divisor_override": -2}]
    for size, window, divisor in product((7, 10), POOL_WINDOWS, divisors):
        x = random.standard_normal((2, 3, *[size] * (rank - 1), 9))
        arguments = {**window, **divisor, "count_include_pad": count_include_pad}
        tensor = torch.tensor(x, requires_grad=True)
        theirs = getattr(functional, f"avg_pool{rank}d")(input=tensor, **arguments)
        assert_allclose(op("avg_pool", rank)(input=x, **arguments), theirs.detach().numpy(), atol=1e-12)
        g = random.standard_normal(theirs.shape)
        theirs.backward(torch.tensor(g))
        ours = op("avg_pool_backward", rank)(g, x.shape, **arguments)
        assert_allclose(ours, tensor.grad.numpy(), atol=1e-12, err_msg=str(arguments))


@needs_torch
@pytest.mark.parametrize(("rank", "output_size"), [case for case in CASES if case != (1, None)])  # which is ours alone
def test_adaptive_pools_are_torchs(random: np.random.Generator, rank: int, output_size: Any) -> None:
    x = random.integers(-2, 3, (2, 3, *SIZES[rank])).astype(float)
    mean, maximum = (getattr(functional, f"adaptive_{kind}_pool{rank}d") for kind in ("avg", "max"))
    x[0, 0], x[0, 1] = -np.inf, 1.0
    x[1][random.random(x[1].shape) < 0.02] = np.nan
    tensor = torch.tensor(x, requires_grad=True)
    theirs = maximum(tensor, output_size, return_indices=True)
    ours = op("adaptive_max_pool", rank)(x, output_size, return_indices=True)
    assert_array_equal(ours[0], theirs[0].detach().numpy())
    assert_array_equal(ours[1], theirs[1].numpy())
    g = random.standard_normal(ours[0].shape)
    theirs[0].backward(torch.tensor(g))
    gradient = op("adaptive_max_pool_backward", rank)(g, ours[1], x.shape)
    assert_allclose(gradient, tensor.grad.numpy(), atol=1e-13)

    x = random.standard_normal(x.shape)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = mean(tensor, output_size)
    assert_allclose(op("adaptive_avg_pool", rank)(x, output_size), theirs.detach().numpy(), atol=1e-13)
    theirs.backward(torch.tensor(g))
    gradient = op("adaptive_avg_pool_backward", rank)(g, x.shape)
    assert_allclose(gradient, tensor.grad.numpy(), atol=1e-13)
