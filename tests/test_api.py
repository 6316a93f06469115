"""What is promised beside numbers: names, signatures, words, types, a light import, threads, forks."""

from __future__ import annotations

import doctest
import inspect
import os
import re
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
from in_processes import needs_fork
from tolerance import assert_identical

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


def test_import_takes_less_than_30_ms_beyond_numpys(tmp_path: Path) -> None:
    # of this process: what else the machine does is not counted
    timed = "import numpy, time; start = time.process_time(); import fastconv; print(time.process_time() - start)"
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}  # as pip leaves it
    printed(timed, **compiled)
    assert min(float(printed(timed, **compiled)) for _ in range(5)) < 0.030


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


# ---- a line for each call


def test_verbose_tells_each_call_on_standard_error() -> None:
    code = """
import numpy as np, fastconv
x, w, g = np.ones((2, 3, 9, 10), "f"), np.ones((4, 3, 3, 2), "f"), np.ones((2, 4, 6, 6))
with fastconv.options(algorithm="direct"):
    fastconv.conv2d(x, w, None, 2, ((1, 0), (0, 0)), (2, 1))
fastconv.max_pool1d(np.ones((3, 20)), 3, 2, layout="NCW")
fastconv.pad(x, 1, layout="NHWC")
fastconv.conv_transpose2d_backward(g, np.ones((2, 3, 3, 3)), np.ones((3, 4, 2, 2)), 2, algorithm="direct")
"""
    assert python(code).stderr == ""
    assert python(code, FASTCONV_VERBOSE="0").stderr == ""
    result = python(code, FASTCONV_VERBOSE="1", FASTCONV_NUM_THREADS="1", FASTCONV_ISA="baseline")
    lines = [re.sub(r"us=[0-9.]+$", "us=", line) for line in result.stderr.splitlines()]
    window = "kh3kw2sh2sw2ph1pw0dh1dw0"
    transposed = "g1mb2ic4ih6iw6oc3oh3ow3kh2kw2sh2sw2ph0pw0dh0dw0"
    assert lines == [  # shapes are told channels first
        f"fastconv,conv2d,forward,g1mb2ic3ih9iw10oc4oh3ow5{window},f32,nchw,direct,baseline,threads=1,us=",
        "fastconv,max_pool1d,forward,mb1ic3iw20ow9kw3sw2pw0dw0,f64,ncw,-,baseline,threads=1,us=",
        "fastconv,pad,forward,2x10x3x9,f32,nhwc,-,baseline,threads=1,us=",
        # the passes of the convolution that is transposed
        f"fastconv,conv_transpose2d_backward,forward,{transposed},f64,nchw,direct,baseline,threads=1,us=",
        f"fastconv,conv_transpose2d_backward,grad_weight,{transposed},f64,nchw,direct,baseline,threads=1,us=",
    ]


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
            inherits = getattr(sys.flags, "thread_inherit_context", 0)  # as in free-threaded Pythons
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(fastconv.get_num_threads).result() == used(3 if inherits else 2)
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
    """Something else runs in the middle of calls of 0.1 s and more; a busy machine may let it wait for one or two."""
    x, w = np.ones((4, 64, 112, 112), np.float32), np.ones((64, 64, 7, 7), np.float32)

    def runs_beside_a_call() -> bool:
        span: list[float] = []

        def work() -> None:
            span.append(time.perf_counter())
            with fastconv.num_threads(1):
                fastconv.conv2d(x, w, padding=3)
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
        return any(start + quarter < moment < end - quarter for moment in seen)

    assert sum(runs_beside_a_call() for _ in range(5)) >= 3, "nothing else ran during the calls"


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


@needs_fork
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
