"""What the tests of the reference have in common: ops by name, differences, torch where it is installed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastconv import reference

Array = NDArray[Any]

try:
    import torch
    from torch.nn import functional
except ImportError:
    torch = functional = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed: the reference is not compared with it")

SIZES: dict[int, tuple[int, ...]] = {1: (23,), 2: (9, 12), 3: (7, 6, 8)}
TINY: dict[int, tuple[int, ...]] = {1: (7,), 2: (4, 5), 3: (3, 4, 3)}
RANKS = tuple(SIZES)


def op(name: str, rank: int) -> Callable[..., Any]:
    """`op("conv_grad_input", 2)` is conv2d_grad_input."""
    return getattr(reference, re.sub("(conv_transpose|conv|pool)", rf"\g<1>{rank}d", name))


def layout_of(rank: int, last: bool) -> str:
    axes = "DHW"[-rank:]
    return f"N{axes}C" if last else f"NC{axes}"


def shape_of(batch: int, channels: int, sizes: tuple[int, ...], last: bool) -> tuple[int, ...]:
    return (batch, *sizes, channels) if last else (batch, channels, *sizes)


def spread(weight: Array, dilation: int) -> Array:
    """Weights with `dilation - 1` zeros between them."""
    wide = np.zeros([*weight.shape[:2], *(dilation * (k - 1) + 1 for k in weight.shape[2:])])
    wide[(..., *[slice(None, None, dilation)] * (weight.ndim - 2))] = weight
    return wide


def difference(f: Callable[[Array], Array], at: Array, g: Array, step: float = 2.0**-7) -> Array:
    """Gradient of <f(x), g> in x, element by element; exact for an f that is linear between x - step and x + step."""
    gradient = np.empty(at.shape)
    for place in np.ndindex(at.shape):
        moved = np.zeros(at.shape)
        moved[place] = step
        gradient[place] = np.vdot(f(at + moved) - f(at - moved), g) / (2 * step)
    return gradient


def matrix_of(f: Callable[[Array], Array], shape: tuple[int, ...]) -> Array:
    """A linear function of arrays of a shape, written out."""
    basis = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([f(one).ravel() for one in basis], axis=1)
