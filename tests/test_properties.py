"""Geometries nobody thought of: hypothesis draws them, the reference judges."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import AVAILABLE, CONV_PASSES, DTYPES, GENERAL, PASSES, POOL_PASSES, Case
from checking import call, check, output_shape
from features import PAD_MODES
from geometries import Adaptive, ChannelPool, Conv, Norm, Pad, Patches, Pool, Transpose
from hypothesis import given, settings
from hypothesis import strategies as st
from views import OUT_VIEWS, VIEWS

import fastconv

small = st.integers(1, 3)


@st.composite
def windows(draw: Any, pool: bool) -> dict[str, Any]:
    """Kernel, stride, padding, dilation, and sizes at least as large as the window needs."""
    rank = draw(st.integers(1, 3))

    def per_axis(values: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return draw(st.tuples(*[values] * rank))

    kernel = per_axis(st.integers(1, 5 if rank == 1 else 3))
    stride, dilation = per_axis(st.integers(1, 4)), per_axis(small)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    # A pool's padding may not hold a whole window; beyond half of one a dilated window may miss the input altogether.
    pads = tuple(draw(st.tuples(*[st.integers(0, (k - 1) // 2 if pool else 4)] * 2)) for k in kernel)
    padding = draw(st.sampled_from([pads, pads, "same", "valid"]))
    room = [sum(pair) if padding == pads else 0 for pair in pads]
    least = [max(1, r - p) for r, p in zip(reach, room, strict=True)]
    if pool and max(dilation) > 1:
        least = reach  # so that every window, also one that ends in the padding, meets the input
    sizes = tuple(low + more for low, more in zip(least, per_axis(st.integers(0, 9 if rank < 3 else 4)), strict=True))
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding, "sizes": sizes}


memory = {
    "last": st.booleans(),
    "view": st.sampled_from(VIEWS),
    "out": st.sampled_from((None, *OUT_VIEWS)),
}
common = {**memory, "unbatched": st.booleans()}


@st.composite
def convs(draw: Any) -> Conv:
    fields = draw(windows(pool=False)) | draw(st.fixed_dictionaries(common))
    groups = draw(small)
    return Conv(
        **fields,
        batch=draw(st.integers(0, 3)),
        groups=groups,
        channels=groups * draw(st.integers(1, 5)),
        filters=groups * draw(st.integers(1, 9)),
        flip=draw(st.booleans()),
        bias=draw(st.booleans()),
        activation=draw(st.sampled_from((None, "relu", ("leaky_relu", 0.125)))),
        weight_view=draw(st.sampled_from(VIEWS)),
    )


@st.composite
def pools(draw: Any) -> Pool:
    op = draw(st.sampled_from(sorted(POOL_PASSES)))
    fields = draw(windows(pool=True)) | draw(st.fixed_dictionaries(common))
    if op == "max_pool":
        fields["values"] = draw(st.sampled_from(("normal", "ties", "nan", "infinite")))
    else:
        fields |= {"values": "normal", "dilation": 1, "count_include_pad": draw(st.booleans())}
        fields["divisor_override"] = draw(st.sampled_from((None, None, 5, -1)))
    return Pool(
        op=op,
        **fields,
        batch=draw(st.integers(0, 3)),
        channels=draw(st.integers(1, 20)),
        ceil_mode=draw(st.booleans()),
    )


@st.composite
def transposes(draw: Any) -> Transpose:
    """Sizes at least as large as what the padding cuts off."""
    rank, groups = draw(st.integers(1, 3)), draw(small)

    def per_axis(values: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return draw(st.tuples(*[values] * rank))

    kernel, stride, dilation = per_axis(st.integers(1, 4)), per_axis(st.integers(1, 4)), per_axis(small)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    pads = per_axis(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    padding = draw(st.sampled_from([pads, pads, "same", "valid"]))
    axes = zip(pads, kernel, dilation, stride, more, strict=True)
    least = [max(-((d * (k - 1) + p - sum(pair)) // s), 0) + 1 for pair, k, d, s, p in axes]
    sizes = tuple(low + add for low, add in zip(least, per_axis(st.integers(0, 7 if rank < 3 else 3)), strict=True))
    return Transpose(
        **draw(st.fixed_dictionaries(common)),
        sizes=sizes,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        output_padding=more,
        batch=draw(st.integers(0, 3)),
        groups=groups,
        channels=groups * draw(st.integers(1, 5)),
        filters=groups * draw(st.integers(1, 9)),
        bias=draw(st.booleans()),
        weight_view=draw(st.sampled_from(VIEWS)),
    )


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)
floats = st.sampled_from(("normal", "ties", "nan", "infinite"))


@st.composite
def others(draw: Any) -> Adaptive | ChannelPool | Norm | Patches | Pad:
    stem = draw(
        st.sampled_from(
            ("adaptive_max_pool", "adaptive_avg_pool", "channel_max_pool", "local_response_norm", "patches", "pad")
        )
    )
    fields = draw(st.fixed_dictionaries({**memory, "batch": st.integers(0, 3)}))
    channels = draw(st.integers(1, 20))
    if stem == "patches":
        window = draw(windows(pool=False))
        return Patches(**fields, **window, channels=channels)
    fields["sizes"] = spatial = draw(sizes)

    def per_axis(values: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return draw(st.tuples(*[values] * len(spatial)))

    if stem == "pad":
        padding = per_axis(st.tuples(st.integers(0, 11), st.integers(0, 11)))
        return Pad(**fields, channels=channels, padding=padding, mode=draw(st.sampled_from(PAD_MODES)))
    if stem == "channel_max_pool":
        size = draw(st.integers(1, 9))
        return ChannelPool(**fields, channels=size * draw(st.integers(1, 9)), size=size, values=draw(floats))
    if stem == "local_response_norm":
        parameters = {"size": draw(st.integers(1, 24)), "beta": draw(st.sampled_from((0.5, 0.75, 1.0, 0.6)))}
        return Norm(**fields, **parameters, channels=channels)
    values = draw(floats) if stem == "adaptive_max_pool" else "normal"
    output_size = per_axis(st.one_of(st.none(), st.integers(1, 13)))
    return Adaptive(op=stem, **fields, channels=channels, output_size=output_size, values=values)


ways = st.tuples(st.sampled_from(CONV_PASSES), st.sampled_from(DTYPES), st.sampled_from(AVAILABLE))


@settings(max_examples=400)
@given(convs(), ways, st.sampled_from((*GENERAL, "auto", "exact")))
def test_conv(geometry: Conv, way: tuple[str, str, str], algorithm: str) -> None:
    check(Case(geometry, *way, algorithm))


@settings(max_examples=400)
@given(pools(), st.sampled_from(DTYPES), st.sampled_from(AVAILABLE))
def test_pool(geometry: Pool, dtype: str, isa: str) -> None:
    for pass_name in POOL_PASSES[geometry.op]:
        check(Case(geometry, pass_name, dtype, isa))


@settings(max_examples=300)
@given(transposes(), st.sampled_from(DTYPES), st.sampled_from(AVAILABLE), st.sampled_from((*GENERAL, "auto")))
def test_conv_transpose(geometry: Transpose, dtype: str, isa: str, algorithm: str) -> None:
    for pass_name in PASSES["conv_transpose"]:
        check(Case(geometry, pass_name, dtype, isa, algorithm))


@settings(max_examples=300)
@given(others(), st.sampled_from(DTYPES), st.sampled_from(AVAILABLE))
def test_other_ops(geometry: Any, dtype: str, isa: str) -> None:
    for pass_name in PASSES[geometry.stem]:
        check(Case(geometry, pass_name, dtype, isa))


@given(convs(), st.sampled_from(GENERAL))
def test_conv_is_additive(geometry: Conv, algorithm: str) -> None:
    """Of small integers every sum is exact, whatever its order: conv(x + x') is conv(x) + conv(x') to the bit."""
    random = np.random.default_rng(0)
    a, b = (random.integers(-8, 9, geometry.input_shape).astype(np.float32) for _ in range(2))
    weight = random.integers(-8, 9, geometry.weight_shape).astype(np.float32)

    def conv(x: Any) -> Any:
        operands = {"input": x, "weight": weight, "bias": None}
        return call(fastconv, geometry, "forward", operands, activation=None, algorithm=algorithm)["output"]

    assert conv(a).shape == output_shape(geometry)
    np.testing.assert_array_equal(conv(a + b), conv(a) + conv(b))
