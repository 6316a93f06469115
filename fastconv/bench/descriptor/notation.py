"""Problems in the notation of oneDNN's benchdnn.

A descriptor is a row of entries, a name and a number each, with an underscore after any for the eye::

    g32mb1_ic128ih28_oc128oh28_kh3ph1_n"a layer"

    g groups   mb items   ic, oc channels   n name
    i input   o output   k kernel   s stride   p padding before   d dilation, of d, h and w (``ih``, ``dw``)

The rules are benchdnn's (oneDNN, tests/benchdnn/doc/knobs_desc.md and str2desc in conv_aux.cpp, pool_aux.cpp and
deconv_aux.cpp). mb is 2, s 1, d 0 unless given, and d0 means dilation 1. Where all of w is missing it is as h, where
all of h and w as d; entries of w alone make a signal. o follows from the rest with p 0, and where o is given but p is
not, padding is as even as possible. Given both, o says what padding there is at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, NoReturn, TypeAlias

from ..workloads import Conv, Layer, Pool
from ..workloads.layers import Pads
from .source import Source, one

__all__ = ["Described", "Descriptor", "Driver", "Options", "PassName", "format", "padding_of", "parse", "split_line"]

Driver: TypeAlias = Literal["conv", "deconv", "pool"]
PassName: TypeAlias = Literal["forward", "grad_input", "grad_weight"]

AXES = "dhw"
KEYS = ("g", "mb", "ic", "oc", *(kind + axis for kind in "ioksp" for axis in AXES), *("d" + axis for axis in AXES))
ALGS = {
    "max": "max",
    "pooling_max": "max",
    "avg_p": "avg_p",
    "pooling_avg_include_padding": "avg_p",
    "avg_np": "avg_np",
    "pooling_avg_exclude_padding": "avg_np",
}
DIRECTIONS: dict[str, tuple[PassName, bool]] = {
    "FWD_B": ("forward", True),
    "FWD_D": ("forward", False),
    "FWD_I": ("forward", False),
    "BWD_D": ("grad_input", False),
    "BWD_W": ("grad_weight", False),
    "BWD_WB": ("grad_weight", True),
}
DTYPES = {"f32": "float32", "f64": "float64"}


class Described(NamedTuple):
    """A layer, how many items it works on, and the pass if the text names one."""

    layer: Conv | Pool
    batch: int
    pass_name: PassName | None


def parse(text: str, *, driver: Driver = "conv", alg: str = "max") -> Described:
    """Read one descriptor, after any of benchdnn's ``--conv --deconv --pool --dir= --alg= --mb= --dt=``.

    Parameters
    ----------
    text : str
        For instance ``mb1ic64ih56oc64oh56kh3ph1`` or ``--pool --alg=avg_np mb1ic64ih112kh3sh2ph1``.
    driver : {"conv", "deconv", "pool"}, default: "conv"
        What the descriptor is of, unless `text` says. A deconvolution is a transposed convolution.
    alg : {"max", "avg_p", "avg_np"}, default: "max"
        The kind of a pooling: maximum, mean with padding counted, mean without.

    Returns
    -------
    Described
        Its pass follows from ``--dir``, and so does whether a convolution has a bias, which by default it has. A layer
        without a name is called as its descriptor.

    Raises
    ------
    ValueError
        If `text` cannot be read or describes no layer: line, column, and what was expected there.
    """
    line = Source(text, "line 1")
    options, token = split_line(line, Options(driver, alg))
    if token is None:
        line.fail(len(text), "expected a descriptor, such as mb1ic64ih56oc64kh3ph1")
    layer, batch = Descriptor(line, *token).layer(options)
    return Described(layer, batch, options.pass_name)


def format(layer: Layer, batch: int = 1, *, name: bool = False) -> str:  # the counterpart of parse
    """Write a layer as benchdnn prints it, with all defaults but stride, dilation and groups.

    Parameters
    ----------
    layer : Conv or Pool
        A transposed convolution gives a descriptor for ``--deconv``; what kind a pooling is does not show.
    batch : int, default: 1
        Number of items.
    name : bool, default: False
        Whether the name is written.

    Returns
    -------
    str
        For instance ``mb1ic64ih56oc64oh56kh3ph1``. `parse` makes an equal layer of it, except for what descriptors do
        not say: bias, count, and padding at the end that no window reaches.

    Raises
    ------
    TypeError
        If the layer is neither a convolution nor a pooling.
    """
    if not isinstance(layer, Conv | Pool):
        raise TypeError(f"format: {type(layer).__name__} has no descriptor")
    values = {
        "i": layer.size,
        "o": layer.output_size,
        "k": layer.kernel_size,
        "s": layer.strides,
        "p": tuple(before for before, _ in layer.pads),
        "d": tuple(d - 1 for d in layer.dilations),
    }
    alike = all(len(set(numbers)) == 1 for numbers in values.values())
    shown = AXES[3 - layer.rank :][: 1 if alike else None]

    def axes(kind: str, default: int | None = None) -> str:
        if all(number == default for number in values[kind]):
            return ""
        return "".join(f"{kind}{axis}{number}" for axis, number in zip(shown, values[kind], strict=False))

    text = f"g{layer.groups}" if isinstance(layer, Conv) and layer.groups > 1 else ""
    text += f"mb{batch}ic{layer.channels}{axes('i')}"
    text += f"oc{layer.filters}" if isinstance(layer, Conv) else ""
    text += f"{axes('o')}{axes('k')}{axes('s', 1)}{axes('p')}{axes('d', 0)}"
    return f'{text}n"{layer.name}"' if name else text


# ---- options


@dataclass(frozen=True)
class Options:
    """What benchdnn's options say."""

    driver: Driver
    alg: str
    direction: str | None = None
    batch: int | None = None
    dtype: str | None = None

    @property
    def pass_name(self) -> PassName | None:
        """What ``--dir`` names."""
        return DIRECTIONS[self.direction][0] if self.direction else None

    @property
    def bias(self) -> bool:
        """Whether there is one; there is unless ``--dir`` says no."""
        return DIRECTIONS[self.direction][1] if self.direction else True

    def __post_init__(self) -> None:
        if self.driver not in ("conv", "deconv", "pool"):
            raise ValueError(f"driver is {self.driver!r}; needs conv, deconv or pool")
        if self.alg not in ALGS:
            raise ValueError(f"alg is {self.alg!r}; needs max, avg_p or avg_np")


