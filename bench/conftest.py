"""Options of ``pytest bench``, and the processes that it measures with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastconv.bench.measure import installed
from fastconv.bench.peers import FAST, PEERS
from fastconv.bench.processes import Died, Process
from fastconv.bench.results import Variant

Starter = Callable[[str], Process]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare them."""
    group = parser.getgroup("fastconv")
    group.addoption("--net", nargs="+", default=["lenet5", "alexnet"], metavar="NET", help="nets to measure")
    text = f"others to measure, of {' '.join(PEERS)}; default: {' '.join(FAST)}"
    group.addoption("--against", nargs="*", choices=tuple(PEERS), default=FAST, metavar="NAME", help=text)
    group.addoption("--threads", type=int, default=1, metavar="N", help="default: 1")


@pytest.fixture(scope="session")
def start(pytestconfig: pytest.Config) -> Iterator[Starter]:
    """Give the process of an implementation; all end with the session."""
    running: dict[str, Process] = {}

    def get(name: str) -> Process:
        if not installed(name):
            pytest.skip(f"{name} is not installed: {PEERS[name].pip}")
        if name not in running:
            process = Process(Variant(name, pytestconfig.getoption("threads")), [])
            try:
                process.receive()
            except Died as died:
                process.close()
                pytest.skip(f"{name} does not start: {died}")
            running[name] = process
        return running[name]

    yield get
    for process in running.values():
        process.close()


def pytest_generate_tests(metafunc: Any) -> None:
    """One test for each layer, pass and implementation."""
    if {"problem", "implementation"} <= set(metafunc.fixturenames):
        names = ["fastconv", *metafunc.config.getoption("against")]
        problems = metafunc.module.problems(metafunc.config.getoption("net"))
        metafunc.parametrize("problem", list(problems.values()), ids=list(problems))
        metafunc.parametrize("implementation", names)
