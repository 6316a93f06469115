"""How long filters over a chunked image take in fastconv by dask, in fastconv as a whole, and by dask without fastconv.

    python bench/dask_images.py [--size 8192] [--chunk 1024] [--threads 2] [--rounds 5]

Needs dask[array], scipy and rich. The image is in memory, in float32, and so are the results: what is measured is the
cost of cutting it into pieces and putting them together again, and what runs on them. Without fastconv, filters are
those of ``scipy.ndimage`` through dask's ``map_overlap``, and pooling is ``dask.array.coarsen``. Rounds are
interleaved; every time is the shortest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import ndimage

import fastconv
import fastconv.interop.dask as fd

COLUMNS = ("filter", "whole, s", "by dask, s", "by dask / whole", "without fastconv, s", "without / with")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=8192, help="rows and columns of the image (default: 8192)")
    parser.add_argument("--chunk", type=int, default=1024, help="rows and columns of its chunks (default: 1024)")
    parser.add_argument("--threads", type=int, default=2, help="of dask, and of fastconv alone (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    args = parser.parse_args()
    image = np.random.default_rng(0).random((args.size, args.size), np.float32)
    table = Table(*COLUMNS)
    with dask.config.set(scheduler="threads", num_workers=args.threads), fastconv.num_threads(args.threads):
        for name, ways in track(filters(image, args.chunk).items(), "measuring", console=Console(stderr=True)):
            table.add_row(name, *cells(ways, args.rounds))
    Console(width=110).print(table)


def filters(image: np.ndarray[Any, Any], chunk: int) -> dict[str, tuple[Callable[[], Any], ...]]:
    """The three ways of each filter: fastconv whole, fastconv by dask, dask without fastconv."""
    chunked = da.from_array(image, chunks=chunk)

    def convolution(size: int) -> tuple[Callable[[], Any], ...]:
        kernel = np.random.default_rng(1).random((size, size), np.float32)
        weight = kernel[None, None]

        def scipy(block: Any) -> Any:
            return ndimage.correlate(block, kernel, mode="constant")

        return (
            lambda: fastconv.conv2d(image[None], weight, padding="same"),
            lambda: fd.conv2d(chunked[None], weight, padding="same").compute(),
            lambda: chunked.map_overlap(scipy, depth=size // 2, boundary=0.0).compute(),
        )

    def maximum(size: int) -> tuple[Callable[[], Any], ...]:
        def scipy(block: Any) -> Any:
            return ndimage.maximum_filter(block, size, mode="constant", cval=-np.inf)

        return (
            lambda: fastconv.max_pool2d(image[None], size, 1, "same"),
            lambda: fd.max_pool2d(chunked[None], size, 1, "same").compute(),
            lambda: chunked.map_overlap(scipy, depth=size // 2, boundary=-np.inf).compute(),
        )

    return {
        "convolution 3x3": convolution(3),
        "convolution 7x7": convolution(7),
        "maximum 5x5": maximum(5),
        "maximum 5x5, stride 5": (
            lambda: fastconv.max_pool2d(image[None], 5),
            lambda: fd.max_pool2d(chunked[None], 5).compute(),
            lambda: da.coarsen(np.max, chunked, {0: 5, 1: 5}, trim_excess=True).compute(),
        ),
    }


def cells(ways: tuple[Callable[[], Any], ...], rounds: int) -> list[str]:
    """Seconds of each way and their ratios, in the order of `COLUMNS`."""
    results = [way() for way in ways]
    for result in results[1:]:
        np.testing.assert_allclose(np.squeeze(result), np.squeeze(results[0]), rtol=1e-4)
    best = [float("inf")] * len(ways)
    for _ in range(rounds):
        for i, way in enumerate(ways):
            start = time.perf_counter()
            way()
            best[i] = min(best[i], time.perf_counter() - start)
    whole, ours, other = best
    return [f"{whole:.3f}", f"{ours:.3f}", f"{ours / whole:.1f}", f"{other:.3f}", f"{other / ours:.1f}"]


if __name__ == "__main__":
    main()
