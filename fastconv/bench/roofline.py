"""What bounds a problem on these cores: its arithmetic, or the bytes that it cannot avoid to move."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..reference import winograd
from .problem import Problem
from .results import Level, Limits
from .workloads import Conv, Pool

__all__ = ["Bound", "bound", "executed_flops", "level_of"]


class Bound(NamedTuple):
    """The shortest time that a problem can take."""

    seconds: float
    limit: str
    """What takes it: FMA, or the level that the bytes come from and go to."""


def executed_flops(problem: Problem, ran: str) -> float:
    """Floating point operations of the products that an algorithm does: less than are needed if it is Winograd's.

    Each tile of the output costs one product a point and pair of channels, tiles that stick out of the output too. The
    transforms are not counted.
    """
    layer = problem.layer
    if ran != "winograd" or not isinstance(layer, Conv):
        return problem.flops
    # The gradient in the input is a forward whose output is as large as the input.
    scatters = (problem.pass_name == "grad_input") != layer.transposed
    image = layer.size if scatters else layer.output_size
    products = problem.batch * layer.weight_shape[0] * layer.weight_shape[1]
    channels = layer.weight_shape[0] // layer.groups if scatters else layer.weight_shape[1]
    if scatters and winograd.transposes(layer.kernel_size, layer.strides):
        products *= (7 if layer.kernel_size[-1] == 3 else 8) ** 2 * math.prod(image[:-2])
        tiles = (math.ceil((size + before) / 6) for size, (before, _) in zip(image[-2:], layer.pads[-2:], strict=True))
        return 2.0 * products * math.prod(tiles)
    stride = (1,) * layer.rank if scatters else layer.strides
    products *= winograd.phases(layer.kernel_size, stride) ** 2
    forms = winograd.forms(layer.kernel_size, channels, stride)
    if problem.pass_name == "grad_weight":
        forms = winograd.gradient_forms(layer.kernel_size, math.prod(image), stride)
    for size, form in zip(image, forms, strict=True):
        products *= form.products * math.ceil(size / form.outputs)
    return 2.0 * products


def level_of(problem: Problem, limits: Limits, cold: bool) -> Level:
    """Where its operands and result lie between calls."""
    fitting = (level for level in limits.levels if level.capacity >= problem.bytes or not level.capacity)
    return limits.levels[-1] if cold else next(fitting)


def bound(problem: Problem, ran: str, limits: Limits, cold: bool = False) -> Bound:
    """By the roofline model: whichever takes longer, the operations or the bytes."""
    level = level_of(problem, limits, cold)
    flops = limits.peak(problem.dtype)
    if isinstance(problem.layer, Pool):
        flops /= 2  # additions and comparisons: one operation an instruction, a multiply-add is two
    arithmetic, traffic = executed_flops(problem, ran) / flops, problem.bytes / level.bandwidth
    return Bound(arithmetic, "FMA") if arithmetic >= traffic else Bound(traffic, level.name)
