"""ONNX models on fastconv: operators for ``onnx.reference.ReferenceEvaluator``, and a backend made of them.

`ops` gives the operators; every other node of a model runs as the evaluator runs it. `Backend` is what ONNX's own
conformance suite asks for. Needs the package ``onnx``.

What the operators compute is said in ONNX's operator specification [1]_, for the latest version of each; earlier
versions have fewer attributes. Three things it leaves open, or says otherwise than its own shape inference:

- ``auto_pad="VALID"`` is no padding and nothing more: `ceil_mode` holds, as in shape inference and ONNX Runtime.
- A transposed convolution that `output_shape` wants longer than its filters reach grows at the end, as in ONNX Runtime.
- A pooling window that holds no element of the input is refused.

Types are float16, float32 and float64; MaxPool also takes integers, and Col2Im those whose sums stay below 2**53.

References
----------
.. [1] ONNX operator schemas, https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ._needs import needs

with needs("onnx"):
    import onnx.inliner
    from onnx import ModelProto, NodeProto
    from onnx.backend import base
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

import fastconv
from fastconv._types import Array
from fastconv.arithmetic import output_size, same_padding

__all__ = ["Backend", "ops"]

Axes: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]


def ops() -> list[type[OpRun]]:
    """Operators that run on fastconv, for ``ReferenceEvaluator(model, new_ops=ops())``.

    Returns
    -------
    list of type
        Conv, ConvTranspose, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, LRN and Col2Im of the default
        domain, of any version, over one to three spatial axes. The list is a new one each time.

    Notes
    -----
    The evaluator does not hand `new_ops` on to the functions that a model defines; `Backend` inlines them first.

    Operators raise what fastconv raises: ValueError for attributes that do not fit the shapes, TypeError for types that
    it does not compute. The evaluator wraps a TypeError in one of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx.parser import parse_model
    >>> from onnx.reference import ReferenceEvaluator
    >>> from fastconv.interop.onnx import ops
    >>> model = parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ...     pool (float[1, 1, 4] x) => (float[1, 1, 2] y) { y = MaxPool<kernel_shape = [2], strides = [2]> (x) }''')
    >>> x = np.array([[[3, 1, 4, 2]]], np.float32)
    >>> ReferenceEvaluator(model, new_ops=ops()).run(None, {"x": x})
    [array([[[3., 4.]]], dtype=float32)]
    """
    return [Conv, ConvTranspose, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, LRN, Col2Im]


class Backend(base.Backend):
    """ONNX's backend interface over the reference evaluator with `ops`.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx.parser import parse_model
    >>> from fastconv.interop.onnx import Backend
    >>> model = parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ...     mean (float[1, 1, 4] x) => (float[1, 1, 1] y) { y = GlobalAveragePool(x) }''')
    >>> Backend.run_model(model, [np.array([[[3, 1, 4, 2]]], np.float32)])
    (array([[[2.5]]], dtype=float32),)
    """

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether models run on `device`: on ``"CPU"`` alone, with or without a number behind a colon."""
        return device.partition(":")[0] == "CPU"

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **_: Any) -> Prepared:
        """Check a model and load it.

        Parameters
        ----------
        model : onnx.ModelProto
            Of any opset that ONNX's checker accepts.
        device : str, default: "CPU"
            The only one there is.

        Returns
        -------
        Prepared
            Whose ``run(inputs)`` computes the outputs.

        Raises
        ------
        ValueError
            If `device` is another.
        onnx.checker.ValidationError
            If the model is not valid.
        """
        if not cls.supports_device(device):
            raise ValueError(f"prepare: device is {device!r}; needs 'CPU'")
        super().prepare(model, device)
        return Prepared(onnx.inliner.inline_local_functions(model) if model.functions else model)

    @classmethod
    def run_node(
        cls, node: NodeProto, inputs: Sequence[Any] | dict[str, Any], device: str = "CPU", *_: Any, **keywords: Any
    ) -> tuple[Any, ...]:
        """Compute the outputs of one node, in the latest opset.

        Parameters
        ----------
        node : onnx.NodeProto
            Of the default domain.
        inputs : sequence of array, or dict
            One for each input that the node names, in their order or by name.
        device : str, default: "CPU"
            The only one there is.

        Returns
        -------
        tuple of array
            One for each output.

        Raises
        ------
        ValueError
            If `device` is another, or there are more or fewer inputs than that.
        onnx.checker.ValidationError
            If the node is not valid.
        """
        if not cls.supports_device(device):
            raise ValueError(f"run_node: device is {device!r}; needs 'CPU'")
        super().run_node(node, inputs, device, **keywords)
        names = [name for name in node.input if name]
        if len(inputs) != len(names):
            raise ValueError(f"run_node: inputs has {len(inputs)} arrays; needs {len(names)}: {names}")
        given = inputs if isinstance(inputs, dict) else dict(zip(names, inputs, strict=True))
        return tuple(ReferenceEvaluator(node, new_ops=ops()).run(None, given))


