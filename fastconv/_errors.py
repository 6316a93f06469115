"""Everything that is wrong with a call, told so that it teaches: the op, the argument, its value, what is allowed.

`_core` comes here when an argument is not a plain int or tuple, and when C refuses a geometry. Nothing has been written
by then. Functions that return convert a value; the others raise.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

SPATIAL = ("", "W", "H, W", "D, H, W")
ONE_PLAIN = (
    "",
    "signal: {op}(x[None], {rest})[0]",
    "grey image: {op}(img[None], {rest})[0]",
    "volume: {op}(x[None], {rest})[0]",
)
NEEDS = ("input", "weight", "bias")


# ---- numbers and words ----


def as_int(op: object, name: str, value: Any, given: Any) -> int:
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{op}: {name} is {given!r}; needs ints")


def _is_sequence(value: Any) -> bool:
    """What can be read twice and has an order: neither iterators nor sets."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def as_axes(op: object, name: str, value: Any, rank: int) -> tuple[Any, ...]:
    if not _is_sequence(value):
        return (as_int(op, name, value, value),) * rank
    return tuple(value.tolist() if isinstance(value, np.ndarray) else value)


def as_shape(op: object, name: str, value: Any) -> tuple[Any, ...]:
    if not _is_sequence(value):
        raise TypeError(f"{op}: {name} is {value!r}; needs a shape, a tuple of ints")
    return tuple(value)


def as_flag(op: object, name: str, value: Any) -> bool:
    if isinstance(value, np.bool_) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{op}: {name} is {value!r}; needs True or False")


def wrong_length(op: object, name: str, value: Any, rank: int) -> NoReturn:
    raise ValueError(f"{op}: {name} is {value!r}; needs an int or {rank} ints, one a spatial axis")


def too_small(op: object, name: str, value: Any, count: int, least: int) -> NoReturn:
    shape = name.endswith("shape")
    raise ValueError(f"{op}: {name} is {value!r}; needs {'' if shape else 'an int or '}{count} ints, each >= {least}")


def bad_padding(op: object, value: Any, rank: int) -> NoReturn:
    pairs = ", ".join(["(before, after)"] * rank) + ("," if rank == 1 else "")
    raise ValueError(f'{op}: padding is {value!r}; needs an int, {rank} ints, pairs ({pairs}), "valid" or "same"')


def same_total(op: object, size: int, kernel: int, stride: int, dilation: int) -> int:
    """Elements of padding that give ceil(size / stride) outputs."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    if total >= 2**62:
        raise ValueError(f"{op}: padding 'same' of a kernel of {kernel} with dilation {dilation} leaves 64 bits")
    return total


def bad_lrn_size(op: object, size: Any) -> NoReturn:
    raise ValueError(f"{op}: size is {size!r}; needs an int >= 1")


def transposed_same_total(op: object, kernel: int, stride: int, dilation: int, extra: int) -> int:
    """Elements of padding that make the output input * stride long; negative where that much must be appended."""
    total = (kernel - 1) * dilation + 1 + extra - stride
    if abs(total) >= 2**62:
        raise ValueError(f"{op}: padding 'same' of a kernel of {kernel} with dilation {dilation} leaves 64 bits")
    return total


def bad_pads(op: object, value: Any, rank: int) -> NoReturn:
    pairs = ", ".join(["(before, after)"] * rank) + ("," if rank == 1 else "")
    raise ValueError(f"{op}: padding is {value!r}; needs an int, {rank} ints or pairs ({pairs})")


def too_large(op: object, name: str, value: Any) -> NoReturn:
    raise ValueError(f"{op}: {name} is {value!r}; leaves the range of 64-bit offsets")


def as_real(op: object, name: str, value: Any) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{op}: {name} is {value!r}; needs a number")
    return _as_float(op, name, value, value)


def _as_float(op: object, name: str, value: Any, given: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{op}: {name} is {given!r}; needs a number that float64 holds") from None


def as_native_dtype(op: object, dtype: Any) -> int:
    """The type number of float32 or float64."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{op}: dtype is {dtype!r}; needs float32 or float64") from None
    if found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{op}: dtype is {dtype!r}; needs float32 or float64")
    return found.num


