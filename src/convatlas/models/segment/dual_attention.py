"""The decoder block of SAUNet: what is said of channels and of places is multiplied onto the maps.

The map of places has one channel and can be looked at: it shows what the block attends to.

Source: Sun et al., "SAUNet", MICCAI 2020, arXiv:2001.07645, section 2.3 (figure 2).
"""

import torch
from torch import Tensor, nn

from convatlas.ops.squeeze_excitation import SqueezeExcite

REDUCTION = 16  # of the channels inside the squeeze-excitation
NARROWING = 4  # of the channels from which the map of places is made
MIN_HIDDEN = 8  # of both in blocks narrower than any of the paper's, lest a ReLU silences them all
MIN_CHANNELS = 64  # that a block of the paper has


class ConvNormReLU(nn.Sequential):
    """Convolution of 3 x 3, batch norm and ReLU; as the authors write it, with a bias.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True):
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        super().__init__(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


class Enlarge(nn.Sequential):
    """Transposed convolution of 4 x 4 that doubles both sides, batch norm and ReLU.

    Shape: (n, in_channels, h, w) -> (n, out_channels, 2 h, 2 w)
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True):
        conv = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
        super().__init__(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


class DualAttention(nn.Module):
    """Enlarge a map, lay another beside it, and attend to channels and places.

    Args:
        below: channels of the coarser map.
        beside: channels of the finer one.
        out_channels: of the result.
        bias: of convolutions whose batch norm takes it out again.

    Shape: (n, below, h, w), (n, beside, 2 h, 2 w) -> (n, out_channels, 2 h, 2 w), and the map of
        places (n, 1, 2 h, 2 w) from 0 to 1
    """

    def __init__(self, below: int, beside: int, out_channels: int, *, bias: bool = True):
        super().__init__()
        self.enlarge = Enlarge(below, below, bias)
        self.fuse = ConvNormReLU(below + beside, out_channels, bias)
        published = out_channels >= MIN_CHANNELS
        narrow = out_channels // NARROWING if published else MIN_HIDDEN
        hidden = out_channels // REDUCTION if published else MIN_HIDDEN
        self.places = nn.Sequential(
            nn.Conv2d(out_channels, narrow, 1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, 1, 1),
            nn.Sigmoid(),
        )
        self.channels = SqueezeExcite(out_channels, hidden=hidden)

    def forward(self, below: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.fuse(torch.cat([beside, self.enlarge(below)], dim=1))
        places = self.places(maps)
        return self.channels(maps) * (1 + places), places