class Prepared(base.BackendRep):
    """A model ready to run, as `Backend.prepare` returns it."""

    def __init__(self, model: ModelProto) -> None:
        self._evaluator = ReferenceEvaluator(model, new_ops=ops())
        # Before version 4 of the format initializers had to stand among the inputs.
        stored = {initializer.name for initializer in model.graph.initializer}
        self._names = [name for name in self._evaluator.input_names if name not in stored]

    def run(self, inputs: Sequence[Any], **_: Any) -> tuple[Any, ...]:
        """Compute the outputs.

        Parameters
        ----------
        inputs : sequence of array
            One for each input of the graph that has no initializer, in their order.

        Returns
        -------
        tuple of array
            One for each output of the graph.

        Raises
        ------
        ValueError
            If there are more or fewer inputs than that.
        """
        if len(inputs) != len(self._names):
            raise ValueError(f"run: inputs has {len(inputs)} arrays; needs {len(self._names)}: {self._names}")
        return tuple(self._evaluator.run(None, dict(zip(self._names, inputs, strict=True))))


class _Window(NamedTuple):
    """Where windows stand, in fastconv's terms: one entry a spatial axis."""

    kernel: Axes
    strides: Axes
    padding: Pairs
    dilations: Axes


def _window(
    op: OpRun,
    sizes: Sequence[int],
    kernel: Sequence[int],
    auto_pad: str,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
) -> _Window:
    """The window that attributes mean; those that are absent have their defaults."""
    ones = (1,) * len(sizes)
    kernel, steps, gaps = tuple(kernel), tuple(strides or ones), tuple(dilations or ones)
    for name, value in (("kernel_shape", kernel), ("strides", steps), ("dilations", gaps)):
        if len(value) != len(sizes):
            raise ValueError(f"{op.op_type}: {name} is {list(value)}; needs {len(sizes)} entries, one a spatial axis")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        padding = same_padding(tuple(sizes), kernel, steps, gaps)
        if auto_pad == "SAME_LOWER":
            padding = tuple((before, after) for after, before in padding)
    else:
        padding = _pairs(op, auto_pad, pads, len(sizes))
    return _Window(kernel, steps, padding, gaps)


def _pairs(op: OpRun, auto_pad: str, pads: Sequence[int] | None, rank: int) -> Pairs:
    """Padding that depends on no size: ONNX has all beginnings first, then all ends."""
    if auto_pad not in ("NOTSET", "VALID"):
        raise ValueError(
            f"{op.op_type}: auto_pad is {auto_pad!r}; needs 'NOTSET', 'SAME_UPPER', 'SAME_LOWER' or 'VALID'"
        )
    if not pads or auto_pad == "VALID":
        return ((0, 0),) * rank
    if len(pads) != 2 * rank:
        raise ValueError(f"{op.op_type}: pads is {list(pads)}; needs {2 * rank} entries, two a spatial axis")
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def _check_kernel_shape(op: OpRun, kernel_shape: Sequence[int] | None, kernel: Axes) -> None:
    if kernel_shape and tuple(kernel_shape) != kernel:
        raise ValueError(f"{op.op_type}: kernel_shape is {list(kernel_shape)}; needs {list(kernel)}, as W has it")


