"""Convolution and pooling for NumPy arrays on CPUs, forward and backward.

>>> import numpy as np
>>> import fastconv
>>> images = np.ones((8, 3, 32, 32), np.float32)
>>> filters = np.ones((16, 3, 5, 5), np.float32)
>>> fastconv.max_pool2d(fastconv.conv2d(images, filters, padding=2, activation="relu"), 2).shape
(8, 16, 16, 16)
"""

from typing import TYPE_CHECKING, Any

from . import _load as _load  # isort: split

from ._version import __version__
from .adaptive_pool import (
    adaptive_avg_pool,
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from .adaptive_pool_grad import (
    adaptive_avg_pool1d_backward,
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool3d_backward,
    adaptive_avg_pool_backward,
    adaptive_max_pool1d_backward,
    adaptive_max_pool2d_backward,
    adaptive_max_pool3d_backward,
    adaptive_max_pool_backward,
)
from .avg_pool import avg_pool, avg_pool1d, avg_pool2d, avg_pool3d
from .channel_pool import channel_max_pool, channel_max_pool_backward
from .conv import conv, conv1d, conv2d, conv3d
from .conv_backward import conv1d_backward, conv2d_backward, conv3d_backward, conv_backward
from .conv_grad import (
    conv1d_grad_input,
    conv1d_grad_weight,
    conv2d_grad_input,
    conv2d_grad_weight,
    conv3d_grad_input,
    conv3d_grad_weight,
    conv_grad_input,
    conv_grad_weight,
)
from .conv_transpose import (
    conv_transpose,
    conv_transpose1d,
    conv_transpose1d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose3d,
    conv_transpose3d_backward,
    conv_transpose_backward,
)
from .max_pool import max_pool, max_pool1d, max_pool2d, max_pool3d
from .norm import local_response_norm, local_response_norm_backward
from .padding import pad, pad_backward
from .patches import col2im, im2col
from .plan import Choice, ConvPlan, choose_algorithm
from .pool_grad import (
    avg_pool1d_backward,
    avg_pool2d_backward,
    avg_pool3d_backward,
    avg_pool_backward,
    max_pool1d_backward,
    max_pool2d_backward,
    max_pool3d_backward,
    max_pool_backward,
)
from .runtime import (
    clear_scratch,
    get_include,
    get_library,
    get_num_threads,
    num_threads,
    options,
    set_num_threads,
    show_config,
)

if TYPE_CHECKING:
    from . import arithmetic, ndimage, reference, signal

__all__ = [
    "Choice",
    "ConvPlan",
    "__version__",
    "adaptive_avg_pool",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool1d_backward",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool3d",
    "adaptive_avg_pool3d_backward",
    "adaptive_avg_pool_backward",
    "adaptive_max_pool",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_backward",
    "adaptive_max_pool_backward",
    "arithmetic",
    "avg_pool",
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "avg_pool3d",
    "avg_pool3d_backward",
    "avg_pool_backward",
    "channel_max_pool",
    "channel_max_pool_backward",
    "choose_algorithm",
    "clear_scratch",
    "col2im",
    "conv",
    "conv1d",
    "conv1d_backward",
    "conv1d_grad_input",
    "conv1d_grad_weight",
    "conv2d",
    "conv2d_backward",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "conv3d",
    "conv3d_backward",
    "conv3d_grad_input",
    "conv3d_grad_weight",
    "conv_backward",
    "conv_grad_input",
    "conv_grad_weight",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "conv_transpose_backward",
    "get_include",
    "get_library",
    "get_num_threads",
    "im2col",
    "local_response_norm",
    "local_response_norm_backward",
    "max_pool",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "max_pool_backward",
    "ndimage",
    "num_threads",
    "options",
    "pad",
    "pad_backward",
    "reference",
    "set_num_threads",
    "show_config",
    "signal",
]


def __getattr__(name: str) -> Any:
    """Load what calls do not need when it is first asked for: it is most of the time of an import."""
    if name in ("arithmetic", "ndimage", "reference", "signal"):
        from importlib import import_module

        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
