"""fastconv over dask arrays: as over the whole array, for random geometries in random chunks, on every scheduler."""

from __future__ import annotations

import doctest
import inspect
import operator
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import DTypeLike, NDArray
from tolerance import assert_close, assert_identical

pytest.importorskip("dask.array", reason="dask is not installed: fastconv.interop.dask is not tested")

import dask
import dask.array as da

import fastconv
import fastconv.interop.dask as fd

Array = NDArray[Any]

DTYPES = ("float32", "float64")
few = settings(max_examples=60)


# ---------------------------------------------------------------------------------------------------------------------
# Random geometries and random chunks


@st.composite
def split(draw: st.DrawFn, size: int, most: int) -> tuple[int, ...]:
    """Chunks of a size; single elements are among them, and now and then an empty one."""
    borders = draw(st.lists(st.integers(0, size), max_size=most - 1))
    return tuple(np.diff([0, *sorted(borders), size]).tolist())


class Case(NamedTuple):
    rank: int
    shape: tuple[int, ...]
    chunks: tuple[tuple[int, ...], ...]
    kernel: tuple[int, ...]
    arguments: dict[str, Any]  # but for the kernel
    seed: int

    @property
    def channels(self) -> int:
        last = self.arguments["layout"] is not None
        return self.shape[-1] if last else self.shape[-self.rank - 1]

    def integers(self, *shape: int, dtype: DTypeLike) -> Array:
        """Sums of their products are exact, in any order."""
        return np.random.default_rng([self.seed, *shape]).integers(-8, 9, shape).astype(dtype)

    def normal(self, *shape: int, dtype: DTypeLike) -> Array:
        return np.random.default_rng([self.seed, *shape]).standard_normal(shape).astype(dtype)


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    """Whatever may come, geometries among it that are refused."""
    rank = draw(st.integers(1, 3))

    def per_axis(least: int, most: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(least, most)] * rank))

    most = (14, 9, 6)[rank - 1]
    sizes, kernel = per_axis(1, most), per_axis(1, 4 if rank < 3 else 3)
    pads = draw(st.tuples(*[st.tuples(*[st.integers(0, 5 if kind == "conv" else k - 1)] * 2) for k in kernel]))
    last, item, batch = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 3))
    channels = draw(st.sampled_from([1, 2, 3, 4, 6]))
    shape = (*sizes, channels) if last else (channels, *sizes)
    shape = shape if item else (batch, *shape)
    arguments: dict[str, Any] = {
        "stride": draw(st.sampled_from([1, 2, per_axis(1, 4)])),
        "padding": draw(st.sampled_from([pads, pads, "same", "valid", min(map(min, pads))])),
        "layout": {1: "NWC", 2: "NHWC", 3: "NDHWC"}[rank] if last else None,
    }
    if kind != "avg":
        arguments["dilation"] = draw(st.sampled_from([1, 1, per_axis(1, 3)]))
    if kind == "conv":
        groups = draw(st.sampled_from([one for one in (1, 2, 3, 6) if channels % one == 0]))
        arguments |= {"groups": groups, "flip": draw(st.booleans())}
        arguments["activation"] = draw(st.sampled_from([None, "relu", ("leaky_relu", 0.25)]))
    else:
        arguments["ceil_mode"] = draw(st.booleans())
    if kind == "avg":
        arguments["count_include_pad"] = draw(st.booleans())
        arguments["divisor_override"] = draw(st.sampled_from([None, None, 3]))
    chunks = tuple(draw(split(size, 7 - 2 * rank)) for size in shape)
    return Case(rank, shape, chunks, kernel, arguments, draw(st.integers(0, 2**32)))


