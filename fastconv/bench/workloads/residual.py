"""Nets whose blocks are added to their input: ResNet-18 and -50, ResNeXt-50, ConvNeXt-T."""

from __future__ import annotations

from .layers import Net
from .walk import Walk, merged

__all__ = ["NETS"]


def _basic(x: Walk, name: str, planes: int, stride: int) -> Walk:
    y = x.conv(f"{name}.conv1", planes, 3, stride=stride, padding=1, bias=False)
    y = y.conv(f"{name}.conv2", planes, 3, padding=1, bias=False)
    return _shortcut(x, y, name, stride)


def _bottleneck(x: Walk, name: str, planes: int, stride: int, groups: int = 1, width: int = 64) -> Walk:
    inner = planes * width // 64 * groups
    y = x.conv(f"{name}.conv1", inner, 1, bias=False)
    # The paper has the stride in conv1; torchvision and most others moved it here ("ResNet v1.5").
    y = y.conv(f"{name}.conv2", inner, 3, stride=stride, padding=1, groups=groups, bias=False)
    y = y.conv(f"{name}.conv3", 4 * planes, 1, bias=False)
    return _shortcut(x, y, name, stride)


def _shortcut(x: Walk, y: Walk, name: str, stride: int) -> Walk:
    if stride != 1 or x.channels != y.channels:
        x = x.conv(f"{name}.downsample", y.channels, 1, stride=stride, bias=False)
    return y.add(x)


def _stem() -> Walk:
    x = Walk(3, (224, 224)).conv("conv1", 64, 7, stride=2, padding=3, bias=False)
    return x.pool("maxpool", "max", 3, 2, padding=1)


def _resnet18() -> Net:
    x = _stem()
    for stage, planes in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            x = _basic(x, f"layer{stage}.{block}", planes, 2 if stage > 1 and block == 0 else 1)
    x = x.global_pool("avgpool")
    return Net(
        "ResNet-18 on 224x224",
        "He et al., arXiv:1512.03385, 2015; torchvision's resnet18 (11,689,512 parameters, 1.814 G multiply-adds)",
        merged(x.layers),
    )


def _fifty(title: str, source: str, groups: int, width: int) -> Net:
    x = _stem()
    for stage, (planes, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(depth):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _bottleneck(x, f"layer{stage}.{block}", planes, stride, groups, width)
    return Net(title, source, merged(x.global_pool("avgpool").layers))


def _convnext_tiny() -> Net:
    # The pointwise layers are written as the paper's table has them, as 1x1 convolutions; the authors' code and
    # torchvision's compute them as matrix products on channels-last arrays.
    x = Walk(3, (224, 224)).conv("stem", 96, 4, stride=4)
    for stage, (dim, depth) in enumerate(((96, 3), (192, 3), (384, 9), (768, 3)), 1):
        if stage > 1:
            x = x.conv(f"downsample{stage}", dim, 2, stride=2)
        for block in range(depth):
            name = f"stage{stage}.{block}"
            y = x.conv(f"{name}.depthwise", dim, 7, padding=3, groups=dim)
            x = y.conv(f"{name}.expand", 4 * dim, 1).conv(f"{name}.project", dim, 1).add(x)
    x = x.global_pool("avgpool")
    return Net(
        "ConvNeXt-T on 224x224, pointwise layers as 1x1 convolutions",
        "Liu et al., arXiv:2201.03545, 2022, table 9; torchvision's convnext_tiny (28,589,128 parameters, 4.456 G "
        "multiply-adds)",
        merged(x.layers),
    )


NETS = {
    "resnet18": _resnet18(),
    "resnet50": _fifty(
        "ResNet-50 on 224x224, strides in the 3x3 layers",
        "He et al., arXiv:1512.03385, 2015; torchvision's resnet50 (25,557,032 parameters, 4.089 G multiply-adds)",
        1,
        64,
    ),
    "resnext50": _fifty(
        "ResNeXt-50 32x4d on 224x224",
        "Xie et al., arXiv:1611.05431, 2016; torchvision's resnext50_32x4d (25,028,904 parameters, 4.23 G "
        "multiply-adds)",
        32,
        4,
    ),
    "convnext_tiny": _convnext_tiny(),
}
