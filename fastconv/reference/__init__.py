"""Every op of the package again in plain NumPy: the definition the fast ones are tested against.

Names and signatures are those of the fast ops. All sums are accumulated in float64 and rounded once, to the result's
type, at the end; call with float64 arrays to see them unrounded. What only chooses or moves elements never leaves their
type. The model is nearly everywhere the same: a loop over the taps of the window, each a strided slice of the padded
input, the channels contracted by one matrix product. The geometry rules are this package's own: it shares no code with
the fast path, so that the two can disagree.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from . import conv as _conv
from . import pool as _pool
from .norm import local_response_norm as local_response_norm
from .norm import local_response_norm_backward as local_response_norm_backward
from .padding import pad as pad
from .padding import pad_backward as pad_backward
from .patches import col2im as col2im
from .patches import im2col as im2col
from .pool import channel_max_pool as channel_max_pool
from .pool import channel_max_pool_backward as channel_max_pool_backward


def _public(definition: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The op for any number of spatial axes (a batch is needed), then for 1, 2 and 3 (an item alone will do)."""
    signature = inspect.signature(definition)
    signature = signature.replace(parameters=[*signature.parameters.values()][1:])

    def fixed(rank: int) -> Callable[..., Any]:
        def op(*args: Any, **kwargs: Any) -> Any:
            return definition(rank, *args, **kwargs)

        suffix = f"{rank}d" if rank else ""
        op.__name__ = op.__qualname__ = re.sub("(conv_transpose|conv|pool)", rf"\g<1>{suffix}", definition.__name__)
        op.__doc__, op.__signature__ = definition.__doc__, signature  # type: ignore[attr-defined]
        return op

    return map(fixed, range(4))


conv, conv1d, conv2d, conv3d = _public(_conv.conv)
conv_grad_input, conv1d_grad_input, conv2d_grad_input, conv3d_grad_input = _public(_conv.conv_grad_input)
conv_grad_weight, conv1d_grad_weight, conv2d_grad_weight, conv3d_grad_weight = _public(_conv.conv_grad_weight)
conv_backward, conv1d_backward, conv2d_backward, conv3d_backward = _public(_conv.conv_backward)
conv_transpose, conv_transpose1d, conv_transpose2d, conv_transpose3d = _public(_conv.conv_transpose)
(
    conv_transpose_backward,
    conv_transpose1d_backward,
    conv_transpose2d_backward,
    conv_transpose3d_backward,
) = _public(_conv.conv_transpose_backward)
max_pool, max_pool1d, max_pool2d, max_pool3d = _public(_pool.max_pool)
max_pool_backward, max_pool1d_backward, max_pool2d_backward, max_pool3d_backward = _public(_pool.max_pool_backward)
avg_pool, avg_pool1d, avg_pool2d, avg_pool3d = _public(_pool.avg_pool)
avg_pool_backward, avg_pool1d_backward, avg_pool2d_backward, avg_pool3d_backward = _public(_pool.avg_pool_backward)
adaptive_max_pool, adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = _public(_pool.adaptive_max_pool)
(
    adaptive_max_pool_backward,
    adaptive_max_pool1d_backward,
    adaptive_max_pool2d_backward,
    adaptive_max_pool3d_backward,
) = _public(_pool.adaptive_max_pool_backward)
adaptive_avg_pool, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = _public(_pool.adaptive_avg_pool)
(
    adaptive_avg_pool_backward,
    adaptive_avg_pool1d_backward,
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool3d_backward,
) = _public(_pool.adaptive_avg_pool_backward)
