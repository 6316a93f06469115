"""How a call is timed, in the process that makes it: warm, many in a row, or cold, one by one."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import numpy as np

__all__ = ["LEAST_SECONDS", "Cold", "Warm"]

LEAST_SECONDS = 0.002
"""What a sample lasts at least: a thousand times what reading the clock takes and may be wrong by."""
WARM_SECONDS = 0.0005
"""How long calls are made before those that are timed."""
LONG_SECONDS = 0.5
"""A call that lasts this long needs no other before it."""


@contextmanager
def _no_collection() -> Iterator[None]:
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


class Warm:
    """Operands stay in cache from one call to the next, as far as they fit; `first` is what the first call took."""

    def __init__(self, call: Callable[[], Any], first: float) -> None:
        self.call, self._long = call, first >= LONG_SECONDS
        seconds = first if self._long else self._run(1)
        if seconds < LEAST_SECONDS:  # it may have been slow; many in a row decide
            seconds = self._run(max(1, math.ceil(LEAST_SECONDS / 8 / seconds)))
        self.repeats = max(1, math.ceil(1.1 * LEAST_SECONDS / seconds))
        self.seconds = seconds * self.repeats
        """Of one round, about."""

    def round(self) -> list[float]:
        """Take one sample, in seconds a call."""
        call, end = self.call, time.perf_counter() + WARM_SECONDS
        if not self._long:
            call()
        while time.perf_counter() < end and not self._long:
            call()
        while (seconds := self._run(self.repeats)) * self.repeats < LEAST_SECONDS:
            self.repeats = max(self.repeats + 1, math.ceil(1.1 * LEAST_SECONDS / seconds))  # it was slower before
        return [seconds]

    def _run(self, repeats: int) -> float:
        call, again = self.call, repeat(None, repeats)
        with _no_collection():
            start = time.perf_counter()
            for _ in again:
                call()
            return (time.perf_counter() - start) / repeats


class Cold:
    """Before each call all caches are filled with something else. The clock is read around every single call."""

    CALLS = 5
    """A round, as many samples: each is a whole call, however short. Of long calls, one."""

    def __init__(self, call: Callable[[], Any], last_level: int, first: float) -> None:
        self.call, self.repeats = call, 1
        self._other = np.zeros(max(2 * last_level, 1 << 24), np.uint8)
        self._calls = 1 if first >= LONG_SECONDS else self.CALLS
        self.seconds = first if first >= LONG_SECONDS else sum(self.round())

    def round(self) -> list[float]:
        """Take some samples, in seconds a call."""
        return [self._once() for _ in range(self._calls)]

    def _once(self) -> float:
        with _no_collection():
            np.add(self._other, 1, out=self._other)
            start = time.perf_counter()
            self.call()
            return time.perf_counter() - start
