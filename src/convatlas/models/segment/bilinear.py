"""Enlarging maps by fixed bilinear weights, written as a transposed convolution.

Source: the authors' network definition of Yu, Koltun, ICLR 2016, arXiv:1511.07122: kernel 16,
        stride 8, padding 4, one filter for each class, never trained.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BilinearUpsample(nn.Module):
    """Each map, enlarged by a whole number without trained weights.

    Away from the border it is bilinear resizing; at the border values fade towards zero, because
    nothing lies beyond.

    Args:
        channels: of the maps.
        factor: by which both sides grow, an even number.

    Shape: (n, channels, h, w) -> (n, channels, factor * h, factor * w)

    Cost: 4 * factor ** 2 multiply-adds for each number that comes in.
    """

    def __init__(self, channels: int, factor: int):
        super().__init__()
        self.channels, self.factor = channels, factor
        # Distances of the 2 * factor pixels from the centre of the kernel, in input pixels.
        at = (torch.arange(2 * factor) - factor + 0.5) / factor
        line = 1 - at.abs()
        self.register_buffer("weight", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight  # pyright: ignore[reportAssignmentType]  a buffer
        filters = weight.expand(self.channels, -1, -1, -1)
        around = self.factor // 2
        return F.conv_transpose2d(
            x, filters, stride=self.factor, padding=around, groups=self.channels
        )
