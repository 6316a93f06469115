"""ONNX Runtime: a model of one node, its weights constants, which are packed when the session is made."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from ..problem import Operands, Problem
from ..workloads import Conv, Pool
from .protocol import Cannot, Peer, Prepared

__all__ = ["OnnxRuntime"]

_OPSET = 17
"""Knows all that is used here; older runtimes take it too."""


class OnnxRuntime(Peer):
    """CPU provider, all graph optimisations."""

    name: ClassVar[str] = "onnxruntime"
    pip: ClassVar[str] = "pip install onnxruntime onnx"
    modules: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")

    def __init__(self, threads: int) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        self._runtime, self._threads = onnxruntime, threads

    def version(self) -> str:
        """Version."""
        return str(self._runtime.__version__)

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """A session that takes and gives arrays."""
        if problem.pass_name == "forward_indices" or problem.pass_name.startswith("grad"):
            raise Cannot("forward only")
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        try:
            session = self._runtime.InferenceSession(
                _model(problem, operands), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own classes differ from version to version
            raise Cannot(f"no such kernel: {error}") from error
        return Prepared(partial(session.run, None, {"x": operands.input}), lambda got: got[0])


def _model(problem: Problem, operands: Operands) -> bytes:
    import onnx
    from onnx import helper, numpy_helper

    layer = problem.layer
    constants: list[Any] = []
    if isinstance(layer, Conv):
        constants.append(numpy_helper.from_array(operands.weight, "w"))
        if operands.bias is not None:
            constants.append(numpy_helper.from_array(operands.bias, "b"))
        op, attributes = (
            "ConvTranspose" if layer.transposed else "Conv",
            {
                "kernel_shape": layer.kernel_size,
                "strides": layer.strides,
                "pads": _pads(layer),
                "dilations": layer.dilations,
                "group": layer.groups,
            },
        )
        if layer.transposed:
            extra = layer.output_padding
            attributes["output_padding"] = extra if isinstance(extra, tuple) else (extra,) * problem.rank
    else:
        op, attributes = _pool(layer)
    number = helper.np_dtype_to_tensor_dtype(operands.input.dtype)
    node = helper.make_node(op, ["x", *(constant.name for constant in constants)], ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "one_layer",
        [helper.make_tensor_value_info("x", number, problem.input_shape)],
        [helper.make_tensor_value_info("y", number, problem.output_shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = 8  # that of the opset: newer ones are refused by older runtimes
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _pads(layer: Conv | Pool) -> tuple[int, ...]:
    """All that stand before, then all that stand after."""
    return (*(before for before, _ in layer.pads), *(after for _, after in layer.pads))


def _pool(layer: Pool) -> tuple[str, dict[str, Any]]:
    if layer.kind == "global":
        return "GlobalAveragePool", {}
    attributes: dict[str, Any] = {
        "kernel_shape": layer.kernel_size,
        "strides": layer.strides,
        "pads": _pads(layer),
        "ceil_mode": int(layer.ceil_mode),
    }
    if layer.kind == "max":
        return "MaxPool", attributes | {"dilations": layer.dilations}
    return "AveragePool", attributes | {"count_include_pad": int(layer.count_include_pad)}
