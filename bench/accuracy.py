"""How far each algorithm is from the exact convolution: writes docs/accuracy.md.

    python bench/accuracy.py [--seeds 20] [--docs FOLDER]

Needs scikit-learn, whose sample photographs are one of the kinds of data. The error of a result is max|e| / max|y| over
the tensor, against sums in float64; of all seeds the worst counts, and the median stands beside it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

import fastconv
from fastconv import reference
from fastconv.reference import winograd

Array = NDArray[Any]

DOCS = Path(__file__).resolve().parent.parent / "docs"
LAYERS = (
    *(((3, 3), 1, channels, size) for channels, size in ((16, 56), (32, 56), (64, 56), (128, 28), (256, 14), (512, 7))),
    *(((3, 3), 2, channels, size) for channels, size in ((32, 112), (64, 56), (128, 56), (256, 28), (512, 14))),
    *(((5, 5), 1, channels, size) for channels, size in ((16, 28), (48, 27))),
    *(((7, 7), 2, 3, 224), ((11, 11), 4, 3, 224), ((5, 5), 2, 32, 56)),
    *(((1, 7), 1, channels, size) for channels, size in ((48, 17), (192, 17))),
    ((1, 3), 1, 384, 8),
)
"""Kernel, stride, channels, size, as AlexNet, SqueezeNet, ResNets and Inception v3 have them."""
FILTERS = 16  # of them, which do not meet
ALGORITHMS = ("direct", "im2col", "winograd")
HEAD = """\
# Accuracy

Made by `bench/accuracy.py` ({seeds} seeds, float32, {isa}, kernels padded to keep the size, "/2": with
stride 2, "/4": with stride 4). The error of a result is max|e| / max|y| over the tensor, against sums in float64.
Each cell: the worst of all seeds / the median. "plain" adds the products one by one into a single float32, channel by
channel; filters are normal, scaled by sqrt(2 / terms).

| data | kernel | C | size | plain | direct | im2col | winograd | over plain: worst, median | bound of winograd |
|---|---|---|---|---|---|---|---|---|---|
"""
TAIL = """
`direct` and `im2col` start their sums anew every few hundred terms, so they err less than one plain sum. `winograd`
adds transformed products, at most 32 in a sum. 3x3 kernels go by tiles of 4x4 outputs from 32 channels on, by 2x2
below. Where `auto` takes it, its error stays within twice that of the plain sum, and from 128 channels on below it;
log-normal data with few channels are the exception.
`exact` never takes it.

The gradient of the weights sums over pixels: its error too stays within twice that of a plain sum of them wherever
`auto` takes `winograd`, which is from so many outputs of an image on as `csrc/kernels/winograd_forms.inc` says.

The bound is what no data can exceed: gamma(n) times the sum of the absolute values of all that is added, with n
roundings on the way of any term (`fastconv/reference/winograd.py`). Tests hold every result against it, element by
element.

Log-normal data show where Winograd is not for you: the outputs of a tile are made of all its elements, 6 x 6 or 4 x 4
for 3x3 kernels, so a single one many times larger than its neighbours costs these their last digits, though not itself.
Use `algorithm="exact"`, or `fastconv.options(algorithm="exact")`, for such data.
"""


def photographs() -> Callable[[np.random.Generator, tuple[int, ...]], Array]:
    """Draw patches of photographs, one colour a channel, from 0 to 1."""
    planes = (
        np.concatenate([image.transpose(2, 0, 1) for image in load_sample_images().images]).astype(np.float64) / 255
    )

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        patches = np.empty(shape)
        for channel in patches[0]:
            plane, top, left = (random.integers(limit) for limit in np.subtract(planes.shape, (0, *shape[2:])))
            channel[...] = planes[plane, top : top + shape[2], left : left + shape[3]]
        return patches

    return draw


def plainly(x: Array, w: Array, padding: tuple[int, int]) -> Array:
    """One float32 sum for each output, term by term."""
    padded = np.pad(x[0], ((0, 0), *((pad, pad) for pad in padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (1, 2))
    total = np.zeros((len(w), *windows.shape[1:3]), np.float32)
    for c, i, j in np.ndindex(*w.shape[1:]):
        total += w[:, c, i, j][:, None, None] * windows[c, :, :, i, j]
    return total[None]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER")
    args = parser.parse_args()
    draws: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
        "normal": lambda random, shape: random.standard_normal(shape),
        "uniform": lambda random, shape: random.random(shape),
        "log-normal": lambda random, shape: random.lognormal(size=shape),
        "photographs": photographs(),
    }
    rows = []
    for name, draw in draws.items():
        for kernel, stride, channels, size in LAYERS:
            padding = (kernel[0] // 2, kernel[1] // 2)
            errors: dict[str, list[float]] = {"plain": [], **{algorithm: [] for algorithm in ALGORITHMS}}
            bounds = []
            for seed in range(args.seeds):
                random = np.random.default_rng(seed)
                x = draw(random, (1, channels, size, size)).astype(np.float32)
                scale = np.sqrt(2 / (math.prod(kernel) * channels))
                w = (random.standard_normal((FILTERS, channels, *kernel)) * scale).astype(np.float32)
                exact = reference.conv2d(x.astype(np.float64), w.astype(np.float64), None, stride, padding)
                largest = np.abs(exact).max()
                errors["plain"].append(np.abs(plainly(x, w, padding)[:, :, ::stride, ::stride] - exact).max() / largest)
                for algorithm in ALGORITHMS:
                    got = fastconv.conv2d(x, w, None, stride, padding, algorithm=algorithm)
                    errors[algorithm].append(np.abs(got - exact).max() / largest)
                unit = winograd.roundings(kernel, channels, (stride, stride)) * 2.0**-24
                offset = (-padding[0], -padding[1])
                magnitude = winograd.magnitude(x, w, offset, exact.shape[2:], 1, (stride, stride)).max()
                bounds.append(unit / (1 - unit) * magnitude / largest)
            ratios = (statistic(errors["winograd"]) / statistic(errors["plain"]) for statistic in (max, np.median))
            cells = [f"{max(found):.1e} / {np.median(found):.1e}" for found in errors.values()]
            cells += [", ".join(f"{ratio:.2f}" for ratio in ratios), f"{max(bounds):.0e}"]
            window = f"{kernel[0]}x{kernel[1]}{f'/{stride}' if stride > 1 else ''}"
            rows.append(f"| {name} | {window} | {channels} | {size} | {' | '.join(cells)} |")
            print(rows[-1], flush=True)
    isa = f"instruction set {fastconv.runtime.instruction_sets()[-1]}"
    (args.docs / "accuracy.md").write_text(HEAD.format(seeds=args.seeds, isa=isa) + "\n".join(rows) + "\n" + TAIL)


if __name__ == "__main__":
    main()
