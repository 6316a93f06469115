"""Layers of ``torch.nn`` on fastconv: `replace` turns a model's own into them, `restore` turns them back.

A layer stays the same object; only its class changes, from one of ``torch.nn`` to its subclass here. So whatever hangs
on the object stays as it is: parameters, hooks, names, the training flag, and its places in the model. PyTorch's own
lazy layers become ordinary ones in this way.
"""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn import functional

from . import adaptive_pool, conv, pool

__all__ = ["replace", "restore"]

Model = TypeVar("Model", bound=nn.Module)


def replace(model: Model) -> Model:
    """Let a model's layers of convolution, pooling and local response normalisation run on fastconv.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place. Of its modules, itself included, those that are exactly of class ``nn.Conv{1,2,3}d``,
        ``nn.ConvTranspose{1,2,3}d``, ``nn.MaxPool{1,2,3}d``, ``nn.AvgPool{1,2,3}d``, ``nn.AdaptiveMaxPool{1,2,3}d``,
        ``nn.AdaptiveAvgPool{1,2,3}d`` or ``nn.LocalResponseNorm`` become of the class of that name here. Others'
        subclasses are left alone.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    Raises
    ------
    TypeError
        If it is no module.

    See Also
    --------
    restore : the way back.

    Notes
    -----
    Parameters, buffers, hooks, names and so ``state_dict`` stay what they are; the model may be copied, saved, trained,
    compiled and exported as before, but not be scripted or traced symbolically. What a model calls by
    ``torch.nn.functional`` is not replaced.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from fastconv.interop.torch import replace, restore
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2))
    >>> weight = model[0].weight
    >>> replace(model)(torch.ones(1, 1, 8, 8)).shape
    torch.Size([1, 4, 3, 3])
    >>> type(model[0]).__module__, model[0].weight is weight
    ('fastconv.interop.torch.modules', True)
    >>> type(restore(model)[0])
    <class 'torch.nn.modules.conv.Conv2d'>
    """
    return _with_classes("replace", model, {theirs: own for own, theirs in _PARENTS.items()})


def restore(model: Model) -> Model:
    """Undo `replace`; a layer that has been parametrised since keeps its class.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    Raises
    ------
    TypeError
        If it is no module.

    Examples
    --------
    >>> from torch import nn
    >>> from fastconv.interop.torch import replace, restore
    >>> type(restore(replace(nn.MaxPool2d(2))))
    <class 'torch.nn.modules.pooling.MaxPool2d'>
    """
    return _with_classes("restore", model, _PARENTS)


def _with_classes(op: str, model: Model, classes: dict[type[nn.Module], type[nn.Module]]) -> Model:
    if not isinstance(model, nn.Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}; needs a torch.nn.Module")
    for module in model.modules():
        module.__class__ = classes.get(type(module), type(module))
    return model