def as_output_size(op: object, value: Any) -> tuple[Any, ...]:
    """The spatial sizes of an image: 1 to 3 ints, or one for both axes of a square, as torch has it."""
    sizes = as_axes(op, "output_size", value, 2)
    if not 1 <= len(sizes) <= 3:
        raise ValueError(f"{op}: output_size is {value!r}; needs 1 to 3 ints, or one for a square image")
    return sizes


def wrong_size_count(op: object, name: str, value: Any) -> NoReturn:
    raise ValueError(f"{op}: {name} is {value!r}; needs 1 to 3 ints, one a spatial axis")


def bad_choice(op: object, name: str, value: Any, allowed: tuple[Any, ...]) -> NoReturn:
    error = ValueError if value is None or isinstance(value, str) else TypeError
    raise error(f"{op}: {name} is {value!r}; needs one of {', '.join(map(repr, allowed))}")


def leaky_slope(op: object, activation: Any) -> float:
    if isinstance(activation, (tuple, list)) and len(activation) == 2 and activation[0] == "leaky_relu":
        slope = activation[1]
        if isinstance(slope, (int, float, np.integer, np.floating)) and not isinstance(slope, bool):
            return _as_float(op, "activation", slope, activation)
    error = ValueError if isinstance(activation, (str, tuple, list)) else TypeError
    raise error(f'{op}: activation is {activation!r}; needs None, "relu" or ("leaky_relu", slope)')


def as_needs(op: object, needs: Any) -> frozenset[str]:
    if isinstance(needs, str) or not isinstance(needs, Iterable):
        raise TypeError(f"{op}: needs is {needs!r}; needs an iterable of {', '.join(map(repr, NEEDS))}")
    needs = tuple(needs)
    if not all(isinstance(need, str) and need in NEEDS for need in needs):
        raise ValueError(f"{op}: needs is {needs!r}; allowed are {', '.join(map(repr, NEEDS))}")
    return frozenset(needs)


# ---- arrays ----


def wrong_rank(op: object, name: str, shape: Any, rank: int = 0, last: bool = False) -> NoReturn:
    """`rank` 0: of an op without a suffix, whose arrays tell it."""
    shape, called = tuple(shape), str(op)
    if not rank:
        raise ValueError(f"{op}: {name} has shape {shape}; needs a batch: 3, 4 or 5 axes, (N, C, *spatial)")
    item = f"{SPATIAL[rank]}, C" if last else f"C, {SPATIAL[rank]}"
    suffixed = f"{rank}d" in called
    text = f"{op}: {name} has shape {shape}; needs (N, {item})" + (f" or ({item})" if suffixed else "")
    if name == "input" and called.endswith("d") and len(shape) == rank and not last:
        rest = "k[None, None]" if "conv" in called else "size" if "adaptive" in called else "kernel_size"
        text += f". One {ONE_PLAIN[rank].format(op=op, rest=rest)}"
    raise ValueError(text)


def bad_plan_input_shape(op: object, shape: Any, rank: int, last: bool) -> NoReturn:
    item = f"{SPATIAL[rank]}, C" if last else f"C, {SPATIAL[rank]}"
    raise ValueError(f"{op}: input_shape is {tuple(shape)}; needs (N, {item}) or ({item})")


def wrong_weight_rank(op: object, name: str, shape: Any, rank: int) -> NoReturn:
    shape = tuple(shape)
    axes = "(in, out / groups, *kernel)" if "transpose" in str(op) else "(out, in / groups, *kernel)"
    text = f"{op}: {name} has shape {shape}; needs {rank + 2} axes, {axes}"
    raise ValueError(text + (". One plain filter k: k[None, None]" if len(shape) == rank else ""))


def batch_mismatch(op: object, name: str, shape: Any, other: str, other_shape: Any) -> NoReturn:
    raise ValueError(
        f"{op}: {name} has shape {tuple(shape)} and {other} is {tuple(other_shape)}; both need a batch, or neither"
    )


def bad_bias(op: object, shape: Any, channels: int) -> NoReturn:
    raise ValueError(f"{op}: bias has shape {tuple(shape)}; needs ({channels},), one an output channel")


def bad_grad_output(op: object, shape: Any, expected: Any, **facts: Any) -> NoReturn:
    raise ValueError(f"{op}: grad_output has shape {tuple(shape)}; needs {tuple(expected)}, as {_listed(facts)}")


def bad_indices_shape(op: object, shape: Any, expected: Any) -> NoReturn:
    raise ValueError(f"{op}: indices has shape {tuple(shape)}; needs that of grad_output, {tuple(expected)}")


