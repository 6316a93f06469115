"""No call reads or writes outside of its arrays: the table of cases between pages that may be neither read nor written.

The fast tier takes every seventh geometry; the slow one all, and then every kernel of every instruction set of this
machine must have been entered.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest
from cases import AVAILABLE
from in_processes import EVERYTHING, SHARE, TESTS, compiled, linux_alone, no_sanitizer, run

GROUPS = (
    ("conv",),
    ("conv_transpose", "max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool"),
    ("channel_max_pool", "local_response_norm", "patches", "pad"),
)
WINOGRAD_TRANSFORMS = ("input", "filter", "output", "grad_output", "grad_filter")
ONLY_MEASURED = {"fma_rounds", "add_row"}
"""Kernels that no op calls."""

pytestmark = [linux_alone, no_sanitizer]


def kernels() -> set[str]:
    """The rows of kernel_list.inc, the tiles, and the transforms of each of Winograd's forms."""
    folder = TESTS.parent / "csrc" / "kernels"
    listed = set(re.findall(r"^FC_KERNEL\((\w+)", (folder / "kernel_list.inc").read_text(), re.MULTILINE))
    forms = re.findall(r"^FC_WINOGRAD_(\w+)\((\w+)", (folder / "winograd_forms.inc").read_text(), re.MULTILINE)
    kinds = {"FORM": WINOGRAD_TRANSFORMS, "TRANSPOSED": WINOGRAD_TRANSFORMS[:3]}
    transforms = {f"winograd_{kind}_{form}" for row, form in forms for kind in kinds[row]}
    return listed - ONLY_MEASURED | transforms | {"gemm_tile", "dot_tile", "winograd_tile"}


def test_no_access_outside_of_the_arrays(tmp_path: Path) -> None:
    entered: dict[str, bool] = {}
    tracer = compiled("entered", tmp_path) if EVERYTHING and platform.machine() == "x86_64" else "-"
    for group in GROUPS:
        progress = tmp_path / "progress"
        result = run("guard_pages.py", "cases", str(progress), tracer, SHARE, *group, progress=progress)
        assert result["calls"] > 500
        entered |= {name: entered.get(name, False) or here for name, here in result["entered"].items()}
    if tracer != "-":
        met = {re.sub(r"(?<=_tile)_\dx\d(?=_f)", "", name) for name, here in entered.items() if here}
        wanted = {f"fc_{kernel}_{dtype}_{isa}" for kernel in kernels() for dtype in ("f32", "f64") for isa in AVAILABLE}
        assert wanted <= met, f"never entered: {sorted(wanted - met)}"


@pytest.mark.parametrize(("side", "offset"), [("end", 1), ("begin", -1)])
def test_a_step_outside_is_met_with_a_signal(side: str, offset: int) -> None:
    """That the pages are where they should be: what the test above relies on."""
    with pytest.raises(AssertionError, match=rf"touch {side} {offset}: -11\n"):
        run("guard_pages.py", "touch", side, str(offset))
