"""FASTCONV_VERBOSE=1: one line a call on standard error, which ``python -m fastconv bench --file`` can replay.

    fastconv,conv2d,forward,g1mb1ic64ih56iw56oc64oh56ow56kh3kw3sh1sw1ph1pw1dh0dw0,f32,nchw,im2col,avx2,threads=2,us=812.4

The problem is a descriptor of oneDNN's benchdnn: sizes of input and output, kernel, stride, padding before, dilation
counted from 0. What is no convolution or pooling has the shape of its input instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["asked", "conv_descriptor", "pool_descriptor", "tell"]

AXES = "dhw"


def asked() -> bool:
    """Whether the environment asks for lines."""
    return os.environ.get("FASTCONV_VERBOSE", "0") not in ("", "0")


def _axes(prefix: str, values: Sequence[int], rank: int) -> str:
    return "".join(f"{prefix}{axis}{value}" for axis, value in zip(AXES[3 - rank :], values[3 - rank :], strict=True))


def conv_descriptor(
    rank: int,
    input: Sequence[int],
    weight: Sequence[int],
    output: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> str:
    """Sizes are (N, C, D, H, W), the rest (D, H, W)."""
    text = f"g{groups}mb{input[0]}ic{input[1]}{_axes('i', input[2:], rank)}"
    text += f"oc{output[1]}{_axes('o', output[2:], rank)}{_axes('k', weight[2:], rank)}"
    return text + _axes("s", stride, rank) + _axes("p", padding, rank) + _axes("d", [d - 1 for d in dilation], rank)


def pool_descriptor(
    rank: int,
    input: Sequence[int],
    output: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> str:
    """As `conv_descriptor`."""
    text = f"mb{input[0]}ic{input[1]}{_axes('i', input[2:], rank)}{_axes('o', output[2:], rank)}"
    text += _axes("k", kernel, rank) + _axes("s", stride, rank) + _axes("p", padding, rank)
    return text + _axes("d", [d - 1 for d in dilation], rank)


def tell(
    op: object,
    pass_name: str,
    descriptor: str,
    dtype: str,
    layout: str,
    algorithm: str,
    isa: str,
    threads: int,
    seconds: float,
) -> None:
    """Write one line, whole, so that lines of several threads do not mix."""
    fields = ("fastconv", str(op), pass_name, descriptor, dtype, layout, algorithm, isa, f"threads={threads}")
    sys.stderr.write(",".join(fields) + f",us={seconds * 1e6:.1f}\n")
