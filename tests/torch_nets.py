"""Nine nets of computer vision in plain PyTorch, from their papers: what `replace` is tested and measured on.

They take images of any size that leaves something after their last pooling. `width` is that of the hidden dense layers
of AlexNet and VGG, most of their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """The sum of two branches."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None, last: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.shortcut, self.last = branch, shortcut or nn.Identity(), last or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.branch(x) + self.shortcut(x))


class Branches(nn.Module):
    """The channels of several branches, one after the other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def conv(inputs: int, filters: int, size: Any, **keywords: Any) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, filters, size, bias=False, **keywords), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)
    )


def head(features: int, classes: int = 1000) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


def dense(features: int, width: int) -> list[nn.Module]:
    """The classifier of AlexNet and VGG."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (features, width):
        layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True), nn.Dropout()]
    return [*layers, nn.Linear(width, 1000)]


def alexnet(width: int = 4096) -> nn.Module:
    """Krizhevsky et al., 2012: groups and local response normalisation as in the paper."""

    def layer(*arguments: int, **keywords: int) -> list[nn.Module]:
        return [nn.Conv2d(*arguments, **keywords), nn.ReLU(inplace=True)]

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)  # the paper's 1e-4 is the factor of a sum, not of a mean

    return nn.Sequential(
        *layer(3, 96, 11, stride=4),
        *(norm(), nn.MaxPool2d(3, 2)),
        *layer(96, 256, 5, padding=2, groups=2),
        *(norm(), nn.MaxPool2d(3, 2)),
        *layer(256, 384, 3, padding=1),
        *layer(384, 384, 3, padding=1, groups=2),
        *layer(384, 256, 3, padding=1, groups=2),
        *(nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6)),
        *dense(256 * 6 * 6, width),
    )


def vgg16(width: int = 4096) -> nn.Module:
    """Simonyan and Zisserman, arXiv:1409.1556, configuration D."""
    layers: list[nn.Module] = []
    inputs = 3
    for filters, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = filters
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), *dense(512 * 7 * 7, width))


def resnet18() -> nn.Module:
    """He et al., arXiv:1512.03385, table 1."""

    def block(inputs: int, filters: int, stride: int) -> nn.Module:
        branch = nn.Sequential(
            conv(inputs, filters, 3, stride=stride, padding=1),
            nn.Conv2d(filters, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
        )
        same = stride == 1 and inputs == filters
        shortcut = None if same else conv(inputs, filters, 1, stride=stride)[:2]
        return Residual(branch, shortcut, nn.ReLU(inplace=True))

    blocks: list[nn.Module] = []
    inputs = 64
    for filters, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [block(inputs, filters, stride), block(filters, filters, 1)]
        inputs = filters
    return nn.Sequential(conv(3, 64, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1), *blocks, *head(512))


def densenet161() -> nn.Module:
    """Huang et al., arXiv:1608.06993, with a growth of 48."""
    growth, channels = 48, 96

    def norm(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]

    def layer(channels: int) -> nn.Module:
        return nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),  # not in place: the block goes on with what comes in
            conv(channels, 4 * growth, 1),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    layers: list[nn.Module] = [conv(3, channels, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1)]
    for depth in (6, 12, 36, 24):
        if len(layers) > 2:
            layers += [*norm(channels), nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2, 2)]
            channels //= 2
        for _ in range(depth):
            layers.append(Branches(nn.Identity(), layer(channels)))
            channels += growth
    return nn.Sequential(*layers, *norm(channels), *head(channels))


