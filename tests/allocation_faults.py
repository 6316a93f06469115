"""Calls of which each allocation fails in turn, in a process of its own with c_inside/allocations.c preloaded.

    python allocation_faults.py library SHARE STEM...   libfastconv's allocations, in every SHARE-th case of these ops
    python allocation_faults.py plans                   those of plans, in Python and in C
    python allocation_faults.py numpy                   NumPy's: results, and what arguments are converted to
    python allocation_faults.py python                  Python's own, by its test hook
    python allocation_faults.py scratch SHARE           none fails: convolutions take what choose_algorithm tells
    python allocation_faults.py bounds SHARE            none fails: others take what docs/reliability.md says

A call whose allocation fails raises MemoryError, leaves `out` as it was, keeps nothing, and when it is called again
gives the bits of a call of which nothing fails. The last line tells how many calls and failures there were.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from cases import AVAILABLE, PASSES, Case, cases_of
from checking import operands_of, output_shape, spatial
from geometries import Adaptive, ChannelPool, Norm, Pad, Patches, Pool
from guard_pages import call_into, outs_for
from numpy.typing import NDArray
from tolerance import assert_identical
from views import sentinel

import fastconv

Array = NDArray[Any]

HOOK = ctypes.CDLL(None)
for name in ("bytes_held", "bytes_peak"):
    getattr(HOOK, name).restype = ctypes.c_size_t
SAID = re.compile("no memory|Unable to allocate|OUT_OF_MEMORY")
PAGE, HEADER, LINES = 4096, 64, 4096
"""Of scratch blocks: they are whole pages, and begin with their size; what is laid out in them begins new lines."""
ALLOCATIONS_WITHOUT_HARM = 20
"""So many in a row, and a call makes no more of them: some that fail are done without."""
totals = {"calls": 0, "failures": 0}


def watch(name: str) -> None:
    """Lets allocations fail that this library asks for."""
    assert HOOK.watch_library(name.encode()) > 0, f"{name} is not loaded"


def arrays_of(result: Any) -> list[Array]:
    if isinstance(result, dict):
        return list(result.values())
    return [array for array in (result if isinstance(result, tuple) else (result,)) if array is not None]


def check(name: str, result: Any, right: Sequence[Array]) -> None:
    for one, other in zip(arrays_of(result), right, strict=True):
        assert_identical(one, other, name)


def fail_each(
    name: str, run: Callable[[], Any], right: Sequence[Array], outs: Sequence[Array] = (), keeps: bool = False
) -> None:
    """Lets each allocation of a call fail that the watched library asks for: the first, the second, ... up to the last.

    `keeps`: whether what is called may hold memory of the library afterwards.
    """
    totals["calls"] += 1
    n, failed = 0, True
    while failed:
        n += 1
        fastconv.clear_scratch()
        for out in outs:
            out[...] = sentinel(out.dtype)
        result, told = None, None
        HOOK.fail_at(n)
        try:
            result = run()
        except MemoryError as error:
            told = f"{error}"  # the error itself would keep what the call held
        failed = HOOK.allocations_asked() >= n
        HOOK.fail_at(0)
        fastconv.clear_scratch()
        assert keeps or HOOK.bytes_held() == 0, f"{name}: {HOOK.bytes_held()} bytes are held after failure {n}"
        if failed:
            totals["failures"] += 1
            assert told is not None, f"{name}: allocation {n} failed and nobody said so"
            assert SAID.search(told), f"{name}: failure {n} is told as {told}"
            for out in outs:
                assert (out == sentinel(out.dtype)).all(), f"{name}: out was written in spite of failure {n}"
        else:
            assert told is None, f"{name}: {told}, but every allocation was given"
            check(name, result, right)


# ---- the library's


def cases(stems: Iterable[str], share: int) -> Iterator[Case]:
    """Every `share`-th case of these ops."""
    for stem in stems:
        yield from [case for case in cases_of(stem) if case.isa in AVAILABLE][::share]


def library(share: str, *stems: str) -> None:
    watch("libfastconv")
    for case in cases(stems, int(share)):
        operands = operands_of(case.geometry, case.dtype)
        outs = outs_for(case, call_into(case, operands))
        right = [array.copy() for array in call_into(case, operands, outs).values()]
        fail_each(str(case), partial(call_into, case, operands, outs), right, outs)


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64 * 5), ("stride", ctypes.c_int64 * 5)]


class Params(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *((name, ctypes.c_int64 * 3) for name in ("stride", "dilation")),
        ("padding", ctypes.c_int64 * 6),
        ("groups", ctypes.c_int64),
        ("flip", ctypes.c_int64),
    ]


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *((name, ctypes.c_int) for name in ("threads", "isa", "algorithm", "activation")),
        ("slope", ctypes.c_double),
        ("packed", ctypes.c_void_p),
    ]


def tensor_of(array: Array) -> Tensor:
    shape = (*array.shape[:2], 1, *array.shape[2:])
    strides = [stride // array.itemsize for stride in array.strides]
    return Tensor(array.ctypes.data, (ctypes.c_int64 * 5)(*shape), (ctypes.c_int64 * 5)(*strides[:2], 0, *strides[2:]))


class CPlan:
    """A plan by the C interface; FC_OUT_OF_MEMORY is raised as MemoryError."""

    def __init__(self, algorithm: int, weight: Array) -> None:
        self._library = ctypes.CDLL(fastconv.get_library())
        self._plan = ctypes.c_void_p(1)
        params = Params(ctypes.sizeof(Params), (1, 1, 1), (1, 1, 1), (0, 0, 1, 1, 1, 1), 1, 0)
        options = Options(ctypes.sizeof(Options), 1, -1, algorithm, 0, 0.0, None)
        arguments = map(ctypes.byref, (tensor_of(weight), params, options, self._plan))
        status = self._library.fc_conv_plan_create(int(weight.itemsize == 8), *arguments, None)
        assert (status == 0) == bool(self._plan.value), "a plan that was not made is NULL"
        self._check(status)

    def __call__(self, input: Array, out: Array) -> Array:
        arrays = ctypes.byref(tensor_of(input)), None, ctypes.byref(tensor_of(out))
        self._check(self._library.fc_conv_plan_run(self._plan, *arrays, None))
        return out

    def __del__(self) -> None:
        self._library.fc_conv_plan_free(self._plan)

    @staticmethod
    def _check(status: int) -> None:
        if status:
            raise {1: MemoryError("FC_OUT_OF_MEMORY")}.get(status, ValueError(f"status {status}"))


def plans() -> None:
    """Made anew for each failure; and made once, so that a plan must outlive the runs that found no memory."""
    watch("libfastconv")
    random = np.random.default_rng(0)
    for dtype, channels in product(("float32", "float64"), (4, 40)):
        x = random.standard_normal((2, channels, 13, 14)).astype(dtype)
        w = random.standard_normal((7, channels, 3, 3)).astype(dtype)
        for number, algorithm in enumerate(("auto", "exact", "direct", "im2col", "winograd")):
            right = fastconv.conv2d(x, w, padding=1, algorithm=algorithm)
            out = np.empty_like(right)
            name = f"plan, {dtype}, {channels} channels, {algorithm}"
            make = partial(fastconv.ConvPlan, w, padding=1, algorithm=algorithm)
            fail_each(name, lambda: make()(x, out), [right], [out])  # noqa: B023
            fail_each(f"C {name}", lambda: CPlan(number, w)(x, out), [right], [out])  # noqa: B023
            for plan in (make(), CPlan(number, w)):
                fail_each(f"{name}, kept", partial(plan, x, out), [right], [out], keeps=True)
            del plan
            assert HOOK.bytes_held() == 0, f"{name}: not all of it was freed"


# ---- NumPy's


def conversions() -> dict[str, Callable[[], Any]]:
    """Calls with results of a page or more, plain and through the side door; smaller ones NumPy takes from a cache."""
    random = np.random.default_rng(0)
    x, w, b = (random.standard_normal(shape).astype("f") for shape in ((1, 600, 6, 7), (600, 1, 3, 3), (600,)))
    half, whole, long, last = x.astype("e"), (9 * x).astype("i4"), (9 * x).astype("i8"), np.moveaxis(x, 1, -1)
    misaligned = np.frombuffer(b"." + x.tobytes(), "u1")[1:].view("f4").reshape(x.shape)
    half_w, wide_w, swapped = w.astype("e"), w.astype("d"), x.astype(">f4")
    g = fastconv.conv2d(x, w, b, padding=1, groups=600)
    half_g = g.astype("e")
    values, indices = fastconv.max_pool2d(x, 2, return_indices=True)
    narrow, listed, columns = indices.astype("i4"), x.tolist(), fastconv.im2col(x, 3)
    plan = fastconv.ConvPlan(w, b, padding=1, groups=600)
    depthwise: dict[str, Any] = {"padding": 1, "groups": 600}
    return {
        "conv2d": lambda: fastconv.conv2d(x, w, b, **depthwise),
        "conv2d, float16": lambda: fastconv.conv2d(half, half_w, **depthwise),
        "conv2d, mixed": lambda: fastconv.conv2d(x, wide_w, **depthwise),
        "conv2d, misaligned": lambda: fastconv.conv2d(misaligned, w, **depthwise),
        "conv2d, byte order": lambda: fastconv.conv2d(swapped, w, **depthwise),
        "conv2d, list": lambda: fastconv.conv2d(listed, w, **depthwise),
        "conv2d, channels last": lambda: fastconv.conv2d(last, w, layout="NHWC", **depthwise),
        "conv2d_grad_input": lambda: fastconv.conv2d_grad_input(g, w, x.shape, **depthwise),
        "conv2d_grad_weight": lambda: fastconv.conv2d_grad_weight(g, x, w.shape, **depthwise),
        "conv2d_backward": lambda: fastconv.conv2d_backward(g, x, w, **depthwise),
        "conv2d_backward, float16": lambda: fastconv.conv2d_backward(half_g, half, w, **depthwise),
        "conv_transpose2d": lambda: fastconv.conv_transpose2d(g, w, b, 1, 1, groups=600),
        "conv_transpose2d_backward": lambda: fastconv.conv_transpose2d_backward(x, g, w, 1, 1, groups=600),
        "max_pool2d": lambda: fastconv.max_pool2d(x, 2, return_indices=True),
        "max_pool2d, int32": lambda: fastconv.max_pool2d(whole, 2, return_indices=True),
        "max_pool2d, int64": lambda: fastconv.max_pool2d(long, 2, return_indices=True),
        "max_pool2d_backward": lambda: fastconv.max_pool2d_backward(values, indices, x.shape),
        "max_pool2d_backward, int32": lambda: fastconv.max_pool2d_backward(values, narrow, x.shape),
        "avg_pool2d": lambda: fastconv.avg_pool2d(whole, 2),
        "avg_pool2d_backward": lambda: fastconv.avg_pool2d_backward(values, x.shape, 2),
        "adaptive_avg_pool2d": lambda: fastconv.adaptive_avg_pool2d(x, 4),
        "adaptive_max_pool2d, int64": lambda: fastconv.adaptive_max_pool2d(long, 4, True),
        "channel_max_pool": lambda: fastconv.channel_max_pool(whole, 2, True),
        "local_response_norm": lambda: fastconv.local_response_norm(half, 3),
        "local_response_norm_backward": lambda: fastconv.local_response_norm_backward(x, x, 3),
        "im2col": lambda: fastconv.im2col(long, 3),
        "col2im": lambda: fastconv.col2im(columns, (6, 7), 3),
        "pad": lambda: fastconv.pad(whole, 3, "reflect"),
        "pad_backward": lambda: fastconv.pad_backward(x, 1),
        "ConvPlan": lambda: fastconv.ConvPlan(w, b, padding=1, groups=600)(x),
        "ConvPlan, kept": lambda: plan(x),
    }


def numpy() -> None:
    watch("_multiarray_umath")
    for name, run in conversions().items():
        fail_each(name, run, arrays_of(run()))


# ---- Python's


BEYOND_US = ("conv2d, list", "max_pool2d, int64", "adaptive_max_pool2d, int64")
"""A list takes an allocation for each element, and np.unique ends in a SystemError where Python finds no memory."""


def python() -> None:
    """Fails one allocation of Python's after the other, until a call has made no more; and from one on, all."""
    import _testcapi

    for name, run in conversions().items():
        if name in BEYOND_US:
            continue
        right = arrays_of(run())
        for step in (1, 0):
            totals["calls"] += 1
            n = unharmed = 0
            while unharmed < ALLOCATIONS_WITHOUT_HARM:
                n += 1
                result = None
                _testcapi.set_nomemory(n, n + 1 if step else 0)
                try:
                    result = run()
                except MemoryError:
                    unharmed = -1
                except RuntimeError as error:  # as which threading.Lock tells it
                    if "allocate lock" not in str(error):
                        raise
                    unharmed = -1
                finally:
                    _testcapi.remove_mem_hooks()
                unharmed += 1
                if result is None:
                    totals["failures"] += 1
                else:
                    check(f"{name}, failure {n}", result, right)
            check(name, run(), right)


