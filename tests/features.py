"""The geometries of the table, op by op: features, widths, and a few large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

from geometries import Adaptive, ChannelPool, Conv, Norm, Pad, Patches, Pool, Transpose
from views import OUT_VIEWS, VIEWS


def around(width: int) -> list[int]:
    return sorted({1, width - 1, width, width + 1, 2 * width + 1} - {0})


BASE: dict[int, tuple[int, ...]] = {1: (19,), 2: (9, 11), 3: (5, 6, 7)}


def conv_features(rank: int) -> Iterator[Conv]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    sizes = BASE[rank]
    geometries: list[dict[str, Any]] = [
        {},
        {"stride": 2},
        {"stride": per_axis(3, 1, 2), "padding": 1},
        {"stride": 5, "kernel": 2},  # inputs no window reads
        {"padding": per_axis(2, 0, 1)},
        {"padding": 4},  # windows wholly inside the padding
        {"padding": per_axis((1, 2), (0, 3), (2, 0)), "stride": 2},
        {"padding": "valid"},
        {"padding": "same"},
        {"padding": "same", "kernel": per_axis(2, 4, 1)},
        {"padding": "same", "stride": 2, "dilation": 2},
        {"dilation": 2},
        {"dilation": per_axis(1, 3, 2), "stride": per_axis(2, 3, 1), "padding": 2},
        {"kernel": 1},
        {"kernel": 1, "stride": 2, "padding": 1},
        {"kernel": per_axis(4, 1, 3)},
        {"kernel": sizes},
        {"kernel": 5, "padding": 2, "stride": 2},
        {"groups": 2},
        {"groups": 2, "stride": 2, "padding": 1, "last": True},
        {"groups": 4, "filters": 4, "padding": 1},
        {"groups": 4, "filters": 4, "padding": 1, "stride": 2, "last": True},
        {"groups": 4, "filters": 12, "dilation": 2},
        {"groups": 4, "filters": 4, "padding": 1, "view": "strided", "weight_view": "negative", "out": "strided"},
        {"groups": 4, "filters": 4, "padding": 1, "view": "transposed", "flip": True, "kernel": per_axis(2, 3, 4)},
        {"channels": 9, "groups": 9, "filters": 9, "padding": 1, "last": True, "out": "slice_of_last_axis"},
        {"channels": 1, "filters": 1},
        {"channels": 7, "filters": 13},
        {"channels": 13, "filters": 7, "last": True},
        {"flip": True, "kernel": per_axis(2, 3, 2)},
        {"flip": True, "groups": 2, "stride": 2, "padding": "same", "last": True},
        {"bias": False},
        {"activation": "relu"},
        {"activation": ("leaky_relu", 0.25), "last": True},
        {"activation": "relu", "bias": False, "groups": 4, "filters": 4},
        {"batch": 0},
        {"batch": 0, "last": True},
        {"batch": 1},
        {"batch": 5, "kernel": 1},
        {"last": True},
        {"last": True, "stride": 2, "padding": 1},
        {"last": True, "dilation": per_axis(3, 1, 2), "padding": per_axis((0, 3), (2, 1), (1, 1))},
        {"unbatched": True},
        {"unbatched": True, "last": True, "out": "strided"},
        {"generic": True, "padding": 1},
        {"generic": True, "last": True, "padding": 1},
    ]
    geometries += [{"view": view, "last": last} for view in VIEWS[1:] for last in (False, True)]
    geometries += [{"weight_view": view} for view in VIEWS[1:]]
    geometries += [{"out": out, "last": last} for out in OUT_VIEWS for last in (False, True)]
    return (Conv(sizes=sizes, **geometry) for geometry in geometries)


def depthwise_widths(width: int) -> Iterator[Conv]:
    """Rows of outputs around the vector width, and several vectors with and without padding at their ends; heights
    around the rows of a tile; all in the kernels that nets have. Channels last, the same of channels."""
    one: dict[str, Any] = {"batch": 1, "channels": 2, "filters": 2, "groups": 2}
    for size, (kernel, stride) in product(
        [*around(width), 6 * width + 1], ((3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 2))
    ):
        columns = (size - 1) * stride + 1
        yield Conv(sizes=(kernel + 2, size * stride), kernel=kernel, padding=kernel // 2, stride=stride, **one)
        yield Conv(sizes=(kernel + 1, columns), kernel=kernel, padding=kernel // 2, stride=stride, **one)
        many: dict[str, Any] = {"batch": 1, "channels": size, "filters": size, "groups": size, "last": True}
        yield Conv(sizes=(kernel + 1, 8), kernel=kernel, padding=kernel // 2, stride=stride, **many)
    for kernel, stride in product((3, 5, 7), (1, 2)):
        channels = 2 * width + 3
        fixed: dict[str, Any] = {"channels": channels, "filters": channels, "groups": channels, "kernel": kernel}
        yield Conv(sizes=(9, 2 * width - 1), padding=kernel // 2, stride=stride, **fixed)
        yield Conv(sizes=(8, 2 * width), padding=0 if kernel == 3 else 9, stride=stride, view="strided", **fixed)
    for rows, stride in product((6, 7, 8, 14, 17), (1, 2)):
        yield Conv(sizes=(rows * stride, 6 * width * stride), padding=1, stride=stride, **one)
        yield Conv(sizes=(4, rows * stride), padding=1, stride=stride, **many)
    for kernel, stride in product((3, (3, 2), (5, 3), (5, 4), (7, 1), (7, 6)), (1, 2)):
        for size in (width - 1, 3 * width + 2):
            fixed = {"kernel": kernel, "stride": stride, "channels": 3, "filters": 3, "groups": 3}
            yield Conv(sizes=(12, size + 5), batch=3, padding=0, **fixed)
            yield Conv(sizes=(9, size), padding=((5, 7), (8, 6)), activation="relu", **fixed)
    yield Conv(sizes=(5, 4 * width), kernel=4, padding=((0, 3), (2, 1)), dilation=(1, 2), **one)
    yield Conv(sizes=(9, 4 * width), stride=(2, 1), padding=1, **one)
    yield Conv(sizes=(9, 8 * width), stride=(1, 2), dilation=(2, 1), padding=2, **one)
    yield Conv(sizes=(9, 9 * width), stride=3, padding=1, **one)
    yield Conv(sizes=(9, 8 * width), stride=2, dilation=2, padding=2, flip=True, **one)
    yield Conv(sizes=(13, 4 * width), kernel=(11, 9), padding=4, activation="relu", **one)
    yield Conv(sizes=(9, 4 * width), padding=1, channels=2, filters=6, groups=2)
    yield Conv(sizes=(9, 6 * width), padding=1, channels=3, filters=3, groups=3, last=True, view="offset")
    yield Conv(sizes=(9, 6 * width), padding=1, view="slice_of_last_axis", out="slice_of_last_axis", **one)


def conv_widths(width: int) -> Iterator[Conv]:
    """Each size around the vector width as the output's width, as filters, as channels, in both layouts."""
    for size, last, (kernel, stride) in product(around(width), (False, True), ((1, 1), (3, 1), (3, 2))):
        fixed: dict[str, Any] = {"batch": 1, "kernel": kernel, "stride": stride, "last": last}
        yield Conv(sizes=(kernel + 1, (size - 1) * stride + kernel), channels=2, filters=3, **fixed)
        yield Conv(sizes=(kernel + 1, 5), channels=2, filters=size, **fixed)
        yield Conv(sizes=(kernel + 1, 5), channels=size, filters=2, **fixed)
        yield Conv(sizes=(kernel + 1, 5), channels=size, filters=size, groups=size, **fixed)
    yield from depthwise_widths(width)


