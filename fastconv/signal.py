"""Convolution of two arrays, under the names and with the arguments of `scipy.signal`: fastconv's ops, no SciPy.

Only large kernels go another way, by `scipy.fft`, where SciPy is installed.

>>> import numpy as np
>>> from fastconv import signal
>>> signal.convolve2d(np.ones((480, 640), np.float32), np.ones((3, 3), np.float32), mode="same").shape
(480, 640)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from . import _coerce, _errors, _windows
from ._types import Array, ArrayLike
from ._windows import Border, cast

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d"]

Mode: TypeAlias = Literal["full", "same", "valid"]
Method: TypeAlias = Literal["auto", "direct", "fft"]
Boundary: TypeAlias = Literal["fill", "pad", "wrap", "circular", "symm", "symmetric"]

MODES = ("full", "same", "valid")
METHODS = ("auto", "direct", "fft")
PAD_MODES = {
    "fill": "constant",
    "pad": "constant",
    "wrap": "wrap",
    "circular": "wrap",
    "symm": "symmetric",
    "symmetric": "symmetric",
}
"""SciPy's boundaries, in the words of `fastconv.pad`."""

BREAK_EVEN = (12, 30, 30)
"""Multiply-adds of direct sums that take the time of a transform, an element and step of log2, of 1, 2 and 3 axes.

Measured by ``bench/image_filters.py --fft``.
"""


def convolve(in1: ArrayLike, in2: ArrayLike, mode: Mode = "full", method: Method = "auto") -> Array:
    """Convolve two arrays of as many axes.

    Parameters
    ----------
    in1 : array_like
        One to three axes, more where all but three have a single element in one of the arrays' shapes. Integers, bool,
        float16, float32, float64, complex64 and complex128.
    in2 : array_like
        With as many axes.
    mode : {"full", "same", "valid"}, default: "full"
        All sums of at least one product; the middle of these, of the size of `in1`; or only those where one array lies
        within the other, as it does on all axes then, whichever it is.
    method : {"auto", "direct", "fft"}, default: "auto"
        Sums, or products of Fourier transforms by `scipy.fft`, which needs SciPy. ``"auto"`` takes transforms where
        these are faster, SciPy is installed, and both arrays are floats without NaN and infinity.

    Returns
    -------
    ndarray
        Of the type that the two promote to: direct sums of integers are integers, modulo the range of
        the type.

    Raises
    ------
    ValueError
        If an argument has a value that is not allowed, an array is empty, the arrays have not the same number of axes,
        or for ``"valid"`` neither fits into the other. The message names the argument, its value and what is allowed.
    TypeError
        If an argument has a wrong type.
    ImportError
        If `method` is ``"fft"`` and SciPy is not installed.
    MemoryError
        If the result cannot be allocated.

    See Also
    --------
    correlate : the same with `in2` mirrored.
    fastconv.conv : channels, strides, batches.

    Notes
    -----
    With `in1` zero outside of its borders, and ``K`` the size of `in2`::

        full[p] = sum over j < K of in2[j] * in1[p - j]

    ``"same"`` begins at ``(K - 1) // 2`` of it, on each axis.

    The result is that of `scipy.signal.convolve`. Direct sums of ``n`` products differ from the exact ones by at most
    ``n u / (1 - n u)`` times the sum of absolute products, ``u`` being ``2**-24`` for float32 and ``2**-53`` for
    float64; those of integers are exact. The error of transforms is relative to the largest element of the result, not
    to each. The cost is one multiply-add for each element of the result and of the smaller array, or
    ``O(N log N)`` in the size of the full result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.convolve([1, 2, 4, 8], [1, -1])
    array([ 1,  1,  2,  4, -8])
    >>> signal.convolve(np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 1.0]), mode="valid")
    array([ 3.,  6., 12.])
    """
    pair = _Pair.of("convolve", in1, in2)
    return _convolved(pair, mode, method)


