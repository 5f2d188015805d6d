"""Figures of boxes: how many an image has, how large they are, class by class."""

from collections.abc import Sequence

import torch

from convatlas.data.boxes.boxes import Boxes
from convatlas.data.statistics import Statistics, spread

SMALL, LARGE = 32**2, 96**2  # square pixels: COCO's bounds of small and large objects


def box_statistics(targets: Sequence[Boxes], classes: Sequence[str]) -> list[Statistics]:
    """Return boxes by image and by class, with their sides as shares of the image's.

    Small, medium and large are those of COCO: below 32 x 32, up to 96 x 96 pixels, above.
    """
    labels = torch.cat([torch.zeros(0, dtype=torch.int64), *(t.labels for t in targets)])
    image = torch.cat(
        [torch.zeros(0), *(torch.full((len(t),), float(n)) for n, t in enumerate(targets))]
    )
    corners = torch.cat([torch.zeros(0, 4), *(t.corners for t in targets)])
    sides = torch.cat(
        [torch.zeros(0, 2), *(torch.tensor([t.sides]).float().expand(len(t), 2) for t in targets)]
    )
    extents = corners[:, 2:] - corners[:, :2]
    area = extents.prod(1)
    rows = []
    for number, name in enumerate(classes):
        own = labels == number
        rows.append(
            (
                name,
                int(own.sum()),
                int(image[own].unique().numel()),
                int((area[own] < SMALL).sum()),
                int(((area[own] >= SMALL) & (area[own] <= LARGE)).sum()),
                int((area[own] > LARGE).sum()),
            )
        )
    shares = extents / sides
    spreads = {
        "boxes of an image": [len(t) for t in targets],
        "width / image": shares[:, 0].numpy(),
        "height / image": shares[:, 1].numpy(),
        "width / height": (extents[:, 0] / extents[:, 1]).numpy(),
    }
    heads = ("class", "boxes", "images", "small", "medium", "large")
    note = "small: below 32 x 32 pixels of the image as it is, large: above 96 x 96 (COCO)"
    return [Statistics("boxes by class", heads, rows, note), spread("boxes", spreads)]
