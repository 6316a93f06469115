"""fastconv as a backend: programs in C and C++, a Cython package, ctypes, numba; and docs/c_api.md, which tells how.

All of it uses what an installation carries, and runs against an installed wheel in `.ci/run`. Python comes here as any
other language does: by the header and the library, never by fastconv's own functions, which only tell what is expected.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_processes import no_shell
from numpy.typing import NDArray

import fastconv
from fastconv import reference

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "c_api.md").read_text()
INCLUDE, LIBRARY = fastconv.get_include(), fastconv.get_library()
LINK = [f"-I{INCLUDE}", LIBRARY, f"-Wl,-rpath,{os.path.dirname(LIBRARY)}"]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# Where a fresh Python finds the same fastconv, and no other.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(fastconv.__file__).parents[1])}

Array = NDArray[Any]


def run(*command: str | Path, folder: Path | None = None, data: bytes | None = None) -> bytes:
    result = subprocess.run(command, capture_output=True, cwd=folder, input=data, timeout=300, env=ENVIRONMENT)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{(result.stdout + result.stderr).decode()}"
    return result.stdout


def installed(program: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return program


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


# ---- C and C++


@pytest.fixture
def arrays(random: np.random.Generator) -> dict[str, Array]:
    shapes = {"x": (2, 3, 9, 8), "w": (4, 3, 3, 3), "b": (4,), "g": (2, 4, 9, 8)}
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("compiler", "standard", "language"), [("gcc", "c99", "c"), ("g++", "c++11", "c++"), ("clang", "c11", "c")]
)
def test_a_program(tmp_path: Path, arrays: dict[str, Array], compiler: str, standard: str, language: str) -> None:
    source, program = TESTS / "c_program" / "backend.c", tmp_path / "backend"
    run(installed(compiler), f"-std={standard}", *STRICT, "-x", language, source, "-x", "none", *LINK, "-pthread",
        "-o", program)  # fmt: skip
    results = np.frombuffer(run(program, data=b"".join(array.tobytes() for array in arrays.values())))
    x, w, b, g = arrays.values()
    features = reference.conv2d(x, w, b, padding=1)
    pooled, indices = reference.max_pool2d(features, 3, 2, return_indices=True)
    expected = [features, *reference.conv2d_backward(g, x, w, padding=1), pooled]
    expected += [reference.max_pool2d_backward(pooled, indices, features.shape)]
    np.testing.assert_allclose(results, np.concatenate([array.ravel() for array in expected]), rtol=0, atol=1e-11)


# ---- Cython


@pytest.fixture(scope="module")
def cython_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package built, as its own users would, in a folder of its own."""
    pytest.importorskip("Cython", reason="Cython is not installed: the package that uses it is not built")
    pytest.importorskip("setuptools", reason="setuptools is not installed: the Cython package is not built")
    folder = tmp_path_factory.mktemp("cython") / "package"
    shutil.copytree(TESTS / "cython_package", folder)
    run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", folder=folder)
    return folder


USE_CYTHON = """
import sys, threading
import numpy as np
import fastconv_user
from fastconv import reference

random = np.random.default_rng(3)
x, w, g = (random.standard_normal(shape) for shape in ((2, 3, 9, 8), (4, 3, 3, 3), (2, 4, 9, 8)))
y, dx, pooled = np.empty_like(g), np.empty_like(x), np.empty((2, 3, 3, 2))

def use():
    fastconv_user.conv2d(x, w, y, 1)
    fastconv_user.conv2d_grad_input(g, w, dx, 1)
    fastconv_user.avg_pool2d(x, pooled, 3)

worker = threading.Thread(target=use)  # of any thread
worker.start()
worker.join()
np.testing.assert_allclose(y, reference.conv2d(x, w, padding=1), rtol=0, atol=1e-12)
np.testing.assert_allclose(dx, reference.conv2d_backward(g, x, w, padding=1)[0], rtol=0, atol=1e-12)
np.testing.assert_allclose(pooled, reference.avg_pool2d(x, 3), rtol=0, atol=1e-14)
for call, arguments in [
    (fastconv_user.conv2d, (x, w, y, 0)),                              # sizes
    (fastconv_user.conv2d, (x, w, y, -1)),                             # geometry
    (fastconv_user.avg_pool2d, (np.empty((2, 3, 0, 8)), pooled, 3)),   # a null pointer
]:
    try:
        call(*arguments)
    except ValueError as error:
        print(error)
"""


def test_a_cython_package(cython_package: Path) -> None:
    lines = run(sys.executable, "-c", USE_CYTHON, folder=cython_package).decode().splitlines()
    assert [line.split()[0] for line in lines] == ["output", "padding", "a"]


def test_the_page_shows_the_cython_package() -> None:
    package = TESTS / "cython_package"
    shown = {package / "setup.py": "Extension(", package / "fastconv_user" / "__init__.py": "from .operations"}
    for file, word in shown.items():
        (snippet,) = [snippet for snippet in snippets("python") if word in snippet]
        assert snippet in file.read_text() + "\n", file.name
    (snippet,) = snippets("cython")
    assert snippet in (package / "fastconv_user" / "operations.pyx").read_text()


