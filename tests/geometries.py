"""What a case is about: shapes, windows and the other parameters of one call, and the memory it reads and writes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What all ops have in common. `last`: channels last; `view`, `out`: kinds of memory (views.py)."""

    sizes: tuple[int, ...]
    batch: int = 2
    channels: int = 4
    last: bool = False
    unbatched: bool = False
    generic: bool = False
    view: str = "plain"
    out: str | None = None

    @property
    def rank(self) -> int:
        return len(self.sizes)

    @property
    def stem(self) -> str:
        """The op's name without rank and pass."""
        return self.op

    @property
    def layout(self) -> str | None:
        axes = "DHW"[3 - self.rank :]
        return f"N{axes}C" if self.last else f"NC{axes}" if self.generic else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        shape = (*self.sizes, self.channels) if self.last else (self.channels, *self.sizes)
        return shape if self.unbatched else (self.batch, *shape)

    def op_name(self, suffix: str = "") -> str:
        return f"{self.stem}{'' if self.generic else f'{self.rank}d'}{suffix}"

    def __str__(self) -> str:
        """The fields that are not as by default, for the test's name."""
        fields = [(one.name, getattr(self, one.name)) for one in dataclasses.fields(self)[1:] if one.name != "op"]
        changed = [f"{name}={value}" for name, value in fields if value != getattr(type(self), name)]
        return ",".join(["x".join(map(str, self.sizes)), *changed]).replace(" ", "")


@dataclass(frozen=True, kw_only=True)
class Windowed(Geometry):
    kernel: Any = 3
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        return (self.kernel,) * self.rank if isinstance(self.kernel, int) else self.kernel


@dataclass(frozen=True, kw_only=True)
class Conv(Windowed):
    filters: int = 6
    groups: int = 1
    flip: bool = False
    bias: bool = True
    activation: Any = None
    weight_view: str = "plain"

    @property
    def stem(self) -> str:
        return "conv"

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.filters, self.channels // self.groups, *self.kernel_shape)


@dataclass(frozen=True, kw_only=True)
class Transpose(Windowed):
    """A transposed convolution of `channels` to `filters`."""

    output_padding: Any = 0
    filters: int = 6
    groups: int = 1
    bias: bool = True
    weight_view: str = "plain"

    @property
    def stem(self) -> str:
        return "conv_transpose"

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.channels, self.filters // self.groups, *self.kernel_shape)


@dataclass(frozen=True, kw_only=True)
class Pool(Windowed):
    """`values`: "normal", "ties" (few different integers), "nan" (ties, some of them NaN), "infinite"."""

    op: str
    kernel: Any = 2
    stride: Any = None
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    values: str = "ties"


@dataclass(frozen=True, kw_only=True)
class Adaptive(Geometry):
    op: str
    output_size: Any = 3
    values: str = "ties"


@dataclass(frozen=True, kw_only=True)
class Unsuffixed(Geometry):
    """An op that has no names for single ranks, and always wants a batch."""

    generic: bool = True

    @property
    def layout(self) -> str | None:
        return f"N{'DHW'[3 - self.rank :]}C" if self.last else None


@dataclass(frozen=True, kw_only=True)
class ChannelPool(Unsuffixed):
    channels: int = 12
    size: int = 3
    values: str = "ties"

    @property
    def stem(self) -> str:
        return "channel_max_pool"


@dataclass(frozen=True, kw_only=True)
class Norm(Unsuffixed):
    """Local response normalisation; `alpha` is such that the divisor is far from 1."""

    channels: int = 7
    size: int = 5
    alpha: float = 0.5
    beta: float = 0.75
    k: float = 1.0
    values: str = "normal"

    @property
    def stem(self) -> str:
        return "local_response_norm"


@dataclass(frozen=True, kw_only=True)
class Patches(Unsuffixed, Windowed):
    """Images of `sizes`, of which im2col makes columns, and which col2im makes of columns."""

    @property
    def stem(self) -> str:
        return "patches"


@dataclass(frozen=True, kw_only=True)
class Pad(Unsuffixed):
    padding: Any = 1
    mode: str = "constant"
    value: float = 0.0

    @property
    def stem(self) -> str:
        return "pad"
