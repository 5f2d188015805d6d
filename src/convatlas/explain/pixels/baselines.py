"""What values cost without a network: drawn independently of each other, or packed by zlib."""

import math
import zlib

import torch
from torch import Tensor

from convatlas.data.pixels.levels import to_levels
from convatlas.data.pixels.pixel_data import PixelFacts

INDEPENDENT, PACKED = "independent values", "zlib"
MAX_COUNTED = 10_000  # training images that the frequencies are taken from


class IndependentValues:
    """The frequency of each level at each place and colour of the training images.

    Each level counts as if it had been seen once more in all places together, so that none is
    impossible.
    """

    def __init__(self, facts: PixelFacts):
        self.facts = facts
        shape = (facts.channels, facts.height, facts.width, facts.levels)
        self.counts = torch.full(shape, 1 / facts.levels)

    def add(self, image: Tensor) -> None:
        """Count an image. Shape: uint8 (c, h, w)"""
        values = to_levels(image, self.facts.levels).long()[..., None]
        self.counts.scatter_add_(3, values, torch.ones(values.shape))

    def bits(self, images: Tensor) -> Tensor:
        """Return bits per value of each image. Shape: uint8 (n, c, h, w) -> (n,)"""
        share = self.counts / self.counts.sum(3, keepdim=True)
        values = to_levels(images, self.facts.levels).long()[..., None]
        chosen = share.expand(len(images), *share.shape).gather(4, values)
        return -chosen.log2().flatten(1).mean(1)


def packed_bits(image: Tensor, levels: int) -> float:
    """Return bits per value of an image's levels packed by zlib, header left out.

    A byte holds as many levels as fit into it whole.

    Shape: uint8 (c, h, w)
    """
    values = to_levels(image, levels).to(torch.uint8).permute(1, 2, 0).flatten()
    in_byte = int(8 / math.log2(levels))
    if in_byte > 1:
        filled = torch.nn.functional.pad(values, (0, -len(values) % in_byte)).view(-1, in_byte)
        values = (filled.int() * levels ** torch.arange(in_byte)).sum(1).to(torch.uint8)
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(values.numpy().tobytes()) + packer.flush()
    return 8 * len(packed) / image.numel()
