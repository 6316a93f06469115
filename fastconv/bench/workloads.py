"""Layers of real nets: the one table that the commands, the benchmarks and the tests share.

A layer is a geometry for one item; who runs it chooses batch, type and layout. Its fields are named as the arguments of
the ops are. A new net is a new row of `NETS`.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypeAlias

__all__ = ["NETS", "Conv", "Layer", "Net", "Norm", "Pool"]


@dataclass(frozen=True)
class Conv:
    """A convolution layer with one bias a filter."""

    name: str
    channels: int
    size: tuple[int, ...]
    filters: int
    kernel_size: tuple[int, ...]
    _: KW_ONLY
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def reach(self) -> tuple[int, ...]:
        """How far a filter reaches along each axis."""
        return tuple(self.dilation * (k - 1) + 1 for k in self.kernel_size)

    @property
    def output_size(self) -> tuple[int, ...]:
        """The spatial axes of the output."""
        return _windows(self.size, self.reach, self.stride, self.padding)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """As the ops take it: (out, in / groups, *kernel)."""
        return self.filters, self.channels // self.groups, *self.kernel_size

    @property
    def multiply_adds(self) -> int:
        """Of one item; the same for the forward pass and for each gradient, padding counted as multiplied."""
        return math.prod(self.weight_shape) * math.prod(self.output_size)


@dataclass(frozen=True)
class Pool:
    """A pooling layer."""

    name: str
    kind: Literal["max", "avg"]
    channels: int
    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    _: KW_ONLY
    stride: int
    padding: int = 0

    @property
    def output_size(self) -> tuple[int, ...]:
        """The spatial axes of the output."""
        return _windows(self.size, self.kernel_size, self.stride, self.padding)


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


Layer: TypeAlias = Conv | Norm | Pool


def _windows(size: tuple[int, ...], reach: tuple[int, ...], stride: int, padding: int) -> tuple[int, ...]:
    return tuple((n + 2 * padding - r) // stride + 1 for n, r in zip(size, reach, strict=True))


@dataclass(frozen=True)
class Net:
    """A net's layers, and in one line what was taken from which paper."""

    title: str
    layers: tuple[Layer, ...]


NETS: dict[str, Net] = {
    # LeCun et al., "Gradient-based learning applied to document recognition", 1998. Its conv2 leaves out connections by
    # a table; here, as nearly everywhere since, every filter sees all six channels.
    "lenet5": Net(
        "LeNet-5 on 32x32, subsampling by average pooling",
        (
            Conv("conv1", 1, (32, 32), 6, (5, 5)),
            Pool("pool1", "avg", 6, (28, 28), (2, 2), stride=2),
            Conv("conv2", 6, (14, 14), 16, (5, 5)),
            Pool("pool2", "avg", 16, (10, 10), (2, 2), stride=2),
        ),
    ),
    # Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012. The 224x224 of the
    # paper does not give its 55x55 outputs; 227x227 does. The paper's alpha is the factor of a sum, not of a mean.
    "alexnet": Net(
        "AlexNet on 227x227, two groups in conv2, conv4 and conv5 as in the paper",
        (
            Conv("conv1", 3, (227, 227), 96, (11, 11), stride=4),
            Norm("norm1", 96, (55, 55), 5, 5 * 1e-4, 0.75, 2.0),
            Pool("pool1", "max", 96, (55, 55), (3, 3), stride=2),
            Conv("conv2", 96, (27, 27), 256, (5, 5), padding=2, groups=2),
            Norm("norm2", 256, (27, 27), 5, 5 * 1e-4, 0.75, 2.0),
            Pool("pool2", "max", 256, (27, 27), (3, 3), stride=2),
            Conv("conv3", 256, (13, 13), 384, (3, 3), padding=1),
            Conv("conv4", 384, (13, 13), 384, (3, 3), padding=1, groups=2),
            Conv("conv5", 384, (13, 13), 256, (3, 3), padding=1, groups=2),
            Pool("pool5", "max", 256, (13, 13), (3, 3), stride=2),
        ),
    ),
}
