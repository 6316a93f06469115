"""Train LeNet-5 on real handwritten digits, with nothing but NumPy and fastconv's ops and gradients.

The net is that of LeCun et al., "Gradient-based learning applied to document recognition", 1998, in today's dress:
ReLU, max pooling, softmax. The 1797 digits of 8x8 pixels that scikit-learn ships are enlarged to its 32x32; a quarter
of them is held out for the test. Needs scikit-learn, matplotlib and tqdm:

    python examples/lenet_digits.py --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own threads would spin on the cores that fastconv uses

import numpy as np
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import fastconv

BLUE, ORANGE = "#0072b2", "#d55e00"  # told apart by colour-blind readers too


# ---- layers: forward keeps what backward needs; backward takes and returns the gradient of the loss


class Conv:
    """Convolution by 5x5 filters and a ReLU, which fastconv applies as it stores the result."""

    def __init__(self, rng: np.random.Generator, channels: int, filters: int, first: bool = False) -> None:
        scale = np.sqrt(2 / (channels * 5 * 5))  # keeps the variance through a ReLU (He et al., 2015)
        if first:
            scale *= 0.3  # starts low, so that the picture of its filters shows what was learned, not what was dealt
        self.weight = (rng.standard_normal((filters, channels, 5, 5)) * scale).astype(np.float32)
        self.bias = np.zeros(filters, np.float32)
        # The gradient with respect to the images themselves is of no use: the first layer does not ask for it.
        self.needs = ("weight", "bias") if first else ("input", "weight", "bias")

    def forward(self, x):
        self.x = x
        self.y = fastconv.conv2d(x, self.weight, self.bias, activation="relu")
        return self.y

    def backward(self, grad):
        grad = grad * (self.y > 0)
        grad_x, *self.grads = fastconv.conv2d_backward(grad, self.x, self.weight, needs=self.needs)
        return grad_x

    @property
    def params(self):
        return self.weight, self.bias


class MaxPool:
    """The largest of each 2x2 block."""

    params = ()
    grads = ()

    def forward(self, x):
        self.shape = x.shape
        y, self.indices = fastconv.max_pool2d(x, 2, return_indices=True)
        return y

    def backward(self, grad):
        return fastconv.max_pool2d_backward(grad, self.indices, self.shape, 2)


class Dense:
    """Every output sees every input."""

    def __init__(self, rng: np.random.Generator, inputs: int, outputs: int, relu: bool) -> None:
        self.weight = (rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)
        self.relu = relu

    def forward(self, x):
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        self.y = self.x @ self.weight + self.bias
        return np.maximum(self.y, 0) if self.relu else self.y

    def backward(self, grad):
        if self.relu:
            grad = grad * (self.y > 0)
        self.grads = self.x.T @ grad, grad.sum(axis=0)
        return (grad @ self.weight.T).reshape(self.shape)

    @property
    def params(self):
        return self.weight, self.bias


def lenet5(rng: np.random.Generator):
    """Layers with the output sizes of the paper. The 120 units of C5 are filters that just cover the 5x5 image."""
    return [
        Conv(rng, 1, 6, first=True),  # C1   6 x 28 x 28
        MaxPool(),  #                   S2   6 x 14 x 14
        Conv(rng, 6, 16),  #            C3  16 x 10 x 10
        MaxPool(),  #                   S4  16 x  5 x  5
        Conv(rng, 16, 120),  #          C5 120 x  1 x  1
        Dense(rng, 120, 84, relu=True),  # F6
        Dense(rng, 84, 10, relu=False),  # one score a digit
    ]


def softmax_cross_entropy(scores, labels):
    """Mean loss of a batch, and its gradient with respect to the scores."""
    scores = scores - scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    grad = np.exp(log_p)
    grad[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), grad / len(labels)


class Adam:
    """Steps scaled by running means of the gradient and of its square (Kingma & Ba, 2015), all parameters at once."""

    def __init__(self, params) -> None:
        self.mean, self.square = np.zeros((2, sum(p.size for p in params)), np.float32)
        self.steps = 0

    def step(self, params, grads, rate: float) -> None:
        self.steps += 1
        rate *= np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)  # the means began at zero
        grad = np.concatenate([g.ravel() for g in grads])
        self.mean += np.float32(0.1) * (grad - self.mean)
        self.square += np.float32(0.001) * (grad * grad - self.square)
        change = np.float32(rate) * self.mean / (np.sqrt(self.square) + np.float32(1e-8))
        end = 0
        for p in params:
            start, end = end, end + p.size
            p -= change[start:end].reshape(p.shape)


# ---- data and training


def enlarge(images, size: int):
    """Bilinear interpolation of square images to size x size, corners to corners: two products with one matrix."""
    at = np.linspace(0, images.shape[1] - 1, size)
    weight = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(images.shape[1])))
    return (weight @ images @ weight.T).astype(np.float32)


def digits(seed: int):
    """Images as (N, 1, 32, 32) around zero, labels; three quarters to train on, a quarter held out."""
    data = load_digits()
    images = enlarge(data.images / 16, 32)[:, None]
    split = train_test_split(images, data.target, test_size=0.25, random_state=seed, stratify=data.target)
    mean = split[0].mean()
    return split[0] - mean, split[1] - mean, split[2], split[3]


def predict(layers, x):
    for layer in layers:
        x = layer.forward(x)
    return x


def accuracy(layers, images, labels) -> float:
    return float((predict(layers, images).argmax(axis=1) == labels).mean())


def train(seed: int, epochs: int, batch: int = 32, rate: float = 2e-3):
    """Train one net; its layers, the loss of every step, and the test accuracy after every epoch."""
    images, test_images, labels, test_labels = digits(seed)
    # Every time an image is seen it is moved by up to two pixels: a frame of background around it, and a view of all
    # 5x5 places where a 32x32 window can stand in that.
    frame = [(0, 0), (0, 0), (2, 2), (2, 2)]
    moved = sliding_window_view(np.pad(images, frame, constant_values=images.min()), (32, 32), axis=(2, 3))
    rng = np.random.default_rng(seed)
    layers = lenet5(rng)
    params = [p for layer in layers for p in layer.params]
    adam, losses, accuracies = Adam(params), [], []
    steps = epochs * (len(images) // batch)
    with tqdm(total=steps, desc=f"seed {seed}", unit="step") as bar:
        for _ in range(epochs):
            order = rng.permutation(len(images))[: len(images) // batch * batch]
            for chosen in order.reshape(-1, batch):
                x = moved[chosen, :, rng.integers(5, size=batch), rng.integers(5, size=batch)]
                loss, grad = softmax_cross_entropy(predict(layers, x), labels[chosen])
                for layer in reversed(layers):
                    grad = layer.backward(grad)
                grads = [g for layer in layers for g in layer.grads]
                adam.step(params, grads, rate * (1 + np.cos(np.pi * len(losses) / steps)) / 2)
                losses.append(loss)
                bar.update()
            accuracies.append(accuracy(layers, test_images, test_labels))
            bar.set_postfix(loss=f"{np.mean(losses[-len(order) // batch :]):.4f}", test=f"{accuracies[-1]:.2%}")
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
    right.set(title="Accuracy on the held-out quarter", xlabel="epoch", ylabel="per cent")
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each (default: 0)")
    parser.add_argument("--epochs", type=int, default=15, help="default: 15")
    parser.add_argument("--quick", action="store_true", help="two epochs: to see that all is well")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for the pictures (default: this one)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    runs = {seed: train(seed, 2 if args.quick else args.epochs) for seed in args.seeds}
    seconds = time.perf_counter() - start
    finals = [accuracies[-1] for _, _, accuracies in runs.values()]
    print(f"test accuracy {np.mean(finals):.2%} (" + ", ".join(f"{f:.2%}" for f in finals) + f"), {seconds:.1f} s")

    draw_curves(args.output / "lenet_digits_curves.png", runs)
    draw_filters(args.output / "lenet_digits_filters.png", runs[args.seeds[0]][0])
    print(f"saved lenet_digits_curves.png and lenet_digits_filters.png in {args.output.resolve()}")


if __name__ == "__main__":
    main()
