"""Every op of the package again in plain NumPy: the definition the fast ones are tested against.

Names and signatures are those of the fast ops. All sums are accumulated in float64 and rounded once, to the result's
type, at the end; call with float64 arrays to see them unrounded. The model is everywhere the same: a loop over the
taps of the window, each a strided slice of the padded input, the channels contracted by one matrix product.
The geometry rules below are this file's own: it shares no code with the fast path, so that the two can disagree.
"""

from __future__ import annotations

import inspect
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


# ---- from what the caller wrote to plain numbers and arrays (N, C, *spatial)


def _integer(name: str, value: Any, minimum: int) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; needs an integer")
    if operator.index(value) < minimum:
        raise ValueError(f"{name} is {value!r}; needs an integer >= {minimum}")
    return operator.index(value)


def _per_axis(name: str, value: int | Sequence[int], rank: int, minimum: int = 1) -> tuple[int, ...]:
    values = tuple(value) if np.ndim(value) else (value,) * rank
    if len(values) != rank:
        raise ValueError(f"{name} is {value!r}; needs an integer or {rank} of them")
    return tuple(_integer(name, one, minimum) for one in values)


def _dtype(*arrays: Array | None) -> np.dtype[Any]:
    """The result's type: NumPy's promotion, and float64 where that is still an integer."""
    dtype = np.result_type(*(array.dtype for array in arrays if array is not None)).newbyteorder("=")
    if dtype.kind in "biu":
        return np.dtype(np.float64)
    if dtype not in (np.float16, np.float32, np.float64):
        raise TypeError(f"dtype {dtype} is not supported; needs real numbers of at most 64 bits")
    return dtype


def _asarrays(*values: ArrayLike | None) -> list[Any]:
    return [None if value is None else np.asarray(value) for value in values]


class _Form:
    """Rank, batch and axis order of one call: brings arrays and shapes to (N, C, *spatial), and results back."""

    def __init__(self, rank: int, ndim: int, layout: str | None) -> None:
        self.rank = rank or ndim - 2
        self.batched = ndim == self.rank + 2
        if self.rank < 1 or not (self.batched or ndim == self.rank + 1):
            raise ValueError(f"an array of {ndim} axes does not fit {rank or 'any number of'} spatial axes")
        axes = {1: "W", 2: "HW", 3: "DHW"}.get(self.rank, "...")
        if layout not in (None, "NC" + axes, "N" + axes + "C"):
            raise ValueError(f"layout is {layout!r}; needs None, 'NC{axes}' or 'N{axes}C'")
        self.channels_last = layout is not None and layout.endswith("C")

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        shape = tuple(_integer("shape", size, 0) for size in shape)
        if len(shape) != self.rank + 1 + self.batched:
            raise ValueError(f"shape {shape} needs {self.rank + 1 + self.batched} entries")
        batch, *rest = shape if self.batched else (1, *shape)
        shape = (batch, rest[-1], *rest[:-1]) if self.channels_last else (batch, *rest)
        if 0 in shape[1:]:
            raise ValueError(f"shape {shape} has an empty axis other than the batch")
        return shape

    def array(self, array: Array, dtype: Any = np.float64) -> Array:
        self.shape(array.shape)
        array = array.astype(dtype) if self.batched else array.astype(dtype)[None]
        return np.moveaxis(array, -1, 1) if self.channels_last else array

    def result(self, array: Array, dtype: Any, out: Array | None) -> Array:
        array = np.moveaxis(array, 1, -1) if self.channels_last else array
        return _result(array if self.batched else array[0], dtype, out)


def _result(array: Array, dtype: Any, out: Array | None) -> Array:
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array.astype(dtype))
    if out is None:
        return array
    if out.shape != array.shape or out.dtype != array.dtype:
        raise ValueError(f"out is {out.dtype} {out.shape}; needs {array.dtype} {array.shape}")
    out[...] = array
    return out


def _needs_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; needs {shape}")


# ---- geometry


