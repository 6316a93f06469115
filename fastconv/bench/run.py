"""``python -m fastconv bench``: layers of real nets, or problems given by hand, by fastconv and by other libraries."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from .. import _core, runtime
from .._types import Algorithm
from . import compare, kernels, selection
from .machine import Clock, cpus, detect
from .measure import Effort, Team, installed
from .peers import FAST, PEERS
from .problem import LAYOUTS, PASSES
from .results import Probe, Result, Row, Variant, save
from .summary import noise
from .workloads import NETS

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "bench"
HELP = "measure layers of real nets, or your own problems, against other libraries and the limits of the machine"

DTYPES = ("float32", "float64")
ALGORITHMS = get_args(Algorithm)
EXTRA = 'pip install "fastconv[bench]"'
QUICK_EFFORT = Effort(rounds=7, seconds=0.35)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` reads."""
    add = parser.add_argument_group("what to measure (default: a dozen layers, forward)").add_argument
    add("--net", nargs="+", choices=NETS, metavar="NET", help=f"nets, of: {', '.join(NETS)}")
    add(
        "--layer", metavar="REGEX", help="layers whose name, such as 'vgg16 conv1_1', holds this; of all nets if no net"
    )
    add(
        "--conv", action="append", metavar="N,C,H,W,K,R,S", help="a convolution: items, channels, size, filters, kernel"
    )
    for name, default in (("stride", "1"), ("padding", "0"), ("dilation", "1"), ("groups", "1")):
        add(f"--{name}", default=default, metavar="N", help=f"of --conv, default {default}")
    add("--no-bias", action="store_true", help="--conv has no bias")
    text = "problems in the notation of oneDNN's benchdnn: mb1ic64ih56oc64oh56kh3ph1, '--pool mb1ic64ih56kh2sh2'"
    add("--problem", nargs="+", metavar="DESCRIPTOR", help=text)
    add("--file", nargs="+", metavar="FILE", help="files of such lines, or logs of FASTCONV_VERBOSE=1")
    add("--pass", nargs="+", choices=PASSES, dest="pass_names", metavar="PASS", help=f"of: {' '.join(PASSES)}")
    add("--dtype", nargs="+", choices=DTYPES, metavar="DTYPE", help=f"of: {' '.join(DTYPES)}; default: float32")
    add("--layout", nargs="+", choices=LAYOUTS, metavar="LAYOUT", help="of fastconv: NCHW NHWC; default: NCHW")
    add("--batch", nargs="+", type=_positive, metavar="N", help="items; default: 1, or what a descriptor says")

    add = parser.add_argument_group("how fastconv runs").add_argument
    add("--threads", nargs="+", type=_positive, default=[1], metavar="N", help="default: 1; each number by itself")
    text = f"of: {' '.join(ALGORITHMS)}; all; default: auto"
    add("--algorithm", nargs="+", choices=("all", *ALGORITHMS), default=["auto"], metavar="NAME", help=text)
    text = f"of: {' '.join(runtime.instruction_sets())}; all; default: the best"
    add("--isa", nargs="+", choices=("all", *runtime.instruction_sets()), metavar="ISA", help=text)
    add("--plan", action="store_true", help="plans too, which keep their weights packed")

    add = parser.add_argument_group("against whom").add_argument
    text = f"of: {' '.join(PEERS)}; all; none; default: what is installed of {' '.join(FAST)}"
    add("--against", nargs="+", choices=("all", "none", *PEERS), metavar="NAME", help=text)

    add = parser.add_argument_group("how to measure").add_argument
    add("--rounds", type=_positive, metavar="N", help=f"samples of each; default: {Effort.rounds}")
    text = f"most time of one implementation for one problem, checks aside; default: {Effort.seconds}"
    add("--seconds", type=float, metavar="S", help=text)
    add("--cache", choices=("warm", "cold"), default="warm", help="whether operands may be in cache; default: warm")
    add("--pin", nargs="?", const="", metavar="CPUS", help="bind to CPUs, such as 2,3; without, to the last ones")
    add("--no-check", action="store_true", help="trust the results")
    add("--kernel", metavar="REGEX", help="kernels alone, hot in L1, whose names hold this, in place of layers")

    add = parser.add_argument_group("where to (besides the terminal)").add_argument
    add("--json", metavar="FILE", help="all samples; the schema is in docs/bench_schema.md")
    add("--csv", metavar="FILE", help="one line a measurement")
    add("--plot", nargs="+", metavar="FILE", help="ratios and roofline, as .png, .svg or .pdf")
    add("--html", metavar="FILE", help="one page with tables and plots that needs no other file")

    commands = parser.add_subparsers(metavar="compare", title="instead of measuring")
    compare.add_command(commands)


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; 1 if any result was wrong, 2 if the arguments are, else 0."""
    try:
        if args.kernel is None:
            _check(args)
            selected = selection.select(args)
        else:
            isas = None if not args.isa or "all" in args.isa else args.isa
            return kernels.run(args.kernel, isas, args.dtype or DTYPES[:1])
    except (ValueError, FileNotFoundError, IsADirectoryError, PermissionError) as error:
        print(f"python -m fastconv bench: {error}", file=sys.stderr)
        return 2
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=220)  # a file or a pipe: lines need not break
    result = measure(args, selected, console)
    return finish(result, args, console)


def _positive(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _check(args: argparse.Namespace) -> None:
    """Refuse at once what would fail after the measurements."""
    needed = {"rich": True, "matplotlib": bool(args.plot or args.html)}
    missing = [name for name, asked in needed.items() if asked and not importlib.util.find_spec(name)]
    if missing:
        raise ValueError(f"needs {' and '.join(missing)}: {EXTRA}")
    if args.layer is not None:
        try:
            re.compile(args.layer)
        except re.error as error:
            raise ValueError(f"--layer is {args.layer!r}; needs a regular expression: {error}") from None
    for name in args.plot or ():
        if not name.endswith((".png", ".svg", ".pdf")):
            raise ValueError(f"--plot is {name!r}; needs a name that ends in .png, .svg or .pdf")
    for option in ("json", "csv", "plot", "html"):
        names = getattr(args, option) or ()
        for name in (names,) if isinstance(names, str) else names:
            if not Path(name).resolve().parent.is_dir() or Path(name).is_dir():
                raise ValueError(f"--{option} is {name!r}; needs a file in a folder that is there")
    if args.seconds is not None and not args.seconds > 0:
        raise ValueError(f"--seconds is {args.seconds}; needs a number above 0")
    for threads in args.threads:
        pinned_to(args.pin, threads)


def pinned_to(pin: str | None, threads: int) -> list[int]:
    """The CPUs to bind to; none if not to. The first of a machine has the most interrupts, so the last are taken."""
    if pin is None:
        return []
    usable = cpus()
    if not pin:
        return usable[-threads:]
    if not re.fullmatch(r"\d+(,\d+)*", pin):
        raise ValueError(f"--pin is {pin!r}; needs numbers of CPUs, such as 2,3")
    chosen = sorted({int(one) for one in pin.split(",")})
    if not set(chosen) <= set(usable):
        raise ValueError(f"--pin is {pin!r}; this process may use {','.join(map(str, usable))}")
    if len(chosen) < threads:
        raise ValueError(f"--pin is {pin!r}; needs one CPU for each of {threads} threads")
    return chosen


def variants(args: argparse.Namespace, threads: int, peers: Sequence[str]) -> list[Variant]:
    """All processes of one number of threads."""
    isas = runtime.instruction_sets() if args.isa and "all" in args.isa else args.isa or [_core.get_isa()]
    algorithms = ALGORITHMS if "all" in args.algorithm else args.algorithm
    own = [
        Variant("fastconv", threads, isa, algorithm, plan)
        for isa in dict.fromkeys(isas)
        for algorithm in dict.fromkeys(algorithms)
        for plan in ((False, True) if args.plan else (False,))
    ]
    return [*own, *(Variant(name, threads) for name in peers)]


def _peers(args: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Who is there of those asked for, and how to install the others."""
    asked = list(FAST) if args.against is None else list(PEERS) if "all" in args.against else args.against
    asked = [name for name in dict.fromkeys(asked) if name != "none"]
    here = [name for name in asked if installed(name)]
    return here, {name: PEERS[name].pip for name in asked if name not in here}


