"""The C library as a C program sees it: its header, its symbols, every op against plain loops (c/*.c, fuzz/*.c)."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

ROOT = Path(__file__).resolve().parents[1]
HEADER = ROOT / "csrc" / "fastconv.h"
LIBRARY_FOLDER = Path(fastconv.get_library()).parent


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


def test_what_the_fuzzer_found_of_interest(tmp_path: Path) -> None:
    """The corpus of .ci/fuzz, without its sanitizers: refusals, results against plain loops, gaps."""
    program, corpus = tmp_path / "replay", sorted((ROOT / "tests" / "fuzz" / "corpus").iterdir())
    sources = sorted({*(ROOT / "tests" / "fuzz").glob("*.c")} - {ROOT / "tests" / "fuzz" / "threads.c"})
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{HEADER.parent}"]
    link = [f"-L{LIBRARY_FOLDER}", "-lfastconv", "-lm", f"-Wl,-rpath,{LIBRARY_FOLDER}"]
    run(*tool("CC", "cc"), *flags, *sources, "-o", program, *link)
    assert run(program, *corpus) == f"{len(corpus)} inputs\n"


# ---- headers

INCLUDES = """
#include "fastconv.h"
#include "fastconv.h"
int main(void) {
    fc_options options = FC_OPTIONS_INIT;
    fc_conv_params conv = FC_CONV_PARAMS_INIT;
    fc_pool_params pool = FC_POOL_PARAMS_INIT;
    fc_lrn_params lrn = FC_LRN_PARAMS_INIT;
    fc_conv_choice choice = FC_CONV_CHOICE_INIT;
    fc_options_init(&options);
    fc_conv_params_init(&conv);
    fc_pool_params_init(&pool);
    fc_lrn_params_init(&lrn);
    fc_conv_choice_init(&choice);
    return fc_abi_version() != FC_ABI_VERSION || options.struct_size != sizeof options;
}
"""


@pytest.mark.parametrize("compiler", ["cc", "gcc", "clang", "c++", "g++", "clang++"])
def test_header_stands_alone(tmp_path: Path, compiler: str) -> None:
    (command,) = tool("", compiler)
    cpp = compiler.endswith("++")
    source = tmp_path / ("includes.cpp" if cpp else "includes.c")
    source.write_text(INCLUDES)
    for standard in ("c++11", "c++17") if cpp else ("c99", "c11"):
        strict = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        run(command, *strict, f"-I{HEADER.parent}", source)


def declared(header: str) -> set[str]:
    return set(re.findall(r"FC_API[\w\s*]*?\b(fc_\w+)\(", (ROOT / "csrc" / header).read_text()))


def test_library_exports_its_headers_and_nothing_else() -> None:
    symbols = run(*tool("NM", "nm"), "-D", "--defined-only", fastconv.get_library())
    exported = {name for line in symbols.splitlines() if not (name := line.split()[-1]).startswith("_")}
    public, private = declared("fastconv.h"), declared("fastconv_private.h")
    assert exported == public | private
    assert not public & private


def test_library_needs_no_python() -> None:
    symbols = run(*tool("NM", "nm"), "-D", "--undefined-only", fastconv.get_library()).split()
    assert not [symbol for symbol in symbols if symbol.lstrip("_").startswith("Py")]


def test_the_installed_header_is_this_one_alone() -> None:
    (installed,) = Path(fastconv.get_include()).iterdir()
    assert installed.read_text() == HEADER.read_text()


def test_cython_declares_the_public_header() -> None:
    text = (ROOT / "fastconv" / "_core.pxd").read_text()
    inline = {f"fc_{name}_init" for name in ("options", "conv_params", "pool_params", "lrn_params", "conv_choice")}
    assert set(re.findall(r"\b(fc_\w+)\(", text)) == declared("fastconv.h") | inline
    numbers = re.findall(r"^    (FC_\w+)[ ,]", HEADER.read_text(), re.MULTILINE)  # enumerators, one a line
    assert {number for number in numbers if not number.endswith("MODES")} <= set(re.findall(r"FC_\w+", text))


# ---- versions


def test_the_header_has_the_version_of_the_package() -> None:
    library = ctypes.CDLL(fastconv.get_library())
    library.fc_version_string.restype = ctypes.c_char_p
    assert library.fc_version_string().decode() == fastconv.__version__
    numbers = dict(re.findall(r"#define FC_VERSION_(MAJOR|MINOR|PATCH) (\d+)", HEADER.read_text()))
    assert re.findall(r"\d+", fastconv.__version__)[:3] == [numbers[name] for name in ("MAJOR", "MINOR", "PATCH")]


def test_a_library_of_another_abi_is_refused_at_import(tmp_path: Path) -> None:
    package = tmp_path / "fastconv"
    shutil.copytree(Path(fastconv.__file__).parent, package)
    stub = tmp_path / "stub.c"
    names = declared("fastconv.h") | declared("fastconv_private.h")
    stub.write_text("".join(f"int {name}(void) {{ return 99; }}\n" for name in sorted(names)))
    library = package / "lib" / Path(fastconv.get_library()).name
    library.unlink()
    run(*tool("CC", "cc"), "-shared", "-fPIC", f"-Wl,-soname,{library.name}", stub, "-o", library)
    command = [sys.executable, "-c", "import fastconv"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: fastconv._core was compiled for ABI version 1 ")
    assert "version 99" in last


@pytest.mark.skipif(sys.platform != "linux", reason="LD_LIBRARY_PATH is for the loader of Linux")
def test_the_library_beside_the_module_comes_before_those_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "libfastconv.so").write_text("not a library")
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", "import fastconv"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
