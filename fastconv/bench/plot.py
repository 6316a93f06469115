"""Two pictures of a run: how fast each layer is compared with others, and how close to what the machine can do.

Colours are Okabe and Ito's, which tell apart with every kind of colour vision (a grey for their yellow, which is faint
on white); shapes and text say the same again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .results import Limits, Result
from .summary import Differing, Line, lines, peer_names
from .wording import limit_text, short_name, threads_text
from .workloads import Conv

__all__ = ["ratios", "roofline", "save"]

WINS, LOSES, DONE = "#0072B2", "#D55E00", "#999999"
PEER_COLOURS = ("#000000", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#7F7F7F")
MARKERS = "osD^vP*Xdp"
KINDS = (("1x1", "#0072B2", "o"), ("dense", "#D55E00", "s"), ("grouped", "#009E73", "D"), ("pool", "#CC79A7", "^"))
WIDTH = 9.0
ROW = 0.27
"""Inches: of a figure, and of one line of bars."""
MOST_NUMBERED = 40
"""Points of a roofline beyond which numbers would cover them."""


def save(result: Result, path: str | Path) -> None:
    """Write both pictures into one file, of the type that its name says."""
    count = len(lines(result))
    panels = len(_panels(result))
    heights = [_bars_height(count), *([_ROOF_HEIGHT] * panels)]
    figure = Figure((WIDTH, sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _draw_ratios(result, axes[0])
    for axis, panel in zip(axes[1:], _panels(result), strict=True):
        _draw_roofline(result, axis, panel)
    _write(figure, path)


def ratios(result: Result, to: str | Path | BinaryIO) -> None:
    """Write the bars alone."""
    figure = Figure((WIDTH, _bars_height(len(lines(result)))), layout="constrained")
    _draw_ratios(result, figure.subplots())
    _write(figure, to)


def roofline(result: Result, to: str | Path | BinaryIO) -> None:
    """Write the rooflines alone."""
    panels = _panels(result)
    figure = Figure((WIDTH, _ROOF_HEIGHT * len(panels)), layout="constrained")
    for axis, panel in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _draw_roofline(result, axis, panel)
    _write(figure, to)


_ROOF_HEIGHT = 5.2


def _bars_height(count: int) -> float:
    return 1.7 + ROW * count


def _write(figure: Figure, to: str | Path | BinaryIO) -> None:
    """A name says the type; an open file gets SVG."""
    kind = Path(to).suffix[1:] if isinstance(to, str | Path) else "svg"
    # Without the date, equal runs give equal files.
    figure.savefig(to, format=kind, dpi=140, metadata={"Date": None} if kind == "svg" else None)


# ---- bars


def _draw_ratios(result: Result, axes: Axes) -> None:
    found, differing = lines(result), Differing.of(result.rows)
    places = np.arange(len(found))
    labels = [f"{_name(line, differing)}  {number}" for number, line in enumerate(found, 1)]
    axes.set_yticks(places, labels, fontsize=8.5)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    if any(not math.isnan(line.ratio) for line in found):
        _draw_against(found, peer_names(result), axes)
    else:
        _draw_shares(found, axes)


def _name(line: Line, differing: Differing) -> str:
    text = " ".join(filter(None, (differing.row(line.row), differing.variant(line.own.variant))))
    return text if len(text) <= 64 else f"{text[:34]}...{text[-27:]}"


def _draw_against(found: Sequence[Line], peers: Sequence[str], axes: Axes) -> None:
    axes.set_xscale("log")
    drawn = [1.0]
    for place, line in enumerate(found):
        if not math.isnan(line.ratio):
            drawn.append(line.ratio)
            colour = WINS if line.ratio >= 1 else LOSES
            axes.barh(place, line.ratio - 1, left=1, height=0.62, color=colour, alpha=0.75)
        axes.text(1.01, place, _verdict(line), transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    marks = [(name, points) for name in peers if (points := _marks(found, name))]
    for number, (name, points) in enumerate(marks):
        x, y = zip(*points, strict=True)
        drawn += x
        style: Any = {"marker": MARKERS[number % len(MARKERS)], "color": PEER_COLOURS[number % len(PEER_COLOURS)]}
        axes.scatter(x, y, s=24, edgecolors="white", linewidths=0.6, label=short_name(name), zorder=3, **style)
    low, high = min(drawn) / 1.15, max(drawn) * 1.15
    axes.set_xlim(low, high)
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200) if low <= tick <= high]
    if high / low > 20:  # so many would touch
        ticks = [tick for tick in ticks if tick not in (0.7, 1.5, 3)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("bars: speed of fastconv over the best other; marks: over each. Right of 1, fastconv is faster")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=8.5, frameon=False, borderaxespad=0.2)


def _marks(found: Sequence[Line], name: str) -> list[tuple[float, int]]:
    """Where the marks of one of the others stand: the ratio, and the line."""
    return [
        (peer.minimum / line.own.minimum, place)
        for place, line in enumerate(found)
        if (peer := line.peer(name)) and peer.samples and not peer.wrong and line.own.samples
    ]


def _verdict(line: Line) -> str:
    if line.own.wrong:
        return "WRONG"
    if not line.best or math.isnan(line.ratio):
        return ""
    return f"{line.ratio:.2f}  {short_name(line.best.variant.implementation)}"


def _draw_shares(found: Sequence[Line], axes: Axes) -> None:
    """Without others to compare with: how much of the limit is reached."""
    for place, line in enumerate(found):
        if line.bound:
            axes.barh(place, 100 * line.share, height=0.62, color=WINS, alpha=0.75)
            axes.text(1.01, place, limit_text(line), transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.set_xlabel("percent of the limit that binds it")


# ---- roofline


def _panels(result: Result) -> list[tuple[Limits, str]]:
    """One for each number of threads, instruction set and dtype that was measured."""
    known = {(one.isa, one.threads): one for one in result.limits}
    keys = dict.fromkeys(
        (line.own.variant.isa, line.row.threads, line.row.problem.dtype) for line in lines(result) if line.bound
    )
    return [(known[isa, threads], dtype) for isa, threads, dtype in keys]


def _draw_roofline(result: Result, axes: Axes, panel: tuple[Limits, str]) -> None:
    limits, dtype = panel
    cold = result.settings.get("cache") == "cold"
    mine = [
        (number, line)
        for number, line in enumerate(lines(result), 1)
        if line.bound and (line.own.variant.isa, line.row.threads) == (limits.isa, limits.threads)
        if line.row.problem.dtype == dtype
    ]
    intensities = [line.row.problem.flops / line.row.problem.bytes for _, line in mine]
    rates = [line.nominal / 1e9 for _, line in mine]
    peak = limits.peak(dtype) / 1e9
    low, high = min(*intensities, 1) / 2, max(*intensities, 10) * 2
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(min(*rates, peak / 10) / 2, max(*rates, peak) * 2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    _draw_roofs(axes, limits, peak, low, high)
    for name, colour, marker in KINDS:
        points = [(x, line) for x, (_, line) in zip(intensities, mine, strict=True) if _kind(line) == name]
        if points:
            x, y = zip(*((x, line.executed / 1e9) for x, line in points), strict=True)
            style: Any = {"marker": marker, "color": colour, "edgecolors": "white", "linewidths": 0.6}
            axes.scatter(x, y, s=34, label=name, zorder=3, **style)
            for one, line in points:
                if line.executed != line.nominal:
                    axes.plot([one] * 2, [line.executed / 1e9, line.nominal / 1e9], color=colour, linewidth=0.8)
                    axes.scatter([one], [line.nominal / 1e9], s=34, marker=marker, facecolors="none", edgecolors=colour)
    if len(mine) <= MOST_NUMBERED:
        named = zip(intensities, mine, strict=True)
        _number(axes, [(x, line.executed / 1e9, str(number)) for x, (number, line) in named], peak)
    axes.set_xlabel("floating point operations a byte that must be moved")
    axes.set_ylabel("GFLOP/s")
    threads = threads_text(limits.threads)
    hollow = "; hollow: as of a plain convolution" if any(one.executed != one.nominal for _, one in mine) else ""
    cached = ", cold" if cold else ""
    numbered = "; numbers as beside the bars" if len(mine) <= MOST_NUMBERED else ""
    axes.set_title(f"{dtype}, {threads}, {limits.isa}{cached}{numbered}{hollow}", fontsize=9.5, loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8.5, frameon=False, borderaxespad=0)
    axes.grid(color="#eeeeee", linewidth=0.7)
    axes.set_axisbelow(True)


def _draw_roofs(axes: Axes, limits: Limits, peak: float, low: float, high: float) -> None:
    """The flat roof, and a slope a level of memory."""
    axes.axhline(peak, color="black", linewidth=1.2)
    text = f"multiply-adds {peak:.0f} GFLOP/s"
    # Left, where no line from a hollow mark to its full one crosses it.
    axes.annotate(text, (low, peak), (4, 4), textcoords="offset points", ha="left", fontsize=8.5)
    for number, level in enumerate(limits.levels):
        slope = level.bandwidth / 1e9
        x = np.array([low, max(low, peak / slope)])
        label = f"{level.name} {slope:.0f} GB/s"
        axes.plot(x, x * slope, color=DONE, linewidth=1.1, linestyle=("-", "--", "-.", ":")[number % 4], label=label)


def _kind(line: Line) -> str:
    layer = line.row.problem.layer
    if not isinstance(layer, Conv):
        return "pool"
    if layer.groups > 1:
        return "grouped"
    return "1x1" if math.prod(layer.kernel_size) == 1 else "dense"


def _number(axes: Axes, points: Sequence[tuple[float, float, str]], roof: float) -> None:
    """Write a number beside each point, where neither a point nor another number is."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    to_pixels = axes.transData.transform
    pixels = axes.figure.dpi / 72
    taken = [(*to_pixels((x, y)), 5 * pixels, 5 * pixels) for x, y, _ in points]  # centre, half width, half height
    taken.append((0.0, to_pixels((1, roof))[1] + 4 * pixels, math.inf, 6 * pixels))  # the roof and what stands on it
    for x, y, text in points:
        at = to_pixels((x, y))
        half = (2.6 * len(text) + 1) * pixels, 4.5 * pixels
        for offset in _OFFSETS:
            box = (at[0] + offset[0] * pixels, at[1] + offset[1] * pixels, *half)
            if not any(abs(box[0] - o[0]) < box[2] + o[2] and abs(box[1] - o[1]) < box[3] + o[3] for o in taken):
                break
        else:
            continue  # no room: the table has it
        taken.append(box)
        far = math.hypot(*offset) > 14
        arrow = {"arrowstyle": "-", "color": DONE, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3} if far else None
        axes.annotate(
            text, (x, y), offset, textcoords="offset points", ha="center", va="center", fontsize=8, arrowprops=arrow
        )


_OFFSETS = [
    (radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle)))
    for radius in (11, 17, 24, 32)
    for angle in (0, 90, 180, 270, 45, 135, 225, 315)
]
