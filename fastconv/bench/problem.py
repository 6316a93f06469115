"""One thing to be timed: a pass of a layer on a batch, in one type and layout; its key, its work, its operands."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

import fastconv

from .._types import Array
from . import descriptor
from .workloads import Conv, Pool

__all__ = ["LAYOUTS", "PASSES", "Operands", "PassName", "Problem", "layout_name"]

PassName = Literal["forward", "forward_indices", "grad_input", "grad_weight"]
PASSES: tuple[PassName, ...] = get_args(PassName)
LAYOUTS = ("NCHW", "NHWC")
"""Channels first and last, by their names in two dimensions; the others' are alike."""

_KINDS = {"Conv": Conv, "Pool": Pool}


def layout_name(layout: str, rank: int) -> str:
    """Name a layout as the ops of that rank take it."""
    axes = "DHW"[3 - rank :]
    return f"N{axes}C" if layout == "NHWC" else f"NC{axes}"


@dataclass(frozen=True)
class Problem:
    """A pass of a layer on a batch of arrays of one type and layout."""

    layer: Conv | Pool
    pass_name: PassName = "forward"
    dtype: str = "float32"
    batch: int = 1
    layout: str = "NCHW"

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.layer.size)

    @property
    def op(self) -> str:
        """The op of `fastconv` whose pass it is: ``conv2d``, ``max_pool1d``, ``avg_pool3d``, ..."""
        if isinstance(self.layer, Conv):
            return f"conv{'_transpose' if self.layer.transposed else ''}{self.rank}d"
        return f"{'adaptive_avg' if self.layer.kind == 'global' else self.layer.kind}_pool{self.rank}d"

    @property
    def possible(self) -> bool:
        """Whether the layer has this pass."""
        if isinstance(self.layer, Conv):
            return self.pass_name != "forward_indices"
        return self.pass_name != "grad_weight" and (self.layer.kind == "max" or self.pass_name != "forward_indices")

    @property
    def descriptor(self) -> str:
        """The geometry and batch in benchdnn's notation."""
        return descriptor.format(self.layer, self.batch)

    @property
    def key(self) -> str:
        """What makes two problems the same, whatever the layer is called in which net."""
        layer, more = self.layer, ""
        if isinstance(layer, Conv):
            more += " bias" if layer.bias and self.pass_name == "forward" else ""
            more += f" out+{layer.output_padding}" if layer.transposed and layer.output_padding else ""
        else:
            more += " ceil" if layer.ceil_mode else ""
            more += " inside" if layer.kind == "avg" and not layer.count_include_pad else ""
        if any(before != after for before, after in layer.pads):  # a descriptor tells only what windows reach
            more += f" pads {layer.pads}"
        return f"{self.op} {self.pass_name} {self.dtype} {self.layout} {self.descriptor}{more}"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the arrays, channels first."""
        return self.batch, self.layer.channels, *self.layer.size

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the arrays, channels first."""
        channels = self.layer.filters if isinstance(self.layer, Conv) else self.layer.channels
        return self.batch, channels, *self.layer.output_size

    @cached_property
    def flops(self) -> int:
        """Floating point operations that are needed.

        Two a multiply-add, products with padding not counted, however many of them an algorithm does; a bias is not
        counted. For pools one an element of a window: an addition, a comparison or, backwards, an addition.
        """
        layer = self.layer
        if isinstance(layer, Pool):
            backward = self.pass_name == "grad_input" and layer.kind == "max"
            elements = 1 if backward else math.prod(layer.kernel_size)
            return math.prod(self.output_shape) * elements
        # A transposed convolution is another's gradient: its output is that one's input.
        image = self.output_shape if layer.transposed else self.input_shape
        weight, window = layer.weight_shape, (layer.stride, layer.padding, layer.dilation, layer.groups)
        return fastconv.choose_algorithm(image, weight, *window, dtype=self.dtype).flops

    @cached_property
    def bytes(self) -> int:
        """Bytes that must be read or written: each operand and the result once."""
        x, y = math.prod(self.input_shape), math.prod(self.output_shape)
        size = np.dtype(self.dtype).itemsize
        if isinstance(self.layer, Conv):
            return (x + y + math.prod(self.layer.weight_shape)) * size
        indexed = self.pass_name == "forward_indices" or (self.pass_name == "grad_input" and self.layer.kind == "max")
        return (x + y) * size + (8 * y if indexed else 0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        layer = {"type": type(self.layer).__name__} | dataclasses.asdict(self.layer)
        return dataclasses.asdict(self) | {"layer": layer}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Problem:
        """From what `to_dict` made, before or after its way through JSON."""
        fields = {name: _tuples(value) for name, value in told["layer"].items()}
        return cls(**told | {"layer": _KINDS[fields.pop("type")](**fields)})


def _tuples(value: Any) -> Any:
    """Turn JSON's lists into what they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


class Operands:
    """The arrays of a problem, channels first, normally distributed: made when first asked for, always the same."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def _normal(self, seed: int, shape: tuple[int, ...]) -> Array:
        return np.random.default_rng(seed).standard_normal(shape, np.dtype(self.problem.dtype))

    @cached_property
    def input(self) -> Array:
        """(N, C, *spatial)."""
        return self._normal(1, self.problem.input_shape)

    @cached_property
    def weight(self) -> Array:
        """As the op takes it."""
        assert isinstance(self.problem.layer, Conv)
        return self._normal(2, self.problem.layer.weight_shape)

    @cached_property
    def bias(self) -> Array | None:
        """One a filter, None if the layer has none."""
        assert isinstance(self.problem.layer, Conv)
        return self._normal(3, (self.problem.layer.filters,)) if self.problem.layer.bias else None

    @cached_property
    def grad(self) -> Array:
        """The gradient in the output."""
        return self._normal(4, self.problem.output_shape)

    @cached_property
    def indices(self) -> Array:
        """Where in its plane the largest element of each window stands."""
        layer = self.problem.layer
        assert isinstance(layer, Pool)
        window = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
        with fastconv.num_threads(1):  # in the process of a peer: no second OpenMP run-time is woken there
            return fastconv.max_pool(self.input, *window, return_indices=True)[1]
