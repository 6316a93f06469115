"""Files of problems: descriptors, one a line, or a log of FASTCONV_VERBOSE=1.

A line of a log is fastconv,op,pass,descriptor,dtype,layout,algorithm,instruction set,threads=...,us=...
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..workloads import Conv, Pool
from .notation import DTYPES, Descriptor, Driver, Options, PassName, split_line
from .source import Source

__all__ = ["Line", "parse_file"]

MARK = "fastconv,"
OP = re.compile(r"(conv_transpose|conv|max_pool|avg_pool)([123]d)?(_\w+)?")
PASSES: dict[str, PassName] = {
    "forward": "forward",
    "grad_input": "grad_input",
    "grad_weight": "grad_weight",
    "backward": "grad_input",
}
# What is no convolution or pooling with a window of its own has the shape of its input instead of a descriptor.
SHAPE = re.compile(r"[0-9]+(x[0-9]+)*")
LAYOUT = re.compile(r"nc(d?h)?w|n(d?h)?wc")


class Line(NamedTuple):
    """What a line of a file says; what it does not say is None."""

    layer: Conv | Pool
    batch: int
    pass_name: PassName | None
    dtype: str | None
    layout: str | None
    """NCHW or NHWC, whatever the number of axes."""
    number: int
    """Of the first line that says so, from 1."""


def parse_file(path: str | Path, *, driver: Driver = "conv", alg: str = "max") -> list[Line]:
    """Read a file of descriptors, or a log of FASTCONV_VERBOSE=1; equal lines are one layer with its `count`.

    A descriptor stands alone on its line, after options as `parse` takes them. Options on a line of their
    own hold for the lines below, until ``--reset``. Empty lines and what follows ``#`` are skipped. A file that has any
    line of a log is a log: what else the application wrote is skipped, and so are ops that have no descriptor and calls
    on nothing.

    Parameters
    ----------
    path : str or Path
        The file.
    driver : {"conv", "deconv", "pool"}, default: "conv"
        What descriptors are of, unless the file says.
    alg : {"max", "avg_p", "avg_np"}, default: "max"
        The kind of poolings, unless the file says.

    Returns
    -------
    list of Line
        In the order of the file.

    Raises
    ------
    ValueError
        If a line cannot be read: file, line, column, and what was expected there.
    OSError
        If the file cannot be read.
    """
    # Not splitlines(), which counts form feeds and others as ends of lines too.
    texts = Path(path).read_text(encoding="utf-8-sig", errors="replace").split("\n")
    is_log = any(text.startswith(MARK) for text in texts)
    found: dict[Line, Line] = {}
    initial = lasting = Options(driver, alg)
    for number, text in enumerate(texts, 1):
        source = Source(text, f"{path}, line {number}")
        line = None
        if is_log:
            line = _logged(source, number) if text.startswith(MARK) else None
        else:
            options, token = split_line(source, lasting, initial)
            if token:
                layer, batch = Descriptor(source, *token).layer(options)
                line = Line(layer, batch, options.pass_name, options.dtype, None, number)
            else:
                lasting = options
        if line:
            key = line._replace(layer=replace(line.layer, name="", count=1), number=0)
            first = found.get(key, line._replace(layer=replace(line.layer, count=0)))
            found[key] = first._replace(layer=replace(first.layer, count=first.layer.count + 1))
    return list(found.values())


def _logged(source: Source, number: int) -> Line | None:
    """What one line of a log says; None if there is nothing to run."""
    fields = source.text.split(",")
    if len(fields) < 6:
        source.fail(len(source.text), "expected fastconv,op,pass,descriptor,dtype,layout,...")
    _, op, pass_name, text, dtype, layout = fields[:6]
    columns = [sum(len(one) + 1 for one in fields[:place]) for place in range(6)]
    if SHAPE.fullmatch(text):
        return None
    match = OP.fullmatch(op)
    if not match:
        source.fail(columns[1], f"expected conv, conv_transpose, max_pool or avg_pool, found {op!r}")
    if pass_name not in PASSES:
        source.fail(columns[2], f"expected one of {' '.join(PASSES)}, found {pass_name!r}")
    if dtype not in DTYPES:
        source.fail(columns[4], f"expected one of {' '.join(DTYPES)}, found {dtype!r}")
    if not LAYOUT.fullmatch(layout):
        source.fail(columns[5], f"expected a layout such as nchw or nhwc, found {layout!r}")
    descriptor = Descriptor(source, columns[3], text, was_run=True)
    if descriptor.values.get("mb") == 0:
        return None
    which, run = match.group(1), PASSES[pass_name]
    driver: Driver = "pool" if which.endswith("pool") else "conv"
    if which == "conv_transpose":
        # The line tells of the convolution that it transposes. Forward is that one's gradient in the input, and the
        # other way about.
        driver = "deconv"
        descriptor.transpose()
        run = {"grad_input": "forward", "forward": "grad_input"}.get(run, run)  # type: ignore[assignment]
    layer, batch = descriptor.layer(Options(driver, "avg_p" if which == "avg_pool" else "max"))
    return Line(layer, batch, run, DTYPES[dtype], "NCHW" if layout.startswith("nc") else "NHWC", number)
