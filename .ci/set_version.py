"""Write a version wherever it stands, and for a release its heading into the changelog.

python .ci/set_version.py 0.2.0.dev0      # work towards 0.2.0
python .ci/set_version.py 0.2.0rc1        # a candidate: what has changed stays unreleased
python .ci/set_version.py 0.2.0           # a release: CHANGELOG.md, too
python .ci/set_version.py                 # print the version
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:(?:a|b|rc)\d+|\.dev\d+)?")


def replace(file: str, pattern: str, replacement: str) -> None:
    """Replace the one match of a pattern in a file."""
    path = ROOT / file
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"{file} has {count} lines like {pattern!r}; needs one")
    path.write_text(text)


def current() -> str:
    """Return the version that the tree has."""
    (version,) = re.findall(r'^__version__ = "(.*)"$', (ROOT / "fastconv" / "_version.py").read_text(), re.MULTILINE)
    return version


def set_version(version: str) -> None:
    """Write the version into the package and the header, whose numbers programs in C compare."""
    match = VERSION.fullmatch(version)
    if match is None:
        sys.exit(
            f"the version is {version!r}; needs three numbers, and a1, b1, rc1 or .dev0 behind them if it is no release"
        )
    replace("fastconv/_version.py", r'^__version__ = ".*"$', f'__version__ = "{version}"')
    replace("csrc/fastconv.h", r'^#define FC_VERSION_STRING ".*"$', f'#define FC_VERSION_STRING "{version}"')
    for name, number in zip(("MAJOR", "MINOR", "PATCH"), match.groups(), strict=True):
        replace("csrc/fastconv.h", rf"^#define FC_VERSION_{name} \d+$", f"#define FC_VERSION_{name} {number}")


def check_changelog(version: str) -> None:
    """Exit where there is nothing that a release could have changed, before anything is written."""
    text = (ROOT / "CHANGELOG.md").read_text()
    if f"## [{version}]" in text:
        sys.exit(f"CHANGELOG.md has {version} already")
    unreleased = text.partition("## [Unreleased]\n")[2].partition("\n## [")[0]
    if not re.search("^- ", unreleased, re.MULTILINE):
        sys.exit("CHANGELOG.md has no changes under [Unreleased]: write them first")
    if "is being made." in unreleased:
        sys.exit("CHANGELOG.md says under [Unreleased] that the version is being made: remove that sentence first")


def date_changelog(version: str) -> None:
    """Give what stands under Unreleased the heading of this version."""
    today = datetime.now(UTC).date().isoformat()
    replace("CHANGELOG.md", r"^## \[Unreleased\]$", rf"## [Unreleased]\n\n## [{version}] - {today}")


def main(arguments: list[str]) -> None:
    """Set the version named in the arguments, or print the present one."""
    if not arguments:
        print(current())
        return
    (version,) = arguments
    release = re.fullmatch(r"[\d.]+", version)
    if release:
        check_changelog(version)
    set_version(version)
    if release:
        date_changelog(version)


if __name__ == "__main__":
    main(sys.argv[1:])
