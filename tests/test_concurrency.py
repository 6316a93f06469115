"""Calls from many threads at once, in processes of every kind, and how many threads are taken by default."""

from __future__ import annotations

import functools
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checking import call, operands_of
from features import LARGE_CONVS, WINOGRAD_CONVS
from geometries import Adaptive, ChannelPool, Conv, Norm, Pad, Patches, Pool, Transpose
from in_processes import linux_alone, needs_fork, no_threads_of_forks, not_under
from tolerance import assert_identical

import fastconv
from fastconv._processors import default_threads

SECONDS = float(os.environ.get("FASTCONV_STRESS_SECONDS", "3"))
"""Of the stress test; the slow tier of CI takes a minute."""
SHARED = Conv(sizes=(33, 37), channels=20, filters=24, padding=1)
MIXED: tuple[tuple[Any, str], ...] = (
    *((geometry, name) for geometry in WINOGRAD_CONVS[::4] for name in ("forward", "grad_input", "grad_weight")),
    *((geometry, name) for geometry in LARGE_CONVS[::6] for name in ("forward", "backward")),
    (Conv(sizes=(33, 31), channels=9, filters=9, groups=9, padding=1), "backward"),
    (Pool(op="max_pool", sizes=(61, 53), batch=3, channels=7, kernel=3, stride=2), "indices"),
    (Pool(op="max_pool", sizes=(64, 66), batch=3, channels=7, kernel=2, stride=2), "backward"),
    (Pool(op="avg_pool", sizes=(61, 53), batch=3, channels=7, kernel=3, stride=1, padding=1), "backward"),
    (Norm(sizes=(20, 21), channels=40, batch=2), "backward"),
    (Transpose(sizes=(31, 33), channels=16, filters=12, kernel=4, stride=2, padding=1), "backward"),
    (Pad(sizes=(61, 53), channels=9, batch=3, padding=((2, 3), (4, 1)), mode="reflect"), "backward"),
    (Patches(sizes=(41, 43), channels=7, padding=1), "im2col"),
    (Patches(sizes=(41, 43), channels=7, padding=1), "col2im"),
    (Adaptive(op="adaptive_max_pool", sizes=(61, 53), batch=3, channels=9, output_size=(7, 5)), "indices"),
    (Adaptive(op="adaptive_avg_pool", sizes=(61, 53), batch=3, channels=9, output_size=(7, 5)), "backward"),
    (ChannelPool(sizes=(41, 43), channels=24, size=3), "indices"),
    (SHARED, "plan"),
)


@functools.lru_cache(maxsize=2)
def shared_plan(dtype: str) -> fastconv.ConvPlan:
    """The one that all threads call."""
    operands = operands_of(SHARED, dtype)
    return fastconv.ConvPlan(operands["weight"], operands["bias"], padding=SHARED.padding)


def results(job: int) -> list[Any]:
    geometry, name = MIXED[job % len(MIXED)]
    dtype = ("float32", "float64")[job // len(MIXED)]
    operands = dict(operands_of(geometry, dtype))
    if name == "plan":
        return [shared_plan(dtype)(operands["input"])]
    return [x for x in call(fastconv, geometry, name, operands).values() if x is not None]


def test_sixteen_threads_with_mixed_calls_get_the_same_bits() -> None:
    jobs = range(2 * len(MIXED))
    with fastconv.num_threads(1):
        expected = [results(job) for job in jobs]
    end = time.monotonic() + SECONDS
    wrong: list[str] = []
    done = [0] * 16

    def work(worker: int) -> None:
        draw = random.Random(worker)
        try:
            while (time.monotonic() < end or not done[worker]) and not wrong:
                job = draw.choice(jobs)
                with fastconv.num_threads(draw.randint(1, 4)):
                    for one, other in zip(results(job), expected[job], strict=True):
                        assert_identical(one, other)
                done[worker] += 1
        except BaseException as error:
            wrong.append(f"{MIXED[job % len(MIXED)]}: {error}")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 60)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads), "a call does not come back"
    assert all(done)


# ---------------------------------------------------------------------------------------------------------------------
# Processes


