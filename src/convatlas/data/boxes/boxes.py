"""The boxes of one image, and how they are checked against it, counted and stored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from convatlas.data.images.annotated import UnusableTarget
from convatlas.data.sources.target_findings import TargetFindings

ROUNDING = 0.5  # pixels: a box that sticks out by less is off by rounding alone
CLIPPED = "cut off at the image's border"
STRAIGHTENED = "corners in the wrong order, put right"


@dataclass(frozen=True, eq=False)
class Boxes:
    """What is marked on one image.

    Args:
        corners: x1 y1 x2 y2, in pixels from the top left or as a share of the image's sides.
            Shape: float32 (k, 4)
        labels: places in the class map. Shape: int64 (k,)
        names: of each in its source, such as `line 3`; empty once they have been checked.
        unit: of the corners.
        stated: width and height that the source gives the image, where it does; once they have
            been checked, those that it has.
        ignored: what counts neither as found nor as missed, such as crowds and difficult objects;
            None where there is nothing.
    """

    corners: Tensor
    labels: Tensor
    names: tuple[str, ...] = ()
    unit: Literal["pixels", "share"] = "pixels"
    stated: tuple[int, int] | None = None
    ignored: "Boxes | None" = None

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls,
        rows: Sequence[tuple[Sequence[float], int, str]],
        unit: Literal["pixels", "share"] = "pixels",
        stated: tuple[int, int] | None = None,
    ) -> "Boxes":
        """Return the boxes of rows: corners, label, name."""
        corners = torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4)
        labels = torch.tensor([row[1] for row in rows], dtype=torch.int64)
        return cls(corners, labels, tuple(row[2] for row in rows), unit, stated)

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height of the image in pixels."""
        assert self.stated is not None  # of boxes that have been laid on their image
        return self.stated

    def target(self) -> dict[str, Tensor]:
        """Return what a `Detector` is trained with."""
        return {"boxes": self.corners, "labels": self.labels}

    def kept(self, mask: Tensor) -> "Boxes":
        """Return some of the boxes. Shape: mask bool (k,)"""
        names = tuple(n for n, keep in zip(self.names, mask.tolist(), strict=False) if keep)
        return replace(self, corners=self.corners[mask], labels=self.labels[mask], names=names)


class BoxKind:
    """Boxes as the targets of images; see `TargetKind`."""

    word = "boxes"

    def fit(
        self, file: str, target: Boxes, width: int, height: int, found: TargetFindings, root: Path
    ) -> Boxes:
        """Return the boxes in pixels, inside the image; what has no area there is left out."""
        if target.stated not in (None, (width, height)):
            stated = " x ".join(map(str, target.stated or ()))
            raise UnusableTarget(
                f"its boxes are for an image of {stated} pixels, it has {width} x {height}"
            )
        found.total += len(target)
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        given = target.corners * sides if target.unit == "share" else target.corners
        low = torch.minimum(given[:, :2], given[:, 2:])
        high = torch.maximum(given[:, :2], given[:, 2:])
        straight = torch.cat((low, high), dim=1)
        clipped = torch.minimum(straight.clamp(min=0), sides)
        numbers = given.isfinite().all(1)
        area = (high > low).all(1)
        inside = (clipped[:, 2:] > clipped[:, :2]).all(1)
        good = numbers & area & inside
        turned = (given[:, 2:] < given[:, :2]).any(1)
        outside = (clipped - straight).abs().amax(1) > ROUNDING
        for place in (~good | turned | outside).nonzero().flatten().tolist():
            name = target.names[place]
            if not numbers[place]:
                found.skip(file, name, "its corners are no numbers")
            elif not area[place]:
                found.skip(file, name, "it has no area")
            elif not inside[place]:
                found.skip(file, name, "it lies outside the image")
            else:
                if turned[place]:
                    found.mend(file, name, STRAIGHTENED)
                if outside[place]:
                    found.mend(file, name, CLIPPED)
        ignored = target.ignored and self.fit(file, target.ignored, width, height, found, root)
        return Boxes(clipped[good], target.labels[good], stated=(width, height), ignored=ignored)

    def count(self, targets: Sequence[Boxes], classes: int) -> list[int]:
        """Count the boxes of each class."""
        labels = torch.cat([torch.zeros(0, dtype=torch.int64), *(t.labels for t in targets)])
        return labels.bincount(minlength=classes).tolist()

    def strata(self, targets: Sequence[Boxes], classes: int) -> list[str]:
        """Return for each image the class on it that is on the fewest images; "" without boxes."""
        held = [sorted(set(target.labels.tolist())) for target in targets]
        images = Counter(label for labels in held for label in labels)
        return [
            str(min(labels, key=lambda label: (images[label], label))) if labels else ""
            for labels in held
        ]

    def relabelled(self, target: Boxes, places: Mapping[int, int]) -> Boxes:
        """Return the boxes with other places in the class map, without classes that have none."""
        known = torch.tensor([int(label) in places for label in target.labels], dtype=torch.bool)
        kept = target.kept(known)
        labels = torch.tensor([places[int(label)] for label in kept.labels], dtype=torch.int64)
        ignored = target.ignored and self.relabelled(target.ignored, places)
        return replace(kept, labels=labels, ignored=ignored)

    def pack(self, target: Boxes) -> dict[str, Any]:
        """Return the image's sides and a row a box: corners to a hundredth pixel, label."""
        packed = {"sides": list(target.sides), "boxes": _rows(target)}
        if target.ignored is not None:
            packed["ignored"] = _rows(target.ignored)
        return packed

    def unpack(self, packed: Any, classes: int) -> Boxes:
        """Return the boxes of such rows.

        Raises:
            ValueError: a row has no five numbers, no area, or a class that is not there.
            KeyError: a part is missing.
        """
        width, height = packed["sides"]
        if type(width) is not int or type(height) is not int or min(width, height) < 1:
            raise ValueError(f"must have two sides in pixels, got {str(packed['sides'])[:40]}")
        boxes = _unpacked(packed["boxes"], classes, (width, height))
        if "ignored" not in packed:
            return boxes
        return replace(boxes, ignored=_unpacked(packed["ignored"], classes, (width, height)))


def _rows(target: Boxes) -> list[list[float]]:
    """Four corners to a hundredth pixel and the label of each box."""
    corners = target.corners.double().mul(100).round().div(100).tolist()
    return [[*row, label] for row, label in zip(corners, target.labels.tolist(), strict=True)]


def _unpacked(rows: Any, classes: int, sides: tuple[int, int]) -> Boxes:
    for row in rows:
        numbers = isinstance(row, list) and all(type(x) in (int, float) for x in row)
        if not numbers or len(row) != 5 or not (row[0] < row[2] and row[1] < row[3]):
            raise ValueError(f"must have boxes x1 y1 x2 y2 label, got {str(row)[:60]}")
        if row[4] != int(row[4]) or not 0 <= row[4] < classes:
            raise ValueError(f"has the label {row[4]} of {classes} classes")
    return Boxes.of([(row[:4], int(row[4]), "") for row in rows], stated=sides)


BOXES = BoxKind()
