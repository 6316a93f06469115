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

SAMPLES = 20
LARGEST = 24


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def one_call(draw: random.Random, pool: dict[str, np.ndarray]) -> None:
    dtype = draw.choice(("f4", "f8", "f2"))
    batch, channels, filters, height, width = (draw.randint(1, most) for most in (3, 9, 9, LARGEST, LARGEST))
    kernel, stride = draw.randint(1, min(height, width, 5)), draw.randint(1, 3)

    def array(*shape: int) -> np.ndarray:
        return pool[dtype][: int(np.prod(shape))].reshape(shape)

    x, w = array(batch, channels, height, width), array(filters, channels, kernel, kernel)
    which = draw.randrange(7)
    if which == 0:
        y = fastconv.conv2d(x, w, None, stride)
        fastconv.conv2d_backward(y, x, w, stride)
    elif which == 1:
        fastconv.conv_transpose2d(x, array(channels, filters, kernel, kernel), None, stride)
    elif which == 2:
        values, indices = fastconv.max_pool2d(x, kernel, stride, return_indices=True)
        fastconv.max_pool2d_backward(values, indices, x.shape)
    elif which == 3:
        fastconv.avg_pool2d_backward(fastconv.avg_pool2d(x, kernel, stride), x.shape, kernel, stride)
    elif which == 4:
        fastconv.ConvPlan(w, padding=1)(x)
    elif which == 5:
        fastconv.pad(fastconv.local_response_norm(x, 3), kernel, "symmetric")
    else:
        try:
            fastconv.conv2d(x, w, stride=0)
        except ValueError:
            fastconv.adaptive_avg_pool2d(x, kernel)


def main(calls: int) -> None:
    draw, generator = random.Random(0), np.random.default_rng(0)
    pool = {dtype: generator.standard_normal(3 * 9 * LARGEST**2).astype(dtype) for dtype in ("f2", "f4", "f8")}
    sampled = []
    for i in range(calls):
        one_call(draw, pool)
        if (i + 1) % (calls // SAMPLES) == 0:
            gc.collect()
            sampled.append(resident_bytes())
    warm = sampled[SAMPLES // 10 - 1]
    print(json.dumps({"calls": calls, "grown": sampled[-1] - warm, "sampled": sampled}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
