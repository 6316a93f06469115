"""What a release changes in the tree, by `.ci/set_version.py` in a copy of the files that it writes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = Path(".ci") / "set_version.py"
FILES = [SCRIPT, Path("fastconv") / "_version.py", Path("csrc") / "fastconv.h", Path("CHANGELOG.md")]

pytestmark = pytest.mark.skipif(not (ROOT / SCRIPT).exists(), reason="source distributions have no .ci")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for file in FILES:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    changelog = tmp_path / "CHANGELOG.md"
    text = changelog.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- A fault.\n", 1)
    changelog.write_text(text.replace("The first version, 0.1.0, is being made.\n", ""))
    return tmp_path


def set_version(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(tree / SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("version", ["7.8.9", "7.8.9rc1", "7.8.9.dev0"])
def test_the_version_is_set_everywhere(tree: Path, version: str) -> None:
    assert set_version(tree, version).returncode == 0
    assert set_version(tree).stdout.strip() == version
    header = (tree / "csrc" / "fastconv.h").read_text()
    assert re.findall(r"#define FC_VERSION_\w+ (.+)", header) == ["7", "8", "9", f'"{version}"']


def test_a_release_dates_the_changelog(tree: Path) -> None:
    before = (tree / "CHANGELOG.md").read_text()
    for earlier in ("7.8.9.dev0", "7.8.9rc1"):
        set_version(tree, earlier)
        assert (tree / "CHANGELOG.md").read_text() == before
    assert set_version(tree, "7.8.9").returncode == 0
    text = (tree / "CHANGELOG.md").read_text()
    dated = r"(## \[Unreleased\]\n\n)## \[7\.8\.9\] - \d{4}-\d\d-\d\d\n\n(### Fixed\n\n- A fault\.\n)"
    assert re.sub(dated, r"\1\2", text) == before != text
    again = set_version(tree, "7.8.10")
    assert again.returncode == 1
    assert "no changes under [Unreleased]" in again.stderr
    assert set_version(tree).stdout.strip() == "7.8.9"


def test_a_release_is_not_being_made(tree: Path) -> None:
    changelog = tree / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("### Fixed", "Version 7.8.9 is being made.\n\n### Fixed", 1))
    again = set_version(tree, "7.8.9")
    assert again.returncode == 1
    assert "remove that sentence first" in again.stderr


@pytest.mark.parametrize("version", ["7.8", "v7.8.9", "7.8.9-rc1", "next"])
def test_what_is_no_version_changes_nothing(tree: Path, version: str) -> None:
    before = [(tree / file).read_bytes() for file in FILES]
    result = set_version(tree, version)
    assert result.returncode == 1
    assert f"the version is {version!r}; needs three numbers" in result.stderr
    assert [(tree / file).read_bytes() for file in FILES] == before


def test_the_changelog_has_its_form() -> None:
    """That of Keep a Changelog: versions in falling order, dated, each with sections of known names."""
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\S*\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:]]
    assert all(released)
    numbers = [tuple(map(int, match.groups())) for match in released if match]
    assert numbers == sorted(numbers, reverse=True)
    sections = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
