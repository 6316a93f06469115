"""Installations gone wrong: each says what is wrong and what to do.

Compilers are small scripts before the real one, and refuse the sources: what the build says about a compiler, it says
before it compiles them. Broken installations are copies of the one under test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest
from in_processes import no_shell

import fastconv

pytestmark = no_shell  # compilers here are scripts of one

ROOT = Path(__file__).resolve().parents[1]
SUFFIX = EXTENSION_SUFFIXES[0]
LIBRARY = f"lib/{Path(fastconv.get_library()).name}"

linux = pytest.mark.skipif(sys.platform != "linux", reason="about ELF files and Linux's loader")


# ---- building


@pytest.fixture
def compiler(tmp_path: Path) -> str:
    """A C compiler that refuses the sources and commands like $REFUSED, a pattern of the shell, and adds $FLAGS."""
    cc = shutil.which("cc") or pytest.skip("there is no C compiler")
    script = tmp_path / "cc"
    lines = [
        "#!/bin/sh",
        'case "$*" in',
        "*csrc/*) echo the sources are refused; exit 1 ;;",
        "$REFUSED) exit 1 ;;",
        "esac",
    ]
    script.write_text("\n".join([*lines, f'exec {cc} "$@" $FLAGS\n']))
    script.chmod(0o755)
    return str(script)


def build(folder: Path, *options: str, **environment: str) -> str:
    """What the build has printed until it failed, as it does by the sources at the latest."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools is not installed: nothing is built")
    pytest.importorskip("Cython", reason="Cython is not installed: nothing is built")
    folders = ["--build-temp", folder / "temp", "--build-lib", folder / "lib"]
    command = [sys.executable, "setup.py", "build_ext", *folders, *options]
    set_by_others = ("CC", "CFLAGS", "LDFLAGS", "LDSHARED", "FASTCONV_", "PROGRAMFILES")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(set_by_others)}
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=clean | environment, timeout=300, check=False
    )
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("name", ["/nonexistent/cc", "false"])
def test_no_compiler(tmp_path: Path, name: str) -> None:
    told = build(tmp_path, CC=name)
    assert f"error: fastconv: {name} does not run, or does not compile C. Install gcc" in told
    assert "pip install --only-binary fastconv fastconv" in told


def test_a_compiler_without_vector_extensions(tmp_path: Path, compiler: str) -> None:
    told = build(tmp_path, CC=compiler, FLAGS="-D__builtin_convertvector=unknown -Werror")
    assert f"error: fastconv: {compiler} lacks C11 or vector extensions" in told


WINDOWS = ("--compiler=msvc", "--plat-name=win-amd64")


@pytest.fixture
def visual_studio(tmp_path: Path) -> dict[str, str]:
    """What setuptools' MSVC is told of Visual Studio, whose tools are scripts: they print words and make empty files.

    They stand for it where there is no Windows. The linker refuses the module, so that the build fails at its end.
    """
    if os.name != "posix":
        pytest.skip("the scripts are for a shell")
    tools = tmp_path / "VC" / "Tools"
    script = """#!/bin/sh
echo "${0##*/} INCLUDE=$INCLUDE $* "
case "$*" in $REFUSED | *PyInit*) exit 1 ;; esac
for word; do
    case $word in /Fo*) : >"${word#/Fo}" ;; /OUT:* | /IMPLIB:*) : >"${word#/*:}" ;; esac
done
"""
    for path in ("MSVC/14.44/bin/HostX86/x64/cl.exe", "MSVC/14.44/bin/HostX86/x64/link.exe", "Llvm/x64/bin/clang-cl"):
        (tools / path).parent.mkdir(parents=True, exist_ok=True)
        (tools / path).write_text(script)
        (tools / path).chmod(0o755)
    folders = {"INCLUDE": str(tools / "include"), "LIB": str(tools / "lib")}
    return {"DISTUTILS_USE_SDK": "1", **folders, "PATH": str(tools / "MSVC/14.44/bin/HostX86/x64")}


def test_windows_without_visual_studio(tmp_path: Path) -> None:
    told = build(tmp_path, "--compiler=msvc")
    assert "error: fastconv needs the vector extensions of GCC and Clang, which MSVC lacks: on Windows LLVM's" in told
    assert "winget install LLVM.LLVM" in told
    assert "Under WSL it builds as on Linux. setuptools says: " in told


@pytest.mark.parametrize("name", ["cl.exe", "nothing"])
def test_windows_without_clang_cl(tmp_path: Path, visual_studio: dict[str, str], name: str) -> None:
    told = build(tmp_path, *WINDOWS, **visual_studio, CC=name)
    assert "error: fastconv needs the vector extensions of GCC and Clang, which MSVC lacks: on Windows LLVM's" in told
    assert "or name clang-cl in CC. Under WSL it builds as on Linux.\n" in told


