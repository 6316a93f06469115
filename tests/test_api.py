"""What is promised beside numbers: names, signatures, words, types, a light import, threads, forks."""

from __future__ import annotations

import doctest
import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import AVAILABLE, ISAS
from tolerance import assert_close, assert_identical

import fastconv
from fastconv import reference

STEMS = {
    "conv": ("", "_grad_input", "_grad_weight", "_backward"),
    "max_pool": ("", "_backward"),
    "avg_pool": ("", "_backward"),
    "conv_transpose": ("", "_backward"),
    "adaptive_max_pool": ("", "_backward"),
    "adaptive_avg_pool": ("", "_backward"),
}
UNSUFFIXED = {
    "channel_max_pool": ("", "_backward"),
    "local_response_norm": ("", "_backward"),
    "im2col": ("",),
    "col2im": ("",),
    "pad": ("", "_backward"),
}
OPS = [f"{stem}{rank}{rest}" for stem, rests in STEMS.items() for rank in ("", "1d", "2d", "3d") for rest in rests]
OPS += [f"{stem}{rest}" for stem, rests in UNSUFFIXED.items() for rest in rests]


def python(code: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, which imports the same fastconv as this one, wherever it runs."""
    path = os.pathsep.join([str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-P", *flags, "-c", code]
    environment = os.environ | {"PYTHONPATH": path} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def printed(code: str, *flags: str, **environment: str) -> str:
    result = python(code, *flags, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# ---- names and words


@pytest.mark.parametrize("name", OPS)
def test_the_reference_has_the_same_signature(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (fastconv, reference))
    assert list(ours) == list(theirs)
    for parameter in ours:
        assert ours[parameter].kind == theirs[parameter].kind
        assert ours[parameter].default == theirs[parameter].default
    assert getattr(reference, name).__name__ == getattr(fastconv, name).__name__ == name


def test_all_is_all_and_sorted() -> None:
    assert set(OPS) <= set(fastconv.__all__)
    assert list(fastconv.__all__) == sorted(fastconv.__all__)
    for name in fastconv.__all__:
        assert hasattr(fastconv, name)


@pytest.mark.parametrize("name", OPS)
def test_docstrings_describe_every_parameter_and_their_examples_run(name: str) -> None:
    op = getattr(fastconv, name)
    lines = inspect.getdoc(op).splitlines()
    titles = [title for title, line in pairwise(lines) if line and set(line) == {"-"}]
    assert titles[:3] == ["Parameters", "Returns", "Raises"]
    section = lines[lines.index("Parameters") + 2 : lines.index("Returns")]
    names = [one for line in section if line and not line.startswith(" ") for one in line.split(" : ")[0].split(", ")]
    assert sorted(names) == sorted(inspect.signature(op).parameters)
    for test in doctest.DocTestFinder(recurse=False).find(op, name, globs={}):
        assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test).failed == 0


def test_typing_marker_is_installed() -> None:
    assert (Path(fastconv.__file__).parent / "py.typed").is_file()


def test_version() -> None:
    assert printed("import fastconv; print(fastconv.__version__)") == fastconv.__version__


# ---- import


def test_import_needs_numpy_and_the_standard_library_only() -> None:
    foreign = """
import sys, numpy
before = set(sys.modules)
import fastconv
names = {name.partition(".")[0] for name in set(sys.modules) - before}
cython = {name for name in names if name.startswith(("_cython", "cython_runtime"))}
editable = {name for name in names if name.startswith("__editable__")}
print(sorted(names - sys.stdlib_module_names - {"numpy", "fastconv"} - cython - editable))
"""
    assert printed(foreign) == "[]"


def test_import_takes_less_than_30_ms_beyond_numpys() -> None:
    timed = "import numpy, time; start = time.perf_counter(); import fastconv; print(time.perf_counter() - start)"
    printed(timed)  # compiles what pip has not
    assert min(float(printed(timed)) for _ in range(5)) < 0.030


def test_import_leaves_the_environment_as_it_was() -> None:
    code = "import os; before = dict(os.environ); import fastconv; print(dict(os.environ) == before)"
    assert printed(code) == "True"
    assert printed(code, GOMP_SPINCOUNT="7") == "True"


def test_the_header_is_where_get_include_says() -> None:
    header = Path(fastconv.get_include(), "fastconv.h")
    assert "fc_conv_forward" in header.read_text()


# ---- instruction sets


def test_instruction_sets_are_known_and_lowest_first() -> None:
    assert AVAILABLE[0] == ISAS[0] == "baseline"
    assert [ISAS.index(isa) for isa in AVAILABLE] == sorted(ISAS.index(isa) for isa in AVAILABLE)


@pytest.mark.parametrize("isa", AVAILABLE)
def test_the_environment_lowers_the_instruction_set(isa: str) -> None:
    code = "import fastconv; print(fastconv._core.get_isa())"
    assert printed(code, FASTCONV_ISA=isa) == isa


def test_the_best_instruction_set_is_the_default() -> None:
    code = "import os; os.environ.pop('FASTCONV_ISA', None); import fastconv; print(fastconv._core.get_isa())"
    assert printed(code) == AVAILABLE[-1]


@pytest.mark.parametrize("isa", ["sse9", *sorted(set(ISAS) - set(AVAILABLE))])
def test_an_instruction_set_not_to_be_had_is_refused_with_the_choices(isa: str) -> None:
    result = python("import fastconv", FASTCONV_ISA=isa)
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert "FASTCONV_ISA" in last
    assert isa in last
    for choice in AVAILABLE:
        assert choice in last


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    fastconv.show_config()
    text = capsys.readouterr().out
    for word in (fastconv.__version__, np.__version__, fastconv._core.get_isa(), "threads", "OpenMP"):
        assert word in text


# ---- threads and options


def test_num_threads_is_of_this_thread_and_set_num_threads_of_the_process() -> None:
    def used(threads: int) -> int:
        return threads if fastconv._core.has_openmp() else 1  # whatever is asked of a build without OpenMP

    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(2)
        assert fastconv.get_num_threads() == used(2)
        with fastconv.num_threads(3):
            assert fastconv.get_num_threads() == used(3)
            with fastconv.num_threads(1):
                assert fastconv.get_num_threads() == 1
            assert fastconv.get_num_threads() == used(3)
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(fastconv.get_num_threads).result() == used(2)
        assert fastconv.get_num_threads() == used(2)
    finally:
        fastconv.set_num_threads(before)


@pytest.mark.parametrize("setter", [fastconv.set_num_threads, lambda n: fastconv.num_threads(n).__enter__()])
def test_bad_numbers_of_threads(setter: Callable[[Any], Any]) -> None:
    before = fastconv.get_num_threads()
    for value, error in ((0, ValueError), (-1, ValueError), (2.0, TypeError), ("2", TypeError), (True, TypeError)):
        with pytest.raises(error, match="num_threads"):
            setter(value)
    assert fastconv.get_num_threads() == before


def test_options_choose_the_algorithm_of_calls_that_leave_it_open(isa: str) -> None:
    random = np.random.default_rng(0)
    x, w = random.standard_normal((1, 8, 20, 20)).astype("f"), random.standard_normal((9, 8, 3, 3)).astype("f")
    for algorithm in ("direct", "im2col"):
        with fastconv.options(algorithm=algorithm):
            within = fastconv.conv2d(x, w)
        assert_identical(within, fastconv.conv2d(x, w, algorithm=algorithm))
    with pytest.raises(ValueError, match="fft"), fastconv.options(algorithm="fft"):
        pass


def test_the_gil_is_released(isa: str) -> None:
    x, w = np.ones((4, 64, 112, 112), np.float32), np.ones((64, 64, 3, 3), np.float32)
    span: list[float] = []

    def work() -> None:
        span.append(time.perf_counter())
        with fastconv.num_threads(1):
            fastconv.conv2d(x, w, padding=1)
        span.append(time.perf_counter())

    worker = threading.Thread(target=work)
    seen = []
    worker.start()
    while worker.is_alive():
        seen.append(time.perf_counter())
        time.sleep(0.001)
    worker.join()
    start, end = span
    quarter = (end - start) / 4
    assert any(start + quarter < moment < end - quarter for moment in seen), "nothing else ran during the call"


def test_calls_from_many_threads_at_once(isa: str) -> None:
    """Different shapes, ops and types at a time, each with threads of its own."""
    random = np.random.default_rng(5)

    def job(seed: int) -> tuple[Any, ...]:
        dtype, channels = ("f", "d")[seed % 2], 3 + seed % 7
        x = inputs[seed].astype(dtype)[:, :channels]
        w = filters[seed].astype(dtype)[:, :channels]
        with fastconv.runtime._force_isa(isa):
            y = fastconv.conv2d(x, w, padding=1, algorithm=("direct", "im2col")[seed // 2 % 2])
            pooled, indices = fastconv.max_pool2d(y, 2, return_indices=True)
            return (y, pooled, indices, *fastconv.conv2d_backward(y, x, w, padding=1), fastconv.avg_pool2d(y, 3))

    inputs = random.standard_normal((24, 2, 9, 17, 33))
    filters = random.standard_normal((24, 11, 9, 3, 3))
    with fastconv.num_threads(1):
        alone = [job(seed) for seed in range(24)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(job, list(range(24)) * 3))
    for seed, results in enumerate(together):
        for one, other in zip(results, alone[seed % 24], strict=True):
            assert_identical(one, other)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_after_its_parent_used_threads() -> None:
    code = """
import multiprocessing, numpy as np, fastconv
x, w = np.random.default_rng(0).standard_normal((4, 16, 40, 40)), np.ones((16, 16, 3, 3))
def conv(threads):
    with fastconv.num_threads(threads):
        return fastconv.conv2d(x, w, padding=1).tobytes()
parent = conv(2)
with multiprocessing.get_context("fork").Pool(2) as pool:
    children = pool.map_async(conv, [2, 1, 3, 2]).get(timeout=60)
assert conv(2) == parent
print(all(child == parent for child in children))
"""
    assert printed(code, "-Wignore") == "True"


# ---- what counts as an array


def test_lists_and_scalars_convert_as_numpy_converts_them() -> None:
    x, w = [[1, 2, 4, 8, 16]], [[[1, 0, -1]]]
    result = fastconv.conv1d(x, w, [1])
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [[-2, -5, -11]])
    np.testing.assert_array_equal(fastconv.max_pool1d([[1.0, 3.0, 2.0]], 2, 1), [[3, 3]])
    np.testing.assert_array_equal(fastconv.avg_pool1d([[1.0, 3.0, 2.0]], 2, 1), [[2, 2.5]])
    gradient = fastconv.conv1d_grad_input([[1, 1, 1]], w, [1, 5])
    np.testing.assert_array_equal(gradient, [[1, 1, 0, -1, -1]])


INTEGERS = ["bool", "int8", "uint8", "int32", "int64", "uint64"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_become_float64_where_there_is_something_to_compute(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (2, 3, 8, 9)).astype(dtype)
    w = np.random.default_rng(1).integers(0, 2, (3, 3, 3, 3)).astype(dtype)
    y, indices = reference.max_pool2d(x, 2, return_indices=True)
    calls: dict[str, tuple[Any, ...]] = {
        "conv2d": (x, w),
        "conv_transpose2d": (x, w),
        "avg_pool2d": (x, 2),
        "adaptive_avg_pool2d": (x, (3, 5)),
        "local_response_norm": (x, 3),
        "col2im": (x.reshape(2, 12, 18), (4, 7), 2),
        "max_pool2d_backward": (y, indices, x.shape),
        "adaptive_avg_pool2d_backward": (x, (2, 3, 10, 10)),
        "local_response_norm_backward": (x, x, 3),
        "pad_backward": (x, 2, "wrap"),
    }
    for op, arguments in calls.items():
        result = getattr(fastconv, op)(*arguments)
        assert result.dtype == np.float64, op
        np.testing.assert_allclose(result, getattr(reference, op)(*arguments), rtol=1e-13, atol=1e-13, err_msg=op)
    for op in ("conv2d_backward", "conv_transpose2d_backward"):
        g = np.ones((2, 3, *((6, 7) if op == "conv2d_backward" else (10, 11))), dtype)
        for result, expected in zip(getattr(fastconv, op)(g, x, w), getattr(reference, op)(g, x, w), strict=True):
            assert result.dtype == np.float64, op
            np.testing.assert_allclose(result, expected, rtol=1e-13, err_msg=op)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_stay_where_they_are_only_chosen_or_moved(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (2, 4, 8, 9)).astype(dtype)
    calls: dict[str, tuple[Any, ...]] = {
        "max_pool2d": (x, 2),
        "adaptive_max_pool2d": (x, 3),
        "channel_max_pool": (x, 2),
        "im2col": (x, 3),
        "pad": (x, 2, "reflect"),
    }
    for op, arguments in calls.items():
        assert_identical(getattr(fastconv, op)(*arguments), getattr(reference, op)(*arguments), op)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (("float32", "float64", None), "float64"),
        (("float32", "float32", "float64"), "float64"),
        (("float32", "int8", None), "float32"),
        (("float32", "int64", None), "float64"),
        (("float16", "float32", None), "float32"),
        (("float16", "float16", "float32"), "float32"),
        (("float16", "int8", None), "float16"),
        (("uint8", "float32", "bool"), "float32"),
    ],
)
def test_types_promote_as_numpy_promotes_them(types: tuple[str | None, ...], expected: str) -> None:
    shapes = ((2, 3, 11), (4, 3, 3), (4,))
    random = np.random.default_rng(0)
    values = [type_ and random.integers(0, 2, shape).astype(type_) for type_, shape in zip(types, shapes, strict=True)]
    result = fastconv.conv1d(*values)
    assert result.dtype == expected
    np.testing.assert_array_equal(result, reference.conv1d(*values))


@pytest.mark.parametrize(
    "name",
    [
        "conv2d",
        "conv2d_grad_input",
        "conv2d_grad_weight",
        "conv_transpose2d",
        "max_pool2d",
        "avg_pool2d",
        "adaptive_avg_pool2d",
        "col2im",
        "pad_backward",
    ],
)
def test_float16_is_computed_in_float32_and_rounded_once(isa: str, name: str) -> None:
    random = np.random.default_rng(2)
    x, w = random.standard_normal((2, 30, 9, 10)).astype("e"), random.standard_normal((5, 30, 3, 3)).astype("e")
    g = random.standard_normal((2, 5, 7, 8)).astype("e")
    arguments, terms = {
        "conv2d": ((x, w), 270),
        "conv2d_grad_input": ((g, w, x.shape), 45),
        "conv2d_grad_weight": ((g, x, w.shape), 112),
        "conv_transpose2d": ((g, w), 45),
        "max_pool2d": ((x, 3), 0),
        "avg_pool2d": ((x, 3), 9),
        "adaptive_avg_pool2d": ((x, (4, 3)), 16),
        "col2im": ((x.reshape(2, 300, 9), (4, 4), 2), 4),
        "pad_backward": ((x, 3, "symmetric"), 4),
    }[name]
    result = getattr(fastconv, name)(*arguments)
    assert result.dtype == np.float16
    wide = [one.astype("d") if isinstance(one, np.ndarray) else one for one in arguments]
    positive = [np.abs(one) if isinstance(one, np.ndarray) else one for one in wide]
    exact = getattr(reference, name)(*wide)
    if name == "max_pool2d":
        np.testing.assert_array_equal(result, exact)
    else:
        assert_close(result, exact, terms, getattr(reference, name)(*positive))
    out = np.empty(result.shape, "e")
    assert getattr(fastconv, name)(*arguments, out=out) is out
    assert_identical(out, result)


def odd_arrays(array: Any) -> dict[str, Any]:
    """The same values as NumPy may hold them where no C loop can read them in place."""
    raw = np.zeros(array.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(array.dtype).reshape(array.shape)
    misaligned[...] = array
    record = np.zeros(array.shape, [("flag", np.uint8), ("value", array.dtype)])
    record["value"] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    return {
        "byte-swapped": array.astype(array.dtype.newbyteorder()),
        "misaligned": misaligned,
        "a field of records": record["value"],
        "read-only": read_only,
        "a subclass": array.view(type("Subclass", (np.ndarray,), {})),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", odd_arrays(np.zeros(1)))
def test_arrays_of_every_make_are_read_right(kind: str, dtype: str) -> None:
    random = np.random.default_rng(3)
    x, w = random.standard_normal((2, 3, 9, 10)).astype(dtype), random.standard_normal((4, 3, 3, 3)).astype(dtype)
    odd_x, odd_w = odd_arrays(x)[kind], odd_arrays(w)[kind]
    result = fastconv.conv2d(odd_x, odd_w)
    assert type(result) is np.ndarray
    assert_identical(result, fastconv.conv2d(x, w))
    assert_identical(fastconv.max_pool2d(odd_x, 2), fastconv.max_pool2d(x, 2))
    assert_identical(fastconv.avg_pool2d(odd_x, 2), fastconv.avg_pool2d(x, 2))
    assert_identical(fastconv.conv_transpose2d(odd_x, odd_w[:3]), fastconv.conv_transpose2d(x, w[:3]))
    for op, parameter in (
        ("adaptive_max_pool2d", 4),
        ("adaptive_avg_pool2d", 4),
        ("channel_max_pool", 3),
        ("local_response_norm", 3),
        ("im2col", 2),
        ("pad", 2),
    ):
        assert_identical(getattr(fastconv, op)(odd_x, parameter), getattr(fastconv, op)(x, parameter), op)


class Exchanged:
    """An array of another library, as DLPack shows it: neither an ndarray nor convertible by ``__array__``."""

    def __init__(self, array: Any, device: tuple[int, int] = (1, 0)) -> None:
        self.array, self.device = array, device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **options: Any) -> Any:
        if self.device[0] != 1:
            raise BufferError("this array lies on a device that the CPU cannot read")
        return self.array.__dlpack__(**options)


def test_arrays_of_other_libraries_come_by_dlpack() -> None:
    x, w = np.random.default_rng(3).standard_normal((2, 3, 9, 9)), np.ones((4, 3, 3, 3))
    assert_identical(fastconv.conv2d(Exchanged(x), Exchanged(w)), fastconv.conv2d(x, w))
    assert_identical(fastconv.pad(Exchanged(x), 2, "edge"), fastconv.pad(x, 2, "edge"))
    with pytest.raises(ValueError, match=r"^conv2d: input is no array.*(device|DLPack)"):
        fastconv.conv2d(Exchanged(x, (2, 0)), w)


def test_results_are_fresh_contiguous_arrays() -> None:
    x, w = np.ones((2, 8, 9, 3), np.float32), np.ones((4, 3, 1, 1), np.float32)
    for result in (
        fastconv.conv2d(x, w, layout="NHWC"),
        fastconv.max_pool2d(x, 1, layout="NHWC"),
        fastconv.avg_pool2d(x, 1, layout="NHWC"),
        fastconv.conv_transpose2d(x, w.reshape(3, 4, 1, 1), layout="NHWC"),
        fastconv.adaptive_max_pool2d(x, None, layout="NHWC"),
        fastconv.adaptive_avg_pool2d(x, (8, 9), layout="NHWC"),
        fastconv.channel_max_pool(x, 1, layout="NHWC"),
        fastconv.local_response_norm(x, 1, layout="NHWC"),
        fastconv.im2col(x, 1, layout="NHWC"),
        fastconv.pad(x, 0, layout="NHWC"),
    ):
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert not np.may_share_memory(result, x)


def test_numpy_integers_are_integers_and_lists_are_tuples() -> None:
    x, w = np.ones((2, 3, 9, 10)), np.ones((4, 3, 3, 3))
    expected = fastconv.conv2d(x, w, None, (2, 1), ((1, 0), (2, 1)), 1, 1)
    same = fastconv.conv2d(x, w, None, np.array([2, 1]), np.array([[1, 0], [2, 1]]), np.int8(1), np.uint64(1))
    assert_identical(same, expected)
    assert_identical(fastconv.conv2d(x, w, None, [2, 1], [[1, 0], [2, 1]], [1, 1]), expected)
    assert_identical(fastconv.avg_pool2d(x, [2, 3], np.int32(2)), fastconv.avg_pool2d(x, (2, 3), 2))
    geometry = ((2, 1), ((1, 0), (2, 1)))
    gradients = [fastconv.conv2d_grad_input(expected, w, shape, *geometry) for shape in (x.shape, list(x.shape))]
    assert_identical(*gradients)


def test_backward_computes_what_is_needed() -> None:
    random = np.random.default_rng(0)
    x, w, g = (random.standard_normal(shape) for shape in ((2, 3, 9), (4, 3, 3), (2, 4, 7)))
    every = fastconv.conv1d_backward(g, x, w)
    for needs in ([], ["bias"], ["weight", "input"], ["bias", "weight", "bias"]):
        some = fastconv.conv1d_backward(g, x, w, needs=iter(needs))
        for name, one, whole in zip(("input", "weight", "bias"), some, every, strict=True):
            assert (one is None) == (name not in needs)
            if one is not None:
                assert_identical(one, whole)


def test_either_output_size_is_taken_by_max_pool_backward() -> None:
    x = np.random.default_rng(0).standard_normal((1, 1, 8))
    for ceil_mode in (False, True):
        y, indices = fastconv.max_pool1d(x, 3, 2, ceil_mode=ceil_mode, return_indices=True)
        result = fastconv.max_pool1d_backward(y, indices, x.shape, 3, 2)
        np.testing.assert_array_equal(result, reference.max_pool1d_backward(y, indices, x.shape))