def correlate(in1: ArrayLike, in2: ArrayLike, mode: Mode = "full", method: Method = "auto") -> Array:
    """Correlate two arrays of as many axes.

    Parameters
    ----------
    in1, in2, mode, method
        As in `convolve`.

    Returns
    -------
    ndarray
        Of the type that the two promote to.

    Raises
    ------
    ValueError, TypeError, ImportError, MemoryError
        As in `convolve`, which also says how results compare with SciPy's.

    Notes
    -----
    It is the convolution with `in2` mirrored on all axes and conjugated::

        full[p] = sum over j < K of conj(in2[j]) * in1[p - (K - 1) + j]

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.correlate([1, 2, 4, 8], [0, 1])
    array([1, 2, 4, 8, 0])
    """
    pair = _Pair.of("correlate", in1, in2)
    return _convolved(pair.turned(), mode, method)


def convolve2d(
    in1: ArrayLike, in2: ArrayLike, mode: Mode = "full", boundary: Boundary = "fill", fillvalue: complex = 0
) -> Array:
    """Convolve two images.

    Parameters
    ----------
    in1, in2 : array_like, two axes
        Types as in `convolve`.
    mode : {"full", "same", "valid"}, default: "full"
        As in `convolve`.
    boundary : {"fill", "wrap", "symm"}, default: "fill"
        What stands around `in1`: `fillvalue`, the image again, or the image mirrored at its edge. ``"pad"``,
        ``"circular"`` and ``"symmetric"`` are other names of the three.
    fillvalue : scalar, default: 0
        Taken in the type of the result: cut off where that is an integer.

    Returns
    -------
    ndarray
        Of the type that the two promote to.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `convolve`, which also says how results compare with SciPy's.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.convolve2d([[1, 2, 3], [4, 5, 6]], [[1, 1]], mode="same", boundary="wrap")
    array([[ 4,  3,  5],
           [10,  9, 11]])
    """
    pair = _Pair.of("convolve2d", in1, in2, rank=2)
    return _bounded(pair, mode, boundary, fillvalue)


def correlate2d(
    in1: ArrayLike, in2: ArrayLike, mode: Mode = "full", boundary: Boundary = "fill", fillvalue: complex = 0
) -> Array:
    """Correlate two images.

    Parameters
    ----------
    in1, in2, mode, boundary, fillvalue
        As in `convolve2d`.

    Returns
    -------
    ndarray
        Of the type that the two promote to.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `convolve`, which also says how results compare with SciPy's.

    Notes
    -----
    The convolution with `in2` mirrored and conjugated, but for one thing, as in SciPy: ``"same"`` begins at ``K // 2``
    of the full result, which is one later where a size ``K`` of `in2` is even. It is always `in2` that is conjugated;
    SciPy conjugates `in1` for ``"valid"`` where that is the smaller one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.correlate2d([[1, 2, 3], [4, 5, 6]], [[1, 1]], mode="same")
    array([[ 3,  5,  3],
           [ 9, 11,  6]])
    """
    pair = _Pair.of("correlate2d", in1, in2, rank=2)
    return _bounded(pair.turned(), mode, boundary, fillvalue, late=True)


class _Pair(NamedTuple):
    """The two arrays of a call, and its name."""

    op: str
    image: Array
    kernel: Array

    @classmethod
    def of(cls, op: str, in1: Any, in2: Any, rank: int | None = None) -> _Pair:
        arrays = [_coerce.as_array(op, name, value, "biufc") for name, value in (("in1", in1), ("in2", in2))]
        shapes = " and ".join(
            f"{name} has shape {array.shape}" for name, array in zip(("in1", "in2"), arrays, strict=True)
        )
        if rank is not None and not all(array.ndim == rank for array in arrays):
            raise ValueError(f"{op}: {shapes}; needs {rank} axes each")
        if arrays[0].ndim != arrays[1].ndim:
            raise ValueError(f"{op}: {shapes}; needs the same number of axes")
        if not all(array.size for array in arrays):
            raise ValueError(f"{op}: {shapes}; needs an element at least in each")
        return cls(op, *arrays)

    def turned(self) -> _Pair:
        """With the kernel whose convolution is the correlation."""
        kernel = self.kernel[(slice(None, None, -1),) * self.kernel.ndim]
        return self._replace(kernel=kernel.conj() if kernel.dtype.kind == "c" else kernel)

    def swapped(self) -> _Pair:
        return self._replace(image=self.kernel, kernel=self.image)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(self.image, self.kernel).newbyteorder("=")


