"""Figures of images: their sides, and the values of their pixels by channel."""

from collections.abc import Callable, Sequence

import torch

from convatlas.data.dataset import Split
from convatlas.data.statistics import Statistics, evenly_spaced, spread

DARKEST, BRIGHTEST = 0, 255


def image_statistics(split: Split, progress: Callable[[int, int], None]) -> list[Statistics]:
    """Return the sides of images in pixels, and mean and deviation of each channel from 0 to 1.

    Of many images some evenly spaced ones are read.
    """
    places = evenly_spaced(len(split))
    widths, heights, ratios = [], [], []
    counts = torch.zeros(0, 256, dtype=torch.float64)
    for done, place in enumerate(places, 1):
        image = split.read(place)
        height, width = image.shape[-2:]
        widths.append(width)
        heights.append(height)
        ratios.append(width / height)
        found = torch.stack([plane.flatten().int().bincount(minlength=256) for plane in image])
        counts = found.double() if not counts.numel() else counts + found
        progress(done, len(places))
    note = f"of {len(places):,} evenly spaced images" if len(places) < len(split) else ""
    sides = {"width": widths, "height": heights, "width / height": ratios}
    return [spread("sides in pixels", sides, note), _values(counts, note)]


def _values(counts: torch.Tensor, note: str) -> Statistics:
    levels = torch.arange(256, dtype=torch.float64) / BRIGHTEST
    shares = counts / counts.sum(1, keepdim=True)
    mean = shares @ levels
    deviation = ((shares * (levels - mean[:, None]) ** 2).sum(1)).sqrt()
    rows = [
        (name, *(float(x) for x in row))
        for name, *row in zip(
            _channels(len(counts)),
            mean,
            deviation,
            shares[:, DARKEST],
            shares[:, BRIGHTEST],
            strict=True,
        )
    ]
    heads = ("channel", "mean", "deviation", "share of darkest", "share of brightest")
    return Statistics("pixel values, from 0 to 1", heads, rows, note)


def _channels(count: int) -> Sequence[str]:
    return {1: ["grey"], 3: ["red", "green", "blue"]}.get(
        count, [f"channel {number}" for number in range(1, count + 1)]
    )
