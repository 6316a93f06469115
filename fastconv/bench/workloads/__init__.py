"""Layers of real nets: the one table that the commands, the benchmarks and the tests share.

A net is written as a small function that follows its architecture (`walk.py`); a layer that it has several times stands
once, with its `count`. A new net is a new entry of a family's `NETS`, and its published sums in a test.
"""

from __future__ import annotations

from . import beyond, classics, compact, dense, images, inception, residual
from .layers import Conv, Layer, Net, Norm, Pool

__all__ = ["NETS", "Conv", "Layer", "Net", "Norm", "Pool"]

_FAMILIES = (classics, residual, dense, inception, compact, beyond, images)
_ORDER = (
    "lenet5",
    "alexnet",
    "vgg16",
    "resnet18",
    "resnet50",
    "squeezenet1_0",
    "densenet121",
    "densenet161",
    "inception_v3",
    "googlenet",
    "shufflenet_v2_x1_0",
    "mobilenet_v2",
    "resnext50",
    "convnext_tiny",
    "unet",
    "wavenet",
    "c3d",
    "images",
)

_known = {name: net for family in _FAMILIES for name, net in family.NETS.items()}
NETS: dict[str, Net] = {name: _known[name] for name in _ORDER}
