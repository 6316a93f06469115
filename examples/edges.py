"""Filter a photograph: Sobel edges, a mean filter and sharpening, each one call of ``fastconv.conv2d``.

The photograph is the temple that scikit-learn ships. Needs scikit-learn and matplotlib:

    python examples/edges.py
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_image

import fastconv

# As everywhere in neural networks, a filter is laid on the image as it stands here, not mirrored: SOBEL_X is positive
# where the image gets brighter to the right, SOBEL_Y where it gets brighter downwards.
SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
SOBEL_Y = SOBEL_X.T
MEAN = np.full((9, 9), 1 / 81, np.float32)
# The image plus its difference from the mean of its four neighbours, times four: sums to one, so flat areas stay.
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)


def each_channel(image, kernel):
    """Filter the channels of an (H, W, C) image one by one: a convolution with as many groups as channels.

    ``layout="NHWC"`` reads the picture as it lies; filters are always (out, in / groups, height, width).
    """
    channels = image.shape[-1]
    weight = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    return fastconv.conv2d(framed(image, kernel), weight, groups=channels, layout="NHWC")


def framed(image, kernel):
    """The image with its border repeated outwards, so that the filtered one has its size.

    ``conv2d(..., padding="same")`` would put zeros there: to a filter, an edge all around the picture.
    """
    height, width = kernel.shape
    frame = [(height // 2, height // 2), (width // 2, width // 2)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, frame, mode="edge")


def filtered(image):
    """Title and picture of every filter."""
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)  # brightness as the eye weighs the three colours
    # One image with one channel, two filters: both Sobel pictures in one call.
    dx, dy = fastconv.conv2d(framed(grey, SOBEL_X)[None], np.stack([SOBEL_X, SOBEL_Y])[:, None])
    return {
        "Original": image,
        "Sobel x: vertical edges": dx,
        "Sobel y: horizontal edges": dy,
        "Sobel magnitude": np.hypot(dx, dy),
        "Mean of 9x9": each_channel(image, MEAN),
        "Sharpened": each_channel(image, SHARPEN),
    }


def draw(path: Path, pictures) -> None:
    """All pictures side by side; signed ones in blue and red around white."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    for axes, (title, picture) in zip(figure.subplots(2, 3).flat, pictures.items(), strict=True):
        if picture.ndim == 3:
            axes.imshow(picture.clip(0, 1))
        elif picture.min() < 0:
            axes.imshow(picture, cmap="RdBu_r", vmin=-2, vmax=2)
        else:
            axes.imshow(picture, cmap="gray", vmin=0, vmax=2)
        axes.set_title(title)
        axes.axis("off")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the photograph: to see that all is well")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for the picture (default: this one)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    image = load_sample_image("china.jpg").astype(np.float32) / 255
    if args.quick:
        image = image[: image.shape[0] // 2, : image.shape[1] // 2]
    start = time.perf_counter()
    pictures = filtered(image)
    print(f"{image.shape[1]}x{image.shape[0]} photograph filtered in {1e3 * (time.perf_counter() - start):.1f} ms")
    draw(args.output / "edges.png", pictures)
    print(f"saved edges.png in {args.output.resolve()}")


if __name__ == "__main__":
    main()
