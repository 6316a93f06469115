"""An epoch of LeNet-5: the net of examples/_lenet.py against the same net in PyTorch, from the same weights.

    taskset -c 1 python bench/lenet_training.py --threads 1

Both see the same batches of 32 digits, compute ReLU, maxima with their places, softmax and Adam, and update weights.
Epochs of the two take turns; the shortest of each counts, and the losses of the first step are compared. Needs torch,
scikit-learn, matplotlib and tqdm.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own threads would spin on the cores that fastconv uses
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import _data
import _lenet
import numpy as np
import torch

import fastconv

BATCH, RATE = 32, 2e-3
Batches = list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]


def batches(seed: int) -> Batches:
    """Digits of 32x32 pixels with their labels, 42 times 32."""
    images, _, labels, _ = _data.digits(seed=seed, centred=True)
    whole = len(images) // BATCH * BATCH
    return [(images[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, whole, BATCH)]


def fastconv_epoch(seed: int, data: Batches) -> tuple[Callable[[], list[float]], list[Any]]:
    """A function that trains for one epoch and returns the loss of each step; and the layers."""
    layers = _lenet.lenet5(np.random.default_rng(seed))
    params = [p for layer in layers for p in layer.params]
    adam = _lenet.Adam(params)

    def epoch() -> list[float]:
        losses = []
        for x, labels in data:
            loss, grad = _lenet.softmax_cross_entropy(_lenet.predict(layers, x), labels)
            for layer in reversed(layers):
                grad = layer.backward(grad)
            adam.step(params, [g for layer in layers for g in layer.grads], RATE)
            losses.append(loss)
        return losses

    return epoch, layers


def torch_epoch(layers: list[Any], data: Batches) -> Callable[[], list[float]]:
    """The same of a torch net that begins with copies of the same weights."""
    modules: list[torch.nn.Module] = []
    for layer in layers:
        if isinstance(layer, _lenet.Conv):
            filters, channels, size, _ = layer.weight.shape
            conv = torch.nn.Conv2d(channels, filters, size)
            conv.weight.data, conv.bias.data = (torch.from_numpy(p.copy()) for p in layer.params)
            modules += [conv, torch.nn.ReLU()]
        elif isinstance(layer, _lenet.MaxPool):
            modules.append(torch.nn.MaxPool2d(2))
        else:
            dense = torch.nn.Linear(*layer.weight.shape)
            dense.weight.data = torch.from_numpy(layer.weight.T.copy())
            dense.bias.data = torch.from_numpy(layer.bias.copy())
            modules += [torch.nn.Flatten(), dense, *([torch.nn.ReLU()] if layer.relu else [])]
    net = torch.nn.Sequential(*modules)
    adam = torch.optim.Adam(net.parameters(), lr=RATE)
    tensors = [(torch.from_numpy(x), torch.from_numpy(labels)) for x, labels in data]

    def epoch() -> list[float]:
        losses = []
        for x, labels in tensors:
            adam.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x), labels)
            loss.backward()
            adam.step()
            losses.append(loss.item())
        return losses

    return epoch


def main() -> None:
    """Print the shortest epoch of both, their ratio, and how far the first losses are apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    fastconv.set_num_threads(args.threads)
    torch.set_num_threads(args.threads)
    data = batches(args.seed)
    ours, layers = fastconv_epoch(args.seed, data)
    theirs = torch_epoch(layers, data)
    shortest = {"fastconv": float("inf"), "torch": float("inf")}
    apart = 0.0
    for round_ in range(args.rounds):
        losses = {}
        for name, epoch in (("fastconv", ours), ("torch", theirs)):
            start = time.perf_counter()
            losses[name] = epoch()
            shortest[name] = min(shortest[name], time.perf_counter() - start)
        if round_ == 0:  # what follows the first step drifts apart, as any two orders of summation do
            apart = abs(losses["fastconv"][0] - losses["torch"][0])
    print(f"fastconv {fastconv.__version__}, torch {torch.__version__}, {args.threads} thread(s), {len(data)} steps")
    for name, seconds in shortest.items():
        print(f"{name:9} {seconds * 1e3:7.1f} ms an epoch")
    print(f"ratio     {shortest['torch'] / shortest['fastconv']:7.2f}; losses of the first step {apart:.1e} apart")


if __name__ == "__main__":
    main()