def split_line(
    source: Source, options: Options, initial: Options | None = None
) -> tuple[Options, tuple[int, str] | None]:
    """Options and the descriptor, with its column, of a line whose comment is cut off."""
    token: tuple[int, str] | None = None
    for match in re.finditer(r'#.*|(?:"[^"]*"?|[^\s"#])+', source.text):
        column, word = match.start(), match.group()
        if word.startswith("#"):
            break
        if token:
            source.fail(column, f"expected the end of the line after a descriptor, found {word!r}")
        if word.startswith("-"):
            options = _with_option(source, column, word, options, initial or options)
        else:
            token = column, word
    return options, token


def _with_option(source: Source, column: int, word: str, options: Options, initial: Options) -> Options:
    name, equals, value = word.partition("=")
    behind = column + len(name) + len(equals)

    def known(words: Sequence[str]) -> str:
        if value not in words:
            source.fail(behind, f"{name}= needs one of {' '.join(words)}")
        return value

    if word == "--reset":
        return initial
    if word in ("--conv", "--deconv", "--pool"):
        return replace(options, driver=word[2:])  # type: ignore[arg-type]
    if name == "--dir":
        return replace(options, direction=known(tuple(DIRECTIONS)))
    if name == "--alg":
        return replace(options, alg=known(tuple(ALGS)))
    if name == "--mb":
        return replace(options, batch=source.number(behind, value, 0) or None)
    if name == "--dt":
        return replace(options, dtype=DTYPES[known(tuple(DTYPES))])
    return source.fail(column, "expected --conv --deconv --pool --dir= --alg= --mb= --dt= --reset or a descriptor")


# ---- descriptors


class _Axis(NamedTuple):
    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    output: int
    extra: int = 0
    """Output padding of a transposed convolution."""