def run(code: str, *, before: str = "", timeout: float = 300, **environment: str) -> str:
    """What a program prints to which `digest` tells that of a convolution; `before` runs before fastconv is there."""
    head = """
import hashlib, multiprocessing, os, sys, threading, time
import numpy as np
import fastconv
random = np.random.default_rng(0)
IMAGE, FILTERS = random.standard_normal((2, 16, 60, 60)), random.standard_normal((16, 16, 5, 5))
def digest(threads=2):
    with fastconv.num_threads(threads):
        return hashlib.sha256(fastconv.conv2d(IMAGE, FILTERS, padding=2).tobytes()).hexdigest()
"""
    options = ["-W", "ignore::DeprecationWarning"]  # of forks beside threads, which are the point
    done = subprocess.run(
        [sys.executable, *options, "-c", before + head + code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@linux_alone
@not_under("asan", reason="the address sanitizer has an allocator of its own")
@pytest.mark.parametrize("threads", [16, 64])
def test_threads_that_cannot_be_started_are_done_without(threads: int) -> None:
    """A stack of 8 MiB each, where there is room for a few: libgomp would end the process."""
    code = """
import resource
DIGEST = digest(1)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20),) * 2)
for _ in range(3):
    assert digest(THREADS) == DIGEST
    assert digest(1) == DIGEST
print("all there")
"""
    assert run(code.replace("THREADS", str(threads))) == "all there"


@needs_fork
def test_forks_while_another_thread_is_inside_of_a_kernel() -> None:
    code = """
DIGEST = digest()
stop = threading.Event()
def busy():
    while not stop.is_set():
        digest()
thread = threading.Thread(target=busy)
thread.start()
right = 0
for i in range(30):
    child = os.fork()
    if child == 0:
        import signal
        signal.alarm(30)  # a child that hangs is killed
        fastconv.max_pool2d(IMAGE, 3)
        os._exit(0 if digest(1 + i % 3) == DIGEST else 1)
    right += os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
print(right)
"""
    assert run(code) == "30"


@needs_fork
@no_threads_of_forks
def test_children_of_children() -> None:
    code = """
DIGEST = digest()
def below(generations):
    if digest() != DIGEST:
        return False
    if generations == 0:
        return True
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply_async(top, (generations - 1,)).get(timeout=60)
def top(generations):
    multiprocessing.current_process()._config["daemon"] = False  # which may have no children
    return below(generations)
print(below(2))
"""
    assert run(code) == "True"


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes_of_every_kind(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import fastconv

def total(seed):
    image = np.random.default_rng(seed).standard_normal((1, 8, 40, 40))
    with fastconv.num_threads(2):
        return fastconv.conv2d(image, np.ones((8, 8, 3, 3)), padding=1).tobytes()

if __name__ == "__main__":
    here = [total(seed) for seed in range(8)]
    with ProcessPoolExecutor(2, multiprocessing.get_context(sys.argv[1])) as pool:
        print(list(pool.map(total, range(8), timeout=90)) == here)
"""
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(program), method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("backend", ["loky", "threading", pytest.param("multiprocessing", marks=no_threads_of_forks)])
def test_nested_in_joblib(backend: str) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    code = f"""
import joblib
if {backend!r} == "multiprocessing":
    multiprocessing.set_start_method("fork")  # functions of a program that is no file exist in forks alone
DIGEST = digest()
def job(i):
    with joblib.parallel_config("threading"):
        inner = joblib.Parallel(2)(joblib.delayed(digest)(threads) for threads in (1, 2))
    return set(inner) == {{DIGEST}}
print(all(joblib.Parallel(2, backend={backend!r})(joblib.delayed(job)(i) for i in range(6))))
"""
    assert run(code) == "True"


OTHERS = {
    "sklearn.ensemble": """
sklearn.ensemble.HistGradientBoostingClassifier(max_iter=3).fit(IMAGE[0, 0], IMAGE[0, 0, :, 0] > 0)
""",
    "torch": """
torch.set_num_threads(3)
torch.ones(600, 600) @ torch.ones(600, 600)
""",
    "numba": """
@numba.njit(parallel=True)
def total(x):
    result = 0.0
    for i in numba.prange(x.size):
        result += x[i]
    return result
total(IMAGE.ravel())
""",
}
"""Libraries with threads of their own, and what starts these."""


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("library", OTHERS)
def test_beside_other_libraries_with_threads(library: str, order: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    import_it = f"import {library}\n"
    code = f"""
DIGEST = digest()
{import_it if order == "after" else ""}
def count():  # threads, where the system lists them
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else time.monotonic()
threads = count()
{OTHERS[library]}
print(count() > threads, digest() == DIGEST == digest(1))
"""
    # Each takes as many of a single processor too, and more than fastconv has started in a team that they may share.
    told = run(code, before=import_it if order == "before" else "", OMP_NUM_THREADS="3", NUMBA_NUM_THREADS="3")
    assert told == "True True"


def test_a_second_interpreter_is_refused() -> None:
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
other = interpreters.create()
try:
    failure = interpreters.run_string(other, "import fastconv")  # since 3.13 it is returned
except interpreters.RunFailedError as error:
    failure = error
print("ImportError" in repr(failure) or "ImportError" in str(failure))
interpreters.destroy(other)
print(digest() == digest(1))
"""
    assert run(code).split() == ["True", "True"]


@pytest.mark.skipif(getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this Python has a global lock")
def test_the_global_lock_stays_off() -> None:
    code = "print(sys._is_gil_enabled())"
    assert run(code, PYTHON_GIL="") == "False"


# ---------------------------------------------------------------------------------------------------------------------
# How many threads there are by default


def files(root: Path, **texts: str) -> str:
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"{root}/"


HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"OMP_NUM_THREADS": "7"}, 7),
        ({"OMP_NUM_THREADS": " 3,2 "}, 3),
        ({"OMP_NUM_THREADS": "7", "OMP_THREAD_LIMIT": "4"}, 4),
        ({"OMP_THREAD_LIMIT": "1"}, 1),
        ({"OMP_NUM_THREADS": "many"}, HERE),
        ({"OMP_NUM_THREADS": "0", "OMP_THREAD_LIMIT": ""}, HERE),
        ({"OMP_NUM_THREADS": "5000"}, HERE),
        ({"OMP_NUM_THREADS": "9" * 5000}, HERE),
        ({"OMP_NUM_THREADS": "0" * 5000 + "7", "OMP_THREAD_LIMIT": "1" * 5000}, 7),
    ],
    ids=lambda value: f"{value}"[:80],
)
def test_variables_of_openmp(variables: dict[str, str], threads: int, tmp_path: Path) -> None:
    assert default_threads(4096, variables, f"{tmp_path}/") == threads


