"""Masks as pictures: each class in a colour of its own, alone or laid over the image."""

import colorsys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from convatlas.models.segment.segmenter import IGNORED
from convatlas.replacing import replacing

OPACITY = 0.5
TURN = 0.618034  # of the colour wheel, by which hues of neighbouring classes differ
NO_CLASS = (128, 128, 128)


def class_colours(classes: int) -> Tensor:
    """Return a colour for each class, the first one black. Shape: uint8 (classes, 3)"""
    colours = [(0.0, 0.0, 0.0)]
    for place in range(classes - 1):
        value = 1.0 if place % 2 == 0 else 0.8
        colours.append(colorsys.hsv_to_rgb((0.06 + place * TURN) % 1, 0.85, value))
    return torch.tensor([[round(255 * part) for part in colour] for colour in colours[:classes]],
                        dtype=torch.uint8)  # fmt: skip


def overlay(image: Tensor, mask: Tensor, classes: int) -> Tensor:
    """Lay the colours of the classes over an image; the first class leaves it as it is.

    Shape: image uint8 (c, h, w), mask uint8 (h, w) -> uint8 (3, h, w)
    """
    base = image.expand(3, -1, -1).float()
    table = torch.full((256, 3), NO_CLASS[0], dtype=torch.uint8)
    table[:classes] = class_colours(classes)
    colours = table[mask.long()].permute(2, 0, 1).float()
    mixed = (1 - OPACITY) * base + OPACITY * colours
    return torch.where(mask == 0, base, mixed).round().to(torch.uint8)


def write_mask(path: Path, mask: Tensor, classes: int) -> None:
    """Write a mask as a PNG file whose values are places of classes, in their colours.

    Shape: uint8 (h, w)

    Raises:
        WriteError: the file cannot be written.
    """
    picture = Image.fromarray(mask.numpy(), mode="P")
    palette = np.full((256, 3), NO_CLASS, dtype=np.uint8)
    palette[:classes] = class_colours(classes).numpy()
    palette[IGNORED] = NO_CLASS
    picture.putpalette(palette.tobytes())
    with replacing(path) as fresh:
        picture.save(fresh, "PNG", optimize=True)
