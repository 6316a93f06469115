"""The pages of docs/: what they show runs, what they name exists, and the reference has every public name."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS, PACKAGE = ROOT / "docs", ROOT / "fastconv"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", ["tutorial.md", "howto.md"])
def test_examples_run(page: str) -> None:
    blocks = re.findall(r"^```pycon\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, str(DOCS / page), 0)
    assert not doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples).failed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    if not (ROOT / ".ci").exists():
        pytest.skip("source distributions have no .ci, and pages name it")
    for path in re.findall(r"`((?:csrc|docs|examples|fastconv|tests|bench|\.ci)/[\w./*-]+)`", page.read_text()):
        made_by_the_build = path.startswith(("fastconv/lib", "fastconv/include", "docs/_build"))
        assert made_by_the_build or any(ROOT.glob(path.rstrip("/"))), path


# ---- the reference


def public(path: Path) -> set[str]:
    """What `__all__` lists in a module, read without importing what it is made for."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"{path} has no __all__")


def reference() -> tuple[set[str], set[str]]:
    """The names on the pages of the reference, and the modules that they show whole."""
    names, whole = set(), set()
    for page in (DOCS / "api").glob("*.rst"):
        text, module = page.read_text(), ""
        for named, name in re.findall(r"^\.\. \w+module:: (\S+)|^(?:   |\.\. py:data:: )(\w+)$", text, re.MULTILINE):
            module = named or module
            names.add(named or f"{module}.{name}")
        if ":members:" in text:
            whole.add(module)
    return names, whole


@pytest.mark.parametrize("module", ["fastconv", "fastconv.arithmetic", "fastconv.ndimage", "fastconv.signal"])
def test_the_reference_has_every_name(module: str) -> None:
    path = ROOT / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    names, _ = reference()
    assert {f"{module}.{name}" for name in public(source)} <= names


def test_the_reference_has_every_module_for_another_library() -> None:
    modules = {path.stem for path in (PACKAGE / "interop").iterdir() if path.stem[0].isalpha() and path.stem.islower()}
    _, whole = reference()
    assert modules
    assert {f"fastconv.interop.{module}" for module in modules} == whole