# ---- ctypes


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names that the page's ctypes snippet leaves behind."""
    names: dict[str, Any] = {}
    (snippet,) = [snippet for snippet in snippets("python") if "class Tensor" in snippet]
    exec(snippet, names)
    return names


class PoolParams(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("kernel", ctypes.c_int64 * 3),
        ("stride", ctypes.c_int64 * 3),
        ("dilation", ctypes.c_int64 * 3),
        ("padding", ctypes.c_int64 * 2 * 3),
        ("ceil_mode", ctypes.c_int),
        ("count_include_pad", ctypes.c_int),
        ("divisor_override", ctypes.c_int64),
    )


class Caller:
    """The library as one who knows nothing but the header would call it."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.page, self.library = page, page["library"]
        self.params = page["ConvParams"](ctypes.sizeof(page["ConvParams"]), (1, 1, 1), (1, 1, 1), groups=1)
        self.options = page["Options"](struct_size=ctypes.sizeof(page["Options"]), isa=-1, threads=1)

    def tensors(self, *arrays: Array) -> list[Any]:
        return [ctypes.byref(self.page["tensor"](array)) for array in arrays]

    def structs(self, params: ctypes.Structure | None = None) -> tuple[Any, Any]:
        return ctypes.byref(params or self.params), ctypes.byref(self.options)

    def compute(self, x: Array, w: Array, g: Array) -> list[Array]:
        """Convolution, the gradient of its input, and average pooling."""
        y, dx = np.empty_like(g), np.empty_like(x)
        pooled = np.empty((*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2))
        windows = PoolParams(ctypes.sizeof(PoolParams), (1, 2, 2), (1, 2, 2), (1, 1, 1), count_include_pad=1)
        tx, tw, tg, ty, tdx, tpooled = self.tensors(x, w, g, y, dx, pooled)
        double = self.page["FLOAT64"]
        for status in (
            self.library.fc_conv_forward(double, tx, tw, None, *self.structs(), ty, None),
            self.library.fc_conv_grad_input(double, tg, tw, *self.structs(), tdx, None),
            self.library.fc_avg_pool_forward(double, tx, *self.structs(windows), tpooled, None),
        ):
            self.page["check"](status)
        return [y, dx, pooled]


def test_ctypes_from_many_threads(page: dict[str, Any], random: np.random.Generator) -> None:
    problems = []
    for i in range(12):
        sizes = (1 + i % 3, 3 + i, 8 + i, 20 - i)
        x, w = random.standard_normal(sizes), random.standard_normal((5, 3 + i, 3, 2))
        problems.append((x, w, random.standard_normal((sizes[0], 5, sizes[2] - 2, sizes[3] - 1))))
    caller = Caller(page)
    with ThreadPoolExecutor(6) as pool:  # ctypes lets go of the GIL
        results = list(pool.map(lambda problem: caller.compute(*problem), problems * 4))
    for i, (y, dx, pooled) in enumerate(results):
        x, w, g = problems[i % 12]
        np.testing.assert_allclose(y, reference.conv2d(x, w), rtol=0, atol=1e-11)
        np.testing.assert_allclose(dx, reference.conv2d_grad_input(g, w, x.shape), rtol=0, atol=1e-11)
        np.testing.assert_allclose(pooled, reference.avg_pool2d(x, 2), rtol=0, atol=1e-13)
        for one, other in zip((y, dx, pooled), results[i % 12], strict=True):
            assert one.tobytes() == other.tobytes()


def test_ctypes_threads_share_a_plan(page: dict[str, Any], random: np.random.Generator) -> None:
    """Inputs of many sizes at once, for which a policy chooses differently."""
    caller, plan = Caller(page), ctypes.c_void_p()
    w, double = random.standard_normal((16, 8, 3, 3)), page["FLOAT64"]
    create, run_plan = caller.library.fc_conv_plan_create, caller.library.fc_conv_plan_run
    page["check"](create(double, *caller.tensors(w), *caller.structs(), ctypes.byref(plan), None))

    def run_one(x: Array) -> Array:
        y = np.empty((len(x), 16, x.shape[2] - 2, x.shape[3] - 2))
        tx, ty = caller.tensors(x, y)
        page["check"](run_plan(plan, tx, None, ty, None))
        return y

    inputs = [random.standard_normal((1 + i % 2, 8, 3 + i, 3 + 2 * i)) for i in range(16)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(run_one, inputs * 5))
    with pytest.raises(ValueError, match="channels"):
        run_one(np.ones((1, 7, 5, 5)))
    caller.library.fc_conv_plan_free(plan)
    for x, y in zip(inputs * 5, results, strict=True):
        assert y.tobytes() == fastconv.conv2d(x, w).tobytes()
        np.testing.assert_allclose(y, reference.conv2d(x, w), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        ("input", None, "null pointer"),
        ("output", None, "null pointer"),
        ("params", None, "null pointer"),
        ("options", None, "null pointer"),
        ("dtype", 2, "dtype"),
        ("input", np.ones((2, 3, 5, 5)), "batch"),
        ("weight", np.ones((2, 2, 3, 3)), "channels"),
        ("weight", np.ones((2, 3, 0, 3)), "empty"),
        ("weight", np.ones((2, 3, 9, 3)), "kernel exceeds"),
        ("output", np.full((1, 2, 3, 4), 7.0), "output sizes"),
        ("params", {"struct_size": 0}, "struct_size"),
        ("params", {"struct_size": 1 << 40}, "struct_size"),
        ("params", {"stride": (1, 0, 1)}, "stride"),
        ("params", {"padding": ((0, 0), (0, -1), (0, 0))}, "padding"),
        ("params", {"groups": 2}, "groups"),
    ],
)
def test_ctypes_is_told_what_is_wrong(page: dict[str, Any], argument: str, value: Any, told: str) -> None:
    caller, y = Caller(page), np.full((1, 2, 3, 3), 7.0)
    params, options = caller.structs()
    x, w, output = caller.tensors(np.ones((1, 3, 5, 5)), np.ones((2, 3, 3, 3)), y)
    arguments = {"dtype": page["FLOAT64"], "input": x, "weight": w, "bias": None, "params": params}
    arguments |= {"options": options, "output": output, "report": None}
    if isinstance(value, dict):
        for name, field in value.items():
            setattr(caller.params, name, field)
    else:
        (arguments[argument],) = caller.tensors(value) if isinstance(value, np.ndarray) else (value,)
    with pytest.raises(ValueError, match=told):
        page["check"](caller.library.fc_conv_forward(*arguments.values()))
    assert (y == 7).all()


# ---- numba


def test_numba(page: dict[str, Any]) -> None:
    """The page's own snippet; then an error, a gradient and a pool."""
    numba = pytest.importorskip("numba", reason="numba is not installed: no compiled function calls the library")
    (snippet,) = [snippet for snippet in snippets("python") if "import numba" in snippet]
    names = dict(page)
    exec(snippet, names)
    images, filters = names["images"], names["filters"]
    rest = [names[name] for name in ("no_padding", "one_thread", "no_bias", "report")]
    wrong = names["convolve_each"](images, filters, np.empty((3, 4, 5, 4), np.float32), *rest)
    assert b"output sizes" in page["library"].fc_status_string(wrong)
    assert list(names["report"][:1].view(np.int32)[:1]) == [1]  # the axis: height

    grad_input, avg_pool = names["library"].fc_conv_grad_input, names["library"].fc_avg_pool_forward
    grad_input.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 6]
    avg_pool.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 5]
    tensor_of = names["tensor_of"]
    params, options, _, report = rest
    windows = np.frombuffer(PoolParams(ctypes.sizeof(PoolParams), (1, 2, 2), (1, 2, 2), (1, 1, 1)), np.uint8)

    @numba.njit(nogil=True)
    def both(g: Array, w: Array, dx: Array, pooled: Array) -> tuple[int, int]:
        tg, tw, tdx, tpooled = tensor_of(g), tensor_of(w), tensor_of(dx), tensor_of(pooled)
        first = grad_input(0, tg.ctypes, tw.ctypes, params.ctypes, options.ctypes, tdx.ctypes, report.ctypes)
        second = avg_pool(0, tdx.ctypes, windows.ctypes, options.ctypes, tpooled.ctypes, report.ctypes)
        return first, second

    dx, pooled = np.empty_like(images), np.empty((3, 2, 3, 3), np.float32)
    assert both(names["outputs"], filters, dx, pooled) == (0, 0)
    expected = reference.conv2d_grad_input(names["outputs"], filters, images.shape)
    np.testing.assert_allclose(dx, expected, rtol=1e-6)
    np.testing.assert_allclose(pooled, reference.avg_pool2d(expected, 2), rtol=1e-6)


