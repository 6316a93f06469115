"""Loads the C library, first of all modules, with OpenMP threads that go to sleep soon after a call.

libgomp reads its settings once, as it is loaded, and by default lets idle threads spin for milliseconds. Where other
processes or NumPy's own threads want the same cores, a spinning thread has used up its share when the next call needs
it: calls of 0.3 ms took 6 ms so. A thousand spins, libgomp's own choice for too many threads, cost 0.04 ms a call on an
idle machine. Whoever sets OMP_WAIT_POLICY or GOMP_SPINCOUNT is left alone, and the environment is as it was afterwards.

The library is a file of its own: one that was left behind by another installation is told apart by its ABI version. An
old NumPy is told by its number, before the module meets it. `_diagnosis` finds what else an import may fail for.
"""

import os
import sys
from contextlib import nullcontext

_NAMES = {"darwin": "libfastconv.dylib", "win32": "fastconv.dll"}
LIBRARY = os.path.join("lib", _NAMES.get(sys.platform, "libfastconv.so"))  # in the package
_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib")  # named to Windows, which knows no rpath

try:
    import numpy

    if tuple(map(int, numpy.__version__.split(".")[:2])) < (1, 26):
        raise ImportError(
            f"it needs NumPy >= 1.26, and this is {numpy.__version__} ({os.path.dirname(numpy.__file__)}): "
            "pip install --upgrade numpy"
        )
    with os.add_dll_directory(_FOLDER) if sys.platform == "win32" and os.path.isdir(_FOLDER) else nullcontext():
        if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
            from . import _core
        else:
            os.environ["GOMP_SPINCOUNT"] = "1000"
            try:
                from . import _core
            finally:
                del os.environ["GOMP_SPINCOUNT"]
except ImportError as error:
    from ._diagnosis import explain

    raise ImportError(explain(error)) from error

_header, _library = _core.abi_versions()
if _header != _library:
    raise ImportError(
        f"fastconv._core was compiled for ABI version {_header} of libfastconv, but the library it has found has "
        f"version {_library}: remove fastconv and install it again, so that both come from one build"
    )

__all__ = ["LIBRARY", "_core"]
