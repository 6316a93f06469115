"""Nets whose layers see the outputs of all before them: DenseNet-121 and -161."""

from __future__ import annotations

from .layers import Net
from .walk import Walk, merged

__all__ = ["NETS"]


def _dense_layer(x: Walk, name: str, growth: int) -> Walk:
    new = x.conv(f"{name}.conv1", 4 * growth, 1, bias=False)
    return x.cat(new.conv(f"{name}.conv2", growth, 3, padding=1, bias=False))


def _transition(x: Walk, name: str) -> Walk:
    return x.conv(f"{name}.conv", x.channels // 2, 1, bias=False).pool(f"{name}.pool", "avg", 2, 2)


def _densenet(title: str, source: str, features: int, growth: int, depths: tuple[int, ...]) -> Net:
    x = Walk(3, (224, 224)).conv("conv0", features, 7, stride=2, padding=3, bias=False)
    x = x.pool("pool0", "max", 3, 2, padding=1)
    for block, depth in enumerate(depths, 1):
        for layer in range(1, depth + 1):
            x = _dense_layer(x, f"block{block}.{layer}", growth)
        if block < len(depths):
            x = _transition(x, f"transition{block}")
    return Net(title, source, merged(x.global_pool("avgpool").layers))


NETS = {
    "densenet121": _densenet(
        "DenseNet-121 on 224x224",
        "Huang et al., arXiv:1608.06993, 2016; torchvision's densenet121 (7,978,856 parameters, 2.834 G multiply-adds)",
        64,
        32,
        (6, 12, 24, 16),
    ),
    "densenet161": _densenet(
        "DenseNet-161 on 224x224",
        "Huang et al., arXiv:1608.06993, 2016; torchvision's densenet161 (28,681,000 parameters, 7.728 G "
        "multiply-adds)",
        96,
        48,
        (6, 12, 36, 24),
    ),
}
