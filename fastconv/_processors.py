"""How many threads a process should start: what its affinity, its control group and OpenMP's variables leave it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

__all__ = ["default_threads"]

LONGEST = 18
"""Digits that tell numbers apart: 10^17 is too many threads already, and Python reads but some thousand digits."""


def default_threads(most: int, environ: Mapping[str, str] = os.environ, root: str = "/") -> int:
    """OMP_NUM_THREADS, else as many as there are processors; at most `most` and OMP_THREAD_LIMIT.

    A process that is given half of the time of four processors is given two: more threads than that would all be
    stopped together once the time is spent. `root` is where the system's files lie.
    """
    asked = _number(environ.get("OMP_NUM_THREADS", "").partition(",")[0])  # a list: its first level is ours
    limit = _number(environ.get("OMP_THREAD_LIMIT", ""))
    threads = asked if asked and asked <= most else min(_affinity(), _quota(root))
    return min(threads, most, limit or most)


def _number(text: str) -> int:
    """A whole number, or 0; of one that is too long to be read, more than any count."""
    text = text.strip().lstrip("0")
    return int(text[:LONGEST]) if text.isdecimal() else 0


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota(root: str) -> int:
    """Processors' worth of time that Linux's control groups allow, the process's own and those above it."""
    least = math.inf
    for line in _read(f"{root}proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        names = path.strip("/").split("/")
        for depth in range(len(names) + 1):
            inside = "/".join(names[:depth])
            if not controllers:  # version 2
                words = _read(f"{root}sys/fs/cgroup/{inside}/cpu.max").split()
            elif "cpu" in controllers.split(","):
                folder = f"{root}sys/fs/cgroup/cpu/{inside}"
                words = [*_read(f"{folder}/cpu.cfs_quota_us").split(), *_read(f"{folder}/cpu.cfs_period_us").split()]
            else:
                continue
            if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):
                least = min(least, int(words[0]) / int(words[1]))
    return max(math.ceil(least), 1) if math.isfinite(least) else os.cpu_count() or 1


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