def test_windows_by_visual_studios_clang_cl(tmp_path: Path, visual_studio: dict[str, str]) -> None:
    """Commands alone: no Windows and no clang-cl has seen them here."""
    llvm = tmp_path / "VC" / "Tools" / "Llvm" / "x64"
    (llvm / "bin" / "libomp.dll").touch()
    told = build(tmp_path, *WINDOWS, **visual_studio, FASTCONV_OPENMP="1", FASTCONV_WERROR="1")

    def command(*words: str) -> str:
        lines = {line for line in told.splitlines() if all(word in line for word in words)}
        (found,) = (line for line in lines if line.startswith(words[0]))  # setuptools may tell its commands too
        return found

    # Microsoft's headers are behind clang's own: in INCLUDE, not among the folders of the command.
    include = str(tmp_path / "VC" / "Tools" / "include")
    for word in ("/Tccsrc/isa/avx512.c", "/Tccsrc/isa/baseline.c", "/Tccsrc/runtime/scratch.c"):
        of_library = command("clang-cl ", word, *(["FC_F32"] if "isa" in word else []))
        assert of_library.startswith(f"clang-cl INCLUDE={include} /c /nologo /MD /DNDEBUG /GS- -m64 ")
        assert f"-I{include}" not in of_library
        assert " -DFC_EXPORTS " in of_library
        assert " /clang:-std=gnu11 /clang:-O3 " in of_library
        assert " /clang:-ffp-contract=off " in of_library
        assert " /clang:-Werror " in of_library
        assert (" /clang:-mprefer-vector-width=512 " in of_library) == ("avx512" in word)
        assert (" /clang:-fstack-protector-strong " in of_library) == ("runtime" in word)
    assert " /clang:-fopenmp " in command("clang-cl ", "/Tccsrc/runtime/threads.c")
    module = command("clang-cl ", "_core.c ")
    assert " /clang:-Wno-unused-function " in module
    assert "FC_EXPORTS" not in module

    lib = tmp_path / "lib" / "fastconv" / "lib"
    library = command("link.exe ", "/OUT:", "fastconv.dll")
    assert f" /OUT:{lib}/fastconv.dll /IMPLIB:{lib}/fastconv.lib /LIBPATH:{llvm}/lib libomp.lib " in library
    assert library.count(".obj ") > 40
    assert f" /LIBPATH:{lib} " in command("link.exe ", "fastconv.lib /EXPORT:PyInit__core")
    assert {path.name for path in lib.iterdir()} == {"fastconv.dll", "fastconv.lib", "libomp.dll"}


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "OpenMP is left out: FASTCONV_OPENMP=1 takes LLVM's, but a process that loads it and Intel's"),
        ({"FASTCONV_OPENMP": "0"}, "OpenMP is left out as FASTCONV_OPENMP=0 asks"),
        ({"FASTCONV_OPENMP": "1"}, "OpenMP is left out: the compiler lacks it"),  # there is no libomp.dll
    ],
)
def test_windows_without_openmp(
    tmp_path: Path, visual_studio: dict[str, str], environment: dict[str, str], told: str
) -> None:
    refusing = visual_studio | {"REFUSED": "*csrc/*"} | environment
    assert f"fastconv: {told}" in build(tmp_path, *WINDOWS, **refusing)


def test_no_headers_of_python(tmp_path: Path, compiler: str) -> None:
    told = build(tmp_path, CC=compiler, REFUSED="*probe/headers*")
    assert f"error: fastconv: {compiler} does not find Python.h. Install the headers of this Python" in told


def test_an_old_compiler_is_told(tmp_path: Path, compiler: str) -> None:
    said = "fastconv: the compiler is older than gcc 11 or clang 14, the oldest that are tested"
    assert said in build(tmp_path / "old", CC=compiler, REFUSED="*probe/age*")
    assert said not in build(tmp_path / "new", CC=compiler)


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="flags of x86-64")
@pytest.mark.parametrize(("flag", "told"), [("-m32", "makes code for another machine"), ("-mno-sse", "lacks C11")])
def test_wrong_flags(tmp_path: Path, compiler: str, flag: str, told: str) -> None:
    assert f"{compiler} with CFLAGS='{flag}' {told}" in build(tmp_path, CC=compiler, CFLAGS=flag)


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="flags of x86-64")
def test_wrong_flags_of_the_linker(tmp_path: Path, compiler: str) -> None:
    told = build(tmp_path, CC=compiler, LDFLAGS="-m32")
    assert f"{compiler} with LDFLAGS='-m32' does not link. Remove flags like -m32 from LDFLAGS" in told
    assert "OpenMP" not in told


