"""How a case is run: its operands, the call, what the reference says, and what the difference may be."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import winograd_cases
from cases import CHOOSING, KEEPS_TYPES, PASSES, Case
from geometries import Adaptive, ChannelPool, Conv, Geometry, Norm, Pad, Patches, Pool, Transpose
from numpy.typing import DTypeLike, NDArray
from tolerance import assert_close, conv_terms, norm_magnitude, norm_terms
from views import as_view, empty_view, written_outside

import fastconv
from fastconv import reference

Array = NDArray[Any]
Arrays = dict[str, Array]


# ---- operands


def _integers(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Few different ones, among them the ends of the type and what float64 cannot tell from its neighbour."""
    if dtype.kind == "b":
        return random.random(shape) < 0.3
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    some = [low, low + 1, 0, 1, 2, high // 2, high // 2 + 1, high - 1, high]
    return random.choice(np.array(some, dtype), shape)


def _values(geometry: Geometry, random: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        return _integers(random, shape, dtype)
    kind = getattr(geometry, "values", "normal")
    if kind == "normal":
        return random.standard_normal(shape).astype(dtype)
    values = random.integers(-3, 4, shape).astype(dtype)
    chosen = random.random(shape)
    if kind == "nan":
        values[chosen < 0.15] = np.nan
    if kind == "infinite":  # and the first half wholly -inf
        values[chosen < 0.15] = np.inf
        values[: shape[0] // 2] = -np.inf
    return values


@functools.lru_cache(maxsize=32)
def output_shape(geometry: Any) -> tuple[int, ...]:
    """Shape of what the op's first pass gives."""
    operands = {"input": np.zeros(geometry.input_shape), "weight": None, "bias": None}
    if isinstance(geometry, Conv | Transpose):
        operands |= {"weight": np.zeros(geometry.weight_shape), "bias": np.zeros(geometry.filters)}
    return call(reference, geometry, PASSES[geometry.stem][0], operands)["output"].shape


def spatial(geometry: Geometry, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[-1 - geometry.rank : -1] if geometry.last else shape[-geometry.rank :]


@functools.lru_cache(maxsize=32)
def operands_of(geometry: Any, dtype: str) -> Arrays:
    """All that any pass of the geometry takes, in the kinds of memory it asks for."""
    random = np.random.default_rng(zlib.crc32(repr(geometry).encode()))

    def normal(shape: tuple[int, ...] | int, kind: str) -> Array:
        return as_view(random.standard_normal(shape).astype(dtype), kind)

    operands = {"input": as_view(_values(geometry, random, geometry.input_shape, dtype), geometry.view)}
    if np.dtype(dtype).kind != "f":
        return operands
    operands["grad_output"] = normal(output_shape(geometry), geometry.view)
    if isinstance(geometry, Conv | Transpose):
        operands["weight"] = normal(geometry.weight_shape, geometry.weight_view)
        operands["bias"] = normal(geometry.filters, "strided") if geometry.bias else None
    if "indices" in PASSES[geometry.stem]:
        indices = call(reference, geometry, "indices", operands)["indices"]
        operands["indices"] = as_view(indices, "plain" if "broadcast" in geometry.view else geometry.view)
    return operands


# ---- calls


def call(module: ModuleType, geometry: Any, pass_name: str, operands: Mapping[str, Any], **options: Any) -> Arrays:
    """One call of an op of `module` (the fast ones or the reference), its results by name."""
    options = {"layout": geometry.layout} | options
    suffix = "" if pass_name in CHOOSING else "_backward" if "backward" in pass_name else f"_{pass_name}"
    if isinstance(geometry, Patches):
        return _call_patches(getattr(module, pass_name), geometry, pass_name, operands, options)
    op = getattr(module, geometry.op_name(suffix))
    return CALLS[type(geometry)](op, geometry, pass_name, operands, options)


def _indexed(results: tuple[Array, Array]) -> Arrays:
    return dict(zip(("output", "indices"), results, strict=True))


def _gradients(results: tuple[Array, Array, Array]) -> Arrays:
    return dict(zip(("grad_input", "grad_weight", "grad_bias"), results, strict=True))


def _call_conv(
    op: Callable[..., Any], geometry: Conv, pass_name: str, operands: Mapping[str, Any], options: dict[str, Any]
) -> Arrays:
    window = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    options = {"flip": geometry.flip} | options
    x, w, g = operands["input"], operands["weight"], operands.get("grad_output")
    if pass_name == "forward":
        options = {"activation": geometry.activation} | options
        return {"output": op(x, w, operands["bias"], *window, **options)}
    if pass_name == "grad_input":
        return {"grad_input": op(g, w, geometry.input_shape, *window, **options)}
    if pass_name == "grad_weight":
        return {"grad_weight": op(g, x, geometry.weight_shape, *window, **options)}
    return _gradients(op(g, x, w, *window, **options))


def _call_transpose(
    op: Callable[..., Any], geometry: Transpose, pass_name: str, operands: Mapping[str, Any], options: dict[str, Any]
) -> Arrays:
    window = (geometry.stride, geometry.padding, geometry.output_padding, geometry.groups, geometry.dilation)
    x, w = operands["input"], operands["weight"]
    if pass_name == "forward":
        return {"output": op(x, w, operands["bias"], *window, **options)}
    return _gradients(op(operands["grad_output"], x, w, *window, **options))


def _call_pool(
    op: Callable[..., Any], geometry: Pool, pass_name: str, operands: Mapping[str, Any], options: dict[str, Any]
) -> Arrays:
    window = (geometry.kernel, geometry.stride, geometry.padding)
    if geometry.op == "avg_pool":
        counting = (geometry.ceil_mode, geometry.count_include_pad, geometry.divisor_override)
        if pass_name == "forward":
            return {"output": op(operands["input"], *window, *counting, **options)}
        return {"grad_input": op(operands["grad_output"], geometry.input_shape, *window, *counting, **options)}
    if pass_name == "forward":
        return {"output": op(operands["input"], *window, geometry.dilation, geometry.ceil_mode, **options)}
    if pass_name == "indices":
        return _indexed(op(operands["input"], *window, geometry.dilation, geometry.ceil_mode, True, **options))
    given = (*window, geometry.dilation) if pass_name == "backward" else ()
    return {"grad_input": op(operands["grad_output"], operands["indices"], geometry.input_shape, *given, **options)}


def _call_chooser(
    op: Callable[..., Any],
    geometry: Adaptive | ChannelPool,
    pass_name: str,
    operands: Mapping[str, Any],
    options: dict[str, Any],
) -> Arrays:
    """Adaptive pooling and pooling over channels: ops of one parameter, and gradients of none."""
    parameter = geometry.output_size if isinstance(geometry, Adaptive) else geometry.size
    if pass_name == "indices":
        return _indexed(op(operands["input"], parameter, True, **options))
    if pass_name == "forward":
        return {"output": op(operands["input"], parameter, **options)}
    indices = (operands["indices"],) if "indices" in PASSES[geometry.stem] else ()
    return {"grad_input": op(operands["grad_output"], *indices, geometry.input_shape, **options)}


def _call_norm(
    op: Callable[..., Any], geometry: Norm, pass_name: str, operands: Mapping[str, Any], options: dict[str, Any]
) -> Arrays:
    parameters = (geometry.size, geometry.alpha, geometry.beta, geometry.k)
    if pass_name == "forward":
        return {"output": op(operands["input"], *parameters, **options)}
    return {"grad_input": op(operands["grad_output"], operands["input"], *parameters, **options)}


def _call_patches(
    op: Callable[..., Any], geometry: Patches, pass_name: str, operands: Mapping[str, Any], options: dict[str, Any]
) -> Arrays:
    window = (geometry.kernel, geometry.dilation, geometry.padding, geometry.stride)
    if pass_name == "im2col":
        return {"output": op(operands["input"], *window, **options)}
    return {"images": op(operands["grad_output"], geometry.sizes, *window, **options)}


def _call_pad(
    op: Callable[..., Any], geometry: Pad, pass_name: str, operands: Mapping[str, Any], options: dict[str, Any]
) -> Arrays:
    if pass_name == "forward":
        return {"output": op(operands["input"], geometry.padding, geometry.mode, geometry.value, **options)}
    return {"grad_input": op(operands["grad_output"], geometry.padding, geometry.mode, **options)}


CALLS: dict[type, Callable[..., Arrays]] = {
    Conv: _call_conv,
    Transpose: _call_transpose,
    Pool: _call_pool,
    Adaptive: _call_chooser,
    ChannelPool: _call_chooser,
    Norm: _call_norm,
    Pad: _call_pad,
}


# ---- results


def is_exact(geometry: Any, pass_name: str) -> bool:
    """Whether the pass computes nothing: it chooses or moves elements, each to a place of its own."""
    stem = geometry.stem
    return stem in KEEPS_TYPES and (pass_name in CHOOSING or stem == "channel_max_pool")


def reference_results(geometry: Any, pass_name: str, operands: Mapping[str, Any]) -> tuple[Arrays, Arrays]:
    """The results in float64, and the sums of absolute values that bound their errors; or exact ones, and nothing."""
    if is_exact(geometry, pass_name):
        return call(reference, geometry, pass_name, operands), {}
    floats = {name: array for name, array in operands.items() if name != "indices"}
    exact = {name: array for name, array in operands.items() if name == "indices"}
    wide = {name: None if array is None else array.astype(np.float64) for name, array in floats.items()}
    expected = call(reference, geometry, pass_name, wide | exact)
    if isinstance(geometry, Norm) and pass_name == "backward":
        axis = -1 if geometry.last else 1
        parameters = (geometry.size, geometry.alpha, geometry.beta, geometry.k)
        return expected, {"grad_input": norm_magnitude(wide["grad_output"], wide["input"], axis, *parameters)}
    positive = {name: None if array is None else np.abs(array) for name, array in wide.items()}
    magnitudes = call(reference, geometry, pass_name, positive | exact)
    return expected, {name: np.abs(magnitude) for name, magnitude in magnitudes.items()}


@functools.lru_cache(maxsize=32)
def expected_of(geometry: Any, pass_name: str, dtype: str) -> tuple[Arrays, Arrays]:
    return reference_results(geometry, pass_name, operands_of(geometry, dtype))


def terms_of(geometry: Any, name: str) -> float:
    """Accumulation length of one element of a result."""
    if isinstance(geometry, Norm):
        return norm_terms(name, geometry.size, geometry.beta)
    if isinstance(geometry, Adaptive):
        return _adaptive_terms(geometry, name)
    if isinstance(geometry, Pad):
        return _most_copies(geometry)
    if isinstance(geometry, Pool | Patches):
        return math.prod(geometry.kernel_shape)
    batch = 1 if geometry.unbatched else geometry.batch
    positions = math.prod(spatial(geometry, output_shape(geometry)))
    if isinstance(geometry, Conv):
        return conv_terms(name, batch, geometry.weight_shape, geometry.groups, positions)
    # To transpose a convolution is to swap its output with the gradient of its input.
    if name == "grad_bias":
        return batch * positions
    swapped = {"output": "grad_input", "grad_input": "output"}.get(name, name)
    return conv_terms(swapped, batch, geometry.weight_shape, geometry.groups, math.prod(geometry.sizes))


def _adaptive_terms(geometry: Adaptive, name: str) -> int:
    """Elements of a window; of the gradient, windows that hold an element."""
    out = spatial(geometry, output_shape(geometry))
    ratios = zip(geometry.sizes, out, strict=True) if name == "output" else zip(out, geometry.sizes, strict=True)
    return math.prod(-(-a // b) + 1 for a, b in ratios)


@functools.lru_cache(maxsize=32)
def _most_copies(geometry: Pad) -> int:
    ones = np.ones((1, 1, *spatial(geometry, output_shape(geometry))))
    return int(reference.pad_backward(ones, geometry.padding, geometry.mode).max())


def compare(
    geometry: Any,
    actual: Arrays,
    expected: Arrays,
    magnitudes: Arrays,
    dtype: str,
    algorithm: str | None = None,
    operands: Arrays | None = None,
) -> None:
    """Results against those of `reference_results`; `operands` unless they are those of the geometry."""
    assert actual.keys() == expected.keys()
    for name, result in actual.items():
        assert result.dtype == (np.int64 if name == "indices" else dtype)
        if winograd_cases.ran(geometry, name, dtype, algorithm) == "winograd":
            operands = operands_of(geometry, dtype) if operands is None else operands
            _compare_winograd(geometry, name, result, expected[name], magnitudes[name], operands)
        elif magnitudes:
            assert_close(result, expected[name], terms_of(geometry, name), magnitudes[name])
        else:
            np.testing.assert_array_equal(result, expected[name], name)


def _compare_winograd(geometry: Any, name: str, result: Array, expected: Array, plain: Array, operands: Arrays) -> None:
    """By the bound of its own sums; tiles with something not finite in reach are summed plainly."""
    terms, magnitude = winograd_cases.terms(geometry, name), winograd_cases.magnitude(geometry, name, operands)
    plain = plain * max(1.0, terms_of(geometry, name) / terms)
    assert_close(result, expected, terms, np.where(np.isfinite(magnitude), magnitude, plain))


def check(case: Case, module: ModuleType = fastconv) -> None:
    """Run a case on the fast path, under its instruction set, and compare."""
    geometry = case.geometry
    expected, magnitudes = expected_of(geometry, case.pass_name, case.dtype)
    options: dict[str, Any] = {"algorithm": case.algorithm} if case.algorithm else {}
    buffers: list[tuple[Array, Array]] = []
    if geometry.out is not None and "grad_bias" not in expected:
        buffers = [
            empty_view(array.shape, np.int64 if name == "indices" else case.dtype, geometry.out)
            for name, array in expected.items()
        ]
        views = tuple(view for _, view in buffers)
        options["out"] = views if len(views) > 1 else views[0]
    with fastconv.runtime._force_isa(case.isa):
        actual = call(module, geometry, case.pass_name, operands_of(geometry, case.dtype), **options)
        compare(geometry, actual, expected, magnitudes, case.dtype, case.algorithm)
    for (buffer, view), result in zip(buffers, actual.values(), strict=False):
        assert result is view, "what comes back must be out"
        assert not written_outside(buffer, view), "something beside out was written"
