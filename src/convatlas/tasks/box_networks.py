"""Which detectors are tried on images: at which sizes, with default boxes of which scales."""

from typing import Any

import torch
from torch import Tensor

from convatlas.data.boxes.boxes import Boxes
from convatlas.data.images.annotated import AnnotatedData

SIZES = (512, 416, 320, 256, 192, 160, 128, 96, 64)
ENLARGED = 1.1  # an image may be enlarged by as much
MIN_OBJECT = 12  # pixels: a side of a usual box of the class with the smallest ones
MIN_SCALE, MAX_SCALE = 0.03, 0.95  # of default boxes, as shares of the image's sides
LOW, HIGH = 0.1, 0.98  # shares of a class's boxes that are smaller than all default ones, or most
MAX_BOXES = 100_000  # of a class that are looked at
FEW_BOXES = 10  # of a class, which tell little of others


def box_sizes(data: AnnotatedData[Boxes]) -> list[int]:
    """Return resolutions worth trying, largest first.

    None enlarges the images by much, and in none the objects of a class are hardly to be seen.
    """
    side = (data.height * data.width) ** 0.5
    sizes = [size for size in SIZES if size <= side * ENLARGED] or [SIZES[-1]]
    usual = min(float(scales.median()) for scales in class_scales(data))
    return [size for size in sizes if size * usual >= MIN_OBJECT] or sizes[:1]


def box_options(data: AnnotatedData[Boxes]) -> dict[str, Any]:
    """Return what the data decide of a detector; each takes of it what it knows."""
    low, high = box_scales(data)
    return {
        "in_channels": data.channels,
        "num_classes": len(data.classes),
        "min_scale": low,
        "max_scale": high,
        "per_octave": 2,
    }


def box_scales(data: AnnotatedData[Boxes]) -> tuple[float, float]:
    """Return the scales of the smallest and the largest boxes of the training images, usually.

    Small boxes of a class that has few count as much as those of a class that has many.
    """
    classes = class_scales(data)
    low = min(float(scales.quantile(LOW)) for scales in classes)
    high = max(float(scales.quantile(HIGH)) for scales in classes)
    low = min(max(low, MIN_SCALE), 0.5)
    return round(low, 3), round(min(max(high, 2 * low), MAX_SCALE), 3)


def class_scales(data: AnnotatedData[Boxes]) -> list[Tensor]:
    """Return the scales of the training boxes of each class that has more than a few.

    A scale is the square root of a box's area as a share of the image's. Shape: each (k,)
    """
    targets = data.splits["train"].targets
    shares = [
        ((each.corners[:, 2:] - each.corners[:, :2]) / torch.tensor(each.sides)).prod(1).sqrt()
        for each in targets
    ]
    scales = torch.cat([torch.zeros(0), *shares])
    labels = torch.cat([torch.zeros(0).long(), *(each.labels for each in targets)])
    classes = [scales[labels == k][:MAX_BOXES] for k in range(len(data.classes))]
    told = [own for own in classes if len(own) >= FEW_BOXES]
    return told or [scales[:MAX_BOXES] if len(scales) else torch.tensor([0.2, MAX_SCALE])]
