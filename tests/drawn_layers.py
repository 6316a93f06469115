"""Layers for hypothesis to draw, and what two of them must share to be the same problem."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from fastconv.bench.workloads import Conv, Pool

small = st.integers(1, 5)


@st.composite
def convolutions(draw: Any) -> Conv:
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    axes = st.tuples(*[small] * rank)
    pads = st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * rank)
    transposed, stride, dilation = draw(st.booleans()), draw(axes), draw(axes)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    try:
        return Conv(
            "drawn",
            groups * draw(small),
            tuple(draw(st.integers(1, 12)) for _ in range(rank)),
            groups * draw(small),
            draw(axes),
            stride=stride,
            padding=draw(pads),
            dilation=dilation,
            groups=groups,
            transposed=transposed,
            output_padding=extra if transposed else 0,
        )
    except ValueError:
        assume(False)
        raise


@st.composite
def poolings(draw: Any) -> Pool:
    rank = draw(st.integers(1, 3))
    axes = st.tuples(*[small] * rank)
    kind, kernel = draw(st.sampled_from(["max", "avg"])), draw(axes)
    try:
        return Pool(
            "drawn",
            kind,
            draw(small),
            tuple(draw(st.integers(1, 12)) for _ in range(rank)),
            kernel,
            stride=draw(axes),
            padding=tuple(draw(st.integers(0, k - 1)) for k in kernel),
            dilation=draw(axes) if kind == "max" else 1,
            ceil_mode=draw(st.booleans()),
            count_include_pad=kind == "max" or draw(st.booleans()),
        )
    except ValueError:
        assume(False)
        raise


def geometry(layer: Any) -> tuple[Any, ...]:
    """All that decides which elements meet; the padding at the end is in the size of the output."""
    before = tuple(first for first, _ in layer.pads)
    return layer.size, layer.output_size, layer.kernel_size, layer.strides, layer.dilations, before
