"""A table printed line by line, as its rows come in."""

from __future__ import annotations

__all__ = ["Table"]


class Table:
    """Columns by title and width; a negative width means aligned to the right."""

    def __init__(self, **columns: int) -> None:
        self.titles = [title.rstrip("_") for title in columns]
        self.widths = [max(abs(w), len(t)) for t, w in zip(self.titles, columns.values(), strict=True)]
        self.marks = [">" if w < 0 else "<" for w in columns.values()]

    def header(self) -> None:
        """Print the titles, underlined."""
        self.row(*self.titles)
        self.row(*("-" * width for width in self.widths))

    def row(self, *cells: str) -> None:
        """Print one line, at once, so that the table shows how far the work is."""
        columns = zip(cells, self.marks, self.widths, strict=True)
        print("  ".join(f"{cell:{mark}{width}}" for cell, mark, width in columns).rstrip(), flush=True)
