"""Orders of axes."""

from __future__ import annotations

from fastconv._types import Layout


def is_last(layout: Layout | None) -> bool:
    """Whether channels are the last axis."""
    return layout is not None and layout.endswith("C")