@pytest.mark.parametrize(
    ("own", "above", "threads"),
    [
        ("max 100000", "max 100000", HERE),
        ("50000 100000", "max 100000", 1),
        ("max 100000", "100000 100000", 1),
        ("", "", HERE),
    ],
)
def test_the_quota_of_a_control_group(own: str, above: str, threads: int, tmp_path: Path) -> None:
    root = files(
        tmp_path,
        proc__self__cgroup="0::/job/step\n",
        sys__fs__cgroup__job__step__cpu_DOT_max=own,
        sys__fs__cgroup__job__cpu_DOT_max=above,
    )
    assert default_threads(4096, {}, root) == threads


@pytest.mark.parametrize(("quota", "threads"), [("-1", HERE), ("30000", 1)])
def test_the_quota_of_a_control_group_of_the_first_version(quota: str, threads: int, tmp_path: Path) -> None:
    root = files(
        tmp_path,
        proc__self__cgroup="3:memory:/\n2:cpu,cpuacct:/job\n",
        sys__fs__cgroup__cpu__job__cpu_DOT_cfs_quota_us=quota,
        sys__fs__cgroup__cpu__job__cpu_DOT_cfs_period_us="100000",
    )
    assert default_threads(4096, {}, root) == threads


needs_openmp = pytest.mark.skipif(
    fastconv.runtime.config()["OpenMP"] != "yes", reason="the library was built without OpenMP"
)


@needs_openmp
def test_variables_are_read_when_it_is_imported() -> None:
    code = "print(fastconv.get_num_threads())"
    assert run(code, OMP_NUM_THREADS="3", FASTCONV_NUM_THREADS="") == "3"
    assert run(code, OMP_NUM_THREADS="3", FASTCONV_NUM_THREADS="5") == "5"
    assert run(code, OMP_NUM_THREADS="3", OMP_THREAD_LIMIT="2", FASTCONV_NUM_THREADS="") == "2"


def test_a_number_of_threads_that_python_does_not_read_is_refused_by_name() -> None:
    program = [sys.executable, "-c", "import fastconv"]
    done = subprocess.run(
        program, env=os.environ | {"FASTCONV_NUM_THREADS": "9" * 5000}, capture_output=True, text=True
    )
    assert "FASTCONV_NUM_THREADS is '9999" in done.stderr


@needs_openmp
def test_limits_of_threadpoolctl_bound_what_nobody_chose() -> None:
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    code = """
from threadpoolctl import threadpool_limits
counts = []
def count():
    counts.append(fastconv.get_num_threads())
count()
for limits in (2, 1, {"openmp": 2}, {"blas": 1}, 100):
    with threadpool_limits(limits):
        count()
with threadpool_limits(1), fastconv.num_threads(2):
    count()
count()
fastconv.set_num_threads(3)
with threadpool_limits(1):
    count()
print(*counts)
"""
    assert run(code, OMP_NUM_THREADS="4", FASTCONV_NUM_THREADS="") == "4 2 1 2 4 4 2 4 3"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is not told here")
def test_affinity_counts() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\nimport fastconv\n"
    code += "print(fastconv.get_num_threads())"
    variables = {name: text for name, text in os.environ.items() if not name.startswith(("OMP_", "FASTCONV_NUM_"))}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr


def test_arrays_of_one_thread_are_not_touched_by_another() -> None:
    """Scratch memory is handed from call to call: results that are kept must not lie in it."""
    image = np.random.default_rng(0).standard_normal((1, 16, 30, 30), np.float32)
    filters = np.random.default_rng(1).standard_normal((16, 16, 3, 3), np.float32)
    first = fastconv.conv2d(image, filters, padding=1)
    kept = first.copy()
    threads = [
        threading.Thread(target=lambda: [fastconv.conv2d(image + 1, filters, padding=1) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_identical(first, kept)
