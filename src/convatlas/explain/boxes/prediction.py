"""The boxes of one image, as they are shown and written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convatlas.errors import DataError
from convatlas.explain.boxes.draw import draw_found
from convatlas.explain.file_stem import file_stem
from convatlas.models.detect.found import SURE_SCORE, Found
from convatlas.replacing import replacing
from convatlas.text import printable

COLUMNS = ("file", "class", "score", "x1", "y1", "x2", "y2")
MIN_KEPT = 0.01  # score from which a box is in the JSON


@dataclass(frozen=True)
class BoxPrediction:
    """The answer for one image; `error` says why there is none.

    Args:
        file: its path, or `image 3` for the third one in memory.
        boxes: what was found, best first: `class`, `score` and `box` x1 y1 x2 y2 in pixels.
        image: as it was read. Shape: uint8 (c, h, w)
        shown_from: score that a box must have to be in a table or a picture.
    """

    file: str
    boxes: list[dict[str, Any]] | None = None
    error: str | None = None
    image: Tensor | None = field(default=None, compare=False, repr=False)
    found: Found | None = field(default=None, compare=False, repr=False)
    classes: tuple[str, ...] = field(default=(), compare=False, repr=False)
    shown_from: float = field(default=SURE_SCORE, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        file: str,
        found: Found,
        image: Tensor | None,
        classes: tuple[str, ...],
        shown_from: float = SURE_SCORE,
    ) -> "BoxPrediction":
        """Return the answer of the boxes found, or the error where they are no numbers."""
        if not bool(torch.isfinite(found.scores).all()):
            return cls(file, error=f"{file}: the network's answer is not a finite number")
        kept = found.above(MIN_KEPT)
        rows = zip(*map(Tensor.tolist, kept), strict=True)
        boxes = [
            {
                "class": classes[label],
                "score": round(score, 4),
                "box": [round(x, 2) for x in box],
            }
            for box, score, label in rows
        ]
        return cls(file, boxes, None, image, kept, classes, shown_from)

    @property
    def sure(self) -> list[dict[str, Any]]:
        """Boxes that score enough to be shown."""
        return [box for box in self.boxes or () if box["score"] >= self.shown_from]

    @property
    def stem(self) -> str:
        """How the files of this answer begin."""
        return file_stem(self.file)

    def paths(self, folder: Path, stem: str | None = None) -> list[Path]:
        """Return the files that `save` writes."""
        return [folder / f"{stem or self.stem}-boxes.png"]

    def save(self, folder: str | Path, stem: str | None = None) -> list[Path]:
        """Write the image with its boxes drawn on it.

        Args:
            stem: how the name begins; that of the file where not given.

        Raises:
            DataError: there is no answer.
            WriteError: the file cannot be written.
        """
        if self.image is None or self.found is None:
            raise DataError(f"{self.file}: has no boxes to draw ({self.error})")
        paths = self.paths(Path(folder), stem)
        Path(folder).mkdir(parents=True, exist_ok=True)
        picture = draw_found(self.image, self.found.above(self.shown_from), self.classes)
        with replacing(paths[0]) as fresh:
            picture.save(fresh, "PNG")
        return paths

    def cells(self, top: int) -> list[str]:
        """Return the best boxes, as many as there are columns for."""
        cells = [
            cell
            for box in self.sure[:top]
            for cell in (box["class"], f"{box['score']:.4f}", *(f"{x:.2f}" for x in box["box"]))
        ]
        return [*cells, *[""] * (6 * top - len(cells))]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return a row for each box that is shown, the file's name in the first one only."""
        if not self.sure:
            return [(printable(self.file), *[None] * 6)]
        return [
            (
                printable(self.file) if not place else "",
                printable(box["class"]),
                f"{box['score']:.2f}",
                *(f"{x:.0f}" for x in box["box"]),
            )
            for place, box in enumerate(self.sure)
        ]


def csv_columns(top: int) -> list[str]:
    """Return the headings of `BoxPrediction.cells`."""
    if top == 1:
        return list(COLUMNS[1:])
    return [f"{name} {place}" for place in range(1, top + 1) for name in COLUMNS[1:]]


def coco_results(predictions: Iterable[Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the boxes of several `BoxPrediction` as COCO's results, for other tools.

    An image is known by its place among the predictions, from 1, and by `file_name`; a category by
    its place in the class map, from 1.
    """
    place = {label: number for number, label in enumerate(classes, start=1)}
    rows = []
    for number, each in enumerate(predictions, start=1):
        for box in each.boxes or ():
            x1, y1, x2, y2 = box["box"]
            rows.append(
                {
                    "image_id": number,
                    "file_name": each.file,
                    "category_id": place[box["class"]],
                    "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    "score": box["score"],
                }
            )
    return rows
