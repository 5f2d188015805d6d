"""Draw what sensors read last and what is forecast, a strip for each sensor."""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from convatlas.replacing import replacing
from convatlas.text import printable

WIDTH, STRIP, MARGIN = 640, 110, 12  # pixels
MAX_SENSORS = 8
BLUE, ORANGE, GREY = "#3a86c8", "#d97706", "#999999"


def draw_forecast(
    path: Path, sensors: Sequence[str], past: Tensor, values: Tensor, *, unit: str = ""
) -> None:
    """Write a PNG with the first sensors: readings in blue, the forecast in orange.

    Args:
        past: NaN where a reading is missing, which leaves a gap. Shape: (history, sensors)
        values: the forecast. Shape: (steps, sensors)

    Raises:
        WriteError: it cannot be written.
    """
    shown = min(len(sensors), MAX_SENSORS)
    image = Image.new("RGB", (WIDTH, shown * STRIP + MARGIN), "white")
    pen = ImageDraw.Draw(image)
    for number in range(shown):
        known, coming = past[:, number].tolist(), values[:, number].tolist()
        name = f"{printable(sensors[number])[:40]} {unit}".strip()
        _draw_strip(pen, number * STRIP + MARGIN, name, known, coming)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        image.save(fresh, "png")


def _draw_strip(
    pen: ImageDraw.ImageDraw, top: int, name: str, known: list[float], coming: list[float]
) -> None:
    every = [value for value in (*known, *coming) if not math.isnan(value)]
    low, high = min(every), max(every)
    left, right, bottom = 70, WIDTH - MARGIN, top + STRIP - MARGIN

    def place(step: int, value: float) -> tuple[float, float]:
        across = left + (right - left) * step / max(1, len(known) + len(coming) - 1)
        share = (value - low) / (high - low) if high > low else 0.5
        return across, bottom - (bottom - top - 18) * share

    pen.text((left, top), name, fill="black", font_size=12)
    for value in {low, high}:
        pen.text((4, place(0, value)[1] - 7), f"{value:.4g}", fill=GREY, font_size=11)
    border = place(len(known), low)[0] - (right - left) / (2 * (len(known) + len(coming)))
    pen.line([(border, top + 14), (border, bottom)], fill=GREY)
    for colour, first, row in ((BLUE, 0, known), (ORANGE, len(known), coming)):
        for line in _unbroken(row):
            points = [place(first + step, row[step]) for step in line]
            pen.line(points, fill=colour, width=2)
            for x, y in points:
                pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)


def _unbroken(row: list[float]) -> list[list[int]]:
    """Return the places of readings in runs without a gap."""
    runs: list[list[int]] = [[]]
    for place, value in enumerate(row):
        if math.isnan(value):
            runs.append([])
        else:
            runs[-1].append(place)
    return [run for run in runs if run]
