"""Convolution in 1, 2 and 3 dimensions, with every padding.

As in every library, the kernel is not flipped: this is cross-correlation,
y[m, t] = sum over c, j of w[m, c, j] x[c, s t + d j - p]. `flip` gives the textbook's form.

Source: Dumoulin and Visin, 2016, arXiv:1603.07285, chapter 2.
"""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import Padding, check_groups, window_axes
from convatlas.ops.padding import pad
from convatlas.ops.weights import new_bias, new_filters

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    padding_mode: str = "zeros",
    value: float = 0.0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Sum of the window's inputs, each times its weight, at every place of the window.

    Args:
        padding: a number, a rule (`valid same causal full`), or one of either or a pair (before,
            after) for each axis; `arithmetic.padding_sides` says what the rules mean.
        padding_mode: what stands outside: zeros, constant, reflect, replicate or circular.
        value: what `constant` puts there.
        groups: parts into which the channels are divided; each part reads only its own.

    Shape:
        x        (n, c, i…), one to three axes after the channels
        weight   (d, c / groups, k…)
        bias     (d,)
        returns  (n, d, o…), o = floor((i + padding - dilation (k - 1) - 1) / stride) + 1

    Cost: c * d * k… / groups multiply-adds per output position.

    Raises:
        UsageError: shapes that do not belong together, channels that do not divide into the
            groups, or a kernel longer than the padded input.
    """
    dims = check_conv(x, weight, groups)
    axes = window_axes(
        x.shape[2:], weight.shape[2:], stride=stride, padding=padding, dilation=dilation
    )
    strides, dilations = [axis.stride for axis in axes], [axis.dilation for axis in axes]
    built_in = [0] * dims
    if padding_mode == "zeros" and all(axis.before == axis.after for axis in axes):
        built_in = [axis.before for axis in axes]
    else:
        sides = [(axis.before, axis.after) for axis in axes]
        x = pad(x, sides, mode=padding_mode, value=value)
    return CONVOLUTIONS[dims](x, weight, bias, strides, built_in, dilations, groups)


def check_conv(x: Tensor, weight: Tensor, groups: int = 1) -> int:
    """Return the number of axes that input and weight agree on.

    Raises:
        UsageError: they do not agree, or the channels do not divide into the groups.
    """
    dims = weight.dim() - 2
    if dims not in CONVOLUTIONS or x.dim() != weight.dim():
        raise UsageError(
            f"conv: input (n, c, i…) and weight (d, c / groups, k…) must have the same 1 to 3 "
            f"axes, got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    check_groups("conv", x.shape[1], weight.shape[0], groups)
    if weight.shape[1] * groups != x.shape[1]:
        raise UsageError(
            f"conv: a filter must read channels / groups = {x.shape[1]} / {groups} = "
            f"{x.shape[1] // groups} channels, got {weight.shape[1]}"
        )
    return dims


def flip(weight: Tensor) -> Tensor:
    """Turn the kernel round along every axis: `conv` with it is convolution as in textbooks.

    Shape: (d, c, k…) -> (d, c, k…)

    Cost: no multiply-adds.
    """
    return weight.flip(tuple(range(2, weight.dim())))


class Conv(nn.Module):
    """`conv` with its weights; 1 x 1, strided, dilated and grouped convolutions are cases of it.

    Args:
        dims: axes after the channels, 1 to 3.
        padding: as in `conv`.

    Shape: as in `conv`.

    Cost: as in `conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int],
        *,
        dims: int = 2,
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        padding_mode: str = "zeros",
        value: float = 0.0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        check_groups("Conv", in_channels, out_channels, groups)
        self.weight = new_filters(out_channels, in_channels // groups, kernel, dims)
        fan_in = math.prod(self.weight.shape[1:])
        self.bias = new_bias(out_channels, fan_in) if bias else None
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding, self.padding_mode, self.value = padding, padding_mode, value

    def forward(self, x: Tensor) -> Tensor:
        return conv(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            padding_mode=self.padding_mode,
            value=self.value,
            dilation=self.dilation,
            groups=self.groups,
        )
