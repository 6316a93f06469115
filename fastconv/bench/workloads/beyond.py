"""Nets beyond classifying images: U-Net (segmentation), WaveNet (sound), C3D (video)."""

from __future__ import annotations

from .layers import Net
from .walk import Walk, merged

__all__ = ["NETS"]


def _twice(x: Walk, name: str, filters: int) -> Walk:
    return x.conv(f"{name}.conv1", filters, 3).conv(f"{name}.conv2", filters, 3)


def _unet() -> Net:
    # As in the paper's figure 1: no padding, 572x572 in, 388x388 out.
    x, skipped = Walk(1, (572, 572)), []
    for level, filters in enumerate((64, 128, 256, 512), 1):
        x = _twice(x, f"down{level}", filters)
        skipped.append(x)
        x = x.pool(f"pool{level}", "max", 2, 2)
    x = _twice(x, "bottom", 1024)
    for level, filters in ((4, 512), (3, 256), (2, 128), (1, 64)):
        x = x.conv(f"up{level}.upconv", filters, 2, stride=2, transposed=True)
        x = _twice(skipped[level - 1].crop(x.size).cat(x), f"up{level}", filters)
    x = x.conv("output", 2, 1)
    return Net(
        "U-Net on 572x572, without padding as in the paper",
        "Ronneberger et al., arXiv:1505.04597, 2015, figure 1 (23 convolutional layers); 31,030,658 parameters in "
        "implementations of it",
        merged(x.layers),
    )


def _wavenet() -> Net:
    # The paper gives no sizes but the dilations; channels are those of its best known implementation, for one second of
    # sound. Causal: all padding is before, and as in the paper keeps the length; that implementation pads nothing.
    def causal(y: Walk, name: str, filters: int, dilation: int, bias: bool) -> Walk:
        return y.conv(name, filters, 2, padding=((dilation, 0),), dilation=dilation, bias=bias)

    x = causal(Walk(256, (16000,)), "causal", 32, 1, False)
    skip = x.take(512)
    for layer in range(50):
        dilation = 2 ** (layer % 10)
        gated = causal(x, f"layer{layer}.filter", 32, dilation, True)
        gated = gated.add(causal(x, f"layer{layer}.gate", 32, dilation, True))
        skip = skip.add(gated.conv(f"layer{layer}.skip", 512, 1))
        x = x.add(gated.conv(f"layer{layer}.dense", 32, 1))
    skip.conv("postprocess1", 512, 1).conv("postprocess2", 256, 1)
    return Net(
        "WaveNet on 16,000 samples: five stacks of causal layers with dilations 1 to 512",
        "van den Oord et al., arXiv:1609.03499, 2016; channels and biases of github.com/ibab/tensorflow-wavenet, "
        "wavenet_params.json",
        merged(x.layers),
    )


def _c3d() -> Net:
    x = Walk(3, (16, 112, 112))
    for block, filters in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512)), 1):
        for letter, one in zip("ab", filters, strict=False):
            x = x.conv(f"conv{block}{letter}", one, 3, padding=1)
        window = 2 if block > 1 else (1, 2, 2)
        # Caffe rounds up: 7x7 becomes 4x4 in pool5, the 8,192 features of fc6.
        x = x.pool(f"pool{block}", "max", window, window, ceil_mode=True)
    return Net(
        "C3D on 16 frames of 112x112",
        "Tran et al., arXiv:1412.0767, 2014, figure 3, and the authors' Caffe definition; with 101 classes 78.4 M "
        "parameters and 38.5 G multiply-adds (mmaction2, configs/recognition/c3d)",
        merged(x.layers),
    )


NETS = {"unet": _unet(), "wavenet": _wavenet(), "c3d": _c3d()}
