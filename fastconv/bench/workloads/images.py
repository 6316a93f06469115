"""Filters on images, signals and volumes, as image and signal processing have them: few channels, large arrays."""

from __future__ import annotations

from collections.abc import Iterator

from .layers import Conv, Layer, Net

__all__ = ["NETS"]

KERNELS = (3, 7, 15, 31)
SIZES = (512, 1024, 2048, 4096)
TAPS = (9, 65, 1025)
VOLUME_KERNELS = (3, 5)


def _filters() -> Iterator[Layer]:
    for size in SIZES:
        for kernel in KERNELS:
            for kind, channels in (("grey", 1), ("rgb", 3)):  # each colour by itself
                yield Conv(
                    f"{kind}_{size}_{kernel}x{kernel}",
                    channels,
                    (size, size),
                    channels,
                    (kernel, kernel),
                    padding=kernel // 2,
                    groups=channels,
                    bias=False,
                )
    for taps in TAPS:
        yield Conv(f"signal_{taps}", 1, (1_000_000,), 1, (taps,), padding=taps // 2, bias=False)
    for kernel in VOLUME_KERNELS:
        name, window = f"volume_{kernel}x{kernel}x{kernel}", (kernel,) * 3
        yield Conv(name, 1, (256, 256, 256), 1, window, padding=kernel // 2, bias=False)


NETS = {
    "images": Net(
        "3x3 to 31x31 on 512^2 to 4096^2, grey and RGB; 9 to 1025 taps on 10^6 samples; 3^3 and 5^3 on 256^3",
        "chosen for this project: sizes common in image and signal processing; outputs as large as inputs",
        tuple(_filters()),
    )
}
