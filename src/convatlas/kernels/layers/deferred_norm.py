"""Outputs that pass from one fast layer to the next with a batch norm still to be applied.

A `DeferredNorm` never leaves the layers that know it; every other layer gets a plain tensor.
"""

from typing import Any

import torch
from torch import Tensor, nn

from convatlas.kernels.launch.stem import fits_stem
from convatlas.kernels.layers.fused_conv import (
    Norm,
    fused_depthwise_conv,
    fused_pointwise_conv,
    normalise,
    with_statistics,
)
from convatlas.kernels.layers.stem_conv import fused_stem_conv
from convatlas.kernels.layout.plan import output_size
from convatlas.kernels.runtime.dispatch import PLAIN_TENSORS, usable


class DeferredNorm:
    """What a layer gives the next: finished, or raw with the norm and activation to apply."""

    __slots__ = ("_tensor", "norm", "raw")

    def __init__(self, raw: Any, norm: Norm | None = None):
        self.raw, self.norm, self._tensor = raw, norm, None

    def tensor(self) -> Any:
        """Compute the tensor that plain layers would have made, once."""
        if self.norm is None:
            return self.raw
        if self._tensor is None:
            self._tensor = normalise(self.raw, self.norm)
        return self._tensor

    def source(self) -> tuple[Tensor, Norm | None]:
        """Return what a fused convolution reads: raw values and norm, unless finished."""
        if self.norm is None or self._tensor is not None:
            return self.tensor(), None
        return self.raw, self.norm

    def __add__(self, other: Any) -> "DeferredNorm":
        if not isinstance(other, DeferredNorm):
            return DeferredNorm(self.tensor() + other)
        for one, two in ((self, other), (other, self)):
            _, norm = two.source()
            if norm is not None and norm.act == "identity" and _alike(one, two):
                return DeferredNorm(normalise(two.raw, norm, one.tensor()))
        return DeferredNorm(self.tensor() + other.tensor())

    __radd__ = __add__


def _alike(one: DeferredNorm, two: DeferredNorm) -> bool:
    a, b = one.raw, two.raw
    return isinstance(a, Tensor) and a.shape == b.shape and a.dtype == b.dtype and usable(a)


def convolve(value: DeferredNorm, conv: nn.Conv2d, norm: Any) -> tuple[Tensor, Tensor] | None:
    """Convolve a value; keep the statistics of the result for the batch norm behind it.

    The running statistics of the norm follow. None: no kernel for it.
    """
    weight = conv.weight
    if not (_takes_part(conv, weight, norm) and _known(value) and _fits(value.raw.shape, conv)):
        return None
    if 1 < conv.groups == conv.in_channels == conv.out_channels:
        raw, before = value.source()
        return fused_depthwise_conv(
            _rows(raw),
            before,
            weight,
            eps=norm.eps,
            running=norm.running(),
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
        )
    plain = (conv.groups, conv.kernel_size, conv.stride, conv.padding)
    if plain == (1, (1, 1), (1, 1), (0, 0)):
        raw, before = value.source()
        return fused_pointwise_conv(
            _rows(raw), before, weight, eps=norm.eps, running=norm.running()
        )
    x = value.tensor()
    if fits_stem(x, conv):
        return fused_stem_conv(
            x,
            weight,
            eps=norm.eps,
            running=norm.running(),
            stride=conv.stride,
            padding=conv.padding,
        )
    y = conv(x)
    return with_statistics(_rows(y), eps=norm.eps, running=norm.running())


def _takes_part(conv: nn.Conv2d, weight: Tensor, norm: nn.BatchNorm2d) -> bool:
    """No bias, a norm that takes its statistics from the batch, numbers that a kernel can read."""
    if not norm.training or conv.bias is not None:
        return False
    if conv.out_channels != norm.num_features or conv.out_channels < 2:
        return False
    numbers = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    given = [t for t in numbers if t is not None]
    if not all([t.is_contiguous() for t in given]):  # lists: this runs before every small layer
        return False
    given.append(weight)
    return all([t.dtype is torch.float32 and t.is_cpu and type(t) in PLAIN_TENSORS for t in given])


def _known(value: DeferredNorm) -> bool:
    """Whether the kernels may take it: a float32 map, as those that they made always are."""
    x = value.raw
    if value.norm is not None:
        return True
    if not isinstance(x, Tensor) or not usable(x):
        return False
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    return x.dim() == 4 and x.dtype is torch.float32


def _fits(shape: torch.Size, conv: nn.Conv2d) -> bool:
    """Whether the result has more than one value a channel."""
    if shape[1] != conv.in_channels or 0 in shape or isinstance(conv.padding, str):
        return False
    sizes = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    sides = [output_size(*size) for size in zip(shape[2:], *sizes, strict=True)]
    return min(sides) > 0 and shape[0] * sides[0] * sides[1] > 1


def _rows(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