class Conv(OpRun):
    """Convolution: `fastconv.conv`."""

    def _run(
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        _check_kernel_shape(self, kernel_shape, w.shape[2:])
        window = _window(self, x.shape[2:], w.shape[2:], auto_pad, pads, strides, dilations)
        return (fastconv.conv(x, w, b, window.strides, window.padding, window.dilations, group),)


class ConvTranspose(OpRun):
    """Transposed convolution: `fastconv.conv_transpose`."""

    def _run(
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        output_padding: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        _check_kernel_shape(self, kernel_shape, w.shape[2:])
        window = _window(self, x.shape[2:], w.shape[2:], auto_pad, pads, strides, dilations)
        appended = tuple(output_padding or (0,) * len(window.kernel))
        if not output_shape and auto_pad.startswith("SAME"):  # it says the size of the output here, not of the input
            output_shape = [size * stride for size, stride in zip(x.shape[2:], window.strides, strict=True)]
        if output_shape:
            padding, appended = self._fitted(x.shape[2:], window, appended, auto_pad, output_shape)
            window = window._replace(padding=padding)
        return (fastconv.conv_transpose(x, w, b, window.strides, window.padding, appended, group, window.dilations),)

    def _fitted(
        self, sizes: Axes, window: _Window, appended: Axes, auto_pad: str, output_shape: Sequence[int]
    ) -> tuple[Pairs, Axes]:
        """The padding, and the elements to append, that lead to `output_shape`."""
        if len(output_shape) != len(sizes):
            raise ValueError(
                f"{self.op_type}: output_shape is {list(output_shape)}; needs {len(sizes)} entries, one a spatial axis"
            )
        whole = output_size(
            sizes, window.kernel, window.strides, 0, window.dilations, transposed=True, output_padding=appended
        )
        surplus = [size - wanted for size, wanted in zip(whole, output_shape, strict=True)]
        halves = [(max(total, 0) // 2, (max(total, 0) + 1) // 2) for total in surplus]
        padding = tuple(halves if auto_pad == "SAME_UPPER" else ((more, less) for less, more in halves))
        return padding, tuple(end + max(-total, 0) for end, total in zip(appended, surplus, strict=True))


class MaxPool(OpRun):
    """Maxima: `fastconv.max_pool`, its indices counted through the whole tensor."""

    def _run(
        self,
        x: Array,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int] = (),
        pads: Sequence[int] | None = None,
        storage_order: int = 0,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array, ...]:
        window = _window(self, x.shape[2:], kernel_shape, auto_pad, pads, strides, dilations)
        if len(self.output) == 1 or not self.output[1]:
            return (fastconv.max_pool(x, *window, bool(ceil_mode)),)
        values, places = fastconv.max_pool(x, *window, bool(ceil_mode), return_indices=True)
        return values, _through_tensor(places, x.shape, bool(storage_order))


def _through_tensor(places: Array, shape: Axes, column_major: bool) -> Array:
    """Indices in a plane as indices in the tensor; the order of storage is that of the plane's axes alone."""
    sizes = shape[2:]
    if column_major:
        places = np.ravel_multi_index(np.unravel_index(places, sizes), sizes, order="F")
    planes = np.arange(math.prod(shape[:2])).reshape(*shape[:2], *(1,) * len(sizes))
    return places + planes * math.prod(sizes)


class AveragePool(OpRun):
    """Means: `fastconv.avg_pool`, or with dilations sums by `fastconv.conv`."""

    def _run(
        self,
        x: Array,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
        count_include_pad: int = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int] = (),
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        window = _window(self, x.shape[2:], kernel_shape, auto_pad, pads, strides, dilations)
        if max(window.dilations) > 1:
            return (_dilated_mean(x, window, bool(ceil_mode), bool(count_include_pad)),)
        kernel, strides, padding, _ = window
        return (fastconv.avg_pool(x, kernel, strides, padding, bool(ceil_mode), bool(count_include_pad)),)


def _dilated_mean(x: Array, window: _Window, ceil_mode: bool, count_include_pad: bool) -> Array:
    """Sums of windows over the number of elements in them, both as convolutions with ones."""
    kernel, strides, padding, dilations = window
    outputs = output_size(x.shape[2:], kernel, strides, padding, dilations, ceil_mode=ceil_mode)
    values = x.astype(np.promote_types(x.dtype, np.float32), copy=False)  # sums of float16 may not fit it
    if count_include_pad:
        values, padding = fastconv.pad(values, padding), ((0, 0),) * len(kernel)
    # Rounding up is to have up to stride - 1 elements more at the end; they count in no divisor.
    reach = tuple((before, after + stride - 1) for (before, after), stride in zip(padding, strides, strict=True))
    kept = (slice(None), slice(None), *map(slice, outputs))

    def sums(image: Array) -> Array:
        channels = image.shape[1]
        ones = np.ones((channels, 1, *kernel), values.dtype)
        return fastconv.conv(image, ones, None, strides, reach, dilations, channels)[kept]

    counts = sums(np.ones((1, 1, *values.shape[2:]), values.dtype))
    if not counts.all():
        raise ValueError(
            f"AveragePool: a window without any input element: input has shape {x.shape}, kernel_shape is {kernel}, "
            f"strides is {strides}, pads is {window.padding}, dilations is {dilations}"
        )
    return (sums(values) / counts).astype(x.dtype, copy=False)


class GlobalAveragePool(OpRun):
    """Means of whole channels: `fastconv.adaptive_avg_pool`."""

    def _run(self, x: Array) -> tuple[Array]:
        return (fastconv.adaptive_avg_pool(x, 1),)


class GlobalMaxPool(OpRun):
    """Maxima of whole channels: `fastconv.adaptive_max_pool`."""

    def _run(self, x: Array) -> tuple[Array]:
        return (fastconv.adaptive_max_pool(x, 1),)


class LRN(OpRun):
    """Local response normalisation: `fastconv.local_response_norm`."""

    def _run(self, x: Array, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int = 1) -> tuple[Array]:
        # Of an even size, ONNX has one channel more above than below, fastconv as PyTorch one more below.
        turned = (slice(None), slice(None, None, 1 if size % 2 else -1))
        return (fastconv.local_response_norm(x[turned], size, alpha, beta, bias)[turned],)


class Col2Im(OpRun):
    """Columns added into images: `fastconv.col2im`."""

    def _run(
        self,
        columns: Array,
        image_shape: Array,
        block_shape: Array,
        dilations: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        sizes = tuple(image_shape.tolist())
        window = _window(self, sizes, block_shape.tolist(), "NOTSET", pads, strides, dilations)
        images = fastconv.col2im(columns, sizes, window.kernel, window.dilations, window.padding, window.strides)
        if columns.dtype.kind in "iub":  # fastconv sums integers as float64; by way of int64 they wrap around
            images = images.astype(np.int64).astype(columns.dtype)
        return (images,)
