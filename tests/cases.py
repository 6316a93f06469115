"""The one table of cases: geometries, and their product with passes, types, algorithms and instruction sets.

Two parts make the geometries. The features vary one thing at a time about a small base, in each rank. The widths put
the sizes around the vector width (1, w - 1, w, w + 1, 2 w + 1, with w the lanes of the type in the instruction set at
hand) on each axis that vectors may run along. A few large ones cross the borders of cache blocks and of tasks.
"""

from __future__ import annotations

import dataclasses
import functools
import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from views import OUT_VIEWS, VIEWS

import fastconv

DTYPES = ("float32", "float64")
ALGORITHMS = ("direct", "im2col")
CONV_PASSES = ("forward", "grad_input", "grad_weight", "backward")
POOL_PASSES = {
    "max_pool": ("forward", "indices", "backward", "backward_no_window"),
    "avg_pool": ("forward", "backward"),
}

X86 = platform.machine().lower() in ("x86_64", "amd64")
VECTOR_BYTES = {"baseline": 16, "avx2": 32, "avx512": 64} if X86 else {"baseline": 16, "neon": 16}
AVAILABLE = fastconv.runtime.instruction_sets()
ISAS = (*VECTOR_BYTES, *(isa for isa in AVAILABLE if isa not in VECTOR_BYTES))


def lanes(isa: str, dtype: str) -> int:
    return VECTOR_BYTES.get(isa, 16) // np.dtype(dtype).itemsize


def around(width: int) -> list[int]:
    return sorted({1, width - 1, width, width + 1, 2 * width + 1} - {0})


# ---- geometries


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What convolution and pooling have in common. `last`: channels last; `view`, `out`: kinds of memory (views.py)."""

    sizes: tuple[int, ...]
    batch: int = 2
    channels: int = 4
    kernel: Any = 3
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    last: bool = False
    unbatched: bool = False
    generic: bool = False
    view: str = "plain"
    out: str | None = None

    @property
    def rank(self) -> int:
        return len(self.sizes)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        return (self.kernel,) * self.rank if isinstance(self.kernel, int) else self.kernel

    @property
    def layout(self) -> str | None:
        axes = "DHW"[3 - self.rank :]
        return f"N{axes}C" if self.last else f"NC{axes}" if self.generic else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        shape = (*self.sizes, self.channels) if self.last else (self.channels, *self.sizes)
        return shape if self.unbatched else (self.batch, *shape)

    def op_name(self, stem: str, suffix: str = "") -> str:
        return f"{stem}{'' if self.generic else f'{self.rank}d'}{suffix}"

    def __str__(self) -> str:
        """The fields that are not as by default, for the test's name."""
        fields = [(one.name, getattr(self, one.name)) for one in dataclasses.fields(self)[1:] if one.name != "op"]
        changed = [f"{name}={value}" for name, value in fields if value != getattr(type(self), name)]
        return ",".join(["x".join(map(str, self.sizes)), *changed]).replace(" ", "")


@dataclass(frozen=True, kw_only=True)
class Conv(Geometry):
    filters: int = 6
    groups: int = 1
    flip: bool = False
    bias: bool = True
    activation: Any = None
    weight_view: str = "plain"

    __str__ = Geometry.__str__

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.filters, self.channels // self.groups, *self.kernel_shape)


@dataclass(frozen=True, kw_only=True)
class Pool(Geometry):
    """`values`: "normal", "ties" (few different integers), "nan" (ties, some of them NaN), "infinite"."""

    op: str
    kernel: Any = 2
    stride: Any = None
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    values: str = "ties"

    __str__ = Geometry.__str__


BASE: dict[int, tuple[int, ...]] = {1: (19,), 2: (9, 11), 3: (5, 6, 7)}


