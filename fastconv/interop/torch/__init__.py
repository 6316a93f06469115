"""fastconv in PyTorch, on the CPU: functions with gradients, and `replace` for the layers of a model.

The functions are those of ``torch.nn.functional``, by name and signature. They are made of operators,
``torch.ops.fastconv``, that autograd, ``torch.compile`` and ``torch.export`` know. Needs the package ``torch``.

- Images are read and returned where they lie, in channels first or last; nothing of them is copied.
- Types are float32, float64 and float16; under autocast all but float64 is computed in float32.
- Calls run on ``torch.get_num_threads()`` threads: what bounds PyTorch's own threads bounds these.
"""

from __future__ import annotations

from .._needs import needs

with needs("torch"):
    from .adaptive_pool import (
        adaptive_avg_pool1d,
        adaptive_avg_pool2d,
        adaptive_avg_pool3d,
        adaptive_max_pool1d,
        adaptive_max_pool2d,
        adaptive_max_pool3d,
    )
    from .conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
    from .modules import replace, restore
    from .pool import (
        avg_pool1d,
        avg_pool2d,
        avg_pool3d,
        local_response_norm,
        max_pool1d,
        max_pool2d,
        max_pool3d,
    )

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "local_response_norm",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "replace",
    "restore",
]
