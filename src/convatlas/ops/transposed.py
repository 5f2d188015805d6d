"""Transposed convolution: the backward pass of a convolution, used as a layer that enlarges.

It is the transpose, not the inverse: a convolution followed by it restores the shape only.

Source: Dumoulin and Visin, 2016, arXiv:1603.07285, chapter 4, relationship 14.
"""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import (
    check_groups,
    each_axis,
    transposed_padding,
    transposed_size,
)
from convatlas.ops.convolution import CONVOLUTIONS, flip
from convatlas.ops.weights import new_bias, new_filters

TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

Ints = int | Sequence[int]


def transposed_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Spread each input over a window of the output, times the weights, and add up.

    Args:
        stride, padding, dilation: of the forward convolution that this one transposes.
        output_padding: chooses among the sizes that the forward convolution maps to the input's.

    Shape:
        x        (n, c, i…), one to three axes after the channels
        weight   (c, d / groups, k…)
        bias     (d,)
        returns  (n, d, o…), o = (i - 1) stride - 2 padding + dilation (k - 1) + 1 + output_padding

    Cost: c * d * k… / groups multiply-adds per input position.

    Raises:
        UsageError: shapes that do not belong together, or an output_padding that no size needs.
    """
    axes = _axes(x, weight, groups, stride, padding, output_padding, dilation)
    strides, paddings, extras, dilations = zip(*axes, strict=True)
    return TRANSPOSED[len(axes)](x, weight, bias, strides, paddings, extras, groups, dilations)


def zero_inserted_conv(
    x: Tensor,
    weight: Tensor,
    *,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Compute `transposed_conv` as an ordinary convolution of a stretched input.

    s - 1 zeros between neighbours, d (k - 1) - p around, the kernel flipped, channels swapped.

    Shape: as `transposed_conv`.

    Cost: c * d * k… / groups multiply-adds per output position; most of them meet a zero, which
        is why it is not computed so.

    Raises:
        UsageError: as `transposed_conv`.
    """
    axes = _axes(x, weight, groups, stride, padding, output_padding, dilation)
    strides, paddings, extras, dilations = zip(*axes, strict=True)
    around = [
        transposed_padding(k, p, d)
        for k, p, d in zip(weight.shape[2:], paddings, dilations, strict=True)
    ]
    sides = [
        side for p, e in zip(reversed(around), reversed(extras), strict=True) for side in (p, p + e)
    ]
    stretched = F.pad(insert_zeros(x, strides), sides)
    swapped = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    return CONVOLUTIONS[len(axes)](stretched, flip(swapped), None, 1, 0, dilations, groups)


def insert_zeros(x: Tensor, stride: Sequence[int]) -> Tensor:
    """Put s - 1 zeros between neighbours along each axis after the channels.

    Shape: (n, c, i…) -> (n, c, i + (i - 1)(s - 1)…)

    Cost: no multiply-adds.
    """
    sizes = [(i - 1) * s + 1 for i, s in zip(x.shape[2:], stride, strict=True)]
    stretched = x.new_zeros(*x.shape[:2], *sizes)
    stretched[(..., *(slice(None, None, s) for s in stride))] = x
    return stretched


class TransposedConv(nn.Module):
    """`transposed_conv` with its weights.

    Args:
        dims: axes after the channels, 1 to 3.

    Shape: as in `transposed_conv`.

    Cost: as in `transposed_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Ints,
        *,
        dims: int = 2,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        check_groups("TransposedConv", in_channels, out_channels, groups)
        self.weight = new_filters(in_channels, out_channels // groups, kernel, dims)
        fan_in = math.prod(self.weight.shape[1:])
        self.bias = new_bias(out_channels, fan_in) if bias else None
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.dilation, self.groups = dilation, groups

    def forward(self, x: Tensor) -> Tensor:
        return transposed_conv(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )


def _axes(x: Tensor, weight: Tensor, groups: int, *settings: Ints) -> list[tuple[int, ...]]:
    """Return (stride, padding, output_padding, dilation) of each axis, checked."""
    dims = weight.dim() - 2
    if dims not in TRANSPOSED or x.dim() != weight.dim() or x.shape[1] != weight.shape[0]:
        raise UsageError(
            f"transposed_conv: input (n, c, i…) and weight (c, d / groups, k…) must have the same "
            f"c and 1 to 3 axes, got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    check_groups("transposed_conv", x.shape[1], weight.shape[1] * groups, groups)
    names = ("stride", "padding", "output_padding", "dilation")
    each = [each_axis(s, dims, name) for s, name in zip(settings, names, strict=True)]
    axes = list(zip(*each, strict=True))
    for size, kernel, (s, p, extra, d) in zip(x.shape[2:], weight.shape[2:], axes, strict=True):
        transposed_size(size, kernel, stride=s, padding=p, output_padding=extra, dilation=d)
    return axes
