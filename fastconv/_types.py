"""The few types that the signatures of the ops share."""

from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, TypeAlias

from numpy.typing import ArrayLike, NDArray

__all__ = ["Activation", "Algorithm", "Array", "ArrayLike", "Int", "Ints", "Layout", "Padding"]

Array: TypeAlias = NDArray[Any]

# NumPy's integers are welcome wherever an int is.
Int: TypeAlias = SupportsIndex
# One number for every spatial axis, or one a spatial axis.
Ints: TypeAlias = Int | Sequence[Int]
# Also a (before, after) pair a spatial axis, or a word.
Padding: TypeAlias = Int | Sequence[Int] | Sequence[tuple[Int, Int]] | Literal["valid", "same"]

Layout: TypeAlias = Literal["NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"]
Activation: TypeAlias = Literal["relu"] | tuple[Literal["leaky_relu"], float]
# Algorithms, and two policies that choose one.
Algorithm: TypeAlias = Literal["auto", "exact", "direct", "im2col", "winograd", "depthwise"]