# ---- the page


@no_shell
def test_the_program_of_the_page(tmp_path: Path) -> None:
    (source,), (commands,), (printed,) = snippets("c"), snippets("sh"), snippets("text")
    (tmp_path / "example.c").write_text(source)
    installed("cc")
    python = tmp_path / "bin" / "python"  # which the commands call
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    run("sh", "-ec", f'PATH="{python.parent}:$PATH"\n{commands}', folder=tmp_path)
    assert run(tmp_path / "example").decode() == printed
    for compiler, standard, language in (("gcc", "c99", "c"), ("g++", "c++11", "c++")):
        if shutil.which(compiler):
            run(
                compiler, f"-std={standard}", *STRICT, "-x", language, "example.c", "-x", "none", *LINK, folder=tmp_path
            )
            assert run(tmp_path / "a.out").decode() == printed


@no_shell
def test_the_cmake_of_the_page(tmp_path: Path) -> None:
    cmake = installed("cmake")
    (tmp_path / "example.c").write_text(snippets("c")[0])
    (tmp_path / "CMakeLists.txt").write_text(snippets("cmake")[0])
    run(cmake, "-S", ".", "-B", "build", f"-DPython_EXECUTABLE={sys.executable}", folder=tmp_path)
    run(cmake, "--build", "build", folder=tmp_path)
    assert run(tmp_path / "build" / "example").decode() == snippets("text")[0]
