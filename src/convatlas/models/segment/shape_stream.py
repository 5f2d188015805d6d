"""The gated shape stream of SAUNet: maps of full resolution in which only borders get through.

What the texture stream has found on coarser and coarser maps decides, pixel by pixel, what goes on.

Source:  Sun et al., "SAUNet", MICCAI 2020, arXiv:2001.07645, section 2.2; the gated layer from
         Takikawa et al., "Gated-SCNN", ICCV 2019, arXiv:1907.05740, equations 1 and 2.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct

CHANNELS = (64, 32, 16, 8)  # of the stream, from its start to its end


class GatedConv(nn.Module):
    """Weigh each pixel by what a gate says, and mix the channels.

    Args:
        channels: of the maps.
        bias: of the convolution before the gate's last norm, which takes it out again.

    Shape: (n, channels, h, w) and a gate's input (n, 1, h, w) -> (n, channels, h, w), and the
        gate's answer (n, 1, h, w) from 0 to 1
    """

    def __init__(self, channels: int, *, bias: bool = True):
        super().__init__()
        both = channels + 1
        self.gate = nn.Sequential(
            nn.BatchNorm2d(both),
            nn.Conv2d(both, both, 1),
            nn.ReLU(),
            nn.Conv2d(both, 1, 1, bias=bias),
            nn.BatchNorm2d(1),
            nn.Sigmoid(),
        )
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self.gate(torch.cat([x, beside], dim=1))
        return self.mix(x * (1 + alpha)), alpha


class ResidualUnit(nn.Module):
    """Two 3 x 3 convolutions whose result is added to the input.

    Shape: (n, channels, h, w) -> (n, channels, h, w)
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first = ConvNormAct(channels, channels)
        self.second = ConvNormAct(channels, channels, act=None)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.second(self.first(x)))


class ShapeStream(nn.Module):
    """Logits of borders, from the maps of the texture stream.

    Args:
        texture: channels of its maps at 1/4, 1/8, 1/16 and 1/16 of the image.
        channels: of the stream's four parts.
        bias: of convolutions whose batch norm takes it out again.

    Shape: four tensors (n, texture[i], h / s, w / s), s = 4, 8, 16, 16 -> (n, 1, h, w), and the
        answers of the three gates, (n, 1, h, w) each
    """

    def __init__(self, texture: Sequence[int], channels: Sequence[int], *, bias: bool = True):
        super().__init__()
        first, *gating = texture
        self.enter = nn.Sequential(nn.Conv2d(first, channels[0], 1), _enlarge(4))
        self.units = nn.ModuleList(ResidualUnit(c) for c in channels[:-1])
        self.narrow = nn.ModuleList(nn.Conv2d(into, out, 1) for into, out in pairwise(channels))
        self.beside = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 1, 1, bias=bias), _enlarge(scale))
            for c, scale in zip(gating, (8, 16, 16), strict=True)
        )
        self.gates = nn.ModuleList(GatedConv(c, bias=bias) for c in channels[1:])
        self.fuse = nn.Conv2d(channels[-1], 1, 1, bias=False)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        x, alphas = self.enter(maps[0]), []
        for unit, narrow, beside, gate, texture in zip(
            self.units, self.narrow, self.beside, self.gates, maps[1:], strict=True
        ):
            x, alpha = gate(narrow(unit(x)), beside(texture))
            alphas.append(alpha)
        return self.fuse(x), alphas


def _enlarge(scale: int) -> nn.Module:
    return nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=True)
