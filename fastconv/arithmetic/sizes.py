"""Sizes of outputs, and the padding that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from .. import _core, _errors
from .._types import Int, Ints, Padding
from ._arguments import axes_of, is_one, sizes_of


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
    .. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016.

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
    sizes = sizes_of(op, input_size)
    rounded_up = _errors.as_flag(op, "ceil_mode", ceil_mode)
    if _errors.as_flag(op, "transposed", transposed):
        if rounded_up:
            raise ValueError(
                f"{op}: ceil_mode is {ceil_mode!r}; needs False where transposed is True: pooling rounds up"
            )
        result = _core.conv_transpose_output_size(sizes, kernel_size, stride, padding, output_padding, dilation)
    elif any(axes_of(op, "output_padding", output_padding, len(sizes), least=0)):
        raise ValueError(f"{op}: output_padding is {output_padding!r}; needs 0 unless transposed is True")
    elif rounded_up:
        result = _core.pool_output_size(sizes, kernel_size, stride, padding, dilation, True)
    else:
        result = _core.conv_output_size(sizes, kernel_size, stride, padding, dilation)
    return result[0] if is_one(input_size) else result


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
    .. [2] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016.

    Examples
    --------
    >>> from fastconv.arithmetic import same_padding
    >>> same_padding(28, 5)
    (2, 2)
    >>> same_padding((224, 112), 3, stride=2)
    ((0, 1), (0, 1))
    """
    op = "same_padding"
    sizes = sizes_of(op, input_size)
    kernel, strides, dilations = (
        axes_of(op, name, value, len(sizes))
        for name, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation))
    )
    totals = [_errors.same_total(op, *axis) for axis in zip(sizes, kernel, strides, dilations, strict=True)]
    pairs = tuple((total // 2, total - total // 2) for total in totals)
    return pairs[0] if is_one(input_size) else pairs
