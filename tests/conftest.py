"""Hypothesis profiles, the instruction-set fixture, and the counts printed at the end of a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the reference's products are too small for NumPy's own threads

import hypothesis
import numpy as np
import pytest
from cases import AVAILABLE, ISAS

import fastconv

hypothesis.settings.register_profile("local", deadline=None, max_examples=150)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=150, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(params=AVAILABLE)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set this machine can run, in force during the test."""
    with fastconv.runtime._force_isa(request.param):
        yield request.param


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        if case is not None:
            item.user_properties.append(("case", (case.op, case.isa)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many cases of each op ran on each instruction set, and why anything was skipped."""
    write = terminalreporter.write_line
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    counts = Counter(value for report in reports for key, value in report.user_properties if key == "case")
    if counts:
        terminalreporter.section("cases of the table, by op and instruction set")
        write(f"{'op':<28}" + "".join(f"{isa:>10}" for isa in ISAS))
        for op in sorted({op for op, _ in counts}):
            write(f"{op:<28}" + "".join(f"{counts[op, isa] or '-':>10}" for isa in ISAS))
        write(f"{'in all':<28}{counts.total():>10}")
    skipped = Counter(
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    )
    if skipped:
        terminalreporter.section("skipped")
        for reason, count in skipped.most_common():
            write(f"{count:>5}  {reason}")
