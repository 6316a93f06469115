"""A convolution given by its numbers: ``--conv N,C,H,W,K,R,S --stride ... --padding ...``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from ..workloads import Conv
from .notation import AXES, Described, format, padding_of
from .source import Source, one

__all__ = ["by_hand"]

T = TypeVar("T")
FORMS = {5: "N,C,W,K,S", 7: "N,C,H,W,K,R,S", 9: "N,C,D,H,W,K,T,R,S"}


def by_hand(
    text: str, *, stride: str = "1", padding: str = "0", dilation: str = "1", groups: str = "1", bias: bool = True
) -> Described:
    """Read a convolution from its numbers: N,C,W,K,S or N,C,H,W,K,R,S or N,C,D,H,W,K,T,R,S.

    Parameters
    ----------
    text : str
        Items, channels, sizes of the input, filters, sizes of the kernel.
    stride, padding, dilation : str
        One number, or one a spatial axis: ``2`` or ``2,1``. Dilation 1 is none. Padding may be ``before:after``.
    groups : str
        One number.
    bias : bool, default: True
        Whether each filter has a bias.

    Returns
    -------
    Described
        Without a pass; the layer is called as its descriptor.

    Raises
    ------
    ValueError
        If a text cannot be read or there is no such layer: which of them, column, and what was expected there.
    """
    source = Source(text, "--conv")
    numbers = source.listed(source.number)
    if len(numbers) not in FORMS:
        source.fail(len(text), f"expected {' or '.join(FORMS.values())}, found {_counted(len(numbers))}")
    rank = len(numbers) // 2 - 1
    batch, channels, size = numbers[0], numbers[1], tuple(numbers[2 : 2 + rank])
    filters, kernel = numbers[2 + rank], tuple(numbers[3 + rank :])
    whole = Source(groups, "--groups")
    g = whole.number(0, groups)
    if channels % g or filters % g:
        whole.fail(0, f"{g} groups do not divide {channels} channels and {filters} filters")
    strides, pads = _axes("--stride", stride, rank, Source.number), _axes("--padding", padding, rank, _pair)
    dilations = _axes("--dilation", dilation, rank, Source.number)
    for axis, (n, k, d, (before, after)) in enumerate(zip(size, kernel, dilations, pads, strict=True)):
        reach = d * (k - 1) + 1
        if n + before + after < reach:
            column = sum(len(part) + 1 for part in text.split(",")[: 3 + rank + axis])
            source.fail(column, f"a kernel that reaches over {reach} does not fit into {n} + {before} + {after}")
    layer = Conv(
        "",
        channels,
        size,
        filters,
        kernel,
        stride=one(strides),
        padding=padding_of(pads),
        dilation=one(dilations),
        groups=g,
        bias=bias,
    )
    return Described(replace(layer, name=format(layer, batch)), batch, None)


def _axes(name: str, text: str, rank: int, read: Callable[[Source, int, str], T]) -> tuple[T, ...]:
    """One value an axis, from one for all or from as many as there are."""
    source = Source(text, name)
    found = source.listed(lambda column, part: read(source, column, part))
    if len(found) not in (1, rank):
        ways = f"one number, or {rank}, one for each of {', '.join(AXES[3 - rank :])}" if rank > 1 else "one number"
        source.fail(len(text), f"expected {ways}; found {len(found)}")
    return tuple(found * rank if len(found) == 1 else found)


def _pair(source: Source, column: int, text: str) -> tuple[int, int]:
    before, colon, after = text.partition(":")
    first = source.number(column, before, 0)
    return first, source.number(column + len(before) + 1, after, 0) if colon else first


def _counted(numbers: int) -> str:
    return f"{numbers} number{'s' if numbers != 1 else ''}"
