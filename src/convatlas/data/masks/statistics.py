"""Figures of masks: how many pixels, and how many images, each class has."""

from collections.abc import Sequence

from convatlas.data.masks.mask_files import Mask
from convatlas.data.statistics import Statistics


def mask_statistics(targets: Sequence[Mask], classes: Sequence[str]) -> list[Statistics]:
    """Return pixels and images of each class; pixels without a class are left out."""
    pixels = [target.pixels(len(classes)) for target in targets]
    every = max(1, sum(map(sum, pixels)))
    rows = [
        (
            name,
            sum(row[place] for row in pixels),
            sum(row[place] for row in pixels) / every,
            sum(row[place] > 0 for row in pixels),
        )
        for place, name in enumerate(classes)
    ]
    return [Statistics("pixels by class", ("class", "pixels", "share", "images"), rows)]
