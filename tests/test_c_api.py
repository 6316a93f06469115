"""The C library as a C program sees it: its header, its symbols, every op against plain loops (c/*.c)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fastconv

ROOT = Path(__file__).resolve().parents[1]
HEADER = ROOT / "csrc" / "fastconv.h"
LIBRARY_FOLDER = Path(fastconv.__file__).parent / "lib"


def run(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}"
    return result.stdout


def tool(variable: str, name: str) -> list[str]:
    """A program of the tool chain, as the build would find it."""
    command = os.environ.get(variable, name).split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return command


def test_kernel_check(tmp_path: Path) -> None:
    program = tmp_path / "kernel_check"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{HEADER.parent}"]
    link = [f"-L{LIBRARY_FOLDER}", "-lfastconv", "-lm", f"-Wl,-rpath,{LIBRARY_FOLDER}"]
    run(*tool("CC", "cc"), *flags, *(ROOT / "tests" / "c").glob("*.c"), "-o", program, *link)
    output = run(program)
    print(output)
    assert re.search(r"^all \d+ checks passed$", output, re.MULTILINE)
    for isa in fastconv.runtime.instruction_sets():
        assert re.search(rf"^{isa} +[1-9]\d* checks$", output, re.MULTILINE), f"{isa} was not checked:\n{output}"


@pytest.mark.parametrize(("variable", "name", "language"), [("CC", "cc", "c"), ("CXX", "c++", "c++")])
def test_header_stands_alone(tmp_path: Path, variable: str, name: str, language: str) -> None:
    source = tmp_path / f"includes.{language}"
    source.write_text('#include "fastconv.h"\nint main(void) { return fc_abi_version() != FC_ABI_VERSION; }\n')
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{HEADER.parent}"]
    run(*tool(variable, name), *strict, "-x", language, source)


def test_library_exports_its_header_and_nothing_else() -> None:
    (library,) = LIBRARY_FOLDER.glob("libfastconv.*")
    symbols = run(*tool("NM", "nm"), "-D", "--defined-only", library)
    exported = {name for line in symbols.splitlines() if not (name := line.split()[-1]).startswith("_")}
    declared = set(re.findall(r"FC_API[\w\s*]*?\b(fc_\w+)\(", HEADER.read_text()))
    assert exported == declared
