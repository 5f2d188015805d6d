"""Networks without their last layer, for their features, and with a new one, for other classes."""

from typing import cast

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError

HEADS = ("classifier", "class_maps")  # the name under which every network keeps its last layers
AUXILIARY = "auxiliary"


class Features(nn.Module):
    """Stand where the last layer was, and remember what it read.

    Args:
        kind: class of the layer.
        features: length of what it reads.

    Shape: (n, ...) -> (n, ...), unchanged
    """

    def __init__(self, kind: type[nn.Module], features: int):
        super().__init__()
        self.kind, self.features = kind, features

    def forward(self, x: Tensor) -> Tensor:
        return x


def reset_classifier(model: nn.Module, num_classes: int) -> None:
    """Give a network a new last layer with fresh weights, or none.

    Every registered network has this as a method: `model.reset_classifier(10)`.

    Args:
        num_classes: length of the output; 0 leaves the layer out, so that the network returns
            what it would have read, a vector of `num_features` an image. Classifiers that only
            help training get new last layers as well; 0 removes them.

    Raises:
        UsageError: a number below 0, a network whose classes are more than its last layer, or 0
            where that layer is the whole network.
    """
    if type(num_classes) is not int or num_classes < 0:
        raise UsageError(
            f"reset_classifier: num_classes must be a whole number from 0 up, got {num_classes!r}"
        )
    path = last_layer(model)
    if num_classes == 0 and _is_whole_model(model, path):
        raise UsageError(
            f"reset_classifier: {type(model).__name__} has no features (num_classes=0), because "
            "its classifier reads the image itself"
        )
    _replace(model, path, num_classes)
    for module in list(model.modules()):
        auxiliary = getattr(module, AUXILIARY, None)
        if not isinstance(auxiliary, nn.Module):
            continue
        if num_classes == 0:
            setattr(module, AUXILIARY, None)
            continue
        for head in auxiliary if isinstance(auxiliary, nn.ModuleList) else [auxiliary]:
            _replace(head, _last_of(head), num_classes)


def set_classifier(model: nn.Module, weight: Tensor, bias: Tensor) -> None:
    """Give the last layer these weights, which were found outside the network.

    Shape: weight (k, d), bias (k,)

    Raises:
        UsageError: the network has no single last layer, or one of another shape or without bias.
    """
    layer = model.get_submodule(last_layer(model))
    own = getattr(layer, "weight", None)
    fits = isinstance(layer, nn.Linear | nn.Conv2d) and isinstance(layer.bias, Tensor)
    if not fits or not isinstance(own, Tensor) or own.flatten(1).shape != weight.shape:
        raise UsageError(
            f"set_classifier: the last layer of {type(model).__name__} must be linear, with a bias "
            f"and weights of the shape {tuple(weight.shape)}"
        )
    with torch.no_grad():
        own.copy_(weight.reshape(own.shape))
        cast(Tensor, layer.bias).copy_(bias)


def num_features(model: nn.Module) -> int | None:
    """Return how many numbers the last layer reads; None where there is no such single layer."""
    try:
        layer = model.get_submodule(last_layer(model))
    except UsageError:
        return None
    return _kind_and_features(layer)[1]


def last_layer(model: nn.Module) -> str:
    """Find the path of the last layer.

    Raises:
        UsageError: the network has no single one.
    """
    paths = [path for path, _ in model.named_modules() if path.rpartition(".")[2] in HEADS]
    if len(paths) != 1:
        raise UsageError(
            f"reset_classifier: {type(model).__name__} has no single last layer to leave out "
            "(num_classes=0) or to replace; build it anew with other classes"
        )
    (path,) = paths
    inner = _last_of(model.get_submodule(path))
    return f"{path}.{inner}" if inner else path


def _is_whole_model(model: nn.Module, path: str) -> bool:
    """Say whether no other layer has weights."""
    inside = {id(p) for p in model.get_submodule(path).parameters()}
    return bool(inside) and all(id(p) in inside for p in model.parameters())


def _last_of(module: nn.Module) -> str:
    """Find the path, within a module, of the last layer that makes classes; empty for itself."""
    layers = [path for path, layer in module.named_modules() if _kind_and_features(layer)[1]]
    return layers[-1] if layers else ""


def _kind_and_features(layer: nn.Module) -> tuple[type[nn.Module], int]:
    """Return the class of a layer and the length of what it reads; 0 if it makes no classes."""
    if isinstance(layer, Features):
        return layer.kind, layer.features
    if isinstance(layer, nn.Conv2d | nn.Conv3d):
        return type(layer), layer.in_channels
    return type(layer), cast(int, getattr(layer, "in_features", 0))


def _replace(model: nn.Module, path: str, num_classes: int) -> None:
    kind, features = _kind_and_features(model.get_submodule(path))
    if num_classes == 0:
        model.set_submodule(path, Features(kind, features))
        return
    like = next(model.parameters())
    with torch.device(like.device):
        if issubclass(kind, nn.Conv2d | nn.Conv3d):
            layer = kind(features, num_classes, 1)
            nn.init.normal_(layer.weight, std=0.01)  # as both families with class maps begin
            nn.init.ones_(cast(Tensor, layer.bias))  # behind them is a ReLU that must not sleep
        else:
            layer = kind(features, num_classes)
    layer.train(model.training)
    model.set_submodule(path, layer.to(like.dtype))
