"""What the cores can do at most, by fastconv's own kernels: multiply-adds in registers, copies in each cache level.

Threads are Python's: the kernels run without its lock, so that no OpenMP run-time stands between. A level that several
cores share is shared out among the threads; private ones each thread has whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Barrier, Thread

import numpy as np

from .. import _core
from .machine import Cache
from .results import Level, Limits

__all__ = ["measure", "multiply_adds"]

SECONDS = 0.004
"""What a sample lasts, about."""
SAMPLES = 7
MOST_COPIED = 1 << 28
"""Bytes of both arrays of a copy in memory."""
UNKNOWN = (Cache(1, 32 << 10, 1), Cache(2, 512 << 10, 1), Cache(3, 16 << 20, 1 << 10))
"""Where a system tells nothing of its caches: small enough for most."""


def measure(isa: str, threads: int, dtypes: Sequence[str], caches: Sequence[Cache], samples: int = SAMPLES) -> Limits:
    """Measure all limits for a number of threads: about a fifth of a second."""
    flops = {dtype: multiply_adds(isa, dtype, threads, samples) for dtype in dtypes}
    known, levels = list(caches) or list(UNKNOWN), []
    for cache in known:
        owners = -(-threads // cache.shared_by)  # how many of these caches the threads fill
        levels.append(_level(isa, f"L{cache.level}", owners * cache.bytes, threads, samples))
    beyond = min(4 * max(one.capacity for one in levels), MOST_COPIED)
    memory = _copy(isa, beyond, threads, samples)
    return Limits(threads, isa, flops, [*levels, Level("memory", 0, memory)])


def multiply_adds(isa: str, dtype: str, threads: int, samples: int = SAMPLES) -> float:
    """Measure the floating point operations a second of all threads together, two a multiply-add."""
    rounds = 2000
    while (seconds := _spent([partial(_core.fma_rounds, isa, dtype, rounds)])) < SECONDS / 4:
        rounds *= 4 if seconds < SECONDS / 16 else 2
    rounds = max(1, int(rounds * SECONDS / seconds))
    done = _core.fma_rounds(isa, dtype, 1) * rounds
    work = [partial(_core.fma_rounds, isa, dtype, rounds)] * threads
    return 2.0 * done * threads / min(_spent(work) for _ in range(samples))


def _level(isa: str, name: str, capacity: int, threads: int, samples: int) -> Level:
    """Both arrays of all threads together fill half of the level: the rest of the program needs some of it."""
    return Level(name, capacity, _copy(isa, capacity // 2, threads, samples))


def _copy(isa: str, filled: int, threads: int, samples: int) -> float:
    size = max(1024, filled // 2 // threads // 1024 * 1024)
    sources, targets = ([np.ones(size, np.uint8) for _ in range(threads)] for _ in range(2))
    rounds = 1
    while (seconds := _spent([partial(_core.copy_bytes, isa, sources[0], targets[0], rounds)])) < SECONDS / 4:
        rounds *= 4 if seconds < SECONDS / 16 else 2
    rounds = max(1, int(rounds * SECONDS / seconds))
    pairs = zip(sources, targets, strict=True)
    work = [partial(_core.copy_bytes, isa, source, target, rounds) for source, target in pairs]
    return 2.0 * size * rounds * threads / min(_spent(work) for _ in range(samples))


def _spent(work: Sequence[Callable[[], object]]) -> float:
    """Run all at once, each in a thread of its own; seconds from the start of the first to the end of the last."""
    if len(work) == 1:
        start = time.perf_counter()
        work[0]()
        return time.perf_counter() - start
    barrier, ends = Barrier(len(work)), [(0.0, 0.0)] * len(work)

    def run(number: int) -> None:
        barrier.wait()
        start = time.perf_counter()
        work[number]()
        ends[number] = start, time.perf_counter()

    threads = [Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end for _, end in ends) - min(start for start, _ in ends)
