"""The processes that measure: started, spoken to one at a time, and stopped in between.

A process that waits gets SIGSTOP. So a thread pool that spins on after its call, as most do for milliseconds, spins
only in its own time, and every library keeps the waiting that it was built with: nobody has to be told to sleep.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any

from .peers import PEERS
from .results import Variant

__all__ = ["Died", "Process"]


class Died(Exception):  # noqa: N818 (no error of ours: an answer)
    """A process ended in place of answering; the text says how."""


class Process:
    """One implementation with some number of threads."""

    def __init__(self, variant: Variant, cpus: list[int]) -> None:
        self.variant = variant
        threads = str(variant.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        environment |= {"MKL_NUM_THREADS": threads, "FASTCONV_NUM_THREADS": threads, "FASTCONV_VERBOSE": "0"}
        if variant.is_own:
            environment |= {"FASTCONV_ISA": variant.isa} if variant.isa else {}
        else:
            environment |= PEERS[variant.implementation].environment(variant.threads)
        told = json.dumps({"variant": dataclasses.asdict(variant), "cpus": cpus})
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fastconv.bench.worker", told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self._stopped = False

    def send(self, do: str, **arguments: Any) -> None:
        """Make a request, and let the process run."""
        if self._stopped:
            self._process.send_signal(signal.SIGCONT)
            self._stopped = False
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `receive` tells how it ended

    def receive(self) -> dict[str, Any]:
        """Wait for the answer, and stop the process; raises `Died`."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise Died(self._last_words())
        self._process.send_signal(signal.SIGSTOP)
        self._stopped = True
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Make a request and wait for the answer."""
        self.send(do, **arguments)
        return self.receive()

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()  # works on a stopped one too
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:
                pass  # a request that nobody read

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return f"its process {how}" + (f": {lines[-1]}" if lines else "")