def both(name: str, case: Case, x: Array, *operands: Any, **more: Any) -> tuple[Any, Any] | None:
    """What the dask function gives, computed, and the plain one; None where both refuse with the same words."""
    plain, ours = getattr(fastconv, f"{name}{case.rank}d"), getattr(fd, f"{name}{case.rank}d")
    chunked = da.from_array(x, chunks=case.chunks)
    try:
        expected = plain(x, *operands, **case.arguments, **more)
    except ValueError as error:
        words = ": ".join(str(error).split(": ")[:2])
        with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
            ours(chunked, *operands, **case.arguments, **more)
        return None
    lazy = ours(chunked, *operands, **case.arguments, **more)
    results, truths = (value if isinstance(value, tuple) else (value,) for value in (lazy, expected))
    for result, truth in zip(results, truths, strict=True):
        assert (result.shape, result.dtype) == (truth.shape, truth.dtype)
        assert type(result._meta) is np.ndarray
        assert result._meta.dtype == truth.dtype
    with dask.config.set(scheduler="synchronous"):
        return dask.compute(lazy)[0], expected


def filters_of(case: Case, make: Any, per_group: int, dtype: DTypeLike) -> tuple[Array, Array]:
    groups = case.arguments["groups"]
    weight = make(per_group * groups, case.channels // groups, *case.kernel, dtype=dtype)
    return weight, make(per_group * groups, dtype=dtype)


@few
@given(case=cases("conv"), per_group=st.integers(1, 3), dtype=st.sampled_from(DTYPES), with_bias=st.booleans())
def test_conv_to_the_bit(case: Case, per_group: int, dtype: str, with_bias: bool) -> None:
    weight, bias = filters_of(case, case.integers, per_group, dtype)
    x = case.integers(*case.shape, dtype=dtype)
    if computed := both("conv", case, x, weight, bias if with_bias else None, algorithm="exact"):
        assert_identical(*computed)


@few
@given(case=cases("conv"), per_group=st.integers(1, 3), dtype=st.sampled_from(("float16", *DTYPES)))
def test_conv_within_the_bound_of_its_sums(case: Case, per_group: int, dtype: str) -> None:
    weight, bias = filters_of(case, case.normal, per_group, dtype)
    x = case.normal(*case.shape, dtype=dtype)
    if computed := both("conv", case, x, weight, bias, algorithm="exact"):
        wide, magnitudes = ([one.astype(np.float64) for one in (x, weight, bias)] for _ in range(2))
        reference = getattr(fastconv.reference, f"conv{case.rank}d")
        plain = case.arguments | {"activation": None}
        magnitude = reference(*map(np.abs, magnitudes), **plain)
        assert_close(computed[0], reference(*wide, **case.arguments), weight[0].size, magnitude)


@few
@given(case=cases("max"), dtype=st.sampled_from(("float16", "int64", "uint8", "bool", *DTYPES)))
def test_max_pool(case: Case, dtype: str) -> None:
    x = case.integers(*case.shape, dtype="int64").astype(dtype)  # with ties
    if computed := both("max_pool", case, x, case.kernel):
        assert_identical(*computed)


@few
@given(case=cases("max"), dtype=st.sampled_from(DTYPES), nans=st.booleans())
def test_indices_are_those_in_the_whole_plane(case: Case, dtype: str, nans: bool) -> None:
    x = case.integers(*case.shape, dtype=dtype)
    if nans:
        x[x > 6] = np.nan
    if computed := both("max_pool", case, x, case.kernel, return_indices=True):
        for result, expected in zip(*computed, strict=True):
            assert_identical(result, expected)


@few
@given(case=cases("avg"), dtype=st.sampled_from(("int32", *DTYPES)))
def test_avg_pool_to_the_bit(case: Case, dtype: str) -> None:
    if computed := both("avg_pool", case, case.integers(*case.shape, dtype=dtype), case.kernel):
        assert_identical(*computed)


@few
@given(case=cases("avg"), dtype=st.sampled_from(("float16", *DTYPES)))
def test_avg_pool_within_the_bound_of_its_sums(case: Case, dtype: str) -> None:
    x = case.normal(*case.shape, dtype=dtype)
    if computed := both("avg_pool", case, x, case.kernel):
        wide = x.astype(np.float64)
        expected, magnitude = (
            getattr(fastconv.reference, f"avg_pool{case.rank}d")(y, case.kernel, **case.arguments)
            for y in (wide, np.abs(wide))
        )
        assert_close(computed[0], expected, int(np.prod(case.kernel)), magnitude)
