"""Small images side by side on one picture."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from convatlas.explain.pictures import to_pil

GAP, GROUND = 2, 128  # pixels between images, and their grey
CELL = 84  # pixels that a small image is enlarged to, by whole numbers


def image_grid(rows: Sequence[Sequence[Tensor]]) -> Image.Image:
    """Lay out images of one size, each enlarged alike. Shape: each uint8 (h, w, channels)"""
    height, width, channels = rows[0][0].shape
    scale = max(1, CELL // max(height, width))
    tall, wide = scale * height + GAP, scale * width + GAP
    columns = max(map(len, rows))
    size = (channels, len(rows) * tall + GAP, columns * wide + GAP)
    sheet = torch.full(size, GROUND, dtype=torch.uint8)
    for number, row in enumerate(rows):
        for place, image in enumerate(row):
            large = image.permute(2, 0, 1).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
            top, left = GAP + number * tall, GAP + place * wide
            sheet[:, top : top + scale * height, left : left + scale * width] = large
    return to_pil(sheet)


def half_known(images: Tensor, share: float = 0.5) -> tuple[Tensor, Tensor]:
    """Return which places of the upper part are kept, and the images with grey below.

    Shape: uint8 (n, h, w, c) -> bool (n, h, w), uint8 (n, h, w, c)
    """
    count, height, width, _ = images.shape
    rows = round(share * height)
    known = torch.zeros(count, height, width, dtype=torch.bool)
    known[:, :rows] = True
    shown = images.clone()
    shown[:, rows:] = GROUND
    return known, shown
