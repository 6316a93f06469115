"""Nets made for few weights or few operations: SqueezeNet 1.0, MobileNetV2, ShuffleNetV2."""

from __future__ import annotations

from .layers import Net
from .walk import Walk, merged

__all__ = ["NETS"]


def _fire(x: Walk, name: str, squeezed: int, expanded: int) -> Walk:
    x = x.conv(f"{name}.squeeze", squeezed, 1)
    return x.conv(f"{name}.expand1x1", expanded, 1).cat(x.conv(f"{name}.expand3x3", expanded, 3, padding=1))


def _squeezenet1_0() -> Net:
    # The paper's classifier is a convolution too, so it stands here.
    x = Walk(3, (224, 224)).conv("conv1", 96, 7, stride=2)
    for number, (squeezed, expanded) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)), 2
    ):
        if number in (2, 5, 9):
            x = x.pool(f"maxpool{number - 1}", "max", 3, 2, ceil_mode=True)
        x = _fire(x, f"fire{number}", squeezed, expanded)
    x = x.conv("conv10", 1000, 1).global_pool("avgpool10")
    return Net(
        "SqueezeNet 1.0 on 224x224",
        "Iandola et al., arXiv:1602.07360, 2016; torchvision's squeezenet1_0 (1,248,424 parameters, 0.819 G "
        "multiply-adds)",
        merged(x.layers),
    )


def _inverted(x: Walk, name: str, expansion: int, filters: int, stride: int) -> Walk:
    inner = x.channels * expansion
    y = x.conv(f"{name}.expand", inner, 1, bias=False) if expansion > 1 else x
    y = y.conv(f"{name}.depthwise", inner, 3, stride=stride, padding=1, groups=inner, bias=False)
    y = y.conv(f"{name}.project", filters, 1, bias=False)
    return y.add(x) if stride == 1 and filters == x.channels else y


def _mobilenet_v2() -> Net:
    x = Walk(3, (224, 224)).conv("conv1", 32, 3, stride=2, padding=1, bias=False)
    number = 0
    for expansion, filters, depth, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for block in range(depth):
            number += 1
            x = _inverted(x, f"block{number}", expansion, filters, stride if block == 0 else 1)
    x = x.conv("conv_last", 1280, 1, bias=False).global_pool("avgpool")
    return Net(
        "MobileNetV2 on 224x224",
        "Sandler et al., arXiv:1801.04381, 2018, table 2; torchvision's mobilenet_v2 (3,504,872 parameters, 0.301 G "
        "multiply-adds)",
        merged(x.layers),
    )


def _unit(x: Walk, name: str, filters: int, stride: int) -> Walk:
    half = filters // 2

    def pointwise(y: Walk, which: str) -> Walk:
        return y.conv(f"{name}.{which}", half, 1, bias=False)

    def depthwise(y: Walk, which: str) -> Walk:
        return y.conv(f"{name}.{which}", y.channels, 3, stride=stride, padding=1, groups=y.channels, bias=False)

    if stride == 1:
        kept, y = x.take(half), x.take(half)  # the channels are halved, and only one half is worked on
    else:
        kept, y = pointwise(depthwise(x, "branch1.depthwise"), "branch1.pointwise"), x
    y = pointwise(depthwise(pointwise(y, "branch2.first"), "branch2.depthwise"), "branch2.second")
    return kept.cat(y)


def _shufflenet_v2() -> Net:
    x = (
        Walk(3, (224, 224))
        .conv("conv1", 24, 3, stride=2, padding=1, bias=False)
        .pool("maxpool", "max", 3, 2, padding=1)
    )
    for stage, (filters, depth) in enumerate(((116, 4), (232, 8), (464, 4)), 2):
        for block in range(depth):
            x = _unit(x, f"stage{stage}.{block}", filters, 2 if block == 0 else 1)
    # torchvision writes the last pooling as a mean over the axes.
    x = x.conv("conv5", 1024, 1, bias=False).global_pool("globalpool")
    return Net(
        "ShuffleNetV2 x1.0 on 224x224",
        "Ma et al., arXiv:1807.11164, 2018, table 5; torchvision's shufflenet_v2_x1_0 (2,278,604 parameters, 0.145 G "
        "multiply-adds)",
        merged(x.layers),
    )


NETS = {
    "squeezenet1_0": _squeezenet1_0(),
    "shufflenet_v2_x1_0": _shufflenet_v2(),
    "mobilenet_v2": _mobilenet_v2(),
}
