"""The units of Darknet's networks, and of the networks that CSPNet makes from them.

Source:  Redmon and Farhadi, "YOLOv3", 2018, arXiv:1804.02767, table 1; the others from the
         configuration files beside Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929.
"""

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import ConvNormAct, check_option

Act = Callable[[], nn.Module]
SLOPE = 0.1  # of leaky ReLU below zero


def leaky() -> nn.Module:
    """Build the leaky ReLU of Darknet."""
    return nn.LeakyReLU(SLOPE)


class Overlap(nn.Module):
    """Darknet's shortcut: every stride-th pixel, and zeros behind the channels that there are.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.pad = (0, 0, 0, 0, 0, out_channels - in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.pad)


def overlap(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Build an `Overlap` where the shape changes, else pass the input on."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return Overlap(in_channels, out_channels, stride)


class Unit(nn.Module):
    """Convolutions, a shortcut, and what follows their sum.

    Shape: what the residue makes of (n, in_channels, h, w)
    """

    only_calls_and_adds = True  # see `convatlas.kernels`: batch norms may be fused across it

    def __init__(self, residue: nn.Module, shortcut: nn.Module, after: nn.Module):
        super().__init__()
        self.residue, self.shortcut, self.after = residue, shortcut, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.residue(x) + self.shortcut(x))


def darknet_residue(channels: int, narrow: int, act: Act = leaky) -> nn.Sequential:
    """Build a 1 x 1 to fewer channels and a 3 x 3 back."""
    return nn.Sequential(
        ConvNormAct(channels, narrow, 1, act=act), ConvNormAct(narrow, channels, act=act)
    )


def darknet_unit(channels: int, narrow: int, act: Act = leaky) -> Unit:
    """Build Darknet-53's unit, which leaves the sum as it is."""
    return Unit(darknet_residue(channels, narrow, act), nn.Identity(), nn.Identity())


def stem(
    in_channels: int, channels: int, stem_stride: int, model: str, act: Act = leaky
) -> list[list[nn.Module]]:
    """Build a 7 x 7 convolution and pooling by 2 x 2, as Darknet's networks of 50 layers begin."""
    check_option(model, "stem_stride", stem_stride, (4, 2, 1))
    if stem_stride == 1:
        return [[ConvNormAct(in_channels, channels, act=act)]]
    first: list[nn.Module] = [ConvNormAct(in_channels, channels, 7, stride=2, act=act)]
    return [first, [nn.MaxPool2d(2, ceil_mode=True)]] if stem_stride == 4 else [first]


def bottleneck_residue(
    in_channels: int,
    narrow: int,
    out_channels: int,
    *,
    groups: int,
    stride: int = 1,
    act: Act = leaky,
) -> nn.Sequential:
    """Build a 1 x 1, a 3 x 3 and a linear 1 x 1.

    Args:
        groups: of the 3 x 3; fewer where they do not divide its channels.
    """
    return nn.Sequential(
        ConvNormAct(in_channels, narrow, 1, act=act),
        ConvNormAct(narrow, narrow, stride=stride, groups=math.gcd(groups, narrow), act=act),
        ConvNormAct(narrow, out_channels, 1, act=None),
    )


def bottleneck(
    in_channels: int,
    narrow: int,
    out_channels: int,
    *,
    groups: int,
    stride: int = 1,
    act: Act = leaky,
) -> Unit:
    """Build `bottleneck_residue` and the shortcut, then the activation."""
    residue = bottleneck_residue(
        in_channels, narrow, out_channels, groups=groups, stride=stride, act=act
    )
    return Unit(residue, overlap(in_channels, out_channels, stride), act())
