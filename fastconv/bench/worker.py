"""A process that measures one implementation: ``python -m fastconv.bench.worker``, spoken to by `processes.py`.

Each line on standard input is a request, each on standard output its answer, both JSON. What libraries print goes to
standard error. Two OpenMP run-times in one process would spin against each other, so no other implementation is
imported here.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any, TextIO

from .. import _core
from . import limits
from .machine import Cache
from .peers import PEERS, Cannot, FastConv, Peer
from .problem import Operands, Problem
from .results import Variant
from .timing import Cold, Warm
from .verify import verify

__all__: list[str] = []


class Worker:
    """One implementation, and the problem that it is at."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.peer: Peer
        if variant.is_own:
            self.peer = FastConv(variant.threads, variant.algorithm, variant.plan)
        else:
            self.peer = PEERS[variant.implementation](variant.threads)
        self.call: Any = None
        self.first = 0.0
        self.timer: Warm | Cold | None = None

    def hello(self) -> dict[str, Any]:
        """Answer that it is ready."""
        return {"version": self.peer.version()}

    def prepare(self, problem: dict[str, Any], check: bool) -> dict[str, Any]:
        """Make a problem ready, run it once and check the result."""
        self.call = self.timer = None  # frees the last problem's arrays
        told = Problem.from_dict(problem)
        operands = Operands(told)
        try:
            prepared = self.peer.prepare(told, operands)
            start = time.perf_counter()
            result = prepared.call()
            self.first = time.perf_counter() - start
        except Cannot as cannot:
            return {"cannot": str(cannot)}
        except Exception as error:  # whatever a library raises, the others go on
            return {"cannot": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"}
        self.call = prepared.call
        answer = {"wrong": verify(told, operands, prepared.to_numpy(result), prepared.tolerance) if check else ""}
        if isinstance(self.peer, FastConv):
            answer |= {"ran": self.peer.ran(told), "reason": self.peer.reason(told)}
        return answer

    def warm_up(self, cold: int) -> dict[str, Any]:
        """Find how many calls make a sample; `cold` is the size of the last level of cache if that is to be cold."""
        self.timer = Cold(self.call, cold, self.first) if cold else Warm(self.call, self.first)
        return {"seconds": self.timer.seconds}

    def round(self) -> dict[str, Any]:
        """Take a sample, or some."""
        assert self.timer
        return {"samples": self.timer.round(), "repeats": self.timer.repeats}

    def limits(self, dtypes: list[str], caches: list[dict[str, int]]) -> dict[str, Any]:
        """Measure what the cores can do at most."""
        found = limits.measure(_core.get_isa(), self.variant.threads, dtypes, [Cache(**one) for one in caches])
        levels = [vars(level) for level in found.levels]
        return {"isa": found.isa, "flops": found.flops, "levels": levels}

    def probe(self, dtype: str) -> dict[str, Any]:
        """Measure the limit of multiply-adds again."""
        return {"flops": limits.multiply_adds(_core.get_isa(), dtype, self.variant.threads, 3)}


def _answers() -> TextIO:
    """Keep the pipe of the answers for them: whatever libraries print to standard output goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _end_with_parent() -> None:
    """Ask Linux to end this process, which may be stopped, when the one that started it ends."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> None:
    """Answer requests until there are no more."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    answers = _answers()

    def answer(told: dict[str, Any]) -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    told = json.loads(sys.argv[1])
    if told["cpus"]:
        os.sched_setaffinity(0, told["cpus"])
    worker = Worker(Variant(**told["variant"]))
    answer(worker.hello())
    for line in sys.stdin:
        request = json.loads(line)
        answer(getattr(worker, request.pop("do"))(**request))


if __name__ == "__main__":
    main()
