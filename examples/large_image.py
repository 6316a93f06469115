"""Filter an image larger than the memory that it takes: 20000 x 20000 numbers, 1.6 GB, some rows at a time.

A map of heights, made as it is needed so that no file is: terraces under noise. A Gaussian filter takes the noise away,
Sobel filters find the edges of the terraces, and pooling shrinks both to thumbnails that are drawn. Needs dask and
matplotlib:

    python examples/large_image.py
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from dask.diagnostics import ProgressBar
from matplotlib.figure import Figure

from fastconv.interop.dask import avg_pool2d, conv2d, max_pool2d

SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / 8  # of a ramp, its slope
SOBEL = np.stack([SOBEL_X, SOBEL_X.T])[:, None]
THUMBNAIL = 400


def heights(block_info):
    """One chunk of the map: waves in all directions, cut into terraces, and noise."""
    (top, bottom), (left, right) = block_info[None]["array-location"]
    random = np.random.default_rng(7)
    angle, phase = random.uniform(0, 2 * np.pi, (2, 12))
    frequency = random.uniform(1e-4, 2e-3, 12)
    down = np.outer(np.arange(top, bottom), frequency * np.sin(angle)) + phase
    across = np.outer(np.arange(left, right), frequency * np.cos(angle))
    # sin(down + across), the sum of all waves, as a product of matrices.
    factors = np.hstack([np.sin(down), np.cos(down)]), np.hstack([np.cos(across), np.sin(across)]).T
    waves = np.matmul(*(factor.astype(np.float32) for factor in factors))
    noise = np.random.default_rng([7, top, left]).random(waves.shape, np.float32)
    return np.floor(waves) + noise


def gaussian(sigma: float):
    """Weights of a Gaussian filter along one axis; they end at three sigma."""
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).astype(np.float32)


def steepness(image, sigma: float):
    """The length of the gradient of the smoothed image, which has one channel, (1, H, W)."""
    weights = gaussian(sigma)
    reach = len(weights) // 2 + 1
    # The border repeated outwards: zeros would be an edge all around. Chunks so thin are as good as any.
    image = da.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    smooth = conv2d(conv2d(image, weights[None, None, :, None]), weights[None, None, None, :])
    dx, dy = conv2d(smooth, SOBEL)
    return da.hypot(dx, dy)[None]


def draw(path: Path, pictures) -> None:
    """All pictures side by side."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, (title, picture) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
        axes.imshow(picture, cmap="gray")
        axes.set_title(title)
        axes.axis("off")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=20000, help="rows and columns of the image (default: 20000)")
    parser.add_argument("--rows", type=int, default=100, help="rows of a chunk, of all columns (default: 100)")
    parser.add_argument("--quick", action="store_true", help="a small image: to see that all is well")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for the picture (default: this one)")
    args = parser.parse_args()
    size = 2000 if args.quick else args.size
    args.output.mkdir(parents=True, exist_ok=True)

    # Chunks of whole rows: a filter needs some rows of the chunks above and below, and nothing waits for the sides.
    chunks = da.core.normalize_chunks((args.rows, size), (size, size))
    image = da.map_blocks(heights, chunks=chunks, dtype=np.float32)[None]
    window = -(-size // THUMBNAIL)
    thumbnails = {
        "Heights, mean": avg_pool2d(image, window, ceil_mode=True)[0],
        "Steepness, maximum": max_pool2d(steepness(image, sigma=4), window, ceil_mode=True)[0],
    }
    start = time.perf_counter()
    with ProgressBar():
        (pictures,) = dask.compute(thumbnails)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux has KiB
    print(f"{size}x{size} image of {image.nbytes / 1e6:.0f} MB filtered in {seconds:.1f} s; peak memory {peak:.0f} MiB")
    draw(args.output / "large_image.png", pictures)
    print(f"saved large_image.png in {args.output.resolve()}")


if __name__ == "__main__":
    main()
