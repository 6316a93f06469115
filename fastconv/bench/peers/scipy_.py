"""SciPy's ways to filter an image: ``ndimage.correlate``, ``signal.correlate`` and, through FFTs, ``oaconvolve``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..._types import Array
from ..problem import Operands, Problem
from ..workloads import Conv
from .protocol import Cannot, Peer, Prepared, depthwise, planes

__all__ = ["ScipyFft", "ScipyNdimage", "ScipySignal"]


class _Scipy(Peer):
    pip: ClassVar[str] = "pip install scipy"
    modules: ClassVar[tuple[str, ...]] = ("scipy",)

    def __init__(self, threads: int) -> None:
        import scipy

        self._version, self._threads = str(scipy.__version__), threads

    def version(self) -> str:
        """Version."""
        return self._version


class ScipyNdimage(_Scipy):
    """``ndimage.correlate`` with zeros around the image; sums in float64, one thread."""

    name: ClassVar[str] = "scipy_ndimage"

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """One call an image; what lies outside of a smaller padding is cut off."""
        from scipy import ndimage

        layer, padding = depthwise(problem)
        if any(k % 2 == 0 or p > k // 2 for k, p in zip(layer.kernel_size, padding, strict=True)):
            raise Cannot("here for odd filters and padding up to half of them")
        cut = tuple(
            slice(k // 2 - p, n - (k // 2 - p)) for k, p, n in zip(layer.kernel_size, padding, layer.size, strict=True)
        )

        def one(image: Array, kernel: Array) -> Array:
            return np.asarray(ndimage.correlate(image, kernel, mode="constant"))[cut]

        return _prepared(problem, operands, one, "sum")


class ScipySignal(_Scipy):
    """``signal.correlate`` by whatever method SciPy expects to be faster."""

    name: ClassVar[str] = "scipy_signal"

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """One call an image, the method chosen before."""
        from scipy import signal

        layer, padding = depthwise(problem)
        mode = _mode(layer, padding)
        method = signal.choose_conv_method(operands.input[0, 0], operands.weight[0, 0], mode)

        def one(image: Array, kernel: Array) -> Array:
            return np.asarray(signal.correlate(image, kernel, mode, method))

        return _prepared(problem, operands, one, "spectrum" if method == "fft" else "sum")


class ScipyFft(_Scipy):
    """``signal.oaconvolve``: Fourier transforms of blocks."""

    name: ClassVar[str] = "scipy_fft"

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """One call an image, the filter turned before."""
        from scipy import fft, signal

        layer, padding = depthwise(problem)
        mode = _mode(layer, padding)
        fft.set_workers(self._threads).__enter__()  # for the life of the process

        def one(image: Array, kernel: Array) -> Array:
            return np.asarray(signal.oaconvolve(image, kernel, mode))

        return _prepared(problem, operands, one, "spectrum", turn=True)


def _mode(layer: Conv, padding: tuple[int, ...]) -> str:
    whole = tuple(k - 1 for k in layer.kernel_size)
    if not any(padding):
        return "valid"
    if padding == whole:
        return "full"
    if tuple(2 * p for p in padding) == whole:
        return "same"
    raise Cannot("has the paddings full, same and valid")


def _prepared(
    problem: Problem, operands: Operands, one: Callable[[Array, Array], Array], tolerance: Any, turn: bool = False
) -> Prepared:
    images = planes(problem, operands)
    if turn:
        images = [(image, np.ascontiguousarray(np.flip(kernel)), bias) for image, kernel, bias in images]
    biased = operands.bias is not None

    def call() -> list[Array]:
        if biased:
            return [one(image, kernel) + bias for image, kernel, bias in images]
        return [one(image, kernel) for image, kernel, _ in images]

    return Prepared(call, lambda got: np.stack(got).reshape(problem.output_shape), tolerance)
