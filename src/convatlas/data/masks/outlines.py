"""Outlines and run lengths, as COCO writes masks of objects, drawn into one mask of classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MIN_CORNERS = 6  # numbers of a polygon: three corners
MAX_CODE_BITS = 64  # of a compressed run; longer ones are damaged


@dataclass(frozen=True)
class Outline:
    """One object: its value in the mask, and polygons or runs that say where it is.

    Args:
        value: written where the object is.
        polygons: x y x y ... in pixels from the top left of each part.
        runs: lengths of runs down the columns, first of pixels outside; instead of polygons.
    """

    value: int
    polygons: tuple[tuple[float, ...], ...] = ()
    runs: tuple[int, ...] = ()

    def pack(self) -> dict[str, Any]:
        """Return the outline for JSON."""
        return {
            "value": self.value,
            "polygons": [list(polygon) for polygon in self.polygons],
            "runs": list(self.runs),
        }

    @classmethod
    def unpack(cls, packed: Any) -> "Outline":
        """Return what `pack` gave."""
        polygons = tuple(tuple(float(x) for x in each) for each in packed["polygons"])
        return cls(int(packed["value"]), polygons, tuple(int(run) for run in packed["runs"]))


def draw_outlines(outlines: Sequence[Outline], size: tuple[int, int]) -> np.ndarray:
    """Draw objects over each other on a ground of 0, later ones on top.

    Args:
        size: width and height in pixels.

    Shape: int32 (h, w)

    Raises:
        ValueError: runs that do not add up to the image.
    """
    values = np.zeros((size[1], size[0]), dtype=np.int32)
    for outline in outlines:
        if outline.runs:
            values[runs_to_mask(outline.runs, size)] = outline.value
        for polygon in outline.polygons:
            values[polygon_to_mask(polygon, size)] = outline.value
    return values


def polygon_to_mask(polygon: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose middle lies inside a polygon, by the even-odd rule.

    Shape: bool (h, w)
    """
    width, height = size
    x, y = np.asarray(polygon[::2], dtype=float), np.asarray(polygon[1::2], dtype=float)
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    middles = np.arange(height)[:, None] + 0.5
    rows, edges = ((y <= middles) != (next_y <= middles)).nonzero()
    slope = (next_x - x)[edges] / (next_y - y)[edges]
    crossings = x[edges] + (rows + 0.5 - y[edges]) * slope
    # From a crossing on, pixels are inside up to the next one.
    columns = np.ceil(crossings - 0.5).clip(0, width).astype(int)
    turns = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(turns, (rows, columns), 1)
    return turns.cumsum(axis=1)[:, :width] % 2 == 1


def runs_to_mask(runs: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Return the pixels inside, from runs down the columns. Shape: bool (h, w)

    Raises:
        ValueError: the runs do not add up to the image.
    """
    width, height = size
    if sum(runs) != width * height:
        raise ValueError(f"runs add up to {sum(runs):,} pixels, the image has {width * height:,}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def mask_to_runs(mask: np.ndarray) -> tuple[int, ...]:
    """Return runs down the columns, first of pixels outside: what `runs_to_mask` takes.

    Shape: bool (h, w)
    """
    flat = mask.T.ravel()
    turns = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    ends = [*turns, len(flat)]
    return tuple(end - start for start, end in zip([0, *ends], ends, strict=False))


def parse_runs(code: str) -> tuple[int, ...]:
    """Read COCO's compressed runs: five bits a letter, from the third on as differences.

    Raises:
        ValueError: the code is damaged.
    """
    runs: list[int] = []
    value = bits = 0
    for letter in code:
        five = ord(letter) - 48
        if not 0 <= five < 64 or bits > MAX_CODE_BITS:
            raise ValueError("its run lengths are damaged")
        value |= (five & 31) << bits
        bits += 5
        if five & 32:
            continue
        if five & 16:  # negative
            value -= 1 << bits
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = bits = 0
    if bits or any(run < 0 for run in runs):
        raise ValueError("its run lengths are damaged")
    return tuple(runs)
