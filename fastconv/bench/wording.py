"""How figures of a run are written, in the terminal, on a page and in the documents alike."""

from __future__ import annotations

from .results import Limits
from .summary import Line

__all__ = ["limit_text", "limits_text", "own_texts", "rate_text", "seconds_text", "short_name", "threads_text"]

SHORT = {"torch_channels_last": "torch c.last", "onnxruntime": "ORT", "openvino": "OpenVINO"}


def short_name(name: str) -> str:
    """Name an implementation where there is little room."""
    return SHORT.get(name, name)


def threads_text(threads: int) -> str:
    """Count threads."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def seconds_text(seconds: float) -> str:
    """Three digits and a unit."""
    for factor, unit in ((1e6, "us"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def rate_text(line: Line) -> str:
    """GFLOP/s, as of a plain convolution; in brackets those that were done, if they differ."""
    done = f" ({_three(line.executed / 1e9)})" if line.executed != line.nominal else ""
    return _three(line.nominal / 1e9) + done


def limit_text(line: Line) -> str:
    """What share of which limit is reached."""
    return f"{100 * line.share:.0f} % {line.bound.limit}" if line.bound else ""


def own_texts(line: Line) -> list[str]:
    """Time, spread, speed and share of the limit; WRONG in place of the time, and no more, of a wrong result."""
    if line.own.wrong or not line.own.samples:
        return ["WRONG" if line.own.wrong else "", "", "", ""]
    spread = f"{100 * line.own.spread:.0f} %"
    return [seconds_text(line.own.minimum), spread, rate_text(line), limit_text(line)]


def limits_text(limits: Limits) -> str:
    """Say in a line what the cores can do at most."""
    flops = ", ".join(f"{name} {limits.peak(name) / 1e9:.0f} GFLOP/s" for name in limits.flops)
    copies = ", ".join(f"{level.name} {level.bandwidth / 1e9:.0f}" for level in limits.levels)
    threads = threads_text(limits.threads)
    return f"{limits.isa}, {threads}: multiply-adds {flops}; copies in GB/s, read and written: {copies}"


def _three(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
