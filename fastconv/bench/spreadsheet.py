"""A run as comma-separated values: one line a measurement, times in seconds."""

from __future__ import annotations

import csv
from pathlib import Path

from .results import Measurement, Result, Row
from .summary import Line, lines

__all__ = ["save"]

COLUMNS = (
    *("layer", "count", "op", "pass", "dtype", "layout", "batch", "descriptor", "threads"),
    *("implementation", "isa", "algorithm", "plan", "ran", "minimum", "median", "spread", "repeats", "samples"),
    *("gflops", "executed_gflops", "limit", "share_of_limit", "best_other", "ratio_to_best", "wrong", "cannot"),
)


def save(result: Result, path: str | Path) -> None:
    """Write the file."""
    own = {id(line.own): line for line in lines(result)}
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in result.rows:
            for one in row.measurements:
                writer.writerow([*_problem(row), *_measurement(one), *_standing(row, one, own.get(id(one)))])


def _problem(row: Row) -> list[object]:
    one = row.problem
    names = "; ".join(row.names)
    return [names, row.count, one.op, one.pass_name, one.dtype, one.layout, one.batch, one.descriptor, row.threads]


def _measurement(one: Measurement) -> list[object]:
    how = one.variant
    cells = [how.implementation, how.isa, how.algorithm, int(how.plan), one.ran] if how.is_own else [how.implementation]
    cells += [""] * (5 - len(cells))
    return [
        *cells,
        *((one.minimum, one.median, one.spread) if one.samples else ("",) * 3),
        one.repeats,
        len(one.samples),
    ]


def _standing(row: Row, one: Measurement, line: Line | None) -> list[object]:
    rate: object = row.problem.flops / one.minimum / 1e9 if one.samples else ""
    cells: list[object] = ["", "", "", "", ""]
    if line and line.own.samples:
        cells = [line.executed / 1e9, *((line.bound.limit, line.share) if line.bound else ("", ""))]
        cells += [line.best.variant.implementation, line.ratio] if line.best else ["", ""]
    return [rate, *cells, one.wrong, one.cannot]