def test_no_headers_of_c(tmp_path: Path, compiler: str) -> None:
    told = build(tmp_path, CC=compiler, REFUSED="*probe/libc*")
    assert f"{compiler} does not find the headers of the C library. Install them (Debian: apt install libc6-dev" in told


@pytest.mark.parametrize("flag", ["-march=native", "-ffast-math", "-mavx2"])
def test_flags_that_would_change_results_or_processors_are_dropped(tmp_path: Path, compiler: str, flag: str) -> None:
    told = build(tmp_path, CC=compiler, CFLAGS=f"{flag} -DKEPT")
    assert "the sources are refused" in told
    assert f"fastconv: {flag} of CFLAGS is left out: sets of instructions are chosen at import" in told
    probed = [line for line in told.splitlines() if "probe/compiler" in line and "-DKEPT" in line]
    assert probed
    assert not [line for line in probed if flag in line.split()]


def test_no_openmp(tmp_path: Path, compiler: str) -> None:
    told = build(tmp_path, CC=compiler, REFUSED="*-fopenmp*")
    assert "fastconv: OpenMP is left out: the compiler lacks it (clang's: Debian: apt install libomp-dev;" in told


def test_no_openmp_wanted(tmp_path: Path, compiler: str) -> None:
    told = build(tmp_path, CC=compiler, FASTCONV_OPENMP="0")
    assert "fastconv: OpenMP is left out as FASTCONV_OPENMP=0 asks" in told


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="a set of x86-64")
def test_no_avx512(tmp_path: Path, compiler: str) -> None:
    told = build(tmp_path, CC=compiler, REFUSED="*-mavx512f*")
    assert "fastconv: avx512 is left out: the compiler does not accept -mavx512f" in told


def test_show_config_tells_of_a_library_without_threads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fastconv._core, "has_openmp", lambda: 0)
    fastconv.show_config()
    assert re.search(r"^OpenMP +no: calls run on one thread$", capsys.readouterr().out, re.MULTILINE)


# ---- importing


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the installed package, to be broken."""
    installed = Path(fastconv.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "bench", "interop", "reference")
    shutil.copytree(installed, tmp_path / "site" / "fastconv", ignore=ignored)
    if (bundled := installed.with_name("fastconv.libs")).exists():
        shutil.copytree(bundled, tmp_path / "site" / "fastconv.libs")
    return tmp_path / "site" / "fastconv"


def failure(package: Path, before: str = "", command: tuple[str, ...] = (sys.executable,)) -> str:
    """The one line that importing this copy ends with."""
    # An editable installation would find what this copy lacks.
    program = f"""
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
sys.path.insert(0, {str(package.parent)!r})
{before}
import fastconv
"""
    result = subprocess.run(
        [*command, "-c", program], capture_output=True, text=True, cwd=package.parent, timeout=300, check=False
    )
    assert result.returncode == 1, result.stderr
    return result.stderr.strip().splitlines()[-1]


def test_numpy_is_missing(package: Path) -> None:
    assert failure(package, "sys.modules['numpy'] = None") == (
        "ImportError: fastconv cannot be imported: it needs NumPy, which is not installed: pip install numpy"
    )


def test_numpy_is_too_old(package: Path) -> None:
    (package.parent / "numpy").mkdir()
    (package.parent / "numpy" / "__init__.py").write_text('__version__ = "1.20.3"\n')
    told = failure(package)
    assert "it needs NumPy >= 1.26, and this is 1.20.3 (" in told
    assert str(package.parent / "numpy") in told


def test_the_oldest_numpy_is_the_one_that_the_metadata_names() -> None:
    (named,) = re.findall(r'^dependencies = \["numpy>=([\d.]+)"\]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"NumPy >= {named}," in (ROOT / "fastconv" / "_load.py").read_text()


ANOTHER_NUMPY = """
import ctypes
import numpy
try:
    from numpy._core import _multiarray_umath
except ImportError:
    from numpy.core import _multiarray_umath
