"""A run as one HTML page that needs no other file: tables, and both pictures inside."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import BinaryIO

from . import plot
from .passes import describe
from .results import Measurement, Result
from .summary import Differing, Line, closing, lines, peer_names, variant_name
from .wording import limits_text, own_texts, seconds_text, short_name

__all__ = ["save"]

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; color: #1a1a1a }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1em 0 }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td.n, th.n { text-align: right; white-space: nowrap }
.wide { overflow-x: auto }
.win { color: #0072B2; font-weight: 600 } .lose { color: #B04A00; font-weight: 600 }
.wrong { background: #D55E00; color: white; font-weight: 700; padding: 0 .3em }
.doubt { border-left: .3em solid #E69F00; padding-left: .7em }
img { max-width: 100%; height: auto } small { color: #555 } code { background: #f3f3f3; padding: 0 .2em }
"""
LEGEND = """
Times are the shortest of the samples, ± how far their median lies above. GFLOP/s: two a multiply-add, padding not
counted; of Winograd as of a plain convolution, and in brackets what was done. Of limit: the shortest time that
multiply-adds (FMA) or bytes to and from a cache level allow, over the time. Columns of others: the speed of fastconv
over theirs, and their time. Their weights are packed beforehand, torch c.last has its arrays in its own layout: nothing
of that is timed.
"""


def save(result: Result, path: str | Path) -> None:
    """Write the page."""
    found, differing = lines(result), Differing.of(result.rows)
    told = [f"<p><b>{escape(text)}</b></p>" for text in closing(found, differing)]
    told += [f'<p class="doubt">{escape(text)}</p>' for text in result.warnings]
    if result.interrupted:
        told.append('<p class="doubt">interrupted: this is what was measured until then</p>')
    body = [
        "<h1>fastconv, measured</h1>",
        f"<p><small>{escape(result.started)}, {result.seconds:.0f} s</small></p>",
        f"<p><code>{escape(result.command)}</code></p>",
        *told,
        _machine(result),
        f'<h2>Layers</h2><div class="wide">{_layers(result, found, differing)}</div>',
        f"<p><small>{escape(LEGEND)}</small></p>",
        _troubles(result, differing),
        f"<h2>Compared</h2>{_picture(result, plot.ratios, 'speed of fastconv over that of others, a bar a layer')}",
        f"<h2>Roofline</h2>{_picture(result, plot.roofline, 'GFLOP/s over floating point operations a byte')}",
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>fastconv, measured {escape(result.started[:10])}</title><style>{STYLE}</style>"
    text = f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"
    Path(path).write_text(text, encoding="utf-8")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    """Cells are HTML; from column `numbers` on they stand to the right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        marks = ("" if column < numbers else ' class="n"' for column in range(len(cells)))
        return "".join(f"<{tag}{mark}>{cell}</{tag}>" for mark, cell in zip(marks, cells, strict=True))

    body = "\n".join(f"<tr>{line('td', cells)}</tr>" for cells in rows)
    return f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _machine(result: Result) -> str:
    machine = result.machine
    versions = {**machine.versions, **{name: text for name, text in result.versions.items() if name != "fastconv"}}
    rows = [["CPU", escape(machine.describe())], ["system", escape(machine.system)]]
    rows += [[escape(name), escape(text)] for name, text in versions.items()]
    rows += [["limits", escape(limits_text(one))] for one in result.limits]
    rows += [["not installed", f"{escape(name)}: <code>{escape(pip)}</code>"] for name, pip in result.missing.items()]
    rows += [["settings", escape(", ".join(f"{name} {value}" for name, value in result.settings.items()))]]
    return "<h2>Machine</h2>" + _table(["", ""], rows, 2)


def _layers(result: Result, found: Sequence[Line], differing: Differing) -> str:
    peers = peer_names(result)
    head = ["", "layer", "geometry", "ran", "x", "time", "±", "GFLOP/s", "of limit", *map(short_name, peers)]
    head += ["ratio to the best"] if peers else []
    rows = []
    for number, line in enumerate(found, 1):
        name = " ".join(filter(None, (differing.row(line.row), differing.variant(line.own.variant))))
        same = f"<br><small>also {escape(', '.join(line.row.names[1:]))}</small>" if line.row.names[1:] else ""
        geometry = f"{escape(describe(line.row.problem.layer))}<br><small>{escape(line.row.problem.descriptor)}</small>"
        cells = [
            str(number),
            escape(name) + same,
            geometry,
            escape(line.own.ran),
            str(line.row.count),
            *(_marked(text) for text in own_texts(line)),
        ]
        cells += [_peer(line, line.peer(peer)) for peer in peers]
        rows.append([*cells, *([_ratio(line)] if peers else [])])
    return _table(head, rows, 4)


def _marked(text: str) -> str:
    return text.replace("WRONG", '<span class="wrong">WRONG</span>')


def _peer(line: Line, peer: Measurement | None) -> str:
    if peer is None or not peer.samples or not line.own.samples:
        return ""
    if peer.wrong:
        return _marked("WRONG")
    ratio = f"{peer.minimum / line.own.minimum:.2f}"
    return f"{f'<b>{ratio}</b>' if peer is line.best else ratio}<br><small>{seconds_text(peer.minimum)}</small>"


def _ratio(line: Line) -> str:
    if math.isnan(line.ratio):
        return ""
    return f'<span class="{"win" if line.ratio >= 1 else "lose"}">{line.ratio:.2f}</span>'


def _troubles(result: Result, differing: Differing) -> str:
    """What was wrong, and what could not be measured."""
    told = [
        f"<li>{_marked('WRONG') if one.wrong else 'not measured:'} {escape(differing.row(row))}, "
        f"{escape(variant_name(one.variant))}: {escape(one.wrong or one.cannot)}</li>"
        for row in result.rows
        for one in row.measurements
        if one.wrong or one.cannot
    ]
    return (
        f"<details><summary>{len(told)} not measured or wrong</summary><ul>{''.join(told)}</ul></details>"
        if told
        else ""
    )


def _picture(result: Result, draw: Callable[[Result, BinaryIO], None], says: str) -> str:
    buffer = io.BytesIO()
    draw(result, buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{escape(says)}" src="data:image/svg+xml;base64,{data}"></p>'
