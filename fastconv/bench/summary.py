"""What follows from a run: the speed of each of fastconv's measurements, its limit, how it stands to others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .results import Limits, Measurement, Result, Row, Variant
from .roofline import Bound, bound, executed_flops

__all__ = ["Differing", "Line", "closing", "lines", "noise", "peer_names", "variant_name"]

NOISY = 0.10
"""Median over minimum, in the median of all measurements, from which a run is called noisy."""
DRIFTED = 0.05
"""How much of the highest multiply-add limit may be missing from the lowest."""
BUSY = 0.10
"""Share of the CPUs that others may use before the run."""
STOLEN = 0.01
"""Share of the run that a hypervisor may give to others."""
MOST_NAMED = 12
"""Rows that lose, in the closing line; the table marks them all."""


@dataclass(frozen=True)
class Line:
    """One way to call fastconv on one problem."""

    row: Row
    own: Measurement
    bound: Bound | None
    """None if it was not measured."""
    nominal: float
    """Floating point operations a second, those counted that a plain convolution needs."""
    executed: float
    """Those counted that were done."""
    best: Measurement | None
    """The fastest other that was right."""

    @property
    def share(self) -> float:
        """Of the limit that binds it."""
        return self.bound.seconds / self.own.minimum if self.bound else math.nan

    @property
    def ratio(self) -> float:
        """How many times as fast as the best other; NaN without one."""
        return self.best.minimum / self.own.minimum if self.best and self.own.samples else math.nan

    def peer(self, name: str) -> Measurement | None:
        """The measurement of another implementation."""
        return next((one for one in self.row.measurements if one.variant.implementation == name), None)


def lines(result: Result) -> list[Line]:
    """Make a line of each of fastconv's measurements, in the order of the run."""
    limits = {(one.isa, one.threads): one for one in result.limits}
    cold = result.settings.get("cache") == "cold"
    found = []
    for row in result.rows:
        peers = [one for one in row.measurements if not one.variant.is_own and one.samples and not one.wrong]
        best = min(peers, key=lambda one: one.minimum, default=None)
        found += [
            _line(row, own, best, limits.get((own.variant.isa, row.threads)), cold)
            for own in row.measurements
            if own.variant.is_own and not own.cannot
        ]
    return found


def _line(row: Row, own: Measurement, best: Measurement | None, limits: Limits | None, cold: bool) -> Line:
    if not own.samples:
        return Line(row, own, None, math.nan, math.nan, best)
    executed = executed_flops(row.problem, own.ran) / own.minimum
    limit = bound(row.problem, own.ran, limits, cold) if limits else None
    return Line(row, own, limit, row.problem.flops / own.minimum, executed, best)


def peer_names(result: Result) -> list[str]:
    """The others that measured anything, in the order they were asked for."""
    names = (one.variant.implementation for row in result.rows for one in row.measurements if not one.variant.is_own)
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Differing:
    """What of a run is not the same in all its lines, and so must be shown in each."""

    passes: bool
    dtypes: bool
    layouts: bool
    batches: bool
    threads: bool
    isas: bool
    algorithms: bool
    plans: bool

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Differing:
        """Look at all rows."""
        problems = [row.problem for row in rows]
        own = [one.variant for row in rows for one in row.measurements if one.variant.is_own]

        def several(values: Iterable[object]) -> bool:
            return len(set(values)) > 1

        return cls(
            several(one.pass_name for one in problems),
            several(one.dtype for one in problems),
            several(one.layout for one in problems),
            several(one.batch for one in problems),
            several(row.threads for row in rows),
            several(one.isa for one in own),
            several(one.algorithm for one in own),
            several(one.plan for one in own),
        )

    def row(self, row: Row) -> str:
        """Name a row: its layer, and what else tells it from others."""
        problem = row.problem
        words = [
            row.names[0],
            problem.pass_name if self.passes else "",
            problem.dtype if self.dtypes else "",
            problem.layout if self.layouts else "",
            f"batch {problem.batch}" if self.batches else "",
            f"{row.threads} thread{'s' if row.threads > 1 else ''}" if self.threads else "",
        ]
        return " ".join(word for word in words if word)

    def variant(self, variant: Variant) -> str:
        """Name a way to call fastconv by what tells it from others; "" if there is but one."""
        words = [
            variant.isa if self.isas else "",
            variant.algorithm if self.algorithms else "",
            ("plan" if variant.plan else "function") if self.plans else "",
        ]
        return " ".join(word for word in words if word)


def variant_name(variant: Variant) -> str:
    """Name an implementation and all that was asked of it."""
    words = [variant.implementation]
    if variant.is_own:
        words += [variant.isa, variant.algorithm, "plan" if variant.plan else ""]
    return " ".join(word for word in words if word)


def closing(found: Sequence[Line], differing: Differing) -> list[str]:
    """Say how it ended: the geometric mean of the ratios, and the rows that lose."""
    told = []
    variants = list(dict.fromkeys(line.own.variant for line in found))
    for key in dict.fromkeys((one.threads, differing.variant(one)) for one in variants):
        mine = [line for line in found if (line.row.threads, differing.variant(line.own.variant)) == key]
        compared = [line for line in mine if not math.isnan(line.ratio)]
        if not compared:
            continue
        mean = statistics.geometric_mean(line.ratio for line in compared)
        losing = sorted((line for line in compared if line.ratio < 1), key=lambda line: line.ratio)
        threads, variant = key
        who = " ".join(["fastconv", variant] if variant else ["fastconv"])
        who += f" on {threads} thread{'s' if threads > 1 else ''}"
        text = f"{who}: {mean:.2f} times the speed of the best other (geometric mean of {len(compared)})"
        if losing:
            alone = replace(differing, threads=False)  # told before
            text += f"; slower in {len(losing)}: "
            text += ", ".join(f"{alone.row(line.row)} {line.ratio:.2f}" for line in losing[:MOST_NAMED])
            text += f" and {len(losing) - MOST_NAMED} more" if len(losing) > MOST_NAMED else ""
        else:
            text += "; slower in none"
        told.append(text)
    return told


def noise(result: Result, stolen: float = 0.0) -> list[str]:
    """Say what makes the figures doubtful."""
    told, machine = [], result.machine
    if machine.busy > BUSY:
        told.append(f"others used {100 * machine.busy:.0f} % of the CPUs before the run (load {machine.load:.1f})")
    elif machine.load > machine.cpus / 2:
        told.append(f"the load was {machine.load:.1f} on {machine.cpus} CPUs before the run")
    if machine.governor not in ("", "performance"):
        told.append(f"the frequency governor is {machine.governor}, not performance")
    if stolen > STOLEN:
        told.append(f"the hypervisor gave {100 * stolen:.0f} % of the time to other guests")
    for limits in result.limits:
        for dtype in limits.flops:
            probes = [one.flops for one in limits.probes if one.dtype == dtype]
            lost = 1 - min(probes) / max(probes) if probes else 0.0
            if lost > DRIFTED:
                told.append(
                    f"the frequency drifted, or others ran: the {dtype} multiply-add limit of {limits.threads} "
                    f"thread{'s' if limits.threads > 1 else ''} varied by {100 * lost:.0f} % in the run"
                )
    spreads = [one.spread for row in result.rows for one in row.measurements if len(one.samples) > 1]
    if spreads and statistics.median(spreads) > NOISY:
        told.append(f"samples scatter: the median lies {100 * statistics.median(spreads):.0f} % above the minimum")
    return told