@dataclass
class Descriptor:
    """The entries of one descriptor, which begins at `column`.

    If it `was_run`, as the lines of a log were, padding at the end may hold whole windows. Written by hand that is
    taken for an error: no net has it, and it lets any o pass.
    """

    source: Source
    column: int
    text: str
    was_run: bool = False
    name: str = ""
    values: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name, place = self.text, 0
        while place < len(self.text):
            start = self.column + place
            if self.text[place] == "n":
                self.name = self._quoted(start + 1, self.text[place + 1 :])
                break
            key = next((key for key in KEYS if self.text.startswith(key, place)), None)
            if key is None:
                self.source.fail(start, f"expected one of {' '.join(KEYS)} n, found {self.text[place:]!r}")
            place += len(key)
            digits = re.compile(r"[0-9]*").match(self.text, place)
            assert digits
            if not digits.group():
                self.source.fail(self.column + place, f"{key} needs a number")
            if key in self.values:
                self.source.fail(start, f"{key} is given twice")
            self.values[key] = self.source.number(self.column + place, digits.group(), 0)
            self.columns[key] = start
            place = digits.end()
            place += self.text.startswith("_", place)

    def _quoted(self, column: int, name: str) -> str:
        if name.count('"') not in (0, 2) or (name.count('"') == 2 and not (name[0] == name[-1] == '"')):
            self.source.fail(column + name.index('"'), 'expected n"name", the quotes closed at the end')
        if not name.strip('"'):
            self.source.fail(column, "n needs a name")
        return name.strip('"')

    def transpose(self) -> None:
        """Exchange input and output."""
        other = {"i": "o", "o": "i"}
        for table in (self.values, self.columns):
            turned = {other.get(key[0], key[0]) + key[1:]: value for key, value in table.items()}
            table.clear()
            table.update(turned)

    def fail(self, key: str, expected: str) -> NoReturn:
        """Say what was expected of an entry, at the end if it is missing."""
        self.source.fail(self.columns.get(key, self.column + len(self.text)), expected)

    def needed(self, key: str, meaning: str) -> int:
        """Return what an entry must say."""
        if self.values.get(key, 0) < 1:
            self.fail(key, f"expected {key} ({meaning}) of 1 or more")
        return self.values[key]

    def layer(self, options: Options) -> tuple[Conv | Pool, int]:
        """The layer, and the number of items."""
        if self.values.get("mb", 2) < 1:
            self.fail("mb", "expected mb (items) of 1 or more")
        batch = options.batch or self.values.get("mb", 2)
        pools = options.driver == "pool"
        if pools and options.pass_name == "grad_weight":
            self.source.fail(self.column, f"a pooling has no weights, so no --dir={options.direction}")
        for key in ("g", "oc") if pools else ():
            if key in self.values:
                self.fail(key, f"a pooling has no {key}")
        channels = self.needed("ic", "input channels")
        filters = channels if pools else self.needed("oc", "output channels; for a pooling, write --pool before")
        groups = self.needed("g", "groups") if "g" in self.values else 1
        if channels % groups or filters % groups:
            self.fail("g", f"g{groups} does not divide ic{channels} and oc{filters}")
        axes = self._axes(options.driver)
        if pools:
            return self._pool(ALGS[options.alg], channels, axes), batch
        layer = Conv(
            self.name,
            channels,
            tuple(a.size for a in axes),
            filters,
            tuple(a.kernel for a in axes),
            stride=one(tuple(a.stride for a in axes)),
            padding=padding_of([(a.before, a.after) for a in axes]),
            dilation=one(tuple(a.dilation for a in axes)),
            groups=groups,
            bias=options.bias,
            transposed=options.driver == "deconv",
            output_padding=one(tuple(a.extra for a in axes)),
        )
        return layer, batch

    def _pool(self, alg: str, channels: int, axes: list[_Axis]) -> Pool:
        for axis, a in zip(AXES[3 - len(axes) :], axes, strict=True):
            reach = a.dilation * (a.kernel - 1) + 1
            if a.before >= reach:
                text = f"p{axis}{a.before}: the padding of a pooling must be smaller than its window of {reach}"
                self.fail(f"p{axis}", text)
            if alg != "max" and a.dilation > 1:
                self.fail(f"d{axis}", "only a maximum pooling has a dilation")
        layer = Pool(
            self.name,
            "max" if alg == "max" else "avg",
            channels,
            tuple(a.size for a in axes),
            tuple(a.kernel for a in axes),
            stride=one(tuple(a.stride for a in axes)),
            padding=padding_of([(a.before, a.after) for a in axes]),
            dilation=one(tuple(a.dilation for a in axes)),
            count_include_pad=alg != "avg_np",
        )
        # Nets have even padding and a size that may be rounded up. The first window must fit all the same.
        fits = all(a.size + 2 * a.before >= reach for a, reach in zip(axes, layer.reach, strict=True))
        for ceil_mode in (False, True) if fits else ():
            same = replace(layer, padding=one(tuple(a.before for a in axes)), ceil_mode=ceil_mode)
            if same.output_size == layer.output_size:
                return same
        return layer

    def _axes(self, driver: str) -> list[_Axis]:
        """Each axis that there is, after benchdnn's rules of copying."""
        found = {axis: self._axis(axis, driver) for axis in AXES if self._has(axis)}
        if not found:
            self.fail("iw", "expected sizes: ih and kh for images, iw and kw for signals, id and kd for volumes")
        if "d" in found and ("h" in found) != ("w" in found):
            self.fail("ow", "expected entries of both h and w or of neither beside those of d")
        if "d" in found and "h" not in found:
            return [found["d"]] * 3
        if "h" in found and "w" not in found:
            return [found["h"]] * 2
        return list(found.values())

    def _has(self, axis: str) -> bool:
        given = any(self.values.get(kind + axis, 0) for kind in "ikopd")
        return given or self.values.get(f"s{axis}", 1) != 1

    def _axis(self, axis: str, driver: str) -> _Axis:
        n, k = self.needed(f"i{axis}", "input size"), self.needed(f"k{axis}", "kernel size")
        s = self.needed(f"s{axis}", "stride") if f"s{axis}" in self.values else 1
        d = self.values.get(f"d{axis}", 0) + 1
        reach = d * (k - 1) + 1
        before, out = self.values.get(f"p{axis}"), self.values.get(f"o{axis}", 0)
        if driver == "deconv":
            return self._transposed_axis(axis, n, k, s, d, before, out)
        if before is None:
            before = max(0, ((out - 1) * s - n + reach) // 2) if out else 0
        natural = (n + 2 * before - reach) // s + 1 if n + 2 * before >= reach else 0
        if not out and not natural:
            self.fail(f"k{axis}", f"k{axis}{k} d{axis}{d - 1} does not fit into i{axis}{n} with p{axis}{before}")
        if not out or out == natural:
            return _Axis(n, k, s, d, before, before, natural)
        # What the last window does not reach needs no padding, but a whole window more there would be one more output.
        # And a window begins in the input or the padding before it, unless one was run that did not.
        least = (n + before - reach) // s + 1 if n + before >= reach else 1
        most = max((n + before - 1) // s + 1, natural)
        if out < least or (out > most and not self.was_run):
            self._unfit(axis, out, n, k, s, before, d, least, most)
        return _Axis(n, k, s, d, before, max(0, (out - 1) * s + reach - n - before), out)

    def _transposed_axis(self, axis: str, n: int, k: int, s: int, d: int, before: int | None, out: int) -> _Axis:
        whole = (n - 1) * s + d * (k - 1) + 1
        out = out or whole - 2 * (before or 0)
        if before is None:
            before = max(0, (whole - out) // 2)
        after, free = whole - out - before, max(s, d)
        # The end may lack what the stride or the dilation leaves open; else all of the output is reached.
        most = whole - before + free - 1
        if most < 1 or out < 1:
            self.fail(f"p{axis}", f"p{axis}{before} takes away all of the output, which is {whole} without padding")
        if out > most:
            self._unfit(axis, out, n, k, s, before, d, 1, most)
        extra = before - after if 0 <= before - after < free else max(0, -after)
        return _Axis(n, k, s, d, before, after + extra, out, extra)

    def _unfit(
        self, axis: str, out: int, n: int, k: int, s: int, before: int, d: int, least: int, most: int
    ) -> NoReturn:
        rest = f"i{axis}{n} k{axis}{k} s{axis}{s} p{axis}{before} d{axis}{d - 1}"
        expected = f"{least} to {most}" if most > least else f"{least}"
        self.fail(f"o{axis}", f"o{axis}{out} does not follow from {rest}: expected {expected}")


def padding_of(pads: Sequence[tuple[int, int]]) -> Pads:
    """The shortest way to write the padding before and after each axis."""
    if all(before == after for before, after in pads):
        return one(tuple(before for before, _ in pads))
    return tuple(pads)