class _Conv:
    """What ``nn.Conv1d`` to ``nn.Conv3d`` call in their `forward`."""

    def _conv_forward(self: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = functional.pad(input, self._reversed_padding_repeated_twice, self.padding_mode)
            padding = 0
        return self._function(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class _ConvTranspose:
    def forward(self: Any, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        rank = len(self.kernel_size)
        extra = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, rank, self.dilation
        )
        return self._function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class _MaxPool:
    def forward(self: Any, input: Tensor) -> Any:
        window = self.kernel_size, self.stride, self.padding, self.dilation
        return self._function(input, *window, self.ceil_mode, self.return_indices)


class _AvgPool:
    def forward(self: Any, input: Tensor) -> Tensor:
        window = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        divisor = (self.divisor_override,) if hasattr(self, "divisor_override") else ()  # the one of signals has none
        return self._function(input, *window, *divisor)


class _AdaptiveMaxPool:
    def forward(self: Any, input: Tensor) -> Any:
        return self._function(input, self.output_size, self.return_indices)


class _AdaptiveAvgPool:
    def forward(self: Any, input: Tensor) -> Tensor:
        result: Tensor = self._function(input, self.output_size)
        return result


class Conv1d(_Conv, nn.Conv1d):
    """``torch.nn.Conv1d`` on fastconv."""

    _function = staticmethod(conv.conv1d)


class Conv2d(_Conv, nn.Conv2d):
    """``torch.nn.Conv2d`` on fastconv."""

    _function = staticmethod(conv.conv2d)


class Conv3d(_Conv, nn.Conv3d):
    """``torch.nn.Conv3d`` on fastconv."""

    _function = staticmethod(conv.conv3d)


class ConvTranspose1d(_ConvTranspose, nn.ConvTranspose1d):
    """``torch.nn.ConvTranspose1d`` on fastconv."""

    _function = staticmethod(conv.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose, nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d`` on fastconv."""

    _function = staticmethod(conv.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose, nn.ConvTranspose3d):
    """``torch.nn.ConvTranspose3d`` on fastconv."""

    _function = staticmethod(conv.conv_transpose3d)


class MaxPool1d(_MaxPool, nn.MaxPool1d):
    """``torch.nn.MaxPool1d`` on fastconv."""

    _function = staticmethod(pool.max_pool1d)


class MaxPool2d(_MaxPool, nn.MaxPool2d):
    """``torch.nn.MaxPool2d`` on fastconv."""

    _function = staticmethod(pool.max_pool2d)


class MaxPool3d(_MaxPool, nn.MaxPool3d):
    """``torch.nn.MaxPool3d`` on fastconv."""

    _function = staticmethod(pool.max_pool3d)


class AvgPool1d(_AvgPool, nn.AvgPool1d):
    """``torch.nn.AvgPool1d`` on fastconv."""

    _function = staticmethod(pool.avg_pool1d)


class AvgPool2d(_AvgPool, nn.AvgPool2d):
    """``torch.nn.AvgPool2d`` on fastconv."""

    _function = staticmethod(pool.avg_pool2d)


class AvgPool3d(_AvgPool, nn.AvgPool3d):
    """``torch.nn.AvgPool3d`` on fastconv."""

    _function = staticmethod(pool.avg_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool, nn.AdaptiveMaxPool1d):
    """``torch.nn.AdaptiveMaxPool1d`` on fastconv."""

    _function = staticmethod(adaptive_pool.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool, nn.AdaptiveMaxPool2d):
    """``torch.nn.AdaptiveMaxPool2d`` on fastconv."""

    _function = staticmethod(adaptive_pool.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool, nn.AdaptiveMaxPool3d):
    """``torch.nn.AdaptiveMaxPool3d`` on fastconv."""

    _function = staticmethod(adaptive_pool.adaptive_max_pool3d)


class AdaptiveAvgPool1d(_AdaptiveAvgPool, nn.AdaptiveAvgPool1d):
    """``torch.nn.AdaptiveAvgPool1d`` on fastconv."""

    _function = staticmethod(adaptive_pool.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool, nn.AdaptiveAvgPool2d):
    """``torch.nn.AdaptiveAvgPool2d`` on fastconv."""

    _function = staticmethod(adaptive_pool.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool, nn.AdaptiveAvgPool3d):
    """``torch.nn.AdaptiveAvgPool3d`` on fastconv."""

    _function = staticmethod(adaptive_pool.adaptive_avg_pool3d)


class LocalResponseNorm(nn.LocalResponseNorm):
    """``torch.nn.LocalResponseNorm`` on fastconv."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input`."""
        return pool.local_response_norm(input, self.size, self.alpha, self.beta, self.k)


_OWN = (
    *(Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d),
    *(MaxPool1d, MaxPool2d, MaxPool3d, AvgPool1d, AvgPool2d, AvgPool3d),
    *(AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d),
    *(AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, LocalResponseNorm),
)
_PARENTS: dict[type[nn.Module], type[nn.Module]] = {own: own.__bases__[-1] for own in _OWN}
