"""Programs of this folder that run in a process of their own: what they look for may kill it, or change all of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fastconv

TESTS = Path(__file__).resolve().parent
SHARE = os.environ.get("FASTCONV_MEMORY_SHARE", "7")
"""Every so many cases of the table are run; the slow tier of CI runs all."""
EVERYTHING = SHARE == "1"


def not_under(*sanitizers: str, reason: str) -> pytest.MarkDecorator:
    """`sanitizers`: asan or tsan, which .ci/sanitize loads before Python."""
    loaded = os.environ.get("LD_PRELOAD", "")
    return pytest.mark.skipif(any(sanitizer in loaded for sanitizer in sanitizers), reason=reason)


linux_alone = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux and the GNU C library")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
no_sanitizer = not_under("asan", "tsan", reason="a sanitizer has an allocator and handlers of its own")
no_threads_of_forks = not_under("tsan", reason="ThreadSanitizer ends the child of a fork that starts a thread")
no_shell = not_under("tsan", reason="a shell does not start with ThreadSanitizer before it")


def compiled(name: str, folder: Path) -> str:
    """The C source c_inside/`name`.c as a library that can be loaded into a process."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler: what is done inside of a process cannot be compiled")
    library = folder / f"{name}.so"
    options = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, TESTS / "c_inside" / f"{name}.c", "-o", library], check=True)
    return str(library)


def run(program: str, *arguments: str, progress: Path | None = None, **environment: str) -> Any:
    """What the last line of a program of this folder says; `progress` is a file that tells how far it has come."""
    done = subprocess.run(
        [sys.executable, TESTS / program, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(fastconv.__file__).parents[1])} | environment,
    )
    came = f"\nat {progress.read_text().strip()}" if progress is not None and progress.exists() else ""
    assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.returncode}{came}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])
