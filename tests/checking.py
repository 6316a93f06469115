"""How a case is run: its operands, the call, what the reference says, and what the difference may be."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from cases import Case, Conv, Geometry, Pool
from numpy.typing import NDArray
from tolerance import assert_close, conv_terms
from views import as_view, empty_view, written_outside

import fastconv
from fastconv import reference

Array = NDArray[Any]
Arrays = dict[str, Array]


def _values(geometry: Geometry, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    kind = getattr(geometry, "values", "normal")
    if kind == "normal":
        return random.standard_normal(shape)
    values = random.integers(-3, 4, shape).astype(np.float64)
    chosen = random.random(shape)
    if kind == "nan":
        values[chosen < 0.15] = np.nan
    if kind == "infinite":  # and the first half wholly -inf
        values[chosen < 0.15] = np.inf
        values[: shape[0] // 2] = -np.inf
    return values


@functools.lru_cache(maxsize=32)
def output_shape(geometry: Any) -> tuple[int, ...]:
    operands = {"input": np.zeros(geometry.input_shape), "weight": None, "bias": None}
    if isinstance(geometry, Conv):
        operands |= {"weight": np.zeros(geometry.weight_shape), "bias": np.zeros(geometry.filters)}
    return next(iter(call(reference, geometry, "forward", operands).values())).shape


@functools.lru_cache(maxsize=32)
def operands_of(geometry: Any, dtype: str) -> Arrays:
    """All that any pass of the geometry takes, in the kinds of memory it asks for."""
    random = np.random.default_rng(zlib.crc32(repr(geometry).encode()))

    def view(values: Array, kind: str) -> Array:
        return as_view(values.astype(dtype), kind)

    operands = {"input": view(_values(geometry, random, geometry.input_shape), geometry.view)}
    operands["grad_output"] = view(random.standard_normal(output_shape(geometry)), geometry.view)
    if isinstance(geometry, Conv):
        operands["weight"] = view(random.standard_normal(geometry.weight_shape), geometry.weight_view)
        operands["bias"] = view(random.standard_normal(geometry.filters), "strided") if geometry.bias else None
    elif geometry.op == "max_pool":
        indices = call(reference, geometry, "indices", operands)["indices"]
        operands["indices"] = as_view(indices, "plain" if "broadcast" in geometry.view else geometry.view)
    return operands


def call(module: ModuleType, geometry: Any, pass_name: str, operands: Mapping[str, Any], **options: Any) -> Arrays:
    """One call of an op of `module` (the fast ones or the reference), its results by name."""
    if isinstance(geometry, Pool):
        return _call_pool(module, geometry, pass_name, operands, options)
    op = getattr(module, geometry.op_name("conv", "" if pass_name == "forward" else f"_{pass_name}"))
    window = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    options = {"layout": geometry.layout, "flip": geometry.flip} | options
    x, w, g = operands["input"], operands["weight"], operands.get("grad_output")
    if pass_name == "forward":
        options = {"activation": geometry.activation} | options
        return {"output": op(x, w, operands["bias"], *window, **options)}
    if pass_name == "grad_input":
        return {"grad_input": op(g, w, geometry.input_shape, *window, **options)}
    if pass_name == "grad_weight":
        return {"grad_weight": op(g, x, geometry.weight_shape, *window, **options)}
    return dict(zip(("grad_input", "grad_weight", "grad_bias"), op(g, x, w, *window, **options), strict=True))


def _call_pool(
    module: ModuleType, geometry: Pool, pass_name: str, operands: Mapping[str, Any], options: dict[str, Any]
) -> Arrays:
    op = getattr(module, geometry.op_name(geometry.op, "_backward" if "backward" in pass_name else ""))
    options = {"layout": geometry.layout} | options
    window = (geometry.kernel, geometry.stride, geometry.padding)
    if geometry.op == "avg_pool":
        counting = (geometry.ceil_mode, geometry.count_include_pad, geometry.divisor_override)
        if pass_name == "forward":
            return {"output": op(operands["input"], *window, *counting, **options)}
        return {"grad_input": op(operands["grad_output"], geometry.input_shape, *window, *counting, **options)}
    if pass_name == "forward":
        return {"output": op(operands["input"], *window, geometry.dilation, geometry.ceil_mode, **options)}
    if pass_name == "indices":
        results = op(operands["input"], *window, geometry.dilation, geometry.ceil_mode, True, **options)
        return dict(zip(("output", "indices"), results, strict=True))
    given = (*window, geometry.dilation) if pass_name == "backward" else ()
    return {"grad_input": op(operands["grad_output"], operands["indices"], geometry.input_shape, *given, **options)}


def reference_results(geometry: Any, pass_name: str, operands: Mapping[str, Any]) -> tuple[Arrays, Arrays]:
    """The results in float64, and the sums of absolute values that bound their errors (none where exact)."""
    floats = {name: array for name, array in operands.items() if name != "indices"}
    exact = {name: array for name, array in operands.items() if name == "indices"}
    wide = {name: None if array is None else array.astype(np.float64) for name, array in floats.items()}
    expected = call(reference, geometry, pass_name, wide | exact)
    if isinstance(geometry, Pool) and geometry.op == "max_pool" and "backward" not in pass_name:
        return expected, {}
    positive = {name: None if array is None else np.abs(array) for name, array in wide.items()}
    magnitudes = call(reference, geometry, pass_name, positive | exact)
    return expected, {name: np.abs(magnitude) for name, magnitude in magnitudes.items()}


@functools.lru_cache(maxsize=32)
def expected_of(geometry: Any, pass_name: str, dtype: str) -> tuple[Arrays, Arrays]:
    return reference_results(geometry, pass_name, operands_of(geometry, dtype))


def terms_of(geometry: Any, name: str) -> int:
    """Accumulation length of one element of a result."""
    if isinstance(geometry, Pool):
        return math.prod(geometry.kernel_shape)
    batch = 1 if geometry.unbatched else geometry.batch
    positions = math.prod(output_shape(geometry)) // (batch * geometry.filters) if batch else 0
    return conv_terms(name, batch, geometry.weight_shape, geometry.groups, positions)


def compare(geometry: Any, actual: Arrays, expected: Arrays, magnitudes: Arrays, dtype: str) -> None:
    """Results against those of `reference_results`."""
    assert actual.keys() == expected.keys()
    for name, result in actual.items():
        assert result.dtype == (np.int64 if name == "indices" else dtype)
        if magnitudes:
            assert_close(result, expected[name], terms_of(geometry, name), magnitudes[name])
        else:
            np.testing.assert_array_equal(result, expected[name].astype(result.dtype), name)


def check(case: Case) -> None:
    """Run a case on the fast path, under its instruction set, and compare."""
    geometry = case.geometry
    expected, magnitudes = expected_of(geometry, case.pass_name, case.dtype)
    options: dict[str, Any] = {"algorithm": case.algorithm} if case.algorithm else {}
    buffers: list[tuple[Array, Array]] = []
    if geometry.out is not None and case.op != "conv_backward":
        buffers = [
            empty_view(array.shape, np.int64 if name == "indices" else case.dtype, geometry.out)
            for name, array in expected.items()
        ]
        views = tuple(view for _, view in buffers)
        options["out"] = views if len(views) > 1 else views[0]
    with fastconv.runtime._force_isa(case.isa):
        actual = call(fastconv, geometry, case.pass_name, operands_of(geometry, case.dtype), **options)
    for (buffer, view), result in zip(buffers, actual.values(), strict=False):
        assert result is view, "what comes back must be out"
        assert not written_outside(buffer, view), "something beside out was written"
    compare(geometry, actual, expected, magnitudes, case.dtype)
