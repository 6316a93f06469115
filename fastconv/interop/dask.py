"""Convolution and pooling of dask arrays: images, volumes and batches larger than memory.

Each function has the arguments of fastconv's function of the same name, except `out`, and gives a lazy array. Needs the
package ``dask[array]``.

Chunks of the output follow those of the input: an output belongs to the chunk in which the middle of its window lies.
Each is the plain function on exactly the piece of the input that its windows cover, padded only at the borders of the
image. Chunks may have any known sizes, also smaller than the window.

- Along the batch, and in pooling along channels, chunks stay as they are.
- A convolution sums over the channels of a group, so these are brought together: of the borders between chunks of
  channels those stay that are borders of groups. A depthwise convolution keeps all of them, one without groups none.
- `weight` and `bias`, of dask, NumPy or what fastconv takes for an array, become one chunk, which every task is given.

Arguments are checked when the graph is built, and shape and type are known then; nothing is computed.

A task holds a piece with all channels of its groups, and its output. Where windows overlap, the input is copied once
for each axis that is cut.

In a pool (the schedulers "threads" and "processes", workers of dask.distributed) each call runs on one thread, for a
pool runs as many tasks at once as it may use cores. The synchronous scheduler runs one task at a time, in the main
thread, where a call takes the threads that fastconv has set. Their number changes no bit.

What a `fastconv.options` block chooses may not reach the tasks of a pool; the argument `algorithm` does.
"""

from __future__ import annotations

from ._needs import needs

with needs("dask"):
    import dask.array as da

from fastconv._types import Activation, Algorithm, ArrayLike, Int, Ints, Layout, Padding

from . import _dask

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]


def conv1d(
    input: da.Array,
    weight: ArrayLike | da.Array,
    bias: ArrayLike | da.Array | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
) -> da.Array:
    """Convolve signals with a bank of filters, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, W) or (C, W)
        Signals, in chunks of any sizes that are known.
    weight : array_like or dask.array.Array, shape (K, C / groups, KW)
        Filters.
    bias : array_like or dask.array.Array, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups, layout, flip, activation, algorithm
        As in `fastconv.conv`.

    Returns
    -------
    dask.array.Array, shape (N, K, OW) or (K, OW)
        In the axis order of `layout`, in chunks that follow those of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.conv`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastconv.interop.dask import conv1d
    >>> signal = da.from_array(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), chunks=(1, 2))
    >>> conv1d(signal, np.ones((1, 1, 3))).compute()
    array([[ 7., 14., 28.]])
    """
    return _dask.conv(1, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm)


def conv2d(
    input: da.Array,
    weight: ArrayLike | da.Array,
    bias: ArrayLike | da.Array | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
) -> da.Array:
    """Convolve images with a bank of filters, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, H, W) or (C, H, W)
        Images, in chunks of any sizes that are known.
    weight : array_like or dask.array.Array, shape (K, C / groups, KH, KW)
        Filters.
    bias : array_like or dask.array.Array, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups, layout, flip, activation, algorithm
        As in `fastconv.conv`.

    Returns
    -------
    dask.array.Array, shape (N, K, OH, OW) or (K, OH, OW)
        In the axis order of `layout`, in chunks that follow those of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.conv`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastconv.interop.dask import conv2d
    >>> images = da.ones((1, 3, 4000, 6000), chunks=(1, 3, 1000, 1000), dtype=np.float32)
    >>> conv2d(images, np.ones((8, 3, 3, 3), np.float32), padding=1, stride=2)
    dask.array<conv2d, shape=(1, 8, 2000, 3000), dtype=float32, chunksize=(1, 8, 500, 500), chunktype=numpy.ndarray>
    """
    return _dask.conv(2, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm)


def conv3d(
    input: da.Array,
    weight: ArrayLike | da.Array,
    bias: ArrayLike | da.Array | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    layout: Layout | None = None,
    flip: bool = False,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
) -> da.Array:
    """Convolve volumes with a bank of filters, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes, in chunks of any sizes that are known.
    weight : array_like or dask.array.Array, shape (K, C / groups, KD, KH, KW)
        Filters.
    bias : array_like or dask.array.Array, shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups, layout, flip, activation, algorithm
        As in `fastconv.conv`.

    Returns
    -------
    dask.array.Array, shape (N, K, OD, OH, OW) or (K, OD, OH, OW)
        In the axis order of `layout`, in chunks that follow those of `input`.

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.conv`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastconv.interop.dask import conv3d
    >>> volume = da.ones((1, 2000, 2000, 2000), chunks=(1, 200, 200, 200), dtype=np.float32)
    >>> edges = conv3d(volume, np.ones((1, 1, 3, 3, 3), np.float32), padding="same")
    >>> edges[0, 0, :2, :2].compute()
    array([[ 8., 12.],
           [12., 18.]], dtype=float32)
    """
    return _dask.conv(3, input, weight, bias, stride, padding, dilation, groups, layout, flip, activation, algorithm)


