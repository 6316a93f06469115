"""Layers by their geometry, and what a stack of them does to sizes and fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from .. import _core, _errors
from .._types import Int, Ints, Padding
from ._arguments import axes_of, is_one, told_by
from .sizes import same_padding


@dataclass(frozen=True)
class Conv:
    """A convolutional layer of a stack.

    Parameters
    ----------
    filters : int
        Output channels, K.
    kernel_size : int or tuple of int
        The field of a filter, F.
    stride, padding, dilation, groups
        As in `fastconv.conv`.
    bias : bool, default: True
        Whether each filter has a bias.
    name : str, optional
        Default in a summary: ``conv1``, ``conv2`` and so on.

    See Also
    --------
    summary, receptive_field : take sequences of layers.

    Examples
    --------
    >>> from fastconv.arithmetic import Conv
    >>> Conv(64, 3, padding="same").stride
    1
    """

    filters: Int
    kernel_size: Ints
    stride: Ints = 1
    padding: Padding = 0
    dilation: Ints = 1
    groups: Int = 1
    bias: bool = True
    name: str | None = None


@dataclass(frozen=True)
class Pool:
    """A pooling layer of a stack, maximum or average: it has no weights.

    Parameters
    ----------
    kernel_size : int or tuple of int
        The window, F.
    stride : int or tuple of int, optional
        Step between windows; default: `kernel_size`.
    padding, ceil_mode
        As in `fastconv.max_pool`.
    name : str, optional
        Default in a summary: ``pool1``, ``pool2`` and so on.

    See Also
    --------
    summary, receptive_field : take sequences of layers.

    Examples
    --------
    >>> from fastconv.arithmetic import Pool, summary
    >>> summary([Pool(3, stride=2)], (96, 55, 55))[0].output_shape
    (96, 27, 27)
    """

    kernel_size: Ints
    stride: Ints | None = None
    padding: Padding = 0
    ceil_mode: bool = False
    name: str | None = None


@dataclass(frozen=True)
class Dense:
    """A fully connected layer of a stack; what comes in is flattened.

    Parameters
    ----------
    units : int
        Outputs.
    bias : bool, default: True
        Whether each unit has a bias.
    name : str, optional
        Default in a summary: ``dense1``, ``dense2`` and so on.

    See Also
    --------
    summary, receptive_field : take sequences of layers.

    Examples
    --------
    >>> from fastconv.arithmetic import Dense, summary
    >>> summary([Dense(10)], (16, 5, 5))[0].weights
    4000
    """

    units: Int
    bias: bool = True
    name: str | None = None


Layer: TypeAlias = Conv | Pool | Dense


def is_same(padding: Any) -> bool:
    """Whether the padding is the word."""
    return isinstance(padding, str) and padding == "same"


def _pairs(padding: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) of each axis, from numbers that the rules have accepted."""
    if isinstance(padding, str):  # "valid"; "same" depends on more than itself
        return ((0, 0),) * rank
    axes = _errors.as_axes("", "padding", padding, rank)
    return tuple((int(axis), int(axis)) if is_one(axis) else (int(axis[0]), int(axis[1])) for axis in axes)


@dataclass(frozen=True)
class Window:
    """What a layer looks through, one number a spatial axis, and the spatial size that it leaves."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    output: tuple[int, ...]


def window_of(op: str, layer: Layer, sizes: tuple[int, ...]) -> Window:
    """The window of a layer over an input of these sizes; a dense layer looks through one as large as the input."""
    rank = len(sizes)
    ones = (1,) * rank
    if isinstance(layer, Dense):
        return Window(sizes, ones, ((0, 0),) * rank, ones, ones)
    stride = layer.kernel_size if isinstance(layer, Pool) and layer.stride is None else cast(Ints, layer.stride)
    dilation = layer.dilation if isinstance(layer, Conv) else 1
    with told_by(op):
        if isinstance(layer, Conv):
            output = _core.conv_output_size(sizes, layer.kernel_size, stride, layer.padding, dilation)
        else:
            output = _core.pool_output_size(sizes, layer.kernel_size, stride, layer.padding, dilation, layer.ceil_mode)
    kernel, strides, dilations = (axes_of(op, "", value, rank) for value in (layer.kernel_size, stride, dilation))
    same = is_same(layer.padding)
    pairs = same_padding(sizes, kernel, strides, dilations) if same else _pairs(layer.padding, rank)
    return Window(kernel, strides, pairs, dilations, output)


# Size, jump and start of the receptive field on one axis.
Field: TypeAlias = tuple[int, int, int]


def grown(fields: tuple[Field, ...], window: Window) -> tuple[Field, ...]:
    """The receptive fields one layer further."""
    steps = zip(fields, window.kernel, window.stride, window.padding, window.dilation, strict=True)
    return tuple(
        (size + dilation * (kernel - 1) * jump, jump * stride, start - before * jump)
        for (size, jump, start), kernel, stride, (before, _), dilation in steps
    )


def layers_of(op: str, layers: Any) -> tuple[Layer, ...]:
    """A stack that can be one: its layers are layers, and none that slides follows a dense one."""
    if isinstance(layers, (Conv, Pool, Dense, str, bytes)) or not isinstance(layers, Iterable):
        raise TypeError(f"{op}: layers is {layers!r}; needs a sequence of Conv, Pool and Dense")
    stack: tuple[Layer, ...] = tuple(layers)
    for i, layer in enumerate(stack):
        if not isinstance(layer, (Conv, Pool, Dense)):
            raise TypeError(f"{op}: layers[{i}] is {layer!r}; needs Conv, Pool or Dense")
        if i and isinstance(stack[i - 1], Dense) and not isinstance(layer, Dense):
            raise ValueError(f"{op}: layers[{i}] is {layer!r}; needs Dense after Dense, which leaves no spatial axes")
    return stack
