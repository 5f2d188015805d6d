"""Three ways to fuse the scales of a backbone before a head: FPN, GFM and EFM of the CSPNet paper.

Each concatenation is compressed by Maxout, the largest of the sources channel by channel, which
has no weights and leaves the head as many channels as one source has.

Source:  Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929, section 3.2 and figure 6; Maxout:
         Goodfellow et al., ICML 2013, arXiv:1302.4389.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct
from convatlas.models.classify.darknet_units import Act
from convatlas.models.detect.csp_necks import SpatialPyramid, enlarge, shrunk

FUSIONS = ("fpn", "gfm", "efm")


def maxout(maps: Sequence[Tensor]) -> Tensor:
    """Return the largest value of some maps, pixel by pixel and channel by channel."""
    return reduce(torch.maximum, maps)


class Fusion(nn.Module):
    """Maps of one width, each fused with others.

    Args:
        kind: `fpn`, each with the fused coarser one; `gfm`, all at the middle scale, from which
            each is made; `efm`, each with its finer and its coarser neighbour.
        in_channels: of the maps, finest first.
        channels: of all maps put out.
        spp: pyramid pooling on the coarsest map.
        attention: weigh each pixel of each fused map by a gate of its own (SAM).

    Shape: list of (n, in_channels[i], h / 2 ** i, w / 2 ** i) -> list of (n, channels, same)
    """

    def __init__(
        self,
        kind: str,
        in_channels: Sequence[int],
        channels: int,
        *,
        act: Act,
        spp: bool,
        attention: bool,
    ):
        super().__init__()
        self.kind, self.out_channels = kind, [channels] * len(in_channels)
        self.lateral = nn.ModuleList(ConvNormAct(c, channels, 1, act=act) for c in in_channels)
        self.pool = (
            nn.Sequential(SpatialPyramid(), ConvNormAct(4 * channels, channels, 1, act=act))
            if spp
            else nn.Identity()
        )
        halvings = 0 if kind == "fpn" else len(in_channels) - 1
        self.shrink = nn.ModuleList(
            ConvNormAct(channels, channels, stride=2, act=act) for _ in range(halvings)
        )
        self.gates = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in in_channels if attention
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        own = [conv(x) for conv, x in zip(self.lateral, maps, strict=True)]
        own[-1] = self.pool(own[-1])
        if self.kind == "fpn":
            fused = self._with_coarser(own)
        elif self.kind == "gfm":
            fused = self._with_all(own)
        else:
            fused = self._with_neighbours(own)
        if len(self.gates):
            fused = [x * gate(x).sigmoid() for x, gate in zip(fused, self.gates, strict=True)]
        return fused

    def _with_coarser(self, own: list[Tensor]) -> list[Tensor]:
        fused = [own[-1]]
        for x in own[-2::-1]:
            fused.insert(0, maxout([x, enlarge(fused[0], x)]))
        return fused

    def _with_neighbours(self, own: list[Tensor]) -> list[Tensor]:
        fused = []
        for place, x in enumerate(own):
            sources = [x]
            if place > 0:
                sources.append(shrunk(self.shrink[place - 1], own[place - 1], x))
            if place < len(own) - 1:
                sources.append(enlarge(own[place + 1], x))
            fused.append(maxout(sources))
        return fused

    def _with_all(self, own: list[Tensor]) -> list[Tensor]:
        """Fuse at the middle scale, and take the mixture from there to the others."""
        finest, middle, coarsest = own
        mixture = maxout(
            [middle, shrunk(self.shrink[0], finest, middle), enlarge(coarsest, middle)]
        )
        return [enlarge(mixture, finest), mixture, shrunk(self.shrink[1], mixture, coarsest)]
