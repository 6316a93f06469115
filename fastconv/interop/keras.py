"""Keras 3 with its NumPy backend on fastconv: what that backend hands to JAX today.

`install` puts these functions into the backend, where ``keras.ops`` and ``keras.layers`` find them; `uninstall` takes
them out. They have the names, signatures and meanings of ``keras.ops``: data are channels last unless `data_format`
says otherwise, and kernels, (*kernel, in, out), are read where they lie. Needs the package ``keras``, which with this
backend imports JAX as it starts; none of these functions calls it.

Types are those of the arrays: float64 stays, which JAX makes float32; bfloat16 is computed in float32; integers give
what JAX gives, as long as sums stay below 2**53.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from ._needs import needs

with needs("keras", "keras", "jax"):
    import keras
    from keras.src import backend
    from keras.src.backend.common.backend_utils import compute_conv_transpose_padding_args_for_jax

import fastconv
from fastconv._types import Array, Layout

from ._layouts import is_last

__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "fold",
    "install",
    "max_pool",
    "separable_conv",
    "unfold",
    "uninstall",
]

Ints: TypeAlias = int | Sequence[int]
DataFormat: TypeAlias = Literal["channels_last", "channels_first"]
Padding: TypeAlias = Literal["valid", "same"]

_replaced: dict[str, Callable[..., Any]] = {}


def install() -> None:
    """Let Keras's NumPy backend compute convolutions and poolings with fastconv.

    Twice is once.

    Raises
    ------
    RuntimeError
        If Keras runs on another backend: the environment variable ``KERAS_BACKEND`` says which, before Keras is
        imported.

    See Also
    --------
    uninstall : takes back what this did.

    Examples
    --------
    With ``KERAS_BACKEND=numpy``:

    >>> import keras, numpy as np
    >>> import fastconv.interop.keras
    >>> fastconv.interop.keras.install()
    >>> keras.ops.max_pool(np.arange(4.0).reshape(1, 4, 1), 2)
    array([[[1.],
            [3.]]])
    >>> fastconv.interop.keras.uninstall()
    """
    if keras.backend.backend() != "numpy":
        raise RuntimeError(f"install: Keras's backend is {keras.backend.backend()!r}; needs KERAS_BACKEND=numpy")
    own = {
        function.__name__: function
        for function in (
            conv,
            depthwise_conv,
            separable_conv,
            conv_transpose,
            max_pool,
            average_pool,
            adaptive_max_pool,
            adaptive_average_pool,
            unfold,
            fold,
        )
    }
    theirs = {name: getattr(backend.nn, name) for name in own}  # all before any is replaced: a name may be missing
    for name, function in own.items():
        _replaced.setdefault(name, theirs[name])
        setattr(backend.nn, name, function)


def uninstall() -> None:
    """Give Keras its own functions back, if `install` took them."""
    while _replaced:
        setattr(backend.nn, *_replaced.popitem())


def conv(
    inputs: Any,
    kernel: Any,
    strides: Ints = 1,
    padding: Padding = "valid",
    data_format: DataFormat | None = None,
    dilation_rate: Ints = 1,
) -> Array:
    """Convolve, as ``keras.ops.conv``: `fastconv.conv`.

    Parameters
    ----------
    inputs : array, shape (N, *spatial, C) or, channels first, (N, C, *spatial)
        One to three spatial axes.
    kernel : array or variable, shape (*kernel, C / groups, K)
        The number of groups follows from the channels.
    strides, padding, data_format, dilation_rate
        As in ``keras.ops.conv``.

    Returns
    -------
    ndarray, shape (N, *output, K) or (N, K, *output)

    Raises
    ------
    ValueError
        If the channels are no multiple of those of `kernel`, or as in `fastconv.conv`.
    """
    inputs, weight = np.asarray(inputs), _filters(kernel)
    layout = _layout(inputs, data_format)
    channels = inputs.shape[-1 if is_last(layout) else 1]
    groups, rest = divmod(channels, weight.shape[1] or 1)
    if rest:
        raise ValueError(
            f"conv: inputs has {channels} channels, and kernel, shape {np.shape(kernel)}, has {weight.shape[1]}; needs "
            "a divisor of them"
        )
    return _computed(
        lambda x, w: fastconv.conv(x, w, None, strides, padding.lower(), dilation_rate, groups, layout=layout),
        inputs,
        weight,
        sums=True,
    )


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Ints = 1,
    padding: Padding = "valid",
    data_format: DataFormat | None = None,
    dilation_rate: Ints = 1,
) -> Array:
    """Convolve each channel with filters of its own, as ``keras.ops.depthwise_conv``: `fastconv.conv` with C groups.

    Parameters
    ----------
    inputs : array, shape (N, *spatial, C) or (N, C, *spatial)
        One to three spatial axes.
    kernel : array or variable, shape (*kernel, C, M)
        M filters a channel.
    strides, padding, data_format, dilation_rate
        As in ``keras.ops.depthwise_conv``.

    Returns
    -------
    ndarray, shape (N, *output, C * M) or (N, C * M, *output)

    Raises
    ------
    ValueError
        As in `conv`.
    """
    kernel = np.asarray(kernel)
    channels, multiplier = kernel.shape[-2:]
    given = np.shape(inputs)[-1 if is_last(_layout(inputs, data_format)) else 1]
    if given != channels:
        raise ValueError(f"depthwise_conv: inputs has {given} channels; needs {channels}, as kernel {kernel.shape}")
    merged = kernel.reshape(*kernel.shape[:-2], 1, channels * multiplier)
    return conv(inputs, merged, strides, padding, data_format, dilation_rate)


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Ints = 1,
    padding: Padding = "valid",
    data_format: DataFormat | None = None,
    dilation_rate: Ints = 1,
) -> Array:
    """`depthwise_conv`, then `conv` of single pixels, as ``keras.ops.separable_conv``.

    Parameters
    ----------
    inputs, depthwise_kernel, strides, padding, data_format, dilation_rate
        As in `depthwise_conv`.
    pointwise_kernel : array or variable, shape (*ones, C * M, K)
        Mixes its channels.

    Returns
    -------
    ndarray, shape (N, *output, K) or (N, K, *output)

    Raises
    ------
    ValueError
        As in `conv`.
    """
    filtered = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(filtered, pointwise_kernel, data_format=data_format)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Ints = 1,
    padding: Padding = "valid",
    output_padding: Ints | None = None,
    data_format: DataFormat | None = None,
    dilation_rate: Ints = 1,
) -> Array:
    """Transposed convolution, as ``keras.ops.conv_transpose``: `fastconv.conv_transpose`.

    Parameters
    ----------
    inputs : array, shape (N, *spatial, C) or (N, C, *spatial)
        One to three spatial axes.
    kernel : array or variable, shape (*kernel, K, C)
        The filters.
    strides, padding, output_padding, data_format, dilation_rate
        As in ``keras.ops.conv_transpose``.

    Returns
    -------
    ndarray, shape (N, *output, K) or (N, K, *output)

    Raises
    ------
    ValueError
        If `output_padding` asks for more than a stride beyond the last filter, or as in `fastconv.conv_transpose`.
    """
    inputs, weight = np.asarray(inputs), _filters(kernel)
    around = compute_conv_transpose_padding_args_for_jax(
        inputs.shape, np.shape(kernel), strides, padding, output_padding, dilation_rate
    )
    rank = inputs.ndim - 2
    gaps = (dilation_rate,) * rank if isinstance(dilation_rate, int) else dilation_rate
    # JAX is told how far to go beyond the first and last element, fastconv what to cut off, or to append at the end.
    cuts, appended = [], []
    for (before, after), taps, gap in zip(around, weight.shape[2:], gaps, strict=True):
        reach = gap * (taps - 1)
        cuts.append((reach - before, max(reach - after, 0)))
        appended.append(max(after - reach, 0))
    layout = _layout(inputs, data_format)
    return _computed(
        lambda x, w: fastconv.conv_transpose(x, w, None, strides, cuts, appended, 1, dilation_rate, layout=layout),
        inputs,
        weight,
        sums=True,
    )


def max_pool(
    inputs: Any,
    pool_size: Ints,
    strides: Ints | None = None,
    padding: Padding = "valid",
    data_format: DataFormat | None = None,
) -> Array:
    """Maxima of windows, as ``keras.ops.max_pool``: `fastconv.max_pool`.

    Parameters
    ----------
    inputs : array, shape (N, *spatial, C) or (N, C, *spatial)
        One to three spatial axes.
    pool_size, strides, padding, data_format
        As in ``keras.ops.max_pool``.

    Returns
    -------
    ndarray, shape (N, *output, C) or (N, C, *output)

    Raises
    ------
    ValueError
        As in `fastconv.max_pool`.
    """
    layout = _layout(inputs, data_format)
    return _computed(lambda x: fastconv.max_pool(x, pool_size, strides, padding.lower(), layout=layout), inputs)


def average_pool(
    inputs: Any,
    pool_size: Ints,
    strides: Ints | None = None,
    padding: Padding = "valid",
    data_format: DataFormat | None = None,
) -> Array:
    """Means of windows, as ``keras.ops.average_pool``: `fastconv.avg_pool`, where padding does not count.

    Parameters
    ----------
    inputs : array, shape (N, *spatial, C) or (N, C, *spatial)
        One to three spatial axes.
    pool_size, strides, padding, data_format
        As in ``keras.ops.average_pool``.

    Returns
    -------
    ndarray, shape (N, *output, C) or (N, C, *output)
        Of integers float64.

    Raises
    ------
    ValueError
        As in `fastconv.avg_pool`.
    """
    layout = _layout(inputs, data_format)
    return _computed(
        lambda x: fastconv.avg_pool(x, pool_size, strides, padding.lower(), False, False, layout=layout), inputs
    )


def adaptive_max_pool(inputs: Any, output_size: Ints, data_format: DataFormat | None = None) -> Array:
    """Maxima of so many windows, as ``keras.ops.adaptive_max_pool``: `fastconv.adaptive_max_pool`.

    Parameters
    ----------
    inputs : array, shape (N, *spatial, C) or (N, C, *spatial)
        One to three spatial axes.
    output_size, data_format
        As in ``keras.ops.adaptive_max_pool``.

    Returns
    -------
    ndarray, shape (N, *output_size, C) or (N, C, *output_size)

    Raises
    ------
    ValueError
        As in `fastconv.adaptive_max_pool`.
    """
    layout = _layout(inputs, data_format)
    return _computed(lambda x: fastconv.adaptive_max_pool(x, output_size, layout=layout), inputs)


def adaptive_average_pool(inputs: Any, output_size: Ints, data_format: DataFormat | None = None) -> Array:
    """Means of so many windows, as ``keras.ops.adaptive_average_pool``: `fastconv.adaptive_avg_pool`.

    Parameters
    ----------
    inputs : array, shape (N, *spatial, C) or (N, C, *spatial)
        One to three spatial axes.
    output_size, data_format
        As in ``keras.ops.adaptive_average_pool``.

    Returns
    -------
    ndarray, shape (N, *output_size, C) or (N, C, *output_size)

    Raises
    ------
    ValueError
        As in `fastconv.adaptive_avg_pool`.
    """
    layout = _layout(inputs, data_format)
    return _computed(lambda x: fastconv.adaptive_avg_pool(x, output_size, layout=layout), inputs)


def unfold(input: Any, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Array:
    """Patches of images as columns, as ``keras.ops.unfold``: `fastconv.im2col`.

    Parameters
    ----------
    input : array, shape (N, C, H, W)
        Images.
    kernel_size, dilation, padding, stride
        As in ``keras.ops.unfold``.

    Returns
    -------
    ndarray, shape (N, C * prod(kernel_size), positions)

    Raises
    ------
    ValueError
        As in `fastconv.im2col`.
    """
    return _computed(lambda x: fastconv.im2col(x, kernel_size, dilation, padding, stride), input)


def fold(
    x: Any, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Array:
    """Columns added into images, as ``keras.ops.fold``: `fastconv.col2im`.

    Parameters
    ----------
    x : array, shape (N, C * prod(kernel_size), positions)
        What `unfold` makes.
    output_size, kernel_size, dilation, padding, stride
        As in ``keras.ops.fold``.

    Returns
    -------
    ndarray, shape (N, C, *output_size)

    Raises
    ------
    ValueError
        As in `fastconv.col2im`.
    """
    return _computed(lambda x: fastconv.col2im(x, output_size, kernel_size, dilation, padding, stride), x, sums=True)


def _layout(inputs: Any, data_format: DataFormat | None) -> Layout:
    """What Keras calls the data format; by default that of its configuration."""
    data_format = backend.standardize_data_format(data_format)
    rank = np.ndim(inputs) - 2
    if not 1 <= rank <= 3:
        raise ValueError(f"inputs has shape {np.shape(inputs)}; needs 3, 4 or 5 axes")
    spatial = "DHW"[3 - rank :]
    return f"N{spatial}C" if data_format == "channels_last" else f"NC{spatial}"


def _filters(kernel: Any) -> Array:
    """A kernel with its last two axes in front, the last first: (*kernel, in, out) in fastconv's order, a view."""
    array = np.asarray(kernel)
    return np.moveaxis(array, (-1, -2), (0, 1))


def _computed(function: Callable[..., Array], *arrays: Any, sums: bool = False) -> Array:
    """`function` of arrays in types that fastconv has; the result in theirs, that of `sums` of integers included."""
    arrays = tuple(map(np.asarray, arrays))
    short = [array.dtype for array in arrays if array.dtype.name == "bfloat16"]
    if short:
        result = function(*(array.astype(np.float32) if array.dtype in short else array for array in arrays))
        whole = all(array.dtype in short or array.dtype.kind in "iub" for array in arrays)
        return result.astype(short[0]) if whole else result
    dtype = np.result_type(*arrays)
    result = function(*arrays)
    if sums and dtype.kind in "iub":
        return result.astype(np.int64).astype(dtype)  # by way of int64 they wrap around
    return result
