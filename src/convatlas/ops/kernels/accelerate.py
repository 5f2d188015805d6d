"""Make the layers of a network take the fast kernels: same parameters, same keys, same results.

A layer changes its class and nothing else. A batch norm and the activation behind it run as one
where a `Sequential` holds both; each remains a layer of its own for whoever replaces, folds or
exports it.
"""

import copy
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from convatlas.ops.kernels.depthwise import depthwise_conv2d
from convatlas.ops.kernels.freed_memory import keep_freed_memory
from convatlas.ops.kernels.norm_act import batch_norm_act
from convatlas.ops.kernels.switch import usable

_ACTIVATIONS: dict[type, str] = {
    nn.Identity: "identity",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "silu",
    nn.Hardswish: "hardswish",
}


def accelerate_cpu(model: nn.Module, *, keep_memory: bool = True) -> nn.Module:
    """Let a network train and run with the fast CPU kernels; changes it in place.

    Weights are not copied and `state_dict` keeps its keys. Where a kernel cannot be used (other
    devices or dtypes, Numba not installed, export) the layers do what they did before.

    Args:
        keep_memory: also let the process keep freed memory (`keep_freed_memory`).

    Returns the same object.
    """
    for layer in model.modules():
        fast = _fast_form(layer)
        if fast is not None:
            layer.__class__ = _combined(fast, type(layer))
    if keep_memory:
        keep_freed_memory()
    return model


def plain_layers(model: nn.Module) -> nn.Module:
    """Undo `accelerate_cpu`, in place."""
    for layer in model.modules():
        if isinstance(layer, _Fast):
            layer.__class__ = layer.plain_class
    return model


def _fast_form(layer: nn.Module) -> type | None:
    if isinstance(layer, _Fast):
        return None
    if type(layer) is nn.Conv2d and layer.padding_mode == "zeros":
        return _FastConv2d if not isinstance(layer.padding, str) else None
    if type(layer) is nn.BatchNorm2d:
        return _FastBatchNorm2d
    if type(layer).forward is nn.Sequential.forward:
        return _FastSequential
    return None


class _Fast:
    """What marks a layer that has changed its class; pickles know only the plain one."""

    plain_class: type

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _blank, (self.plain_class,), self.__dict__

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = memo[id(self)] = _blank(type(self))
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin


def _blank(cls: Any) -> Any:
    return cls.__new__(cls)


@lru_cache(maxsize=256)
def _combined(fast: type, plain: type) -> type:
    """The plain class with the fast forward in front; named alike, so that prints stay."""
    return type(plain.__name__, (fast, plain), {"plain_class": plain})


class _FastConv2d(_Fast):
    """Depthwise by our kernel; the others in channels_last, where torch is at its best."""

    def forward(self, x: Tensor) -> Tensor:
        layer = cast(nn.Conv2d, self)
        if not usable(x):
            return nn.Conv2d.forward(layer, x)
        if layer.groups == layer.in_channels == layer.out_channels and layer.groups > 1:
            y = depthwise_conv2d(
                x,
                layer.weight,
                stride=layer.stride,  # type: ignore[arg-type]  # nn.Conv2d keeps pairs
                padding=layer.padding,  # type: ignore[arg-type]  # strings are refused above
                dilation=layer.dilation,  # type: ignore[arg-type]  # as above
            )
            return y if layer.bias is None else y + layer.bias[:, None, None]
        return nn.Conv2d.forward(layer, x.contiguous(memory_format=torch.channels_last))


class _FastBatchNorm2d(_Fast):
    """Batch norm, and what follows it if the Sequential around it says so."""

    def forward(self, x: Tensor, act: str = "identity") -> Tensor:
        layer = cast(nn.BatchNorm2d, self)
        layer._check_input_dim(x)
        momentum = 0.0 if layer.momentum is None else layer.momentum
        if layer.training and layer.track_running_stats and layer.num_batches_tracked is not None:
            layer.num_batches_tracked.add_(1)
            if layer.momentum is None:
                momentum = 1.0 / float(layer.num_batches_tracked)
        batch = layer.training or (layer.running_mean is None and layer.running_var is None)
        keep = not layer.training or layer.track_running_stats
        return batch_norm_act(
            x,
            layer.running_mean if keep else None,
            layer.running_var if keep else None,
            layer.weight,
            layer.bias,
            training=batch,
            momentum=momentum,
            eps=layer.eps,
            act=act,
        )


class _FastSequential(_Fast):
    """Layers in turn, a batch norm together with the activation that follows it."""

    def forward(self, x: Any) -> Any:
        layers = list(cast(nn.Sequential, self))
        index = 0
        while index < len(layers):
            layer = layers[index]
            after = layers[index + 1] if index + 1 < len(layers) else None
            act = _ACTIVATIONS.get(type(after)) if after is not None else None
            if isinstance(layer, _FastBatchNorm2d) and act and not _hooked(layer, after):
                x = layer.forward(x, act)
                index += 2
            else:
                x = layer(x)
                index += 1
        return x


def _hooked(*layers: Any) -> bool:
    """Whether somebody waits for what goes in or out of one of these layers."""
    if hooks._global_forward_hooks or hooks._global_forward_pre_hooks:
        return True
    if hooks._global_backward_hooks or hooks._global_backward_pre_hooks:
        return True
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(layer, kind) for layer in layers for kind in kinds)
