"""The arithmetic of convolutional layers: sizes, parameters, operations, receptive fields, and a summary of a stack.

Nothing here computes a convolution, and nothing needs an array: shapes go in, numbers come out. Sizes follow the rules
that the ops themselves follow.

>>> from fastconv.arithmetic import Conv, Dense, Pool, output_size, summary
>>> output_size(227, 11, stride=4)
55
>>> print(summary([Conv(4, 3), Pool(2), Dense(10)], (1, 12, 12)))
layer     input   output   K  F  S  P  weights  biases  multiply-adds  if local  if dense  field  % weights  % m-adds
---------------------------------------------------------------------------------------------------------------------
conv1   1x12x12  4x10x10   4  3  1  0       36       4          3,600     3,600    57,600      3        3.5      78.3
pool1   4x10x10    4x5x5      2  2  0        0       0              0         0         0      4        0.0       0.0
dense1    4x5x5       10  10             1,000      10          1,000     1,000     1,000     12       96.5      21.7
---------------------------------------------------------------------------------------------------------------------
total                                    1,036      14          4,600     4,600    58,600             100.0     100.0
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast, overload

import numpy as np

from . import _core, _errors
from ._types import Int, Ints, Layout, Padding

__all__ = [
    "Conv",
    "Dense",
    "Layer",
    "LayerSummary",
    "Pool",
    "ReceptiveField",
    "Summary",
    "flop_count",
    "output_size",
    "parameter_count",
    "receptive_field",
    "same_padding",
    "summary",
]

MOST_AXES = 3
UNITS = {"flops": 2, "multiply-adds": 1}


# ---- from what the caller wrote to plain numbers


def _is_one(value: Any) -> bool:
    return not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and value.ndim == 0)


def _count(op: str, name: str, value: Any) -> int:
    number = _errors.as_int(op, name, value, value)
    if number < 1:
        raise ValueError(f"{op}: {name} is {value!r}; needs an int >= 1")
    return number


def _axes(op: str, name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """One number for every spatial axis, or one a spatial axis."""
    axes = _errors.as_axes(op, name, value, rank)
    if len(axes) != rank:
        _errors.wrong_length(op, name, value, rank)
    numbers = tuple(_errors.as_int(op, name, number, value) for number in axes)
    if min(numbers) < least:
        _errors.too_small(op, name, value, rank, least)
    return numbers


def _sizes(op: str, value: Any) -> tuple[int, ...]:
    """`input_size`, which says how many axes there are."""
    sizes = tuple(_errors.as_int(op, "input_size", size, value) for size in _errors.as_axes(op, "input_size", value, 1))
    if not 1 <= len(sizes) <= MOST_AXES or min(sizes) < 1:
        raise ValueError(f"{op}: input_size is {value!r}; needs an int or 1 to {MOST_AXES} ints, each >= 1")
    return sizes


def _shape(op: str, name: str, value: Any, form: str, lengths: Sequence[int], least: int) -> tuple[int, ...]:
    shape = tuple(_errors.as_int(op, name, size, value) for size in _errors.as_shape(op, name, value))
    if len(shape) not in lengths or min(shape) < least:
        raise ValueError(f"{op}: {name} is {value!r}; needs {form}, each >= {least}")
    return shape


@contextmanager
def _named(op: str) -> Iterator[None]:
    """What the rules refuse is told in the name of the function that was called."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{op}: {str(error).removeprefix('output_size: ')}") from None


# ---- sizes