def bad_index(op: object, index: int, plane: int, input_shape: Any) -> NoReturn:
    raise ValueError(
        f"{op}: indices holds {index}; needs 0 to {plane - 1}, flat positions in a plane of input_shape "
        f"{tuple(input_shape)}"
    )


def bad_channel_run(op: object, size: Any, channels: int, shape: Any) -> NoReturn:
    raise ValueError(
        f"{op}: size is {size!r}; needs an int >= 1 that divides the {channels} channels of input, shape {tuple(shape)}"
    )


def bad_channel_index(op: object, index: int, channels: int, input_shape: Any) -> NoReturn:
    raise ValueError(
        f"{op}: indices holds {index}; needs 0 to {channels - 1}, channels of input_shape {tuple(input_shape)}"
    )


def bad_columns(op: object, name: str, shape: Any) -> NoReturn:
    raise ValueError(f"{op}: {name} has shape {tuple(shape)}; needs 3 axes, (N, C * prod(kernel_size), positions)")


def bad_column_sizes(op: object, shape: Any, taps: int, positions: int, **facts: Any) -> NoReturn:
    raise ValueError(f"{op}: input has shape {tuple(shape)}; needs (N, C * {taps}, {positions}), as {_listed(facts)}")


def check_out(op: object, name: str, out: Any, shape: tuple[int, ...], dtype: Any, inputs: Iterable[Any]) -> None:
    """Returns only if `out` can be written to without harm."""
    dtype = np.dtype(dtype)
    try:
        array = np.ndarray.view(out, np.ndarray)  # what a subclass says of itself may not be so
    except TypeError:
        raise TypeError(f"{op}: {name} is {out!r}, a {type(out).__name__}; needs an ndarray of {dtype}") from None
    if array.dtype != dtype:
        raise TypeError(f"{op}: {name} has dtype {array.dtype}; needs {dtype}")
    if array.shape != shape:
        raise ValueError(f"{op}: {name} has shape {array.shape}; needs {shape}")
    if not array.flags.writeable:
        raise ValueError(f"{op}: {name} is read-only; needs a writeable array")
    if _overlaps_itself(array):
        raise ValueError(f"{op}: {name} has strides {array.strides}, elements that share memory; needs one place each")
    refuse_overlap(op, name, array, inputs)


def refuse_overlap(op: object, name: str, out: Any, inputs: Iterable[Any]) -> None:
    for array in inputs:
        if issubclass(type(array), np.ndarray) and np.may_share_memory(out, np.ndarray.view(array, np.ndarray)):
            raise ValueError(f"{op}: {name} shares memory with an operand; needs memory of its own")


def _overlaps_itself(array: np.ndarray[Any, Any]) -> bool:
    """Whether two elements may share memory: axes, by stride, must each step over all that lies below them."""
    if array.size == 0:
        return False
    extent = array.itemsize
    for stride, size in sorted((abs(stride), size) for stride, size in zip(array.strides, array.shape, strict=True)):
        if size > 1:
            if stride < extent:
                return True
            extent += stride * (size - 1)
    return False


def as_pair(op: object, out: Any) -> tuple[Any, Any]:
    if not isinstance(out, (tuple, list)) or len(out) != 2 or out[0] is None or out[1] is None:
        raise TypeError(f"{op}: out is a {type(out).__name__}; with return_indices needs a pair (values, indices)")
    return out[0], out[1]


# ---- geometry ----


def _listed(facts: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} has shape {value.shape}" if isinstance(value, np.ndarray) else f"{name} is {value!r}"
        for name, value in facts.items()
    )


def geometry(op: object, reason: str, memory: bool, **facts: Any) -> NoReturn:
    """What C refused, with all that it depends on."""
    if memory:
        raise MemoryError(f"{op}: no memory for scratch: {_listed(facts)}")
    raise ValueError(f"{op}: {reason}: {_listed(facts)}")


def told_as(op: object, error: MemoryError | ValueError) -> MemoryError | ValueError:
    """An error of a call that `op` is made of, in its name.

    What conv_backward is made of has had its arguments checked; what can still be told is no memory, or an algorithm
    that has no such gradient.
    """
    text = str(error).partition(": ")[2]  # nothing where Python or NumPy found no memory
    return (
        MemoryError(f"{op}: {text or 'no memory'}") if isinstance(error, MemoryError) else ValueError(f"{op}: {text}")
    )
