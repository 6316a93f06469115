"""``python -m fastconv check``, the main job: layers of LeNet-5 and AlexNet on the fast path, checked and timed."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

import fastconv

from .._types import Algorithm, Array
from .passes import Pass, describe, passes
from .table import Table
from .workloads import NETS

__all__ = ["DEFAULT_NETS", "HELP", "NAME", "add_arguments", "check", "compare", "error_bound", "run"]

NAME = "check"
HELP = "run layers of real nets, check each pass against the reference and time it (the default)"

DEFAULT_NETS = ("lenet5", "alexnet")

LEGEND = """\
error     largest |error| / (eps * largest |result|), against fastconv.reference in float64
          a pass fails where an element errs by more than gamma(n) * sum |terms|, n its number of roundings
time      the shortest of several calls
speed-up  over fastconv.reference on the same arrays, the shortest of three calls or more
GFLOP/s   2 a multiply-add, padding included; for pools 1 an addition or comparison"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` reads."""
    text = f"nets to run, of: {', '.join(NETS)} (default: {' '.join(DEFAULT_NETS)})"
    parser.add_argument("--net", nargs="+", choices=NETS, default=DEFAULT_NETS, metavar="NET", help=text)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="default: float32")
    parser.add_argument("--algorithm", choices=get_args(Algorithm), default="auto", help="default: auto")


def run(args: argparse.Namespace) -> int:
    """Print what was detected and the table; 1 if any pass failed, else 0."""
    began = time.perf_counter()
    fastconv.show_config()
    print()
    for net in args.net:
        print(NETS[net].title)
    print(f"batch 1, {args.dtype}, algorithm {args.algorithm}\n\n{LEGEND}\n")

    layers = [(net, layer) for net in args.net for layer in NETS[net].layers]
    table = Table(
        layer=max(len(f"{net} {layer.name}") for net, layer in layers),
        pass_=len("grad_weight"),
        shape=max(len(describe(layer)) for _, layer in layers),
        **{"error/eps": -9, "time/ms": -9, "speed-up": -9, "GFLOP/s": -9},
    )
    table.header()
    checked = failed = 0
    for net, layer in layers:
        for one in passes(layer, np.dtype(args.dtype), args.algorithm):
            verdict = check(one)
            seconds = best_time(one, fastconv, 0.15)
            table.row(
                f"{net} {layer.name}",
                one.name,
                describe(layer),
                f"{verdict.error:.2f}",
                f"{seconds * 1e3:.3f}",
                f"{best_time(one, fastconv.reference, 0.03) / seconds:.1f}",
                f"{one.operations / seconds / 1e9:.1f}",
            )
            checked += 1
            if verdict.failure:
                failed += 1
                print(f"  FAILED: {verdict.failure}", flush=True)
    print(f"\n{checked} passes checked, {failed} failed, {time.perf_counter() - began:.0f} s")
    return 1 if failed else 0


@dataclass(frozen=True)
class Verdict:
    """How a pass compares with the reference."""

    error: float
    """The largest, in eps of the largest result."""
    failure: str
    """Where and by how much the bound is exceeded; empty if it is not."""


def check(one: Pass) -> Verdict:
    """Run a pass, and the reference in float64: on the operands for the truth, on their magnitudes for the bound."""
    got = one.call(fastconv, *one.operands)
    exact = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in one.operands]
    want = one.call(fastconv.reference, *exact)
    if isinstance(got, tuple):
        # Max pooling: the values are copies and the indices integers; both must be the same.
        values, indices = (compare(g, w, np.zeros(w.shape)) for g, w in zip(got, want, strict=True))
        return values if values.failure else Verdict(values.error, indices.failure)
    magnitude = one.magnitude(*exact) if one.magnitude else one.call(fastconv.reference, *map(np.abs, exact))
    return compare(got, want, error_bound(one.roundings, magnitude, got.dtype))


def compare(got: Array, want: Array, bound: Array) -> Verdict:
    """Hold each element's error against its bound."""
    if got.shape != want.shape:
        return Verdict(np.inf, f"shape {got.shape}, expected {want.shape}")
    error = np.abs(got.astype(want.dtype) - want)
    eps = np.finfo(got.dtype).eps if got.dtype.kind == "f" else 1.0
    largest = float(error.max() / (eps * max(np.abs(want).max(), np.finfo(float).tiny)))
    bad = ~(error <= bound)  # so that NaN is bad too
    if not bad.any():
        return Verdict(largest, "")
    worst = tuple(map(int, np.unravel_index(np.argmax(np.where(bad, error, -1)), error.shape)))
    text = f"{bad.sum()} of {bad.size} elements; {got[worst]!s} at {worst}, expected {want[worst]!s}"
    return Verdict(largest, f"{text} within {bound[worst]:.2g}")


def error_bound(roundings: int, magnitude: Array, dtype: Any) -> Array:
    """How far a sum in `dtype` may be from the reference's in float64, element by element.

    `magnitude` is the sum of the absolute values of the terms, as the reference computes it. With at most n roundings
    by a relative u = eps / 2 on the way of each term, |error| <= gamma(n) * magnitude, gamma(n) = n u / (1 - n u)
    (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, sections 3.1 and 4.2). The reference errs too, by
    the same rule in float64, and so does the magnitude. Below the normal numbers each rounding errs absolutely.

    From n u = 1/2, the gradient in the weights of images of some 10^7 pixels, that bound ends to mean anything. There
    roundings are taken as independent, up as often as down: gamma(n) = 8 sqrt(n) u (Higham and Mary, "A new approach to
    probabilistic rounding error analysis", SIAM J. Sci. Comput. 41(5), 2019).
    """

    def gamma(kind: Any) -> float:
        u = float(np.finfo(kind).eps) / 2
        nu = roundings * u
        return nu / (1 - nu) if nu < 0.5 else 8 * math.sqrt(roundings) * u

    relative = (gamma(dtype) + gamma(np.float64)) / (1 - gamma(np.float64))
    return relative * magnitude + roundings * float(np.finfo(dtype).smallest_normal)


def best_time(one: Pass, ops: Any, seconds: float) -> float:
    """The shortest of the calls that fit into `seconds`, of at least three."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        one.call(ops, *one.operands)
        times.append(time.perf_counter() - start)
    return min(times)
