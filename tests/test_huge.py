"""More than 2^31 elements in an array and along an axis, read and written where they lie; and numbers near 2^64.

What is huge is address space: pages that nobody has written are all one page of zeros, and a stride of 0 repeats one
element. So these take no memory, and any position that is computed in 32 bits reads the wrong element.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tolerance import gamma

import fastconv

Array = NDArray[Any]

FAR, MORE = 2**31, 500
"""An axis is so many elements long, and so many more."""
needs_64_bits = pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) < 8, reason="needs 64-bit addresses")
not_reserved = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs memory that is not reserved")
ALGORITHMS = ("auto", "direct", "im2col", "depthwise")


def assert_sums(actual: Array, *terms: Array) -> None:
    """A sum of few products, each in float32."""
    expected, magnitude = sum(map(np.float64, terms)), sum(map(np.abs, map(np.float64, terms)))
    assert (np.abs(actual - expected) <= gamma(len(terms) + 1, np.float32) * magnitude).all()


def long_zeros() -> Array:
    no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000)
    return np.frombuffer(mmap.mmap(-1, 4 * (FAR + MORE), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve), "f")


@pytest.fixture(scope="module")
def far() -> Array:
    """One axis of float32, random at both of its ends and about every 2^29th element, zero elsewhere."""
    array = long_zeros()
    random = np.random.default_rng(0)
    for begin in range(0, FAR + 1, FAR // 4):
        array[begin : begin + MORE] = random.standard_normal(MORE)
    return array


@needs_64_bits
@not_reserved
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_convolution_of_a_long_axis(isa: str, algorithm: str, far: Array, random: np.random.Generator) -> None:
    x, w = far[None, None], random.standard_normal((1, 1, 2)).astype("f")
    begin, end = far[:MORE], far[FAR:]
    for flip, (a, b) in ((False, w[0, 0]), (True, w[0, 0, ::-1])):
        y = fastconv.conv1d(x, w, dilation=FAR, flip=flip, algorithm=algorithm)
        assert_sums(y[0, 0], a * begin.astype(float), b * end.astype(float))
    picked = fastconv.conv1d(x, w, stride=FAR // 4, algorithm=algorithm)[0, 0]
    at = np.arange(5) * (FAR // 4)
    assert_sums(picked, w[0, 0, 0] * far[at].astype(float), w[0, 0, 1] * far[at + 1].astype(float))
    scattered = long_zeros()[7 :: FAR // 4]
    fastconv.conv1d(x, w, stride=FAR // 4, algorithm=algorithm, out=scattered[None, None])
    np.testing.assert_array_equal(scattered, picked)
    g = random.standard_normal((1, 1, MORE)).astype("f")
    gradient = fastconv.conv1d_grad_weight(g, x, w.shape, dilation=FAR, algorithm=algorithm)
    for got, part in zip(gradient[0, 0], (begin, end), strict=True):
        assert_sums(got, *(g[0, 0] * part.astype(float)))


@needs_64_bits
@not_reserved
def test_pooling_and_patches_of_a_long_axis(isa: str, far: Array) -> None:
    """Of columns: rows are reduced into a line of scratch, which a row of this length does not get."""
    x, window, step = far[None, None, :, None], (2, 1), (FAR // 4, 1)
    values, indices = fastconv.max_pool2d(x, window, 1, 0, (FAR, 1), return_indices=True)
    assert indices.max() >= FAR
    np.testing.assert_array_equal(values[0, 0, :, 0], np.maximum(far[:MORE], far[FAR:]))
    np.testing.assert_array_equal(far[indices], values)
    np.testing.assert_array_equal(fastconv.max_pool2d(x, window, 1, 0, (FAR, 1)), values)
    at = np.arange(5) * (FAR // 4)
    np.testing.assert_array_equal(fastconv.avg_pool2d(x, 1, step)[0, 0, :, 0], far[at])
    pairs = np.maximum(far[at], far[at + 1])
    np.testing.assert_array_equal(fastconv.max_pool2d(x, window, step)[0, 0, :, 0], pairs)
    np.testing.assert_array_equal(fastconv.im2col(far[None, None], 2, FAR)[0], [far[:MORE], far[FAR:]])


@needs_64_bits
@not_reserved
@pytest.mark.parametrize("last", [False, True])
def test_many_elements_along_short_axes(isa: str, last: bool, far: Array, random: np.random.Generator) -> None:
    """Two channels, or rows of two channels, of 2^15 by 2^15 pixels."""
    x = far[:FAR].reshape((1, 2**15, 2**15, 2) if last else (1, 2, 2**15, 2**15))
    few = np.ascontiguousarray(x[:, :: 2**13, :: 2**13] if last else x[:, :, :: 2**13, :: 2**13])
    layout = "NHWC" if last else "NCHW"
    w = random.standard_normal((3, 2, 1, 1)).astype("f")
    for algorithm in ("direct", "im2col"):
        y = fastconv.conv2d(x, w, stride=2**13, layout=layout, algorithm=algorithm)
        np.testing.assert_array_equal(y, fastconv.conv2d(few, w, layout=layout, algorithm=algorithm))
    np.testing.assert_array_equal(fastconv.max_pool2d(x, 1, 2**13, layout=layout), few)
    np.testing.assert_array_equal(fastconv.avg_pool2d(x, 1, 2**13, layout=layout), few)


@needs_64_bits
@pytest.mark.parametrize("exponent", [32, 40, 46])
def test_one_element_repeated(isa: str, exponent: int) -> None:
    x = np.broadcast_to(np.float32(2), (1, 1, 2**exponent))
    w = np.array([[[1, 2, 4]]], "f")
    step = 2 ** (exponent - 2)
    for algorithm in ALGORITHMS:
        np.testing.assert_array_equal(fastconv.conv1d(x, w, stride=step, algorithm=algorithm), [[[14] * 4]])
        np.testing.assert_array_equal(fastconv.conv1d(x, w, dilation=2 * step - 1, algorithm=algorithm), [[[14, 14]]])
        gradient = fastconv.conv1d_grad_weight(np.ones((1, 1, 4), "f"), x, w.shape, step, algorithm=algorithm)
        np.testing.assert_array_equal(gradient, [[[8, 8, 8]]])
    column, window = x[..., None], {"kernel_size": (3, 1), "stride": (step, 1)}
    np.testing.assert_array_equal(fastconv.avg_pool2d(column, **window)[0, 0, :, 0], [2] * 4)
    values, indices = fastconv.max_pool2d(column, **window, return_indices=True)
    np.testing.assert_array_equal(indices[0, 0, :, 0], np.arange(4) * step)
    np.testing.assert_array_equal(values[0, 0, :, 0], [2] * 4)
    np.testing.assert_array_equal(fastconv.im2col(x, 3, 1, 0, step), np.full((1, 3, 4), 2))


# ---- numbers that nothing has

X, W, CUBE = np.arange(50.0).reshape(1, 2, 5, 5), np.ones((2, 2, 3, 3)), np.ones((1, 1, 1, 1, 1))
LARGE = (2**45, 2**48 - 1, 2**48, 2**62, 2**63 - 1, 2**63, 2**64 + 1)
"""From what no memory holds to what wraps to 1 in 64 bits."""
REFUSED: dict[str, Callable[[int], Any]] = {
    "conv, padding": lambda n: fastconv.conv2d(X, W, padding=n),
    "conv, padding of one side": lambda n: fastconv.conv2d(X, W, padding=((0, n), (0, 0))),
    "conv, padding of all axes": lambda n: fastconv.conv3d(CUBE, CUBE, padding=n),
    "conv, dilation": lambda n: fastconv.conv2d(X, W, dilation=n),
    "conv, same": lambda n: fastconv.conv2d(X, W, padding="same", dilation=n, groups=3),
    "conv, groups": lambda n: fastconv.conv2d(X, W, groups=n),
    "conv_grad_input, input_shape": lambda n: fastconv.conv2d_grad_input(X[..., :3, :3], W, (1, 2, n, 5)),
    "conv_grad_input, batch": lambda n: fastconv.conv2d_grad_input(X[..., :3, :3], W, (n, 2, 5, 5)),
    "conv_grad_weight, weight_shape": lambda n: fastconv.conv2d_grad_weight(X[..., :3, :3], X, (2, 2, n, 3)),
    "conv_transpose, stride": lambda n: fastconv.conv_transpose2d(X, W, stride=n),
    "conv_transpose, padding": lambda n: fastconv.conv_transpose2d(X, W, padding=n),
    "conv_transpose, output_padding": lambda n: fastconv.conv_transpose2d(X, W, output_padding=n),
    "conv_transpose, dilation": lambda n: fastconv.conv_transpose2d(X, W, dilation=n),
    "conv_transpose, stride and output_padding": lambda n: fastconv.conv_transpose2d(X, W, None, n, 0, n - 1),
    "conv_transpose, groups": lambda n: fastconv.conv_transpose2d(X, W, groups=n),
    "max_pool, kernel_size": lambda n: fastconv.max_pool2d(X, n),
    "max_pool, padding": lambda n: fastconv.max_pool2d(X, 3, 1, n),
    "max_pool, dilation": lambda n: fastconv.max_pool2d(X, 3, 1, 0, n),
    "max_pool, window and padding": lambda n: fastconv.max_pool2d(X, n, 1, n // 2),
    "max_pool_backward, input_shape": lambda n: fastconv.max_pool2d_backward(X, X.astype(int), (1, 2, n, 5)),
    "avg_pool, kernel_size": lambda n: fastconv.avg_pool2d(X, n),
    "avg_pool_backward, input_shape": lambda n: fastconv.avg_pool2d_backward(X, (1, 2, n, n), 2),
    "adaptive_avg_pool, output_size": lambda n: fastconv.adaptive_avg_pool2d(X, n),
    "adaptive_max_pool, output_size": lambda n: fastconv.adaptive_max_pool2d(X, (1, n), True),
    "adaptive_avg_pool_backward, input_shape": lambda n: fastconv.adaptive_avg_pool2d_backward(X, (1, 2, n, n)),
    "channel_max_pool, size": lambda n: fastconv.channel_max_pool(X, n),
    "channel_max_pool_backward, input_shape": lambda n: fastconv.channel_max_pool_backward(
        X, np.zeros(X.shape, int), (1, n - n % 2, 5, 5)
    ),
    "im2col, kernel_size": lambda n: fastconv.im2col(X, n),
    "im2col, padding": lambda n: fastconv.im2col(X, 3, 1, n),
    "im2col, dilation": lambda n: fastconv.im2col(X, 3, n),
    "col2im, output_size": lambda n: fastconv.col2im(np.ones((1, 18, 9)), (n, 5), 3),
    "col2im, kernel_size": lambda n: fastconv.col2im(np.ones((1, 18, 9)), (5, 5), n),
    "pad, padding": lambda n: fastconv.pad(X, n),
    "pad, one side": lambda n: fastconv.pad(X, ((0, 0), (n, 0)), "wrap"),
    "pad_backward, padding": lambda n: fastconv.pad_backward(X, n),
    "ConvPlan, input_shape": lambda n: fastconv.ConvPlan(W, input_shape=(1, 2, n, n)),
    "ConvPlan, padding": lambda n: fastconv.ConvPlan(W, padding=n)(X),
    "choose_algorithm, input_shape": lambda n: fastconv.choose_algorithm((1, 2, n, n), (2, 2, 3, 3)),
    "choose_algorithm, weight_shape": lambda n: fastconv.choose_algorithm((1, 2, 5, 5), (2, 2, n, 3)),
}
WITHOUT_EFFECT: dict[str, Callable[[int], Any]] = {
    "conv, stride": lambda n: fastconv.conv2d(X, W, stride=n),
    "conv, padding and stride": lambda n: fastconv.conv2d(X, W, stride=n, padding=2),
    "conv_grad_weight, stride": lambda n: fastconv.conv2d_grad_weight(X[..., :1, :1], X, W.shape, n),
    "conv_grad_input, stride": lambda n: fastconv.conv2d_grad_input(X[..., :1, :1], W, X.shape, n),
    "conv_transpose, stride of one position": lambda n: fastconv.conv_transpose2d(X[..., :1, :1], W, None, n),
    "max_pool, stride": lambda n: fastconv.max_pool2d(X, 3, n, return_indices=True)[1],
    "max_pool, stride and ceil_mode": lambda n: fastconv.max_pool2d(X, 3, n, ceil_mode=True),
    "avg_pool, stride": lambda n: fastconv.avg_pool2d(X, 3, n, 1),
    "avg_pool_backward, stride": lambda n: fastconv.avg_pool2d_backward(X[..., :1, :1], X.shape, 3, n),
    "local_response_norm, size": lambda n: fastconv.local_response_norm(X, n, 1e-4 * n),
    "im2col, stride": lambda n: fastconv.im2col(X, 3, 1, 0, n),
    "im2col, dilation of one tap": lambda n: fastconv.im2col(X, 1, n),
    "output_size, stride": lambda n: np.array(fastconv.arithmetic.output_size(5, 3, stride=n)),
}


@pytest.mark.parametrize("n", LARGE, ids=hex)
@pytest.mark.parametrize("what", REFUSED)
def test_what_no_array_holds_is_refused(what: str, n: int) -> None:
    with pytest.raises((ValueError, MemoryError), match=r"^[A-Za-z_]\w*: "):
        REFUSED[what](n)


@pytest.mark.parametrize("n", LARGE, ids=hex)
@pytest.mark.parametrize("what", WITHOUT_EFFECT)
def test_what_has_no_effect_may_be_large(what: str, n: int) -> None:
    """As 2^20, which is beyond everything too; unless it is no 64-bit int."""
    if n < 2**63:
        np.testing.assert_allclose(WITHOUT_EFFECT[what](n), WITHOUT_EFFECT[what](2**20), rtol=1e-12)
    else:
        with pytest.raises(ValueError, match="64-bit"):
            WITHOUT_EFFECT[what](n)
