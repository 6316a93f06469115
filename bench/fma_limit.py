"""How much of a core's multiply-add limit each algorithm reaches, on each instruction set: one thread, plain arrays.

    taskset -c 1 python bench/fma_limit.py --dtype float32

The limit is measured in the same run, by multiply-adds in registers, before and after each layer; rounds of the
algorithms are interleaved, and the shortest of each counts. Whole calls are timed, packing and copies included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastconv
from fastconv import _core

# channels, filters, size, kernel, stride, padding
LAYERS = {
    "VGG conv1_2": (64, 64, 224, 3, 1, 1),
    "VGG conv3_2": (256, 256, 56, 3, 1, 1),
    "VGG conv5_1": (512, 512, 14, 3, 1, 1),
    "ResNet-50 conv1 7x7/2": (3, 64, 224, 7, 2, 3),
    "ResNet-50 3x3/2": (128, 128, 56, 3, 2, 1),
    "ResNet-50 1x1": (1024, 256, 14, 1, 1, 0),
}
ALGORITHMS = ("direct", "im2col", "auto")


def seconds(call: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def limit(isa: str, dtype: str) -> float:
    """Measure floating point operations a second, two a multiply-add."""
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        done = _core.fma_rounds(isa, dtype, 500_000)
        best = max(best, 2 * done / (time.perf_counter() - start))
    return best


def main() -> None:
    """Print a table: for each instruction set and layer the limit, and the share of it that each algorithm reaches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layer", help="only layers whose name holds this")
    args = parser.parse_args()
    fastconv.show_config()
    fastconv.set_num_threads(1)
    rng = np.random.default_rng(0)
    columns = [f"{run} {algorithm}" for run in ("forward", "grad_input", "grad_weight") for algorithm in ALGORITHMS]
    print(f"\n{'':33}{'limit':>8}  " + "  ".join(columns))
    for isa in fastconv.runtime.instruction_sets():
        for name, (channels, filters, size, kernel, stride, padding) in LAYERS.items():
            if args.layer and args.layer not in name:
                continue
            x = rng.standard_normal((1, channels, size, size), args.dtype)
            w = rng.standard_normal((filters, channels, kernel, kernel), args.dtype)
            with fastconv.runtime._force_isa(isa):
                g = fastconv.conv2d(x, w, None, stride, padding)
                geometry = (stride, padding)
                calls = [
                    *(partial(fastconv.conv2d, x, w, None, *geometry, algorithm=a) for a in ALGORITHMS),
                    *(partial(fastconv.conv2d_grad_input, g, w, x.shape, *geometry, algorithm=a) for a in ALGORITHMS),
                    *(partial(fastconv.conv2d_grad_weight, g, x, w.shape, *geometry, algorithm=a) for a in ALGORITHMS),
                ]
                peak = limit(isa, args.dtype)
                rounds = np.array([[seconds(call) for call in calls] for _ in range(args.rounds)])
                peak = max(peak, limit(isa, args.dtype))
            work = 2 * w.size * g.shape[2] * g.shape[3]
            shares = 100 * work / rounds.min(axis=0) / peak
            print(
                f"{isa:9} {name:22}{peak / 1e9:9.1f}  "
                + "  ".join(f"{share:{len(column) - 1}.0f}%" for share, column in zip(shares, columns, strict=True))
            )


if __name__ == "__main__":
    main()
