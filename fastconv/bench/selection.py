"""Which problems a command line asks for: layers of nets, problems by hand or from files, times passes, types, batches.

A problem that several layers have is measured once; it keeps their names, and how many they are.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import descriptor
from .problem import Problem
from .workloads import NETS, Conv, Pool

__all__ = ["QUICK", "Selected", "select"]

QUICK = (
    "lenet5 conv2",
    "alexnet conv1",
    "alexnet conv2",
    "vgg16 conv1_2",
    "vgg16 conv3_2",
    "vgg16 conv5_1",
    "vgg16 pool1",
    "resnet50 conv1",
    "resnet50 maxpool",
    "resnet50 layer1.0.conv2",
    "resnet50 layer3.1.conv1",
    "mobilenet_v2 block1.depthwise",
    "mobilenet_v2 block4.depthwise",
    "mobilenet_v2 block8.expand",
)
"""What is measured unless anything is asked for: large and small maps, 1x1 to 11x11, strided, depthwise, pools."""


@dataclass
class Selected:
    """A problem, and whose it is."""

    problem: Problem
    names: list[str] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True)
class _Candidate:
    """A layer, and what the place it comes from says of how it is run; None where the command line decides."""

    name: str
    layer: Conv | Pool
    batch: int | None = None
    pass_name: str | None = None
    dtype: str | None = None
    layout: str | None = None


def select(args: argparse.Namespace) -> list[Selected]:
    """Make the problems that the arguments ask for; ValueError if there are none, or one cannot be read."""
    found: dict[str, Selected] = {}
    for one in _candidates(args):
        for problem in _problems(one, args):
            if problem.possible:
                selected = found.setdefault(problem.key, Selected(problem))
                selected.count += one.layer.count
                if one.name not in selected.names:
                    selected.names.append(one.name)
    if not found:
        raise ValueError("no layer of those that were asked for has such a name and pass")
    return list(found.values())


def _problems(one: _Candidate, args: argparse.Namespace) -> Iterator[Problem]:
    """The command line has the last word."""
    for dtype in args.dtype or [one.dtype or "float32"]:
        for layout in args.layout or [one.layout or "NCHW"]:
            for batch in args.batch or [one.batch or 1]:
                for pass_name in args.pass_names or [one.pass_name or "forward"]:
                    yield Problem(one.layer, pass_name, dtype, batch, layout)


def _candidates(args: argparse.Namespace) -> Iterator[_Candidate]:
    given = [*_by_hand(args), *_from_files(args)]
    if args.net or (not given and args.layer):
        given += _of_nets(args.net or NETS)
    if given:
        yield from (one for one in given if not args.layer or re.search(args.layer, one.name))
    else:
        named = {one.name: one for one in _of_nets(dict.fromkeys(name.partition(" ")[0] for name in QUICK))}
        yield from (named[name] for name in QUICK)


def _of_nets(names: object) -> list[_Candidate]:
    nets = [(name, layer) for name in names for layer in NETS[name].layers]  # type: ignore[attr-defined]
    return [_Candidate(f"{net} {layer.name}", layer) for net, layer in nets if isinstance(layer, Conv | Pool)]


def _by_hand(args: argparse.Namespace) -> Iterator[_Candidate]:
    shape = {"stride": args.stride, "padding": args.padding, "dilation": args.dilation, "groups": args.groups}
    for text in args.conv or ():
        told = descriptor.by_hand(text, **shape, bias=not args.no_bias)
        yield _Candidate(told.layer.name, told.layer, told.batch, told.pass_name)
    for text in args.problem or ():
        told = descriptor.parse(text)
        yield _Candidate(told.layer.name, told.layer, told.batch, told.pass_name)


def _from_files(args: argparse.Namespace) -> Iterator[_Candidate]:
    for path in args.file or ():
        for line in descriptor.parse_file(path):
            yield _Candidate(line.layer.name, line.layer, line.batch, line.pass_name, line.dtype, line.layout)
