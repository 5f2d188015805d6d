"""The mask of one image, and how it is checked against it, counted, stored and read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convatlas.data.images.annotated import AnnotatedSplit, UnusableTarget
from convatlas.data.images.image_data import FileStore
from convatlas.data.images.read import UnreadableImage, quiet_pillow
from convatlas.data.masks.mask_values import read_values, value_name
from convatlas.data.masks.outlines import Outline, draw_outlines
from convatlas.data.names import file_path, printable
from convatlas.data.sources.target_findings import TargetFindings
from convatlas.errors import DataError

IGNORED = 255  # in a mask: pixels without a class, as `models.segment` has them
MAX_MASK_CLASSES = 255  # a mask of 8 bits holds one value more, for pixels to be ignored


@dataclass(frozen=True, eq=False)
class Mask:
    """Where the mask of one image lies and what its values mean.

    Args:
        file: of the mask, relative to the root; empty where outlines are drawn instead.
        size: width and height in pixels.
        counts: pixels of each value; of outlines, of each class.
        places: the class of each value, by its place in the class map; other values have none.
        outlines: what is drawn, the first one lowest.
    """

    file: str
    size: tuple[int, int]
    counts: Mapping[int, int]
    places: Mapping[int, int]
    outlines: tuple[Outline, ...] = ()

    def pixels(self, classes: int) -> list[int]:
        """Count the pixels of each class."""
        found = [0] * classes
        for value, count in self.counts.items():
            if value in self.places:
                found[self.places[value]] += count
        return found

    def read(self, root: Path) -> Tensor:
        """Read the class of each pixel, `IGNORED` where it has none. Shape: uint8 (h, w)

        Raises:
            DataError: the file has vanished or was changed.
        """
        if not self.file:
            values = draw_outlines(self.outlines, self.size)
        else:
            try:
                with quiet_pillow():
                    values = read_values(file_path(root, self.file))
            except UnreadableImage as error:
                raise DataError(f"{printable(self.file)}: {error}") from None
        if values.shape != (self.size[1], self.size[0]):
            raise DataError(f"{printable(self.file)}: has another size than when it was checked")
        classes = np.full(values.shape, IGNORED, dtype=np.uint8)
        for value, place in self.places.items():
            classes[values == value] = place
        return torch.from_numpy(classes)


class MaskKind:
    """Masks as the targets of images; see `TargetKind`.

    Args:
        ignored: values whose pixels have no class.
    """

    word = "masks"

    def __init__(self, ignored: Sequence[int] = ()):
        self.ignored = tuple(ignored)
        self.facts: dict[str, Any] = {"ignored": list(self.ignored)}

    def fit(
        self, file: str, target: Mask, width: int, height: int, found: TargetFindings, root: Path
    ) -> Mask:
        """Return the mask where it has the size of its image, noting values without a class."""
        found.total += 1
        if target.size != (width, height):
            own = " x ".join(map(str, target.size))
            raise UnusableTarget(
                f"its mask {printable(target.file)} has {own} pixels, the image {width} x {height}"
            )
        strange = [v for v in target.counts if v not in target.places and v not in self.ignored]
        if strange:
            names = ", ".join(map(value_name, sorted(strange)[:5]))
            count = sum(target.counts[value] for value in strange)
            name = f"{names} on {count:,} pixels"
            found.mend(file, name, "values without a class, left out of training and figures")
        if not sum(target.pixels(MAX_MASK_CLASSES)):
            raise UnusableTarget(f"no pixel of its mask {printable(target.file)} has a class")
        return target

    def count(self, targets: Sequence[Mask], classes: int) -> list[int]:
        """Count the pixels of each class."""
        rows = [target.pixels(classes) for target in targets]
        return [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * classes

    def strata(self, targets: Sequence[Mask], classes: int) -> list[str]:
        """Return for each image the class on it that is on the fewest images."""
        held = [
            [place for place, count in enumerate(target.pixels(classes)) if count]
            for target in targets
        ]
        images = Counter(place for places in held for place in places)
        return [str(min(p, key=lambda place: (images[place], place))) if p else "" for p in held]

    def relabelled(self, target: Mask, places: Mapping[int, int]) -> Mask:
        """Return the mask with other places in the class map, without classes that have none."""
        known = {v: places[place] for v, place in target.places.items() if place in places}
        return replace(target, places=known)

    def pack(self, target: Mask) -> dict[str, Any]:
        """Return the mask's file and the meaning of its values, for JSON."""
        return {
            "file": target.file,
            "size": list(target.size),
            "counts": [[value, count] for value, count in target.counts.items()],
            "places": [[value, place] for value, place in target.places.items()],
            "outlines": [outline.pack() for outline in target.outlines],
        }

    def unpack(self, packed: Any, classes: int) -> Mask:
        """Return what `pack` gave.

        Raises:
            ValueError: it is no such mask, or names a class that is not there.
        """
        width, height = (int(side) for side in packed["size"])
        places = {int(value): int(place) for value, place in packed["places"]}
        if not all(0 <= place < classes for place in places.values()):
            raise ValueError(f"a mask names a class that is none of {classes}")
        counts = {int(value): int(count) for value, count in packed["counts"]}
        outlines = tuple(Outline.unpack(each) for each in packed["outlines"])
        return Mask(str(packed["file"]), (width, height), counts, places, outlines)


def read_mask(split: AnnotatedSplit[Mask], index: int) -> Tensor:
    """Read the mask of an image of a split. Shape: uint8 (h, w)

    Raises:
        DataError: the file has vanished or was changed.
    """
    root = split.store.root if isinstance(split.store, FileStore) else Path()
    return split.targets[index].read(root)
