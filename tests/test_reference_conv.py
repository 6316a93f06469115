"""The reference of convolution and its transpose against what shares nothing with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.sparse
from independent import (
    RANKS,
    SIZES,
    TINY,
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


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("stride", "dilation", "before", "after", "more"),
    [(1, 1, 0, 0, 0), (2, 1, 1, 0, 1), (3, 2, 2, 4, 2), (1, 3, 0, 1, 2), (2, 4, 3, 2, 3), (5, 1, 1, 1, 4)],
)
@pytest.mark.parametrize("rank", RANKS)
def test_conv_transpose_is_a_full_convolution_of_zeros_stuffed_between(
    random: np.random.Generator,
    rank: int,
    stride: int,
    dilation: int,
    before: int,
    after: int,
    more: int,
    groups: int,
) -> None:
    sizes = {1: (9,), 2: (5, 4), 3: (4, 3, 4)}[rank]
    x = random.standard_normal((2, 4, *sizes))
    w = random.standard_normal((4, 6 // groups, *(3, 2, 3)[:rank]))
    b = random.standard_normal(6)
    stuffed = spread(x, stride)
    taps = spread(w, dilation)
    expected = []
    for n, o in np.ndindex(2, 6):
        group, within = divmod(o, 6 // groups)
        channels = range(group * 4 // groups, (group + 1) * 4 // groups)
        full = sum(scipy.signal.convolve(stuffed[n, c], taps[c, within], "full") for c in channels)
        full = np.pad(full, (0, more))
        expected.append(b[o] + full[tuple(slice(before, size - after) for size in full.shape)])
    arguments = (stride, ((before, after),) * rank, more, groups, dilation)
    result = op("conv_transpose", rank)(x, w, b, *arguments)
    assert_allclose(result, np.reshape(expected, result.shape), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "more", "explicit"),
    [
        (3, 1, 1, 0, (1, 1)),
        (4, 1, 1, 0, (1, 2)),  # the odd one at the end
        (4, 2, 1, 0, (1, 1)),
        (3, 2, 1, 0, (0, 1)),
        (3, 2, 1, 1, (1, 1)),
        (2, 1, 3, 2, (2, 3)),
        (3, 3, 1, 0, (0, 0)),
    ],
)
def test_conv_transpose_same_makes_stride_elements_of_each(
    random: np.random.Generator, kernel: int, stride: int, dilation: int, more: int, explicit: tuple[int, int]
) -> None:
    x, w = random.standard_normal((1, 2, 7)), random.standard_normal((2, 3, kernel))
    result = reference.conv_transpose1d(x, w, None, stride, "same", more, 1, dilation)
    assert result.shape == (1, 3, 7 * stride)
    assert_array_equal(result, reference.conv_transpose1d(x, w, None, stride, (explicit,), more, 1, dilation))


def test_conv_transpose_same_appends_rows_where_the_stride_is_longer_than_the_window() -> None:
    x, w = np.ones((1, 1, 3)), np.ones((1, 1, 2))
    expected = [[[1, 1, 0, 0, 0] * 3]]
    assert_array_equal(reference.conv_transpose1d(x, w, stride=5, padding="same"), expected)
    assert_array_equal(reference.conv_transpose1d(x, w, [7], 5, "same"), np.add(expected, 7))


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


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "more"), [(1, 0, 1, 0), (2, 1, 1, 1), (1, 2, 2, 0), (3, 1, 2, 2)]
)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("rank", RANKS)
def test_conv_transpose_is_the_transposed_sparse_matrix(
    random: np.random.Generator, rank: int, stride: int, padding: int, dilation: int, more: int, groups: int
) -> None:
    """Of the convolution with the same weights from images of the result's size: output and input change places."""
    w_shape = (4, 4 // groups, *(2, 3, 2)[:rank])
    x_shape = (4, *{1: (5,), 2: (3, 4), 3: (3, 3, 4)}[rank])
    geometry = (stride, padding, more, groups, dilation)
    y_shape = op("conv_transpose", rank)(np.zeros((1, *x_shape)), np.zeros(w_shape), None, *geometry).shape[1:]
    found_shape, found = connections(y_shape, w_shape, stride, padding, dilation, groups)
    assert found_shape == x_shape
    x, w = random.standard_normal((3, *x_shape)), random.standard_normal(w_shape)
    g = random.standard_normal((3, *y_shape))
    from_, to, by = np.array(found).T
    matrix = scipy.sparse.coo_array((w.ravel()[by], (to, from_)), shape=(np.prod(y_shape), np.prod(x_shape))).tocsr()

    y = op("conv_transpose", rank)(x, w, None, *geometry)
    assert_allclose(y, (matrix @ x.reshape(3, -1).T).T.reshape(3, *y_shape), rtol=1e-12, atol=1e-12)

    grad_input, grad_weight, grad_bias = op("conv_transpose_backward", rank)(g, x, w, *geometry)
    assert_allclose(grad_input, (matrix.T @ g.reshape(3, -1).T).T.reshape(x.shape), rtol=1e-12, atol=1e-12)
    shared = np.zeros(w.size)
    np.add.at(shared, by, (g.reshape(3, -1)[:, to] * x.reshape(3, -1)[:, from_]).sum(axis=0))
    assert_allclose(grad_weight, shared.reshape(w.shape), rtol=1e-12, atol=1e-12)
    assert_allclose(grad_bias, g.sum(axis=(0, *range(2, g.ndim))), rtol=1e-12)


# ---- finite differences


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("padding", [1, "same"])
@pytest.mark.parametrize("rank", RANKS)
def test_conv_gradients_are_finite_differences(
    random: np.random.Generator, rank: int, padding: Any, layout: str, flip: bool
) -> None:
    options = {"layout": layout_of(rank, layout == "last"), "flip": flip}
    x = random.standard_normal(shape_of(2, 2, TINY[rank], layout == "last"))
    w, b = random.standard_normal((4, 1, *(2, 3, 2)[:rank])), random.standard_normal(4)
    geometry = (2, padding, 1, 2)
    conv = op("conv", rank)
    g = random.standard_normal(conv(x, w, b, *geometry, **options).shape)
    grads = op("conv_backward", rank)(g, x, w, *geometry, **options)
    assert_allclose(grads[0], difference(lambda x: conv(x, w, b, *geometry, **options), x, g), atol=1e-10)
    assert_allclose(grads[1], difference(lambda w: conv(x, w, b, *geometry, **options), w, g), atol=1e-10)
    assert_allclose(grads[2], difference(lambda b: conv(x, w, b, *geometry, **options), b, g), atol=1e-10)


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize(
    ("stride", "padding", "more", "dilation"), [(2, 1, 1, 1), (2, "same", 0, 1), (3, "same", 0, 1), (1, 1, 2, 3)]
)
@pytest.mark.parametrize("rank", RANKS)
def test_conv_transpose_gradients_are_finite_differences(
    random: np.random.Generator, rank: int, stride: int, padding: Any, more: int, dilation: int, layout: str
) -> None:
    options = {"layout": layout_of(rank, layout == "last")}
    x = random.standard_normal(shape_of(2, 4, {1: (5,), 2: (2, 3), 3: (2, 3, 2)}[rank], layout == "last"))
    w, b = random.standard_normal((4, 1, *(2, 3, 2)[:rank])), random.standard_normal(2)
    geometry = (stride, padding, more, 2, dilation)
    conv_transpose = op("conv_transpose", rank)
    g = random.standard_normal(conv_transpose(x, w, b, *geometry, **options).shape)
    grads = op("conv_transpose_backward", rank)(g, x, w, *geometry, **options)
    assert_allclose(grads[0], difference(lambda x: conv_transpose(x, w, b, *geometry, **options), x, g), atol=1e-10)
    assert_allclose(grads[1], difference(lambda w: conv_transpose(x, w, b, *geometry, **options), w, g), atol=1e-10)
    assert_allclose(grads[2], difference(lambda b: conv_transpose(x, w, b, *geometry, **options), b, g), atol=1e-10)


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


@needs_torch
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("stride", "padding", "more", "dilation"), [(1, 0, 0, 1), (2, 1, 1, 1), (3, 2, 2, 2), (1, 1, 2, 3), (5, 0, 3, 1)]
)
@pytest.mark.parametrize("rank", RANKS)
def test_conv_transpose_and_gradients_are_torchs(
    random: np.random.Generator, rank: int, stride: int, padding: int, more: int, dilation: int, groups: int
) -> None:
    arguments = {
        "input": random.standard_normal((2, 4, *(7, 5, 4)[:rank])),
        "weight": random.standard_normal((4, 6 // groups, *(3, 2, 3)[:rank])),
        "bias": random.standard_normal(6),
    }
    geometry = {
        "stride": stride,
        "padding": padding,
        "output_padding": more,
        "groups": groups,
        "dilation": dilation,
    }
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in arguments.items()}
    theirs = getattr(functional, f"conv_transpose{rank}d")(**tensors, **geometry)
    ours = op("conv_transpose", rank)(**arguments, **geometry)
    assert_allclose(ours, theirs.detach().numpy(), rtol=1e-11, atol=1e-11)
    g = random.standard_normal(theirs.shape)
    theirs.backward(torch.tensor(g))
    gradients = op("conv_transpose_backward", rank)(g, arguments["input"], arguments["weight"], **geometry)
    for gradient, tensor in zip(gradients, tensors.values(), strict=True):
        assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-11, atol=1e-11)


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
