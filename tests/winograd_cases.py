"""Which geometries Winograd's algorithm can do, and how far its results may lie from the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometries import Conv, Geometry, Transpose
from numpy.typing import NDArray

import fastconv
from fastconv.reference import winograd

Array = NDArray[Any]


def _each(value: Any, rank: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,) * rank


def pads_before(geometry: Conv | Transpose) -> tuple[int, ...]:
    """Of a kernel with dilation 1."""
    if geometry.padding == "same":
        axes = zip(geometry.sizes, geometry.kernel_shape, _each(geometry.stride, geometry.rank), strict=True)
        if geometry.stem == "conv_transpose":
            return tuple(max(taps - step, 0) // 2 for _, taps, step in axes)
        return tuple(max((-(-size // step) - 1) * step + taps - size, 0) // 2 for size, taps, step in axes)
    if geometry.padding == "valid":
        return (0,) * geometry.rank
    return tuple(pad[0] if isinstance(pad, tuple) else pad for pad in _each(geometry.padding, geometry.rank))


def scatters(geometry: Conv | Transpose, name: str) -> bool:
    """Whether a pass is that of a transposed convolution."""
    return name != "grad_weight" and (name == "grad_input") == (geometry.stem == "conv")


def transposes(geometry: Conv | Transpose) -> bool:
    """Whether tiles of all phases do it."""
    return winograd.transposes(geometry.kernel_shape, _each(geometry.stride, geometry.rank)) and not any(
        pads_before(geometry)[:-2]
    )


def can(geometry: Geometry, pass_name: str) -> bool:
    """Whether a pass can be computed with algorithm="winograd"."""
    if not isinstance(geometry, Conv | Transpose) or pass_name not in ("forward", "grad_input", "grad_weight"):
        return False
    if {*_each(geometry.dilation, geometry.rank)} != {1}:
        return False
    if scatters(geometry, pass_name) and {*_each(geometry.stride, geometry.rank)} != {1}:
        return transposes(geometry)
    try:
        winograd.forms(geometry.kernel_shape, 1, _each(geometry.stride, geometry.rank))
    except ValueError:
        return False
    return True


def ran(geometry: Geometry, name: str, dtype: str, algorithm: str | None) -> str:
    """The algorithm that computed a result."""
    pass_name = {"output": "forward"}.get(name, name)
    if not can(geometry, pass_name):
        return ""
    if algorithm != "auto":
        return algorithm or ""
    shape, layout = geometry.input_shape, geometry.layout
    shape = (1, *shape) if geometry.unbatched else shape
    if isinstance(geometry, Transpose):
        channels, sizes = geometry.filters, output_size(geometry)
        shape = (shape[0], *sizes, channels) if geometry.last else (shape[0], channels, *sizes)
        pass_name = {"output": "grad_input", "grad_input": "forward"}.get(name, name)
    window = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    wide = "float64" if dtype == "float64" else "float32"
    options: dict[str, Any] = {"dtype": wide, "layout": layout, "pass_name": pass_name}
    return fastconv.choose_algorithm(shape, geometry.weight_shape, *window, **options).algorithm


def output_size(geometry: Conv | Transpose) -> tuple[int, ...]:
    ones = np.ones((1, geometry.channels, *geometry.sizes))
    weight = np.ones(geometry.weight_shape)
    op = getattr(fastconv.reference, geometry.stem)
    window: tuple[Any, ...] = (geometry.stride, geometry.padding)
    if isinstance(geometry, Transpose):
        window += (geometry.output_padding, geometry.groups, geometry.dilation)
    else:
        window += (geometry.dilation, geometry.groups)
    return op(ones, weight, None, *window).shape[2:]


def _turned(weight: Array, groups: int) -> Array:
    """Input and output channels exchanged within each group, taps in reverse."""
    split = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    return np.flip(split.reshape(-1, *split.shape[2:]), range(2, weight.ndim))


def _channels_first(geometry: Conv | Transpose, image: Array) -> Array:
    image = image[None] if geometry.unbatched else image
    return np.moveaxis(image, -1, 1) if geometry.last else image


def _weight_magnitude(geometry: Conv | Transpose, operands: dict[str, Array]) -> Array:
    images = [_channels_first(geometry, operands[name]) for name in ("input", "grad_output")]
    if geometry.stem == "conv_transpose":
        images.reverse()
    offset = tuple(-pad for pad in pads_before(geometry))
    with np.errstate(invalid="ignore"):
        result = winograd.gradient_magnitude(
            *images, offset, geometry.kernel_shape, geometry.groups, _each(geometry.stride, geometry.rank)
        )
    return np.flip(result, range(2, result.ndim)) if getattr(geometry, "flip", False) else result


def magnitude(geometry: Conv | Transpose, name: str, operands: dict[str, Array]) -> Array:
    """What all terms of each element add to in absolute value, in the layout of the result."""
    if name == "grad_weight":
        return _weight_magnitude(geometry, operands)
    weight = operands["weight"]
    if getattr(geometry, "flip", False):
        weight = np.flip(weight, range(2, weight.ndim))
    scattered = scatters(geometry, name)
    image = _channels_first(geometry, operands["input" if name == "output" else "grad_output"])
    before, stride = pads_before(geometry), _each(geometry.stride, geometry.rank)
    size = output_size(geometry) if name == "output" else geometry.sizes
    with np.errstate(invalid="ignore"):
        if scattered and {*stride} != {1}:
            result = winograd.transposed_magnitude(image, weight, tuple(-pad for pad in before), size, geometry.groups)
        elif scattered:
            offset = tuple(pad - (taps - 1) for pad, taps in zip(before, geometry.kernel_shape, strict=True))
            result = winograd.magnitude(image, _turned(weight, geometry.groups), offset, size, geometry.groups)
        else:
            offset = tuple(-pad for pad in before)
            result = winograd.magnitude(image, weight, offset, size, geometry.groups, stride)
    if name == "output" and getattr(geometry, "bias", False):
        result = result + np.abs(operands["bias"]).reshape(-1, *(1,) * geometry.rank)
    result = np.moveaxis(result, 1, -1) if geometry.last else result
    return result[0] if geometry.unbatched else result


def terms(geometry: Conv | Transpose, name: str) -> int:
    """Roundings on the way of any term."""
    if name == "grad_weight":
        sizes = output_size(geometry) if geometry.stem == "conv" else geometry.sizes
        images = 1 if geometry.unbatched else geometry.batch
        return winograd.gradient_roundings(geometry.kernel_shape, sizes, images, _each(geometry.stride, geometry.rank))
    scattered, stride = scatters(geometry, name), _each(geometry.stride, geometry.rank)
    channels = geometry.weight_shape[0] // geometry.groups if scattered else geometry.weight_shape[1]
    if scattered and {*stride} != {1}:
        return winograd.transposed_roundings(channels)
    return winograd.roundings(geometry.kernel_shape, channels, None if scattered else stride)
