"""The pixels near a border between two classes, which a network of edges is trained to find.

Source: Sun et al., "SAUNet", MICCAI 2020, arXiv:2001.07645, section 2.4; the distance of 2 pixels
        from the authors' code, which takes it from a distance transform of each class.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

RADIUS = 2  # pixels, by Euclid's distance


def mask_borders(masks: Tensor, ignored: int, radius: int = RADIUS) -> Tensor:
    """Mark each pixel from which a pixel of another class is no further away than `radius`.

    Args:
        masks: class of each pixel.
        ignored: class of pixels without one; a border to them is none.
        radius: in pixels.

    Shape: (n, h, w) -> (n, h, w), bool
    """
    h, w = masks.shape[1:]
    around = F.pad(masks, (radius,) * 4, value=ignored)
    near = torch.zeros_like(masks, dtype=torch.bool)
    for row in range(-radius, radius + 1):
        for column in range(-radius, radius + 1):
            if row**2 + column**2 > radius**2:
                continue
            top, left = radius + row, radius + column
            other = around[:, top : top + h, left : left + w]
            near |= (other != masks) & (other != ignored)
    return near & (masks != ignored)
