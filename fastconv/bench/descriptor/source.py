"""Text that a person wrote, and where in it something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from ..workloads.layers import Ints

__all__ = ["Source", "one"]

T = TypeVar("T")
MOST_DIGITS = 9


@dataclass(frozen=True)
class Source:
    """A line that is read, and what it is called in messages; columns are counted from 0 here, from 1 in messages."""

    text: str
    place: str

    def fail(self, column: int, expected: str) -> NoReturn:
        """Say what was expected at a column."""
        raise ValueError(f"{self.place}, column {column + 1}: {expected}\n  {self.text}\n  {' ' * column}^")

    def number(self, column: int, digits: str, least: int = 1) -> int:
        """Read a whole number that stands at a column."""
        if not re.fullmatch(r"[0-9]+", digits) or len(digits) > MOST_DIGITS or int(digits) < least:
            self.fail(column, f"expected a number from {least} with at most {MOST_DIGITS} digits, found {digits!r}")
        return int(digits)

    def listed(self, read: Callable[[int, str], T]) -> list[T]:
        """Read what stands between commas, each with its column."""
        found, column = [], 0
        for part in self.text.split(","):
            found.append(read(column, part))
            column += len(part) + 1
        return found


def one(values: tuple[int, ...]) -> Ints:
    """One number for all axes, if they agree."""
    return values[0] if len(set(values)) == 1 else values
