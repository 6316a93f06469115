"""The reference against what shares nothing with it: SciPy's filters, a matrix written out, differences, other nets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from fastconv import reference

Array = NDArray[Any]

try:
    import torch
    from torch.nn import functional
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed: the reference is not compared with it")

SIZES: dict[int, tuple[int, ...]] = {1: (23,), 2: (9, 12), 3: (7, 6, 8)}
RANKS = tuple(SIZES)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def op(name: str, rank: int) -> Callable[..., Any]:
    """`op("conv_grad_input", 2)` is conv2d_grad_input."""
    stem = "conv" if name.startswith("conv") else name[:8]
    return getattr(reference, f"{stem}{rank}d{name.removeprefix(stem)}")


# ---- SciPy


def spread(weight: Array, dilation: int) -> Array:
    """Weights with `dilation - 1` zeros between them."""
    wide = np.zeros([*weight.shape[:2], *(dilation * (k - 1) + 1 for k in weight.shape[2:])])
    wide[(..., *[slice(None, None, dilation)] * (weight.ndim - 2))] = weight
    return wide


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("stride", "dilation", "before", "after"), [(1, 1, 0, 0), (2, 1, 1, 2), (3, 2, 2, 0)])
@pytest.mark.parametrize("rank", RANKS)
def test_conv_is_scipy_signal_correlate_or_convolve(
    random: np.random.Generator, rank: int, stride: int, dilation: int, before: int, after: int, groups: int, flip: bool
) -> None:
    x = random.standard_normal((2, 4, *SIZES[rank]))
    w = random.standard_normal((6, 4 // groups, *(3, 2, 3)[:rank]))
    b = random.standard_normal(6)
    slide = scipy.signal.convolve if flip else scipy.signal.correlate
    padded = np.pad(x, [(0, 0)] * 2 + [(before, after)] * rank)
    every = (slice(None, None, stride),) * rank
    expected = np.stack([
        np.stack([
            b[o]
            + sum(
                slide(padded[n, o // (6 // groups) * (4 // groups) + c], spread(w, dilation)[o, c], "valid")[every]
                for c in range(4 // groups)
            )
            for o in range(6)
        ])
        for n in range(2)
    ])  # fmt: skip
    result = op("conv", rank)(x, w, b, stride, ((before, after),) * rank, dilation, groups, flip=flip)
    assert_allclose(result, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rank", RANKS)
def test_same_padding_is_scipy_ndimage_correlate_with_a_constant_border(random: np.random.Generator, rank: int) -> None:
    x = random.standard_normal(SIZES[rank])
    w = random.standard_normal((3, 5, 3)[:rank])
    expected = scipy.ndimage.correlate(x, w, mode="constant")
    assert_allclose(op("conv", rank)(x[None], w[None, None], padding="same")[0], expected, rtol=1e-12, atol=1e-12)


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


# ---- the convolution as a sparse matrix: a net with few active, shared weights


def connections(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: int, padding: int, dilation: int, groups: int
) -> tuple[tuple[int, ...], list[tuple[int, int, int]]]:
    """Output shape, and every connection as (output, input, weight), flat within one item; found one by one."""
    positions = [
        [start for start in range(0, size + 2 * padding, stride) if start + dilation * (k - 1) < size + 2 * padding]
        for size, k in zip(x_shape[1:], w_shape[2:], strict=True)
    ]
    y_shape = (w_shape[0], *map(len, positions))
    found = []
    for o, *place in np.ndindex(*y_shape):
        for c, *tap in np.ndindex(*w_shape[1:]):
            source = [starts[p] + dilation * t - padding for starts, p, t in zip(positions, place, tap, strict=True)]
            if all(0 <= s < size for s, size in zip(source, x_shape[1:], strict=True)):
                channel = o * groups // w_shape[0] * w_shape[1] + c
                found.append((
                    int(np.ravel_multi_index((o, *place), y_shape)),
                    int(np.ravel_multi_index((channel, *source), x_shape)),
                    int(np.ravel_multi_index((o, c, *tap), w_shape)),
                ))  # fmt: skip
    return y_shape, found


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("rank", RANKS)
def test_conv_and_gradients_are_a_sparse_matrix_and_its_transpose(
    random: np.random.Generator, rank: int, stride: int, padding: int, dilation: int, groups: int
) -> None:
    x_shape = (4, *{1: (11,), 2: (6, 7), 3: (5, 4, 5)}[rank])
    w_shape = (4, 4 // groups, *(2, 3, 2)[:rank])
    y_shape, found = connections(x_shape, w_shape, stride, padding, dilation, groups)
    x, w = random.standard_normal((3, *x_shape)), random.standard_normal(w_shape)
    g = random.standard_normal((3, *y_shape))
    to, from_, by = np.array(found).T
    matrix = scipy.sparse.coo_array((w.ravel()[by], (to, from_)), shape=(np.prod(y_shape), np.prod(x_shape))).tocsr()
    geometry = (stride, padding, dilation, groups)

    y = op("conv", rank)(x, w, None, *geometry)
    assert_allclose(y, (matrix @ x.reshape(3, -1).T).T.reshape(3, *y_shape), rtol=1e-12, atol=1e-12)

    grad_input = op("conv_grad_input", rank)(g, w, x.shape, *geometry)
    assert_allclose(grad_input, (matrix.T @ g.reshape(3, -1).T).T.reshape(x.shape), rtol=1e-12, atol=1e-12)

    shared = np.zeros(w.size)
    np.add.at(shared, by, (g.reshape(3, -1)[:, to] * x.reshape(3, -1)[:, from_]).sum(axis=0))
    grad_weight = op("conv_grad_weight", rank)(g, x, w.shape, *geometry)
    assert_allclose(grad_weight, shared.reshape(w.shape), rtol=1e-12, atol=1e-12)

    backward = op("conv_backward", rank)(g, x, w, *geometry)
    assert_array_equal(backward[0], grad_input)
    assert_array_equal(backward[1], grad_weight)
    assert_allclose(backward[2], g.sum(axis=(0, *range(2, g.ndim))), rtol=1e-12)


# ---- finite differences


def difference(f: Callable[[Array], Array], at: Array, g: Array, step: float = 2.0**-7) -> Array:
    """Gradient of <f(x), g> in x, element by element; exact for an f that is linear between x - step and x + step."""
    gradient = np.empty(at.shape)
    for place in np.ndindex(at.shape):
        moved = np.zeros(at.shape)
        moved[place] = step
        gradient[place] = np.vdot(f(at + moved) - f(at - moved), g) / (2 * step)
    return gradient


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("padding", [1, "same"])
@pytest.mark.parametrize("rank", RANKS)
def test_conv_gradients_are_finite_differences(
    random: np.random.Generator, rank: int, padding: Any, layout: str, flip: bool
) -> None:
    sizes = {1: (7,), 2: (4, 5), 3: (3, 4, 3)}[rank]
    axes = "DHW"[-rank:]
    options = {"layout": f"N{axes}C" if layout == "last" else f"NC{axes}", "flip": flip}
    x = random.standard_normal((2, *sizes, 2) if layout == "last" else (2, 2, *sizes))
    w, b = random.standard_normal((4, 1, *(2, 3, 2)[:rank])), random.standard_normal(4)
    geometry = (2, padding, 1, 2)
    conv = op("conv", rank)
    g = random.standard_normal(conv(x, w, b, *geometry, **options).shape)
    grads = op("conv_backward", rank)(g, x, w, *geometry, **options)
    assert_allclose(grads[0], difference(lambda x: conv(x, w, b, *geometry, **options), x, g), atol=1e-10)
    assert_allclose(grads[1], difference(lambda w: conv(x, w, b, *geometry, **options), w, g), atol=1e-10)
    assert_allclose(grads[2], difference(lambda b: conv(x, w, b, *geometry, **options), b, g), atol=1e-10)


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("rank", RANKS)
def test_pool_gradients_are_finite_differences(
    random: np.random.Generator, rank: int, ceil_mode: bool, layout: str
) -> None:
    sizes = {1: (8,), 2: (5, 6), 3: (4, 3, 4)}[rank]
    axes = "DHW"[-rank:]
    options = {"layout": f"N{axes}C" if layout == "last" else f"NC{axes}"}
    shape = (2, *sizes, 2) if layout == "last" else (2, 2, *sizes)
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


# ---- torch, whose names and meanings these are


@needs_torch
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, "same", 2), (2, 1, 1), (3, 2, 2), (1, "valid", 1)])
@pytest.mark.parametrize("rank", RANKS)
def test_conv_and_gradients_are_torchs(
    random: np.random.Generator, rank: int, stride: int, padding: Any, dilation: int, groups: int
) -> None:
    arguments = {
        "input": random.standard_normal((2, 4, *SIZES[rank])),
        "weight": random.standard_normal((6, 4 // groups, *(3, 2, 3)[:rank])),
        "bias": random.standard_normal(6),
    }
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in arguments.items()}
    theirs = getattr(functional, f"conv{rank}d")(**tensors, **geometry)
    assert_allclose(op("conv", rank)(**arguments, **geometry), theirs.detach().numpy(), rtol=1e-11, atol=1e-11)
    g = random.standard_normal(theirs.shape)
    theirs.backward(torch.tensor(g))
    ours = op("conv_backward", rank)(g, arguments["input"], arguments["weight"], **geometry)
    for gradient, tensor in zip(ours, tensors.values(), strict=True):
        assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-11, atol=1e-11)


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


# ---- numbers known by heart


def test_known_images() -> None:
    edge = np.repeat([10.0, 10, 10, 0, 0, 0], 6).reshape(6, 6).T
    row = reference.conv2d(edge[None], np.tile([1.0, 0, -1], (3, 1))[None, None])[0, 0]
    assert_array_equal(row, [0, 30, 30, 0])

    x = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]], float)[None]
    w = np.array([[0, 1, 2], [2, 2, 0], [0, 1, 2]], float)[None, None]
    assert_array_equal(reference.conv2d(x, w)[0], [[12, 12, 17], [10, 17, 19], [9, 6, 14]])
    assert_array_equal(reference.conv2d(x, w, stride=2)[0], [[12, 17], [9, 14]])
    assert_array_equal(reference.max_pool2d(x, 3, 1)[0], [[3, 3, 3], [3, 3, 3], [3, 2, 3]])

    x = np.array([[12, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]], float)[None]
    values, indices = reference.max_pool2d(x, 2, return_indices=True)
    assert_array_equal(values[0], [[20, 30], [112, 37]])
    assert_array_equal(indices[0], [[1, 2], [12, 10]])
    assert_array_equal(reference.avg_pool2d(x, 2)[0], [[13, 8], [79, 19.5]])
