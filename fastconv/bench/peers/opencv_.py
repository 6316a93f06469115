"""OpenCV's ``filter2D``: one filter an image; it turns to Fourier transforms by itself for large filters."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..problem import Operands, Problem
from .protocol import Cannot, Peer, Prepared, depthwise, planes

__all__ = ["OpenCV"]


class OpenCV(Peer):
    """Images and signals, one filter each, odd sizes, padding up to half the filter."""

    name: ClassVar[str] = "opencv"
    pip: ClassVar[str] = "pip install opencv-python-headless"
    modules: ClassVar[tuple[str, ...]] = ("cv2",)

    def __init__(self, threads: int) -> None:
        import cv2

        cv2.setNumThreads(threads)
        self._cv2: Any = cv2

    def version(self) -> str:
        """Version."""
        return str(self._cv2.__version__)

    def prepare(self, problem: Problem, operands: Operands) -> Prepared:
        """One call an image; what lies outside of a smaller padding is cut off."""
        layer, padding = depthwise(problem)
        if problem.rank == 3:
            raise Cannot("has no volumes")
        if any(k % 2 == 0 or p > k // 2 for k, p in zip(layer.kernel_size, padding, strict=True)):
            raise Cannot("here for odd filters and padding up to half of them")
        cut = tuple(
            slice(k // 2 - p, n - (k // 2 - p)) for k, p, n in zip(layer.kernel_size, padding, layer.size, strict=True)
        )
        images = [
            (np.atleast_2d(image), np.atleast_2d(kernel), float(bias))
            for image, kernel, bias in planes(problem, operands)
        ]
        filter2d, border = self._cv2.filter2D, self._cv2.BORDER_CONSTANT

        def call() -> list[Any]:
            return [filter2d(image, -1, kernel, delta=bias, borderType=border) for image, kernel, bias in images]

        def to_numpy(got: list[Any]) -> Any:
            full = np.stack([one.reshape(layer.size) for one in got])
            return full[(..., *cut)].reshape(problem.output_shape)

        # Filters of 11 x 11 and more go through a Fourier transform.
        large = np.prod(layer.kernel_size) >= 11 * 11 or max(layer.kernel_size) >= 11
        return Prepared(call, to_numpy, "spectrum" if large else "sum")
