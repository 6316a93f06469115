"""The benchmark on tiny problems: what it selects, measures, keeps, says, draws and refuses."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastconv.__main__ import main
from fastconv.bench import limits, run
from fastconv.bench.machine import Cache, Machine
from fastconv.bench.measure import Effort, Team, installed
from fastconv.bench.peers import PEERS, FastConv
from fastconv.bench.problem import LAYOUTS, PASSES, Operands, Problem
from fastconv.bench.results import Level, Limits, Measurement, Probe, Result, Row, Variant, load, save
from fastconv.bench.roofline import bound, executed_flops
from fastconv.bench.selection import QUICK, Selected, select
from fastconv.bench.summary import Differing, closing, lines, noise
from fastconv.bench.timing import LEAST_SECONDS, Cold, Warm
from fastconv.bench.verify import verify
from fastconv.bench.workloads import Conv, Pool

LAYERS = (
    Conv("conv", 8, (13, 11), 6, (3, 3), stride=(2, 1), padding=1, dilation=(1, 2), groups=2),
    Conv("causal", 4, (13,), 6, (2,), padding=((3, 0),), dilation=3),
    Conv("asymmetric", 4, (10, 11), 4, (4, 4), padding=((1, 2), (1, 2))),
    Conv("transposed", 4, (7, 9), 6, (3, 3), stride=2, padding=1, transposed=True, output_padding=1),
    Conv("depthwise", 5, (9, 9), 5, (3, 3), padding=1, groups=5, bias=False),
    Conv("volume", 3, (6, 5, 4), 4, (3, 3, 3), padding=1),
    Pool("max", "max", 5, (13, 14), (3, 2), stride=2, padding=1, dilation=2, ceil_mode=True),
    Pool("avg", "avg", 5, (13, 14), (3, 3), stride=2, padding=1, ceil_mode=True),
    Pool("inside", "avg", 5, (13, 14), (3, 3), stride=1, padding=1, count_include_pad=False),
    Pool("line", "max", 3, (30,), (3,), stride=2),
    Pool("global", "global", 50, (7, 7), (7, 7), stride=1),
)
TINY = Problem(Conv("tiny", 4, (8, 8), 4, (3, 3), padding=1))


def problems(batch: int = 2) -> list[Problem]:
    found = [Problem(layer, pass_name, "float32", batch) for layer in LAYERS for pass_name in PASSES]
    return [problem for problem in found if problem.possible]


def result(times: dict[str, float] | None = None, spread: float = 0.01, **fields: object) -> Result:
    """A run of one problem, made up."""
    machine = Machine("a CPU", "x86_64", "Linux", 2, 1 << 33, versions={"fastconv": "1", "instruction set": "avx2"})
    row = Row(TINY, ["net tiny"], 2, 1)
    for name, seconds in (times or {"fastconv": 1e-5, "torch": 2e-5, "numpy": 3e-5}).items():
        isa = "avx2" if name == "fastconv" else ""
        one = Measurement(Variant(name, 1, isa), [seconds, seconds * (1 + spread), seconds * (1 + spread)], 200)
        row.measurements.append(one)
    levels = [Level("L1", 32768, 1e11), Level("memory", 0, 1e10)]
    measured = Limits(1, "avx2", {"float32": 1e11}, levels, [Probe(1.0, "float32", 9.9e10)])
    made = Result("python -m fastconv bench", "2030-01-02T03:04:05+00:00", machine, limits=[measured], rows=[row])
    return dataclasses.replace(made, **fields)


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: f"{problem.layer.name}-{problem.pass_name}")
def test_verify_passes_what_is_right_and_nothing_else(problem: Problem) -> None:
    operands = Operands(problem)
    for layout in LAYOUTS:
        prepared = FastConv(1).prepare(dataclasses.replace(problem, layout=layout), operands)
        got = prepared.to_numpy(prepared.call())
        assert not verify(problem, operands, got)
    values = got[0] if isinstance(got, tuple) else got
    for change in (1.001, math.nan):
        spoiled = values.copy()
        largest = np.unravel_index(np.abs(spoiled).argmax(), spoiled.shape)
        spoiled[largest] *= change
        assert verify(problem, operands, (spoiled, got[1]) if isinstance(got, tuple) else spoiled)
    assert "shape" in verify(problem, operands, values[:1])
    assert "float64" in verify(problem, operands, values.astype(np.float64))


@pytest.mark.parametrize("pass_name", ["forward", "grad_input", "grad_weight"])
def test_verify_looks_at_parts_of_large_results(pass_name: str) -> None:
    problem = Problem(Conv("large", 32, (30, 31), 32, (3, 3), stride=2, padding=1, groups=2), pass_name, batch=3)
    operands = Operands(problem)
    prepared = FastConv(1).prepare(problem, operands)
    got = prepared.to_numpy(prepared.call())
    assert not verify(problem, operands, got, budget=100_000)
    assert verify(problem, operands, np.asarray(got) * np.float32(1.001), budget=100_000)


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: f"{problem.layer.name}-{problem.pass_name}")
def test_problems_survive_json(problem: Problem) -> None:
    assert Problem.from_dict(json.loads(json.dumps(problem.to_dict()))) == problem


def test_keys_tell_problems_apart() -> None:
    keys = [problem.key for problem in problems()]
    assert len(set(keys)) == len(keys)


def test_work_of_a_layer() -> None:
    problem = Problem(Conv("plain", 64, (56, 56), 64, (3, 3)), batch=2)  # without padding: 54 x 54
    assert problem.flops == 2 * 2 * 64 * 64 * 9 * 54 * 54
    assert problem.bytes == 4 * (2 * 64 * 56 * 56 + 64 * 64 * 9 + 2 * 64 * 54 * 54)
    pool = Problem(Pool("max", "max", 64, (56, 56), (2, 2), stride=2), "grad_input")
    assert (pool.flops, pool.bytes) == (64 * 28 * 28, 64 * (56 * 56 * 4 + 28 * 28 * (4 + 8)))


def selected(*arguments: str) -> list[Selected]:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return select(parser.parse_args(arguments))


def test_layers_that_are_alike_are_measured_once() -> None:
    convs = selected("--net", "vgg16", "--layer", "conv")
    assert (len(convs), sum(one.count for one in convs)) == (9, 13)
    assert [one.names for one in selected("--net", "vgg16", "--layer", "conv1_1")] == [["vgg16 conv1_1"]]
    both = selected("--net", "resnet50", "resnet18", "--layer", " conv1$")
    assert [one.names for one in both] == [["resnet50 conv1", "resnet18 conv1"]]
    assert both[0].count == 2


def test_the_default_is_a_dozen_layers() -> None:
    assert [one.names for one in selected()] == [[name] for name in QUICK]
    assert {one.problem.pass_name for one in selected()} == {"forward"}


def test_the_command_line_multiplies() -> None:
    asked = [
        "--pass",
        "forward",
        "grad_weight",
        "--dtype",
        "float32",
        "float64",
        "--layout",
        "NHWC",
        "--batch",
        "1",
        "8",
    ]
    found = [one.problem for one in selected("--problem", "ic3ih8oc4kh3", "--pool ic3ih8kh2sh2", *asked)]
    assert len(found) == 2 * 2 * 2 + 2 * 2  # pools have no gradient of weights
    assert {problem.layout for problem in found} == {"NHWC"}
    assert [one.problem.batch for one in selected("--problem", "mb3ic3ih8oc4kh3")] == [3]


def test_logs_are_replayed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "from numpy import ones; import fastconv; "
    code += "fastconv.conv2d(ones((2, 6, 5, 3)), ones((4, 3, 3, 3)), None, 1, 1, layout='NHWC')"
    with log.open("w") as file:
        environment = os.environ | {"FASTCONV_VERBOSE": "1"}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment, stderr=file)
    (one,) = selected("--file", str(log))
    assert (one.problem.dtype, one.problem.layout, one.problem.batch) == ("float64", "NHWC", 2)
    assert one.problem.input_shape == (2, 3, 6, 5)
    assert one.problem.output_shape == (2, 4, 6, 5)


def test_winograd_executes_a_quarter() -> None:
    problem = Problem(Conv("wide", 64, (56, 56), 32, (3, 3), padding=1))
    assert executed_flops(problem, "winograd") == 2 * 64 * 32 * 36 * 14 * 14
    assert executed_flops(problem, "winograd") == 2 * problem.layer.multiply_adds / 4
    assert executed_flops(problem, "im2col") == problem.flops
    rounded = Problem(Conv("odd", 64, (13, 13), 32, (3, 3), padding=1))
    assert executed_flops(rounded, "winograd") == 2 * 64 * 32 * 36 * 4 * 4


def test_the_limit_that_binds() -> None:
    levels = [Level("L1", 1 << 15, 1e11), Level("L2", 1 << 20, 5e10), Level("memory", 0, 1e10)]
    found = Limits(1, "avx2", {"float32": 1e11}, levels, [Probe(1.0, "float32", 2e11)])
    dense = Problem(Conv("dense", 64, (56, 56), 64, (3, 3), padding=1))
    assert bound(dense, "im2col", found) == (dense.flops / 2e11, "FMA")
    pool = Problem(Pool("pool", "avg", 8, (56, 56), (2, 2), stride=2))
    assert bound(pool, "", found) == (pool.bytes / 5e10, "L2")
    assert bound(pool, "", found, cold=True) == (pool.bytes / 1e10, "memory")


def test_warm_samples_last_long_enough() -> None:
    timer = Warm(lambda: None, 1e-7)
    (sample,) = timer.round()
    assert sample * timer.repeats >= LEAST_SECONDS
    assert timer.repeats > 1


def test_long_calls_are_not_repeated() -> None:
    calls = []
    timer = Warm(lambda: calls.append(time.sleep(0.003)), 0.6)
    timer.round()
    assert len(calls) == 1


def test_cold_samples_are_single_calls() -> None:
    timer = Cold(lambda: time.sleep(1e-4), 1 << 16, 1e-4)
    assert timer.repeats == 1
    assert all(1e-4 <= sample < 0.1 for sample in timer.round())


def test_limits_of_this_machine() -> None:
    found = limits.measure("baseline", 2, ["float32", "float64"], [Cache(1, 1 << 15, 1), Cache(2, 1 << 19, 2)], 1)
    assert [level.name for level in found.levels] == ["L1", "L2", "memory"]
    assert [level.capacity for level in found.levels] == [2 << 15, 1 << 19, 0]
    assert min(found.flops["float32"], found.flops["float64"], *(level.bandwidth for level in found.levels)) > 1e7


def test_results_survive_json(tmp_path: Path) -> None:
    made = result()
    save(made, tmp_path / "run.json")
    assert load(tmp_path / "run.json") == made
    told = json.loads((tmp_path / "run.json").read_text())
    assert told["rows"][0]["measurements"][0]["minimum"] == 1e-5


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 99}', '{"schema_version": 1}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match=r"other\.json is no result of this benchmark"):
        load(tmp_path / "other.json")


def test_the_schema_names_every_field() -> None:
    documented = (Path(__file__).parent.parent / "docs" / "bench_schema.md").read_text(encoding="utf-8")
    kinds = (Result, Row, Measurement, Variant, Limits, Level, Probe, Machine, Cache, Problem, Conv, Pool)
    for name in {field.name for kind in kinds for field in dataclasses.fields(kind)} - {"_"}:
        assert f"`{name}`" in documented, name


def test_ratios_are_to_the_best_that_is_right() -> None:
    made = result({"fastconv": 2e-5, "torch": 1e-5, "numpy": 3e-5})
    (line,) = lines(made)
    assert line.ratio == 0.5
    assert closing([line], Differing.of(made.rows)) == [
        "fastconv on 1 thread: 0.50 times the speed of the best other (geometric mean of 1); slower in 1: net tiny 0.50"
    ]
    made.rows[0].measurements[1].wrong = "1 of 4 elements"
    (line,) = lines(made)
    assert line.ratio == pytest.approx(1.5)
    assert made.wrong
    assert "slower in none" in closing([line], Differing.of(made.rows))[0]


def test_doubts() -> None:
    assert noise(result()) == []
    noisy = result(spread=0.5)
    noisy.machine.busy, noisy.machine.governor = 0.5, "powersave"
    noisy.limits[0].probes.append(Probe(2.0, "float32", 5e10))
    text = " ".join(noise(noisy, stolen=0.1))
    for word in ("50 % of the CPUs", "powersave", "hypervisor", "drifted", "scatter"):
        assert word in text


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(tmp_path / name) for name in ("old.json", "same.json", "slow.json", "noisy.json")]
    slow = {"fastconv": 1.2e-5, "torch": 2e-5}
    runs = (result(), result({"fastconv": 1.02e-5, "torch": 2e-5}), result(slow), result(slow, spread=0.3))
    for made, path in zip(runs, paths, strict=True):
        save(made, path)
    old, same, slower, noisy = paths
    assert main(["bench", "compare", old, same]) == 0
    assert "1 the same" in capsys.readouterr().out
    assert main(["bench", "compare", old, slower]) == 1
    assert "SLOWER" in capsys.readouterr().out
    assert main(["bench", "compare", old, slower, "--tolerance", "30"]) == 0
    assert main(["bench", "compare", slower, old]) == 0
    assert "1 faster" in capsys.readouterr().out
    assert main(["bench", "compare", old, noisy]) == 0
    assert main(["bench", "compare", old, str(tmp_path / "none.json")]) == 2


def test_compare_of_nothing_in_common(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = result(rows=[])
    save(result(), tmp_path / "old.json")
    save(empty, tmp_path / "new.json")
    assert main(["bench", "compare", str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 2
    assert "no measurement in common" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--problem", "mb1ic64ih56oc64oh56kh3phX"], r"column 2[0-9]: .*\n.*phX\n +\^"),
        (["--conv", "1,64,56,56,64,3"], "--conv, column .*: expected N,C,W,K,S"),
        (["--file", "no-such-file"], "no-such-file"),
        (["--net", "lenet5", "--layer", "nothing"], "no layer"),
        (["--layer", "("], "needs a regular expression"),
        (["--plot", "figure.gif"], "ends in .png, .svg or .pdf"),
        (["--json", "no/such/folder/run.json"], "--json is 'no/such/folder/run.json'; needs a file in a folder"),
        (["--pin", "4096"], "this process may use"),
        (["--pin", "0", "--threads", "2"], "one CPU for each of 2 threads"),
    ],
)
def test_arguments_that_cannot_be(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="rich is not installed: pip install rich")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install matplotlib")
    assert main(["bench", *arguments]) == 2
    assert re.search(told, capsys.readouterr().err)


def test_without_rich_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    find = run.importlib.util.find_spec
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None if name == "rich" else find(name))
    assert main(["bench"]) == 2
    assert 'pip install "fastconv[bench]"' in capsys.readouterr().err


def test_a_run_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="rich is not installed: pip install rich")
    problem, names = "mb2ic4ih9oc4kh3ph1", [str(tmp_path / f"run.{kind}") for kind in ("json", "csv")]
    arguments = [
        "bench",
        "--problem",
        problem,
        "--pass",
        "forward",
        "grad_weight",
        "--rounds",
        "2",
        "--seconds",
        "0.02",
    ]
    assert main([*arguments, "--against", "numpy", "--json", names[0], "--csv", names[1]]) == 0
    made = load(names[0])
    assert [row.problem.pass_name for row in made.rows] == ["forward", "grad_weight"]
    assert made.versions.keys() == {"fastconv", "numpy"}
    for row in made.rows:
        assert [one.variant.implementation for one in row.measurements] == ["fastconv", "numpy"]
        assert all(len(one.samples) == 2 and one.minimum * one.repeats > 1e-3 for one in row.measurements)
    assert made.limits[0].probes
    table = Path(names[1]).read_text().splitlines()
    assert len(table) == 1 + 4
    assert "geometric mean of 2" in capsys.readouterr().out


def test_every_way_to_call_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="rich is not installed: pip install rich")
    arguments = ["bench", "--conv", "1,4,9,9,4,3,3", "--algorithm", "direct", "--plan", "--cache", "cold"]
    assert main([*arguments, "--pin", "--against", "none", "--rounds", "1", "--seconds", "0.02"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r" function +direct ", printed)
    assert re.search(r" plan +direct ", printed)


def test_interrupted_runs_keep_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich", reason="rich is not installed: pip install rich")
    measure = Team.measure

    def once(self: Team, problem: Problem, effort: Effort, step: object) -> list[Measurement]:
        if problem.pass_name == "grad_input":
            raise KeyboardInterrupt
        return measure(self, problem, effort)

    monkeypatch.setattr(Team, "measure", once)
    path = str(tmp_path / "part.json")
    arguments = ["bench", "--problem", "mb1ic4ih9oc4kh3", "--pass", "forward", "grad_input", "--against", "none"]
    assert main([*arguments, "--rounds", "1", "--seconds", "0.02", "--json", path]) == 130
    made = load(path)
    assert made.interrupted
    assert len(made.rows) == 1
    assert "interrupted" in capsys.readouterr().out


def test_wrong_results_are_told_and_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="rich is not installed: pip install rich")
    made = result()
    made.rows[0].measurements[0].wrong = "3 of 256 elements"
    monkeypatch.setattr(run, "measure", lambda *_: made)
    assert main(["bench", "--net", "lenet5"]) == 1
    assert "WRONG net tiny: fastconv avx2 auto: 3 of 256 elements" in capsys.readouterr().out


def test_a_dead_process_is_told_and_started_again() -> None:
    with Team([Variant("fastconv", 1)], []) as team:
        (process,) = team._processes.values()
        process._process.kill()
        (one,) = team.measure(TINY, Effort(1, 0.01))
        assert "SIGKILL" in one.cannot
        (one,) = team.measure(TINY, Effort(1, 0.01))
        assert one.samples
        assert not one.cannot


def test_pictures_and_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install matplotlib")
    from fastconv.bench import page, plot

    made = result()
    made.rows[0].measurements[0].ran = "winograd"
    made.rows[0].names[0] = "net <tiny>"
    plot.save(made, tmp_path / "both.png")
    plot.ratios(result({"fastconv": 1e-5}), tmp_path / "alone.svg")
    page.save(made, tmp_path / "page.html")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "alone.svg").read_text()
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("data:image/svg+xml;base64,") == 2
    assert "net &lt;tiny&gt;" in text
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)


@pytest.mark.parametrize("name", PEERS)
def test_peers_are_right(name: str) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed: {PEERS[name].pip}")
    own = ("conv", "transposed", "depthwise", "max", "inside", "global") if name == "jax" else None  # compiles for long
    with Team([Variant(name, 1)], []) as team:
        answers = [
            (problem.key, team._processes[Variant(name, 1)].ask("prepare", problem=problem.to_dict(), check=True))
            for problem in problems()
            if own is None or problem.layer.name in own
        ]
    assert [(key, answer["wrong"]) for key, answer in answers if answer.get("wrong")] == []
    assert any("cannot" not in answer for _, answer in answers)