def googlenet() -> nn.Module:
    """Szegedy et al., arXiv:1409.4842, table 1, with batch normalisation, and 3x3 for 5x5 as is usual since."""

    def block(
        inputs: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int
    ) -> tuple[nn.Module, int]:
        return Branches(
            conv(inputs, one, 1),
            nn.Sequential(conv(inputs, three[0], 1), conv(*three, 3, padding=1)),
            nn.Sequential(conv(inputs, five[0], 1), conv(*five, 3, padding=1)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(inputs, pooled, 1)),
        ), one + three[1] + five[1] + pooled

    def pool(size: int) -> nn.Module:
        return nn.MaxPool2d(size, 2, ceil_mode=True)

    layers = [conv(3, 64, 7, stride=2, padding=3), pool(3), conv(64, 64, 1), conv(64, 192, 3, padding=1), pool(3)]
    channels = 192
    for arguments in (
        (64, (96, 128), (16, 32), 32),
        (128, (128, 192), (32, 96), 64),
        3,
        (192, (96, 208), (16, 48), 64),
        (160, (112, 224), (24, 64), 64),
        (128, (128, 256), (24, 64), 64),
        (112, (144, 288), (32, 64), 64),
        (256, (160, 320), (32, 128), 128),
        2,
        (256, (160, 320), (32, 128), 128),
        (384, (192, 384), (48, 128), 128),
    ):
        if isinstance(arguments, int):
            layers.append(pool(arguments))
        else:
            layer, channels = block(channels, *arguments)
            layers.append(layer)
    average, flat, classifier = head(channels)
    return nn.Sequential(*layers, average, flat, nn.Dropout(0.2), classifier)


def inception_v3() -> nn.Module:
    """Szegedy et al., arXiv:1512.00567, without the auxiliary head."""
    wide, tall = dict(size=(1, 7), padding=(0, 3)), dict(size=(7, 1), padding=(3, 0))

    def averaged(inputs: int, filters: int) -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(inputs, filters, 1))

    def squares(inputs: int, pooled: int) -> nn.Module:
        return Branches(
            conv(inputs, 64, 1),
            nn.Sequential(conv(inputs, 48, 1), conv(48, 64, 5, padding=2)),
            nn.Sequential(conv(inputs, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, padding=1)),
            averaged(inputs, pooled),
        )

    def smaller(inputs: int) -> nn.Module:
        return Branches(
            conv(inputs, 384, 3, stride=2),
            nn.Sequential(conv(inputs, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, stride=2)),
            nn.MaxPool2d(3, 2),
        )

    def factored(inner: int) -> nn.Module:
        return Branches(
            conv(768, 192, 1),
            nn.Sequential(conv(768, inner, 1), conv(inner, inner, **wide), conv(inner, 192, **tall)),
            nn.Sequential(
                conv(768, inner, 1),
                *(conv(inner, inner, **kernel) for kernel in (tall, wide, tall)),
                conv(inner, 192, **wide),
            ),
            averaged(768, 192),
        )

    def smallest() -> nn.Module:
        factors = conv(192, 192, **wide), conv(192, 192, **tall)
        return Branches(
            nn.Sequential(conv(768, 192, 1), conv(192, 320, 3, stride=2)),
            nn.Sequential(conv(768, 192, 1), *factors, conv(192, 192, 3, stride=2)),
            nn.MaxPool2d(3, 2),
        )

    def spread(inputs: int) -> nn.Module:
        def both() -> nn.Module:
            return Branches(conv(384, 384, (1, 3), padding=(0, 1)), conv(384, 384, (3, 1), padding=(1, 0)))

        return Branches(
            conv(inputs, 320, 1),
            nn.Sequential(conv(inputs, 384, 1), both()),
            nn.Sequential(conv(inputs, 448, 1), conv(448, 384, 3, padding=1), both()),
            averaged(inputs, 192),
        )

    average, flat, classifier = head(2048)
    return nn.Sequential(
        *(conv(3, 32, 3, stride=2), conv(32, 32, 3), conv(32, 64, 3, padding=1), nn.MaxPool2d(3, 2)),
        *(conv(64, 80, 1), conv(80, 192, 3), nn.MaxPool2d(3, 2)),
        *(squares(192, 32), squares(256, 64), squares(288, 64), smaller(288)),
        *(factored(inner) for inner in (128, 160, 160, 192)),
        *(smallest(), spread(1280), spread(2048)),
        *(average, flat, nn.Dropout(), classifier),
    )


