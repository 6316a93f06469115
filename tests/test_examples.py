"""The gallery runs without warnings, and has the form that a page is made of."""

from __future__ import annotations

import ast
import gzip
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from in_processes import not_under

import fastconv

pytest.importorskip("matplotlib", reason="matplotlib is not installed: the examples are not run")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: the examples are not run")

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("plot_*.py"))
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
@not_under("asan", "tsan", reason="examples run what other tests sanitize")
def test_an_example_runs_without_warnings(example: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": path}
    environment.pop("DISPLAY", None)  # with one, matplotlib warns that Agg shows nothing on it
    command = [sys.executable, "-W", "error", str(example)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr  # raised where Python ignores it: while objects are deleted


def test_the_gallery_says_which_helpers_lie_beside_which_examples() -> None:
    text = (FOLDER / "README.rst").read_text()
    files = set(re.findall(r"\w+\.py", text))
    assert all((FOLDER / file).exists() for file in files)
    helped = {path.name for path in EXAMPLES if re.search(r"^from _", path.read_text(), re.MULTILINE)}
    assert helped | {"_data.py", "_lenet.py"} <= files


# ---- digits, and --idx


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The helper that reads digits."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("_data")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files as MNIST's, two packed and two not: seven digits to train on and five to test with, of 4x4 pixels."""
    for part, count in (("train", 7), ("t10k", 5)):
        images = np.arange(count * 16).reshape(count, 4, 4)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(count)))
    return tmp_path


@pytest.mark.parametrize("program", ["plot_templates.py", "lenet_digits.py"])
def test_idx_reads_a_folder(program: str, data: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [f"examples/{program}", "--idx", str(folder)])
    x, test_x, y, test_y = data.digits(4, most=6)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, np.arange(6 * 16).reshape(6, 1, 4, 4) / 255, rtol=1e-6)
    np.testing.assert_allclose(test_x, x[:5])
    assert y.tolist() == [0, 1, 2, 3, 4, 5]
    assert test_y.tolist() == [0, 1, 2, 3, 4]
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="no t10k-labels-idx"):
        data.digits(4)


@pytest.mark.parametrize(
    "argv", [["plot_templates.py"], ["ipykernel_launcher.py", "-f", "x"], ["a.py", "--seeds", "1"]]
)
def test_without_idx_digits_are_those_of_scikit_learn(
    argv: list[str], data: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)  # a script, a page of the gallery; a notebook; a program with other options
    assert sum(map(len, data.digits(8)[2:])) == 1797


@pytest.mark.parametrize("option", ["--id", "--idxs", "more"])
def test_misspelt_options_are_refused(
    option: str, data: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["plot_templates.py", option])
    with pytest.raises(SystemExit, match="2"):
        data.digits(8)
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err


def test_help_tells_what_an_example_is_and_takes() -> None:
    path = os.pathsep.join([str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(FOLDER / "plot_templates.py"), "--help"]
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": path}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True).stdout
    assert "Digits by matching filters" in told
    assert "--idx DIR" in told
