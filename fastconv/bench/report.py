"""What a run found, as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .results import Measurement, Result
from .summary import Differing, Line, closing, lines, peer_names, variant_name
from .wording import limits_text, own_texts, short_name

__all__ = ["print_header", "print_result"]

NARROW, PEER = 100, 9
"""Characters that a table takes without a column for each of the others, and with each more."""
LEGEND = """\
time       shortest of the samples; +- is how far their median lies above it
GFLOP/s    2 a multiply-add, padding not counted; of Winograd as of a plain convolution, and in brackets what was done
of limit   shortest time that multiply-adds (FMA) or bytes to and from a cache level allow, over the time
others     speed of fastconv over theirs, * the best; where there is no room, it alone. Their weights are packed
           beforehand, torch c.last has its arrays in its own layout: nothing of that is timed"""


def print_header(result: Result, console: Console) -> None:
    """Print where it runs, with what, and what the cores can do at most."""
    machine = result.machine
    console.print(f"[bold]{escape(machine.describe())}[/]")
    told = [f"fastconv {machine.versions['fastconv']}, instruction set {machine.versions['instruction set']}"]
    told += [f"{name} {version}" for name, version in result.versions.items() if name != "fastconv"]
    console.print(escape(", ".join(told)))
    for name, pip in result.missing.items():
        console.print(f"not installed: {name} ([bold]{escape(pip)}[/])")
    for limits in result.limits:
        console.print(escape(f"limits, {limits_text(limits)}"))


def print_result(result: Result, console: Console) -> None:
    """Print the table, what is wrong, how it ended and what to doubt."""
    found, differing = lines(result), Differing.of(result.rows)
    if found:
        console.print(_table(result, found, differing, console.width))
        console.print(LEGEND, style="dim")
    for row in result.rows:
        for one in row.measurements:
            who = f"{differing.row(row)}: {variant_name(one.variant)}"
            if one.wrong:
                console.print(f"[bold red]WRONG[/] {escape(who)}: {escape(one.wrong)}")
    for text in _refusals(result):
        console.print(escape(text), style="dim")
    if result.interrupted:
        console.print("[yellow]interrupted: what was measured until then[/]")
    for text in closing(found, differing):
        console.print(f"[bold]{escape(text)}[/]")
    for text in result.warnings:
        console.print(f"[yellow]doubt:[/] {escape(text)}")


def _table(result: Result, found: Sequence[Line], differing: Differing, width: int) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("layer", no_wrap=True, max_width=44)
    table.add_column("x", justify="right")
    named = differing.isas or differing.algorithms or differing.plans
    if named:
        table.add_column("fastconv", no_wrap=True)
    peers = peer_names(result)
    compared, peers = bool(peers), peers if width >= NARROW + PEER * len(peers) else []
    columns = ["ran", "time", "+-", "GFLOP/s", "of limit", *(short_name(name) for name in peers)]
    for title in columns:
        table.add_column(title, justify="left" if title == "ran" else "right", no_wrap=True)
    if compared:
        table.add_column("ratio", justify="right", no_wrap=True)
        table.add_column("to", no_wrap=True)
    for line in found:
        cells = [escape(differing.row(line.row)), f"{line.row.count}" if line.row.count > 1 else ""]
        cells += [differing.variant(line.own.variant)] if named else []
        cells += [line.own.ran, *(text.replace("WRONG", "[bold red]WRONG[/]") for text in own_texts(line))]
        cells += [_peer_cell(line, line.peer(name)) for name in peers]
        if compared:
            cells.append("" if math.isnan(line.ratio) else _coloured(line.ratio))
            cells.append(short_name(line.best.variant.implementation) if line.best else "")
        table.add_row(*cells)
    return table


def _peer_cell(line: Line, peer: Measurement | None) -> str:
    if peer is None or not peer.samples or not line.own.samples:
        return "[dim]-[/]"
    if peer.wrong:
        return "[bold red]WRONG[/]"
    mark = "*" if peer is line.best else " "
    return f"{peer.minimum / line.own.minimum:.2f}{mark}"


def _coloured(ratio: float) -> str:
    """The sign behind a loss tells it where there are no colours."""
    return f"[green]{ratio:.2f}[/]  " if ratio >= 1 else f"[red]{ratio:.2f} <[/]"


def _refusals(result: Result) -> list[str]:
    """What was not measured, and how often; each reason once."""
    reasons: dict[tuple[str, str], int] = {}
    for row in result.rows:
        for one in row.measurements:
            if one.cannot:
                key = (one.variant.implementation, one.cannot)
                reasons[key] = reasons.get(key, 0) + 1
    return [f"not measured: {name}, {count} times: {reason}" for (name, reason), count in reasons.items()]
