"""Handwritten digits for the examples: the 1797 that scikit-learn ships, or MNIST's.

An example on digits that is given ``--idx DIR`` reads MNIST's four files there, packed by gzip or not.
"""

from __future__ import annotations

import argparse
import gzip
import math
import struct
import sys
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

PARSER = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
PARSER.add_argument("--idx", type=Path, metavar="DIR", help="folder of MNIST's IDX files, to be used instead")


def idx_folder() -> Path | None:
    """What ``--idx`` says. The gallery's examples have no other option than this and ``--help``."""
    if not Path(sys.argv[0]).name.startswith("plot_"):  # a program with options of its own, or a notebook's kernel
        return PARSER.parse_known_args()[0].idx
    title = (sys.modules["__main__"].__doc__ or "").strip().partition("\n")[0]
    return argparse.ArgumentParser(description=title, parents=[PARSER], allow_abbrev=False).parse_args().idx


def read_idx(path: Path):
    """The array of bytes in an IDX file: 0, 0, type, number of axes, big-endian sizes, values."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read()
    zero, kind, axes = struct.unpack_from(">HBB", content)
    if (zero, kind) != (0, 8):
        raise ValueError(f"{path} is no IDX file of bytes: it begins with {content[:4].hex(' ')}, not 00 00 08")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    size = 4 + 4 * axes + math.prod(shape)
    if len(content) != size:
        raise ValueError(f"{path} has {len(content)} bytes; its array of shape {shape} needs {size}")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def mnist(folder: Path, part: str, most: int | None):
    """Images with ink from 0 to 1, and labels, of the part "train" or "t10k"; the first `most` of them."""
    arrays = []
    for kind in ("images", "labels"):
        found = sorted(folder.glob(f"{part}-{kind}[-.]idx?-ubyte*"))
        if not found:
            raise FileNotFoundError(f"no {part}-{kind}-idx?-ubyte or {part}-{kind}-idx?-ubyte.gz in --idx {folder}")
        arrays.append(read_idx(found[0])[:most])
    return arrays[0] / 255, arrays[1].astype(np.int64)


def enlarge(images, size: int):
    """Bilinear interpolation of square images to size x size, corners to corners: two products with one matrix."""
    at = np.linspace(0, images.shape[1] - 1, size)
    weight = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(images.shape[1])))
    return (weight @ images @ weight.T).astype(np.float32)


def digits(size: int = 32, seed: int = 0, *, centred: bool = False, most: int | None = 2000):
    """Images as (N, 1, size, size) to train on and to test with, their labels: ``x, test_x, y, test_y``.

    Ink is 1 and paper 0; ``centred`` takes the mean off, as nets like it. Of scikit-learn's digits a quarter, drawn
    by `seed`, is held out; MNIST comes parted, and no more than `most` images of each part are taken.
    """
    folder = idx_folder()
    if folder:
        (x, y), (test_x, test_y) = (mnist(folder, part, most) for part in ("train", "t10k"))
    else:
        data = load_digits()
        x, test_x, y, test_y = train_test_split(
            data.images / 16, data.target, test_size=0.25, random_state=seed, stratify=data.target
        )
    x, test_x = (enlarge(images, size)[:, None] for images in (x, test_x))
    mean = x.mean() if centred else np.float32(0)
    return x - mean, test_x - mean, y, test_y


def shifted(images, down: int, right: int, rng: np.random.Generator):
    """Each image moved at random, by up to so many pixels either way, over background."""
    framed = np.pad(images, [(0, 0), (0, 0), (down, down), (right, right)], constant_values=images.min())
    places = sliding_window_view(framed, images.shape[2:], axis=(2, 3))
    count = len(images)
    rows, columns = rng.integers(2 * down + 1, size=count), rng.integers(2 * right + 1, size=count)
    return places[np.arange(count), :, rows, columns]
