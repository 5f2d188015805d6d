"""Learning curves that were recorded once, and what they let expect of a network before it trains.

Source: `learning_curves.csv` beside this file, which `benchmarks/learning_curves.py` records. The
idea of recorded curves is that of Quick-Tune (Arango et al., ICLR 2024).
"""

import csv
import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from statistics import median

from convatlas.models.registry import find_entry
from convatlas.search.space import Candidate

FILE = "learning_curves.csv"
SLOWING = 0.6  # beyond its last point a curve goes on at this share of its last slope
FARTHEST = 6.0  # times the images of its last point: nothing more is promised beyond
WIDER = 0.06  # an error falls by this power of the multiply-adds, for the same images seen
MAX_WIDER = 8.0  # times the multiply-adds: beyond it a wider network promises nothing more
DEARER = 0.85  # a step's time grows by this power of the multiply-adds within an architecture
# Times the error that comparable networks have, for one that was never recorded. With 1.1 one
# of them took a place on CIFAR-10 from recorded ones, and dropped out 24 points behind the first.
UNKNOWN = 1.25
NEAR = 5  # recorded networks of about the same multiply-adds, that an unknown one is placed by
GREY, OTHER_CHANNELS = 1, 2.0  # grey images are so much further from coloured ones, in log(size)


@dataclass(frozen=True)
class Curve:
    """One network on one data set: the share of wrong answers by the training images seen.

    Args:
        seconds: of one core for each image, in training, on the machine that recorded it.
    """

    data: str
    channels: int
    model: str
    size: int
    macs: float
    seconds: float
    images: tuple[float, ...]
    errors: tuple[float, ...]

    def error(self, images: float) -> float:
        """Return the share of wrong answers after that many images.

        Straight between the logarithms of the points.
        """
        x = math.log(max(images, 1))
        xs = [math.log(each) for each in self.images]
        ys = [math.log(each) for each in self.errors]
        if len(xs) == 1:
            return self.errors[0]
        if x >= xs[-1]:
            first = max(0, len(xs) // 2 - 1)
            slope = min(0.0, (ys[-1] - ys[first]) / (xs[-1] - xs[first]))
            return math.exp(ys[-1] + SLOWING * slope * min(math.log(FARTHEST), x - xs[-1]))
        right = max(1, bisect(xs, x))
        share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
        # Before the first point: flatter than that, and never worse than nothing right.
        return math.exp(min(0.0, ys[right - 1] + share * (ys[right] - ys[right - 1])))


@dataclass(frozen=True)
class Expected:
    """What recorded curves let expect of a candidate.

    Args:
        curves: of the recorded networks that it is like; the median of them counts.
        factor: that its error is above or below theirs.
        seconds: of one core for each image, on the machine that recorded them.
    """

    curves: tuple[Curve, ...]
    factor: float
    seconds: float

    def error(self, images: float) -> float:
        """Return the share of wrong answers expected after a number of training images."""
        return min(1.0, self.factor * median(curve.error(images) for curve in self.curves))


class KnownCurves:
    """The recorded curves of the data set that is most like the data at hand."""

    def __init__(self, curves: Sequence[Curve]):
        self.curves = curves

    def expect(self, name: str, macs: float) -> Expected:
        """Return what to expect of a network with these multiply-adds an input."""
        same = [curve for curve in self.curves if curve.model == name]
        alike = [c for c in self.curves if _architecture(c.model) == _architecture(name)]
        near = sorted(
            same or alike or self.curves, key=lambda c: abs(math.log(max(macs, 1) / c.macs))
        )
        if same:
            curve = near[0]
            wider = min(MAX_WIDER, max(1 / MAX_WIDER, macs / curve.macs))
            return Expected((curve,), wider**-WIDER, curve.seconds * (macs / curve.macs) ** DEARER)
        like = tuple(near[: 1 if alike else NEAR])
        # Expect less of one that was never recorded, and the less, the farther its peers are.
        apart = max(macs, 1) / median(curve.macs for curve in like)
        factor = UNKNOWN * max(apart, 1 / apart) ** WIDER
        return Expected(like, factor, median(c.seconds for c in like) * apart**DEARER)

    def knows(self, name: str) -> bool:
        """Return whether this very network was recorded."""
        return any(curve.model == name for curve in self.curves)


def known_curves(task: str, candidates: Sequence[Candidate]) -> KnownCurves | None:
    """Return the curves of the data set whose images are most like those of the candidates.

    None where nothing was recorded for the task, or for networks that start from public weights.
    """
    recorded = _recorded().get(task)
    if not recorded or not candidates or any(c.checkpoint is not None for c in candidates):
        return None
    sizes = [c.example["size"] for c in candidates if "size" in c.example]
    if not sizes:
        return None
    channels = next((c.options["in_channels"] for c in candidates if "in_channels" in c.options), 3)
    largest = max(sizes)

    def unlike(curve: Curve) -> float:
        other = OTHER_CHANNELS * ((curve.channels == GREY) != (channels == GREY))
        return abs(math.log(largest / curve.size)) + other

    sets = {curve.data for curve in recorded}
    distance = {s: min(unlike(c) for c in recorded if c.data == s) for s in sets}
    nearest = min(sorted(sets), key=distance.__getitem__)
    return KnownCurves([curve for curve in recorded if curve.data == nearest])


@cache
def _recorded() -> dict[str, list[Curve]]:
    """All curves by task."""
    found: dict[str, list[Curve]] = {}
    text = resources.files("convatlas.search").joinpath(FILE).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        points = [point.split(":") for point in row["points"].split()]
        curve = Curve(
            row["data"],
            int(row["channels"]),
            row["model"],
            int(row["size"]),
            float(row["macs"]),
            float(row["core_seconds"]),
            tuple(float(images) for images, _ in points),
            tuple(max(1e-4, 1 - float(accuracy)) for _, accuracy in points),
        )
        found.setdefault(row["task"], []).append(curve)
    return found


def _architecture(name: str) -> str:
    return find_entry(name).cls.__qualname__