# ---- what calls take


def in_pages(scratch_bytes: int) -> int:
    return -(-(scratch_bytes + HEADER) // PAGE) * PAGE


def bytes_taken(case: Case, operands: dict[str, Any]) -> int:
    fastconv.clear_scratch()
    HOOK.fail_at(0)
    call_into(case, operands)
    return int(HOOK.bytes_peak())


def promised(case: Case, shape: Sequence[int], *pass_names: str) -> int:
    """What choose_algorithm tells, of the pass that takes most."""
    geometry = case.geometry
    with fastconv.runtime._force_isa(case.isa):
        return max(
            fastconv.choose_algorithm(
                shape,
                geometry.weight_shape,
                geometry.stride,
                geometry.padding,
                geometry.dilation,
                geometry.groups,
                dtype=case.dtype,
                layout=geometry.layout,
                algorithm=case.algorithm,
                pass_name=pass_name,
            ).scratch_bytes
            for pass_name in pass_names
        )


def is_plain(geometry: Any) -> bool:
    """Choices depend on strides, which choose_algorithm takes to be those of dense arrays."""
    return {geometry.view, geometry.weight_view, geometry.out or "plain"} == {"plain"}


def scratch(share: str) -> None:
    """The block that a convolution takes is as large as choose_algorithm says, in whole pages; or it takes none.

    A transposed one is the gradient of a convolution, and its gradients are that convolution's other passes.
    """
    watch("libfastconv")
    totals["exactly"] = 0
    for case in cases(["conv", "conv_transpose"], int(share)):
        geometry = case.geometry
        if case.dtype == "float16" or not is_plain(geometry) or geometry.batch == 0:
            continue
        operands = operands_of(geometry, case.dtype) | {"bias": None}
        shape = (1, *geometry.input_shape) if geometry.unbatched else geometry.input_shape
        passes = [case.pass_name]
        if geometry.stem == "conv":
            if case.pass_name == "backward" or geometry.flip:
                continue
        else:
            forwards, sizes = shape, operands["grad_output"].shape
            shape = (1, *sizes) if geometry.unbatched else sizes
            passes = ["grad_input"] if case.pass_name == "forward" else ["forward", "grad_weight"]
            options = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups, geometry.layout)
            if isinstance(geometry.padding, str) or output_of(shape, geometry.weight_shape, options) != forwards:
                continue  # what is padded in the output is no part of that convolution
        told = promised(case, shape, *passes)
        taken, most = bytes_taken(case, operands), in_pages(told)
        assert taken <= most, f"{case}: {taken} bytes were taken, {told} promised"
        totals["calls"] += 1
        totals["exactly"] += taken == most or taken == told == 0


