"""How long filters of an image take by fastconv.ndimage and fastconv.signal, by SciPy, and by OpenCV.

    python bench/image_filters.py [--size 1024] [--dtype float32] [--rounds 7] [--fft]

Needs scipy and rich; opencv-python-headless where its column is to be filled. All run on one thread; pin the process to
one core too (taskset). Rounds are interleaved, the shortest counts. Borders are SciPy's default, reflect, or zeros
where the filter is one of signal. --fft measures direct sums beside transforms instead: where these win is what
``method="auto"`` knows.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

import fastconv
from fastconv import ndimage, signal

try:
    import cv2
except ImportError:
    cv2 = None

Array = NDArray[Any]
Call = Callable[[], Any]

WIDTH = 110
# Images of one to three axes, and the sizes of kernels on each of these.
LARGE_KERNELS = {(100_000,): (65, 129, 257, 513), (1024, 1024): (9, 15, 21, 31, 45), (64, 64, 64): (3, 5, 7, 9, 13)}


class Row(NamedTuple):
    """One filter, by each library; None where a library does not have it."""

    name: str
    ours: Call
    scipy: Call
    opencv: Call | None = None


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="of the image, on both axes (default: 1024)")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64", "uint8"), help="default: float32")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--fft", action="store_true", help="direct sums beside transforms")
    args = parser.parse_args()
    fastconv.set_num_threads(1)
    if cv2 is not None:
        cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    if args.fft:
        table = transforms(random, args.dtype, args.rounds)
    else:
        image = (255 * random.random((args.size, args.size))).astype(args.dtype)
        table = filters(rows_of(image, random), args.rounds)
    Console(width=WIDTH).print(table)


def rows_of(image: Array, random: np.random.Generator) -> list[Row]:
    """The filters, on one image."""
    rows = []
    for size in (3, 5, 6, 9):
        kernel = random.random((size, size)) / size**2
        anchor = (size // 2, size // 2)
        rows.append(
            Row(
                f"correlate, {size}x{size}",
                lambda kernel=kernel: ndimage.correlate(image, kernel),
                lambda kernel=kernel: scipy.ndimage.correlate(image, kernel),
                opencv(lambda kernel=kernel, anchor=anchor: cv2.filter2D(image, -1, kernel, None, anchor, 0, REFLECT)),
            )
        )
    for size in (3, 5):
        kernel = random.random((size, size)).astype(image.dtype)
        rows.append(
            Row(
                f"signal.convolve2d, same, {size}x{size}",
                lambda kernel=kernel: signal.convolve2d(image, kernel, "same"),
                lambda kernel=kernel: scipy.signal.convolve2d(image, kernel, "same"),
                opencv(lambda kernel=kernel: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_CONSTANT)),
            )
        )
    for sigma in (0.5, 1, 3):
        size = 2 * int(4 * sigma + 0.5) + 1
        rows.append(
            Row(
                f"gaussian_filter, sigma {sigma} ({size} taps)",
                lambda sigma=sigma: ndimage.gaussian_filter(image, sigma),
                lambda sigma=sigma: scipy.ndimage.gaussian_filter(image, sigma),
                opencv(
                    lambda sigma=sigma, size=size: cv2.GaussianBlur(
                        image, (size, size), sigma, sigmaY=sigma, borderType=REFLECT
                    )
                ),
            )
        )
    for size in (3, 5, 9):
        square = np.ones((size, size), np.uint8)
        rows += [
            Row(
                f"uniform_filter, {size}x{size}",
                lambda size=size: ndimage.uniform_filter(image, size),
                lambda size=size: scipy.ndimage.uniform_filter(image, size),
                opencv(lambda size=size: cv2.blur(image, (size, size), borderType=REFLECT)),
            ),
            Row(
                f"maximum_filter, {size}x{size}",
                lambda size=size: ndimage.maximum_filter(image, size),
                lambda size=size: scipy.ndimage.maximum_filter(image, size),
                opencv(lambda square=square: cv2.dilate(image, square)),
            ),
        ]
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    rows += [
        Row(
            "minimum_filter, 3x3",
            lambda: ndimage.minimum_filter(image, 3),
            lambda: scipy.ndimage.minimum_filter(image, 3),
            opencv(lambda: cv2.erode(image, np.ones((3, 3), np.uint8))),
        ),
        Row(
            "maximum_filter, cross of 3x3",
            lambda: ndimage.maximum_filter(image, footprint=cross),
            lambda: scipy.ndimage.maximum_filter(image, footprint=cross),
            opencv(lambda: cv2.dilate(image, cross)),
        ),
        Row(
            "sobel",
            lambda: ndimage.sobel(image),
            lambda: scipy.ndimage.sobel(image),
            opencv(lambda: cv2.Sobel(image, -1, 1, 0, borderType=REFLECT)),
        ),
        Row(
            "laplace",
            lambda: ndimage.laplace(image),
            lambda: scipy.ndimage.laplace(image),
            opencv(lambda: cv2.Laplacian(image, -1, borderType=REFLECT)),
        ),
    ]
    return rows


REFLECT = None if cv2 is None else cv2.BORDER_REFLECT


def opencv(call: Call) -> Call | None:
    """The call, where OpenCV is installed."""
    return None if cv2 is None else call


def filters(rows: Sequence[Row], rounds: int) -> Table:
    """Times of the rows."""
    table = Table("filter", *("fastconv, ms", "SciPy, ms", "OpenCV, ms", "SciPy / ours", "OpenCV / ours"))
    for row in track(rows, "measuring", console=Console(stderr=True), transient=True):
        calls = [call for call in row[1:] if call is not None]
        ours, *others = shortest(calls, rounds)
        cells = [f"{1e3 * seconds:.2f}" for seconds in (ours, *others)] + ["-"] * (2 - len(others))
        ratios = [f"{seconds / ours:.1f}" for seconds in others] + ["-"] * (2 - len(others))
        table.add_row(row.name, *cells, *ratios)
    return table


def transforms(random: np.random.Generator, dtype: str, rounds: int) -> Table:
    """Times of direct sums and of transforms, and the ratio that decides between them."""
    table = Table("image", "kernel", "direct, ms", "fft, ms", "direct / fft", "products / (N log2 N)", "auto takes")
    for shape, sizes in LARGE_KERNELS.items():
        for size in sizes:
            image, kernel = random.random(shape).astype(dtype), random.random((size,) * len(shape)).astype(dtype)
            calls = [partial(signal.convolve, image, kernel, "same", method) for method in ("direct", "fft")]
            direct, fft = shortest(calls, rounds)
            points = math.prod(length + size // 2 for length in shape)
            ratio = image.size * kernel.size / (points * math.log2(points))
            taken = "fft" if ratio >= signal.BREAK_EVEN[len(shape) - 1] else "direct"
            names = ["x".join(map(str, sizes)) for sizes in (shape, kernel.shape)]
            table.add_row(
                *names, f"{1e3 * direct:.2f}", f"{1e3 * fft:.2f}", f"{direct / fft:.2f}", f"{ratio:.1f}", taken
            )
    return table


def shortest(calls: Sequence[Call], rounds: int) -> list[float]:
    """Seconds of the shortest run of each, in interleaved rounds."""
    best = [math.inf] * len(calls)
    for _ in range(rounds):
        for place, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[place] = min(best[place], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
