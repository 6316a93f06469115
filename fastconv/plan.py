"""Convolutions prepared once: ``ConvPlan`` keeps weights packed; ``choose_algorithm`` tells what a call would run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from . import _coerce, _core
from ._types import Activation, Algorithm, Array, ArrayLike, Int, Ints, Layout, Padding

__all__ = ["Choice", "ConvPlan", "choose_algorithm"]


_OPTIONS = ("stride", "padding", "dilation", "groups", "layout", "activation", "algorithm")


class ConvPlan:
    """A convolution whose weights are packed once and used for many inputs.

    Parameters
    ----------
    weight : array_like, shape (K, C / groups, *kernel)
        The filters, copied: later changes to the array do not reach the plan. One to three spatial axes.
    bias : array_like, shape (K,), optional
        Copied as well.
    stride, padding, dilation, groups, layout, activation, algorithm
        As in `conv`.
    input_shape : sequence of int, optional
        Shape of the inputs to come, (N, C, *spatial) or (C, *spatial) in the axis order of `layout`: the algorithm is
        chosen and the weights are packed now instead of at the first call. Other shapes may still be given.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As in `conv`; what depends on the input is told when there is one.

    See Also
    --------
    conv : the same without a plan.

    Notes
    -----
    A call computes the same bits as `conv` with the same arguments. Weights are packed at most once for each algorithm
    that is met, under a lock, and the last two packings are kept. Plans cannot be changed, and may be shared by
    threads. Pickles hold the weights as they were given, and pack again. Weights that are not float32 or float64, or
    inputs of another type than the weights', are converted at every call and gain nothing.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> plan = fastconv.ConvPlan(np.ones((4, 3, 3, 3), np.float32), padding=1, activation="relu")
    >>> plan(np.ones((2, 3, 8, 8), np.float32)).shape
    (2, 4, 8, 8)
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: Int = 1,
        *,
        input_shape: Sequence[Int] | None = None,
        layout: Layout | None = None,
        activation: Activation | None = None,
        algorithm: Algorithm = "auto",
    ) -> None:
        self.weight = _frozen("weight", weight)
        self.bias = None if bias is None else _frozen("bias", bias)
        if not 3 <= self.weight.ndim <= 5:
            raise ValueError(f"ConvPlan: weight has shape {self.weight.shape}; needs (out, in / groups, *kernel)")
        self.stride, self.padding, self.dilation = map(_as_tuple, (stride, padding, dilation))
        self.groups, self.layout, self.activation, self.algorithm = groups, layout, _as_tuple(activation), algorithm
        _core.check_plan(self.weight, self.bias, *self._options(), input_shape)
        self._packs = _core.PackedWeights(threading.Lock())
        if input_shape is not None:
            # One zero, broadcast: the call reads shapes, packs, and computes one item of nothing.
            shape = tuple(input_shape)
            batched = len(shape) == self.weight.ndim
            with _coerce.memory_for("ConvPlan", f"an input of shape {shape}"):
                empty = np.zeros((0, *shape[1:]) if batched else (0, *shape), self.weight.dtype)
            self._call(empty, None)

    def __call__(self, input: ArrayLike, out: Array | None = None) -> Array:
        """Convolve.

        Parameters
        ----------
        input : array_like, shape (N, C, *spatial) or (C, *spatial)
            In the axis order of `layout`.
        out : ndarray, optional
            Where to put the result, as in `conv`.

        Returns
        -------
        ndarray, shape (N, K, *output) or (K, *output)
        """
        return self._call(input, out)

    def _call(self, input: Any, out: Array | None) -> Array:
        return _core.conv(
            self.weight.ndim - 2,
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.layout,
            False,
            self.activation,
            self.algorithm,
            out,
            self._packs,
        )

    def _options(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _OPTIONS)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, "_packs"):
            raise AttributeError(f"ConvPlan: {name} cannot be set: weights are packed for what the plan was made with")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"ConvPlan: {name} cannot be deleted: a plan stays as it was made")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_packs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # whatever a pickle holds is checked, and weights are copied

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in zip(_OPTIONS, self._options(), strict=True))
        return f"ConvPlan(weight {self.weight.shape} {self.weight.dtype}, {told})"


def _as_tuple(value: Any) -> Any:
    """What a caller may change later, lists of ints above all, as it is now."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(_as_tuple, value)) if isinstance(value, (tuple, list)) else value


def _frozen(name: str, array: Any) -> Array:
    given = _coerce.as_array("ConvPlan", name, array)
    with _coerce.memory_for("ConvPlan", f"a copy of {name}, shape {given.shape}"):
        copy = np.array(given, order="C", copy=True)
    copy.flags.writeable = False
    return copy


class Choice(NamedTuple):
    """What a convolution would run, and what that takes.

    Attributes
    ----------
    algorithm : str
        Never a policy. A gradient with a stride falls into several problems; this is what the largest of them runs.
    reason : str
        Why, with the estimates that were compared.
    flops : int
        Floating point operations, two a multiply-add. Multiplications by padding are not done and not counted.
    bytes_moved : int
        Input, weights and output once each: what cannot be avoided.
    scratch_bytes : int
        Memory that the call takes beside its arrays, with the threads it may use here. A bias is not looked at; a copy
        of it is the most that is added.
    """

    algorithm: str
    reason: str
    flops: int
    bytes_moved: int
    scratch_bytes: int


def choose_algorithm(
    input_shape: Sequence[Int],
    weight_shape: Sequence[Int],
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: Int = 1,
    *,
    dtype: DTypeLike = "float32",
    layout: Layout | None = None,
    algorithm: Algorithm = "auto",
    pass_name: Literal["forward", "grad_input", "grad_weight"] = "forward",
) -> Choice:
    """Tell which algorithm a convolution would run and what it would take, without running it.

    Parameters
    ----------
    input_shape : sequence of int, (N, C, *spatial)
        In the axis order of `layout`.
    weight_shape : sequence of int, (K, C / groups, *kernel)
        Of the filters.
    stride, padding, dilation, groups, layout, algorithm
        As in `conv`.
    dtype : {"float32", "float64"}
        What is computed in.
    pass_name : {"forward", "grad_input", "grad_weight"}
        Of `conv`, `conv_grad_input` or `conv_grad_weight`.

    Returns
    -------
    Choice

    Raises
    ------
    ValueError, TypeError
        As in `conv`.

    Examples
    --------
    >>> import fastconv
    >>> choice = fastconv.choose_algorithm((1, 64, 56, 56), (64, 64, 3, 3), algorithm="direct")
    >>> choice.algorithm, choice.flops
    ('direct', 214990848)
    """
    name, costs, multiply_adds, bytes_moved, scratch_bytes = _core.choose_algorithm(
        input_shape, weight_shape, stride, padding, dilation, groups, dtype, layout, algorithm, pass_name
    )
    told = ", ".join(f"{one} {cost:.3g}" for one, cost in sorted(costs.items(), key=lambda item: item[1]) if cost > 0)
    if algorithm == name:
        reason = f"asked for; estimated vector multiply-adds of one image: {told}"
    else:
        reason = f"least estimated vector multiply-adds of one image: {told}"
    return Choice(name, reason, 2 * multiply_adds, bytes_moved, scratch_bytes)
