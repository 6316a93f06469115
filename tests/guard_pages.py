"""The table of cases on arrays that touch a page which nobody may read or write, in a process of its own.

    python guard_pages.py cases PROGRESS TRACER SHARE STEM...   every SHARE-th geometry of these ops
    python guard_pages.py touch SIDE OFFSET                     reads so many elements outside of an array

Each case runs twice: with arrays whose last byte is the last one before such a page, and with arrays whose first byte
is the first one after it. Whoever steps outside is killed; the file PROGRESS then holds the case. Results must be those
of arrays that lie anywhere, to the bit. The last line tells how many calls ran, and which kernels were entered, if
TRACER is c_inside/entered.c, compiled, and not "-".
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import mmap
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from cases import AVAILABLE, DTYPES, Case, cases_of
from checking import call, operands_of
from numpy.typing import NDArray
from tolerance import assert_identical
from views import empty_view, sentinel

import fastconv

Array = NDArray[Any]

ROOM = 64 << 20  # address space; only what arrays take becomes memory
SIDES = ("end", "begin")
WITHOUT_OUT = {("conv", "backward"), ("conv_transpose", "backward")}
"""Passes that return several gradients, in arrays of their own."""


class Room:
    """Memory between two pages that may be neither read nor written."""

    def __init__(self) -> None:
        page = mmap.PAGESIZE
        self._memory = mmap.mmap(-1, ROOM + 2 * page)
        start = np.frombuffer(self._memory, np.uint8).ctypes.data
        libc = ctypes.CDLL(None, use_errno=True)
        for guard in (start, start + page + ROOM):
            if libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")

    def copy(self, array: Array, side: str) -> Array:
        """The array's elements with its strides; of these the lowest begins the room, or the highest ends it."""
        steps = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
        below = -sum(step for step in steps if step < 0) if array.size else 0
        above = sum(step for step in steps if step > 0) + array.itemsize if array.size else 0
        offset = below if side == "begin" else ROOM - above
        view: Array = np.ndarray(array.shape, array.dtype, self._memory, mmap.PAGESIZE + offset, array.strides)
        if 0 not in array.strides:
            view[...] = array
        elif array.size:  # broadcast: what is repeated is written once
            first = tuple(slice(0, 1 if stride == 0 else None) for stride in array.strides)
            view[first] = array[first]
        return view


class Rooms(dict[str, Room]):
    def __missing__(self, name: str) -> Room:
        return self.setdefault(name, Room())


def outs_for(case: Case, results: Mapping[str, Array]) -> list[Array]:
    """Arrays full of the sentinel for results like these, in the memory the case asks for; none for some passes."""
    if (case.geometry.stem, case.pass_name) in WITHOUT_OUT:
        return []
    kind = case.geometry.out or "plain"
    return [empty_view(array.shape, array.dtype, kind)[1] for array in results.values()]


def call_into(case: Case, operands: Mapping[str, Any], outs: Sequence[Array] = ()) -> dict[str, Array]:
    """The call of a case, on any operands, with results in `outs` if there are some."""
    options: dict[str, Any] = {"algorithm": case.algorithm} if case.algorithm else {}
    if outs:
        options["out"] = tuple(outs) if len(outs) > 1 else outs[0]
    with fastconv.runtime._force_isa(case.isa):
        results = call(fastconv, case.geometry, case.pass_name, operands, **options)
    return {name: array for name, array in results.items() if array is not None}


def run(case: Case, side: str, rooms: Rooms) -> None:
    operands = operands_of(case.geometry, case.dtype)
    outs = outs_for(case, call_into(case, operands))
    anywhere = call_into(case, operands, outs)
    inside = {name: None if array is None else rooms[name].copy(array, side) for name, array in operands.items()}
    targets = [rooms[f"out {i}"].copy(out, side) for i, out in enumerate(outs)]
    for target in targets:
        target[...] = sentinel(target.dtype)
    here = call_into(case, inside, targets)
    for name, array in anywhere.items():
        assert_identical(here[name], array, f"{case}, {side}: {name}")


# ---- which kernels ran

KERNEL = re.compile(r"fc_(?P<kernel>\w+)_(?P<dtype>f32|f64)_(?P<isa>[a-z0-9]+)")


class Entered:
    """The library's functions for one dtype and one usable instruction set, and which of them have been entered."""

    def __init__(self, path: str) -> None:
        self._tracer = ctypes.CDLL(path)
        library = ctypes.CDLL(fastconv.get_library())
        symbols = subprocess.run(
            ["nm", "--defined-only", fastconv.get_library()], capture_output=True, text=True, check=True
        ).stdout
        places = {name: int(place, 16) for place, kind, name in map(str.split, symbols.splitlines()) if kind in "tT"}
        begin = ctypes.cast(library.fc_abi_version, ctypes.c_void_p).value - places["fc_abi_version"]
        self._names = sorted((name for name in places if is_kernel(name)), key=places.__getitem__)
        addresses = [begin + places[name] for name in self._names]
        if not self._tracer.watch((ctypes.c_void_p * len(addresses))(*addresses), ctypes.c_long(len(addresses))):
            raise OSError("the library's pages cannot be written")

    def names(self) -> dict[str, bool]:
        return {name: bool(self._tracer.entered(ctypes.c_long(i))) for i, name in enumerate(self._names)}


def is_kernel(name: str) -> bool:
    found = KERNEL.fullmatch(name)
    return found is not None and found["isa"] in AVAILABLE


# ---- main


def run_cases(progress: str, tracer: str, share: str, *stems: str) -> dict[str, Any]:
    entered = None if tracer == "-" else Entered(tracer)
    rooms = Rooms()
    calls = 0
    with open(progress, "wb", buffering=0) as file, fastconv.num_threads(2):
        for stem in stems:
            cases = [case for case in cases_of(stem) if case.isa in AVAILABLE and case.dtype in DTYPES]
            kept = set(list(dict.fromkeys(case.geometry for case in cases))[:: int(share)])
            for case, side in product((case for case in cases if case.geometry in kept), SIDES):
                file.seek(0)
                file.write(f"{case}, {side}".encode().ljust(400))
                run(case, side, rooms)
                calls += 1
    return {"calls": calls, "entered": entered.names() if entered else {}}


def touch(side: str, offset: str) -> int:
    array = Room().copy(np.zeros(5), side)
    edge = array[-1:] if side == "end" else array
    return int(ctypes.c_double.from_address(edge.ctypes.data + int(offset) * edge.itemsize).value)


if __name__ == "__main__":
    faulthandler.enable()
    what, *arguments = sys.argv[1:]
    print(json.dumps({"cases": run_cases, "touch": touch}[what](*arguments)))
