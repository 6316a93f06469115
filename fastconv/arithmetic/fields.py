"""Receptive fields of a stack of layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from .. import _errors
from .._types import Ints
from ._arguments import MOST_AXES, is_one, sizes_of
from .layers import Conv, Dense, Field, Layer, grown, is_same, layers_of, window_of


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
    stack = layers_of(op, layers)
    given: list[Any] = [] if input_size is None else [input_size]
    for layer in stack:
        if not isinstance(layer, Dense):
            given += [layer.kernel_size, layer.stride, layer.padding]
        if isinstance(layer, Conv):
            given += [layer.dilation]
    ranks = [len(_errors.as_axes(op, "", one, 1)) for one in given if not (is_one(one) or isinstance(one, str))]
    rank = ranks[0] if ranks else 1
    if not 1 <= rank <= MOST_AXES:
        raise ValueError(f"{op}: layers have {rank} spatial axes; needs 1 to {MOST_AXES}")
    # Without a size, one that no kernel exceeds: all else is checked as ever.
    sizes = (2**40,) * rank if input_size is None else sizes_of(op, input_size)
    if len(sizes) < rank and is_one(input_size):
        sizes *= rank
    fields: tuple[Field, ...] = ((1, 1, 0),) * rank
    result = []
    for i, layer in enumerate(stack):
        where = f"{op}: layers[{i}]"
        window = window_of(where, layer, sizes)
        if input_size is not None:
            sizes = window.output
        elif isinstance(layer, Dense) or (is_same(layer.padding) and max(window.stride) > 1):
            raise ValueError(f"{where} is {layer!r}; needs input_size, on which its field depends")
        fields = grown(fields, window)
        result.append(ReceptiveField(*(zip(*fields, strict=True) if ranks else fields[0])))
    return tuple(result)
