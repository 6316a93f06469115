"""``python -m fastconv bench compare OLD.json NEW.json``: what got faster or slower beyond the noise of both runs."""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import dataclass
from typing import Any

from .results import Measurement, Result, Row, load
from .summary import variant_name
from .table import Table

__all__ = ["Change", "add_command", "changes", "run"]

LEAST_NOISE = 0.02
"""Below this no two runs are the same, however little their samples scatter."""


@dataclass(frozen=True)
class Change:
    """One way to call fastconv on one problem, in two runs."""

    name: str
    old: Measurement
    new: Measurement

    @property
    def factor(self) -> float:
        """Old time over new: above 1 it got faster."""
        return self.old.minimum / self.new.minimum

    @property
    def noise(self) -> float:
        """What a factor may be off by, as a share: the spreads of both runs together."""
        return max(LEAST_NOISE, math.hypot(self.old.spread, self.new.spread))

    def beyond(self, tolerance: float) -> int:
        """Tell -1 if it got slower beyond noise and tolerance, 1 if faster, else 0."""
        margin = 1 + max(tolerance, self.noise)
        return -1 if self.factor < 1 / margin else 1 if self.factor > margin else 0


def add_command(commands: Any) -> None:
    """Declare the command and its arguments."""
    text = "what got faster or slower from one JSON file to another, beyond the noise; fails on a regression"
    parser = commands.add_parser("compare", help=text, description=text)
    parser.add_argument("old", metavar="OLD.json")
    parser.add_argument("new", metavar="NEW.json")
    text = "percent that fastconv may get slower by; default: 5. Noise beyond that is allowed for in any case"
    parser.add_argument("--tolerance", type=float, default=5.0, metavar="PERCENT", help=text)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the changes; 1 if anything got slower or wrong, 2 if the files cannot be compared."""
    try:
        old, new = load(args.old), load(args.new)
        if not args.tolerance >= 0:
            raise ValueError(f"--tolerance is {args.tolerance}; needs a number from 0")
        found = changes(old, new)
    except (ValueError, OSError) as error:
        print(f"python -m fastconv bench compare: {error}", file=sys.stderr)
        return 2
    if old.machine.describe() != new.machine.describe():
        print(f"two machines: {old.machine.describe()}\n              {new.machine.describe()}")
    for text in [*_drifts(old, new), *(f"doubt, in the new run: {text}" for text in new.warnings)]:
        print(text)
    tolerance = args.tolerance / 100
    shown = sorted((one for one in found if one.beyond(tolerance)), key=lambda one: one.factor)
    if shown:
        width = max(len(one.name) for one in shown)
        table = Table(**{"problem": width, "old/us": -10, "new/us": -10, "times": -6, "noise": -6, "verdict": 7})
        table.header()
        for one in shown:
            times = (f"{1e6 * one.old.minimum:.1f}", f"{1e6 * one.new.minimum:.1f}", f"{one.factor:.2f}")
            said = "SLOWER" if one.beyond(tolerance) < 0 else "faster"
            table.row(one.name, *times, f"{100 * one.noise:.0f} %", said)
    slower = sum(one.beyond(tolerance) < 0 for one in found)
    faster = len(shown) - slower
    wrong = [text for row in new.rows for text in _wrong(row)]
    for text in wrong:
        print(f"WRONG {text}")
    mean = statistics.geometric_mean(one.factor for one in found)
    print(
        f"{len(found)} compared: {faster} faster, {slower} slower, {len(found) - len(shown)} the same within "
        f"{args.tolerance:g} % or noise; {mean:.3f} times the speed (geometric mean)"
    )
    return 1 if slower or wrong else 0


def changes(old: Result, new: Result) -> list[Change]:
    """Match fastconv's measurements of two runs; ValueError if they have none in common."""
    before = _by_key(old)
    found = []
    for key, (name, one) in _by_key(new).items():
        if key in before:
            found.append(Change(name, before[key][1], one))
    if not found:
        raise ValueError("the files have no measurement in common")
    return found


def _by_key(result: Result) -> dict[tuple[object, ...], tuple[str, Measurement]]:
    found: dict[tuple[object, ...], tuple[str, Measurement]] = {}
    for row in result.rows:
        for one in row.measurements:
            if one.variant.is_own and one.samples:
                key = (row.problem.key, one.variant, result.settings.get("cache"))
                found[key] = (f"{_name(row)} {variant_name(one.variant)}", one)
    return found


def _name(row: Row) -> str:
    problem = row.problem
    return f"{row.names[0]} {problem.pass_name} {problem.dtype} {problem.layout} batch {problem.batch} x{row.threads}"


def _wrong(row: Row) -> list[str]:
    return [f"{_name(row)}: {one.wrong}" for one in row.measurements if one.variant.is_own and one.wrong]


def _drifts(old: Result, new: Result) -> list[str]:
    """Where the multiply-add limits of the runs differ, times do too, whatever the code is."""
    before = {(one.isa, one.threads): one for one in old.limits}
    pairs = [(before[now.isa, now.threads], now) for now in new.limits if (now.isa, now.threads) in before]
    return [
        f"the multiply-add limit ({now.isa}, {dtype}, {now.threads} threads) went from {then.peak(dtype) / 1e9:.0f} to "
        f"{now.peak(dtype) / 1e9:.0f} GFLOP/s: the machine changed too"
        for then, now in pairs
        for dtype in now.flops
        if dtype in then.flops and abs(now.peak(dtype) / then.peak(dtype) - 1) > LEAST_NOISE
    ]
