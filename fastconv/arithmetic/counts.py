"""Parameters and operations of one layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from .. import _core, _errors
from .._types import Int, Ints, Layout, Padding
from ._arguments import MOST_AXES, count, shape_of, told_by

UNITS = {"flops": 2, "multiply-adds": 1}


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
    shape = shape_of(op, "weight_shape", weight_shape, "2 to 5 ints, outputs first", range(2, MOST_AXES + 3), least=1)
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
    weight = shape_of(op, "weight_shape", weight_shape, "(K, C / groups, *kernel)", range(3, MOST_AXES + 3), least=1)
    rank = len(weight) - 2
    shape = shape_of(op, "input_shape", input_shape, "(N, C, *spatial) or (C, *spatial)", (rank + 1, rank + 2), least=0)
    last = _channels_last(op, layout, rank)
    if not isinstance(unit, str) or unit not in UNITS:
        _errors.bad_choice(op, "unit", unit, tuple(UNITS))
    batch = shape[0] if len(shape) == rank + 2 else 1
    item = shape[-rank - 1 :]
    channels, sizes = (item[-1], item[:-1]) if last else (item[0], item[1:])
    parts = count(op, "groups", groups)
    if channels != weight[1] * parts or weight[0] % parts:
        raise ValueError(
            f"{op}: groups is {groups!r}, input_shape {shape}, weight_shape {weight}; "
            "needs input channels = groups * weight_shape[1], and weight_shape[0] divisible by groups"
        )
    with told_by(op):
        output = _core.conv_output_size(sizes, weight[2:], stride, padding, dilation)
    return UNITS[unit] * batch * math.prod(weight) * math.prod(output)


def _channels_last(op: str, layout: Any, rank: int) -> bool:
    axes = "DHW"[-rank:]
    allowed = (None, f"NC{axes}", f"N{axes}C")
    if layout is not None and (not isinstance(layout, str) or layout not in allowed):
        _errors.bad_choice(op, "layout", layout, allowed)
    return layout == allowed[2]
