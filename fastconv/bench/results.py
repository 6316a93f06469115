"""What a run of the benchmark found, as dataclasses, and the way to JSON and back; see docs/bench_schema.md.

Only what was measured is kept: every sample, in seconds a call. What follows from it (`roofline.py`, `summary.py`) is
computed by whoever shows it, so that an old file can be read by new rules.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .machine import Machine
from .problem import Problem

__all__ = ["SCHEMA_VERSION", "Level", "Limits", "Measurement", "Probe", "Result", "Row", "Variant", "load", "save"]

SCHEMA_VERSION = 1
"""Counts up when a field changes its meaning or goes; new fields alone do not count."""


@dataclass(frozen=True)
class Variant:
    """An implementation, and how it is run: one process."""

    implementation: str
    threads: int
    isa: str = ""
    """Of fastconv; others choose for themselves."""
    algorithm: str = "auto"
    """What fastconv was asked for."""
    plan: bool = False
    """Whether fastconv's plans are called in place of its functions."""

    @property
    def is_own(self) -> bool:
        """Whether it is fastconv."""
        return self.implementation == "fastconv"


@dataclass
class Measurement:
    """One implementation on one problem."""

    variant: Variant
    samples: list[float] = field(default_factory=list)
    """Seconds a call: one sample is `repeats` calls in a row. Empty if it could not be measured."""
    repeats: int = 0
    ran: str = ""
    """The algorithm that fastconv chose."""
    reason: str = ""
    """Why it chose it."""
    wrong: str = ""
    """What is wrong with the result; empty if it is right."""
    cannot: str = ""
    """Why the implementation has no such problem; empty if it has."""

    @property
    def minimum(self) -> float:
        """The shortest sample: what ratios are made of."""
        return min(self.samples)

    @property
    def median(self) -> float:
        """Of the samples."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """How far the median lies above the minimum, as a share of it."""
        return self.median / self.minimum - 1


@dataclass
class Row:
    """A problem on some number of threads, and everyone's measurements of it."""

    problem: Problem
    names: list[str]
    """Of the layers that are this problem, each with its net."""
    count: int
    """How often the nets that were asked for have it."""
    threads: int
    measurements: list[Measurement] = field(default_factory=list)


@dataclass
class Level:
    """A place of the memory hierarchy, and how fast all threads together copy there."""

    name: str
    """L1, L2, L3 or memory."""
    capacity: int
    """Bytes that all threads together can keep there; 0 if there is no bound."""
    bandwidth: float
    """Bytes a second, read and written."""


@dataclass
class Probe:
    """The limit of multiply-adds, measured again between problems: shows drifting frequencies."""

    seconds: float
    """After the start of the run."""
    dtype: str
    flops: float


@dataclass
class Limits:
    """What the cores can do at most, by fastconv's own kernels in the same run."""

    threads: int
    isa: str
    flops: dict[str, float]
    """Floating point operations a second of multiply-adds in registers, two each, by dtype."""
    levels: list[Level]
    """Nearest first."""
    probes: list[Probe] = field(default_factory=list)

    def peak(self, dtype: str) -> float:
        """The most operations a second that were seen at any time of the run."""
        return max([self.flops[dtype], *(one.flops for one in self.probes if one.dtype == dtype)])


@dataclass
class Result:
    """A run."""

    command: str
    started: str
    """In ISO 8601 with the offset from UTC."""
    machine: Machine
    settings: dict[str, Any] = field(default_factory=dict)
    """Rounds, seconds, cache and what else the command line said."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the implementations that ran."""
    missing: dict[str, str] = field(default_factory=dict)
    """Of those asked for: the line that installs them."""
    limits: list[Limits] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0
    schema_version: int = SCHEMA_VERSION

    @property
    def wrong(self) -> bool:
        """Whether any result was wrong."""
        return any(one.wrong for row in self.rows for one in row.measurements)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; the statistics of the samples stand beside them for other readers."""
        told = dataclasses.asdict(self)
        for row, told_row in zip(self.rows, told["rows"], strict=True):
            told_row["problem"] = row.problem.to_dict()
            told_row["key"] = row.problem.key
            told_row["flops"], told_row["bytes"] = row.problem.flops, row.problem.bytes
            for one, told_one in zip(row.measurements, told_row["measurements"], strict=True):
                if one.samples:
                    told_one |= {"minimum": one.minimum, "median": one.median, "spread": one.spread}
        return {"schema_version": told.pop("schema_version")} | told

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Result:
        """From what `to_dict` made, after its way through JSON."""
        if not isinstance(told, dict):
            raise ValueError("it is no JSON object")
        if told.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {told.get('schema_version')!r}; this fastconv reads {SCHEMA_VERSION}")
        result: Result = _known(cls, told)
        result.machine = Machine.from_dict(told["machine"])
        result.limits = [_limits(one) for one in told["limits"]]
        result.rows = [_row(one) for one in told["rows"]]
        return result


def _known(cls: Any, told: dict[str, Any]) -> Any:
    """Make a dataclass of those entries that are its fields."""
    names = {one.name for one in dataclasses.fields(cls)}
    return cls(**{name: value for name, value in told.items() if name in names})


def _limits(told: dict[str, Any]) -> Limits:
    limits: Limits = _known(Limits, told)
    limits.levels = [_known(Level, one) for one in told["levels"]]
    limits.probes = [_known(Probe, one) for one in told["probes"]]
    return limits


def _row(told: dict[str, Any]) -> Row:
    row: Row = _known(Row, told)
    row.problem = Problem.from_dict(told["problem"])
    row.measurements = []
    for one in told["measurements"]:
        measurement: Measurement = _known(Measurement, one)
        measurement.variant = _known(Variant, one["variant"])
        row.measurements.append(measurement)
    return row


def save(result: Result, path: str | Path) -> None:
    """Write a run as JSON."""
    Path(path).write_text(json.dumps(result.to_dict(), indent=1) + "\n", encoding="utf-8")


def load(path: str | Path) -> Result:
    """Read a run that `save` wrote; ValueError says what is wrong with the file."""
    try:
        return Result.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        detail = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is no result of this benchmark: {detail}") from error
