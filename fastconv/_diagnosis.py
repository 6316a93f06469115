"""Why fastconv's compiled parts could not be loaded, and what helps: looked for only once an import has failed.

The loader's own words name a file at best ("cannot open shared object file", even where it is there but made for
another machine), so the files are looked at first, and then the words.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import EXTENSION_SUFFIXES

from ._load import LIBRARY  # set before that module imports this one

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_AGAIN = "remove fastconv and install it again, so that all its files come from one build"
_MACHINES = {3: "i386", 40: "arm", 62: "x86-64", 183: "aarch64", 243: "riscv", 21: "ppc64", 22: "s390x"}

# What the loader says, and what it means; {0}, {1} are the groups of the pattern. The first that fits is told.
_WORDS = [
    (
        r"(libc\.musl\S*): cannot open shared object file",
        "this build is for musl (Alpine Linux), and here is another C library: install the wheel for this system, or "
        "build it here",
    ),
    (
        r"(lib(?:gomp|omp)\.so[.\d]*): cannot open shared object file",
        "{0}, the run time library of OpenMP, is missing: install it (Debian: apt install libgomp1; Fedora: dnf "
        "install libgomp; Alpine: apk add libgomp), or a wheel, which brings its own, or build with FASTCONV_OPENMP=0",
    ),
    (
        r"(ld-linux\S*|libc\.so\.6): cannot open shared object file",
        "this build is for glibc, and here is another C library, such as musl (Alpine Linux): install the wheel for "
        "this system, or build it here",
    ),
    (r"(\S+\.so[.\d]*): cannot open shared object file", "the library {0} is missing: " + _AGAIN),
    (
        r"version `(GLIBC_[\d.]+)' not found",
        "this build needs a newer C library ({0}) than there is here: install a wheel for this system, or build it "
        "here by pip install --no-binary fastconv fastconv",
    ),
    (
        r"(?:undefined symbol: |Error relocating \S+: )(fc_\w+)",
        "the library lacks {0}, so it is of another version than fastconv._core: " + _AGAIN,
    ),
    (
        r"DLL load failed while importing",
        "a DLL is missing or does not fit: install Microsoft's Visual C++ Redistributable (winget install "
        "Microsoft.VCRedist.2015+.x64), or " + _AGAIN,
    ),
]


def explain(error: ImportError) -> str:
    """Return what to tell in place of `error`, which loading `fastconv._core` has raised."""
    return f"fastconv cannot be imported: {_numpy(error) or _files() or _words(str(error)) or error}"


def _numpy(error: ImportError) -> str | None:
    if error.name == "numpy":
        return "it needs NumPy, which is not installed: pip install numpy"
    if "multiarray failed to import" not in str(error):
        return None
    import numpy

    return (
        f"the C interface of NumPy {numpy.__version__} ({os.path.dirname(numpy.__file__)}) is not one that this build "
        f"can use: install a fastconv made for it, or another NumPy >= 1.26. NumPy says: {error.__context__ or error}"
    )


def _files() -> str | None:
    """Return what is wrong with the files of the package, if anything is."""
    modules = [name for name in sorted(os.listdir(_PACKAGE)) if name.startswith("_core.") and _is_binary(name)]
    loadable = [f"_core{suffix}" for suffix in EXTENSION_SUFFIXES]
    found = [name for name in loadable if name in modules]
    if not modules:
        return (
            f"{_PACKAGE} has no compiled module. If it is the source tree, build it by `pip install -e .`, or leave "
            "its folder to import an installed fastconv"
        )
    if not found:
        return f"it was built for another Python or machine ({', '.join(modules)}): this one loads {loadable[0]}"
    if not os.path.exists(os.path.join(_PACKAGE, LIBRARY)):
        return f"{LIBRARY} is missing in {_PACKAGE}: {_AGAIN}"
    own = _machine(sys.executable)
    for name in (found[0], LIBRARY):
        made_for = _machine(os.path.join(_PACKAGE, name))
        if own and made_for != own:
            return f"{name} is made for {made_for or 'no machine, or damaged'}, this Python for {own}: {_AGAIN}"
    return None


def _is_binary(name: str) -> bool:
    return name.endswith((".so", ".pyd"))


def _machine(path: str) -> str | None:
    """Return which processor an ELF file is for, by its header; None of any other file."""
    try:
        with open(path, "rb") as file:
            header = file.read(20)
    except OSError:
        return None
    if header[:4] != b"\x7fELF" or len(header) < 20:
        return None
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    return f"{_MACHINES.get(number, f'machine {number}')} ({32 * header[4]} bits)"


def _words(told: str) -> str | None:
    # musl's loader says the same in another order.
    said = re.sub(r"Error loading shared library ([^\s:]+): .*", r"\1: cannot open shared object file", told)
    for pattern, meaning in _WORDS:
        if match := re.search(pattern, said):
            return f"{meaning.format(*match.groups())}. The loader says: {told}"
    return None
