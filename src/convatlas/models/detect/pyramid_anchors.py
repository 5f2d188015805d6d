"""Anchors of several sizes and shapes at each place of several maps: torchvision's generator."""

from collections.abc import Sequence

import torch
from torch import Tensor

RATIOS = (0.5, 1.0, 2.0)  # height over width


def octaves(side: float, steps: int = 3) -> tuple[float, ...]:
    """Return sides that grow in equal steps within an octave.

    Source: Lin et al., "Focal Loss", 2017, arXiv:1708.02002, section 4.
    """
    return tuple(side * 2 ** (step / steps) for step in range(steps))


def pyramid_anchors(
    height: int,
    width: int,
    *,
    strides: Sequence[int],
    sides: Sequence[Sequence[float]],
    ratios: Sequence[float] = RATIOS,
    centred: bool = False,
) -> Tensor:
    """Return the anchors of images of a size in pixels; places have all of theirs in a row.

    Args:
        strides: pixels of the image for one of each map, finest map first.
        sides: of the square anchors of each map, in pixels; others have the same area.
        ratios: height over width.
        centred: the middle of an anchor is that of its place, not the place's first corner.

    Shape: (places, 4), x1 y1 x2 y2; sides are rounded to whole pixels
    """
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    with torch.device("cpu"):
        shapes = tuple(tuple(ratios) for _ in sides)
        generator = AnchorGenerator(tuple(tuple(each) for each in sides), shapes)
        grids = [[-(-height // stride), -(-width // stride)] for stride in strides]
        steps = [[torch.tensor(stride), torch.tensor(stride)] for stride in strides]
        found = generator.grid_anchors(grids, steps)
        if centred:
            found = [each + stride / 2 for each, stride in zip(found, strides, strict=True)]
        return torch.cat(found)
