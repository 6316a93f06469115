"""Rewrites docs/benchmarks.md and the pictures beside it from what ``python -m fastconv bench --json FILE`` wrote.

python bench/redraw.py FILE.json [--page NAME] [--docs FOLDER]

A page for each kind of machine: ``benchmarks``, and ``benchmarks_avx512``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from fastconv.bench import plot
from fastconv.bench.passes import describe
from fastconv.bench.results import Result, load
from fastconv.bench.summary import Differing, Line, closing, lines, peer_names
from fastconv.bench.wording import limits_text, own_texts, short_name

DOCS = Path(__file__).resolve().parent.parent / "docs"

LEGEND = """\
Times are the shortest of the samples. GFLOP/s count two a multiply-add, padding not counted; of Winograd as of a plain
convolution, and in brackets what was done. The limit is what multiply-adds (FMA) or bytes to and from a cache level
allow. Columns of others: the speed of fastconv over theirs. Their weights are packed beforehand, and torch c.last has
its arrays in its own layout: nothing of that is timed."""


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.json")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER", help="default: docs")
    parser.add_argument("--page", default="benchmarks", metavar="NAME", help="default: benchmarks")
    args = parser.parse_args()
    result = load(args.file)
    plot.ratios(result, args.docs / f"{args.page}_ratios.svg")
    plot.roofline(result, args.docs / f"{args.page}_roofline.svg")
    page = args.docs / f"{args.page}.md"
    page.write_text(text(result, args.page), encoding="utf-8")
    print(f"{page}: {len(lines(result))} rows")


def text(result: Result, page: str) -> str:
    """The page."""
    found, differing = lines(result), Differing.of(result.rows)
    parts = [
        f"# Benchmarks: {', '.join(dict.fromkeys(limits.isa for limits in result.limits))}",
        f"Made by `bench/redraw.py` from a run of {result.started[:10]}, which anyone can repeat:",
        f"```sh\n{result.command}\n```",
        *(f"**{told}.**" for told in closing(found, differing)),
        *(f"> Doubt: {told}." for told in result.warnings),
        "## Machine",
        table(["", ""], machine(result)),
        "## Layers",
        LEGEND,
        layers(result, found, differing),
        f"![Bars: the speed of fastconv over that of others, for each layer]({page}_ratios.svg)",
        f"![Roofline: GFLOP/s of each layer over the operations a byte]({page}_roofline.svg)",
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 99) -> str:
    """Columns from `numbers` on stand to the right."""
    marks = ["---" if column < numbers else "---:" for column in range(len(head))]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, marks, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def machine(result: Result) -> list[list[str]]:
    """What it ran on."""
    versions = {**result.machine.versions, **{n: v for n, v in result.versions.items() if n != "fastconv"}}
    threads = ", ".join(map(str, dict.fromkeys(row.threads for row in result.rows)))
    rows = [["CPU", result.machine.describe()], ["system", result.machine.system.split()[0]], ["threads", threads]]
    return (
        rows + [[name, told] for name, told in versions.items()] + [["limits", limits_text(o)] for o in result.limits]
    )


def layers(result: Result, found: Sequence[Line], differing: Differing) -> str:
    """The table of all measurements."""
    peers = peer_names(result)
    head = ["", "layer", "geometry", "ran", "time", "GFLOP/s", "of limit", *map(short_name, peers), "ratio to the best"]
    rows = []
    for number, line in enumerate(found, 1):
        name = " ".join(filter(None, (differing.row(line.row), differing.variant(line.own.variant))))
        time, _, rate, limit = own_texts(line)
        cells = [str(number), name, describe(line.row.problem.layer), line.own.ran, time, rate, limit]
        for peer in (line.peer(name) for name in peers):
            measured = peer and peer.samples and not peer.wrong and line.own.samples
            cells.append(f"{peer.minimum / line.own.minimum:.2f}" if peer and measured else "")
        rows.append([*cells, "" if math.isnan(line.ratio) else f"**{line.ratio:.2f}**"])
    return table(head, rows, 4)


if __name__ == "__main__":
    main()
