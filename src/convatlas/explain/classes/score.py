"""What an accuracy is worth: its interval, what guessing would reach, and doubts in plain words."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from convatlas.text import printable

UNEQUAL = 1.5  # times as many images of one class as of another: the classes are unequal


class Score(BaseModel):
    """An accuracy with what it has to be read beside; shares are 0..1.

    `interval` is the 95 % Wilson interval, `commonest_share` what always answering
    `commonest_class` would reach, `balanced_accuracy` the mean over the classes of the share that
    is right (None where the classes have about equally many images).
    """

    images: int
    right: int
    accuracy: float
    interval: tuple[float, float]
    commonest_class: str
    commonest_share: float
    balanced_accuracy: float | None = None
    items: str = Field(default="images", exclude=True)  # what an input is called

    @property
    def above_chance(self) -> bool:
        """Whether it surely beats always giving the commonest answer."""
        return self.interval[0] > self.commonest_share

    def words(self) -> str:
        """Write all of it in one line."""
        low, high = self.interval
        guessing = (
            f"always predicting {printable(self.commonest_class)} gives {self.commonest_share:.2%}"
        )
        line = f"{self.accuracy:.2%} on {self.images:,} {self.items} "
        line += f"(95 % interval {low:.2%} to {high:.2%}; {guessing}"
        if self.balanced_accuracy is not None:
            line += f"; balanced accuracy {self.balanced_accuracy:.2%}"
        return line + ")"

    def record(self) -> dict[str, Any]:
        """Return all of it with `words` and `doubts`, for JSON."""
        return {**self.model_dump(mode="json"), "words": self.words(), "doubts": self.doubts()}

    def doubts(self) -> list[str]:
        """Write a plain sentence where the accuracy says nothing."""
        if self.above_chance:
            return []
        return [
            f"the accuracy of {self.accuracy:.2%} is not above chance: always predicting "
            f"{printable(self.commonest_class)} gives {self.commonest_share:.2%}"
        ]


def score_of(
    labels: Tensor, predicted: Tensor, classes: Sequence[str], items: str = "images"
) -> Score:
    """Return the score of some answers; classes without images do not count.

    Shape: (n,), (n,)
    """
    counts = torch.bincount(labels, minlength=len(classes))
    present = counts[counts > 0]
    unequal = int(present.max()) > UNEQUAL * int(present.min())
    commonest, total = int(counts.argmax()), len(labels)
    right = int((predicted == labels).sum())
    hits = torch.bincount(labels[predicted == labels], minlength=len(counts))
    balanced = float((hits[counts > 0] / present).double().mean())
    return Score(
        images=total,
        right=right,
        accuracy=right / total,
        interval=wilson_interval(right, total),
        commonest_class=classes[commonest],
        commonest_share=int(counts[commonest]) / total,
        balanced_accuracy=balanced if unequal else None,
        items=items,
    )


def wilson_interval(right: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return where the true share lies, as far as `right` of `total` tell.

    Unlike the textbook interval it stays within 0..1 and has a width where all are right.

    Raises:
        ValueError: not 0 <= right <= total, or total is 0.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
        Journal of the American Statistical Association 22, 1927.
    """
    if total < 1 or not 0 <= right <= total:
        raise ValueError(f"wilson_interval: must have 0 <= right <= total > 0, got {right}/{total}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / total
    centre = share + z**2 / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    # At its ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if right == 0 else (centre - reach) / scale
    high = 1.0 if right == total else (centre + reach) / scale
    return low, high


def close_race(first: float, second: float, images: int) -> bool:
    """Return whether overlapping intervals leave open which of two accuracies is higher."""
    low, _ = wilson_interval(round(first * images), images)
    _, high = wilson_interval(round(second * images), images)
    return low <= high


def least_gap(first: float, images: int) -> float:
    """Return how far below an accuracy another must be, to be told apart on that many images."""
    right = round(first * images)
    lower = next((r for r in range(right, -1, -1) if not close_race(first, r / images, images)), 0)
    return (right - lower) / images
