"""Backbones that keep more resolution: strides become dilation, and the weights stay the same.

Past the wanted stride a layer steps by one pixel, and every layer behind it reads pixels further
apart by what the steps left out. So each filter still sees what it was trained on: every k-th pixel
of the finer maps is a pixel of the coarse ones ("à trous").

Source: Chen et al., "DeepLab", 2016, arXiv:1606.00915, section 3.1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convatlas.blocks.shortcuts import ShortcutA
from convatlas.errors import UsageError
from convatlas.models.on_shapes import run_on_shapes

STRIDES = (8, 16, 32)
SIZE = 16384  # a large power of two, so that borders without padding do not move the quotient
Steps = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d | ShortcutA


@dataclass(frozen=True)
class _Place:
    """A layer that may step over pixels, and the maps it reads and makes of an image of `SIZE`."""

    layer: Steps
    height: int
    out_height: int

    @property
    def reduction(self) -> int:
        return round(SIZE / self.height)


def set_output_stride(model: nn.Module, output_stride: int, name: str) -> None:
    """Turn the strides beyond `output_stride` into dilation, in place.

    Args:
        output_stride: pixels of the image for one of the coarsest maps: 8, 16 or 32.
        name: of the network, for messages.

    Raises:
        UsageError: another stride, or a network where this cannot be done, for example because it
            moves pixels into channels or takes means of squares of pixels.
    """
    if output_stride not in STRIDES:
        raise UsageError(
            f"create_model: output_stride must be one of {', '.join(map(str, STRIDES))}, "
            f"got {output_stride!r}"
        )
    places = _places(model, name)
    strides = {id(p.layer): _stride(p.layer) for p in places}
    if all(p.reduction * strides[id(p.layer)] <= output_stride for p in places):
        return
    for place in {id(p.layer): p for p in places}.values():  # a layer may run more than once
        here = min(place.reduction, output_stride)
        after = min(place.reduction * _stride(place.layer), output_stride)
        spread = place.reduction // here
        if isinstance(place.layer, nn.AvgPool2d) and spread > 1:
            raise _refusal(name)
        _set(place.layer, max(1, after // here), spread)
    for old, new in zip(places, _places(model, name), strict=True):
        made = old.reduction * strides[id(old.layer)]
        spread, after = (max(1, r // output_stride) for r in (old.reduction, made))
        finer = -(-new.height // spread), -(-new.out_height // after)
        if finer != (old.height, old.out_height):
            raise _refusal(name)


def _places(model: nn.Module, name: str) -> list[_Place]:
    """List each layer that may step over pixels, in the order of a run on shapes alone."""
    places: list[_Place] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, Steps)
        places.append(_Place(layer, inputs[0].shape[2], output.shape[2]))

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, Steps)]
    try:
        (image,) = model.example()  # pyright: ignore[reportCallIssue]
        run_on_shapes(model, torch.empty(1, image.shape[1], SIZE, SIZE, device="meta"))
    except (RuntimeError, ValueError, UsageError):
        raise _refusal(name) from None
    finally:
        for hook in hooks:
            hook.remove()
    return places


def _stride(layer: Steps) -> int:
    stride = layer.stride
    return stride if isinstance(stride, int) else stride[0]


def _set(layer: Steps, stride: int, spread: int) -> None:
    """Give a layer its step, and move the pixels of its window apart."""
    if isinstance(layer, ShortcutA):
        layer.stride = stride
    elif isinstance(layer, nn.Conv2d):
        assert not isinstance(layer.padding, str)
        layer.stride = (stride, stride)
        layer.dilation = (layer.dilation[0] * spread, layer.dilation[1] * spread)
        layer.padding = (layer.padding[0] * spread, layer.padding[1] * spread)
    else:
        layer.stride = stride
        if isinstance(layer, nn.MaxPool2d):
            assert isinstance(layer.dilation, int)
            assert isinstance(layer.padding, int)
            layer.dilation, layer.padding = layer.dilation * spread, layer.padding * spread


def _refusal(name: str) -> UsageError:
    return UsageError(
        f"create_model: {name} cannot keep more resolution (output_stride); networks of residual "
        "and inverted residual units can, e.g. resnet50, resnext50_32x4d, mobilenet_v2, "
        "efficientnet_b0"
    )
