"""What the caller wrote, as plain numbers; what is wrong is told by `fastconv._errors`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import _errors

MOST_AXES = 3


def is_one(value: Any) -> bool:
    return not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and value.ndim == 0)


def count(op: str, name: str, value: Any) -> int:
    number = _errors.as_int(op, name, value, value)
    if number < 1:
        raise ValueError(f"{op}: {name} is {value!r}; needs an int >= 1")
    return number


def axes_of(op: str, name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """One number for every spatial axis, or one a spatial axis."""
    axes = _errors.as_axes(op, name, value, rank)
    if len(axes) != rank:
        _errors.wrong_length(op, name, value, rank)
    numbers = tuple(_errors.as_int(op, name, number, value) for number in axes)
    if min(numbers) < least:
        _errors.too_small(op, name, value, rank, least)
    return numbers


def sizes_of(op: str, value: Any) -> tuple[int, ...]:
    """`input_size`, which says how many axes there are."""
    sizes = tuple(_errors.as_int(op, "input_size", size, value) for size in _errors.as_axes(op, "input_size", value, 1))
    if not 1 <= len(sizes) <= MOST_AXES or min(sizes) < 1:
        raise ValueError(f"{op}: input_size is {value!r}; needs an int or 1 to {MOST_AXES} ints, each >= 1")
    return sizes


def shape_of(op: str, name: str, value: Any, form: str, lengths: Sequence[int], least: int) -> tuple[int, ...]:
    shape = tuple(_errors.as_int(op, name, size, value) for size in _errors.as_shape(op, name, value))
    if len(shape) not in lengths or min(shape) < least:
        raise ValueError(f"{op}: {name} is {value!r}; needs {form}, each >= {least}")
    return shape


@contextmanager
def told_by(op: str) -> Iterator[None]:
    """What the rules refuse is told in the name of the function that was called."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{op}: {str(error).removeprefix('output_size: ')}") from None
