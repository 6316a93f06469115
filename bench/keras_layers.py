"""How long the operations of Keras's NumPy backend take as it computes them, mostly by JAX, and by ours.

    KERAS_BACKEND=numpy python bench/keras_layers.py [--repeats 5]

Needs keras, jax and rich. Images of 56 x 56 with 64 channels, channels last, 8 of them, float32; JAX has compiled each
operation before. Rounds are interleaved; every time is the shortest. Both have the cores that the process may use: pin
it to one to compare one with one.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from keras.src.backend.numpy import nn
from rich.console import Console
from rich.table import Table

from fastconv.interop import keras as ours


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    repeats = parser.parse_args().repeats
    random = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return random.standard_normal(shape).astype(np.float32)

    x = normal(8, 56, 56, 64)
    operations: dict[str, tuple[Any, ...]] = {
        "conv": (normal(3, 3, 64, 64), 1, "same"),
        "depthwise_conv": (normal(3, 3, 64, 1), 1, "same"),
        "separable_conv": (normal(3, 3, 64, 1), normal(1, 1, 64, 64), 1, "same"),
        "conv_transpose": (normal(3, 3, 32, 64), 2, "same"),
        "max_pool": (2, 2),
        "average_pool": (3, 2, "same"),
        "adaptive_max_pool": (7,),
        "adaptive_average_pool": (7,),
    }
    table = Table("operation", "the backend's own, ms", "ours, ms", "ratio")
    for name, args in operations.items():
        before, after = shortest([getattr(nn, name), getattr(ours, name)], (x, *args), repeats)
        table.add_row(name, f"{1e3 * before:.1f}", f"{1e3 * after:.1f}", f"{before / after:.1f}")
    Console(width=110).print(table)


def shortest(functions: list[Any], args: tuple[Any, ...], repeats: int) -> list[float]:
    """Seconds of the shortest call of each; their results must agree."""
    first, second = (function(*args) for function in functions)
    assert abs(first - second).max() <= 1e-4 * abs(first).max()
    best = [float("inf")] * len(functions)
    for _ in range(repeats):
        for index, function in enumerate(functions):
            start = time.perf_counter()
            function(*args)
            best[index] = min(best[index], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