class _Window:
    """A window of taps that slides over `sizes`: where it stands, how often, and how far it reaches past the ends."""

    def __init__(
        self, sizes: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False
    ) -> None:
        self.sizes, rank = sizes, len(sizes)
        self.kernel = _per_axis("kernel_size", kernel, rank)
        self.stride = _per_axis("stride", stride, rank)
        self.dilation = _per_axis("dilation", dilation, rank)
        self.reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        self.pads = self._pads(padding)
        self.out = tuple(self._count(axis, ceil_mode) for axis in range(rank))
        if min(self.out) < 1:
            raise ValueError(f"a window of {self.reach} over {self.sizes} padded by {self.pads} gives an empty output")

    def _pads(self, padding: Any) -> list[tuple[int, int]]:
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f"padding is {padding!r}; needs 'valid', 'same', integers or pairs of them")
            axes = zip(self.sizes, self.stride, self.reach, strict=True)
            totals = [max((-(-size // s) - 1) * s + reach - size, 0) for size, s, reach in axes]
            return [(total // 2, total - total // 2) if padding == "same" else (0, 0) for total in totals]
        if np.ndim(padding) < 2:
            return [(p, p) for p in _per_axis("padding", padding, len(self.sizes), 0)]
        pairs = [_per_axis("padding", pair, 2, 0) for pair in padding]
        if len(pairs) != len(self.sizes) or any(np.ndim(pair) != 1 for pair in padding):
            raise ValueError(f"padding is {padding!r}; needs {len(self.sizes)} pairs")
        return [(before, after) for before, after in pairs]

    def _count(self, axis: int, ceil_mode: bool) -> int:
        size, (before, after), stride = self.sizes[axis], self.pads[axis], self.stride[axis]
        room = size + before + after - self.reach[axis]
        if not ceil_mode:
            return room // stride + 1
        count = -(-room // stride) + 1
        return count - 1 if (count - 1) * stride >= size + before else count  # no window begins in the padding behind

    def full(self) -> list[tuple[int, int]]:
        """The padding, with what the last window of `ceil_mode` needs beyond it."""
        axes = zip(self.pads, self.out, self.stride, self.reach, self.sizes, strict=True)
        return [
            (before, max(after, (n - 1) * s + reach - size - before)) for (before, after), n, s, reach, size in axes
        ]

    def padded(self, array: Array, value: float = 0) -> Array:
        lead = array.ndim - len(self.sizes)
        return np.pad(array, [(0, 0)] * lead + self.full(), constant_values=value)

    def cropped(self, array: Array) -> Array:
        """What `padded` put an array into, taken out again."""
        axes = zip(self.pads, self.sizes, strict=True)
        return array[(..., *(slice(before, before + size) for (before, _), size in axes))]

    def taps(self) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """For each tap: its index among the weights, and the index into a padded array that gives (..., *out)."""
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            grid = zip(starts, self.out, self.stride, strict=True)
            yield (..., *tap), (..., *(slice(start, start + (n - 1) * s + 1, s) for start, n, s in grid))


# ---- convolution


def _grouped(array: Array, groups: int, axis: int = 1) -> Array:
    return array.reshape(*array.shape[:axis], groups, array.shape[axis] // groups, *array.shape[axis + 1 :])


def _flat(array: Array) -> Array:
    """(N, G, C, *spatial) -> (N, G, C, positions): the operand of a matrix product."""
    return array.reshape(*array.shape[:3], math.prod(array.shape[3:]))


def _conv_window(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int
) -> tuple[_Window, tuple[int, ...]]:
    """The window of a convolution and the shape of its output, once all shapes are seen to agree."""
    _integer("groups", groups, 1)
    if len(w_shape) != len(x_shape) or 0 in w_shape:
        raise ValueError(f"weight has shape {w_shape}; needs {len(x_shape)} axes, none of them empty")
    if x_shape[1] != w_shape[1] * groups or w_shape[0] % groups:
        raise ValueError(f"groups is {groups}; does not fit {x_shape[1]} channels and weights {w_shape}")
    window = _Window(x_shape[2:], w_shape[2:], stride, padding, dilation)
    return window, (x_shape[0], w_shape[0], *window.out)


def _flipped(weight: Array, flip: bool) -> Array:
    return np.flip(weight, tuple(range(2, weight.ndim))) if flip else weight


def _activate(y: Array, activation: Any) -> Array:
    if activation is None:
        return y
    if isinstance(activation, str) and activation == "relu":
        return np.where(y < 0, 0.0, y)
    if isinstance(activation, tuple) and len(activation) == 2 and activation[0] == "leaky_relu":
        return np.where(y < 0, float(activation[1]) * y, y)
    raise ValueError(f"activation is {activation!r}; needs None, 'relu' or ('leaky_relu', slope)")


def _conv(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    layout: str | None = None,
    flip: bool = False,
    activation: str | tuple[str, float] | None = None,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """y[n, o, p] = activation(bias[o] + sum over c, t of input[n, c, p * stride + t * dilation] * weight[o, c, t])."""
    input, weight, bias = _asarrays(input, weight, bias)
    form, dtype = _Form(rank, input.ndim, layout), _dtype(input, weight, bias)
    x, w = form.array(input), _flipped(weight.astype(np.float64), flip)
    window, shape = _conv_window(x.shape, w.shape, stride, padding, dilation, groups)
    x, w = _grouped(window.padded(x), groups), _grouped(w, groups, axis=0)
    y = np.zeros((shape[0], groups, shape[1] // groups, math.prod(window.out)))
    with np.errstate(invalid="ignore", over="ignore"):
        for tap, grid in window.taps():
            y += w[tap] @ _flat(x[grid])
        y = y.reshape(shape)
        if bias is not None:
            _needs_shape("bias", bias, shape[1:2])
            y += bias.astype(np.float64).reshape(-1, *[1] * len(window.out))
        return form.result(_activate(y, activation), dtype, out)


def _conv_grad_input(
    rank: int,
    grad_output: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    layout: str | None = None,
    flip: bool = False,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of a convolution in its input: each output's gradient goes back, weighted, to where it read from."""
    grad_output, weight = _asarrays(grad_output, weight)
    form, dtype = _Form(rank, grad_output.ndim, layout), _dtype(grad_output, weight)
    g, w, x_shape = form.array(grad_output), _flipped(weight.astype(np.float64), flip), form.shape(input_shape)
    window, shape = _conv_window(x_shape, w.shape, stride, padding, dilation, groups)
    _needs_shape("grad_output", g, shape)
    g, w = _flat(_grouped(g, groups)), _grouped(w, groups, axis=0)
    grad = window.padded(np.zeros((x_shape[0], groups, x_shape[1] // groups, *window.sizes)))
    with np.errstate(invalid="ignore", over="ignore"):
        for tap, grid in window.taps():
            view = grad[grid]
            view += (np.swapaxes(w[tap], 1, 2) @ g).reshape(view.shape)
        return form.result(window.cropped(grad).reshape(x_shape), dtype, out)


def _conv_grad_weight(
    rank: int,
    grad_output: ArrayLike,
    input: ArrayLike,
    weight_shape: Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    layout: str | None = None,
    flip: bool = False,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of a convolution in its weights: what each tap read times the output's gradient, summed."""
    grad_output, input = _asarrays(grad_output, input)
    form, dtype = _Form(rank, grad_output.ndim, layout), _dtype(grad_output, input)
    g, x, w_shape = form.array(grad_output), form.array(input), tuple(weight_shape)
    window, shape = _conv_window(x.shape, w_shape, stride, padding, dilation, groups)
    _needs_shape("grad_output", g, shape)
    g, x = _flat(_grouped(g, groups)), _grouped(window.padded(x), groups)
    grad = np.zeros((groups, w_shape[0] // groups, *w_shape[1:]))
    with np.errstate(invalid="ignore", over="ignore"):
        for tap, grid in window.taps():
            grad[tap] = (g @ np.swapaxes(_flat(x[grid]), 2, 3)).sum(axis=0)
        return _result(_flipped(grad.reshape(w_shape), flip), dtype, out)


def _conv_backward(
    rank: int,
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    needs: Iterable[str] = ("input", "weight", "bias"),
    layout: str | None = None,
    flip: bool = False,
    algorithm: str = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """(grad_input, grad_weight, grad_bias) of a convolution, None where `needs` does not name it."""
    arrays = _asarrays(grad_output, input, weight)
    dtype, needs = _dtype(*arrays), set(needs)
    grad_output, input, weight = (array.astype(dtype) for array in arrays)
    if needs - {"input", "weight", "bias"}:
        raise ValueError(f"needs is {needs!r}; may hold 'input', 'weight' and 'bias'")
    geometry, options = (stride, padding, dilation, groups), {"layout": layout, "flip": flip}
    grad_input = grad_weight = grad_bias = None
    if "input" in needs:
        grad_input = _conv_grad_input(rank, grad_output, weight, input.shape, *geometry, **options)
    if "weight" in needs:
        grad_weight = _conv_grad_weight(rank, grad_output, input, weight.shape, *geometry, **options)
    if "bias" in needs:
        g = _Form(rank, grad_output.ndim, layout).array(grad_output)
        grad_bias = _result(g.sum(axis=(0, *range(2, g.ndim))), dtype, None)
    return grad_input, grad_weight, grad_bias


# ---- pooling


def _pool_window(sizes: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> _Window:
    window = _Window(sizes, kernel, kernel if stride is None else stride, padding, dilation, ceil)
    if any(max(pair) >= reach for pair, reach in zip(window.pads, window.reach, strict=True)):
        raise ValueError(f"padding is {padding!r}; needs less than the window, {window.reach}")
    return window


def _max_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str | None = None,
    out: Array | tuple[Array, Array] | None = None,
) -> Array | tuple[Array, Array]:
    """Largest element of each window and its flat index in the plane: the first such, or the last NaN if any."""
    (input,) = _asarrays(input)
    form, dtype = _Form(rank, input.ndim, layout), _dtype(input)
    x = form.array(input)
    window = _pool_window(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    plane = np.arange(math.prod(window.sizes)).reshape(window.sizes)
    x, plane = window.padded(x), window.padded(plane, -1)
    best = np.full((*x.shape[:2], *window.out), -np.inf)
    where = np.full(best.shape, -1, np.int64)
    for _, grid in window.taps():
        value, position = x[grid], plane[grid]
        better = (position >= 0) & ((where < 0) | (value > best) | np.isnan(value))
        best, where = np.where(better, value, best), np.where(better, position, where)
    if (where < 0).any():
        raise ValueError(f"padding is {padding!r}; leaves a window without any element of the input")
    if not return_indices:
        return form.result(best, dtype, out)
    values, indices = (None, None) if out is None else out
    return form.result(best, dtype, values), form.result(where, np.int64, indices)


def _max_pool_backward(
    rank: int,
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of max pooling: each output's gradient goes to the element of the plane that its index names."""
    grad_output, indices = _asarrays(grad_output, indices)
    form, dtype = _Form(rank, grad_output.ndim, layout), _dtype(grad_output)
    g, x_shape = form.array(grad_output), form.shape(input_shape)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices are {indices.dtype}; need integers")
    _needs_shape("indices", indices, grad_output.shape)
    _needs_shape("grad_output", g, (*x_shape[:2], *g.shape[2:]))
    if kernel_size is not None:
        geometry = (x_shape[2:], kernel_size, stride, padding, dilation)
        floor, ceil = (_pool_window(*geometry, ceil_mode).out for ceil_mode in (False, True))
        if any(size not in allowed for size, *allowed in zip(g.shape[2:], floor, ceil, strict=True)):
            raise ValueError(f"grad_output has shape {grad_output.shape}; needs spatial sizes {floor} or {ceil}")
    where, plane = form.array(indices, np.int64), math.prod(x_shape[2:])
    if ((where < 0) | (where >= plane)).any():
        raise ValueError(f"indices range from {where.min()} to {where.max()}; need 0 to {plane - 1}")
    grad = np.zeros((*x_shape[:2], plane))
    batch, channel, *_ = np.indices(g.shape, sparse=True)
    np.add.at(grad, (batch, channel, where), g)
    return form.result(grad.reshape(x_shape), dtype, out)


def _divisors(window: _Window, count_include_pad: bool, divisor_override: int | None) -> Array | float:
    """What each window's sum is divided by: its elements within the padded (or the bare) input, axis times axis."""
    if divisor_override is not None:
        if _integer("divisor_override", divisor_override, -(2**63)) == 0:
            raise ValueError("divisor_override is 0; needs another integer")
        return float(divisor_override)
    counts = np.ones(())
    for axis, (size, (before, after)) in enumerate(zip(window.sizes, window.pads, strict=True)):
        start = np.arange(window.out[axis]) * window.stride[axis] - before
        low, high = (-before, size + after) if count_include_pad else (0, size)
        ends = np.minimum(start + window.kernel[axis], high)
        counts = np.multiply.outer(counts, ends - np.maximum(start, low))
    return counts


def _avg_pool(
    rank: int,
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Sum of each window over its divisor."""
    (input,) = _asarrays(input)
    form, dtype = _Form(rank, input.ndim, layout), _dtype(input)
    x = form.array(input)
    window = _pool_window(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    divisors, x = _divisors(window, count_include_pad, divisor_override), window.padded(x)
    with np.errstate(invalid="ignore", over="ignore"):
        total = sum(x[grid] for _, grid in window.taps())
        return form.result(total / divisors, dtype, out)


def _avg_pool_backward(
    rank: int,
    grad_output: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str | None = None,
    out: Array | None = None,
) -> Array:
    """Gradient of average pooling: each output's gradient over its divisor, added to every element of its window."""
    (grad_output,) = _asarrays(grad_output)
    form, dtype = _Form(rank, grad_output.ndim, layout), _dtype(grad_output)
    g, x_shape = form.array(grad_output), form.shape(input_shape)
    window = _pool_window(x_shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    _needs_shape("grad_output", g, (*x_shape[:2], *window.out))
    share = g / _divisors(window, count_include_pad, divisor_override)
    grad = window.padded(np.zeros(x_shape))
    with np.errstate(invalid="ignore", over="ignore"):
        for _, grid in window.taps():
            grad[grid] += share
        return form.result(window.cropped(grad), dtype, out)


# ---- the public names


def _public(definition: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The op for any number of spatial axes (a batch is needed), then for 1, 2 and 3 (an item alone will do)."""
    signature = inspect.signature(definition)
    signature = signature.replace(parameters=[*signature.parameters.values()][1:])

    def fixed(rank: int) -> Callable[..., Any]:
        def op(*args: Any, **kwargs: Any) -> Any:
            return definition(rank, *args, **kwargs)

        suffix = f"{rank}d" if rank else ""
        op.__name__ = op.__qualname__ = re.sub("(conv|pool)", rf"\g<1>{suffix}", definition.__name__.removeprefix("_"))
        op.__doc__, op.__signature__ = definition.__doc__, signature  # type: ignore[attr-defined]
        return op

    return map(fixed, range(4))


conv, conv1d, conv2d, conv3d = _public(_conv)
conv_grad_input, conv1d_grad_input, conv2d_grad_input, conv3d_grad_input = _public(_conv_grad_input)
conv_grad_weight, conv1d_grad_weight, conv2d_grad_weight, conv3d_grad_weight = _public(_conv_grad_weight)
conv_backward, conv1d_backward, conv2d_backward, conv3d_backward = _public(_conv_backward)
max_pool, max_pool1d, max_pool2d, max_pool3d = _public(_max_pool)
max_pool_backward, max_pool1d_backward, max_pool2d_backward, max_pool3d_backward = _public(_max_pool_backward)
avg_pool, avg_pool1d, avg_pool2d, avg_pool3d = _public(_avg_pool)
avg_pool_backward, avg_pool1d_backward, avg_pool2d_backward, avg_pool3d_backward = _public(_avg_pool_backward)
