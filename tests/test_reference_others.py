"""The reference of normalisation, patches and padding against what shares nothing with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from features import PAD_MODES
from independent import (
    RANKS,
    SIZES,
    TINY,
    Array,
    difference,
    functional,
    layout_of,
    matrix_of,
    needs_torch,
    op,
    torch,
)
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal

from fastconv import reference

# ---- local response normalisation


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.6])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 14, 20])
@pytest.mark.parametrize("rank", RANKS)
def test_local_response_norm_is_a_uniform_filter_of_squares(
    random: np.random.Generator, rank: int, size: int, beta: float, last: bool
) -> None:
    x = random.standard_normal((2, 7, *TINY[rank]))
    # Beyond the channels there are zeros; of an even size the filter reaches one further back, as torch's.
    mean = scipy.ndimage.uniform_filter1d(np.pad(x**2, [(0, 0), (size, size), *[(0, 0)] * rank]), size, axis=1)
    expected = x / (1.5 + 0.3 * mean[:, size:-size]) ** beta
    given, expected = (np.moveaxis(array, 1, -1) if last else array for array in (x, expected))
    result = reference.local_response_norm(given, size, 0.3, beta, 1.5, layout=layout_of(rank, last))
    assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.6])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 11])
def test_local_response_norm_gradient_is_a_finite_difference(
    random: np.random.Generator, size: int, beta: float, last: bool
) -> None:
    x, g = random.standard_normal((2, 2, 3, 5) if last else (2, 5, 2, 3)), random.standard_normal((2, 30))
    g = g.reshape(x.shape)
    arguments, options = (size, 0.3, beta, 1.5), {"layout": layout_of(2, last)}

    def norm(x: Array) -> Array:
        return reference.local_response_norm(x, *arguments, **options)

    # Two steps, so that the error of the third order leaves: what remains is of the fifth.
    near, far = difference(norm, x, g, 2.0**-10), difference(norm, x, g, 2.0**-9)
    result = reference.local_response_norm_backward(g, x, *arguments, **options)
    assert_allclose(result, (4 * near - far) / 3, atol=1e-9)


def test_local_response_norm_by_default_is_that_of_alexnet(random: np.random.Generator) -> None:
    x = 100 * random.standard_normal((1, 3, 4))
    squares = (x**2).sum(axis=1)
    expected = x[:, 1] * (1 + 1e-4 / 5 * squares) ** -0.75
    assert_allclose(reference.local_response_norm(x, 5)[:, 1], expected, rtol=1e-13)


@needs_torch
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 14, 20])
@pytest.mark.parametrize("rank", RANKS)
def test_local_response_norm_and_gradient_are_torchs(random: np.random.Generator, rank: int, size: int) -> None:
    x = random.standard_normal((2, 7, *SIZES[rank]))
    for parameters in ((1e-4, 0.75, 1.0), (0.7, 0.6, 2.0)):
        tensor = torch.tensor(x, requires_grad=True)
        theirs = functional.local_response_norm(tensor, size, *parameters)
        assert_allclose(reference.local_response_norm(x, size, *parameters), theirs.detach().numpy(), rtol=1e-12)
        g = random.standard_normal(x.shape)
        theirs.backward(torch.tensor(g))
        ours = reference.local_response_norm_backward(g, x, size, *parameters)
        assert_allclose(ours, tensor.grad.numpy(), rtol=1e-10, atol=1e-13)


# ---- patches

WINDOWS = [
    (1, 0, 1),
    (1, 1, 2),
    (2, 0, 1),
    (2, 3, 3),
    (1, "same", 2),
    (1, "valid", 1),
    (1, ((2, 0), (0, 1), (1, 1)), 1),
]


def columns_of(
    x: Array, kernel: tuple[int, ...], dilation: int, before: list[int], after: list[int], stride: int
) -> Array:
    """(N, C, *spatial) -> (N, C * taps, windows), by views."""
    rank = len(kernel)
    padded = np.pad(x, [(0, 0), (0, 0), *zip(before, after, strict=True)])
    reach = [dilation * (k - 1) + 1 for k in kernel]
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    windows = windows[(..., *[slice(None, None, stride)] * rank, *[slice(None)] * rank)]
    windows = windows[(..., *[slice(None, None, dilation)] * rank)]
    taps_first = np.moveaxis(windows, range(2 + rank, 2 + 2 * rank), range(2, 2 + rank))
    return taps_first.reshape(x.shape[0], x.shape[1] * np.prod(kernel), -1)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("dilation", "padding", "stride"), WINDOWS)
@pytest.mark.parametrize("rank", RANKS)
def test_im2col_is_a_sliding_window_view(
    random: np.random.Generator, rank: int, dilation: int, padding: Any, stride: int, last: bool, dtype: str
) -> None:
    x = random.integers(0, 2 if dtype == "bool" else 200, (2, 3, *SIZES[rank])).astype(dtype)
    if dtype == "int64":
        x += 2**60  # more than float64 can tell apart
    kernel = (3, 2, 2)[:rank]
    pairs = padding[:rank] if isinstance(padding, tuple) else padding
    if padding == "same":
        outputs = [-(-size // stride) for size in SIZES[rank]]
        axes = zip(SIZES[rank], outputs, kernel, strict=True)
        totals = [max((out - 1) * stride + dilation * (k - 1) + 1 - size, 0) for size, out, k in axes]
        before, after = [total // 2 for total in totals], [total - total // 2 for total in totals]
    elif isinstance(padding, tuple):
        before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        before = after = [0 if padding == "valid" else padding] * rank
    expected = columns_of(x, kernel, dilation, before, after, stride)
    given = np.moveaxis(x, 1, -1) if last else x
    result = reference.im2col(given, kernel, dilation, pairs, stride, layout=layout_of(rank, last))
    assert result.dtype == dtype
    assert_array_equal(result, expected)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("dilation", "padding", "stride"), WINDOWS)
@pytest.mark.parametrize("rank", RANKS)
def test_col2im_is_the_transpose_of_im2col(
    random: np.random.Generator, rank: int, dilation: int, padding: Any, stride: int, last: bool
) -> None:
    sizes = {1: (9,), 2: (5, 4), 3: (4, 5, 3)}[rank]
    padding = padding[:rank] if isinstance(padding, tuple) else padding
    geometry, layout = ((2, 2, 1)[:rank], dilation, padding, stride), layout_of(rank, last)
    shape = (1, *sizes, 2) if last else (1, 2, *sizes)
    matrix = matrix_of(lambda x: reference.im2col(x, *geometry, layout=layout), shape)
    columns = random.standard_normal((3, *reference.im2col(np.zeros(shape), *geometry, layout=layout).shape[1:]))
    result = reference.col2im(columns, sizes, *geometry, layout=layout)
    assert_allclose(result, (columns.reshape(3, -1) @ matrix).reshape(3, *shape[1:]), atol=1e-13)


@pytest.mark.parametrize("rank", RANKS)
def test_conv_is_a_product_with_patches(random: np.random.Generator, rank: int) -> None:
    x, w = random.standard_normal((2, 3, *SIZES[rank])), random.standard_normal((5, 3, *(3, 2, 2)[:rank]))
    columns = reference.im2col(x, w.shape[2:], dilation=2, padding=1, stride=2)
    expected = op("conv", rank)(x, w, None, 2, 1, 2)
    assert_allclose((w.reshape(5, -1) @ columns).reshape(expected.shape), expected, atol=1e-12)


def test_col2im_takes_a_number_for_two(random: np.random.Generator) -> None:
    columns = random.standard_normal((2, 12, 16))
    assert_array_equal(reference.col2im(columns, 5, 2), reference.col2im(columns, (5, 5), 2))


@needs_torch
@pytest.mark.parametrize("window", [(3, 1, 0, 1), ((2, 3), 2, (1, 2), (2, 1)), (2, 1, 3, 3)], ids=str)
def test_patches_are_torchs_unfold_and_fold(random: np.random.Generator, window: tuple[Any, ...]) -> None:
    x = random.standard_normal((2, 3, *SIZES[2]))
    theirs = functional.unfold(torch.tensor(x), *window)
    assert_array_equal(reference.im2col(x, *window), theirs.numpy())
    columns = random.standard_normal(theirs.shape)
    folded = functional.fold(torch.tensor(columns), SIZES[2], *window)
    assert_allclose(reference.col2im(columns, SIZES[2], *window), folded.numpy(), atol=1e-13)


# ---- padding

PADS = [0, 2, ((1, 2), (0, 3), (2, 0)), ((40, 0), (13, 25), (0, 31)), (0, 9, 1)]


@pytest.mark.parametrize("mode", PAD_MODES)
@pytest.mark.parametrize("size", [1, 2, None])
@pytest.mark.parametrize("rank", RANKS)
def test_pad_is_numpys(random: np.random.Generator, rank: int, size: int | None, mode: str) -> None:
    sizes = TINY[rank] if size is None else (size,) * rank
    for padding in PADS:
        padding = padding[:rank] if isinstance(padding, tuple) else padding
        each = padding if isinstance(padding, tuple) else (padding,) * rank
        widths = [one if isinstance(one, tuple) else (one, one) for one in each]
        for dtype in ("bool", "uint8", "int64", "float16", "float64"):
            x = random.integers(0, 200, (2, 3, *sizes)).astype(dtype)
            if dtype == "int64":
                x += 2**60
            options = {"constant_values": 1} if mode == "constant" else {}
            expected = np.pad(x, [(0, 0), (0, 0), *widths], mode, **options)
            result = reference.pad(x, padding, mode, 1)
            assert result.dtype == dtype
            assert_array_equal(result, expected, f"{padding} {mode}")
        last = reference.pad(np.moveaxis(x, 1, -1), padding, mode, 1, layout=layout_of(rank, True))
        assert_array_equal(np.moveaxis(last, -1, 1), expected)


@pytest.mark.parametrize("mode", PAD_MODES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("rank", RANKS)
def test_pad_backward_is_the_transpose_of_numpys_pad(
    random: np.random.Generator, rank: int, last: bool, mode: str
) -> None:
    sizes = {1: (5,), 2: (3, 4), 3: (2, 3, 1)}[rank]
    for padding in (((1, 2), (0, 3), (2, 0)), ((11, 3), (2, 9), (0, 5))):
        widths = [(0, 0), *padding[:rank], (0, 0)] if last else [(0, 0), (0, 0), *padding[:rank]]
        shape = (1, *sizes, 2) if last else (1, 2, *sizes)
        matrix = matrix_of(lambda x, widths=widths: np.pad(x, widths, mode), shape)
        g = random.standard_normal((3, *np.pad(np.zeros(shape), widths).shape[1:]))
        result = reference.pad_backward(g, padding[:rank], mode, layout=layout_of(rank, last))
        assert_allclose(result, (g.reshape(3, -1) @ matrix).reshape(3, *shape[1:]), atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "value", "error"),
    [
        ("uint8", 256, ValueError),
        ("uint8", -1, ValueError),
        ("int32", 0.5, ValueError),
        ("int64", np.nan, ValueError),
        ("int64", 2**63, ValueError),
        ("bool", 2, ValueError),
        ("float32", 1e60, ValueError),
        ("float32", "1", TypeError),
        ("float32", 1j, TypeError),
    ],
)
def test_pad_wants_a_value_that_its_type_can_hold(dtype: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="value"):
        reference.pad(np.zeros((1, 1, 2), dtype), 1, value=value)
