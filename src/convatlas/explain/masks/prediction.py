"""The mask of one image, as it is shown and written."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from convatlas.errors import DataError
from convatlas.explain.file_stem import file_stem
from convatlas.explain.masks.draw import overlay, write_mask
from convatlas.explain.pictures import to_pil
from convatlas.replacing import replacing
from convatlas.text import printable

COLUMNS = ("file", "class", "share", "probability")
MIN_SHOWN = 0.001  # share of the image: classes on less have no row on the screen


@dataclass(frozen=True)
class MaskPrediction:
    """The answer for one image; `error` says why there is none.

    Args:
        file: its path, or `image 3` for the third one in memory.
        shares: of the image, by class, the largest first.
        probability: mean over the pixels of each class, in the same order.
        mask: places of classes. Shape: uint8 (h, w)
        image: as it was read. Shape: uint8 (c, h, w)
    """

    file: str
    shares: dict[str, float] | None = None
    probability: dict[str, float] | None = None
    error: str | None = None
    mask: Tensor | None = field(default=None, compare=False, repr=False)
    image: Tensor | None = field(default=None, compare=False, repr=False)
    classes: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(
        cls, file: str, mask: Tensor, probability: Tensor, image: Tensor, classes: tuple[str, ...]
    ) -> "MaskPrediction":
        """Return the answer of a mask and the probabilities of its pixels."""
        counts = mask.flatten().long().bincount(minlength=len(classes))
        sums = torch.zeros(len(classes), dtype=torch.float64)
        sums.index_add_(0, mask.flatten().long(), probability.flatten().double())
        order = [i for i in counts.argsort(descending=True, stable=True).tolist() if counts[i]]
        shares = {classes[i]: round(int(counts[i]) / mask.numel(), 6) for i in order}
        means = {classes[i]: round(float(sums[i] / counts[i]), 4) for i in order}
        return cls(file, shares, means, mask=mask, image=image, classes=classes)

    @property
    def stem(self) -> str:
        """How the files of this answer begin."""
        return file_stem(self.file)

    def paths(self, folder: Path, stem: str | None = None) -> list[Path]:
        """Return the files that `save` writes."""
        name = stem or self.stem
        return [folder / f"{name}-mask.png", folder / f"{name}-overlay.png"]

    def save(self, folder: str | Path, stem: str | None = None) -> list[Path]:
        """Write the mask, whose values are places of classes, and an overlay on the image.

        Args:
            stem: how the names begin; that of the file where not given.

        Raises:
            DataError: there is no mask.
            WriteError: a file cannot be written.
        """
        if self.mask is None or self.image is None:
            raise DataError(f"{self.file}: has no mask to write ({self.error})")
        paths = self.paths(Path(folder), stem)
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_mask(paths[0], self.mask, len(self.classes))
        with replacing(paths[1]) as fresh:
            to_pil(overlay(self.image, self.mask, len(self.classes))).save(fresh, "PNG")
        return paths

    def cells(self, top: int) -> list[str]:
        """Return the largest classes with their shares, as many as there are columns."""
        found = list((self.shares or {}).items())[:top]
        cells = [cell for label, share in found for cell in (label, f"{share:.6f}")]
        return [*cells, *[""] * (2 * top - len(cells))]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return a row for each class that is seen, the file's name in the first one only."""
        if not self.shares or not self.probability:
            return [(printable(self.file), None, None, None)]
        found = [(k, v) for k, v in self.shares.items() if v >= MIN_SHOWN]
        return [
            (
                printable(self.file) if not place else "",
                printable(label),
                f"{share:.1%}",
                f"{self.probability[label]:.3f}",
            )
            for place, (label, share) in enumerate(found)
        ]


def csv_columns(top: int) -> list[str]:
    """Return the headings of `MaskPrediction.cells`."""
    if top == 1:
        return ["class", "share"]
    return [name for place in range(1, top + 1) for name in (f"class {place}", f"share {place}")]
