"""Every pass of every layer of the nets, by fastconv and by others: ``pytest bench --benchmark-only``.

Groups are layer and pass, so that implementations stand side by side. ``--net`` picks nets, ``--against`` the others,
``--threads`` their threads, ``-k conv1`` layers. Every result is checked. Each implementation runs in a process of its
own, as in ``python -m fastconv bench``; the times are those that it reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastconv.bench.passes import describe
from fastconv.bench.problem import PASSES, Problem
from fastconv.bench.processes import Process
from fastconv.bench.workloads import NETS, Conv, Pool

ROUNDS = 7


class Clock:
    """A timer that only moves by what a process says it took."""

    now = 0.0

    def __call__(self) -> float:
        """Read it."""
        return self.now


CLOCK = Clock()


def problems(nets: list[str]) -> dict[str, Problem]:
    """All passes of all layers, by name."""
    return {
        f"{net}-{layer.name}-{pass_name}": problem
        for net in nets
        for layer in NETS[net].layers
        if isinstance(layer, Conv | Pool)
        for pass_name in PASSES
        if (problem := Problem(layer, pass_name)).possible
    }


@pytest.mark.benchmark(timer=CLOCK)
def test_layer(
    benchmark: Any,
    start: Callable[[str], Process],
    problem: Problem,
    implementation: str,
    request: pytest.FixtureRequest,
) -> None:
    """Measure one pass of one layer by one implementation."""
    process = start(implementation)
    answer = process.ask("prepare", problem=problem.to_dict(), check=True)
    if answer.get("cannot"):
        pytest.skip(f"{implementation}: {answer['cannot']}")
    assert not answer["wrong"]
    process.ask("warm_up", cold=0)

    def sample() -> None:
        CLOCK.now += process.ask("round")["samples"][0]

    name = request.node.callspec.id.removesuffix(f"-{implementation}")
    benchmark.group = f"{name}: {describe(problem.layer)}"
    benchmark.extra_info["flops"] = problem.flops
    benchmark.pedantic(sample, rounds=ROUNDS)