class _Span(NamedTuple):
    """The part of the full convolution along an axis that is asked for."""

    start: int
    count: int


def _spans(pair: _Pair, mode: Any, late: bool = False) -> tuple[_Pair, list[_Span]]:
    """The part of the full convolution that `mode` means, and the pair, swapped where its order does not count."""
    if mode not in MODES:
        _errors.bad_choice(pair.op, "mode", mode, MODES)
    sizes = list(zip(pair.image.shape, pair.kernel.shape, strict=True))
    if mode == "full":
        return pair, [_Span(0, n + k - 1) for n, k in sizes]
    if mode == "same":
        return pair, [_Span(k // 2 if late else (k - 1) // 2, n) for n, k in sizes]
    if any(n < k for n, k in sizes):
        if any(n > k for n, k in sizes):
            raise ValueError(
                f"{pair.op}: in1 has shape {pair.image.shape} and in2 {pair.kernel.shape}; mode 'valid' needs one that "
                "is as large as the other on every axis"
            )
        pair = pair.swapped()
    return pair, [_Span(min(n, k) - 1, abs(n - k) + 1) for n, k in sizes]


def _convolved(pair: _Pair, mode: Any, method: Any) -> Array:
    if method not in METHODS:
        _errors.bad_choice(pair.op, "method", method, METHODS)
    pair, spans = _spans(pair, mode)
    if pair.image.ndim == 0:
        return np.multiply(pair.image, pair.kernel)
    if method == "fft" or (method == "auto" and _prefers_fft(pair, spans)):
        return _by_fft(pair, spans)
    return _direct(pair, spans, "constant", 0)


def _bounded(pair: _Pair, mode: Any, boundary: Any, fillvalue: Any, late: bool = False) -> Array:
    if boundary not in PAD_MODES:
        _errors.bad_choice(pair.op, "boundary", boundary, tuple(PAD_MODES))
    if not isinstance(fillvalue, (int, float, complex, np.number, np.bool_)):
        raise TypeError(f"{pair.op}: fillvalue is {fillvalue!r}; needs a number")
    if isinstance(fillvalue, (complex, np.complexfloating)) and pair.dtype.kind != "c":
        raise TypeError(f"{pair.op}: fillvalue is {fillvalue!r}; needs a real number for arrays of {pair.dtype}")
    if pair.dtype.kind in "iu" and not np.iinfo(pair.dtype).min <= fillvalue <= np.iinfo(pair.dtype).max:
        raise ValueError(f"{pair.op}: fillvalue is {fillvalue!r}; needs a number in the range of {pair.dtype}")
    filler = cast(np.array(fillvalue), pair.dtype)[()]
    pair, spans = _spans(pair, mode, late)
    return _direct(pair, spans, PAD_MODES[boundary], filler)


# ---- sums


def _direct(pair: _Pair, spans: Sequence[_Span], mode: str, filler: Any) -> Array:
    """Sums of products; with zeros around, the smaller array is the kernel."""
    if mode == "constant" and filler == 0 and pair.kernel.size > pair.image.size:
        pair = pair.swapped()
    image, borders = pair.image, []
    for axis, (n, k, span) in enumerate(zip(image.shape, pair.kernel.shape, spans, strict=True)):
        before, after = k - 1 - span.start, span.start + span.count - n
        # What no window reaches is left out.
        image = image[(slice(None),) * axis + (slice(max(-before, 0), n + min(after, 0)),)]
        border = Border(k, max(before, 0), max(after, 0), mode)
        borders.append(border if k > 1 or any(border.pads) else _windows.IDLE)
    weights = pair.kernel[(slice(None, None, -1),) * pair.kernel.ndim]
    computed = _computing_type(image, weights, pair.dtype, filler)
    if computed is None:
        return _tap_by_tap(pair.op, image.astype(pair.dtype), weights.astype(pair.dtype), borders, filler)
    operands = image.astype(computed, copy=False), weights.astype(computed, copy=False)
    return np.ascontiguousarray(cast(_windows.correlate(pair.op, *operands, borders, filler), pair.dtype))


def _computing_type(image: Array, weights: Array, dtype: np.dtype[Any], filler: Any) -> Any:
    """The type in which sums are right: of integers exact, or None if no float can hold them."""
    if dtype.kind not in "iub":
        return np.result_type(dtype, np.float32)
    largest = [max(abs(int(array.min())), abs(int(array.max()))) for array in (image, weights)]
    magnitude = max(largest[0], abs(int(filler))) * largest[1] * weights.size
    return np.float32 if magnitude < 2**24 else np.float64 if magnitude < 2**53 else None


def _tap_by_tap(op: str, image: Array, weights: Array, borders: Sequence[Border], filler: Any) -> Array:
    """Sums in integers, which wrap around."""
    around = _windows.extended(op, image, borders, filler)
    counts = [length - size + 1 for length, size in zip(around.shape, weights.shape, strict=True)]
    result = np.zeros(counts, image.dtype)
    for place in np.ndindex(weights.shape):
        part = tuple(slice(first, first + count) for first, count in zip(place, counts, strict=True))
        result += around[part] * weights[place]
    return result


# ---- transforms


@lru_cache(maxsize=1)
def _scipy_fft() -> Any:
    """`scipy.fft`, or None where SciPy is not installed."""
    try:
        return import_module("scipy.fft")
    except ImportError:
        return None


def _lengths(pair: _Pair, spans: Sequence[_Span]) -> list[int]:
    """Periods of transforms that leave the asked part of the full convolution alone."""
    sizes = zip(pair.image.shape, pair.kernel.shape, spans, strict=True)
    return [max(n, k, n + k - 1 - span.start, span.start + span.count) for n, k, span in sizes]


def _prefers_fft(pair: _Pair, spans: Sequence[_Span]) -> bool:
    """Whether transforms are faster, and there is nothing that they would spread over the whole result."""
    if pair.dtype.kind not in "fc" or pair.dtype.itemsize < 4:
        return False
    products = min(pair.image.size, pair.kernel.size) * math.prod(span.count for span in spans)
    points = math.prod(_lengths(pair, spans))
    rank = min(max(1, sum(size > 1 for size in pair.kernel.shape)), 3)
    if products < BREAK_EVEN[rank - 1] * points * math.log2(points) or _scipy_fft() is None:
        return False
    return bool(np.isfinite(pair.image).all() and np.isfinite(pair.kernel).all())


def _by_fft(pair: _Pair, spans: Sequence[_Span]) -> Array:
    fft = _scipy_fft()
    if fft is None:
        raise ImportError(f"{pair.op}: method 'fft' needs SciPy, which is not installed; 'direct' does not")
    real = pair.dtype.kind != "c"
    forward, backward = (fft.rfftn, fft.irfftn) if real else (fft.fftn, fft.ifftn)
    lengths = [fft.next_fast_len(length, real) for length in _lengths(pair, spans)]
    computed = np.result_type(pair.dtype, np.float32)
    image, kernel = (forward(array.astype(computed, copy=False), lengths) for array in (pair.image, pair.kernel))
    image *= kernel
    result = backward(image, lengths)[tuple(slice(span.start, span.start + span.count) for span in spans)]
    return np.ascontiguousarray(cast(np.rint(result) if pair.dtype.kind in "iub" else result, pair.dtype))
