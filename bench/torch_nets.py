"""How long nine nets of PyTorch take before and after `fastconv.interop.torch.replace`.

    python bench/torch_nets.py [--nets resnet18 vgg16] [--batch 1 8] [--repeats 5] [--channels-last] [--calls]

Needs torch and rich. The nets are those of `tests/torch_nets.py`, on images of the papers' sizes, with random weights,
in float32. Inference is a forward pass without gradients; a training step is a forward pass, a sum as the loss, and
the gradients of all parameters, without an optimizer. Rounds with and without ours take turns, on the same weights,
and every time is the shortest of the repeats. All have the cores that the process may use: pin it to one to compare
one with one. `--calls` measures instead what a call costs beside its arithmetic, by a convolution of almost nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

import fastconv.interop.torch as ours

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from torch_nets import NETS, SIZES

COLUMNS = ("inference, ms", "ours", "ratio", "training step, ms", "ours", "ratio")
WIDTH = 110


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS), metavar="NAME", help="default: all")
    parser.add_argument("--batch", nargs="+", type=int, default=[1], help="default: 1")
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--channels-last", action="store_true", help="images and weights in that memory format")
    parser.add_argument("--calls", action="store_true", help="what a call costs beside its arithmetic")
    args = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    console = Console(width=WIDTH)
    console.print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    console.print(calls() if args.calls else nets(args.nets, args.batch, args.repeats, args.channels_last))


def nets(names: list[str], batches: list[int], repeats: int, channels_last: bool) -> Table:
    """One row a net and batch: milliseconds before, after, and how many times faster."""
    table = Table("net", "batch", *COLUMNS)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for name in track(names, "measuring", console=Console(stderr=True), transient=True):
        torch.manual_seed(0)
        net = NETS[name]().to(memory_format=layout)
        size = SIZES.get(name, 224)
        for batch in batches:
            images = torch.randn(batch, 3, size, size).contiguous(memory_format=layout)
            cells = []
            for step in (infer, train):
                before, after = alternating(step, net, images, repeats)
                cells += [f"{1e3 * before:.1f}", f"{1e3 * after:.1f}", f"{before / after:.2f}"]
            table.add_row(name, str(batch), *cells)
    return table


def infer(net: nn.Module, images: Tensor) -> None:
    """A forward pass."""
    net.eval()
    with torch.no_grad():
        net(images)


def train(net: nn.Module, images: Tensor) -> None:
    """The gradients of all parameters."""
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and len(images) == 1:
            module.eval()  # a single image may leave one value a channel, which has no variance
    net.zero_grad()
    net(images).sum().backward()


def alternating(
    step: Callable[[nn.Module, Tensor], None], net: nn.Module, images: Tensor, repeats: int
) -> tuple[float, float]:
    """Seconds of the shortest step before and after `replace`."""
    times: dict[Callable[[nn.Module], nn.Module], list[float]] = {ours.restore: [], ours.replace: []}
    for _ in range(repeats + 1):
        for change, seconds in times.items():
            change(net)
            start = time.perf_counter()
            step(net, images)
            seconds.append(time.perf_counter() - start)
    before, after = (min(seconds[1:]) for seconds in times.values())
    return before, after


def calls() -> Table:
    """Microseconds of a 1x1 convolution of 8x8 pixels, forward, and forward and backward."""
    table = Table("call", "inference, us", "with gradients, us", "and backward, us")
    image, weight = torch.ones(1, 4, 8, 8), torch.ones(4, 4, 1, 1)
    grad = torch.ones(1, 4, 8, 8)

    def microseconds(function: Callable[[], object], rounds: int = 20, repeats: int = 500) -> str:
        """Of the shortest of many short rounds, which others leave alone."""
        best = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(rounds):
                function()
            best = min(best, (time.perf_counter() - start) / rounds)
        return f"{1e6 * best:.1f}"

    def row(conv: Callable[[Tensor, Tensor], Tensor]) -> tuple[str, ...]:
        learned = weight.clone().requires_grad_()
        with torch.no_grad():
            inference = microseconds(lambda: conv(image, weight))
        forward = microseconds(lambda: conv(image, learned))
        return inference, forward, microseconds(lambda: conv(image, learned).backward(grad))

    operator = torch.ops.fastconv.conv.default
    for name, conv in (
        ("torch.nn.functional.conv2d", functional.conv2d),
        ("fastconv.interop.torch.conv2d", ours.conv2d),
        ("torch.ops.fastconv.conv", lambda x, w: operator(x, w, None, (1, 1), (0, 0, 0, 0), (1, 1), 1, False)),
    ):
        table.add_row(name, *row(conv))
    return table


if __name__ == "__main__":
    main()
