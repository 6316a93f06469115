"""Writes csrc/kernels/winograd_points.inc: the constants of the Winograd transforms, by exact rational arithmetic.

    python csrc/winograd_points.py            # write the file
    python csrc/winograd_points.py --check    # exit 1 if the file is not what would be written

Points and matrices: fastconv/reference/winograd.py, read from its file, so that nothing need be built. The points are 0
and pairs +-p, so that all three matrices split into even and odd halves, which is all that the kernels use: their only
constants are powers of the p, sums and products of their squares, and the norms of G.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "csrc" / "kernels" / "winograd_points.inc"
WINOGRAD = runpy.run_path(str(ROOT / "fastconv" / "reference" / "winograd.py"))


def text() -> str:
    """The file, with each constant's exact value beside it."""
    a, b = WINOGRAD["PAIRS"]
    if not (WINOGRAD["is_exact"](4, 3) and WINOGRAD["is_exact"](2, 5)):
        raise ArithmeticError("the matrices are wrong")
    constants = {
        "FC_WINOGRAD_A": a,
        "FC_WINOGRAD_B": b,
        "FC_WINOGRAD_AA": a**2,
        "FC_WINOGRAD_BB": b**2,
        "FC_WINOGRAD_AAA": a**3,
        "FC_WINOGRAD_BBB": b**3,
        "FC_WINOGRAD_AAAA": a**4,
        "FC_WINOGRAD_BBBB": b**4,
        "FC_WINOGRAD_SUM": a**2 + b**2,
        "FC_WINOGRAD_PRODUCT": a**2 * b**2,
        "FC_WINOGRAD_NORM_0": 1 / (a**2 * b**2),
        "FC_WINOGRAD_NORM_A": 1 / (2 * a**2 * (a**2 - b**2)),
        "FC_WINOGRAD_NORM_B": 1 / (2 * b**2 * (b**2 - a**2)),
    }
    _, g, _ = WINOGRAD["matrices"](4, 3)
    if [g[0][0], g[1][0], g[3][0]] != [constants[f"FC_WINOGRAD_NORM_{p}"] for p in "0AB"]:
        raise ArithmeticError("the norms are wrong")
    lines = [
        "/* Written by csrc/winograd_points.py, which explains it; not to be edited.",
        f" * Points 0, +-a, +-b and infinity with a = {a}, b = {b}. */",
        "/* clang-format off */",
    ]
    lines += [f"#define {name} {float(value)!r} /* {value} */" for name, value in constants.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(TARGET.read_text() != text())
    TARGET.write_text(text())
