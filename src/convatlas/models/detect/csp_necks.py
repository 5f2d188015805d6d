"""The necks of Darknet's detectors: from the maps of a backbone to those that a head reads.

Source:  Redmon and Farhadi, "YOLOv3", 2018, arXiv:1804.02767, section 2.3; Liu et al., "PANet",
         CVPR 2018, arXiv:1803.01534; He et al., "SPP", ECCV 2014, arXiv:1406.4729; Wang et al.,
         "Enriching Variety of Layer-wise Learning Information by Gradient Combination" (PRN), ICCV
         workshops 2019. Layers as in the configuration files of the CSPNet and PRN repositories.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct
from convatlas.models.classify.darknet_units import Act

POOLS = (13, 9, 5)  # windows of SPP, in the order of its concatenation


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Scale a map to the size of another by repeating its pixels."""
    return F.interpolate(x, [like.shape[2], like.shape[3]])


def alternating(in_channels: int, channels: int, act: Act, convs: int = 5) -> nn.Sequential:
    """Build 1 x 1 convolutions to `channels` with 3 x 3 to twice as many between them."""
    layers: list[nn.Module] = []
    for place in range(convs):
        narrow = place % 2 == 0
        out = channels if narrow else 2 * channels
        layers.append(ConvNormAct(in_channels, out, 1 if narrow else 3, act=act))
        in_channels = out
    return nn.Sequential(*layers)


class SpatialPyramid(nn.Module):
    """SPP: the largest value around each pixel, in three sizes, before the map itself.

    Shape: (n, c, h, w) -> (n, 4 * c, h, w)
    """

    def forward(self, x: Tensor) -> Tensor:
        pooled = [F.max_pool2d(x, size, stride=1, padding=size // 2) for size in POOLS]
        return torch.cat([*pooled, x], 1)


class TopDown(nn.Module):
    """YOLOv3's neck: each map and the coarser one's mixture, concatenated and mixed.

    Args:
        in_channels: of the three maps, finest first.
        channels: of the finest map put out; each coarser one has twice as many.
        lateral: a 1 x 1 convolution on each finer map before the concatenation.
        spp: pyramid pooling on the coarsest map.

    Shape: three (n, in_channels[i], h / 2 ** i, w / 2 ** i) -> three (n, channels * 2 ** i, same)
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, *, act: Act, lateral: bool, spp: bool
    ):
        super().__init__()
        self.out_channels = [channels, 2 * channels, 4 * channels]
        top = self.out_channels[-1]
        if spp:
            self.top = nn.Sequential(
                alternating(in_channels[-1], top, act, convs=3),
                SpatialPyramid(),
                alternating(4 * top, top, act, convs=3),
            )
        else:
            self.top = alternating(in_channels[-1], top, act)
        self.lateral, self.narrow, self.mix = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for own, out in zip(in_channels[:-1], self.out_channels[:-1], strict=True):
            self.lateral.append(ConvNormAct(own, out, 1, act=act) if lateral else nn.Identity())
            self.narrow.append(ConvNormAct(2 * out, out, 1, act=act))
            self.mix.append(alternating((out if lateral else own) + out, out, act))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        x = self.top(maps[-1])
        out = [x]
        for place in range(len(self.mix) - 1, -1, -1):
            own = self.lateral[place](maps[place])
            x = self.mix[place](torch.cat([own, enlarge(self.narrow[place](x), own)], 1))
            out.insert(0, x)
        return out


class PathAggregation(nn.Module):
    """PANet: `TopDown` with lateral convolutions, and the way back from fine to coarse.

    Args:
        in_channels: of the three maps, finest first.
        channels: of the finest map put out; each coarser one has twice as many.
        spp: pyramid pooling on the coarsest map.

    Shape: three (n, in_channels[i], h / 2 ** i, w / 2 ** i) -> three (n, channels * 2 ** i, same)
    """

    def __init__(self, in_channels: Sequence[int], channels: int, *, act: Act, spp: bool):
        super().__init__()
        self.down = TopDown(in_channels, channels, act=act, lateral=True, spp=spp)
        self.out_channels = self.down.out_channels
        self.shrink, self.mix = nn.ModuleList(), nn.ModuleList()
        for coarser in self.out_channels[1:]:
            self.shrink.append(ConvNormAct(coarser // 2, coarser, stride=2, act=act))
            self.mix.append(alternating(2 * coarser, coarser, act))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        finest, *coarser = self.down(maps)
        out = [finest]
        for shrink, mix, own in zip(self.shrink, self.mix, coarser, strict=True):
            out.append(mix(torch.cat([shrunk(shrink, out[-1], own), own], 1)))
        return out


class PartialResidual(nn.Module):
    """PRN: two maps, sums instead of concatenations, of as many channels as both have.

    Args:
        in_channels: of the two maps, finest first.
        channels: of the finer map put out; the coarser one has twice as many.

    Shape: two (n, in_channels[i], h / 2 ** i, w / 2 ** i) -> two (n, channels * 2 ** i, same)
    """

    def __init__(self, in_channels: Sequence[int], channels: int, *, act: Act):
        super().__init__()
        self.out_channels = [channels, 2 * channels]
        self.shared = min(channels, in_channels[0])
        self.squeeze = ConvNormAct(in_channels[1], 2 * channels, 1, act=act)
        self.coarse = ConvNormAct(2 * channels, 2 * channels, act=act)
        self.narrow = ConvNormAct(2 * channels, channels, 1, act=act)
        self.fine = ConvNormAct(channels, channels, act=act)
        self.act = act()

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fine, coarse = maps
        start = self.squeeze(coarse)
        end = self.coarse(start)
        below = enlarge(self.narrow(end), fine)
        own = F.pad(fine[:, : self.shared], (0, 0, 0, 0, 0, self.out_channels[0] - self.shared))
        mixed = self.act(self.fine(self.act(below + own)) + below)
        return [self.act(mixed + own), self.act(end + start)]


def shrunk(conv: nn.Module, x: Tensor, like: Tensor) -> Tensor:
    """Return a map at half its size, cut where the backbone rounded that size down."""
    return conv(x)[:, :, : like.shape[2], : like.shape[3]]
