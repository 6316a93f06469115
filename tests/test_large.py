"""Sizes beyond a block of work, beyond memory and beyond 64 bits: right, or refused with nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import gamma

import fastconv
from fastconv import reference


@pytest.mark.parametrize("algorithm", ["direct", "im2col"])
@pytest.mark.parametrize("threads", [1, 2])
def test_more_channels_than_a_block_holds(isa: str, algorithm: str, threads: int) -> None:
    """Of filters and of inputs: blocks of 512, which are no whole number of tiles on every instruction set."""
    random = np.random.default_rng(0)
    for filters, channels in ((1024, 64), (1023, 2), (3, 1030)):
        x = random.standard_normal((1, channels, 8, 8)).astype("f")
        g = random.standard_normal((1, filters, 8, 8)).astype("f")
        shape = (filters, channels, 1, 1)
        with fastconv.num_threads(threads):
            actual = fastconv.conv2d_grad_weight(g, x, shape, algorithm=algorithm)
        truth = reference.conv2d_grad_weight(g.astype(float), x.astype(float), shape)
        sum_of_products = reference.conv2d_grad_weight(abs(g).astype(float), abs(x).astype(float), shape)
        bound = gamma(8 * 8 + 2, np.float32) * sum_of_products
        assert (abs(actual - truth) <= bound).all()


def _conv_with_scratch_beyond_memory() -> None:
    filters = np.broadcast_to(np.float32(0), (1, 1, 2**15, 2**15, 2**15))
    fastconv.conv3d(np.ones((1, 1, 1, 1, 1), "f"), filters, padding=2**14, algorithm="im2col")


def _conv_beyond_64_bits() -> None:
    filters = np.broadcast_to(np.float32(0), (1, 1, 2**18, 2**18, 2**19))
    fastconv.conv3d(np.ones((1, 1, 1, 1, 1), "f"), filters, padding=(2**17, 2**17, 2**18))


def _result_beyond_memory() -> None:
    fastconv.conv2d(np.broadcast_to(np.float32(0), (1, 1, 2**22, 2**20)), np.ones((1, 1, 1, 1), "f"))


def _gradients_beyond_memory() -> None:
    image = np.broadcast_to(np.float32(0), (1, 1, 2**22, 2**20))
    fastconv.conv2d_backward(image, image, np.ones((1, 1, 1, 1), "f"))


def _pool_with_scratch_beyond_memory() -> None:
    fastconv.avg_pool1d(np.ones((1, 1, 7)), 2**46, 1, 2**45)


def _pool_beyond_64_bits() -> None:
    fastconv.avg_pool1d(np.ones((1, 1, 70000)), 2**55, 2**40, 2**54)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (_conv_with_scratch_beyond_memory, MemoryError),
        (_conv_beyond_64_bits, ValueError),
        (_result_beyond_memory, MemoryError),
        (_gradients_beyond_memory, MemoryError),
        (_pool_with_scratch_beyond_memory, MemoryError),
        (_pool_beyond_64_bits, ValueError),
    ],
)
def test_what_cannot_be_held_is_refused_by_name(call: Callable[[], None], error: Any) -> None:
    with fastconv.num_threads(64), pytest.raises(error, match=r"^(conv|avg_pool)\dd(_backward)?: "):
        call()
    np.testing.assert_array_equal(fastconv.conv1d(np.ones((1, 1, 3)), np.ones((1, 1, 3))), [[[3]]])


def test_one_window_over_everything_and_endless_padding() -> None:
    got = fastconv.avg_pool1d(np.ones((1, 1, 70000)), 2**46, 2**40, 2**45)
    np.testing.assert_array_equal(got, [[[70000 / 2**46]]])


def test_a_dilation_without_effect_may_be_any_number() -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    values, indices = fastconv.max_pool2d(x, 1, 1, 0, 2**63 - 1, return_indices=True)
    np.testing.assert_array_equal(values, x)
    np.testing.assert_array_equal(indices, x)
    np.testing.assert_array_equal(fastconv.max_pool2d(x, 1, 1, 0, 2**63 - 1), x)
    np.testing.assert_array_equal(fastconv.conv2d(x, np.ones((1, 1, 1, 1)), dilation=2**63 - 1), x)


@pytest.mark.parametrize("needs", [("bias",), (), ("weight",), ("input",)])
def test_backward_checks_everything_whatever_it_needs(needs: tuple[str, ...]) -> None:
    x, w = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
    for grad_output, changed, word in (
        (np.ones((7, 3, 9, 9)), {}, "grad_output"),
        (np.ones((1, 3, 2, 2)), {"stride": 0}, "stride"),
        (np.ones((1, 3, 2, 2)), {"groups": 2}, "groups"),
        (np.ones((1, 3, 2, 2)), {"algorithm": "fft"}, "algorithm"),
    ):
        with pytest.raises(ValueError, match=rf"^conv2d_backward: .*{word}"):
            fastconv.conv2d_backward(grad_output, x, w, needs=needs, **changed)
