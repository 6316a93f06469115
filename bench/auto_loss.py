"""How far the choice of "auto" lies from the fastest algorithm, over random problems.

    taskset -c 1 python bench/auto_loss.py --problems 300

Every algorithm that auto may take is timed on every problem, one thread, interleaved, the shortest of the rounds
counts. The loss is the time of the chosen one over that of the fastest, less one. Problems that lose most are timed
again, for a round that was disturbed looks like a loss.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import fastconv

ALGORITHMS = ("direct", "im2col", "winograd", "depthwise")
LEAST_SECONDS = 1e-3
"""Of one sample: shorter calls are repeated."""


class Problem(NamedTuple):
    """One convolution of a single image."""

    channels: int
    filters: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]
    dilation: int
    groups: int
    layout: str

    def __str__(self) -> str:
        parts = [f"{self.channels} x {self.size[0]}x{self.size[1]} -> {self.filters}"]
        parts.append("x".join(map(str, self.kernel)) + (f"/{self.stride}" if self.stride > 1 else ""))
        parts += [f"dilation {self.dilation}"] * (self.dilation > 1) + [f"groups {self.groups}"] * (self.groups > 1)
        return ", ".join([*parts, self.layout])


def draw(random: np.random.Generator, most_flops: float) -> Problem:
    """Draw one as nets have them, now and then an odd one."""
    while True:
        channels = int(random.choice([1, 3, 4, 8, 16, 24, 32, 48, 58, 64, 96, 128, 192, 256, 384, 512, 1024]))
        filters = int(random.choice([4, 6, 10, 16, 24, 32, 48, 58, 64, 96, 128, 192, 256, 384, 512, 1000, 2048]))
        edge = int(random.choice([7, 8, 13, 14, 17, 27, 28, 35, 55, 56, 112, 150, 224]))
        size = (edge, edge) if random.random() < 0.8 else (edge, int(random.integers(3, 2 * edge)))
        taps = int(random.choice([1, 1, 2, 3, 3, 3, 5, 7, 11]))
        kernel = [(taps, taps), (1, taps), (taps, 1)][int(random.choice(3, p=[0.8, 0.1, 0.1]))]
        stride = int(random.choice([1, 1, 1, 2, 4]))
        dilation = int(random.choice([1, 1, 1, 1, 2, 6])) if taps > 1 else 1
        same = random.random() < 0.8
        padding = tuple(dilation * (k - 1) // 2 if same else 0 for k in kernel)
        groups = int(random.choice([1, 1, 1, 1, 2, 4, 32, channels]))
        if groups == channels and groups > 4:
            filters = channels
        if channels % groups or filters % groups:
            continue
        if any(s + 2 * p <= dilation * (k - 1) for s, k, p in zip(size, kernel, padding, strict=True)):
            continue
        layout = "NCHW" if random.random() < 0.7 else "NHWC"
        problem = Problem(channels, filters, size, kernel, stride, padding, dilation, groups, layout)
        if 1e5 <= choice(problem).flops <= most_flops:
            return problem


def choice(problem: Problem, algorithm: Any = "auto") -> fastconv.Choice:
    """What would run; ValueError where an algorithm cannot."""
    shape = (problem.channels, *problem.size) if problem.layout == "NCHW" else (*problem.size, problem.channels)
    weight = (problem.filters, problem.channels // problem.groups, *problem.kernel)
    window: Any = (problem.stride, problem.padding, problem.dilation, problem.groups)
    return fastconv.choose_algorithm((1, *shape), weight, *window, layout=problem.layout, algorithm=algorithm)


def measure(problem: Problem, rounds: int, random: np.random.Generator) -> dict[str, float]:
    """Time all algorithms that auto chose from; seconds a call."""
    shape = (problem.channels, *problem.size) if problem.layout == "NCHW" else (*problem.size, problem.channels)
    x = random.standard_normal((1, *shape), np.float32)
    w = random.standard_normal((problem.filters, problem.channels // problem.groups, *problem.kernel), np.float32)
    b = np.zeros(problem.filters, np.float32)
    window: Any = (problem.stride, problem.padding, problem.dilation, problem.groups)
    offered = [name for name in ALGORITHMS if f" {name} " in choice(problem).reason.replace(",", " ")]
    calls = {
        name: lambda name=name: fastconv.conv2d(x, w, b, *window, layout=problem.layout, algorithm=name)
        for name in offered
    }
    repeats = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, round(LEAST_SECONDS / (time.perf_counter() - start)))
    best = dict.fromkeys(calls, np.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / repeats[name])
    return best


def main() -> None:
    """Measure, and print the losses: quantiles, and the problems that lose most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-flops", type=float, default=1e9)
    parser.add_argument("--worst", type=int, default=20, metavar="N", help="how many to time again and to print")
    args = parser.parse_args()
    fastconv.set_num_threads(1)
    random = np.random.default_rng(args.seed)
    console = Console()
    results = []
    for _ in track(range(args.problems), "measuring", console=console, transient=True):
        problem = draw(random, args.most_flops)
        results.append((problem, choice(problem).algorithm, measure(problem, args.rounds, random)))

    def loss(result: tuple[Problem, str, dict[str, float]]) -> float:
        return result[2][result[1]] / min(result[2].values()) - 1

    results.sort(key=loss, reverse=True)
    for problem, _, times in track(results[: args.worst], "timing the worst again", console=console, transient=True):
        for name, seconds in measure(problem, 3 * args.rounds, random).items():
            times[name] = min(times[name], seconds)
    results.sort(key=loss, reverse=True)
    table = Table("problem", "chosen", "fastest", "loss", "times in us", title="The largest losses")
    for problem, chosen, times in results[: args.worst]:
        fastest = min(times, key=times.__getitem__)
        told = ", ".join(f"{name} {1e6 * seconds:.0f}" for name, seconds in times.items())
        table.add_row(str(problem), chosen, fastest, f"{100 * loss((problem, chosen, times)):.0f} %", told)
    console.print(table)
    losses = 100 * np.array([loss(result) for result in results])
    chosen = {name: sum(result[1] == name for result in results) for name in ALGORITHMS}
    console.print(
        f"{len(results)} problems, {fastconv.runtime.config()['instruction set']}: "
        f"loss median {np.median(losses):.1f} %, mean {losses.mean():.1f} %, 90th percentile "
        f"{np.quantile(losses, 0.9):.1f} %, worst {losses.max():.1f} %; chosen: "
        + ", ".join(f"{name} {count}" for name, count in chosen.items())
    )


if __name__ == "__main__":
    main()
