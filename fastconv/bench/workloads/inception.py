"""Nets of parallel branches: GoogLeNet and Inception v3, both without the auxiliary heads of training."""

from __future__ import annotations

from .layers import Ints, Net
from .walk import Walk, merged

__all__ = ["NETS"]


def _conv(x: Walk, name: str, filters: int, kernel_size: Ints, *, stride: int = 1, padding: Ints = 0) -> Walk:
    return x.conv(name, filters, kernel_size, stride=stride, padding=padding, bias=False)


# ---- GoogLeNet


def _inception(x: Walk, name: str, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int) -> Walk:
    branch1 = _conv(x, f"{name}.branch1", one, 1)
    branch2 = _conv(_conv(x, f"{name}.branch2.0", three[0], 1), f"{name}.branch2.1", three[1], 3, padding=1)
    # 5x5 in the paper; 3x3 in torchvision, by a mistake that its published weights were made with.
    branch3 = _conv(_conv(x, f"{name}.branch3.0", five[0], 1), f"{name}.branch3.1", five[1], 3, padding=1)
    branch4 = x.pool(f"{name}.branch4.0", "max", 3, 1, padding=1, ceil_mode=True)
    return branch1.cat(branch2, branch3, _conv(branch4, f"{name}.branch4.1", pooled, 1))


def _googlenet() -> Net:
    x = _conv(Walk(3, (224, 224)), "conv1", 64, 7, stride=2, padding=3).pool("maxpool1", "max", 3, 2, ceil_mode=True)
    x = _conv(_conv(x, "conv2", 64, 1), "conv3", 192, 3, padding=1).pool("maxpool2", "max", 3, 2, ceil_mode=True)
    x = _inception(x, "inception3a", 64, (96, 128), (16, 32), 32)
    x = _inception(x, "inception3b", 128, (128, 192), (32, 96), 64)
    x = x.pool("maxpool3", "max", 3, 2, ceil_mode=True)
    x = _inception(x, "inception4a", 192, (96, 208), (16, 48), 64)
    x = _inception(x, "inception4b", 160, (112, 224), (24, 64), 64)
    x = _inception(x, "inception4c", 128, (128, 256), (24, 64), 64)
    x = _inception(x, "inception4d", 112, (144, 288), (32, 64), 64)
    x = _inception(x, "inception4e", 256, (160, 320), (32, 128), 128)
    x = x.pool("maxpool4", "max", 2, 2, ceil_mode=True)
    x = _inception(x, "inception5a", 256, (160, 320), (32, 128), 128)
    x = _inception(x, "inception5b", 384, (192, 384), (48, 128), 128)
    x = x.global_pool("avgpool")
    return Net(
        "GoogLeNet on 224x224, 3x3 for 5x5 as torchvision has it",
        "Szegedy et al., arXiv:1409.4842, 2014; torchvision's googlenet (6,624,904 parameters, 1.498 G multiply-adds)",
        merged(x.layers),
    )


# ---- Inception v3; the letters of the blocks are torchvision's


def _block_a(x: Walk, name: str, pooled: int) -> Walk:
    branch5 = _conv(_conv(x, f"{name}.branch5x5_1", 48, 1), f"{name}.branch5x5_2", 64, 5, padding=2)
    branch3 = _conv(_conv(x, f"{name}.branch3x3dbl_1", 64, 1), f"{name}.branch3x3dbl_2", 96, 3, padding=1)
    branch3 = _conv(branch3, f"{name}.branch3x3dbl_3", 96, 3, padding=1)
    branch_pool = _conv(x.pool(f"{name}.pool", "avg", 3, 1, padding=1), f"{name}.branch_pool", pooled, 1)
    return _conv(x, f"{name}.branch1x1", 64, 1).cat(branch5, branch3, branch_pool)


def _block_b(x: Walk, name: str) -> Walk:
    branch3 = _conv(_conv(x, f"{name}.branch3x3dbl_1", 64, 1), f"{name}.branch3x3dbl_2", 96, 3, padding=1)
    branch3 = _conv(branch3, f"{name}.branch3x3dbl_3", 96, 3, stride=2)
    return _conv(x, f"{name}.branch3x3", 384, 3, stride=2).cat(branch3, x.pool(f"{name}.pool", "max", 3, 2))


