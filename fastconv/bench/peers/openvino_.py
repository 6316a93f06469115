"""OpenVINO: a model of one node, its weights constants, compiled for latency, in float32 by force."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from ..problem import Operands, Problem
from ..workloads import Conv
from .protocol import Cannot, Peer, Prepared

__all__ = ["OpenVino"]


class OpenVino(Peer):
    """CPU plugin; arrays go in and come out without a copy."""

    name: ClassVar[str] = "openvino"
    pip: ClassVar[str] = "pip install openvino"
    modules: ClassVar[tuple[str, ...]] = ("openvino",)

    def __init__(self, threads: int) -> None:
        import openvino

        self._openvino, self._core = openvino, openvino.Core()
        self._config = {
            "INFERENCE_PRECISION_HINT": "f32",  # else it may choose bfloat16
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
        }

    def version(self) -> str:
        """Version."""
        return str(self._openvino.__version__).partition("-")[0]

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """A compiled model, called with an array."""
        if problem.pass_name == "forward_indices" or problem.pass_name.startswith("grad"):
            raise Cannot("forward only")
        if problem.dtype != "float32":
            raise Cannot("computes in float32")
        import openvino.opset8 as ops

        x = ops.parameter(problem.input_shape, operands.input.dtype)
        node = _conv(ops, problem, operands, x) if isinstance(problem.layer, Conv) else _pool(ops, problem, x)
        model = self._openvino.Model([node.output(0)], [x], "one_layer")
        compiled = self._core.compile_model(model, "CPU", self._config)
        call = partial(compiled, operands.input, share_inputs=True, share_outputs=True)
        return Prepared(call, lambda got: got[0])


def _conv(ops: Any, problem: Problem, operands: Operands, x: Any) -> Any:
    layer, rank = problem.layer, problem.rank
    assert isinstance(layer, Conv)
    stride, dilation = list(layer.strides), list(layer.dilations)
    begin, end = [before for before, _ in layer.pads], [after for _, after in layer.pads]
    w = operands.weight
    if layer.groups > 1:
        w = w.reshape(layer.groups, w.shape[0] // layer.groups, *w.shape[1:])
    if layer.transposed:
        op = ops.group_convolution_backprop_data if layer.groups > 1 else ops.convolution_backprop_data
        extra = layer.output_padding
        more = list(extra) if isinstance(extra, tuple) else [extra] * rank
        options = {"pads_begin": begin, "pads_end": end, "dilations": dilation, "output_padding": more}
        node = op(x, ops.constant(w), stride, **options)
    else:
        op = ops.group_convolution if layer.groups > 1 else ops.convolution
        node = op(x, ops.constant(w), stride, begin, end, dilation)
    if operands.bias is None:
        return node
    return ops.add(node, ops.constant(operands.bias.reshape(1, -1, *[1] * rank)))


def _pool(ops: Any, problem: Problem, x: Any) -> Any:
    layer, rank = problem.layer, problem.rank
    assert not isinstance(layer, Conv)
    if layer.kind == "global":
        return ops.reduce_mean(x, list(range(2, 2 + rank)), keep_dims=True)
    kernel, stride, dilation = list(layer.kernel_size), list(layer.strides), list(layer.dilations)
    begin, end = [before for before, _ in layer.pads], [after for _, after in layer.pads]
    # "ceil_torch" drops windows that begin in the padding behind, as fastconv and torch do.
    rounding = "ceil" if layer.ceil_mode else "floor"
    if layer.kind == "max":
        return ops.max_pool(x, stride, dilation, begin, end, kernel, rounding_type=rounding)
    if layer.ceil_mode and layer.count_include_pad:
        raise Cannot("in ceil_mode, counts padding otherwise")
    return ops.avg_pool(x, stride, begin, end, kernel, not layer.count_include_pad, rounding)
