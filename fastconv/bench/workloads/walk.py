"""Nets written down as they compute: a `Walk` is a place in a net, and each layer leads to the next place.

Channels and sizes follow from what came before, so a table states only what the paper states, and a branch that does
not fit where it is joined is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .layers import Conv, Ints, Layer, Norm, Pads, Pool

__all__ = ["Walk", "merged"]


@dataclass(frozen=True)
class Walk:
    """What arrives at a place of a net, and the layers on all ways to it, which branches share."""

    channels: int
    size: tuple[int, ...]
    layers: list[Layer] = field(default_factory=list, compare=False)

    def conv(self, name: str, filters: int, kernel_size: Ints, **geometry: Any) -> Walk:
        """Through a convolution."""
        layer = Conv(name, self.channels, self.size, filters, self._axes(kernel_size), **geometry)
        self.layers.append(layer)
        return replace(self, channels=filters, size=layer.output_size)

    def pool(
        self,
        name: str,
        kind: Literal["max", "avg"],
        kernel_size: Ints,
        stride: Ints,
        padding: Pads = 0,
        ceil_mode: bool = False,
    ) -> Walk:
        """Through a pooling."""
        window = self._axes(kernel_size)
        layer = Pool(name, kind, self.channels, self.size, window, stride=stride, padding=padding, ceil_mode=ceil_mode)
        self.layers.append(layer)
        return replace(self, size=layer.output_size)

    def global_pool(self, name: str) -> Walk:
        """Through the mean of each channel."""
        self.layers.append(Pool(name, "global", self.channels, self.size, self.size, stride=1))
        return replace(self, size=(1,) * len(self.size))

    def norm(self, name: str, neighbours: int, alpha: float, beta: float, k: float) -> Walk:
        """Through a local response normalisation."""
        self.layers.append(Norm(name, self.channels, self.size, neighbours, alpha, beta, k))
        return self

    def cat(self, *others: Walk) -> Walk:
        """Where branches are joined by stacking their channels."""
        if any(other.size != self.size for other in others):
            raise ValueError(f"branches of sizes {[self.size, *(other.size for other in others)]}")
        return replace(self, channels=self.channels + sum(other.channels for other in others))

    def add(self, other: Walk) -> Walk:
        """Where branches are joined by adding them."""
        if self != other:
            raise ValueError(f"a sum of {self.channels} channels {self.size} and {other.channels} {other.size}")
        return self

    def take(self, channels: int) -> Walk:
        """A slice of the channels."""
        return replace(self, channels=channels)

    def crop(self, size: tuple[int, ...]) -> Walk:
        """A part of the image."""
        if any(new > old for new, old in zip(size, self.size, strict=True)):
            raise ValueError(f"{size} cut from {self.size}")
        return replace(self, size=size)

    def _axes(self, value: Ints) -> tuple[int, ...]:
        return (value,) * len(self.size) if isinstance(value, int) else value


def merged(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Each layer once, under the name of the first that is like it, with the number of them."""
    kept: dict[Layer, Layer] = {}
    for layer in layers:
        key = replace(layer, name="", count=1)
        first = kept.get(key)
        kept[key] = replace(first, count=first.count + layer.count) if first else layer
    return tuple(kept.values())
