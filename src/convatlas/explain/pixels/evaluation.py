"""The values of a split's images in bits, beside the simplest codes, and images that are drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from convatlas.data.pixels.pixel_data import PixelFacts, PixelSplit
from convatlas.errors import DataError
from convatlas.explain.mean_interval import mean_interval
from convatlas.explain.pixels.baselines import (
    INDEPENDENT,
    MAX_COUNTED,
    PACKED,
    IndependentValues,
    packed_bits,
)
from convatlas.explain.pixels.sheet import half_known
from convatlas.progress import Progress
from convatlas.text import printable
from convatlas.train.tasks.generate import BITS_PER_DIM

BATCH = 64
SAMPLES, COMPLETED, MADE_OF_EACH = 24, 4, 3  # images that are drawn, and halves completed
MAX_DRAWN_VALUES = 64 * 64 * 3  # of an image that is drawn unasked
NETWORK = "network"


class PixelAnswers(Protocol):
    """What is evaluated: bits of each value, and images that are drawn."""

    def predict(self, items: Sequence[Any]) -> Tensor:
        """Return bits of each value. Shape: items as `PixelSplit.item` -> (n, c, h, w)"""
        ...

    def draw(
        self,
        count: int,
        *,
        labels: Sequence[int] | None,
        given: Tensor | None,
        known: Tensor | None,
        done: Callable[[int, int], None],
    ) -> Tensor:
        """Draw images as `PixelModel.draw` does. Shape: -> uint8 (count, h, w, c)"""
        ...


@dataclass(frozen=True, eq=False)
class Drawn:
    """Images that the network drew, and halves that it completed.

    Args:
        images: Shape: uint8 (n, h, w, c)
        labels: the class of each, where classes are told.
        halves: of test images: the truth, its known half, and what was made of it. Shape: each
            uint8 (h, w, c)
    """

    images: Tensor
    labels: Sequence[int] | None
    halves: Sequence[Sequence[Tensor]]


@dataclass(frozen=True, eq=False)
class PixelEvaluation:
    """Bits per value of every image.

    Args:
        bits: by code: of the network and the simple ones. Shape: each (n,)
        files: names of the images.
        drawn: None where images are too large to be drawn unasked.
    """

    facts: PixelFacts
    bits: Mapping[str, Tensor]
    files: Sequence[str]
    drawn: Drawn | None
    warnings: tuple[str, ...] = ()
    seen: int = 0

    def __len__(self) -> int:
        return len(self.files)

    @property
    def figures(self) -> dict[str, float]:
        """Mean bits per value of the network, and of the simple codes."""
        found = {BITS_PER_DIM.key: self.mean(NETWORK)}
        for name in self.bits:
            if name != NETWORK:
                found[f"{BITS_PER_DIM.key}_{name.replace(' ', '_')}"] = self.mean(name)
        return found

    def mean(self, name: str) -> float:
        """Return the mean bits per value of a code."""
        return float(self.bits[name].mean())

    @property
    def interval(self) -> tuple[float, float]:
        """In which the network's mean lies with 95 % confidence, images drawn anew."""
        return mean_interval(self.bits[NETWORK])

    def with_findings(self, warnings: Sequence[str], seen: int) -> "PixelEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        beside = ", ".join(
            f"{name} {BITS_PER_DIM.text(self.mean(name))}" for name in self.bits if name != NETWORK
        )
        return {
            "words": f"{BITS_PER_DIM.text(self.mean(NETWORK))} per value of {len(self):,} images "
            f"({beside})",
            "interval": list(self.interval),
            "doubts": self.doubts(),
        }

    def doubts(self) -> list[str]:
        """Return a sentence where a code without a network is as good."""
        return [
            f"its bits per value are no fewer than those of {name} "
            f"({BITS_PER_DIM.text(self.mean(name))}): more time or a larger network may help"
            for name in self.bits
            if name != NETWORK and self.mean(NETWORK) >= self.mean(name)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        return {
            "images": len(self),
            "levels": self.facts.levels,
            "codes": {name: self.mean(name) for name in self.bits},
            "bits_per_dim_by_image": dict(
                zip(self.files, self.bits[NETWORK].tolist(), strict=True)
            ),
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return mean, least and most bits per value by code."""
        heads = ("code", "bits per value", "least", "most", "bits per image")
        rows = [
            (
                name,
                *(f"{float(x):.4f}" for x in (bits.mean(), bits.min(), bits.max())),
                f"{self.facts.dimensions * float(bits.mean()):,.1f}",
            )
            for name, bits in self.bits.items()
        ]
        return heads, rows, heads[1:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        return [f"{BITS_PER_DIM.words} {self.record()['words']}"]


def evaluate_pixels(
    model: PixelAnswers, split: PixelSplit, progress: Progress, items: str
) -> PixelEvaluation:
    """Give every image of a split its bits, and draw a few.

    Args:
        items: what images are called.

    Raises:
        DataError: an answer is not finite, or an image has another size.
    """
    facts = split.facts
    independent = None if split.train is None else _independent(split, progress)
    bits: dict[str, list[Tensor]] = {NETWORK: [], **({INDEPENDENT: []} if independent else {})}
    bits[PACKED] = []
    bar = progress.bar("testing", len(split), unit=items)
    for start in range(0, len(split), BATCH):
        places = range(start, min(start + BATCH, len(split)))
        inputs = [split.item(place) for place in places]
        found = model.predict(inputs).double().flatten(1).mean(1)
        if not bool(found.isfinite().all()):
            odd = split.files[start + int((~found.isfinite()).nonzero()[0])]
            raise DataError(f"the network's answer is not a finite number for {printable(odd)}")
        images = torch.stack([x[0] if isinstance(x, tuple) else x for x in inputs]).movedim(-1, 1)
        bits[NETWORK].append(found)
        bits[PACKED].append(torch.tensor([packed_bits(image, facts.levels) for image in images]))
        if independent is not None:
            bits[INDEPENDENT].append(independent.bits(images))
        bar.update(places[-1] + 1)
    bar.close()
    means = {name: torch.cat(parts) for name, parts in bits.items()}
    return PixelEvaluation(facts, means, split.files, _drawn(model, split, progress))


def _independent(split: PixelSplit, progress: Progress) -> IndependentValues:
    """Count the values of training images, evenly spaced where there are very many."""
    assert split.train is not None
    train = replace(split, images=split.train)
    places = range(0, len(train), -(-len(train) // MAX_COUNTED))
    counted = IndependentValues(split.facts)
    bar = progress.bar("counting values", len(places), unit="images")
    for done, place in enumerate(places, start=1):
        counted.add(train.read(place))
        bar.update(done)
    bar.close()
    return counted


def _drawn(model: PixelAnswers, split: PixelSplit, progress: Progress) -> Drawn | None:
    """Draw images, and complete the upper halves of some of the split's."""
    facts = split.facts
    if facts.dimensions > MAX_DRAWN_VALUES:
        return None
    halves = min(COMPLETED, len(split))
    chosen = [place * len(split) // halves for place in range(halves)]
    truth = torch.stack([split.read(place) for place in chosen]).movedim(1, -1)
    repeated = truth.repeat_interleave(MADE_OF_EACH, 0)
    known, shown = half_known(repeated)
    free = torch.zeros(SAMPLES, *repeated.shape[1:], dtype=torch.uint8)
    labels = None
    if facts.told:
        asked = [split.labels[place] for place in chosen for _ in range(MADE_OF_EACH)]
        labels = [place % len(facts.classes) for place in range(SAMPLES)] + asked
    bar = progress.bar("drawing images", facts.height, unit="rows")
    images = model.draw(
        SAMPLES + len(repeated),
        labels=labels,
        given=torch.cat([free, repeated]),
        known=torch.cat([torch.zeros(SAMPLES, *known.shape[1:], dtype=torch.bool), known]),
        done=lambda rows, total: bar.update(rows, total),
    )
    bar.close()
    made = images[SAMPLES:].unflatten(0, (halves, MADE_OF_EACH))
    rows = [[truth[n], shown[n * MADE_OF_EACH], *made[n]] for n in range(halves)]
    return Drawn(images[:SAMPLES], None if labels is None else labels[:SAMPLES], rows)