LARGE_CONVS = (
    Conv(sizes=(33, 37), batch=1, channels=96, filters=130, padding=1),
    Conv(sizes=(33, 37), batch=1, channels=96, filters=130, padding=1, last=True),
    Conv(sizes=(63, 61), channels=3, filters=40, kernel=11, stride=4, padding=2),
    Conv(sizes=(63, 61), channels=3, filters=40, kernel=11, stride=4, padding=2, last=True),
    Conv(sizes=(9, 9), channels=520, filters=48, kernel=1),
    Conv(sizes=(32, 32), batch=1, channels=3, filters=41, padding=1),  # planes that share cache sets
    Conv(sizes=(11, 12), channels=24, filters=37, kernel=1),
    Conv(sizes=(64, 33), batch=1, channels=40, filters=50, kernel=1),
    Conv(sizes=(14, 14), batch=3, channels=64, filters=64, groups=2, padding=1),
    Conv(sizes=(40, 40), channels=70, filters=70, groups=70, padding=1),
    Conv(sizes=(40, 40), channels=70, filters=70, groups=70, padding=1, last=True),
    Conv(sizes=(3000,), channels=20, filters=33, kernel=9, stride=2),
    Conv(sizes=(4000,), channels=2, filters=5, kernel=3, padding=1),  # dot products: bands of columns
    Conv(sizes=(57, 104), batch=2, channels=6, filters=11, stride=2, padding=1),  # of whole vectors,
    Conv(sizes=(57, 53), batch=2, channels=6, filters=11, padding=1, dilation=2),  # and of others
    Conv(sizes=(40, 40), channels=36, filters=7, kernel=5, padding=2),  # channels in blocks
    Conv(sizes=(30, 30), channels=64, filters=64, groups=16, padding=1),
    Conv(sizes=(4, 9, 40), channels=3, filters=4, kernel=(2, 3, 4), stride=(1, 2, 1), padding=1),
    Conv(sizes=(6, 300), batch=1, channels=3, filters=50, padding=1, last=True),  # tiles in a row, and across the end
    Conv(sizes=(9, 10, 11), channels=17, filters=33, padding=1),
    # Few channels, so that gradients are products of all taps, in parts of long rows, and lanes are runs of the image.
    Conv(sizes=(61, 70), channels=3, filters=24, kernel=7, stride=2, padding=3),
    Conv(sizes=(61, 70), channels=3, filters=24, kernel=7, stride=2, padding=3, flip=True, last=True),
    Conv(sizes=(5000,), channels=2, filters=20, kernel=80, padding=3),
    Conv(sizes=(7, 20, 21), channels=4, filters=20, kernel=(3, 5, 4), stride=(2, 2, 3), padding=(1, 2, 0)),
    # One position: dense layers, with fewer inputs than lanes too.
    Conv(sizes=(5, 5), batch=7, channels=60, filters=34, groups=2, kernel=5),
    Conv(sizes=(2, 3, 2), batch=3, channels=50, filters=530, kernel=(2, 3, 2)),
    Conv(sizes=(1, 2), batch=3, channels=1, filters=9, kernel=(1, 2)),
    Conv(sizes=(3, 3), batch=67, channels=7, filters=45, kernel=3, activation="relu"),
    Conv(sizes=(1, 1), batch=130, channels=37, filters=40, kernel=1, last=True),
)