def max_pool1d(
    input: da.Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
) -> da.Array | tuple[da.Array, da.Array]:
    """Maximum over sliding windows of signals, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, W) or (C, W)
        Signals, in chunks of any sizes that are known.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices, layout
        As in `fastconv.max_pool`.

    Returns
    -------
    values : dask.array.Array, shape (N, C, OW) or (C, OW)
    indices : dask.array.Array of int64, same shape, only if `return_indices`
        Places in the planes of the whole `input`.

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.max_pool`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastconv.interop.dask import max_pool1d
    >>> signal = da.from_array([[3, 1, 4, 1, 5, 9]], chunks=(1, 4))
    >>> max_pool1d(signal, 3, stride=1).compute()
    array([[4, 4, 5, 9]])
    """
    window = {"dilation": dilation, "ceil_mode": ceil_mode, "return_indices": return_indices}
    return _dask.pool("max", 1, input, kernel_size, stride, padding, layout, **window)


def max_pool2d(
    input: da.Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
) -> da.Array | tuple[da.Array, da.Array]:
    """Maximum over sliding windows of images, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, H, W) or (C, H, W)
        Images, in chunks of any sizes that are known.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices, layout
        As in `fastconv.max_pool`.

    Returns
    -------
    values : dask.array.Array, shape (N, C, OH, OW) or (C, OH, OW)
    indices : dask.array.Array of int64, same shape, only if `return_indices`
        Places in the planes of the whole `input`.

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.max_pool`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastconv.interop.dask import max_pool2d
    >>> image = da.arange(64, chunks=16).reshape(1, 8, 8)
    >>> values, indices = max_pool2d(image, 4, return_indices=True)
    >>> indices.compute()
    array([[[27, 31],
            [59, 63]]])
    """
    window = {"dilation": dilation, "ceil_mode": ceil_mode, "return_indices": return_indices}
    return _dask.pool("max", 2, input, kernel_size, stride, padding, layout, **window)


def max_pool3d(
    input: da.Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: Layout | None = None,
) -> da.Array | tuple[da.Array, da.Array]:
    """Maximum over sliding windows of volumes, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes, in chunks of any sizes that are known.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, dilation, ceil_mode, return_indices, layout
        As in `fastconv.max_pool`.

    Returns
    -------
    values : dask.array.Array, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)
    indices : dask.array.Array of int64, same shape, only if `return_indices`
        Places in the planes of the whole `input`.

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.max_pool`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastconv.interop.dask import max_pool3d
    >>> volume = da.zeros((1, 2000, 2000, 2000), chunks=(1, 200, 200, 200))
    >>> max_pool3d(volume, 4).shape
    (1, 500, 500, 500)
    """
    window = {"dilation": dilation, "ceil_mode": ceil_mode, "return_indices": return_indices}
    return _dask.pool("max", 3, input, kernel_size, stride, padding, layout, **window)


def avg_pool1d(
    input: da.Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
) -> da.Array:
    """Mean over sliding windows of signals, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, W) or (C, W)
        Signals, in chunks of any sizes that are known.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As in `fastconv.avg_pool`.

    Returns
    -------
    dask.array.Array, shape (N, C, OW) or (C, OW)

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.avg_pool`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastconv.interop.dask import avg_pool1d
    >>> signal = da.from_array([[3.0, 1.0, 4.0, 2.0]], chunks=(1, 3))
    >>> avg_pool1d(signal, 2).compute()
    array([[2., 3.]])
    """
    divisor = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    return _dask.pool("avg", 1, input, kernel_size, stride, padding, layout, ceil_mode=ceil_mode, **divisor)


def avg_pool2d(
    input: da.Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
) -> da.Array:
    """Mean over sliding windows of images, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, H, W) or (C, H, W)
        Images, in chunks of any sizes that are known.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As in `fastconv.avg_pool`.

    Returns
    -------
    dask.array.Array, shape (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.avg_pool`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastconv.interop.dask import avg_pool2d
    >>> image = da.arange(16.0, chunks=8).reshape(1, 4, 4)
    >>> avg_pool2d(image, 2).compute()
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    divisor = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    return _dask.pool("avg", 2, input, kernel_size, stride, padding, layout, ceil_mode=ceil_mode, **divisor)


def avg_pool3d(
    input: da.Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Int | None = None,
    *,
    layout: Layout | None = None,
) -> da.Array:
    """Mean over sliding windows of volumes, chunk by chunk.

    Parameters
    ----------
    input : dask.array.Array, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes, in chunks of any sizes that are known.
    kernel_size : int or tuple of int
        Size of the window.
    stride, padding, ceil_mode, count_include_pad, divisor_override, layout
        As in `fastconv.avg_pool`.

    Returns
    -------
    dask.array.Array, shape (N, C, OD, OH, OW) or (C, OD, OH, OW)

    Raises
    ------
    ValueError, TypeError
        As in `fastconv.avg_pool`; also if `input` is no dask array, or the sizes of its chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastconv.interop.dask import avg_pool3d
    >>> volume = da.ones((1, 2000, 2000, 2000), chunks=(1, 200, 200, 200))
    >>> avg_pool3d(volume, (1, 4, 4)).shape
    (1, 2000, 500, 500)
    """
    divisor = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    return _dask.pool("avg", 3, input, kernel_size, stride, padding, layout, ceil_mode=ceil_mode, **divisor)
