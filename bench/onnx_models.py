"""How long ONNX's reference evaluator takes with fastconv's operators, without them, and how long ONNX Runtime takes.

    python bench/onnx_models.py [--repeats 3] [--models squeezenet resnet50] [--without-builtin]

Needs onnx and rich; onnxruntime where its column is to be filled. The models are the nine that the onnx package brings
for its conformance suite, without their trained weights: nodes make constants instead, in every run of the evaluator,
once when ONNX Runtime loads the model. Every time is the shortest of the repeats; what takes longer than a minute is
run once. All have the cores that the process may use: pin it to one to compare one with one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fastconv.interop.onnx import ops

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
MODELS = {path.stem.removeprefix("light_"): path for path in sorted(FOLDER.glob("*.onnx"))}
LONG = 60.0
COLUMNS = (
    "model",
    "nodes",
    "ours",
    "with ours, s",
    "in ours, s",
    "its own, s",
    "without, s",
    "ratio",
    "ONNX Runtime, s",
)
WIDTH = 120


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME", help="default: all"
    )
    parser.add_argument("--without-builtin", action="store_true", help="leave out the slow operators of the evaluator")
    args = parser.parse_args()
    table = Table(*COLUMNS)
    for name in track(args.models, "measuring", console=Console(stderr=True), transient=True):
        table.add_row(*row(name, args.repeats, not args.without_builtin))
    Console(width=WIDTH).print(table)


def row(name: str, repeats: int, with_builtin: bool) -> tuple[str, ...]:
    """One model's cells, in the order of `COLUMNS`."""
    model = onnx.load(MODELS[name])
    feeds = inputs_of(model)
    spent = [0.0]
    operators = [timed(operator, spent) for operator in ops()]
    evaluator = ReferenceEvaluator(model, new_ops=operators)
    calls = sum(isinstance(node, tuple(operators)) for node in evaluator.rt_nodes_)
    whole, inside = shortest(lambda: evaluator.run(None, feeds), repeats, spent)
    builtin = None
    if with_builtin:
        other = ReferenceEvaluator(model)
        builtin, _ = shortest(lambda: other.run(None, feeds), repeats, spent)
    ratio = "-" if builtin is None else f"{builtin / whole:.1f}"
    times = [whole, inside, whole - inside, builtin, runtime_seconds(name, feeds, repeats)]
    cells = ["-" if seconds is None else f"{seconds:.3f}" for seconds in times]
    return name, str(len(model.graph.node)), str(calls), *cells[:4], ratio, cells[4]


def inputs_of(model: onnx.ModelProto) -> dict[str, Any]:
    """Ramps from 0 to 1, as the conformance suite feeds these models."""
    stored = {initializer.name for initializer in model.graph.initializer}
    feeds = {}
    for value in model.graph.input:
        if value.name not in stored:
            shape = [axis.dim_value or 1 for axis in value.type.tensor_type.shape.dim]
            feeds[value.name] = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return feeds


def timed(operator: type[OpRun], spent: list[float]) -> type[OpRun]:
    """The operator, adding to `spent` the seconds that it runs."""

    def run(self: OpRun, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = operator.run(self, *args, **kwargs)
        spent[0] += time.perf_counter() - start
        return result

    return type(operator.__name__, (operator,), {"run": run})  # the evaluator finds operators by the class's name


def shortest(call: Callable[[], Any], repeats: int, spent: list[float]) -> tuple[float, float]:
    """Seconds of the shortest call, and what was added to `spent` in it."""
    best = (float("inf"), 0.0)
    for _ in range(repeats):
        spent[0] = 0.0
        start = time.perf_counter()
        call()
        best = min(best, (time.perf_counter() - start, spent[0]))
        if best[0] > LONG:
            break
    return best


def runtime_seconds(name: str, feeds: dict[str, Any], repeats: int) -> float | None:
    """Seconds of ONNX Runtime's shortest run, without loading the model; None where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 3  # else it tells of initializers that no node has
    session = onnxruntime.InferenceSession(MODELS[name], options, providers=["CPUExecutionProvider"])
    return shortest(lambda: session.run(None, feeds), repeats, [0.0])[0]


if __name__ == "__main__":
    main()
