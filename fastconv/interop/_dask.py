"""The graphs of `fastconv.interop.dask`: an input cut into pieces, and the plain function on each.

What is wrong with the arguments is told by the plain function itself, called on an empty batch when the graph is built;
so are the shape and the type of the result. A piece of the input is a chunk and what its windows reach of its
neighbours. Pieces are made by slicing, concatenating and rechunking one axis after the other, so that between chunks
only strips move.
"""

from __future__ import annotations

import multiprocessing
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeAlias

import dask.array as da
import numpy as np

import fastconv
from fastconv import _coerce
from fastconv._types import Activation, Algorithm, Array, Int, Ints, Layout, Padding
from fastconv.arithmetic import same_padding

from ._layouts import is_last

Axes: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]


def conv(
    rank: int,
    input: da.Array,
    weight: Any,
    bias: Any,
    stride: Ints,
    padding: Padding,
    dilation: Ints,
    groups: Int,
    layout: Layout | None,
    flip: bool,
    activation: Activation | None,
    algorithm: Algorithm,
) -> da.Array:
    """``conv1d``, ``conv2d`` or ``conv3d``."""
    op = f"conv{rank}d"
    _check_input(op, input)
    given = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    operands = {name: _operand(op, name, value) for name, value in given.items()}
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    choices = {"layout": layout, "flip": flip, "activation": activation, "algorithm": algorithm}
    with _told_as(op, rank, input) as empty:
        stand_ins = {name: np.broadcast_to(np.zeros((), x.dtype), x.shape) for name, x in operands.items()}
        like = getattr(fastconv, op)(empty, **stand_ins, **window, groups=groups, **choices)
        if algorithm not in ("auto", "exact"):  # an empty batch does not ask whether it can
            shapes = empty.shape, operands["weight"].shape
            fastconv.choose_algorithm(*shapes, **window, groups=groups, layout=layout, algorithm=algorithm)
    if not input.size:
        return da.from_array(like, chunks=-1)
    image, groups = _Image(input, rank, layout), operator.index(groups)
    filters, _, *kernel = operands["weight"].shape
    spans = _spans_of_groups(image.x.chunks[image.channels], groups)
    inputs, outputs = (
        tuple((stop - start) * (count // groups) for start, stop in spans)
        for count in (image.x.shape[image.channels], filters)
    )
    y = image.map(
        op,
        _conv_piece,
        [axis.cut() for axis in image.axes(like, kernel, **window)],
        (inputs, outputs),
        like,
        *operands.values(),
        call=partial(fastconv.conv, stride=stride, dilation=dilation, **choices),
        channels=image.channels,
        groups=spans,
        filters=filters // groups,
    )
    return image.as_given(y)


def pool(
    kind: str,
    rank: int,
    input: da.Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Padding,
    layout: Layout | None,
    *,
    dilation: Ints = 1,
    return_indices: bool = False,
    **rest: Any,
) -> Any:
    """``max_pool1d`` to ``avg_pool3d``: an array, or arrays of values and of indices."""
    op = f"{kind}_pool{rank}d"
    _check_input(op, input)
    if kind == "max":
        rest |= {"dilation": dilation, "return_indices": return_indices}
    with _told_as(op, rank, input) as empty:
        given = getattr(fastconv, op)(empty, kernel_size, stride, padding, layout=layout, **rest)
    stride = kernel_size if stride is None else stride
    likes = given if return_indices else (given,)
    if not input.size:
        arrays = [da.from_array(like, chunks=-1) for like in likes]
        return tuple(arrays) if return_indices else arrays[0]
    image = _Image(input, rank, layout)
    axes = image.axes(likes[0], kernel_size, stride, padding, dilation)
    with _told_as(op, rank, input):
        for axis in axes:
            axis.check_windows(rest["ceil_mode"])
    cuts = [axis.cut() for axis in axes]
    channels = image.x.chunks[image.channels]
    call = partial(getattr(fastconv, f"{kind}_pool"), kernel_size=kernel_size, stride=stride, layout=layout, **rest)
    if not return_indices:
        return image.as_given(image.map(op, _piece, cuts, (channels, channels), likes[0], call=call))
    places = {"starts": [[start for start, _ in cut.pieces] for cut in cuts], "sizes": [axis.size for axis in axes]}
    pairs = image.map(op, _indexed_piece, cuts, (channels, channels), likes[0], call=call, **places)
    return tuple(
        image.as_given(pairs.map_blocks(operator.itemgetter(i), token=op, dtype=like.dtype, meta=like))
        for i, like in enumerate(likes)
    )


# ---------------------------------------------------------------------------------------------------------------------
# Arguments


def _check_input(op: str, input: Any) -> None:
    if not isinstance(input, da.Array):
        raise TypeError(f"{op}: input is a {type(input).__name__}; needs a dask array: dask.array.from_array makes one")
    _check_known(op, "input", input)


def _check_known(op: str, name: str, array: da.Array) -> None:
    if np.isnan(array.shape).any():
        raise ValueError(
            f"{op}: {name} has shape {array.shape}, chunks of unknown sizes; needs known ones: "
            f"{name}.compute_chunk_sizes() computes them"
        )


def _operand(op: str, name: str, value: Any) -> da.Array:
    """Weight or bias as one chunk."""
    if not isinstance(value, da.Array):
        return da.from_array(_coerce.as_array(op, name, value), chunks=-1)
    _check_known(op, name, value)
    return value.rechunk(-1)


@contextmanager
def _told_as(op: str, rank: int, input: da.Array) -> Iterator[Array]:
    """An empty batch of what `input` holds; what is wrong with it is told of `input`."""
    item = input.ndim == rank + 1
    empty = np.empty((0, *input.shape[not item :]), input.dtype)
    try:
        yield empty
    except (ValueError, TypeError) as error:
        text = str(error).partition(": ")[2].replace(str(empty.shape), str(input.shape))
        raise type(error)(f"{op}: {text}") from None


def _pairs(padding: Padding, sizes: Axes, kernel: Axes, stride: Axes, dilation: Axes) -> list[Pair]:
    """Padding as (before, after) for each axis."""
    if isinstance(padding, str):
        same = padding == "same"
        return list(same_padding(sizes, kernel, stride, dilation)) if same else [(0, 0)] * len(sizes)
    numbers = np.asarray(padding)
    pairs = numbers if numbers.ndim == 2 else numbers[..., None]
    return [(before, after) for before, after in np.broadcast_to(pairs, (len(sizes), 2)).tolist()]


# ---------------------------------------------------------------------------------------------------------------------
# Geometry: which piece of the input a chunk of the output needs


class _Cut(NamedTuple):
    """One spatial axis of the input cut into the pieces that chunks of the output need."""

    outputs: Axes  # in each chunk
    pieces: list[Pair]  # (start, stop), which may overlap
    padding: dict[int, Pair]  # (before, after) of those pieces that have any


class _Axis(NamedTuple):
    """A spatial axis and the windows on it."""

    chunks: Axes
    outputs: int
    kernel: int
    stride: int
    padding: Pair
    dilation: int

    @property
    def size(self) -> int:
        return sum(self.chunks)

    def check_windows(self, ceil_mode: bool) -> None:
        """Refuse windows of maxima that hold nothing of the input; an empty batch has none."""
        if self.dilation > self.size:  # else no window steps over it
            line = np.zeros((1, self.size))
            fastconv.max_pool1d(line, self.kernel, self.stride, [self.padding], self.dilation, ceil_mode)

    def cut(self) -> _Cut:
        """Follow the chunks: an output belongs to the one in which the middle of its window lies."""
        (before, after), stride = self.padding, self.stride
        reach = self.dilation * (self.kernel - 1) + 1
        middle = (reach - 1) // 2 - before
        ends = {-((middle - end) // stride) for end in accumulate(self.chunks)}
        # A piece alone must be what the op takes: each has one of the windows, `first` to `last`, that touch the input
        # and end within its padding, where `ceil_mode` may have added another.
        first = max((before - reach) // stride + 1, 0)
        last = min(self.size - 1 + before, self.size + before + after - reach) // stride
        borders = [0, *sorted(end for end in ends if first < end <= last), self.outputs]
        if len(borders) == 2:
            return _Cut((self.outputs,), [(0, self.size)], {0: self.padding})
        windows = [(p * stride - before, (q - 1) * stride - before + reach) for p, q in pairwise(borders)]
        # What that window reaches beyond the padding is none: it does not count in means.
        padding = {i: (max(-a, 0), min(max(b - self.size, 0), after)) for i, (a, b) in enumerate(windows)}
        return _Cut(
            tuple(q - p for p, q in pairwise(borders)),
            [(max(a, 0), min(b, self.size)) for a, b in windows],
            {i: pair for i, pair in padding.items() if any(pair)},
        )


def _spans_of_groups(chunks: Axes, groups: int) -> list[Pair]:
    """The groups, (start, stop), of each chunk of channels after those have been joined that share a group."""
    width = sum(chunks) // groups
    borders = sorted({end // width for end in (0, *accumulate(chunks)) if end % width == 0})
    return list(pairwise(borders))


# ---------------------------------------------------------------------------------------------------------------------
# Graphs


class _Image:
    """A dask array as a batch, and where its axes are."""

    def __init__(self, input: da.Array, rank: int, layout: Layout | None) -> None:
        last = is_last(layout)
        self.is_item = input.ndim == rank + 1
        x = input[None] if self.is_item else input
        self.x = x.rechunk(tuple(tuple(size for size in chunks if size) for chunks in x.chunks))  # none is empty
        self.channels = rank + 1 if last else 1
        self.spatial = range(1, rank + 1) if last else range(2, rank + 2)

    def axes(self, like: Array, kernel: Ints, stride: Ints, padding: Padding, dilation: Ints) -> list[_Axis]:
        """The spatial axes; `like` is the plain function's result on an empty batch."""
        sizes = tuple(self.x.shape[axis] for axis in self.spatial)
        kernel, stride, dilation = (
            tuple(np.broadcast_to(value, len(sizes)).tolist()) for value in (kernel, stride, dilation)
        )
        chunks, outputs = ([shape[axis] for axis in self.spatial] for shape in (self.x.chunks, like.shape))
        pairs = _pairs(padding, sizes, kernel, stride, dilation)
        return [_Axis(*axis) for axis in zip(chunks, outputs, kernel, stride, pairs, dilation, strict=True)]

    def map(
        self,
        op: str,
        function: Callable[..., Any],
        cuts: Sequence[_Cut],
        channel_chunks: tuple[Axes, Axes],
        like: Array,
        *operands: da.Array,
        **constants: Any,
    ) -> da.Array:
        """`function` on every piece; `channel_chunks` are those of its input and of its output."""
        x = self.x.rechunk({self.channels: channel_chunks[0]}, method="tasks")
        chunks = list(x.chunks)
        chunks[self.channels] = channel_chunks[1]
        for axis, cut in zip(self.spatial, cuts, strict=True):
            x = _in_pieces(x, axis, cut.pieces)
            chunks[axis] = cut.outputs
        return da.map_blocks(
            function,
            x,
            *operands,
            token=op,
            chunks=tuple(chunks),
            dtype=like.dtype,
            meta=like,
            spatial=tuple(self.spatial),
            padding=[cut.padding for cut in cuts],
            **constants,
        )

    def as_given(self, y: da.Array) -> da.Array:
        """Without the batch, where none was given."""
        return y[0] if self.is_item else y


def _in_pieces(x: da.Array, axis: int, pieces: list[Pair]) -> da.Array:
    """`x` with a chunk for each piece along an axis."""
    lengths = tuple(stop - start for start, stop in pieces)
    if all(stop == start for (_, stop), (start, _) in pairwise(pieces)):
        pieces = [(pieces[0][0], pieces[-1][1])]  # nothing is needed twice
    parts = [x[(slice(None),) * axis + (slice(*piece),)] for piece in pieces]
    return da.concatenate(parts, axis).rechunk({axis: lengths}, method="tasks")


# ---------------------------------------------------------------------------------------------------------------------
# Tasks


def _piece(
    x: Array,
    *operands: Array | None,
    call: Callable[..., Any],
    spatial: Axes,
    padding: list[dict[int, Pair]],
    block_id: Axes,
    **arguments: Any,
) -> Any:
    """The plain function on one piece."""
    pairs = [pairs.get(block_id[axis], (0, 0)) for axis, pairs in zip(spatial, padding, strict=True)]
    with _threads_of_a_task():
        return call(x, *operands, padding=pairs, **arguments)


def _conv_piece(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    channels: int,
    groups: list[Pair],
    filters: int,
    block_id: Axes,
    **rest: Any,
) -> Array:
    """Convolution of a piece that has some of the groups, of `filters` filters each."""
    start, stop = groups[block_id[channels]]
    own = slice(start * filters, stop * filters)
    bias = None if bias is None else bias[own]
    return _piece(x, weight[own], bias, groups=stop - start, block_id=block_id, **rest)


def _indexed_piece(
    x: Array, *, spatial: Axes, starts: list[list[int]], sizes: list[int], block_id: Axes, **rest: Any
) -> tuple[Array, Array]:
    """Maxima, and where they stand in planes of the whole input."""
    values, places = _piece(x, spatial=spatial, block_id=block_id, **rest)
    within = np.unravel_index(places, [x.shape[axis] for axis in spatial])
    offsets = [begin[block_id[axis]] for axis, begin in zip(spatial, starts, strict=True)]
    return values, np.ravel_multi_index([p + offset for p, offset in zip(within, offsets, strict=True)], sizes)


def _threads_of_a_task() -> AbstractContextManager[None]:
    """One thread in a pool, whose workers are as many as there may be; else whatever is set."""
    alone = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    return nullcontext() if alone else fastconv.num_threads(1)