def _block_c(x: Walk, name: str, inner: int) -> Walk:
    def wide(y: Walk, which: str, filters: int) -> Walk:
        return _conv(y, f"{name}.{which}", filters, (1, 7), padding=(0, 3))

    def tall(y: Walk, which: str, filters: int) -> Walk:
        return _conv(y, f"{name}.{which}", filters, (7, 1), padding=(3, 0))

    single = wide(_conv(x, f"{name}.branch7x7_1", inner, 1), "branch7x7_2", inner)
    single = tall(single, "branch7x7_3", 192)
    double = tall(_conv(x, f"{name}.branch7x7dbl_1", inner, 1), "branch7x7dbl_2", inner)
    double = tall(wide(double, "branch7x7dbl_3", inner), "branch7x7dbl_4", inner)
    double = wide(double, "branch7x7dbl_5", 192)
    branch_pool = _conv(x.pool(f"{name}.pool", "avg", 3, 1, padding=1), f"{name}.branch_pool", 192, 1)
    return _conv(x, f"{name}.branch1x1", 192, 1).cat(single, double, branch_pool)


def _block_d(x: Walk, name: str) -> Walk:
    branch3 = _conv(_conv(x, f"{name}.branch3x3_1", 192, 1), f"{name}.branch3x3_2", 320, 3, stride=2)
    branch7 = _conv(x, f"{name}.branch7x7x3_1", 192, 1)
    branch7 = _conv(branch7, f"{name}.branch7x7x3_2", 192, (1, 7), padding=(0, 3))
    branch7 = _conv(branch7, f"{name}.branch7x7x3_3", 192, (7, 1), padding=(3, 0))
    branch7 = _conv(branch7, f"{name}.branch7x7x3_4", 192, 3, stride=2)
    return branch3.cat(branch7, x.pool(f"{name}.pool", "max", 3, 2))


def _block_e(x: Walk, name: str) -> Walk:
    def both(y: Walk, which: str) -> Walk:
        wide = _conv(y, f"{name}.{which}a", 384, (1, 3), padding=(0, 1))
        return wide.cat(_conv(y, f"{name}.{which}b", 384, (3, 1), padding=(1, 0)))

    single = both(_conv(x, f"{name}.branch3x3_1", 384, 1), "branch3x3_2")
    double = _conv(_conv(x, f"{name}.branch3x3dbl_1", 448, 1), f"{name}.branch3x3dbl_2", 384, 3, padding=1)
    double = both(double, "branch3x3dbl_3")
    branch_pool = _conv(x.pool(f"{name}.pool", "avg", 3, 1, padding=1), f"{name}.branch_pool", 192, 1)
    return _conv(x, f"{name}.branch1x1", 320, 1).cat(single, double, branch_pool)


def _inception_v3() -> Net:
    x = _conv(_conv(Walk(3, (299, 299)), "1a", 32, 3, stride=2), "2a", 32, 3)
    x = _conv(x, "2b", 64, 3, padding=1).pool("maxpool1", "max", 3, 2)
    x = _conv(_conv(x, "3b", 80, 1), "4a", 192, 3).pool("maxpool2", "max", 3, 2)
    x = _block_a(_block_a(_block_a(x, "5b", 32), "5c", 64), "5d", 64)
    x = _block_b(x, "6a")
    for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x = _block_c(x, name, inner)
    x = _block_e(_block_e(_block_d(x, "7a"), "7b"), "7c").global_pool("avgpool")
    return Net(
        "Inception v3 on 299x299",
        "Szegedy et al., arXiv:1512.00567, 2015; torchvision's inception_v3 (27,161,264 parameters with the auxiliary "
        "head, 5.713 G multiply-adds without it)",
        merged(x.layers),
    )


NETS = {"googlenet": _googlenet(), "inception_v3": _inception_v3()}
