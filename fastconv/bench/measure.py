"""Problems measured by several processes in turn: a round of one, a round of the next, and so on, then the next rounds.

So whatever changes with time, other load or the frequency, meets all alike. Odd rounds go the other way about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from .machine import Cache
from .peers import PEERS
from .problem import Problem
from .processes import Died, Process
from .results import Level, Limits, Measurement, Variant

__all__ = ["Effort", "Team", "installed"]

LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 9
    """Of every implementation of a problem, unless they take longer than `seconds`; then fewer."""
    seconds: float = 1.0
    check: bool = True
    cold: int = 0
    """Bytes of the last level of cache, if it is to be cold before each call."""


def installed(name: str) -> bool:
    """Whether an implementation can be imported here."""
    return name == "fastconv" or PEERS[name].available()


class Team:
    """The processes of one number of threads, started when first needed, and again after one has died."""

    def __init__(self, variants: Sequence[Variant], cpus: list[int]) -> None:
        self.variants, self.cpus = list(variants), cpus
        self.versions: dict[str, str] = {}
        self._processes: dict[Variant, Process] = {}
        self._broken: dict[Variant, str] = {}

    def __enter__(self) -> Team:
        """Start all: their imports take the longest, so they are made at the same time."""
        try:
            for variant in self.variants:
                self._processes[variant] = Process(variant, self.cpus)
            for variant in self.variants:
                self._greet(variant)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.close()

    def measure(
        self, problem: Problem, effort: Effort, step: Callable[[str], None] = lambda _: None
    ) -> list[Measurement]:
        """Measure one problem by all; `step` is told what is being done."""
        found = {variant: Measurement(variant) for variant in self.variants}
        step("preparing and checking")
        self._prepare(problem, effort, found)
        step("warming up")
        rounds: dict[Variant, int] = {}
        for variant, one in found.items():
            answer = {} if one.cannot else self._ask(one, "warm_up", cold=effort.cold)
            if answer:
                rounds[variant] = _rounds(answer["seconds"], effort)
        for number in range(max(rounds.values(), default=0)):
            step(f"round {number + 1}")
            for variant in sorted(rounds, key=self.variants.index, reverse=bool(number % 2)):
                one = found[variant]
                if number < rounds[variant] and not one.cannot and (answer := self._ask(one, "round")):
                    one.samples += answer["samples"]
                    one.repeats = answer["repeats"]
        return list(found.values())

    def limits(self, dtypes: Sequence[str], caches: Sequence[Cache]) -> list[Limits]:
        """Measure the limits, once for each of fastconv's instruction sets here."""
        known: dict[str, Limits] = {}
        for variant in self.variants:
            if variant.is_own and variant.isa not in known and variant in self._processes:
                told = self._processes[variant].ask(
                    "limits", dtypes=list(dtypes), caches=[asdict(one) for one in caches]
                )
                levels = [Level(**level) for level in told["levels"]]
                known[variant.isa] = Limits(variant.threads, told["isa"], told["flops"], levels)
        return list(known.values())

    def probe(self, dtype: str) -> float:
        """Measure the limit of multiply-adds again, on the first instruction set."""
        first = next(self._processes[one] for one in self.variants if one.is_own and one in self._processes)
        flops: float = first.ask("probe", dtype=dtype)["flops"]
        return flops

    def _greet(self, variant: Variant) -> None:
        try:
            self.versions[variant.implementation] = self._processes[variant].receive()["version"]
        except Died as died:
            self._broken[variant] = str(died)
            self._processes.pop(variant).close()

    def _prepare(self, problem: Problem, effort: Effort, found: dict[Variant, Measurement]) -> None:
        """All at the same time: nothing is timed yet, and the checks take the longest."""
        for variant, one in found.items():
            if variant not in self._processes and variant not in self._broken:  # it died of another problem
                self._processes[variant] = Process(variant, self.cpus)
                self._greet(variant)
            if variant in self._broken:
                one.cannot = f"does not start: {self._broken[variant]}"
            else:
                self._processes[variant].send("prepare", problem=problem.to_dict(), check=effort.check)
        for one in found.values():
            if not one.cannot:
                for name, value in self._receive(one).items():
                    setattr(one, name, value)

    def _ask(self, one: Measurement, do: str, **arguments: object) -> dict[str, object] | dict[str, float]:
        self._processes[one.variant].send(do, **arguments)
        return self._receive(one)

    def _receive(self, one: Measurement) -> dict[str, object]:
        """The answer; if there is none, the measurement says so, and its samples are void."""
        try:
            return self._processes[one.variant].receive()
        except Died as died:
            one.cannot, one.samples = str(died), []
            self._processes.pop(one.variant).close()
            return {}


def _rounds(seconds: float, effort: Effort) -> int:
    """As many as there is time for; calls longer than that are made once."""
    least = 1 if seconds > effort.seconds else LEAST_ROUNDS
    # Each comes with calls that are not timed, to warm up again.
    return max(min(least, effort.rounds), min(effort.rounds, int(effort.seconds / (2 * seconds))))