version = ctypes.CFUNCTYPE(ctypes.c_uint)(lambda: 0x7000000)
functions = (ctypes.c_void_p * 500)(ctypes.cast(version, ctypes.c_void_p).value)
capsule = ctypes.pythonapi.PyCapsule_New
capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_multiarray_umath._ARRAY_API = capsule(ctypes.addressof(functions), None, None)
"""


def test_numpy_has_another_abi(package: Path) -> None:
    told = failure(package, ANOTHER_NUMPY)
    assert f"the C interface of NumPy {np.__version__} (" in told
    assert "NumPy says: module" in told


def test_nothing_is_built(package: Path) -> None:
    (package / f"_core{SUFFIX}").unlink()
    told = failure(package)
    assert f"{package} has no compiled module. If it is the source tree, build it by `pip install -e .`" in told


def test_the_module_is_for_another_python(package: Path) -> None:
    (package / f"_core{SUFFIX}").rename(package / "_core.cpython-27-vax.so")
    told = failure(package)
    assert "it was built for another Python or machine (_core.cpython-27-vax.so): " in told
    assert told.endswith(f"this one loads _core{SUFFIX}")


def test_the_library_is_missing(package: Path) -> None:
    (package / LIBRARY).unlink()
    assert f"{LIBRARY} is missing in {package}: remove fastconv and install it again" in failure(package)


@linux
@pytest.mark.parametrize("name", [LIBRARY, f"_core{SUFFIX}"])
@pytest.mark.parametrize(
    ("at", "byte", "told"),
    [(18, 0x2A, r"machine 42 \(\d\d bits\)"), (4, 0x1, r"\S+ \(32 bits\)"), (0, 0x0, "no machine")],
)
def test_a_file_is_for_another_machine(package: Path, name: str, at: int, byte: int, told: str) -> None:
    """The header of an ELF file: its machine is at 18, its class at 4."""
    data = bytearray((package / name).read_bytes())
    data[at : at + 1] = bytes([byte])
    (package / name).write_bytes(data)
    assert re.search(rf"{re.escape(name)} is made for {told}.*, this Python for ", failure(package))


@linux
def test_openmp_is_missing_at_run_time(package: Path) -> None:
    data = (package / LIBRARY).read_bytes()
    if b"\0libgomp.so.1\0" not in data:
        pytest.skip("this library does not run on the system's libgomp")
    (package / LIBRARY).write_bytes(data.replace(b"\0libgomp.so.1\0", b"\0libgomp.so.9\0"))
    told = failure(package)
    assert "libgomp.so.9, the run time library of OpenMP, is missing: install it (Debian: apt install libgomp1;" in told
    assert "or a wheel, which brings its own, or build with FASTCONV_OPENMP=0" in told


@linux
def test_the_library_is_of_an_older_version(package: Path) -> None:
    cc = shutil.which("cc") or pytest.skip("there is no C compiler")
    source = package.parent / "old.c"
    source.write_text("int fc_abi_version(void) { return 1; }\n")
    subprocess.run([cc, "-shared", "-fPIC", source, "-o", package / LIBRARY], check=True)
    assert re.search(r"the library lacks fc_\w+, so it is of another version than fastconv._core: ", failure(package))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("libc.musl-x86_64.so.1: cannot open shared object file: No such file", "this build is for musl"),
        ("/lib/libc.so.6: version `GLIBC_2.99' not found (required by it)", "a newer C library (GLIBC_2.99)"),
        ("libgomp-24e2ab19.so.1.0.0: cannot open shared object file: No such file", "the library libgomp-24e2ab19.so"),
        ("Error loading shared library libgomp.so.1: No such file or directory (needed by x)", "apk add libgomp"),
        ("Error loading shared library ld-linux-x86-64.so.2: No such file (needed by x)", "this build is for glibc"),
        ("Error loading shared library libfc.so.7: No such file (needed by x)", "the library libfc.so.7 is missing"),
        ("Error relocating /a/_core.so: fc_abi_version: symbol not found", "the library lacks fc_abi_version"),
        ("DLL load failed while importing _core: The specified module could not be found.", "a DLL is missing or does"),
        ("something new", "something new"),
    ],
)
def test_what_the_loader_says(said: str, told: str) -> None:
    from fastconv._diagnosis import explain

    assert told in explain(ImportError(said))


# ---- a system that may not be written to


def test_a_read_only_installation_without_a_home(package: Path) -> None:
    program = f"""
import os, sys
sys.path.insert(0, {str(package.parent)!r})
assert not os.access({str(package)!r}, os.W_OK)
import numpy as np, fastconv
assert fastconv.__file__.startswith({str(package)!r})
assert fastconv.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))).ravel().tolist() == [9] * 4
assert fastconv.ndimage.uniform_filter(np.ones((5, 5)), 3).sum() == 25
fastconv.show_config()
"""
    for path in (package, *package.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    command = [sys.executable, "-c", program]
    if os.geteuid() == 0:  # whom modes alone do not stop
        setpriv = shutil.which("setpriv") or pytest.skip("root may write everywhere, and setpriv is not installed")
        command = [setpriv, "--bounding-set=-dac_override", *command]
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "PYTHONPATH")}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd="/", timeout=300, check=False
        )
    finally:
        for path in (package, *package.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
    assert result.returncode == 0, result.stderr
    assert not list(package.rglob("__pycache__"))
