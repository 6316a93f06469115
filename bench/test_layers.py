"""Every pass of every layer of the nets, by fastconv and by its NumPy reference: ``pytest bench --benchmark-only``.

Groups are layer and pass, so that implementations stand side by side. ``-k alexnet`` picks a net; pin the process to a
core (``taskset -c 1``) and set FASTCONV_NUM_THREADS=1 for figures of one thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import reference
from fastconv.bench.passes import Pass, describe, passes
from fastconv.bench.workloads import NETS

CASES = [
    (name, layer, run)
    for name, net in NETS.items()
    for layer in net.layers
    for run in passes(layer, np.dtype("float32"))
]


@pytest.mark.parametrize("implementation", [fastconv, reference], ids=["fastconv", "reference"])
@pytest.mark.parametrize(
    ("net", "layer", "run"), CASES, ids=[f"{net}-{layer.name}-{run.name}" for net, layer, run in CASES]
)
def test_layer(benchmark: Any, net: str, layer: Any, run: Pass, implementation: Any) -> None:
    """Time one pass of one layer."""
    benchmark.group = f"{net} {layer.name} {run.name}: {describe(layer)}"
    benchmark.extra_info["operations"] = run.operations
    benchmark(run.call, implementation, *run.operands)
