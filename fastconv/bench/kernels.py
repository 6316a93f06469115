"""``python -m fastconv bench --kernel REGEX``: kernels alone, on operands hot in L1, against the limits of the core.

The limits are measured in the same run: multiply-adds in registers, and the most bytes a second that any plain stream
(copy, add, sum) moves in L1. A kernel is bound by the one of the two that it is closer to. One thread.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import _core, runtime
from .table import Table

__all__ = ["KernelTime", "measure", "run"]

STREAMS = ("copy_matrix contiguous", "add_row", "sum_row")
LEAST_SECONDS = 0.002
ROUNDS = 7


@dataclass(frozen=True)
class KernelTime:
    """One kernel of one instruction set."""

    name: str
    isa: str
    dtype: str
    flops: float
    """Of one call, as `bytes` and `seconds`."""
    bytes: float
    seconds: float

    @property
    def gflops(self) -> float:
        """10^9 floating point operations a second."""
        return self.flops / self.seconds / 1e9

    @property
    def gigabytes(self) -> float:
        """10^9 bytes a second, read and written."""
        return self.bytes / self.seconds / 1e9


def measure(isa: str, dtype: str, pattern: str = "") -> Iterator[KernelTime]:
    """Time the kernels of an instruction set whose names hold the pattern."""
    for index in range(_core.kernel_loads(isa, dtype)):
        name, flops, moved = _core.kernel_rounds(isa, dtype, index, 1)
        if re.search(pattern, name):
            yield KernelTime(name, isa, dtype, flops, moved, _seconds(isa, dtype, index))


def _seconds(isa: str, dtype: str, index: int) -> float:
    """The shortest time of one call, each sample being as many calls as last long enough."""
    rounds, best = 64, float("inf")
    while (spent := _sample(isa, dtype, index, rounds)) < LEAST_SECONDS:
        rounds *= 4 if spent < LEAST_SECONDS / 8 else 2
    for _ in range(ROUNDS):
        best = min(best, _sample(isa, dtype, index, rounds) / rounds)
    return best


def _sample(isa: str, dtype: str, index: int, rounds: int) -> float:
    start = time.perf_counter()
    _core.kernel_rounds(isa, dtype, index, rounds)
    return time.perf_counter() - start


def _fma_limit(isa: str, dtype: str) -> float:
    best = 0.0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = _core.fma_rounds(isa, dtype, 200_000)
        best = max(best, 2 * done / (time.perf_counter() - start))
    return best / 1e9


def run(pattern: str, isas: Sequence[str] | None = None, dtypes: Sequence[str] = ("float32",)) -> int:
    """Print a table of the kernels whose names hold `pattern`; 1 if there are none, else 0."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--kernel is {pattern!r}; needs a regular expression: {error}") from None
    shown = 0
    columns = {"kernel": 26, "isa": 8, "dtype": 7, "ns": -9, "GFLOP/s": -8, "GB/s": -7, "of limit": -8, "limit": -12}
    table = Table(**columns)
    for isa in isas or runtime.instruction_sets():
        for dtype in dtypes:
            fma = _fma_limit(isa, dtype)
            stream = max(one.gigabytes for one in measure(isa, dtype, f"^({'|'.join(STREAMS)})$"))
            for one in measure(isa, dtype, pattern):
                if not shown:
                    table.header()
                shown += 1
                bounds = (one.gflops / fma, f"{fma:.0f} GFLOP/s"), (one.gigabytes / stream, f"{stream:.0f} GB/s")
                share, limit = max(bounds)
                table.row(
                    one.name,
                    isa,
                    dtype,
                    f"{one.seconds * 1e9:.1f}",
                    f"{one.gflops:.1f}",
                    f"{one.gigabytes:.1f}",
                    f"{100 * share:.0f} %",
                    limit,
                )
    if not shown:
        print(f"no kernel has a name that holds {pattern!r}")
    return 0 if shown else 1
