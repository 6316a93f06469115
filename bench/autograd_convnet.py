"""How long a training step of autograd's example net takes with its own convolution, with ours, with our pooling too.

    python bench/autograd_convnet.py [--repeats 5] [--batch 256]

Needs autograd and rich. The net is that of autograd's `examples/convnet.py`: 28 x 28 images of one channel, 6 filters
of 5 x 5, maxima of 2 x 2, 16 filters of 5 x 5, maxima of 2 x 2, dense layers of 120, 84 and 10, tanh between them. A
step is the gradient of its loss with respect to all parameters, in float64 as there, and in float32. The rounds of all
are interleaved; every time is the shortest. All have the cores that the process may use: pin it to one to compare one
with one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import autograd.numpy as np
import numpy
from autograd import grad
from autograd.scipy import signal
from rich.console import Console
from rich.table import Table

from fastconv.interop import autograd as ours

CONVOLUTIONS, DENSE = ((1, 6, 5, 5), (6, 16, 5, 5)), ((256, 120), (120, 84), (84, 10))
AXES = {"axes": ([2, 3], [2, 3]), "dot_axes": ([1], [0]), "mode": "valid"}

Layer = Callable[..., Any]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--batch", type=int, default=256, help="default: 256")
    args = parser.parse_args()
    nets = {
        "autograd's convolve, maxima by reshaping": net(signal.convolve, reshaped_maxima),
        "our convolve, maxima by reshaping": net(ours.convolve, reshaped_maxima),
        "our convolve, our max_pool": net(ours.convolve, lambda x: ours.max_pool(x, 2)),
    }
    table = Table("net", *(f"{dtype}, {column}" for dtype in ("float64", "float32") for column in ("ms", "ratio")))
    columns = [shortest(nets, dtype, args.batch, args.repeats) for dtype in (np.float64, np.float32)]
    for name, *seconds in zip(nets, *columns, strict=True):
        cells = [(f"{1e3 * own:.1f}", f"{all_[0] / own:.1f}") for own, all_ in zip(seconds, columns, strict=True)]
        table.add_row(name, *(cell for pair in cells for cell in pair))
    Console(width=110).print(table)


def net(convolve: Layer, maxima: Layer) -> Layer:
    """The loss of the net as a function of its parameters, images and classes."""

    def loss(parameters: list[Any], x: Any, classes: Any) -> Any:
        for w, b in parameters[: len(CONVOLUTIONS)]:
            x = maxima(convolve(x, w, **AXES) + b)
        x = np.reshape(x, (len(x), -1))
        for w, b in parameters[len(CONVOLUTIONS) :]:
            x = np.dot(np.tanh(x), w) + b
        x = x - np.max(x, axis=1, keepdims=True)
        return -np.sum((x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))) * classes)

    return loss


def reshaped_maxima(x: Any) -> Any:
    """Maxima of 2 x 2 as the example computes them."""
    n, c, h, w = x.shape
    return np.max(np.max(np.reshape(x, (n, c, h // 2, 2, w // 2, 2)), axis=3), axis=4)


def shortest(nets: dict[str, Layer], dtype: type, batch: int, repeats: int) -> list[float]:
    """Seconds of the shortest step of each net; all must give the same gradients."""
    random = numpy.random.default_rng(0)
    shapes = [(shape, (1, shape[1], 1, 1)) for shape in CONVOLUTIONS] + [(shape, shape[1:]) for shape in DENSE]
    parameters = [tuple(0.1 * random.standard_normal(shape).astype(dtype) for shape in pair) for pair in shapes]
    x = random.standard_normal((batch, 1, 28, 28)).astype(dtype)
    classes = numpy.eye(10, dtype=dtype)[random.integers(0, 10, batch)]
    steps = [grad(loss) for loss in nets.values()]
    first, *others = (step(parameters, x, classes) for step in steps)
    tolerance = 1e4 * float(numpy.finfo(dtype).eps)
    for other in others:
        for pair, other_pair in zip(first, other, strict=True):
            for array, other_array in zip(pair, other_pair, strict=True):
                assert abs(array - other_array).max() <= tolerance * abs(array).max()
    best = [float("inf")] * len(steps)
    for _ in range(repeats):
        for index, step in enumerate(steps):
            start = time.perf_counter()
            step(parameters, x, classes)
            best[index] = min(best[index], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
