"""No leak over ten thousand mixed calls, good ones and refused ones: neither of memory nor of references."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_processes import not_under

import fastconv

CALLS = 10_000
STATM = Path("/proc/self/statm")


def mixed_calls() -> list[Callable[[], Any]]:
    random = np.random.default_rng(0)
    x, w, b = (random.standard_normal(shape).astype(np.float32) for shape in ((2, 4, 12, 13), (6, 4, 3, 3), (6,)))
    half, integers, last = x.astype(np.float16), (9 * x).astype(np.int32), np.moveaxis(x, 1, -1)
    y = fastconv.conv2d(x, w, b, padding=1)
    values, indices = fastconv.max_pool2d(x, 3, 2, return_indices=True)
    maxima, channels = fastconv.channel_max_pool(x, 2, True)
    columns = fastconv.im2col(x, 3)
    out = np.empty_like(y)
    plan = fastconv.ConvPlan(w, b, padding=1)

    def refused(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
        def call() -> None:
            with pytest.raises((ValueError, TypeError)):
                function(*arguments, **options)

        return call

    return [
        lambda: fastconv.conv2d(x, w, b, padding=1),
        lambda: fastconv.conv2d(x, w, b, padding=1, out=out),
        lambda: fastconv.conv2d(half, w, b, 2, "same"),
        lambda: fastconv.conv2d(last, w, layout="NHWC", activation=("leaky_relu", 0.1)),
        lambda: fastconv.conv2d(x.tolist(), w.tolist()),
        lambda: fastconv.conv2d_backward(y, x, w, padding=1),
        lambda: fastconv.conv_transpose2d(y, w, None, 2),
        lambda: fastconv.max_pool2d(x, 3, 2, return_indices=True),
        lambda: fastconv.max_pool2d(integers, 3),
        lambda: fastconv.max_pool2d_backward(values, indices, x.shape),
        lambda: fastconv.avg_pool2d(x, 2),
        lambda: fastconv.adaptive_avg_pool2d(x, 5),
        lambda: fastconv.adaptive_max_pool2d(integers, (3, None), True),
        lambda: fastconv.channel_max_pool_backward(maxima, channels, x.shape),
        lambda: fastconv.local_response_norm_backward(x, x, 3),
        lambda: fastconv.col2im(columns, (12, 13), 3),
        lambda: fastconv.pad(integers, ((1, 2), (3, 4)), "wrap"),
        lambda: plan(x, out),
        lambda: fastconv.ConvPlan(w, input_shape=x.shape, algorithm="direct")(x),
        lambda: fastconv.choose_algorithm(x.shape, w.shape),
        refused(fastconv.conv2d, x, w[:, :3]),
        refused(fastconv.conv2d, x, w, stride=0.5),
        refused(fastconv.conv2d, x, w, out=out),
        refused(fastconv.max_pool2d_backward, values, indices + 1000, x.shape),
        refused(fastconv.pad, x, -1),
        refused(fastconv.ConvPlan, w, b[:2]),
    ]


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not STATM.exists(), reason="needs /proc/self/statm")
@not_under("asan", reason="the address sanitizer keeps freed memory")
def test_memory_stays_flat() -> None:
    calls = mixed_calls()
    for call in calls * 20:
        call()
    gc.collect()
    before = resident_bytes()
    for i in range(CALLS):
        calls[i % len(calls)]()
    gc.collect()
    grown = resident_bytes() - before
    assert grown < 3 << 20, f"{grown} bytes more after {CALLS} calls"


def test_no_python_object_is_left_behind() -> None:
    calls = mixed_calls()
    for call in calls * 3:
        call()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for call in calls * 40:
            call()
        gc.collect()
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ours = [tracemalloc.Filter(True, str(Path(fastconv.__file__).parent / "*"))]
    left = sum(one.size_diff for one in after.filter_traces(ours).compare_to(before.filter_traces(ours), "filename"))
    assert left < 20_000, f"{left} bytes of Python objects left behind"


def test_references_are_given_back() -> None:
    random = np.random.default_rng(1)
    x, w = random.standard_normal((2, 4, 9, 9)), random.standard_normal((6, 4, 3, 3))
    out = np.empty((2, 6, 7, 7))
    counts = [sys.getrefcount(array) for array in (x, w, out)]
    for _ in range(100):
        fastconv.conv2d(x, w, out=out)
        fastconv.conv2d_backward(out, x, w)
        with pytest.raises(ValueError, match="stride"):
            fastconv.conv2d(x, w, stride=0, out=out)
    gc.collect()
    assert [sys.getrefcount(array) for array in (x, w, out)] == counts


@pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from /proc, which this system lacks")
@not_under("asan", reason="the address sanitizer keeps freed memory")
def test_clear_scratch_frees_what_calls_left() -> None:
    x, w = np.zeros((1, 512, 56, 56), np.float32), np.zeros((512, 512, 3, 3), np.float32)
    choice = fastconv.choose_algorithm(x.shape, w.shape, padding=1, algorithm="winograd")
    assert choice.scratch_bytes > 30e6  # transformed weights
    fastconv.conv2d(x, w, padding=1, algorithm="winograd")
    kept = resident_bytes()
    fastconv.clear_scratch()
    assert kept - resident_bytes() > choice.scratch_bytes / 2
    fastconv.clear_scratch()