def output_of(shape: Sequence[int], weight_shape: Sequence[int], options: tuple[Any, ...]) -> tuple[int, ...]:
    """Shape of a convolution."""
    *window, layout = options
    return fastconv.conv(np.zeros(shape), np.zeros(weight_shape), None, *window, layout=layout).shape


OTHERS = [stem for stem in PASSES if not stem.startswith("conv")]
LARGE = (
    *(
        Pool(op=op, sizes=(200, 301), channels=40, kernel=3, stride=2, padding=1, last=last, values="normal")
        for op in ("max_pool", "avg_pool")
        for last in (False, True)
    ),
    *(
        Adaptive(op=op, sizes=(200, 301), channels=40, output_size=(37, 41), last=last, values="normal")
        for op in ("adaptive_max_pool", "adaptive_avg_pool")
        for last in (False, True)
    ),
    *(
        Pool(op=op, sizes=sizes, channels=16, kernel=kernel, stride=2, padding=padding, last=last, values="normal")
        for op in ("max_pool", "avg_pool")
        for sizes in ((70000,), (2, 30000))
        for kernel, padding in ((2, 0), (3, 1))
        for last in (False, True)
    ),
    *(
        Adaptive(op=op, sizes=(70000,), channels=40, output_size=outputs, last=last, values="normal")
        for op in ("adaptive_max_pool", "adaptive_avg_pool")
        for outputs in (7, 23000)
        for last in (False, True)
    ),
    Pool(op="avg_pool", sizes=(30, 30, 31), channels=40, kernel=7, stride=3, values="normal", view="strided"),
    *(Norm(sizes=(120, 130), channels=60, last=last) for last in (False, True)),
    *(ChannelPool(sizes=(120, 130), channels=60, last=last, values="normal") for last in (False, True)),
    Patches(sizes=(120, 130), channels=20),
    Pad(sizes=(200, 301), channels=30, padding=9, mode="reflect"),
)
"""Arrays of some megabytes, some of one long row, beside which the scratch must be small."""


