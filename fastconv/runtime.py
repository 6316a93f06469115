"""How calls run: threads, options of one thread or task, instruction sets, and what was found on this machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import numpy as np

from . import _core
from ._load import LIBRARY
from ._processors import default_threads
from ._version import __version__

__all__ = [
    "clear_scratch",
    "config",
    "get_include",
    "get_library",
    "get_num_threads",
    "instruction_sets",
    "num_threads",
    "options",
    "set_num_threads",
    "show_config",
]

_MOST_THREADS = 4096
_DEFAULTS = (0, -1, "auto", False)  # what `_core.options` stands for when it holds None
_Policy = Literal["auto", "exact", "direct", "im2col", "winograd", "depthwise"]


def _checked_threads(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is {value!r}; needs an int >= 1")
    if not 1 <= (threads := value.__index__()) <= _MOST_THREADS:
        raise ValueError(f"{name} is {value!r}; needs an int from 1 to {_MOST_THREADS}")
    return threads


def set_num_threads(num_threads: int) -> None:
    """Set how many threads a call may use, for the whole process.

    Parameters
    ----------
    num_threads : int
        At least 1. Results have the same bits for every number.

    Raises
    ------
    TypeError, ValueError
        If it is not an int of at least 1.

    See Also
    --------
    num_threads : The same for the calls of one thread or task, in a `with` block.
    """
    _core.set_num_threads(_checked_threads("num_threads", num_threads))


def clear_scratch() -> None:
    """Free the memory kept between calls.

    A call takes its working memory, which `choose_algorithm` tells, from a pool of the process and gives it back; the
    pool keeps at most 16 blocks of at most 256 MiB in all, for fresh pages would cost more than the work of a small
    layer. Calls that run in other threads are not disturbed.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.clear_scratch()
    """
    _core.clear_scratch()


def get_num_threads() -> int:
    """Return how many threads a call made here may use.

    Returns
    -------
    int
        That of the innermost `num_threads` block, else that of the process; 1 in a library built without OpenMP.
    """
    if not _core.has_openmp():
        return 1
    held = _core.options.get()
    return (held and held[0]) or _core.get_num_threads()


@contextmanager
def _held(
    threads: int | None = None,
    isa: int | None = None,
    algorithm: str | None = None,
    flush_denormal: bool | None = None,
) -> Iterator[None]:
    now = _core.options.get() or _DEFAULTS
    asked = (threads, isa, algorithm, flush_denormal)
    new = tuple(old if value is None else value for old, value in zip(now, asked, strict=True))
    token = _core.options.set(new)
    try:
        yield
    finally:
        _core.options.reset(token)


def num_threads(num_threads: int) -> Any:
    """Bound the threads of all calls inside a `with` block, for this thread or task alone.

    Threads started inside of it are bound too where they inherit the context of the one that starts them, as in
    free-threaded Python (`sys.flags.thread_inherit_context`).

    Parameters
    ----------
    num_threads : int
        At least 1.

    Returns
    -------
    context manager

    Raises
    ------
    TypeError, ValueError
        If it is not an int of at least 1.

    Examples
    --------
    >>> import fastconv
    >>> with fastconv.num_threads(1):
    ...     fastconv.get_num_threads()
    1
    """
    return _held(threads=_checked_threads("num_threads", num_threads))


def options(*, algorithm: _Policy | None = None, flush_denormal: bool | None = None) -> Any:
    """Choose for all calls inside a `with` block, for this thread or task alone. None: as outside of it.

    Parameters
    ----------
    algorithm : {"auto", "exact", "direct", "im2col", "winograd", "depthwise"}, optional
        Used by the convolutions that are called with ``algorithm="auto"``.
    flush_denormal : bool, optional
        Take subnormal numbers, those below 1.2e-38 in float32 and 2.2e-308 in float64, for zeros in what is computed:
        many CPUs take a hundred cycles for each. What only chooses or moves elements returns them as they are, and
        compares them as zeros. All threads of a call do, and are as before when it returns;
        what runs beside fastconv's calls, NumPy too, is not touched. Without an effect where the CPU cannot: anywhere
        but on x86-64 and aarch64.

    Returns
    -------
    context manager

    Raises
    ------
    ValueError, TypeError
        If there is no such algorithm, or `flush_denormal` is not a bool.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> with fastconv.options(algorithm="exact"):
    ...     fastconv.conv1d(np.ones((1, 1, 4)), np.ones((1, 1, 3)))
    array([[[3., 3.]]])
    """
    if algorithm is not None and algorithm not in get_args(_Policy):
        raise ValueError(f"options: algorithm is {algorithm!r}; needs one of {', '.join(get_args(_Policy))}")
    if flush_denormal is not None and not isinstance(flush_denormal, (bool, np.bool_)):
        raise TypeError(f"options: flush_denormal is {flush_denormal!r}; needs a bool")
    return _held(algorithm=algorithm, flush_denormal=None if flush_denormal is None else bool(flush_denormal))


def instruction_sets() -> tuple[str, ...]:
    """Return the names of the instruction sets usable here, lowest first."""
    return tuple(_core.isa_names())


def _force_isa(name: str) -> Any:
    """Run the calls inside a `with` block on one instruction set: for tests and measurements."""
    return _held(isa=_core.isa_index(name))


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.lower().startswith(("model name", "hardware")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def config() -> dict[str, str]:
    """Return what was detected and chosen, by name."""
    built = _core.isa_compiled()
    usable = instruction_sets()
    return {
        "fastconv": __version__,
        "CPU": f"{_cpu_model()} ({platform.machine()}, {os.cpu_count()} cores)",
        "CPU features": " ".join(_core.cpu_features()),
        "instruction set": f"{_core.get_isa()} (usable: {', '.join(usable)}; built: {', '.join(built)})",
        "threads": str(get_num_threads()),
        "OpenMP": "yes" if _core.has_openmp() else "no: calls run on one thread",
        "NumPy": np.__version__,
        "Python": platform.python_version(),
    }


def show_config() -> None:
    """Print what was detected and chosen: CPU, instruction set, threads, OpenMP, versions."""
    found = config()
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")


_PACKAGE = os.path.dirname(os.path.abspath(__file__))


def get_include() -> str:
    """Return the folder of ``fastconv.h``, the C interface.

    Returns
    -------
    str
        To be given to a C compiler with ``-I``. Cython finds the same by ``from fastconv._core cimport``.

    See Also
    --------
    get_library : What to link to.

    Examples
    --------
    >>> import os, fastconv
    >>> os.listdir(fastconv.get_include())
    ['fastconv.h']
    """
    return os.path.join(_PACKAGE, "include")


def get_library() -> str:
    """Return the path of the shared library that holds the kernels and exports what ``fastconv.h`` declares.

    Returns
    -------
    str
        To be linked to, or opened by `ctypes.CDLL`. It is free of Python, and the one this package itself runs on.

    See Also
    --------
    get_include : Its header.

    Notes
    -----
    `docs/c_api.md` shows how to use it from C, CMake, Cython, ctypes and numba.

    Examples
    --------
    >>> import ctypes, fastconv
    >>> library = ctypes.CDLL(fastconv.get_library())
    >>> library.fc_abi_version()
    1
    """
    return os.path.join(_PACKAGE, LIBRARY)


def _start() -> None:
    """Take FASTCONV_ISA and the number of threads from the environment."""
    isa = os.environ.get("FASTCONV_ISA")
    if isa:
        if isa not in instruction_sets():
            raise ValueError(f"FASTCONV_ISA is {isa!r}; this machine can run {', '.join(instruction_sets())}")
        _core.set_isa(isa)
    own = os.environ.get("FASTCONV_NUM_THREADS")
    if own:
        if not own.strip().isdecimal() or len(own) > 1000:  # Python reads but some thousand digits
            raise ValueError(f"FASTCONV_NUM_THREADS is {own!r}; needs an int from 1 to {_MOST_THREADS}")
        _core.set_num_threads(_checked_threads("FASTCONV_NUM_THREADS", int(own)))
        return
    _core.set_default_threads(default_threads(_MOST_THREADS))


_start()
