"""What fastconv is measured against. Each library is imported by the process that measures it, and by no other."""

from __future__ import annotations

from .fastconv_ import FastConv
from .jax_ import Jax
from .numpy_ import NumPy
from .onnxruntime_ import OnnxRuntime
from .opencv_ import OpenCV
from .openvino_ import OpenVino
from .protocol import Cannot, Peer, Prepared
from .scipy_ import ScipyFft, ScipyNdimage, ScipySignal
from .torch_ import Torch, TorchChannelsLast

__all__ = ["FAST", "PEERS", "Cannot", "FastConv", "Peer", "Prepared"]

PEERS: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        Torch,
        TorchChannelsLast,
        OnnxRuntime,
        OpenVino,
        ScipyNdimage,
        ScipySignal,
        ScipyFft,
        OpenCV,
        NumPy,
        Jax,
    )
}

FAST = ("torch", "torch_channels_last", "onnxruntime", "openvino")
"""Those that a run takes unless told otherwise, as far as they are installed."""
