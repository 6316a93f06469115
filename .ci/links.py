"""Checks that every link from a page of a built site to another, or into one, leads somewhere.

python .ci/links.py FOLDER
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str | None] = {""}
        self.links: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Take what an element is called, and where it points."""
        values = dict(attrs)
        self.anchors |= {values.get("id"), values.get("name")}
        self.links |= {link for link in (values.get("href"), values.get("src")) if link}


def broken(folder: Path) -> list[str]:
    """The links that lead nowhere, each with its page."""
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else {unquote(parts.fragment)}
            if not target.is_file() or unquote(parts.fragment) not in anchors:
                found.append(f"{path.relative_to(folder)}: {link}")
    print(f"{len(pages)} pages, {len(found)} broken links")
    return found


if __name__ == "__main__":
    wrong = broken(Path(sys.argv[1]).resolve())
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))