def conv_features(rank: int) -> Iterator[Conv]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    sizes = BASE[rank]
    geometries: list[dict[str, Any]] = [
        {},
        {"stride": 2},
        {"stride": per_axis(3, 1, 2), "padding": 1},
        {"stride": 5, "kernel": 2},  # inputs no window reads
        {"padding": per_axis(2, 0, 1)},
        {"padding": 4},  # windows wholly inside the padding
        {"padding": per_axis((1, 2), (0, 3), (2, 0)), "stride": 2},
        {"padding": "valid"},
        {"padding": "same"},
        {"padding": "same", "kernel": per_axis(2, 4, 1)},
        {"padding": "same", "stride": 2, "dilation": 2},
        {"dilation": 2},
        {"dilation": per_axis(1, 3, 2), "stride": per_axis(2, 3, 1), "padding": 2},
        {"kernel": 1},
        {"kernel": 1, "stride": 2, "padding": 1},
        {"kernel": per_axis(4, 1, 3)},
        {"kernel": sizes},
        {"kernel": 5, "padding": 2, "stride": 2},
        {"groups": 2},
        {"groups": 2, "stride": 2, "padding": 1, "last": True},
        {"groups": 4, "filters": 4, "padding": 1},
        {"groups": 4, "filters": 4, "padding": 1, "stride": 2, "last": True},
        {"groups": 4, "filters": 12, "dilation": 2},
        {"channels": 1, "filters": 1},
        {"channels": 7, "filters": 13},
        {"channels": 13, "filters": 7, "last": True},
        {"flip": True, "kernel": per_axis(2, 3, 2)},
        {"flip": True, "groups": 2, "stride": 2, "padding": "same", "last": True},
        {"bias": False},
        {"activation": "relu"},
        {"activation": ("leaky_relu", 0.25), "last": True},
        {"activation": "relu", "bias": False, "groups": 4, "filters": 4},
        {"batch": 0},
        {"batch": 0, "last": True},
        {"batch": 1},
        {"batch": 5, "kernel": 1},
        {"last": True},
        {"last": True, "stride": 2, "padding": 1},
        {"last": True, "dilation": per_axis(3, 1, 2), "padding": per_axis((0, 3), (2, 1), (1, 1))},
        {"unbatched": True},
        {"unbatched": True, "last": True, "out": "strided"},
        {"generic": True, "padding": 1},
        {"generic": True, "last": True, "padding": 1},
    ]
    geometries += [{"view": view, "last": last} for view in VIEWS[1:] for last in (False, True)]
    geometries += [{"weight_view": view} for view in VIEWS[1:]]
    geometries += [{"out": out, "last": last} for out in OUT_VIEWS for last in (False, True)]
    return (Conv(sizes=sizes, **geometry) for geometry in geometries)


def conv_widths(width: int) -> Iterator[Conv]:
    """Each size around the vector width as the output's width, as filters, as channels, in both layouts."""
    for size, last, (kernel, stride) in product(around(width), (False, True), ((1, 1), (3, 1), (3, 2))):
        fixed: dict[str, Any] = {"batch": 1, "kernel": kernel, "stride": stride, "last": last}
        yield Conv(sizes=(kernel + 1, (size - 1) * stride + kernel), channels=2, filters=3, **fixed)
        yield Conv(sizes=(kernel + 1, 5), channels=2, filters=size, **fixed)
        yield Conv(sizes=(kernel + 1, 5), channels=size, filters=2, **fixed)
        yield Conv(sizes=(kernel + 1, 5), channels=size, filters=size, groups=size, **fixed)


LARGE_CONVS = (
    Conv(sizes=(33, 37), batch=1, channels=96, filters=130, padding=1),
    Conv(sizes=(33, 37), batch=1, channels=96, filters=130, padding=1, last=True),
    Conv(sizes=(63, 61), channels=3, filters=40, kernel=11, stride=4, padding=2),
    Conv(sizes=(63, 61), channels=3, filters=40, kernel=11, stride=4, padding=2, last=True),
    Conv(sizes=(9, 9), channels=520, filters=48, kernel=1),
    Conv(sizes=(14, 14), batch=3, channels=64, filters=64, groups=2, padding=1),
    Conv(sizes=(40, 40), channels=70, filters=70, groups=70, padding=1),
    Conv(sizes=(40, 40), channels=70, filters=70, groups=70, padding=1, last=True),
    Conv(sizes=(3000,), channels=20, filters=33, kernel=9, stride=2),
    Conv(sizes=(9, 10, 11), channels=17, filters=33, padding=1),
)