def most_taken(case: Case) -> int:
    """docs/reliability.md: bytes of each thread, and of all."""
    geometry, item = case.geometry, np.dtype(case.dtype).itemsize
    size, out = (spatial(geometry, shape) for shape in (geometry.input_shape, output_shape(geometry)))
    if geometry.stem == "patches":
        return 0
    if geometry.stem == "pad":
        return LINES + 8 * sum(out)
    if geometry.stem in ("channel_max_pool", "local_response_norm"):
        return fastconv.get_num_threads() * max(192 << 10, 1280 * geometry.channels + 256) + LINES
    images = geometry.batch * geometry.channels
    line = spans = 0
    if geometry.stem.startswith("adaptive"):
        line, spans = max(256, item) * (size[-1] + 64), 16 * max(size[-1], out[-1])
    return fastconv.get_num_threads() * ((512 << 10) + math.prod(size) * item + line) + images + spans + LINES


def bounds(share: str) -> None:
    """What the others take at most: of the table of cases, and of arrays of megabytes, on one thread and on three."""
    watch("libfastconv")
    large = [
        Case(geometry, pass_name, dtype, AVAILABLE[-1])
        for geometry, dtype in product(LARGE, ("float32", "float64"))
        for pass_name in PASSES[geometry.stem]
    ]
    for case, threads in product((*cases(OTHERS, int(share)), *large), (1, 3)):
        if case.dtype not in ("float32", "float64"):
            continue
        with fastconv.num_threads(threads):
            taken, most = bytes_taken(case, operands_of(case.geometry, case.dtype)), most_taken(case)
        assert taken <= in_pages(most) or taken == 0, f"{case}: {taken} bytes were taken, {most} promised"
        totals["calls"] += 1


# ---- main


def main(what: str, *arguments: str) -> None:
    faulthandler.enable()
    {"library": library, "plans": plans, "numpy": numpy, "python": python, "scratch": scratch, "bounds": bounds}[what](
        *arguments
    )
    print(json.dumps(totals))


if __name__ == "__main__":
    main(*sys.argv[1:])