@overload
def output_size(
    input_size: Int,
    kernel_size: Ints,
    stride: Ints = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    *,
    ceil_mode: bool = ...,
    transposed: bool = ...,
    output_padding: Ints = ...,
) -> int: ...
@overload
def output_size(
    input_size: Sequence[Int],
    kernel_size: Ints,
    stride: Ints = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
    *,
    ceil_mode: bool = ...,
    transposed: bool = ...,
    output_padding: Ints = ...,
) -> tuple[int, ...]: ...
def output_size(
    input_size: Ints,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    ceil_mode: bool = False,
    transposed: bool = False,
    output_padding: Ints = 0,
) -> int | tuple[int, ...]:
    """Spatial size of what a convolution, a pooling or a transposed convolution gives.

    Parameters
    ----------
    input_size : int or tuple of int
        Size of the input, without batch and channels: one axis, or a tuple of one to three.
    kernel_size : int or tuple of int
        Size of the filter or window.
    stride : int or tuple of int, default: 1
        Step between windows. Pooling ops have another default, their `kernel_size`.
    padding : int, tuple of int, tuple of (before, after) pairs, "valid" or "same", default: 0
        Elements added around the input, or, if `transposed`, taken away around the output.
    dilation : int or tuple of int, default: 1
        Distance between the elements of the window.
    ceil_mode : bool, default: False
        Round up, as pooling ops do when they are asked to. Padding must then be smaller than the window, as it must in
        pooling.
    transposed : bool, default: False
        The size that a transposed convolution gives.
    output_padding : int or tuple of int, default: 0
        Elements that a transposed convolution appends.

    Returns
    -------
    int or tuple of int
        An int for an int, a tuple for a tuple.

    Raises
    ------
    ValueError
        If the window is larger than the padded input, nothing would remain, or an argument has a value that is not
        allowed. The message names the argument, its value and what is allowed.
    TypeError
        If an argument has a wrong type.

    See Also
    --------
    same_padding : the padding that keeps ``ceil(input_size / stride)`` elements.

    Notes
    -----
    On each axis [1]_::

        window     = dilation * (kernel_size - 1) + 1
        output     = floor((input_size + before + after - window) / stride) + 1
        transposed = (input_size - 1) * stride - before - after + window + output_padding

    With `ceil_mode` the quotient is rounded up, and a window that would begin beyond the input and the padding before
    it is dropped. ``"same"`` gives ``ceil(input_size / stride)``, if `transposed` ``input_size * stride``.

    References
    ----------
    .. [1] V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, 2016.

    Examples
    --------
    >>> from fastconv.arithmetic import output_size
    >>> output_size(7, 3, stride=2, padding=1)
    4
    >>> output_size((480, 640), 3, stride=2, padding=1)
    (240, 320)
    >>> output_size(6, 3, stride=2), output_size(6, 3, stride=2, ceil_mode=True)
    (2, 3)
    >>> output_size(4, 3, stride=2, padding=1, transposed=True)
    7
    """
    op = "output_size"
    sizes = _sizes(op, input_size)
    rounded_up = _errors.as_flag(op, "ceil_mode", ceil_mode)
    if _errors.as_flag(op, "transposed", transposed):
        if rounded_up:
            raise ValueError(
                f"{op}: ceil_mode is {ceil_mode!r}; needs False where transposed is True: pooling rounds up"
            )
        result = _core.conv_transpose_output_size(sizes, kernel_size, stride, padding, output_padding, dilation)
    elif any(_axes(op, "output_padding", output_padding, len(sizes), least=0)):
        raise ValueError(f"{op}: output_padding is {output_padding!r}; needs 0 unless transposed is True")
    elif rounded_up:
        result = _core.pool_output_size(sizes, kernel_size, stride, padding, dilation, True)
    else:
        result = _core.conv_output_size(sizes, kernel_size, stride, padding, dilation)
    return result[0] if _is_one(input_size) else result


