"""LeNet-5, AlexNet and VGG-16: one layer after the other."""

from __future__ import annotations

from .layers import Net
from .walk import Walk, merged

__all__ = ["NETS"]


def _lenet5() -> Net:
    # The paper's conv2 leaves out connections by a table; here, as nearly everywhere since, every filter sees all six
    # channels.
    x = Walk(1, (32, 32))
    x = x.conv("conv1", 6, 5).pool("pool1", "avg", 2, 2)
    x = x.conv("conv2", 16, 5).pool("pool2", "avg", 2, 2)
    return Net(
        "LeNet-5 on 32x32, subsampling by average pooling",
        'LeCun et al., "Gradient-based learning applied to document recognition", 1998, with all connections in conv2',
        merged(x.layers),
    )


def _alexnet() -> Net:
    # The 224x224 of the paper does not give its 55x55 outputs; 227x227 does. The paper's alpha is the factor of a sum,
    # not of a mean.
    x = Walk(3, (227, 227))
    x = x.conv("conv1", 96, 11, stride=4).norm("norm1", 5, 5 * 1e-4, 0.75, 2.0).pool("pool1", "max", 3, 2)
    x = x.conv("conv2", 256, 5, padding=2, groups=2).norm("norm2", 5, 5 * 1e-4, 0.75, 2.0).pool("pool2", "max", 3, 2)
    x = x.conv("conv3", 384, 3, padding=1)
    x = x.conv("conv4", 384, 3, padding=1, groups=2)
    x = x.conv("conv5", 256, 3, padding=1, groups=2).pool("pool5", "max", 3, 2)
    return Net(
        "AlexNet on 227x227, two groups in conv2, conv4 and conv5 as in the paper",
        'Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012; sums: Chen et '
        'al., "Eyeriss", ISSCC 2016 (2.3 M weights, 666 M multiply-adds)',
        merged(x.layers),
    )


def _vgg16() -> Net:
    # torchvision's adaptive pooling to 7x7 after the last layer does nothing at this size.
    x = Walk(3, (224, 224))
    for block, (filters, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for layer in range(1, depth + 1):
            x = x.conv(f"conv{block}_{layer}", filters, 3, padding=1)
        x = x.pool(f"pool{block}", "max", 2, 2)
    return Net(
        "VGG-16 on 224x224",
        "Simonyan and Zisserman, arXiv:1409.1556, 2014, configuration D; torchvision's vgg16 (138,357,544 parameters, "
        "15.47 G multiply-adds)",
        merged(x.layers),
    )


NETS = {"lenet5": _lenet5(), "alexnet": _alexnet(), "vgg16": _vgg16()}
