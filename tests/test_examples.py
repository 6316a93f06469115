"""The gallery runs without warnings, and has the form that a page is made of."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

pytest.importorskip("matplotlib", reason="matplotlib is not installed: the examples are not run")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: the examples are not run")

EXAMPLES = sorted(Path(__file__).resolve().parents[1].glob("examples/plot_*.py"))
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def test_there_are_examples() -> None:
    assert EXAMPLES


@each
def test_an_example_has_a_title_an_introduction_and_cells_with_pictures(example: Path) -> None:
    source = example.read_text()
    title, underline, *text = (ast.get_docstring(ast.parse(source)) or "").splitlines()
    assert underline == "=" * len(title)
    assert any(text)
    cells = re.split(r"^# %%\n", source, flags=re.MULTILINE)[1:]
    assert cells
    assert all(re.match(r"# \S", cell) for cell in cells)  # each tells something before it does something
    assert "plt.show()" in source


@each
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="examples run what other tests sanitize")
def test_an_example_runs_without_warnings(example: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": path}
    environment.pop("DISPLAY", None)  # with one, matplotlib warns that Agg shows nothing on it
    command = [sys.executable, "-W", "error", str(example)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr  # raised where Python ignores it: while objects are deleted
