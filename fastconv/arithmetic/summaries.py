"""A table of a stack of layers: volumes, weights, operations, connections, receptive fields."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from .. import _errors
from .._types import Int
from ._arguments import MOST_AXES, count, shape_of
from .layers import Conv, Dense, Field, Layer, Pool, Window, grown, layers_of, window_of


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
        """The same table in Markdown.

        Returns
        -------
        str
            A line for the header, one for alignment, one a row and one of totals.
        """
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
    .. [1] Vincent Dumoulin, Francesco Visin, "A guide to convolution arithmetic for deep learning",
       arXiv:1603.07285, 2016.
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
    stack = layers_of(op, layers)
    form = f"(C, *spatial) with at most {MOST_AXES} spatial axes"
    shape = shape_of(op, "input_shape", input_shape, form, range(1, MOST_AXES + 2), least=1)
    numbers: dict[str, int] = {}
    fields: tuple[Field, ...] = ((1, 1, 0),) * (len(shape) - 1)
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
        window = window_of(where, layer, sizes)
        fields = grown(fields, window)
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
    op: str, name: str, layer: Layer, shape: tuple[int, ...], window: Window, field: tuple[int, ...]
) -> LayerSummary:
    """One layer's row, its shares still 0."""
    filters, weights, biases, output = None, 0, 0, (shape[0], *window.output)
    if isinstance(layer, Conv):
        filters, groups = count(op, "filters", layer.filters), count(op, "groups", layer.groups)
        if shape[0] % groups or filters % groups:
            raise ValueError(f"{op}: groups is {groups}; needs a divisor of {shape[0]} channels and {filters} filters")
        weights, output = filters * (shape[0] // groups) * math.prod(window.kernel), (filters, *window.output)
    elif isinstance(layer, Dense):
        filters = count(op, "units", layer.units)
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
