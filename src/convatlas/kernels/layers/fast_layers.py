"""Make the layers of a network take the fast kernels: same parameters, same keys, same results.

A layer changes its class and nothing else. A batch norm and the activation behind it run as one
where a `Sequential` holds both; each remains a layer of its own for code that replaces, folds or
exports it.
"""

import copy
from functools import lru_cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from convatlas.kernels.launch.workspace import NOT_RUNNING, Running
from convatlas.kernels.layers.batch_norm_act import batch_norm_act
from convatlas.kernels.layers.deferred_norm import DeferredNorm, convolve
from convatlas.kernels.layers.depthwise import depthwise_conv1d, depthwise_conv2d
from convatlas.kernels.layers.fused_conv import Norm
from convatlas.kernels.layout.activations import LAYERS as ACTIVATION_LAYERS
from convatlas.kernels.runtime.dispatch import usable


def fast_layers(model: nn.Module) -> nn.Module:
    """Let every layer that has a kernel take it, in place, whether the network gains or not.

    Weights are not copied and `state_dict` keeps its keys. Where a kernel cannot be used (other
    devices or dtypes, Numba not installed, export) the layers do what they did before.

    Returns the same object. `use_fast_kernels` does it where a measured step gains.
    """
    for layer in model.modules():
        fast = _fast_form(layer)
        if fast is not None:
            layer.__class__ = _combined(fast, type(layer))
    return model


def restore_layers(model: nn.Module) -> nn.Module:
    """Undo `fast_layers`, in place."""
    for layer in model.modules():
        if isinstance(layer, _Fast):
            layer.__class__ = layer.plain_class
    return model


def is_fast(model: nn.Module) -> bool:
    """Return whether a layer of a network has changed its class (`fast_layers`)."""
    return any(isinstance(layer, _Fast) for layer in model.modules())


def _fast_form(layer: nn.Module) -> type | None:
    if isinstance(layer, _Fast):
        return None
    if type(layer) is nn.Conv2d and layer.padding_mode == "zeros":
        return _FastConv2d if not isinstance(layer.padding, str) else None
    if type(layer) is nn.Conv1d and layer.padding_mode == "zeros":
        alone = layer.groups == layer.in_channels == layer.out_channels > 1
        return _FastConv1d if alone and not isinstance(layer.padding, str) else None
    if type(layer) is nn.BatchNorm2d:
        return _FastBatchNorm2d
    if type(layer).forward is nn.Sequential.forward:
        return _FastSequential
    return _FastBlock if only_calls_and_adds(layer) else None


def only_calls_and_adds(layer: nn.Module) -> bool:
    """Return whether a block says that `forward` only calls its layers and adds.

    The class says so with `only_calls_and_adds = True` beside that `forward`; one that inherits the
    word but brings a `forward` of its own has to say it again.
    """
    owner = next(cls for cls in type(layer).__mro__ if "forward" in vars(cls))
    return vars(owner).get("only_calls_and_adds", False) is True


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
                dilation=layer.dilation,  # type: ignore[arg-type]  # strings are refused above
            )
            return y if layer.bias is None else y + layer.bias[:, None, None]
        return nn.Conv2d.forward(layer, x.contiguous(memory_format=torch.channels_last))


class _FastConv1d(_Fast):
    """Depthwise along time by our kernel."""

    def forward(self, x: Tensor) -> Tensor:
        layer = cast(nn.Conv1d, self)
        if not usable(x) or x.dim() != 3:
            return nn.Conv1d.forward(layer, x)
        (padding,), (dilation,) = cast(Any, layer.padding), layer.dilation
        return self.at(x, padding, dilation)

    def at(self, x: Tensor, padding: int, dilation: int) -> Tensor:
        """Convolve at another dilation: networks that share a layer among dilations ask for it."""
        layer = cast(nn.Conv1d, self)
        if not usable(x):
            return F.conv1d(
                x, layer.weight, layer.bias, layer.stride, padding, dilation, layer.groups
            )
        (stride,) = layer.stride
        y = depthwise_conv1d(x, layer.weight, stride=stride, padding=padding, dilation=dilation)
        return y if layer.bias is None else y + layer.bias[:, None]


