"""What is told where the library of a module is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(extra: str, *libraries: str) -> Iterator[None]:
    """Around imports of `libraries`, by default the one that the module and its extra are named after."""
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in (libraries or (extra,)):
            raise  # something that the library needs itself
        raise ModuleNotFoundError(
            f"fastconv.interop.{extra}: no module named {error.name!r}; needs the package {library}: "
            f'pip install "fastconv[{extra}]"',
            name=error.name,
        ) from None
