"""fastconv itself, as a user calls it."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

import fastconv
from fastconv import _core

from ..._types import Array
from ..problem import Operands, Problem, layout_name
from ..workloads import Conv, Pool
from .protocol import Cannot, Peer, Prepared

__all__ = ["FastConv"]


class FastConv(Peer):
    """Functions on arrays, or a plan that keeps its weights packed."""

    name: ClassVar[str] = "fastconv"
    pip: ClassVar[str] = "pip install fastconv"
    modules: ClassVar[tuple[str, ...]] = ("fastconv",)

    def __init__(self, threads: int, algorithm: str = "auto", plan: bool = False) -> None:
        fastconv.set_num_threads(threads)
        self.algorithm, self.plan = algorithm, plan

    def version(self) -> str:
        """Version and instruction set."""
        return f"{fastconv.__version__} {_core.get_isa()}"

    def ran(self, problem: Problem) -> str:
        """Name the algorithm that runs, or, of a gradient with a stride, that of its largest part; "" for pools."""
        choice = self._choice(problem)
        return choice.algorithm if choice else ""

    def reason(self, problem: Problem) -> str:
        """Say why."""
        choice = self._choice(problem)
        return choice.reason if choice else ""

    def _choice(self, problem: Problem) -> Any:
        layer = problem.layer
        if not isinstance(layer, Conv):
            return None
        shape, pass_name = problem.input_shape, problem.pass_name
        if layer.transposed:  # the gradient of another convolution, whose input is as this one's output
            shape = problem.output_shape
            pass_name = {"forward": "grad_input", "grad_input": "forward"}.get(pass_name, pass_name)  # type: ignore
        return fastconv.choose_algorithm(
            self._shape(problem, shape),
            layer.weight_shape,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            dtype=problem.dtype,
            layout=layout_name(problem.layout, problem.rank),  # type: ignore[arg-type]
            algorithm=self.algorithm,  # type: ignore[arg-type]
            pass_name=pass_name,  # type: ignore[arg-type]
        )

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """The op on arrays in the problem's layout."""
        if self.plan and not (problem.op.startswith("conv") and problem.pass_name == "forward"):
            raise Cannot("plans are for the forward pass of convolutions")
        if self.algorithm != "auto" and isinstance(problem.layer, Pool):
            raise Cannot("pools have one algorithm")
        if problem.layout == "NHWC":

            def lay(array: Array) -> Array:
                return np.ascontiguousarray(np.moveaxis(array, 1, -1))

            def back(got: Any) -> Any:
                return tuple(map(back, got)) if isinstance(got, tuple) else np.moveaxis(got, -1, 1)

        else:

            def lay(array: Array) -> Array:
                return array

            def back(got: Any) -> Any:
                return got

        options = {"layout": layout_name(problem.layout, problem.rank)}
        if not isinstance(problem.layer, Conv):
            return Prepared(self._pool(problem, operands, lay, options), back)
        call = self._conv(problem, operands, lay, options | {"algorithm": self.algorithm})
        if problem.pass_name == "grad_weight":  # has no layout: weights are (K, C / groups, *kernel) in all
            return Prepared(call)
        return Prepared(call, back, "tile" if self.ran(problem) == "winograd" else "sum")

    def _conv(self, problem: Problem, operands: Operands, lay: Any, options: dict[str, Any]) -> Any:
        layer, op = problem.layer, problem.op
        assert isinstance(layer, Conv)
        window: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }
        if layer.transposed:
            return self._transposed(problem, operands, lay, window | options | {"output_padding": layer.output_padding})
        if problem.pass_name == "forward":
            x = lay(operands.input)
            if self.plan:
                plan = fastconv.ConvPlan(operands.weight, operands.bias, **window, **options, input_shape=x.shape)
                return partial(plan, x)
            # By position, as fast as a call can be written.
            return partial(getattr(fastconv, op), x, operands.weight, operands.bias, *window.values(), **options)
        g = lay(operands.grad)
        if problem.pass_name == "grad_input":
            shape = self._shape(problem, problem.input_shape)
            arrays = (g, operands.weight, shape)
        else:
            arrays = (g, lay(operands.input), layer.weight_shape)
        return partial(getattr(fastconv, f"{op}_{problem.pass_name}"), *arrays, *window.values(), **options)

    @staticmethod
    def _transposed(problem: Problem, operands: Operands, lay: Any, options: dict[str, Any]) -> Any:
        if problem.pass_name == "forward":
            return partial(
                getattr(fastconv, problem.op), lay(operands.input), operands.weight, operands.bias, **options
            )
        number, need = (0, "input") if problem.pass_name == "grad_input" else (1, "weight")
        backward = getattr(fastconv, f"{problem.op}_backward")
        arrays = lay(operands.grad), lay(operands.input), operands.weight
        return lambda: backward(*arrays, needs=(need,), **options)[number]

    def _pool(self, problem: Problem, operands: Operands, lay: Any, options: dict[str, Any]) -> Any:
        layer, op = problem.layer, problem.op
        assert isinstance(layer, Pool)
        name, window = problem.pass_name, (layer.kernel_size, layer.stride, layer.padding)
        # What follows the window: the maximum's gradient needs no rounding, the shape of the indices says it.
        if layer.kind == "max":
            rest: tuple[Any, ...] = (layer.dilation, *([layer.ceil_mode] if name != "grad_input" else []))
        else:
            rest = (layer.ceil_mode, layer.count_include_pad)
        if name != "grad_input":
            arguments = (1,) if layer.kind == "global" else (*window, *rest)
            options |= {"return_indices": True} if name == "forward_indices" else {}
            return partial(getattr(fastconv, op), lay(operands.input), *arguments, **options)
        arrays: tuple[Any, ...] = (
            (lay(operands.grad), lay(operands.indices)) if layer.kind == "max" else (lay(operands.grad),)
        )
        arguments = () if layer.kind == "global" else (*window, *rest)
        backward = getattr(fastconv, f"{op}_backward")
        return partial(backward, *arrays, self._shape(problem, problem.input_shape), *arguments, **options)

    @staticmethod
    def _shape(problem: Problem, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], *shape[2:], shape[1]) if problem.layout == "NHWC" else shape
