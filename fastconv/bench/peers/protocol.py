"""What the benchmark asks of an implementation: fastconv and each of its peers have a file that answers."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from ..._types import Array
from ..problem import Operands, Problem
from ..workloads import Conv, Pool

__all__ = ["Cannot", "Peer", "Prepared", "depthwise", "planes", "symmetric"]


Tolerance: TypeAlias = Literal["sum", "tile", "spectrum"]
"""What an element may err by: its own sum; the largest sum, being computed with others in a tile of Winograd's; the
largest element of all, through a Fourier transform."""


class Cannot(Exception):  # noqa: N818 (no error: an answer)
    """An implementation has no such problem; the text says why."""


@dataclass(frozen=True)
class Prepared:
    """A problem made ready: everything that a user does once lies before."""

    call: Callable[[], Any]
    """What is timed."""
    to_numpy: Callable[[Any], Any] = np.asarray
    """Brings what `call` returned to an array in the axis order of `Problem.output_shape`; a pair to a pair."""
    tolerance: Tolerance = "sum"


class Peer(ABC):
    """An implementation of convolution or pooling in a process of its own, with a given number of threads."""

    name: ClassVar[str]
    pip: ClassVar[str]
    """The line that installs it."""
    modules: ClassVar[tuple[str, ...]]
    """What must be importable."""

    @classmethod
    def available(cls) -> bool:
        """Whether its modules are installed; imports nothing."""
        return all(importlib.util.find_spec(module) for module in cls.modules)

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """Variables that must be set before its process starts."""
        del threads
        return {}

    def __init__(self, threads: int) -> None:  # noqa: B027 (some have nothing to import or to set)
        """Import it and set its threads."""

    @abstractmethod
    def version(self) -> str:
        """Version, and what it was built with if that matters."""

    @abstractmethod
    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """Make a problem ready for calls that a user of this implementation would make; raises `Cannot`."""


def depthwise(problem: Problem) -> tuple[Conv, tuple[int, ...]]:
    """Return the layer and its padding if each channel is an image with one filter, without stride; else `Cannot`."""
    layer = problem.layer
    if not isinstance(layer, Conv) or layer.transposed or problem.pass_name != "forward":
        raise Cannot("filters images, forward")
    if not layer.channels == layer.filters == layer.groups:
        raise Cannot("has one filter an image: no sums over channels")
    if {*layer.strides, *layer.dilations} != {1}:
        raise Cannot("has neither stride nor dilation")
    return layer, symmetric(layer)


def symmetric(layer: Conv | Pool) -> tuple[int, ...]:
    """Return the padding of each axis if it is the same on both sides; else `Cannot`."""
    if any(before != after for before, after in layer.pads):
        raise Cannot("has only padding that is the same on both sides")
    return tuple(before for before, _ in layer.pads)


def planes(problem: Problem, operands: Operands) -> list[tuple[Array, Array, Any]]:
    """For each image of a depthwise problem: the image, its filter, its bias (0 without)."""
    bias = np.zeros(operands.weight.shape[0], operands.input.dtype) if operands.bias is None else operands.bias
    return [
        (operands.input[n, c], operands.weight[c, 0], bias[c])
        for n in range(problem.batch)
        for c in range(problem.layer.channels)
    ]
