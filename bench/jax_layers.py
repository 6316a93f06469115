"""How long compiled convolutions of known nets take in JAX by XLA's own and by ours, forward and with gradients.

    python bench/jax_layers.py [--repeats 5]

Needs jax and rich. Layers in float32, channels first, 8 images; a gradient is that of a sum of squares with respect to
input and filters, forward pass included. Rounds are interleaved; every time is the shortest. Both have the cores that
the process may use: pin it to one to compare one with one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from fastconv.interop.jax import conv

LAYERS = {  # channels, filters, size of the image and of the filters, stride, groups
    "VGG conv1_1": (3, 64, 224, 3, 1, 1),
    "ResNet conv1": (3, 64, 224, 7, 2, 1),
    "ResNet conv2, 3x3": (64, 64, 56, 3, 1, 1),
    "ResNet conv2, 1x1": (64, 256, 56, 1, 1, 1),
    "ResNet conv3, 3x3, stride 2": (128, 128, 56, 3, 2, 1),
    "ResNet conv4, 3x3": (256, 256, 14, 3, 1, 1),
    "MobileNet depthwise": (128, 128, 56, 3, 1, 128),
}
IMAGES = 8


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    repeats = parser.parse_args().repeats
    table = Table(
        "layer", *(f"{what}: {column}" for what in ("forward", "all") for column in ("XLA, ms", "ours", "ratio"))
    )
    for name, layer in LAYERS.items():
        forward, gradients = row(*layer, repeats)
        table.add_row(name, *(f"{cell:.1f}" for cell in (*forward, *gradients)))
    Console(width=110).print(table)


def row(
    channels: int, filters: int, size: int, taps: int, stride: int, groups: int, repeats: int
) -> list[tuple[float, float, float]]:
    """Milliseconds of XLA and ours and their ratio, forward and with gradients."""
    random = np.random.default_rng(0)
    x = jax.numpy.asarray(random.standard_normal((IMAGES, channels, size, size)), np.float32)
    w = jax.numpy.asarray(random.standard_normal((filters, channels // groups, taps, taps)), np.float32)
    around = taps // 2
    theirs = partial(
        jax.lax.conv_general_dilated,
        window_strides=(stride, stride),
        padding=((around, around),) * 2,
        feature_group_count=groups,
    )
    ours = partial(conv, stride=stride, padding=around, groups=groups)
    cells = []
    for make in (jax.jit, with_gradients):
        best = shortest([make(function) for function in (theirs, ours)], x, w, repeats)
        cells.append((1e3 * best[0], 1e3 * best[1], best[0] / best[1]))
    return cells


def with_gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled gradients of a sum of squares with respect to input and filters."""
    return jax.jit(jax.grad(lambda x, w: (function(x, w) ** 2).sum(), (0, 1)))


def shortest(functions: list[Callable[..., Any]], x: Any, w: Any, repeats: int) -> list[float]:
    """Seconds of the shortest call of each, compiled before; their results must agree."""
    first, second = (jax.tree.leaves(function(x, w)) for function in functions)
    for array, other in zip(first, second, strict=True):
        assert abs(array - other).max() <= 1e-3 * abs(array).max()
    best = [float("inf")] * len(functions)
    for _ in range(repeats):
        for index, function in enumerate(functions):
            start = time.perf_counter()
            jax.block_until_ready(function(x, w))
            best[index] = min(best[index], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