def pool_features(op: str, rank: int) -> Iterator[Pool]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    sizes = BASE[rank]
    geometries: list[dict[str, Any]] = [
        {},
        {"kernel": 3, "stride": 2},
        {"kernel": 3, "stride": 1, "padding": 1},
        {"kernel": per_axis(3, 2, 1), "stride": per_axis(1, 3, 2)},
        {"kernel": 1, "stride": 3},
        {"kernel": sizes},
        {"kernel": 2, "stride": 3, "ceil_mode": True},
        {"kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"kernel": 3, "stride": 4, "padding": per_axis((2, 0), (0, 2), (1, 2)), "ceil_mode": True},
        {"kernel": 3, "padding": "same"},
        {"kernel": per_axis(2, 3, 4), "stride": 2, "padding": "same", "last": True},
        {"kernel": 2, "padding": "valid"},
        {"batch": 0},
        {"batch": 0, "last": True},
        {"batch": 1, "channels": 1},
        {"channels": 13, "last": True, "kernel": 3, "stride": 2},
        {"last": True},
        {"last": True, "kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"unbatched": True},
        {"unbatched": True, "last": True, "out": "strided"},
        {"generic": True},
        {"generic": True, "last": True},
    ]
    geometries += [{"view": view, "last": last} for view in VIEWS[1:] for last in (False, True)]
    geometries += [{"out": out, "last": last} for out in OUT_VIEWS for last in (False, True)]
    if op == "max_pool":
        geometries += [
            {"kernel": 2, "dilation": 2, "stride": 1},
            {"kernel": 3, "dilation": per_axis(2, 1, 1), "padding": 1, "stride": 2, "last": True},
        ]
        for values, last in product(("normal", "nan", "infinite"), (False, True)):
            geometries.append({"values": values, "last": last, "kernel": 3, "stride": 2, "padding": 1})
            geometries.append({"values": values, "last": last, "kernel": 2})
    else:
        for padding, ceil_mode, last in product((1, per_axis((0, 1), (2, 0), (1, 2))), (False, True), (False, True)):
            fixed: dict[str, Any] = {"padding": padding, "ceil_mode": ceil_mode, "last": last, "kernel": 3, "stride": 2}
            geometries.append({"count_include_pad": False, **fixed})
            geometries.append({"divisor_override": 7, **fixed})
        geometries.append({"divisor_override": -3})
        geometries = [{"values": "normal", **geometry} for geometry in geometries]
    return (Pool(op=op, sizes=sizes, **geometry) for geometry in geometries)


def pool_widths(op: str, width: int) -> Iterator[Pool]:
    """Each size around the vector width as the output's width and as channels, in both layouts."""
    for size, last, (kernel, stride) in product(around(width), (False, True), ((2, 2), (3, 2), (3, 1))):
        fixed: dict[str, Any] = {"op": op, "batch": 1, "kernel": kernel, "stride": stride, "last": last}
        yield Pool(sizes=(kernel + 1, (size - 1) * stride + kernel), channels=2, **fixed)
        yield Pool(sizes=(kernel + 1, 5), channels=size, **fixed)


# ---- the product


@dataclass(frozen=True)
class Case:
    """One call to check: a geometry, and how it is run."""

    geometry: Any
    pass_name: str
    dtype: str
    isa: str
    algorithm: str | None = None

    @property
    def op(self) -> str:
        """The op's name without its rank, as counted in the summary."""
        stem = self.geometry.op if isinstance(self.geometry, Pool) else "conv"
        return stem if self.pass_name in ("forward", "indices") else f"{stem}_{self.pass_name}"

    def __str__(self) -> str:
        return "-".join(filter(None, (self.pass_name, self.dtype, self.isa, self.algorithm, str(self.geometry))))


def _conv_product(geometries: Iterable[Conv], dtypes: Iterable[str], isas: Iterable[str]) -> Iterator[Case]:
    for geometry, dtype, pass_name, isa in product(geometries, dtypes, CONV_PASSES, isas):
        for algorithm in ("auto",) if pass_name == "backward" else ALGORITHMS:
            yield Case(geometry, pass_name, dtype, isa, algorithm)


def _pool_product(geometries: Iterable[Pool], dtypes: Iterable[str], isas: Iterable[str]) -> Iterator[Case]:
    for geometry, dtype, isa in product(geometries, dtypes, isas):
        for pass_name in POOL_PASSES[geometry.op]:
            yield Case(geometry, pass_name, dtype, isa)


@functools.cache
def conv_cases() -> tuple[Case, ...]:
    cases = [case for rank in BASE for case in _conv_product(conv_features(rank), DTYPES, ISAS)]
    for isa, dtype in product(ISAS, DTYPES):
        cases += _conv_product(conv_widths(lanes(isa, dtype)), [dtype], [isa])
    cases += _conv_product(LARGE_CONVS, DTYPES, ISAS)
    return tuple(dict.fromkeys(cases))


@functools.cache
def pool_cases(op: str) -> tuple[Case, ...]:
    cases = [case for rank in BASE for case in _pool_product(pool_features(op, rank), DTYPES, ISAS)]
    for isa, dtype in product(ISAS, DTYPES):
        cases += _pool_product(pool_widths(op, lanes(isa, dtype)), [dtype], [isa])
    return tuple(dict.fromkeys(cases))


def parameters(cases: Iterable[Case]) -> list[Any]:
    """Cases for `pytest.mark.parametrize`; those of an instruction set that is not to be had here become one skip."""
    cases = list(cases)
    lacking = Counter(case.isa for case in cases if case.isa not in AVAILABLE)
    reasons = {isa: f"{isa}: not in this CPU or not in this build ({count} cases)" for isa, count in lacking.items()}
    skips = [pytest.param(None, id=isa, marks=pytest.mark.skip(reason=reason)) for isa, reason in reasons.items()]
    return [pytest.param(case, id=str(case)) for case in cases if case.isa in AVAILABLE] + skips
