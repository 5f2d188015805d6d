"""Images that lie as plain numbers, one after the other, in a few arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convatlas.data.sources.listing import Item


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images named `<array>/<row>`.

    Shape: each array uint8 (n, h, w) or (n, h, w, 3)
    """

    arrays: Mapping[str, np.ndarray]
    decoded: bool = True

    def get(self, file: str) -> np.ndarray:
        """Return the pixels of an image."""
        name, _, row = file.rpartition("/")
        return self.arrays[name][int(row)]

    def holds(self, file: str) -> bool:
        """Return whether there is an image of that name."""
        name, _, row = file.rpartition("/")
        in_form = row.isascii() and row.isdigit()
        return in_form and name in self.arrays and int(row) < len(self.arrays[name])


def row_items(name: str, labels: Sequence[str], split: str | None) -> list[Item]:
    """Name the images of an array, each with its class."""
    digits = len(str(len(labels) - 1))
    return [Item(f"{name}/{row:0{digits}d}", label, split) for row, label in enumerate(labels)]
