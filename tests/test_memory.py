"""Where memory ends: allocations fail one by one, that of many calls stays flat, scratch is what was promised."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from cases import PASSES
from in_processes import EVERYTHING, SHARE, compiled, linux_alone, no_sanitizer, run

CALLS = os.environ.get("FASTCONV_MEMORY_CALLS", "20000")
"""Of random shapes; the slow tier of CI makes 100,000."""

pytestmark = [linux_alone, no_sanitizer]


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled("allocations", tmp_path_factory.mktemp("hook"))


def faults(hook: str, *arguments: str) -> Any:
    return run("allocation_faults.py", *arguments, LD_PRELOAD=hook)


@pytest.mark.parametrize("stems", [("conv",), tuple(stem for stem in PASSES if stem != "conv")], ids=["conv", "others"])
def test_each_allocation_of_the_library_fails(hook: str, stems: tuple[str, ...]) -> None:
    share = SHARE if EVERYTHING else str(3 * int(SHARE))
    counted = faults(hook, "library", share, *stems)
    assert counted["failures"] > counted["calls"] / 3, "more than a third of all calls take scratch"


@pytest.mark.parametrize("whose", ["plans", "numpy", "python"])
def test_each_allocation_fails(hook: str, whose: str) -> None:
    if whose == "python":
        pytest.importorskip("_testcapi", reason="this Python has no hooks that let its allocations fail")
        if sys.version_info >= (3, 12):
            pytest.skip("whether this Python itself outlives failures of its allocations has not been tried")
    counted = faults(hook, whose)
    assert counted["failures"] > counted["calls"]


def test_scratch_is_what_was_promised(hook: str) -> None:
    counted = faults(hook, "scratch", SHARE)
    assert counted["calls"] > 1000
    assert counted["exactly"] == counted["calls"]


def test_scratch_of_other_ops_is_small(hook: str) -> None:
    assert faults(hook, "bounds", SHARE)["calls"] > 1000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc/self/statm")
def test_many_calls_of_random_shapes_stay_flat() -> None:
    """From half of the calls to the end; a leak of 160 bytes a call would show in 20,000."""
    told = run("random_calls.py", CALLS)
    assert told["grown"] < 3 << 19, f"{told['grown']} bytes more after {CALLS} calls: {told['sampled']}"
