"""What a layer is: a geometry for one item. Who runs it chooses batch, type and layout.

Fields are named as the arguments of the ops are. `stride`, `padding` and `dilation` are one number, or one a spatial
axis; `padding` may also be (before, after) pairs, as the ops take it. `count` is how often a net has the layer.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypeAlias

__all__ = ["Conv", "Ints", "Layer", "Net", "Norm", "Pads", "Pool"]

Ints: TypeAlias = int | tuple[int, ...]
Pads: TypeAlias = Ints | tuple[tuple[int, int], ...]


class _Windowed:
    """What convolutions and poolings have in common: a window that steps over spatial axes."""

    name: str
    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: Ints
    padding: Pads
    dilation: Ints

    @property
    def output_size(self) -> tuple[int, ...]:
        """The spatial axes of the output."""
        raise NotImplementedError

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.size)

    @property
    def strides(self) -> tuple[int, ...]:
        """One a spatial axis."""
        return self._axes(self.stride)

    @property
    def dilations(self) -> tuple[int, ...]:
        """One a spatial axis."""
        return self._axes(self.dilation)

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """A (before, after) pair for each spatial axis."""
        padding = (self.padding,) * self.rank if isinstance(self.padding, int) else self.padding
        return tuple((p, p) if isinstance(p, int) else p for p in padding)

    @property
    def reach(self) -> tuple[int, ...]:
        """How far a window reaches along each axis."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel_size, strict=True))

    def _axes(self, value: Ints) -> tuple[int, ...]:
        return (value,) * self.rank if isinstance(value, int) else value

    def _slack(self) -> tuple[int, ...]:
        """What is left of each padded axis after the first window."""
        axes = zip(self.size, self.pads, self.reach, strict=True)
        return tuple(n + before + after - reach for n, (before, after), reach in axes)

    def _check(self, *others: tuple[int, ...]) -> None:
        """Whether there is such a layer; `others` are further numbers, one an axis."""
        lengths = {*map(len, (self.kernel_size, self.strides, self.pads, self.dilations, *others))}
        if lengths != {self.rank}:
            raise ValueError(f"{self.name}: needs one number for each of {self.rank} spatial axes")
        if min(self.size + self.kernel_size + self.strides + self.dilations) < 1:
            raise ValueError(f"{self.name}: sizes, strides and dilations must be >= 1")
        if min(map(min, self.pads)) < 0 or any(min(other) < 0 for other in others):
            raise ValueError(f"{self.name}: padding must be >= 0")
        if min(self.output_size) < 1:
            raise ValueError(f"{self.name}: the window does not fit into the padded input")


@dataclass(frozen=True)
class Conv(_Windowed):
    """A convolution layer, or with `transposed` the transpose of one, whose input then is `channels` x `size`."""

    name: str
    channels: int
    size: tuple[int, ...]
    filters: int
    kernel_size: tuple[int, ...]
    _: KW_ONLY
    stride: Ints = 1
    padding: Pads = 0
    dilation: Ints = 1
    groups: int = 1
    bias: bool = True
    count: int = 1
    transposed: bool = False
    output_padding: Ints = 0

    def __post_init__(self) -> None:
        if (
            min(self.channels, self.filters, self.groups) < 1
            or self.channels % self.groups
            or self.filters % self.groups
        ):
            raise ValueError(f"{self.name}: {self.groups} groups of {self.channels} channels, {self.filters} filters")
        self._check(self._axes(self.output_padding))

    @property
    def output_size(self) -> tuple[int, ...]:
        """The spatial axes of the output."""
        if not self.transposed:
            return tuple(slack // s + 1 for slack, s in zip(self._slack(), self.strides, strict=True))
        extra = self._axes(self.output_padding)
        axes = zip(self.size, self.strides, self.pads, self.reach, extra, strict=True)
        return tuple((n - 1) * s - sum(pads) + reach + more for n, s, pads, reach, more in axes)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """As the ops take it: (out, in / groups, *kernel); of a transposed convolution (in, out / groups, *kernel)."""
        first, second = (self.channels, self.filters) if self.transposed else (self.filters, self.channels)
        return first, second // self.groups, *self.kernel_size

    @property
    def weights(self) -> int:
        """How many there are; biases are not counted."""
        return math.prod(self.weight_shape)

    @property
    def multiply_adds(self) -> int:
        """Of one item; the same for the forward pass and for each gradient, padding counted as multiplied."""
        return self.weights * math.prod(self.size if self.transposed else self.output_size)


@dataclass(frozen=True)
class Pool(_Windowed):
    """A pooling layer; kind "global" is the mean of each channel, its window the whole input."""

    name: str
    kind: Literal["max", "avg", "global"]
    channels: int
    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    _: KW_ONLY
    stride: Ints
    padding: Pads = 0
    dilation: Ints = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    count: int = 1

    def __post_init__(self) -> None:
        if self.kind == "global" and self.kernel_size != self.size:
            raise ValueError(f"{self.name}: the window of a global pooling is the whole input")
        self._check()
        if min(self._slack()) < 0:  # though rounded up there would be one
            raise ValueError(f"{self.name}: the window does not fit into the padded input")

    @property
    def output_size(self) -> tuple[int, ...]:
        """The spatial axes of the output."""
        axes = zip(self._slack(), self.strides, self.size, self.pads, strict=True)
        return tuple(self._windows(slack, s, n + before) for slack, s, n, (before, _) in axes)

    def _windows(self, slack: int, stride: int, end: int) -> int:
        if not self.ceil_mode:
            return slack // stride + 1
        windows = -(-slack // stride) + 1
        return windows - 1 if (windows - 1) * stride >= end else windows  # one that starts past the input is dropped


@dataclass(frozen=True)
class Norm:
    """A layer of local response normalisation; alpha is the factor of the mean, as the op takes it."""

    name: str
    channels: int
    size: tuple[int, ...]
    neighbours: int
    alpha: float
    beta: float
    k: float
    _: KW_ONLY
    count: int = 1


Layer: TypeAlias = Conv | Norm | Pool


@dataclass(frozen=True)
class Net:
    """A net's layers, and what was taken from which paper or definition."""

    title: str
    source: str
    layers: tuple[Layer, ...]

    @property
    def convs(self) -> tuple[Conv, ...]:
        """Its convolutions."""
        return tuple(layer for layer in self.layers if isinstance(layer, Conv))

    @property
    def weights(self) -> int:
        """Of all convolutions, without biases."""
        return sum(layer.count * layer.weights for layer in self.convs)

    @property
    def multiply_adds(self) -> int:
        """Of all convolutions, for one item."""
        return sum(layer.count * layer.multiply_adds for layer in self.convs)
