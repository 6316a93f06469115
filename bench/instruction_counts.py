"""Guard against slower kernels that no noise can hide or fake: instructions counted by callgrind, against a record.

    python bench/instruction_counts.py            # compare; exit 1 where a count grew by more than 3 %
    python bench/instruction_counts.py --record   # write what is counted into instruction_counts.json

Needs valgrind, a C compiler and a built fastconv. Counts belong to one compiler and instruction set, which key the
record; where there is none for this compiler, that is said and nothing is compared.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fastconv

HERE = Path(__file__).resolve().parent
RECORD = HERE / "instruction_counts.json"
TOLERANCE = 0.03
PROBLEM = re.compile(r"^\s*([\d,]+)\s.*:counted_(\w+)", re.MULTILINE)


def run(*command: str, folder: Path | None = None) -> str:
    """Run a program; its output, or an end with what it said."""
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def count(compiler: str, folder: Path) -> tuple[str, dict[str, int]]:
    """Return the instruction set, and the instructions of each problem."""
    library = Path(fastconv.__file__).parent / "lib"
    program = folder / "instruction_counts"
    run(
        *(compiler, "-O1", "-g", "-std=gnu11", f"-I{HERE.parent / 'csrc'}", str(HERE / "instruction_counts.c")),
        *("-o", str(program), f"-L{library}", "-lfastconv", f"-Wl,-rpath,{library}"),
    )
    out = folder / "callgrind.out"
    isa = run("valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", str(program)).strip()
    listed = run("callgrind_annotate", "--inclusive=yes", "--threshold=100", str(out))
    return isa, {name: int(number.replace(",", "")) for number, name in PROBLEM.findall(listed)}


def main() -> int:
    """Compare or record; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the counts instead of comparing them")
    parser.add_argument("--compiler", default="cc", help="the one fastconv was built with (default: cc)")
    args = parser.parse_args()
    for tool in ("valgrind", "callgrind_annotate", args.compiler):
        if shutil.which(tool) is None:
            print(f"instruction counts are not compared: {tool} is not installed")
            return 0
    with tempfile.TemporaryDirectory() as folder:
        isa, counts = count(args.compiler, Path(folder))
    key = f"{run(args.compiler, '--version').splitlines()[0]}, {isa}"
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if args.record:
        record[key] = counts
        RECORD.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
        print(f"recorded {len(counts)} counts for {key}")
        return 0
    if key not in record:
        print(f"instruction counts are not compared: there is no record for {key}")
        return 0
    print(f"{key}\n{'problem':28}{'instructions':>14}{'recorded':>14}{'change':>9}")
    grown = 0
    for name, number in sorted(counts.items()):
        before = record[key].get(name)
        change = number / before - 1 if before else 0.0
        grown += change > TOLERANCE
        verdict = "  GREW" if change > TOLERANCE else "  new" if before is None else ""
        print(f"{name:28}{number:>14,}{before or 0:>14,}{100 * change:>+8.2f}%{verdict}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
