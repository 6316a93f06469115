"""Writes csrc/kernels/winograd_points.inc: the constants of the Winograd transforms, by exact rational arithmetic.

    python csrc/winograd_points.py            # write the file
    python csrc/winograd_points.py --check    # exit 1 if the file is not what would be written

Points and matrices: fastconv/reference/winograd.py, read from its file, so that nothing need be built. The points are 0
and pairs +-p, so that all three matrices split into even and odd halves, which is all that the kernels use
(csrc/kernels/winograd_form.inc).
"""

from __future__ import annotations

import runpy
import sys
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "csrc" / "kernels" / "winograd_points.inc"
WINOGRAD = runpy.run_path(str(ROOT / "fastconv" / "reference" / "winograd.py"))


def table(name: str, meaning: str, rows: list[list[Fraction]]) -> list[str]:
    """An array of arrays, with its exact values above it."""
    exact = "; ".join(", ".join(map(str, row)) for row in rows)
    values = ", ".join("{" + ", ".join(repr(float(value)) for value in row) + "}" for row in rows)
    return [
        f"/* {meaning}: {exact} */",
        f"static const double fc_winograd_{name}[{len(rows)}][{len(rows[0])}] = {{{values}}};",
    ]


def constants(outputs: int, taps: int) -> list[str]:
    """The tables of one form."""
    if not WINOGRAD["is_exact"](outputs, taps):
        raise ArithmeticError(f"the matrices of F({outputs}, {taps}) are wrong")
    at, g, bt = WINOGRAD["matrices"](outputs, taps)
    form, pairs = f"f{outputs}x{taps}", (outputs + taps - 2) // 2
    plus = [1 + 2 * p for p in range(pairs)]  # rows of the positive points
    others = [bt[row][2::2] for row in plus]  # of x (x + p) times them, even powers
    return [
        f"/* ---- F({outputs}, {taps}): points 0, {', '.join(f'+-{at[1][row]}' for row in plus)}, infinity ---- */",
        *table(f"{form}_whole", "coefficients of the product of all x - p^2, from the constant up", [bt[0][::2]]),
        *table(f"{form}_others", "the same without one pair", others),
        *table(f"{form}_filter", "rows of G: of 0, and of each +p", [g[row] for row in [0, *plus]]),
        *table(f"{form}_power", "powers of each +p", [[at[k][row] for k in range(outputs)] for row in plus]),
    ]


def text() -> str:
    """The file."""
    lines = [
        "/* Written by csrc/winograd_points.py, which explains it; not to be edited. */",
        "/* clang-format off */",
    ]
    for outputs, taps, stride in WINOGRAD["FORMS"]:
        if stride == 1:  # else all are 1
            lines += constants(outputs, taps)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(TARGET.read_text() != text())
    TARGET.write_text(text())
