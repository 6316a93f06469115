"""The one table of cases: geometries, and their product with passes, types, algorithms and instruction sets.

Two parts make the geometries. The features vary one thing at a time about a small base, in each rank. The widths put
the sizes around the vector width (1, w - 1, w, w + 1, 2 w + 1, with w the lanes of the type in the instruction set at
hand) on each axis that vectors may run along. A few large ones cross the borders of cache blocks and of tasks. They
stand in features.py. A few geometries more are run in the types that are not native: float16, and integers where an op
keeps them.
"""

from __future__ import annotations

import functools
import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import winograd_cases
from features import BASE, TABLE
from geometries import Geometry

import fastconv

DTYPES = ("float32", "float64")
INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
GENERAL = ("direct", "im2col")
"""Algorithms that can do every problem."""
ALGORITHMS = (*GENERAL, "depthwise", "winograd")
CONV_PASSES = ("forward", "grad_input", "grad_weight", "backward")
POOL_PASSES = {
    "max_pool": ("forward", "indices", "backward", "backward_no_window"),
    "avg_pool": ("forward", "backward"),
}
PASSES = {
    "conv": CONV_PASSES,
    "conv_transpose": ("forward", "backward"),
    **POOL_PASSES,
    "adaptive_max_pool": ("forward", "indices", "backward"),
    "adaptive_avg_pool": ("forward", "backward"),
    "channel_max_pool": ("forward", "indices", "backward"),
    "local_response_norm": ("forward", "backward"),
    "patches": ("im2col", "col2im"),
    "pad": ("forward", "backward"),
}
CHOOSING = ("forward", "indices", "im2col")
"""Passes that, in the ops of KEEPS_TYPES, only choose or move elements, and take integers as they are."""
KEEPS_TYPES = ("max_pool", "adaptive_max_pool", "channel_max_pool", "patches", "pad")

X86 = platform.machine().lower() in ("x86_64", "amd64")
VECTOR_BYTES = {"baseline": 16, "avx2": 32, "avx512": 64} if X86 else {"baseline": 16, "neon": 16}
AVAILABLE = fastconv.runtime.instruction_sets()
ISAS = (*VECTOR_BYTES, *(isa for isa in AVAILABLE if isa not in VECTOR_BYTES))


def lanes(isa: str, dtype: str) -> int:
    return VECTOR_BYTES.get(isa, 16) // np.dtype(dtype).itemsize


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
        if self.geometry.stem == "patches":
            return self.pass_name
        return (
            self.geometry.stem if self.pass_name in ("forward", "indices") else f"{self.geometry.stem}_{self.pass_name}"
        )

    def __str__(self) -> str:
        return "-".join(filter(None, (self.pass_name, self.dtype, self.isa, self.algorithm, str(self.geometry))))


def can(algorithm: str, geometry: Any, pass_name: str) -> bool:
    """Whether an algorithm can do a pass of a convolution: what it needs is asked of the problem's input channels."""
    if algorithm in GENERAL:
        return True
    if algorithm == "winograd":
        return winograd_cases.can(geometry, pass_name)
    inputs = geometry.filters if pass_name == "grad_input" else geometry.channels
    return pass_name in ("forward", "grad_input", "grad_weight") and inputs == geometry.groups


def _algorithms(geometry: Geometry, pass_name: str) -> tuple[str | None, ...]:
    if geometry.stem not in ("conv", "conv_transpose"):
        return (None,)
    if (geometry.stem, pass_name) == ("conv", "backward"):
        return ("auto",)
    return tuple(algorithm for algorithm in ALGORITHMS if can(algorithm, geometry, pass_name))


def _product(geometries: Iterable[Geometry], dtypes: Iterable[str], isas: Iterable[str]) -> Iterator[Case]:
    for geometry, dtype, isa in product(geometries, dtypes, isas):
        for pass_name in PASSES[geometry.stem]:
            if np.dtype(dtype).kind == "f" or pass_name in CHOOSING:
                for algorithm in _algorithms(geometry, pass_name):
                    yield Case(geometry, pass_name, dtype, isa, algorithm)


def _others(base: Geometry) -> Iterator[Geometry]:
    """What is run in the types that are not native."""
    yield base
    yield replace(base, channels=24, last=True)
    yield replace(base, view="strided", out="strided")
    yield replace(base, last=True, view="negative", out="slice_of_last_axis")


@functools.cache
def cases_of(stem: str) -> tuple[Case, ...]:
    """All cases of an op and its gradients."""
    features, widths, large = TABLE[stem]
    cases = [case for rank in BASE for case in _product(features(rank), DTYPES, ISAS)]
    for isa, dtype in product(ISAS, DTYPES):
        cases += _product(widths(lanes(isa, dtype)), [dtype], [isa])
    cases += _product(large, DTYPES, ISAS)
    cases += _product(_others(next(features(2))), ("float16", *(INTEGERS if stem in KEEPS_TYPES else ())), ISAS)
    return tuple(dict.fromkeys(cases))


def parameters(cases: Iterable[Case]) -> list[Any]:
    """Cases for `pytest.mark.parametrize`; those of an instruction set that is not to be had here become one skip."""
    cases = list(cases)
    lacking = Counter(case.isa for case in cases if case.isa not in AVAILABLE)
    reasons = {isa: f"{isa}: not in this CPU or not in this build ({count} cases)" for isa, count in lacking.items()}
    skips = [pytest.param(None, id=isa, marks=pytest.mark.skip(reason=reason)) for isa, reason in reasons.items()]
    return [pytest.param(case, id=str(case)) for case in cases if case.isa in AVAILABLE] + skips