class _FastBatchNorm2d(_Fast):
    """Batch norm, and what follows it if the Sequential around it says so."""

    def forward(self, x: Tensor, act: str = "identity") -> Tensor:
        layer = cast(nn.BatchNorm2d, self)
        layer._check_input_dim(x)
        momentum = self.count_batch()
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

    def count_batch(self) -> float:
        """Count one more batch in training; returns the momentum that it has."""
        layer = cast(nn.BatchNorm2d, self)
        if layer.training and layer.track_running_stats and layer.num_batches_tracked is not None:
            layer.num_batches_tracked.add_(1)
            if layer.momentum is None:
                return 1.0 / float(layer.num_batches_tracked)
        return layer.momentum or 0.0

    def running(self) -> Running:
        """Return what a kernel that sees a batch in training has to let follow it."""
        layer = cast(nn.BatchNorm2d, self)
        if not layer.track_running_stats:
            return NOT_RUNNING
        mean, var, counted = layer.running_mean, layer.running_var, layer.num_batches_tracked
        known = counted is not None and counted.dtype == torch.int64 and counted.is_cpu
        if layer.momentum is None or not known:
            return Running(mean, var, None, self.count_batch())
        return Running(mean, var, counted, layer.momentum)


class _FastSequential(_Fast):
    """Layers in turn, a batch norm together with what stands before and behind it."""

    def forward(self, x: Any) -> Any:
        return self.run(DeferredNorm(x)).tensor()

    def run(self, value: DeferredNorm) -> DeferredNorm:
        layers, at = list(cast(nn.Sequential, self)), 0
        while at < len(layers):
            value, used = _step(value, layers[at : at + 3])
            at += used
        return value


def _step(value: DeferredNorm, layers: list[nn.Module]) -> tuple[DeferredNorm, int]:
    """Run the first of up to three layers: a convolution with norm and activation, or one alone."""
    conv = layers[0] if isinstance(layers[0], _FastConv2d) else None
    norm = layers[1 if conv else 0] if len(layers) > (1 if conv else 0) else None
    if not isinstance(norm, _FastBatchNorm2d):
        return run_layer(value, layers[0]), 1
    place = 2 if conv else 1
    act = ACTIVATION_LAYERS.get(type(layers[place])) if len(layers) > place else None
    count = place + 1 if act else place
    if _has_hooks(*layers[:count]):
        return run_layer(value, layers[0]), 1
    made = _convolved(value, conv, norm, act or "identity") if conv else None
    if made is not None:
        return made, count
    if conv:
        return run_layer(value, conv), 1
    return DeferredNorm(norm.forward(value.tensor(), act or "identity")), count


def _convolved(value: DeferredNorm, conv: Any, norm: Any, act: str) -> DeferredNorm | None:
    """Convolve, in training, and leave norm and activation to the reader of the result."""
    made = convolve(value, conv, norm)
    return made and DeferredNorm(made[0], Norm(made[1], norm.weight, norm.bias, act))


def run_layer(value: DeferredNorm, layer: nn.Module) -> DeferredNorm:
    """Run any layer: our own take a value as it is, the others the finished tensor."""
    if isinstance(layer, _FastSequential | _FastBlock) and not _has_hooks(layer):
        return layer.run(value)
    if type(layer) is nn.Identity and not _has_hooks(layer):
        return value
    return DeferredNorm(layer(value.tensor()))


class _FastBlock(_Fast):
    """A block that says `only_calls_and_adds`: norms may stay deferred from layer to layer."""

    def forward(self, x: Any) -> Any:
        if torch.compiler.is_compiling():
            return self.plain_class.forward(self, x)
        return self.run(DeferredNorm(x)).tensor()

    def run(self, value: DeferredNorm) -> DeferredNorm:
        return self.plain_class.forward(_Parts(self), value)


class _Parts:
    """Stand for a block in its own forward: its layers take deferred norms, the rest stays."""

    def __init__(self, layer: Any):
        self._layer = layer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._layer, name)
        return (lambda value: run_layer(value, found)) if isinstance(found, nn.Module) else found


def _has_hooks(*layers: Any) -> bool:
    """Whether one of these layers has a hook, or all layers have."""
    if hooks._global_forward_hooks or hooks._global_forward_pre_hooks:
        return True
    if hooks._global_backward_hooks or hooks._global_backward_pre_hooks:
        return True
    for layer in layers:
        if layer._forward_hooks or layer._forward_pre_hooks:
            return True
        if layer._backward_hooks or layer._backward_pre_hooks:
            return True
    return False
