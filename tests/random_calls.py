"""Calls of ops, passes and shapes drawn at random; the last line tells the resident memory as it was sampled.

python random_calls.py CALLS
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
from pathlib import Path

import numpy as np

import fastconv
import fastconv.ndimage
import fastconv.signal

SAMPLES = 20
LARGEST = (300, 24, 9)  # size of an axis, by rank
MOST = 3 * 9 * max(size ** (rank + 1) for rank, size in enumerate(LARGEST))  # elements of an array


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class Drawn:
    """Operands of one call, of any rank and type: views of arrays that stay."""

    def __init__(self, draw: random.Random, pool: dict[str, np.ndarray]) -> None:
        self.pool = pool[draw.choice(("f4", "f8", "f2"))]
        rank = draw.randint(1, 3)
        batch, self.channels, self.filters = (draw.randint(1, most) for most in (3, 9, 9))
        self.sizes = tuple(draw.randint(1, LARGEST[rank - 1]) for _ in range(rank))
        self.kernel, self.stride = draw.randint(1, min(*self.sizes, 5, 5)), draw.randint(1, 3)
        self.taps = (self.kernel,) * rank
        self.x = self.array(batch, self.channels, *self.sizes)
        self.w = self.array(self.filters, self.channels, *self.taps)

    def array(self, *shape: int) -> np.ndarray:
        return self.pool[: int(np.prod(shape))].reshape(shape)


def convolution(d: Drawn) -> None:
    fastconv.conv_backward(fastconv.conv(d.x, d.w, None, d.stride), d.x, d.w, d.stride)


def transposed(d: Drawn) -> None:
    w = d.array(d.channels, d.filters, *d.taps)
    fastconv.conv_transpose_backward(fastconv.conv_transpose(d.x, w, None, d.stride), d.x, w, d.stride)


def maxima(d: Drawn) -> None:
    values, indices = fastconv.max_pool(d.x, d.kernel, d.stride, return_indices=True)
    fastconv.max_pool_backward(values, indices, d.x.shape)
    values, indices = fastconv.adaptive_max_pool(d.x, d.kernel, True)
    fastconv.adaptive_max_pool_backward(values, indices, d.x.shape)
    values, indices = fastconv.channel_max_pool(d.x, d.channels, True)
    fastconv.channel_max_pool_backward(values, indices, d.x.shape)


def means(d: Drawn) -> None:
    fastconv.avg_pool_backward(fastconv.avg_pool(d.x, d.kernel, d.stride), d.x.shape, d.kernel, d.stride)
    fastconv.adaptive_avg_pool_backward(fastconv.adaptive_avg_pool(d.x, d.kernel), d.x.shape)


def plan(d: Drawn) -> None:
    fastconv.ConvPlan(d.w, padding=1)(d.x)
    fastconv.choose_algorithm(d.x.shape, d.w.shape)


def norm_and_pad(d: Drawn) -> None:
    fastconv.local_response_norm_backward(fastconv.local_response_norm(d.x, 3), d.x, 3)
    fastconv.pad_backward(fastconv.pad(d.x, d.kernel, "symmetric"), d.kernel, "symmetric")


def patches(d: Drawn) -> None:
    fastconv.col2im(fastconv.im2col(d.x, d.kernel), d.sizes, d.kernel)


def images(d: Drawn) -> None:
    image = d.x[0, 0]
    fastconv.ndimage.gaussian_filter(image, 1.0)
    fastconv.ndimage.maximum_filter(image, d.kernel)
    fastconv.signal.convolve(d.array(20), d.array(3))


def refused(d: Drawn) -> None:
    for call in (
        lambda: fastconv.conv(d.x, d.w, stride=0),
        lambda: fastconv.conv(d.x, d.array(d.filters, d.channels + 1, *d.taps)),
        lambda: fastconv.max_pool_backward(d.x, np.full(d.x.shape, 10**9), d.x.shape),
        lambda: fastconv.pad(d.x, 1, "nope"),
    ):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError("what is wrong was not refused")


KINDS = (convolution, transposed, maxima, means, plan, norm_and_pad, patches, images, refused)


def main(calls: int) -> None:
    draw, generator = random.Random(0), np.random.default_rng(0)
    pool = {dtype: generator.standard_normal(MOST).astype(dtype) for dtype in ("f2", "f4", "f8")}
    sampled = []
    for i in range(calls):
        draw.choice(KINDS)(Drawn(draw, pool))
        if (i + 1) % (calls // SAMPLES) == 0:
            gc.collect()
            sampled.append(resident_bytes())
    warm = sampled[SAMPLES // 2 - 1]  # all code and the largest scratch are in memory
    print(json.dumps({"calls": calls, "grown": sampled[-1] - warm, "sampled": sampled}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
