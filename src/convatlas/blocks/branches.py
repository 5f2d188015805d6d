"""Branches side by side: the modules that the Inception networks are made of, as tables.

A branch is written as a tuple of steps; `Branches` builds several and joins their channels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from convatlas.blocks.channels import round_channels
from convatlas.blocks.conv_norm_act import ConvNormAct

NORM_EPS = 1e-3


class Conv(NamedTuple):
    """A convolution, batch norm, rectified; padded to keep its size unless it says otherwise."""

    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padded: bool = True


class Pool(NamedTuple):
    """A pooling over 3 x 3; padded where it keeps the size, else not."""

    kind: type[nn.AvgPool2d] | type[nn.MaxPool2d]
    stride: int = 1


class PoolUp(NamedTuple):
    """The maximum over 3 x 3 at every second pixel, rounding up: 7 pixels become 4.

    For rectified maps, which a border of zeros does not change.
    """

    stride: int = 2


class Fork(NamedTuple):
    """Branches within a branch."""

    branches: "tuple[tuple[Step, ...], ...]"
    stride: int = 1


Step = Conv | Pool | PoolUp | Fork


class UnpaddedConv(nn.Conv2d):
    """A convolution that only answers where its window lies inside the image."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        *,
        stride: int,
        padding: tuple[int, int],
        groups: int,
        bias: bool,
    ):
        del padding
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=bias)


class Branches(nn.ModuleList):
    """Run branches on one input and join their channels.

    Args:
        in_channels: channels of the input.
        branches: the steps of each.
        width: multiplies every channel count of the steps.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w), smaller by what the steps take away
    """

    def __init__(self, in_channels: int, branches: Sequence[Sequence[Step]], *, width: float = 1.0):
        super().__init__()
        self.out_channels = 0
        for steps in branches:
            layers, channels = new_layers(in_channels, steps, width=width)
            self.append(nn.Sequential(*layers))
            self.out_channels += channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


def new_layers(
    in_channels: int, steps: Sequence[Step], *, width: float = 1.0
) -> tuple[list[nn.Module], int]:
    """Build the layers of some steps, one each, and return the channels that leave the last."""
    layers: list[nn.Module] = []
    channels = in_channels
    for step in steps:
        match step:
            case Conv():
                into, channels = channels, round_channels(step.channels * width)
                layers.append(_convolution(into, channels, step))
            case Pool():
                padding = 1 if step.stride == 1 else 0
                layers.append(step.kind(3, stride=step.stride, padding=padding))
            case PoolUp():
                pad = nn.ZeroPad2d((0, 2, 0, 2))
                layers.append(nn.Sequential(pad, nn.MaxPool2d(3, stride=step.stride)))
            case Fork():
                fork = Branches(channels, step.branches, width=width)
                channels = fork.out_channels
                layers.append(fork)
    return layers, channels


def _convolution(in_channels: int, out_channels: int, step: Conv) -> ConvNormAct:
    kind = nn.Conv2d if step.padded else UnpaddedConv
    return ConvNormAct(
        in_channels,
        out_channels,
        step.kernel,
        stride=step.stride,
        norm_eps=NORM_EPS,
        conv=kind,
    )