# Every form and tiles of it that stick out, blocks of a few dozen tiles, groups that share lines of channels.
WINOGRAD_FORMS: tuple[dict[str, Any], ...] = (
    {"channels": 33, "filters": 5, "padding": 1},
    {"channels": 9, "filters": 5, "padding": 1},
    {"channels": 9, "filters": 5, "kernel": 5, "padding": 2},
    {"channels": 17, "filters": 5, "stride": 2, "padding": 1},
)
WINOGRAD_LINES: tuple[dict[str, Any], ...] = tuple(
    {"channels": 17, "filters": 9, "kernel": kernel, "padding": padding}
    for taps in (3, 5, 7)
    for kernel, padding in (((1, taps), (0, taps // 2)), ((taps, 1), (taps // 2, 0)))
)
WINOGRAD_CONVS = (
    *(Conv(sizes=sizes, **form) for form in WINOGRAD_FORMS for sizes in ((1, 2), (3, 4), (4, 5), (8, 9), (6, 3))),
    *(Conv(sizes=sizes, **form) for form in WINOGRAD_LINES for sizes in ((1, 1), (3, 4), (9, 6))),
    Conv(sizes=(9, 11), channels=49, filters=21, padding=((2, 0), (1, 3)), activation="relu"),
    Conv(sizes=(9, 11), channels=49, filters=21, padding=5, last=True),
    Conv(sizes=(9, 11), channels=17, filters=21, padding=((2, 0), (1, 3)), activation="relu"),
    Conv(sizes=(13, 14), batch=3, channels=20, filters=36, groups=4, padding=1),
    Conv(sizes=(13, 14), batch=3, channels=72, filters=72, groups=2, padding=1, last=True),
    Conv(sizes=(70, 65), channels=10, filters=12, padding=1),
    Conv(sizes=(70, 65), channels=34, filters=12, padding=1),
    Conv(sizes=(28, 30), channels=130, filters=20, padding=1),
    Conv(sizes=(28, 30), channels=130, filters=20, padding=1, last=True),
    Conv(sizes=(4, 12, 13), channels=40, filters=9, kernel=(1, 3, 3), padding=(0, 1, 1)),
    Conv(sizes=(4, 12, 13), channels=10, filters=9, kernel=(1, 3, 3), padding="same", last=True),
    Conv(sizes=(5, 12, 13), channels=40, filters=9, padding=1),
    Conv(sizes=(4, 9, 10), channels=10, filters=18, kernel=(2, 3, 3), padding=((1, 0), (1, 1), (0, 2)), last=True),
    Conv(sizes=(1, 9, 17), batch=2, channels=20, filters=12, kernel=(3, 1, 5), groups=2, padding=(2, 0, 2), flip=True),
    Conv(sizes=(9, 33, 30), batch=2, channels=36, filters=20, padding=1),
    Conv(sizes=(12, 13), channels=34, filters=19, padding=1, flip=True),
    Conv(sizes=(13, 14), batch=3, channels=20, filters=36, groups=4, kernel=5, padding=2),
    Conv(sizes=(40, 45), channels=10, filters=12, kernel=5, padding=((2, 0), (1, 3))),
    Conv(sizes=(14, 17), channels=70, filters=20, kernel=5, padding=2, last=True, activation="relu"),
    Conv(sizes=(3, 12, 13), channels=10, filters=9, kernel=(1, 5, 5), padding=(0, 1, 2), flip=True),
    Conv(sizes=(12, 13), channels=34, filters=19, padding=1, view="negative", weight_view="strided", out="strided"),
    Conv(sizes=(70, 65), batch=2, channels=10, filters=12, kernel=(7, 1), padding=((5, 1), (0, 0)), flip=True),
    Conv(sizes=(21, 23), batch=2, channels=70, filters=36, kernel=(1, 7), groups=2, padding=((0, 0), (1, 5))),
    Conv(sizes=(21, 23), batch=2, channels=20, filters=36, kernel=(3, 1), padding=(1, 0), last=True),
    Conv(sizes=(300,), batch=2, channels=20, filters=36, kernel=7, padding=3, activation="relu"),
    Conv(sizes=(300,), batch=2, channels=20, filters=36, kernel=3, padding=1, last=True),
    Conv(sizes=(3, 12, 13), channels=10, filters=9, kernel=(1, 5, 1), padding=(0, 2, 0)),
    Conv(sizes=(21, 130), channels=49, filters=21, stride=2, padding=((2, 0), (1, 3)), activation="relu"),
    Conv(sizes=(22, 31), batch=3, channels=72, filters=36, stride=2, groups=2, padding=1, last=True, flip=True),
    Conv(sizes=(56, 58), channels=34, filters=20, stride=2, padding=1, view="strided", out="strided"),
    Conv(sizes=(9, 20, 23), channels=20, filters=18, stride=2, padding=1),
    Conv(sizes=(5, 13, 14), channels=10, filters=9, kernel=(2, 3, 3), stride=(1, 2, 2), padding=(1, 0, 1), last=True),
)


def pool_features(op: str, rank: int) -> Iterator[Pool]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    sizes = BASE[rank]
    geometries: list[dict[str, Any]] = [
        {},
        {"kernel": 3, "stride": 2},
        {"kernel": 3, "stride": 1, "padding": 1},
        {"kernel": per_axis(3, 2, 1), "stride": per_axis(1, 3, 2)},
        {"kernel": 1, "stride": 3},
        {"kernel": sizes},
        {"kernel": 2, "stride": 3, "ceil_mode": True},
        {"kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"kernel": 3, "stride": 4, "padding": per_axis((2, 0), (0, 2), (1, 2)), "ceil_mode": True},
        {"kernel": 3, "padding": "same"},
        {"kernel": 2, "padding": "same", "stride": 1, "dilation": 3},
        {"kernel": 2, "padding": "same", "stride": 1, "dilation": 3, "view": "strided"},
        {"kernel": per_axis(2, 3, 4), "stride": 2, "padding": "same", "last": True},
        {"kernel": 2, "padding": "valid"},
        {"batch": 0},
        {"batch": 0, "last": True},
        {"batch": 1, "channels": 1},
        {"channels": 13, "last": True, "kernel": 3, "stride": 2},
        {"last": True},
        {"last": True, "kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"unbatched": True},
        {"unbatched": True, "last": True, "out": "strided"},
        {"generic": True},
        {"generic": True, "last": True},
    ]
    geometries += [{"view": view, "last": last} for view in VIEWS[1:] for last in (False, True)]
    geometries += [{"out": out, "last": last} for out in OUT_VIEWS for last in (False, True)]
    if op == "max_pool":
        geometries += [
            {"kernel": 2, "dilation": 2, "stride": 1},
            {"kernel": 3, "dilation": per_axis(2, 1, 1), "padding": 1, "stride": 2, "last": True},
        ]
        for values, last in product(("normal", "nan", "infinite"), (False, True)):
            geometries.append({"values": values, "last": last, "kernel": 3, "stride": 2, "padding": 1})
            geometries.append({"values": values, "last": last, "kernel": 2})
    else:
        for padding, ceil_mode, last in product((1, per_axis((0, 1), (2, 0), (1, 2))), (False, True), (False, True)):
            fixed: dict[str, Any] = {"padding": padding, "ceil_mode": ceil_mode, "last": last, "kernel": 3, "stride": 2}
            geometries.append({"count_include_pad": False, **fixed})
            geometries.append({"divisor_override": 7, **fixed})
        geometries.append({"divisor_override": -3})
        geometries = [{"values": "normal", **geometry} for geometry in geometries]
    return (Pool(op=op, sizes=sizes, **geometry) for geometry in geometries)


def pool_widths(op: str, width: int) -> Iterator[Pool]:
    """Each size around the vector width as the output's width and as channels, in both layouts."""
    values = {} if op == "max_pool" else {"values": "normal"}
    for size, last, (kernel, stride) in product(around(width), (False, True), ((2, 2), (3, 2), (3, 1))):
        fixed: dict[str, Any] = {"op": op, "batch": 1, "kernel": kernel, "stride": stride, "last": last, **values}
        yield Pool(sizes=(kernel + 1, (size - 1) * stride + kernel), channels=2, **fixed)
        yield Pool(sizes=(kernel + 1, 5), channels=size, **fixed)
    one: dict[str, Any] = {"op": op, "batch": 1, "channels": 2, **values}
    for size, (kernel, stride) in product([*around(width)[1:], 3 * width + 1], product((2, 3, 5), (1, 2, 3))):
        for padding in (0, 1, ((1, 1), (0, 1)), ((1, 1), (1, 0))):  # a row with padding at both ends, at one, at none
            yield Pool(sizes=(2 * kernel + 1, (size - 1) * stride + kernel - 1), kernel=kernel, stride=stride,
                       padding=padding, **one)  # fmt: skip
    yield Pool(sizes=(kernel + 8, 5 * width), kernel=(9, 13), stride=1, padding=(4, 6), **one)
    yield Pool(sizes=(17, 9), kernel=(9, 7), stride=1, padding=(4, 3), last=True, **{**one, "channels": width + 1})
    yield Pool(sizes=(9, 4 * width), kernel=(2, 7), stride=(2, 3), padding=(1, 3), **one)
    yield Pool(sizes=(7, 2 * width), kernel=(7, 2 * width), **{**one, "channels": 2 * width + 1})
    yield Pool(sizes=(3, 2), kernel=(3, 2), **{**one, "channels": 2 * width + 1})
    if op == "max_pool":
        for kernel, stride in product((2, 3, 5), (1, 2, 3)):
            yield Pool(sizes=(9, 6 * width), kernel=kernel, stride=stride, padding=1, dilation=(1, 2), **one)
            for kind, last in product(("nan", "infinite", "normal"), (False, True)):
                yield Pool(sizes=(9, 4 * width + 1), kernel=kernel, stride=stride, padding=1, last=last,
                           **{**one, "values": kind})  # fmt: skip


def large_pools(op: str) -> tuple[Pool, ...]:
    """Several bands, panels, blocks of channels and stacked planes; rows long enough to be gathered."""
    fixed: dict[str, Any] = {"op": op, "batch": 1, **({} if op == "max_pool" else {"values": "normal"})}
    both = [{**fixed, "last": last} for last in (False, True)]
    return (
        *(Pool(sizes=(101, 203), channels=3, kernel=3, stride=2, padding=1, **each) for each in both),
        *(Pool(sizes=(100, 202), channels=2, kernel=2, **each) for each in both),
        *(
            Pool(sizes=(21, 103), channels=2, kernel=(3, 2), stride=2, padding=((1, 0), (1, 1)), **each)
            for each in both
        ),
        *(Pool(sizes=(20, 98), channels=2, kernel=(2, 3), stride=(1, 2), ceil_mode=True, **each) for each in both),
        *(Pool(sizes=(9, 7), channels=150, kernel=3, stride=1, padding=1, **each) for each in both),
        *(
            Pool(sizes=(7, 6), channels=65, kernel=3, stride=2, padding=1, **each) for each in both
        ),  # blocks, and one over
        *(Pool(sizes=(13, 13), channels=70, kernel=3, stride=2, **each) for each in both),
        *(Pool(sizes=(3000,), channels=2, kernel=5, stride=3, padding=2, **each) for each in both),
        *(Pool(sizes=(5, 40, 41), channels=2, kernel=(2, 3, 3), stride=2, padding=1, **each) for each in both),
        # Rows in panels, of gradients too.
        *(
            Pool(sizes=(600,), channels=70, kernel=k, stride=s, padding=k // 2, **both[1])
            for k, s in ((2, 2), (5, 3), (2, 3))
        ),
        *(Pool(sizes=(2, 33000), channels=1, kernel=2, stride=s, padding=1, **both[0]) for s in (2, 3)),
    )


# ---- what every op of the following is given


def _memory(rank: int) -> list[dict[str, Any]]:
    """Every kind of memory in both layouts, in two dimensions; a few in the others."""
    if rank != 2:
        kinds = [{"view": "strided"}, {"view": "negative", "last": True}, {"view": "broadcast_last"}]
        return [*kinds, {"out": "strided"}, {"out": "transposed", "last": True}]
    reads = [{"view": view, "last": last} for view in VIEWS[1:] for last in (False, True)]
    return reads + [{"out": out, "last": last} for out in OUT_VIEWS for last in (False, True)]


EVERY: list[dict[str, Any]] = [
    {},
    {"last": True},
    {"batch": 0},
    {"batch": 0, "last": True},
    {"batch": 1},
]
SUFFIXED: list[dict[str, Any]] = [
    *EVERY,
    {"unbatched": True},
    {"unbatched": True, "last": True, "out": "strided"},
    {"generic": True},
    {"generic": True, "last": True},
]


# ---- transposed convolution

SMALL: dict[int, tuple[int, ...]] = {1: (11,), 2: (5, 7), 3: (3, 5, 4)}


def transpose_features(rank: int) -> Iterator[Transpose]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    geometries: list[dict[str, Any]] = [
        *SUFFIXED,
        {"stride": 2},
        {"stride": 2, "padding": 1, "last": True},
        {"stride": per_axis(3, 1, 2), "padding": 1},
        {"stride": 5, "kernel": 2},  # outputs no window reaches: the bias alone
        {"stride": 4, "kernel": per_axis(1, 3, 2), "last": True},
        {"stride": 3, "kernel": 2, "padding": 3},  # more cut off than a window is long
        {"padding": per_axis(2, 0, 1)},
        {"padding": per_axis((1, 2), (0, 3), (2, 0)), "stride": 2},
        {"padding": "valid", "stride": 2},
        {"kernel": 3, "padding": 2},  # every output has all taps
        {"padding": "same"},
        {"padding": "same", "stride": 2},
        {"padding": "same", "kernel": per_axis(2, 4, 1), "last": True},
        {"padding": "same", "stride": 3, "kernel": per_axis(1, 4, 2)},  # shorter than the stride: rows appended
        {"padding": "same", "stride": 2, "dilation": 2},
        {"padding": "same", "stride": 2, "output_padding": 1, "kernel": per_axis(4, 1, 3)},
        {"output_padding": 1, "stride": 2},
        {"output_padding": per_axis(2, 0, 1), "stride": 3, "padding": 1, "last": True},
        {"output_padding": 2, "dilation": 3},  # as long as the stride or longer: only dilation allows it
        {"output_padding": per_axis(2, 3, 2), "stride": 2, "dilation": 4, "padding": 1, "kernel": 2},
        {"dilation": 2},
        {"dilation": per_axis(1, 3, 2), "stride": per_axis(2, 3, 1), "padding": 2},
        {"dilation": per_axis(3, 1, 2), "padding": per_axis((0, 3), (2, 1), (1, 1)), "last": True},
        {"kernel": 1},
        {"kernel": 1, "stride": 2, "output_padding": 1},
        {"kernel": 1, "stride": 3, "padding": 1, "last": True},
        {"kernel": per_axis(4, 1, 3)},
        {"groups": 2},
        {"groups": 2, "stride": 2, "padding": 1, "last": True},
        {"groups": 4, "filters": 4, "stride": 2, "padding": 1},
        {"groups": 4, "filters": 4, "stride": 2, "padding": 1, "last": True},
        {"groups": 4, "filters": 12, "dilation": 2},
        {"channels": 1, "filters": 1},
        {"channels": 7, "filters": 13, "stride": 2},
        {"channels": 13, "filters": 7, "last": True},
        {"bias": False},
        {"bias": False, "stride": 4, "kernel": 2, "last": True},
        *_memory(rank),
        *({"weight_view": view} for view in VIEWS[1:] if rank == 2 or view in ("strided", "transposed")),
    ]
    return (Transpose(sizes=SMALL[rank], **geometry) for geometry in geometries)


def transpose_widths(width: int) -> Iterator[Transpose]:
    for size, last, (kernel, stride) in product(around(width), (False, True), ((2, 1), (3, 2))):
        fixed: dict[str, Any] = {"batch": 1, "kernel": kernel, "stride": stride, "last": last}
        yield Transpose(sizes=(2, size), channels=2, filters=3, **fixed)
        yield Transpose(sizes=(2, 3), channels=size, filters=2, **fixed)
        yield Transpose(sizes=(2, 3), channels=2, filters=size, **fixed)
        yield Transpose(sizes=(2, 3), channels=size, filters=size, groups=size, **fixed)


LARGE_TRANSPOSES = (
    Transpose(sizes=(13, 15), channels=70, filters=50, kernel=4, stride=2, padding=1),
    Transpose(sizes=(13, 15), channels=70, filters=50, kernel=4, stride=2, padding=1, last=True),
    Transpose(sizes=(33, 35), channels=40, filters=40, groups=40, stride=2, padding="same"),
)


# ---- adaptive pooling


def adaptive_features(op: str, rank: int) -> Iterator[Adaptive]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    geometries: list[dict[str, Any]] = [
        *SUFFIXED,
        {"output_size": 1},
        {"output_size": 1, "last": True},
        {"output_size": None},
        {"output_size": per_axis(4, 3, 5)},
        {"output_size": per_axis(4, 3, 5), "last": True},
        {"output_size": per_axis(None, 2, None)},
        {"output_size": per_axis(1, None, 3), "last": True},
        {"output_size": per_axis(25, 13, 9)},  # more windows than elements
        {"output_size": per_axis(25, 13, 9), "last": True},
        {"output_size": per_axis(38, 2, 14)},
        {"channels": 13, "last": True},
        {"channels": 1, "output_size": 2},
        *_memory(rank),
    ]
    if op == "adaptive_max_pool":
        for values, last in product(("normal", "nan", "infinite"), (False, True)):
            geometries.append({"values": values, "last": last})
            geometries.append({"values": values, "last": last, "output_size": per_axis(7, 14, 2)})
    else:
        geometries = [{"values": "normal", **geometry} for geometry in geometries]
    return (Adaptive(op=op, sizes=BASE[rank], **geometry) for geometry in geometries)


def adaptive_widths(op: str, width: int) -> Iterator[Adaptive]:
    for size, last in product(around(width), (False, True)):
        yield Adaptive(op=op, batch=1, sizes=(5, 2 * size + 3), output_size=(2, size), channels=2, last=last)
        yield Adaptive(op=op, batch=1, sizes=(5, size), output_size=(3, 2), channels=2, last=last)
        yield Adaptive(op=op, batch=1, sizes=(5, 4), output_size=(2, 3), channels=size, last=last)


def long_adaptive_rows(op: str) -> tuple[Adaptive, ...]:
    """Rows in panels, of the gradient of averages."""
    return (
        Adaptive(op=op, batch=1, sizes=(600,), channels=70, output_size=280, last=True, values="normal"),
        Adaptive(op=op, batch=1, sizes=(2, 33000), channels=1, output_size=(2, 9000), values="normal"),
    )


# ---- over channels


def channel_pool_features(rank: int) -> Iterator[ChannelPool]:
    geometries: list[dict[str, Any]] = [*EVERY, *_memory(rank), {"channels": 1, "size": 1}]
    for size, last in product((1, 2, 4, 12), (False, True)):
        geometries.append({"size": size, "last": last})
    for values, last in product(("normal", "nan", "infinite"), (False, True)):
        geometries.append({"values": values, "last": last})
    return (ChannelPool(sizes=BASE[rank], **geometry) for geometry in geometries)


def channel_pool_widths(width: int) -> Iterator[ChannelPool]:
    for size, last in product(around(width), (False, True)):
        yield ChannelPool(batch=1, sizes=(2, size), channels=6, size=2, last=last)
        yield ChannelPool(batch=1, sizes=(3,), channels=3 * size, size=3, last=last)
        yield ChannelPool(batch=1, sizes=(3,), channels=2 * size, size=size, last=last)


def norm_features(rank: int) -> Iterator[Norm]:
    geometries: list[dict[str, Any]] = [
        *EVERY,
        *_memory(rank),
        {"channels": 1},
        {"alpha": 1e-4},
        {"k": 2.0},
        {"k": 0.0},
    ]
    for size, last in product((1, 2, 3, 4, 7, 8, 13, 14, 20), (False, True)):  # odd, even, as many as channels, more
        geometries.append({"size": size, "last": last})
    for beta, size, last in product((0.5, 1.0, 0.6, 0.0, 2.0), (5, 4), (False, True)):
        geometries.append({"beta": beta, "size": size, "last": last})
    geometries += [{"values": "nan", "last": last} for last in (False, True)]
    return (Norm(sizes=BASE[rank], **geometry) for geometry in geometries)


def norm_widths(width: int) -> Iterator[Norm]:
    for (size, last), beta in product(product(around(width), (False, True)), (0.75, 0.6)):
        yield Norm(batch=1, sizes=(2, size), channels=6, size=3, beta=beta, last=last)
        yield Norm(batch=1, sizes=(3,), channels=size, size=4, beta=beta, last=last)


# ---- patches and padding


def patches_features(rank: int) -> Iterator[Patches]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    geometries: list[dict[str, Any]] = [
        *EVERY,
        *_memory(rank),
        {"stride": 2},
        {"stride": per_axis(3, 1, 2), "padding": 1, "last": True},
        {"stride": 4, "kernel": 2},  # elements no window reads
        {"padding": per_axis(2, 0, 1)},
        {"padding": 4},  # windows wholly inside the padding
        {"padding": per_axis((1, 2), (0, 3), (2, 0)), "stride": 2, "last": True},
        {"padding": "same", "stride": 2},
        {"padding": "valid"},
        {"dilation": 2},
        {"dilation": per_axis(1, 3, 2), "stride": per_axis(2, 3, 1), "padding": 2, "last": True},
        {"kernel": 1},
        {"kernel": 1, "stride": 2, "padding": 1, "last": True},
        {"kernel": per_axis(4, 1, 3)},
        {"kernel": per_axis(2, 3, 1), "last": True},
        {"kernel": BASE[rank]},
        {"channels": 1},
        {"channels": 13, "last": True},
    ]
    return (Patches(sizes=BASE[rank], **geometry) for geometry in geometries)


def patches_widths(width: int) -> Iterator[Patches]:
    for size, last, stride in product(around(width), (False, True), (1, 2)):
        yield Patches(batch=1, sizes=(4, (size - 1) * stride + 3), channels=2, stride=stride, last=last)
        yield Patches(batch=1, sizes=(3, 4), channels=size, padding=1, stride=stride, last=last)


PAD_MODES = ("constant", "reflect", "edge", "wrap", "symmetric")


def pad_features(rank: int) -> Iterator[Pad]:
    def per_axis(*values: Any) -> tuple[Any, ...]:
        return values[:rank]

    far = tuple((size, 2 * size + 1) if axis else (2 * size + 3, 0) for axis, size in enumerate(BASE[rank]))
    geometries: list[dict[str, Any]] = [*EVERY, *_memory(rank)]
    geometries += [{"mode": "symmetric", "padding": 2, **kind} for kind in _memory(rank)[::3]]
    several: list[dict[str, Any]] = [
        {"padding": 0},
        {"padding": 2},
        {"padding": 2, "last": True},
        {"padding": per_axis(0, 3, 1)},
        {"padding": per_axis((1, 2), (0, 3), (2, 0)), "last": True},
        {"padding": far},  # there and back, more than once
        {"padding": tuple(pair[::-1] for pair in far), "last": True},
        {"padding": 3, "sizes": (1,) * rank},
        {"padding": 5, "sizes": (2,) * rank, "channels": 1, "last": True},
    ]
    geometries += [{"mode": mode, **geometry} for mode in PAD_MODES for geometry in several]
    geometries += [{"value": value, "last": last} for value in (-2.5, float("inf")) for last in (False, True)]
    return (Pad(**{"sizes": BASE[rank], **geometry}) for geometry in geometries)


def pad_widths(width: int) -> Iterator[Pad]:
    for size, last, mode in product(around(width), (False, True), PAD_MODES):
        yield Pad(batch=1, sizes=(2, size), channels=2, mode=mode, padding=((0, 1), (2, 1)), last=last)
        if last:
            yield Pad(batch=1, sizes=(2, 3), channels=size, mode=mode, padding=((0, 1), (2, 1)), last=last)


# ---- all of them

TABLE: dict[str, tuple[Callable[[int], Iterator[Any]], Callable[[int], Iterator[Any]], tuple[Any, ...]]] = {
    "conv": (conv_features, conv_widths, (*LARGE_CONVS, *WINOGRAD_CONVS)),
    "conv_transpose": (transpose_features, transpose_widths, LARGE_TRANSPOSES),
    **{op: (partial(pool_features, op), partial(pool_widths, op), large_pools(op)) for op in ("max_pool", "avg_pool")},
    **{
        op: (partial(adaptive_features, op), partial(adaptive_widths, op), long_adaptive_rows(op))
        for op in ("adaptive_max_pool", "adaptive_avg_pool")
    },
    "channel_max_pool": (channel_pool_features, channel_pool_widths, ()),
    "local_response_norm": (norm_features, norm_widths, ()),
    "patches": (patches_features, patches_widths, ()),
    "pad": (pad_features, pad_widths, ()),
}
"""Of each op: its features by rank, its widths by the lanes of a vector, its large geometries."""
