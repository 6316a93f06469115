"""What all of `fastconv.interop` has in common, whichever libraries are installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("autograd", "dask", "jax", "keras", "onnx", "torch")
IMPORT = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
try:
    import fastconv.interop.{module}
except ImportError as error:
    print(type(error).__name__, error.name, error, sep="|")
"""


def told(module: str, missing: str, folder: Path) -> list[str]:
    """The type, the name and the message of the error."""
    command = [sys.executable, "-c", IMPORT.format(module=module, missing=missing)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return result.stdout.strip().split("|")


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_library_that_is_not_installed(extra: str, tmp_path: Path) -> None:
    message = (
        f"fastconv.interop.{extra}: no module named {extra!r}; needs the package {extra}: "
        f'pip install "fastconv[{extra}]"'
    )
    assert told(extra, extra, tmp_path) == ["ModuleNotFoundError", extra, message]


def test_what_keras_imports(tmp_path: Path) -> None:
    """JAX belongs to the extra; what else a library misses is told in its own words."""
    (tmp_path / "keras.py").write_text("import jax")
    kind, name, message = told("keras", "jax", tmp_path)
    assert (kind, name) == ("ModuleNotFoundError", "jax")
    assert message.endswith('needs the package jax: pip install "fastconv[keras]"')
    (tmp_path / "keras.py").write_text("import tensorflow")
    kind, name, message = told("keras", "tensorflow", tmp_path)
    assert (kind, name) == ("ModuleNotFoundError", "tensorflow")
    assert "fastconv" not in message


def test_every_module_has_an_extra_and_a_line_in_the_table() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "interop.md").read_text()
    modules = {path.stem for path in (ROOT / "fastconv" / "interop").iterdir() if path.stem[0].isalpha()}
    assert modules == set(EXTRAS)
    for extra in EXTRAS:
        assert extra in extras
        (row,) = [line for line in page.splitlines() if line.startswith("|") and f"`fastconv.interop.{extra}`" in line]
        assert f'`pip install "fastconv[{extra}]"`' in row
        floor = next(need for need in extras[extra] if need.startswith(extra)).partition(">=")[2]
        assert f"{extra} {floor}" in row.lower().replace("pytorch", "torch")
