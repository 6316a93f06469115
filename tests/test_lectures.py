"""The numbers that lectures on convolutional networks are taught with, computed here.

Images and filters run through the ops; sizes, weights and operations come from `fastconv.arithmetic`. Shapes begin with
the channels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import fastconv
from fastconv.arithmetic import (
    Conv,
    Dense,
    Layer,
    Pool,
    flop_count,
    output_size,
    parameter_count,
    receptive_field,
    same_padding,
    summary,
)

Array = NDArray[Any]


def filtered(image: Array, kernel: Array, **geometry: Any) -> Array:
    """One grey image through one filter."""
    return fastconv.conv2d(image[None], kernel[None, None], **geometry)[0]


def max_pooled(image: Array, *window: Any) -> Array:
    return fastconv.max_pool2d(image[None], *window)[0]


# ---- edges and means

VERTICAL_EDGE = np.array([[1.0, 0.0, -1.0]] * 3)
SOBEL = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
MEAN = np.full((3, 3), 1 / 9)


def test_vertical_edge_of_a_6x6_image_that_is_10_on_the_left_and_0_on_the_right() -> None:
    image = np.array([[10.0, 10.0, 10.0, 0.0, 0.0, 0.0]] * 6)
    assert_array_equal(filtered(image, VERTICAL_EDGE), [[0, 30, 30, 0]] * 4)


def test_the_same_edge_from_dark_to_light_is_negative_and_its_horizontal_filter_sees_nothing() -> None:
    image = np.array([[0.0, 0.0, 0.0, 10.0, 10.0, 10.0]] * 6)
    assert_array_equal(filtered(image, VERTICAL_EDGE), [[0, -30, -30, 0]] * 4)
    assert_array_equal(filtered(image, VERTICAL_EDGE.T), np.zeros((4, 4)))


STEP = np.array([[100.0, 100.0, 200.0, 200.0]] * 4)  # a step of 100 between the second and the third column


def test_sobel_of_a_4x4_step_is_400() -> None:
    assert_array_equal(filtered(STEP, SOBEL), [[400, 400]] * 2)
    assert_array_equal(filtered(STEP, SOBEL.T), [[0, 0]] * 2)
    assert_array_equal(filtered(STEP.T, SOBEL.T), [[400, 400]] * 2)


def test_mean_filter_of_a_4x4_step_is_133_and_a_third_and_166_and_two_thirds() -> None:
    assert_allclose(filtered(STEP, MEAN), [[133 + 1 / 3, 166 + 2 / 3]] * 2, rtol=1e-15)
    assert_allclose(fastconv.avg_pool2d(STEP[None], 3, 1)[0], [[133 + 1 / 3, 166 + 2 / 3]] * 2, rtol=1e-15)


def test_gradient_of_a_hog_patch_is_11_across_and_8_down_with_magnitude_13_6() -> None:
    """Central differences by [-1 0 1], undivided as in histograms of oriented gradients; the first row is the top.

    Only the four neighbours of the centre count: right minus left 89 - 78, above minus below 64 - 56.
    """
    patch = np.array([[150, 64, 125], [78, 85, 89], [210, 56, 200]])
    difference = np.array([[-1, 0, 1]])
    across = filtered(patch, difference, padding="same")[1, 1]
    down = filtered(patch, difference.T[::-1], padding="same")[1, 1]
    assert (across, down) == (11, 8)
    assert round(math.hypot(across, down), 1) == 13.6


# ---- the 5x5 example of Dumoulin and Visin

FIVE = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]])
THREE = np.array([[0, 1, 2], [2, 2, 0], [0, 1, 2]])


def test_5x5_image_with_a_3x3_filter() -> None:
    assert_array_equal(filtered(FIVE, THREE), [[12, 12, 17], [10, 17, 19], [9, 6, 14]])


def test_5x5_image_with_a_3x3_filter_at_stride_2() -> None:
    assert_array_equal(filtered(FIVE, THREE, stride=2), [[12, 17], [9, 14]])


def test_5x5_image_stays_5x5_with_half_padding() -> None:
    result = filtered(FIVE, THREE, padding=1)
    assert result.shape == (5, 5)
    assert_array_equal(result[1:-1, 1:-1], filtered(FIVE, THREE))
    assert_array_equal(result, filtered(FIVE, THREE, padding="same"))
    assert same_padding(5, 3) == (1, 1)


def test_3x3_max_pool_of_the_5x5_image_at_stride_1() -> None:
    assert_array_equal(max_pooled(FIVE, 3, 1), [[3, 3, 3], [3, 3, 3], [3, 2, 3]])


# ---- pooling

FOUR = np.array([[12, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]])


def test_2x2_max_pool_of_a_4x4_image() -> None:
    assert_array_equal(max_pooled(FOUR, 2, 2), [[20, 30], [112, 37]])
    assert_array_equal(max_pooled(FOUR, 2), max_pooled(FOUR, 2, 2))


def test_2x2_max_pool_with_stride_1_down_and_2_across() -> None:
    assert_array_equal(max_pooled(FOUR, 2, (1, 2)), [[20, 30], [70, 37], [112, 37]])
    assert output_size((4, 4), 2, (1, 2)) == (3, 2)


def test_2x2_pool_at_stride_1_takes_28_to_27() -> None:
    assert output_size(28, 2, 1) == 27
    assert max_pooled(np.zeros((28, 28)), 2, 1).shape == (27, 27)
    assert fastconv.avg_pool2d(np.zeros((1, 28, 28)), 2, 1).shape == (1, 27, 27)


# ---- sizes


@pytest.mark.parametrize(
    ("width", "kernel", "padding", "stride", "expected"), [(7, 3, 1, 2, 4), (6, 3, 1, 2, 3), (227, 11, 0, 4, 55)]
)
def test_width_after_a_convolution(width: int, kernel: int, padding: int, stride: int, expected: int) -> None:
    assert output_size(width, kernel, stride, padding) == (width - kernel + 2 * padding) // stride + 1 == expected
    x, w = np.zeros((1, 1, width)), np.zeros((1, 1, kernel))
    assert fastconv.conv1d(x, w, None, stride, padding).shape == (1, 1, expected)


def test_64_filters_of_3x3_at_stride_2_over_32x32x3_have_1728_weights_and_give_16x16x64() -> None:
    [row] = summary([Conv(64, 3, stride=2, padding=1)], (3, 32, 32))
    assert row.output_shape == (64, 16, 16)
    assert row.weights == parameter_count((64, 3, 3, 3), bias=False) == 1728
    result = fastconv.conv2d(np.zeros((1, 3, 32, 32)), np.zeros((64, 3, 3, 3)), None, 2, 1)
    assert result.shape == (1, 64, 16, 16)


def test_2x2_pool_over_32x32x3_gives_16x16x3_and_has_no_parameters() -> None:
    [row] = summary([Pool(2)], (3, 32, 32))
    assert row.output_shape == (3, 16, 16)
    assert row.parameters == 0
    assert fastconv.max_pool2d(np.zeros((3, 32, 32)), 2).shape == (3, 16, 16)


# ---- LeNet-5: C3 connected to all maps of S2, subsampling without weights

LENET = [
    *(Conv(6, 5, name="C1"), Pool(2, name="S2"), Conv(16, 5, name="C3"), Pool(2, name="S4")),
    *(Conv(120, 5, name="C5"), Dense(84, name="F6"), Dense(10, name="output")),
]


def test_lenet5_has_150_and_2400_weights_in_its_first_two_convolutions() -> None:
    rows = {row.name: row for row in summary(LENET, (1, 32, 32))}
    assert (rows["C1"].weights, rows["C3"].weights) == (150, 2400)


def test_lenet5_has_48120_and_10164_and_850_parameters_in_its_last_three_layers_with_biases() -> None:
    rows = {row.name: row for row in summary(LENET, (1, 32, 32))}
    assert [rows[name].parameters for name in ("C5", "F6", "output")] == [48120, 10164, 850]


def test_lenet5_has_the_same_parameters_whether_c5_is_a_convolution_or_dense() -> None:
    dense = [*LENET[:4], Dense(120), *LENET[5:]]
    assert summary(dense, (1, 32, 32))[4].parameters == summary(LENET, (1, 32, 32))[4].parameters == 48120


def test_lenet5_has_2210_parameters_in_its_last_layer_for_26_letters() -> None:
    assert summary([*LENET[:-1], Dense(26)], (1, 32, 32))[-1].parameters == parameter_count((26, 84)) == 2210


def test_lenet5_runs_through_the_sizes_of_its_summary() -> None:
    maps = np.zeros((1, 32, 32))
    shapes = [maps.shape]
    for row in summary(LENET, maps.shape)[:5]:
        if isinstance(row.layer, Conv):
            maps = fastconv.conv2d(maps, np.zeros((row.filters, len(maps), *row.kernel_size)))
        else:
            maps = fastconv.avg_pool2d(maps, row.kernel_size)
        assert maps.shape == row.output_shape
        shapes.append(maps.shape)
    assert shapes == [(1, 32, 32), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1)]


def test_one_map_of_28x28_dense_over_32x32_would_have_802816_weights() -> None:
    [row] = summary([Conv(1, 5)], (1, 32, 32))
    assert (row.input_volume, row.output_volume) == (1024, 784)
    assert row.connections_dense == 1024 * 784 == 802_816


def test_first_two_convolutions_of_lenet5_would_have_4816896_and_1881600_weights_if_dense() -> None:
    rows = {row.name: row for row in summary(LENET, (1, 32, 32))}
    assert rows["C1"].connections_dense == 1024 * 6 * 784 == 4_816_896
    assert rows["C3"].connections_dense == 6 * 14 * 14 * 16 * 10 * 10 == 1_881_600


# ---- AlexNet on one device: no groups


def alexnet(padded: bool) -> list[Layer]:
    two, one = (2, 1) if padded else (0, 0)
    return [
        *(Conv(96, 11, stride=4), Pool(3, 2), Conv(256, 5, padding=two), Pool(3, 2), Conv(384, 3, padding=one)),
        *(Conv(384, 3, padding=one), Conv(256, 3, padding=one), Pool(3, 2), Dense(4096), Dense(4096), Dense(1000)),
    ]


@pytest.mark.parametrize(
    ("padded", "expected"),
    [(True, [227, 55, 27, 27, 13, 13, 13, 13, 6]), (False, [227, 55, 27, 23, 11, 9, 7, 5, 2])],
    ids=["padded", "unpadded"],
)
def test_sizes_of_alexnet(padded: bool, expected: list[int]) -> None:
    rows = summary(alexnet(padded), (3, 227, 227))[:8]
    assert [227, *(row.output_shape[-1] for row in rows)] == expected
    image, sizes = np.zeros((1, 227, 227), np.float32), [227]
    for row in rows:  # sizes do not depend on channels: one is enough
        if isinstance(row.layer, Conv):
            weight = np.zeros((1, 1, *row.kernel_size), np.float32)
            image = fastconv.conv2d(image, weight, None, row.stride, row.padding)
        else:
            image = fastconv.max_pool2d(image, row.kernel_size, row.stride)
        sizes.append(image.shape[-1])
    assert sizes == expected


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "unpadded"])
def test_convolutional_weights_of_alexnet_do_not_depend_on_padding(padded: bool) -> None:
    rows = summary(alexnet(padded), (3, 227, 227))
    weights = [row.weights for row in rows if isinstance(row.layer, Conv)]
    assert weights == [34_848, 614_400, 884_736, 1_327_104, 884_736]


def test_dense_weights_of_unpadded_alexnet() -> None:
    """What the last pool leaves without padding is 2x2x256; with padding, 6x6x256, the first has nine times as many."""
    rows = summary(alexnet(padded=False), (3, 227, 227))
    assert [row.weights for row in rows[-3:]] == [4_194_304, 16_777_216, 4_096_000]
    assert summary(alexnet(padded=True), (3, 227, 227))[-3].weights == 9 * 4_194_304


# ---- dense, local, shared


def as_matrix(weight: Array, shape: tuple[int, ...], stride: int = 1, padding: int = 0) -> tuple[Array, Array]:
    """A convolution over (C, *spatial) as a dense matrix with zeros, and for each entry which weight it is, or -1."""
    sizes = shape[1:]
    outputs = tuple((n + 2 * padding - k) // stride + 1 for n, k in zip(sizes, weight.shape[2:], strict=True))
    matrix = np.zeros((len(weight) * math.prod(outputs), math.prod(shape)))
    origin = np.full(matrix.shape, -1)
    for row, (k, *at) in enumerate(np.ndindex(len(weight), *outputs)):
        for c, *tap in np.ndindex(weight.shape[1:]):
            pixel = [stride * p + t - padding for p, t in zip(at, tap, strict=True)]
            if all(0 <= p < n for p, n in zip(pixel, sizes, strict=True)):
                column = np.ravel_multi_index((c, *pixel), shape)
                matrix[row, column] = weight[(k, c, *tap)]
                origin[row, column] = np.ravel_multi_index((k, c, *tap), weight.shape)
    return matrix, origin


def test_1d_layer_of_8_inputs_6_outputs_and_3_taps_has_48_weights_dense_18_local_3_shared() -> None:
    [row] = summary([Conv(1, 3)], (1, 8))
    assert (row.input_volume, row.output_volume) == (8, 6)
    assert (row.connections_dense, row.connections_local, row.connections_shared) == (48, 18, 3)
    matrix, origin = as_matrix(np.ones((1, 1, 3)), (1, 8))
    assert (matrix.size, np.count_nonzero(matrix), len(np.unique(origin[origin >= 0]))) == (48, 18, 3)


def test_2d_layer_from_6x6_to_4x4_has_576_weights_dense_9_shared() -> None:
    [row] = summary([Conv(1, 3)], (1, 6, 6))
    assert row.output_shape == (1, 4, 4)
    assert (row.connections_dense, row.connections_local, row.connections_shared) == (576, 144, 9)
    matrix, origin = as_matrix(np.ones((1, 1, 3, 3)), (1, 6, 6))
    assert (matrix.size, np.count_nonzero(matrix), len(np.unique(origin[origin >= 0]))) == (576, 144, 9)


def test_autoencoder_784_1000_500_250_30_and_back_has_2833000_weights() -> None:
    widths = [784, 1000, 500, 250, 30]
    units = [*widths[1:], *widths[-2::-1]]
    assert units == [1000, 500, 250, 30, 250, 500, 1000, 784]
    assert summary([Dense(width) for width in units], (784,)).weights == 2_833_000


def test_a_million_units_that_see_10x10_of_a_1000x1000_image_have_100_million_weights() -> None:
    """Locally connected, one unit a pixel; dense they would have 10**12, shared 100."""
    [row] = summary([Conv(1, 10, padding="same")], (1, 1000, 1000))
    assert row.output_volume == 1_000_000
    assert row.connections_local == 100_000_000
    assert (row.connections_dense, row.connections_shared) == (10**12, 100)


@pytest.mark.parametrize(
    ("shape", "weight", "stride", "padding"),
    [
        ((1, 9), (1, 1, 3), 1, 0),
        ((2, 12), (3, 2, 4), 2, 1),
        ((1, 6, 6), (1, 1, 3, 3), 1, 0),
        ((3, 7, 6), (4, 3, 3, 2), 2, 1),
        ((2, 4, 5, 6), (3, 2, 2, 3, 2), 1, 1),
    ],
    ids=str,
)
def test_the_same_layer_three_ways(shape: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int) -> None:
    """Dense with zeros, a sparse matrix, fastconv: same output, same gradients, to the last bit as all are integers."""
    random = np.random.default_rng(0)
    x, w = random.integers(-9, 10, shape).astype(float), random.integers(1, 10, weight).astype(float)
    dense, origin = as_matrix(w, shape, stride, padding)
    sparse = scipy.sparse.csr_array(dense)
    geometry = (stride, padding)

    y = fastconv.conv(x[None], w, None, *geometry)
    assert_array_equal(dense @ x.ravel(), y.ravel())
    assert_array_equal(sparse @ x.ravel(), y.ravel())

    g = random.integers(-9, 10, y.shape).astype(float)
    grad_input = fastconv.conv_grad_input(g, w, (1, *shape), *geometry)
    assert_array_equal(dense.T @ g.ravel(), grad_input.ravel())
    assert_array_equal(sparse.T @ g.ravel(), grad_input.ravel())

    # The gradient of a shared weight is the sum over all places of the matrix where it stands.
    grad_weight = fastconv.conv_grad_weight(g, x[None], weight, *geometry)
    by_place = np.outer(g.ravel(), x.ravel())
    assert_array_equal(np.bincount(origin[origin >= 0], by_place[origin >= 0]), grad_weight.ravel())
    rows, columns = sparse.nonzero()
    by_place = g.ravel()[rows] * x.ravel()[columns]
    assert_array_equal(np.bincount(origin[rows, columns], by_place), grad_weight.ravel())


# ---- operations


@pytest.mark.parametrize(
    ("height", "width", "field", "channels", "filters", "stride", "padding"),
    [(32, 32, 5, 1, 6, 1, 0), (227, 227, 11, 3, 96, 4, 0), (32, 48, 3, 3, 64, 2, 1), (56, 56, 3, 64, 64, 1, 1)],
)
def test_operations_are_h2_w2_f_f_d1_d2(
    height: int, width: int, field: int, channels: int, filters: int, stride: int, padding: int
) -> None:
    """The formula counts multiply-adds, which some lectures call FLOPs; a multiply-add is two FLOPs elsewhere."""
    h2, w2 = ((n + 2 * padding - field) // stride + 1 for n in (height, width))
    shapes = (channels, height, width), (filters, channels, field, field)
    expected = h2 * w2 * field * field * channels * filters
    assert flop_count(*shapes, stride, padding, unit="multiply-adds") == expected
    assert flop_count(*shapes, stride, padding, unit="flops") == 2 * expected
    [row] = summary([Conv(filters, field, stride, padding)], shapes[0])
    assert row.multiply_adds == expected


# ---- receptive fields


def test_three_layers_of_3x3_see_3_5_and_7() -> None:
    assert [field.size for field in receptive_field([Conv(1, 3)] * 3)] == [3, 5, 7]
    assert [row.receptive_field for row in summary([Conv(1, 3)] * 3, (1, 9, 9))] == [(3, 3), (5, 5), (7, 7)]


@pytest.mark.parametrize(("depth", "expected"), [(1, 3), (2, 5), (3, 7)])
def test_the_gradient_of_one_output_of_3x3_layers_is_as_wide_as_its_receptive_field(depth: int, expected: int) -> None:
    ones, gradient = np.ones((1, 1, 3, 3)), np.zeros((1, 9, 9))
    gradient[0, 4, 4] = 1
    for _ in range(depth):
        gradient = fastconv.conv2d_grad_input(gradient, ones, (1, 9, 9), padding=1)
    assert np.count_nonzero(gradient) == expected**2
    assert np.count_nonzero(gradient[0, 4]) == np.count_nonzero(gradient[0, :, 4]) == expected


def test_three_layers_of_3x3_have_27_weights_where_one_of_7x7_has_49() -> None:
    assert summary([Conv(1, 3)] * 3, (1, 9, 9)).weights == 27
    assert summary([Conv(1, 7)], (1, 9, 9)).weights == 49
