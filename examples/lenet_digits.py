"""Train LeNet-5 on real handwritten digits, with nothing but NumPy and fastconv's ops and gradients.

The net and its training are in `_lenet.py`. The 1797 digits of 8x8 pixels that scikit-learn ships are enlarged to its
32x32; a quarter of them is held out for the test. With ``--idx DIR`` the digits are MNIST's, from the files in DIR.
Needs scikit-learn, matplotlib and tqdm:

    python examples/lenet_digits.py --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own threads would spin on the cores that fastconv uses

import numpy as np
from _data import PARSER, digits
from _lenet import accuracy, lenet5, train
from matplotlib.figure import Figure
from tqdm import tqdm

BLUE, ORANGE = "#0072b2", "#d55e00"  # told apart by colour-blind readers too


def run(seed: int, epochs: int):
    """Train one net; its layers, the loss of every step, and the test accuracy after every epoch."""
    images, test_images, labels, test_labels = digits(seed=seed, centred=True, most=None)
    rng = np.random.default_rng(seed)
    layers = lenet5(rng)
    losses, accuracies = [], []
    with tqdm(train(layers, images, labels, epochs, rng, shift=2), f"seed {seed}", epochs, unit="epoch") as bar:
        for epoch in bar:
            losses += epoch
            accuracies.append(accuracy(layers, test_images, test_labels))
            bar.set_postfix(loss=f"{np.mean(epoch):.4f}", test=f"{accuracies[-1]:.2%}")
    return layers, losses, accuracies


# ---- pictures


def draw_curves(path: Path, runs) -> None:
    """Loss of every step and its running mean on the left, test accuracy of every epoch on the right."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (seed, (_, losses, accuracies)) in enumerate(runs.items()):
        window = max(1, len(losses) // len(accuracies))
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        epochs = np.arange(1, len(losses) + 1) / window
        style = {"linestyle": ("-", "--", ":", "-.")[number % 4], "label": f"seed {seed}"}
        if number == 0:
            left.semilogy(epochs, losses, color=BLUE, alpha=0.25, linewidth=0.6, label=f"seed {seed}, each step")
        left.semilogy(epochs[window - 1 :], smooth, color=BLUE, **style)
        right.plot(np.arange(1, len(accuracies) + 1), 100 * np.array(accuracies), color=ORANGE, **style)
    right.axhline(98, color="0.6", linewidth=0.8, zorder=0, label="98 %")
    left.set(title="Training loss, running mean over one epoch", xlabel="epoch", ylabel="cross-entropy")
    right.set(title="Accuracy on held-out digits", xlabel="epoch", ylabel="per cent")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def draw_filters(path: Path, layers) -> None:
    """The 6 filters of the first layer, and below them the 16 x 6 of the second: one column a filter."""
    first, second = layers[0].weight[:, 0], layers[2].weight
    figure = Figure(figsize=(10, 5.8), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 2.1))
    for part, grid, title in (
        (top, first[None], "First layer: the 6 filters"),
        (bottom, second.swapaxes(0, 1), "Second layer: 16 filters (columns), each over 6 maps (rows)"),
    ):
        part.suptitle(title)
        limit = np.abs(grid).max()
        for axes, weights in zip(part.subplots(*grid.shape[:2]).flat, grid.reshape(-1, 5, 5), strict=True):
            picture = axes.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[])
        part.colorbar(picture, ax=part.axes, label="weight", pad=0.02, shrink=0.9, aspect=12)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], parents=[PARSER])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each (default: 0)")
    parser.add_argument("--epochs", type=int, default=15, help="default: 15")
    parser.add_argument("--quick", action="store_true", help="two epochs: to see that all is well")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for the pictures (default: this one)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    runs = {seed: run(seed, 2 if args.quick else args.epochs) for seed in args.seeds}
    seconds = time.perf_counter() - start
    finals = [accuracies[-1] for _, _, accuracies in runs.values()]
    print(f"test accuracy {np.mean(finals):.2%} (" + ", ".join(f"{f:.2%}" for f in finals) + f"), {seconds:.1f} s")

    draw_curves(args.output / "lenet_digits_curves.png", runs)
    draw_filters(args.output / "lenet_digits_filters.png", runs[args.seeds[0]][0])
    print(f"saved lenet_digits_curves.png and lenet_digits_filters.png in {args.output.resolve()}")


if __name__ == "__main__":
    main()