@overload
def same_padding(input_size: Int, kernel_size: Ints, stride: Ints = ..., dilation: Ints = ...) -> tuple[int, int]: ...
@overload
def same_padding(
    input_size: Sequence[Int], kernel_size: Ints, stride: Ints = ..., dilation: Ints = ...
) -> tuple[tuple[int, int], ...]: ...
def same_padding(
    input_size: Ints, kernel_size: Ints, stride: Ints = 1, dilation: Ints = 1
) -> tuple[int, int] | tuple[tuple[int, int], ...]:
    """The padding that ``padding="same"`` stands for.

    Parameters
    ----------
    input_size : int or tuple of int
        Size of the input, without batch and channels: one axis, or a tuple of one to three.
    kernel_size : int or tuple of int
        Size of the filter or window.
    stride : int or tuple of int, default: 1
        Step between windows.
    dilation : int or tuple of int, default: 1
        Distance between the elements of the window.

    Returns
    -------
    (before, after), or tuple of (before, after) pairs
        A pair for an int; for a tuple one pair an axis, as the ops take them.

    Raises
    ------
    ValueError
        If an argument has a value that is not allowed.
    TypeError
        If an argument has a wrong type.

    See Also
    --------
    output_size : the size that a given padding leads to.

    Notes
    -----
    The least padding that gives ``ceil(input_size / stride)`` outputs, the odd element at the end, as SAME_UPPER in
    ONNX [1]_::

        total  = max((ceil(input_size / stride) - 1) * stride + dilation * (kernel_size - 1) + 1 - input_size, 0)
        before = floor(total / 2)
        after  = total - before

    With stride 1 and an odd kernel it is the half padding ``dilation * (kernel_size - 1) / 2`` on both sides [2]_.

    References
    ----------
    .. [1] ONNX, operator Conv, attribute ``auto_pad``, https://onnx.ai/onnx/operators/onnx__Conv.html
    .. [2] V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, 2016.

    Examples
    --------
    >>> from fastconv.arithmetic import same_padding
    >>> same_padding(28, 5)
    (2, 2)
    >>> same_padding((224, 112), 3, stride=2)
    ((0, 1), (0, 1))
    """
    op = "same_padding"
    sizes = _sizes(op, input_size)
    kernel, strides, dilations = (
        _axes(op, name, value, len(sizes))
        for name, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation))
    )
    totals = [_errors.same_total(op, *axis) for axis in zip(sizes, kernel, strides, dilations, strict=True)]
    pairs = tuple((total // 2, total - total // 2) for total in totals)
    return pairs[0] if _is_one(input_size) else pairs


# ---- counts


def parameter_count(weight_shape: Sequence[Int], bias: bool = True) -> int:
    """How many numbers a layer learns.

    Parameters
    ----------
    weight_shape : tuple of int, shape (K, C / groups, *kernel) or (units, inputs)
        Shape of the weights of a convolution or a dense layer: its outputs first.
    bias : bool, default: True
        Whether each output has a bias.

    Returns
    -------
    int
        ``prod(weight_shape)``, plus ``weight_shape[0]`` if `bias`.

    Raises
    ------
    ValueError
        If `weight_shape` has no two to five axes, or an empty one.
    TypeError
        If an argument has a wrong type.

    See Also
    --------
    summary : weights and biases of all layers of a stack.

    Notes
    -----
    K filters of F x F over C channels have ``K * C * F * F`` weights, whatever the size of the image. The weights of a
    transposed convolution, (in, out / groups, *kernel), do not begin with its outputs: count them with ``bias=False``.

    Examples
    --------
    The first layer of LeNet-5, and the last:

    >>> from fastconv.arithmetic import parameter_count
    >>> parameter_count((6, 1, 5, 5)), parameter_count((6, 1, 5, 5), bias=False)
    (156, 150)
    >>> parameter_count((10, 84))
    850
    """
    op = "parameter_count"
    shape = _shape(op, "weight_shape", weight_shape, "2 to 5 ints, outputs first", range(2, MOST_AXES + 3), least=1)
    return math.prod(shape) + (shape[0] if _errors.as_flag(op, "bias", bias) else 0)


def flop_count(
    input_shape: Sequence[Int],
    weight_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    unit: Literal["flops", "multiply-adds"] = "flops",
    layout: Layout | None = None,
) -> int:
    """Floating point operations of a convolution, or its multiply-adds: `unit` says which.

    Parameters
    ----------
    input_shape : tuple of int, shape (N, C, *spatial) or (C, *spatial)
        Shape of the images; without a batch, of one. In the axis order of `layout`.
    weight_shape : tuple of int, shape (K, C / groups, *kernel)
        Shape of the filters.
    stride, padding, dilation, groups
        As in `fastconv.conv`.
    unit : {"flops", "multiply-adds"}, default: "flops"
        What is counted. A multiplication and the addition of its product are two FLOPs, one multiply-add.
    layout : {"NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"}, optional
        Order of the axes in `input_shape`; default: channels first.

    Returns
    -------
    int
        The count for the whole batch, in the unit asked for.

    Raises
    ------
    ValueError
        If shapes do not fit, the kernel is larger than the padded input, or an argument has a value that is not
        allowed. The message names the argument, its value and what is allowed.
    TypeError
        If an argument has a wrong type.

    See Also
    --------
    summary : multiply-adds of all layers of a stack.

    Notes
    -----
    ::

        multiply-adds = N * K * (C / groups) * prod(output) * prod(kernel)
        flops         = 2 * multiply-adds

    For one image and square filters the multiply-adds are the ``H2 * W2 * F * F * D1 * D2`` of lectures: output height
    and width, field, channels in and out. Beware: many texts call these FLOPs, and "MACs" and "GFLOPS" of published
    nets are as often the one as the other. Taps that fall on padding count; biases and activations, one operation an
    output, do not. Both gradients of a convolution cost what it costs itself.

    Examples
    --------
    >>> from fastconv.arithmetic import flop_count
    >>> flop_count((1, 3, 227, 227), (96, 3, 11, 11), stride=4, unit="multiply-adds")
    105415200
    >>> flop_count((1, 3, 227, 227), (96, 3, 11, 11), stride=4)
    210830400
    """
    op = "flop_count"
    weight = _shape(op, "weight_shape", weight_shape, "(K, C / groups, *kernel)", range(3, MOST_AXES + 3), least=1)
    rank = len(weight) - 2
    shape = _shape(op, "input_shape", input_shape, "(N, C, *spatial) or (C, *spatial)", (rank + 1, rank + 2), least=0)
    last = _channels_last(op, layout, rank)
    if not isinstance(unit, str) or unit not in UNITS:
        _errors.bad_choice(op, "unit", unit, tuple(UNITS))
    batch = shape[0] if len(shape) == rank + 2 else 1
    item = shape[-rank - 1 :]
    channels, sizes = (item[-1], item[:-1]) if last else (item[0], item[1:])
    parts = _count(op, "groups", groups)
    if channels != weight[1] * parts or weight[0] % parts:
        raise ValueError(
            f"{op}: groups is {groups!r}, input_shape {shape}, weight_shape {weight}; "
            "needs input channels = groups * weight_shape[1], and weight_shape[0] divisible by groups"
        )
    with _named(op):
        output = _core.conv_output_size(sizes, weight[2:], stride, padding, dilation)
    return UNITS[unit] * batch * math.prod(weight) * math.prod(output)


def _channels_last(op: str, layout: Any, rank: int) -> bool:
    axes = "DHW"[-rank:]
    allowed = (None, f"NC{axes}", f"N{axes}C")
    if layout is not None and (not isinstance(layout, str) or layout not in allowed):
        _errors.bad_choice(op, "layout", layout, allowed)
    return layout == allowed[2]


# ---- stacks of layers


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


def _is_same(padding: Any) -> bool:
    return isinstance(padding, str) and padding == "same"


def _pairs(padding: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) of each axis, from numbers that the rules have accepted."""
    if isinstance(padding, str):  # "valid"; "same" depends on more than itself
        return ((0, 0),) * rank
    axes = _errors.as_axes("", "padding", padding, rank)
    return tuple((int(axis), int(axis)) if _is_one(axis) else (int(axis[0]), int(axis[1])) for axis in axes)


@dataclass(frozen=True)
class _Window:
    """What a layer looks through, one number a spatial axis, and the spatial size that it leaves."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    output: tuple[int, ...]


def _window(op: str, layer: Layer, sizes: tuple[int, ...]) -> _Window:
    """The window of a layer over an input of these sizes; a dense layer looks through one as large as the input."""
    rank = len(sizes)
    ones = (1,) * rank
    if isinstance(layer, Dense):
        return _Window(sizes, ones, ((0, 0),) * rank, ones, ones)
    stride = layer.kernel_size if isinstance(layer, Pool) and layer.stride is None else cast(Ints, layer.stride)
    dilation = layer.dilation if isinstance(layer, Conv) else 1
    with _named(op):
        if isinstance(layer, Conv):
            output = _core.conv_output_size(sizes, layer.kernel_size, stride, layer.padding, dilation)
        else:
            output = _core.pool_output_size(sizes, layer.kernel_size, stride, layer.padding, dilation, layer.ceil_mode)
    kernel, strides, dilations = (_axes(op, "", value, rank) for value in (layer.kernel_size, stride, dilation))
    same = _is_same(layer.padding)
    pairs = same_padding(sizes, kernel, strides, dilations) if same else _pairs(layer.padding, rank)
    return _Window(kernel, strides, pairs, dilations, output)


# Size, jump and start of the receptive field on one axis.
_Field: TypeAlias = tuple[int, int, int]


def _grown(fields: tuple[_Field, ...], window: _Window) -> tuple[_Field, ...]:
    """The receptive fields one layer further."""
    steps = zip(fields, window.kernel, window.stride, window.padding, window.dilation, strict=True)
    return tuple(
        (size + dilation * (kernel - 1) * jump, jump * stride, start - before * jump)
        for (size, jump, start), kernel, stride, (before, _), dilation in steps
    )


def _layers(op: str, layers: Any) -> tuple[Layer, ...]:
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


@dataclass(frozen=True)
class ReceptiveField:
    """What one output of a stack of layers sees of its input.

    Output ``i`` of an axis sees the input's elements ``start + i * jump`` to ``start + i * jump + size - 1``.

    Attributes
    ----------
    size : int or tuple of int
        Elements from the first to the last that is seen, those in padding too.
    jump : int or tuple of int
        Step in the input from one output to the next: the effective stride.
    start : int or tuple of int
        Where the field of the first output begins; negative in padding.
    """

    size: int | tuple[int, ...]
    jump: int | tuple[int, ...]
    start: int | tuple[int, ...]

    @property
    def centre(self) -> float | tuple[float, ...]:
        """Middle of the field of the first output, ``start + (size - 1) / 2``."""
        if isinstance(self.size, tuple) and isinstance(self.start, tuple):
            return tuple(start + (size - 1) / 2 for size, start in zip(self.size, self.start, strict=True))
        return cast(int, self.start) + (cast(int, self.size) - 1) / 2


def receptive_field(layers: Iterable[Layer], input_size: Ints | None = None) -> tuple[ReceptiveField, ...]:
    """What an output sees of the input, after each layer of a stack.

    Parameters
    ----------
    layers : sequence of Conv, Pool and Dense
        First the layer next to the input.
    input_size : int or tuple of int, optional
        Size of the input, without batch and channels. Needed by two things only: a stride above 1 with
        ``padding="same"``, whose padding depends on it, and `Dense`, which sees all that is left.

    Returns
    -------
    tuple of ReceptiveField
        One a layer, with size, jump, start and centre. Ints if all arguments are ints, tuples with one entry a spatial
        axis if any is a tuple.

    Raises
    ------
    ValueError
        If a layer has a value that is not allowed, layers disagree about the number of axes, `input_size` is missing
        where it is needed, or a window is larger than what comes in. The message names the layer, its argument, the
        value and what is allowed.
    TypeError
        If something else than a layer is among the layers, or an argument has a wrong type.

    See Also
    --------
    summary : the same beside sizes and counts.

    Notes
    -----
    From one layer to the next, beginning with size 1, jump 1 and start 0 [1]_::

        size  = size + dilation * (kernel_size - 1) * jump
        start = start - before * jump
        jump  = jump * stride

    References
    ----------
    .. [1] A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019,
       https://distill.pub/2019/computing-receptive-fields

    Examples
    --------
    Three layers of 3 x 3 see as far as one of 7 x 7:

    >>> from fastconv.arithmetic import Conv, Pool, receptive_field
    >>> [field.size for field in receptive_field([Conv(64, 3)] * 3)]
    [3, 5, 7]

    With pooling between them the field grows faster:

    >>> receptive_field([Conv(64, 3, padding=1), Pool(2), Conv(64, 3, padding=1)])[-1]
    ReceptiveField(size=8, jump=2, start=-3)
    """
    op = "receptive_field"
    stack = _layers(op, layers)
    given: list[Any] = [] if input_size is None else [input_size]
    for layer in stack:
        if not isinstance(layer, Dense):
            given += [layer.kernel_size, layer.stride, layer.padding]
        if isinstance(layer, Conv):
            given += [layer.dilation]
    ranks = [len(_errors.as_axes(op, "", one, 1)) for one in given if not (_is_one(one) or isinstance(one, str))]
    rank = ranks[0] if ranks else 1
    if not 1 <= rank <= MOST_AXES:
        raise ValueError(f"{op}: layers have {rank} spatial axes; needs 1 to {MOST_AXES}")
    # Without a size, one that no kernel exceeds: all else is checked as ever.
    sizes = (2**40,) * rank if input_size is None else _sizes(op, input_size)
    if len(sizes) < rank and _is_one(input_size):
        sizes *= rank
    fields: tuple[_Field, ...] = ((1, 1, 0),) * rank
    result = []
    for i, layer in enumerate(stack):
        where = f"{op}: layers[{i}]"
        window = _window(where, layer, sizes)
        if input_size is not None:
            sizes = window.output
        elif isinstance(layer, Dense) or (_is_same(layer.padding) and max(window.stride) > 1):
            raise ValueError(f"{where} is {layer!r}; needs input_size, on which its field depends")
        fields = _grown(fields, window)
        result.append(ReceptiveField(*(zip(*fields, strict=True) if ranks else fields[0])))
    return tuple(result)


@dataclass(frozen=True)
class LayerSummary:
    """One row of a `Summary`.

    Attributes
    ----------
    name : str
        The layer's own, or its kind with a number.
    layer : Conv, Pool or Dense
        The description that was given.
    input_shape, output_shape : tuple of int
        (C, *spatial), or (units,) after a dense layer.
    filters : int or None
        K: output channels, or units of a dense layer; None for a pool.
    kernel_size, stride : tuple of int or None
        F and S, one number a spatial axis; None for a dense layer.
    padding : tuple of (before, after) pairs or None
        P, with words resolved; None for a dense layer.
    weights, biases : int
        Numbers that are learnt.
    multiply_adds : int
        For one image; one multiply-add is two FLOPs. Pools have none.
    connections_dense, connections_local, connections_shared : int
        Distinct weights of a layer between the same two volumes, if each output had its own for every input (fully
        connected), its own for every tap of its window (locally connected), or all positions shared the same ones
        (convolution). Pools have none; for a dense layer the three are one number.
    receptive_field : tuple of int
        Size of the field in the input of the stack, one number a spatial axis. Padding counts: deep in a stack, fields
        are larger than the image.
    weight_share, multiply_add_share : float
        Part of the whole stack, 0 to 1.
    """

    name: str
    layer: Layer
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    filters: int | None
    kernel_size: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    padding: tuple[tuple[int, int], ...] | None
    weights: int
    biases: int
    multiply_adds: int
    connections_dense: int
    connections_local: int
    connections_shared: int
    receptive_field: tuple[int, ...]
    weight_share: float
    multiply_add_share: float

    @property
    def input_volume(self) -> int:
        """Numbers that come in: the product of `input_shape`."""
        return math.prod(self.input_shape)

    @property
    def output_volume(self) -> int:
        """Numbers that go out: the product of `output_shape`."""
        return math.prod(self.output_shape)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases


@dataclass(frozen=True)
class Summary(Sequence[LayerSummary]):
    """A table of a stack: a sequence of `LayerSummary`, one a layer; ``str()`` of it is readable.

    In the table K are filters or units (``/g2``: in two groups), F is the size of a filter or window (``/d2``: dilation
    2), S the stride, P the padding (``before+after`` where they differ): one number, or one a spatial axis where these
    differ. ``if local`` and ``if dense`` say how many weights there were if positions did not share them, or if all
    outputs saw all inputs. ``field`` is the receptive field. Multiply-adds are those of one image. Shapes begin with
    the channels.

    Attributes
    ----------
    rows : tuple of LayerSummary
        What the sequence consists of.
    """

    rows: tuple[LayerSummary, ...]

    @overload
    def __getitem__(self, index: int) -> LayerSummary: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LayerSummary, ...]: ...
    def __getitem__(self, index: int | slice) -> LayerSummary | tuple[LayerSummary, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def weights(self) -> int:
        """Weights of all layers."""
        return sum(row.weights for row in self.rows)

    @property
    def biases(self) -> int:
        """Biases of all layers."""
        return sum(row.biases for row in self.rows)

    @property
    def parameters(self) -> int:
        """Weights and biases of all layers."""
        return self.weights + self.biases

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all layers for one image; twice as many FLOPs."""
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        head, *body = table = self._cells()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]

        def line(cells: list[str]) -> str:
            first, *rest = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
            return "  ".join([cells[0].ljust(len(first)), *rest]).rstrip()

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([line(head), rule, *map(line, body[:-1]), rule, line(body[-1])])

    def to_markdown(self) -> str:
        """The same table in Markdown."""
        head, *body = self._cells()
        lines = [head, [":--", *["--:"] * (len(head) - 1)], *body]
        return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |" for cells in lines)

    def _cells(self) -> list[list[str]]:
        """Header, rows and totals, every cell as text."""
        head = ["layer", "input", "output", "K", "F", "S", "P", *COUNTS.values(), "field", *SHARES.values()]
        total = ["total", *[""] * 6, *_counts(self.rows), "", *_shares(self.rows)]
        return [head, *map(_row_cells, self.rows), total]


COUNTS = {
    "weights": "weights",
    "biases": "biases",
    "multiply_adds": "multiply-adds",
    "connections_local": "if local",
    "connections_dense": "if dense",
}
SHARES = {"weight_share": "% weights", "multiply_add_share": "% m-adds"}


def _counts(rows: Sequence[LayerSummary]) -> list[str]:
    return [f"{sum(getattr(row, name) for row in rows):,}" for name in COUNTS]


def _shares(rows: Sequence[LayerSummary]) -> list[str]:
    return [f"{100 * sum(getattr(row, name) for row in rows):.1f}" for name in SHARES]


def _by(axes: Iterable[Any] | None) -> str:
    """3 for (3, 3), 3x5 for (3, 5), 0+1 for ((0, 1), (0, 1))."""
    texts = []
    for axis in axes or ():
        before, after = axis if isinstance(axis, tuple) else (axis, axis)
        texts.append(str(before) if before == after else f"{before}+{after}")
    return "x".join(texts[:1] if len(set(texts)) == 1 else texts)


def _row_cells(row: LayerSummary) -> list[str]:
    filters, kernel = "" if row.filters is None else str(row.filters), _by(row.kernel_size)
    if isinstance(row.layer, Conv):
        groups, dilation = str(row.layer.groups), _by(_errors.as_axes("", "", row.layer.dilation, 1))
        filters += "" if groups == "1" else f"/g{groups}"
        kernel += "" if dilation == "1" else f"/d{dilation}"
    volumes = ["x".join(map(str, shape)) for shape in (row.input_shape, row.output_shape)]
    window = [filters, kernel, _by(row.stride), _by(row.padding)]
    return [row.name, *volumes, *window, *_counts([row]), _by(row.receptive_field), *_shares([row])]


def summary(layers: Iterable[Layer], input_shape: Sequence[Int]) -> Summary:
    """Sizes, weights, operations and receptive fields of a stack of layers, one row each.

    Parameters
    ----------
    layers : sequence of Conv, Pool and Dense
        First the layer next to the input.
    input_shape : tuple of int, shape (C, *spatial)
        Shape of one image; (C,) for a stack of dense layers.

    Returns
    -------
    Summary
        A sequence of `LayerSummary`; print it.

    Raises
    ------
    ValueError
        If a layer does not fit what comes in, or has a value that is not allowed. The message names the layer, its
        argument, the value and what is allowed.
    TypeError
        If something else than a layer is among the layers, or an argument has a wrong type.

    See Also
    --------
    output_size, parameter_count, flop_count, receptive_field : the single numbers.

    Notes
    -----
    For K filters of ``C / groups`` channels, with ``output`` and ``kernel`` the products of sizes over all axes::

        weights           = K * (C / groups) * kernel
        multiply-adds     = K * (C / groups) * kernel * output
        connections_dense = (C * input) * (K * output)
        connections_local = (K * output) * (C / groups) * kernel

    A dense layer is a convolution whose window is all of its input. Taps on padding count like others.

    References
    ----------
    .. [1] V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, 2016.
    .. [2] A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019,
       https://distill.pub/2019/computing-receptive-fields

    Examples
    --------
    LeNet-5, with the third layer connected to all maps:

    >>> from fastconv.arithmetic import Conv, Dense, Pool, summary
    >>> lenet = summary([Conv(6, 5), Pool(2), Conv(16, 5), Pool(2), Dense(120), Dense(84), Dense(10)], (1, 32, 32))
    >>> lenet.parameters
    61706
    >>> lenet[0].connections_dense, lenet[0].connections_shared
    (4816896, 150)
    >>> [row.output_shape for row in lenet[:2]]
    [(6, 28, 28), (6, 14, 14)]
    """
    op = "summary"
    stack = _layers(op, layers)
    form = f"(C, *spatial) with at most {MOST_AXES} spatial axes"
    shape = _shape(op, "input_shape", input_shape, form, range(1, MOST_AXES + 2), least=1)
    numbers: dict[str, int] = {}
    fields: tuple[_Field, ...] = ((1, 1, 0),) * (len(shape) - 1)
    rows = []
    for i, layer in enumerate(stack):
        kind = type(layer).__name__.lower()
        numbers[kind] = numbers.get(kind, 0) + 1
        name = f"{kind}{numbers[kind]}" if layer.name is None else str(layer.name)
        where = f"{op}: layers[{i}] ({name})"
        if len(shape) == 1 and not isinstance(layer, Dense):
            raise ValueError(f"{where}: input has shape {shape}; needs (C, *spatial), only Dense takes less")
        # Behind a dense layer, spatial axes of size one remain for the sake of the field.
        sizes = shape[1:] or (1,) * len(fields)
        window = _window(where, layer, sizes)
        fields = _grown(fields, window)
        row = _row(where, name, layer, shape, window, tuple(size for size, _, _ in fields))
        rows.append(row)
        shape = row.output_shape
    weights, multiply_adds = sum(row.weights for row in rows) or 1, sum(row.multiply_adds for row in rows) or 1
    parts = [(row.weights / weights, row.multiply_adds / multiply_adds) for row in rows]
    return Summary(
        tuple(
            replace(row, weight_share=weight, multiply_add_share=multiply_add)
            for row, (weight, multiply_add) in zip(rows, parts, strict=True)
        )
    )


def _row(
    op: str, name: str, layer: Layer, shape: tuple[int, ...], window: _Window, field: tuple[int, ...]
) -> LayerSummary:
    """One layer's row, its shares still 0."""
    filters, weights, biases, output = None, 0, 0, (shape[0], *window.output)
    if isinstance(layer, Conv):
        filters, groups = _count(op, "filters", layer.filters), _count(op, "groups", layer.groups)
        if shape[0] % groups or filters % groups:
            raise ValueError(f"{op}: groups is {groups}; needs a divisor of {shape[0]} channels and {filters} filters")
        weights, output = filters * (shape[0] // groups) * math.prod(window.kernel), (filters, *window.output)
    elif isinstance(layer, Dense):
        filters = _count(op, "units", layer.units)
        weights, output = filters * math.prod(shape), (filters,)
    if filters is not None and not isinstance(layer, Pool) and _errors.as_flag(op, "bias", layer.bias):
        biases = filters
    slides = not isinstance(layer, Dense)
    positions = math.prod(window.output)
    return LayerSummary(
        name=name,
        layer=layer,
        input_shape=shape,
        output_shape=output,
        filters=filters,
        kernel_size=window.kernel if slides else None,
        stride=window.stride if slides else None,
        padding=window.padding if slides else None,
        weights=weights,
        biases=biases,
        multiply_adds=weights * positions,
        connections_dense=math.prod(shape) * math.prod(output) if weights else 0,
        connections_local=weights * positions,
        connections_shared=weights,
        receptive_field=field,
        weight_share=0.0,
        multiply_add_share=0.0,
    )
