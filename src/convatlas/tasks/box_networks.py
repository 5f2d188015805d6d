"""Which detectors are tried on images: at which sizes, with default boxes of which scales."""

from typing import Any

import torch

from convatlas.data.boxes.boxes import Boxes
from convatlas.data.images.annotated import AnnotatedData

SIZES = (512, 416, 320, 256, 192, 160, 128, 96, 64)
ENLARGED = 1.1  # an image may be enlarged by as much
MIN_SCALE, MAX_SCALE = 0.05, 0.95  # of default boxes, as shares of the image's sides
LOW, HIGH = 0.1, 0.98  # shares of the boxes that are smaller than the smallest and largest default


def box_sizes(data: AnnotatedData[Boxes]) -> list[int]:
    """Return resolutions worth trying, largest first: none that enlarges the images by much."""
    side = (data.height * data.width) ** 0.5
    return [size for size in SIZES if size <= side * ENLARGED] or [SIZES[-1]]


def box_options(data: AnnotatedData[Boxes]) -> dict[str, Any]:
    """Return what the data decide of a detector; each takes of it what it knows."""
    low, high = box_scales(data)
    return {
        "in_channels": data.channels,
        "num_classes": len(data.classes),
        "min_scale": low,
        "max_scale": high,
        "first_boxes": 6,
    }


def box_scales(data: AnnotatedData[Boxes]) -> tuple[float, float]:
    """Return the scales of the smallest and the largest boxes of the training images, usually.

    A scale is the square root of a box's area as a share of the image's.
    """
    scales = [
        ((each.corners[:, 2:] - each.corners[:, :2]) / torch.tensor(each.sides)).prod(1).sqrt()
        for each in data.splits["train"].targets
    ]
    found = torch.cat([torch.zeros(0), *scales])
    if not len(found):
        return 0.2, MAX_SCALE
    low, high = torch.quantile(
        found[:: max(1, len(found) // 100_000)], torch.tensor([LOW, HIGH])
    ).tolist()
    low = min(max(low, MIN_SCALE), 0.5)
    return round(low, 3), round(min(max(high, 2 * low), MAX_SCALE), 3)
