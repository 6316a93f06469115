"""JAX: jitted ``lax`` functions on arrays that lie on the device; the call waits for its result."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..problem import Operands, Problem
from ..workloads import Conv, Pool
from .protocol import Cannot, Peer, Prepared

__all__ = ["Jax"]


class Jax(Peer):
    """The CPU backend of XLA; gradients by `jax.vjp` of the forward pass, jitted."""

    name: ClassVar[str] = "jax"
    pip: ClassVar[str] = "pip install jax"
    modules: ClassVar[tuple[str, ...]] = ("jax",)

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """The size of XLA's pool, which it takes from the environment alone."""
        flags = "--xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
        return {"JAX_PLATFORMS": "cpu", "NPROC": str(threads), "PJRT_NPROC": str(threads), "XLA_FLAGS": flags}

    def __init__(self, threads: int) -> None:  # noqa: ARG002 (the environment has them)
        import jax

        jax.config.update("jax_enable_x64", True)
        self._jax: Any = jax

    def version(self) -> str:
        """Version."""
        return str(self._jax.__version__)

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """A jitted function of all operands."""
        if problem.pass_name == "forward_indices":
            raise Cannot("gives no indices")
        if isinstance(problem.layer, Conv):
            return self._conv(problem, operands)
        return self._pool(problem, operands)

    def _conv(self, problem: Problem, operands: Operands) -> Prepared:
        layer, rank, jax = problem.layer, problem.rank, self._jax
        assert isinstance(layer, Conv)
        if layer.transposed:
            raise Cannot("transposed convolutions are not written for it here")
        axes = "DHW"[3 - rank :]
        options = {
            "window_strides": layer.strides,
            "padding": layer.pads,
            "rhs_dilation": layer.dilations,
            "dimension_numbers": (f"NC{axes}", f"OI{axes}", f"NC{axes}"),
            "feature_group_count": layer.groups,
        }

        def forward(x: Any, w: Any) -> Any:
            return jax.lax.conv_general_dilated(x, w, **options)

        x, w = jax.device_put(operands.input), jax.device_put(operands.weight)
        if problem.pass_name == "forward":
            if operands.bias is None:
                return self._jitted(forward, x, w)
            b = jax.device_put(operands.bias.reshape(1, -1, *[1] * rank))
            return self._jitted(lambda x, w, b: forward(x, w) + b, x, w, b)
        g = jax.device_put(operands.grad)
        if problem.pass_name == "grad_input":
            return self._jitted(lambda x, w, g: jax.vjp(lambda x: forward(x, w), x)[1](g)[0], x, w, g)
        return self._jitted(lambda x, w, g: jax.vjp(lambda w: forward(x, w), w)[1](g)[0], x, w, g)

    def _pool(self, problem: Problem, operands: Operands) -> Prepared:
        layer, rank, jax = problem.layer, problem.rank, self._jax
        assert isinstance(layer, Pool)
        if layer.kind != "global" and layer.ceil_mode:
            raise Cannot("has no ceil_mode")
        if layer.kind == "avg" and not layer.count_include_pad:
            raise Cannot("averages without their padding are not written for it here")
        lead = (1, 1)
        kernel, stride, dilation = (lead + one for one in (layer.kernel_size, layer.strides, layer.dilations))
        padding = [(0, 0)] * 2 + [*layer.pads]

        def forward(x: Any) -> Any:
            if layer.kind == "global":
                return x.mean(axis=tuple(range(2, 2 + rank)), keepdims=True)
            if layer.kind == "max":
                return jax.lax.reduce_window(x, -np.inf, jax.lax.max, kernel, stride, padding, None, dilation)
            total = jax.lax.reduce_window(x, 0.0, jax.lax.add, kernel, stride, padding)
            return total * (1 / math.prod(kernel))

        x = jax.device_put(operands.input)
        if problem.pass_name == "forward":
            return self._jitted(forward, x)
        g = jax.device_put(operands.grad)
        return self._jitted(lambda x, g: jax.vjp(forward, x)[1](g)[0], x, g)

    def _jitted(self, function: Any, *operands: Any) -> Prepared:
        run = self._jax.jit(function)
        return Prepared(lambda: run(*operands).block_until_ready(), np.asarray)