def squeezenet1_0() -> nn.Module:
    """Iandola et al., arXiv:1602.07360, table 1."""

    def layer(*arguments: int, **keywords: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(*arguments, **keywords), nn.ReLU(inplace=True))

    def fire(inputs: int, squeezed: int, expanded: int) -> nn.Module:
        expand = Branches(layer(squeezed, expanded, 1), layer(squeezed, expanded, 3, padding=1))
        return nn.Sequential(layer(inputs, squeezed, 1), expand)

    layers, channels = [layer(3, 96, 7, stride=2)], 96
    for number, (squeezed, expanded) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)), 2
    ):
        if number in (2, 5, 9):
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        layers.append(fire(channels, squeezed, expanded))
        channels = 2 * expanded
    return nn.Sequential(
        *layers, nn.Dropout(), nn.Conv2d(channels, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


class ShuffleUnit(nn.Module):
    """Figure 3 (c) and (d) of the paper."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        half = filters // 2
        self.stride = stride
        self.shortcut = nn.Sequential(*self.depthwise(inputs, stride), conv(inputs, half, 1)) if stride > 1 else None
        taken = inputs if stride > 1 else half
        self.branch = nn.Sequential(conv(taken, half, 1), *self.depthwise(half, stride), conv(half, half, 1))

    @staticmethod
    def depthwise(channels: int, stride: int) -> Sequence[nn.Module]:
        return conv(channels, channels, 3, stride=stride, padding=1, groups=channels)[:2]

    def forward(self, x: Tensor) -> Tensor:
        kept, worked = (x, x) if self.shortcut else x.chunk(2, 1)
        kept = self.shortcut(kept) if self.shortcut else kept
        return torch.cat([kept, self.branch(worked)], 1).unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


def shufflenet_v2_x1_0() -> nn.Module:
    """Ma et al., arXiv:1807.11164, table 5."""
    layers: list[nn.Module] = [conv(3, 24, 3, stride=2, padding=1), nn.MaxPool2d(3, 2, 1)]
    channels = 24
    for filters, depth in ((116, 4), (232, 8), (464, 4)):
        for block in range(depth):
            layers.append(ShuffleUnit(channels, filters, 1 if block else 2))
            channels = filters
    return nn.Sequential(*layers, conv(channels, 1024, 1), *head(1024))


def mobilenet_v2() -> nn.Module:
    """Sandler et al., arXiv:1801.04381, table 2."""

    def layer(inputs: int, filters: int, size: int, **keywords: int) -> list[nn.Module]:
        return [*conv(inputs, filters, size, **keywords)[:2], nn.ReLU6(inplace=True)]

    def block(inputs: int, expansion: int, filters: int, stride: int) -> nn.Module:
        inner = inputs * expansion
        expand = layer(inputs, inner, 1) if expansion > 1 else []
        depthwise = layer(inner, inner, 3, stride=stride, padding=1, groups=inner)
        branch = nn.Sequential(*expand, *depthwise, *conv(inner, filters, 1)[:2])
        return Residual(branch) if stride == 1 and inputs == filters else branch

    layers, channels = layer(3, 32, 3, stride=2, padding=1), 32
    for expansion, filters, depth, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for number in range(depth):
            layers.append(block(channels, expansion, filters, 1 if number else stride))
            channels = filters
    average, flat, classifier = head(1280)
    return nn.Sequential(*layers, *layer(channels, 1280, 1), average, flat, nn.Dropout(0.2), classifier)


NETS: dict[str, Callable[..., nn.Module]] = {
    net.__name__: net
    for net in (
        *(resnet18, alexnet, vgg16, squeezenet1_0, densenet161),
        *(inception_v3, googlenet, shufflenet_v2_x1_0, mobilenet_v2),
    )
}

SIZES = {"alexnet": 227, "inception_v3": 299}
"""Of images as in the papers; 224 elsewhere."""

PARAMETERS = {
    "resnet18": 11_689_512,
    "alexnet": 60_965_224,
    "vgg16": 138_357_544,
    "squeezenet1_0": 1_248_424,
    "densenet161": 28_681_000,
    "inception_v3": 23_834_568,
    "googlenet": 6_624_904,
    "shufflenet_v2_x1_0": 2_278_604,
    "mobilenet_v2": 3_504_872,
}
"""As published, with a thousand classes."""