def _effort(args: argparse.Namespace, quick: bool, last_level: int) -> Effort:
    usual = QUICK_EFFORT if quick else Effort()
    cold = last_level if args.cache == "cold" else 0
    return Effort(args.rounds or usual.rounds, args.seconds or usual.seconds, not args.no_check, cold)


def measure(args: argparse.Namespace, selected: Sequence[selection.Selected], console: Console) -> Result:
    """Measure all problems on all numbers of threads, until done or interrupted."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from .report import print_header

    clock, machine = Clock(), detect()
    peers, missing = _peers(args)
    quick = not (args.net or args.layer or args.conv or args.problem or args.file)
    effort = _effort(args, quick, max((one.bytes for one in machine.caches), default=32 << 20))
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    result = Result(_command(), started, machine, _settings(args, effort), missing=missing)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    try:
        with progress:
            task = progress.add_task("starting", total=len(selected) * len(args.threads))
            for threads in dict.fromkeys(args.threads):
                with Team(variants(args, threads, peers), pinned_to(args.pin, threads)) as team:
                    result.versions |= team.versions
                    dtypes = list(dict.fromkeys(one.problem.dtype for one in selected))
                    limits = team.limits(dtypes, machine.caches)
                    result.limits += limits
                    print_header(result, console) if len(result.limits) == len(limits) else None
                    for one in selected:
                        step = _step(progress, task, one.names[0])
                        row = Row(one.problem, one.names, one.count, threads)
                        row.measurements = team.measure(one.problem, effort, step)
                        result.rows.append(row)
                        now, dtype = clock.seconds, one.problem.dtype
                        limits[0].probes.append(Probe(now, dtype, team.probe(dtype)))
                        progress.advance(task)
    except KeyboardInterrupt:
        result.interrupted = True
    result.seconds = clock.seconds
    result.warnings = noise(result, clock.stolen)
    return result


def _step(progress: Any, task: Any, name: str) -> Callable[[str], None]:
    return lambda text: progress.update(task, description=f"{name}: {text}")


def _command() -> str:
    """As it was given; of files that stand elsewhere only the names."""
    arguments = (Path(one).name if Path(one).is_absolute() else one for one in sys.argv[1:])
    return shlex.join(["python", "-m", "fastconv", *arguments])


def _settings(args: argparse.Namespace, effort: Effort) -> dict[str, Any]:
    told = {"rounds": effort.rounds, "seconds": effort.seconds, "checked": effort.check, "cache": args.cache}
    return told | {"pinned": {str(threads): pinned_to(args.pin, threads) for threads in args.threads}}


def finish(result: Result, args: argparse.Namespace, console: Console) -> int:
    """Print and write what was measured."""
    from .report import print_result

    if args.json:  # first of all: the rest can be made from it
        save(result, args.json)
    print_result(result, console)
    if args.csv:
        from . import spreadsheet

        spreadsheet.save(result, args.csv)
    if result.rows and args.plot:
        from . import plot

        for path in args.plot:
            plot.save(result, path)
    if result.rows and args.html:
        from . import page

        page.save(result, args.html)
    written = [name for name in (args.json, args.csv, *(args.plot or ()), args.html) if name]
    console.print(f"{result.seconds:.0f} s" + (f"; written: {', '.join(written)}" if written else ""))
    return 1 if result.wrong else 130 if result.interrupted else 0
