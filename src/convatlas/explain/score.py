"""What an accuracy is worth: its interval, what guessing would reach, and doubts in plain words."""

from collections.abc import Sequence

import torch
from pydantic import BaseModel
from torch import Tensor

from convatlas.explain.evaluation import Evaluation, wilson_interval
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

    @property
    def above_chance(self) -> bool:
        """Whether it surely beats always giving the commonest answer."""
        return self.interval[0] > self.commonest_share

    def words(self) -> str:
        """All of it in one line."""
        low, high = self.interval
        guessing = (
            f"always answering {printable(self.commonest_class)} gives {self.commonest_share:.2%}"
        )
        line = f"{self.accuracy:.2%} on {self.images:,} images "
        line += f"(95 % interval {low:.2%} to {high:.2%}; {guessing}"
        if self.balanced_accuracy is not None:
            line += f"; balanced accuracy {self.balanced_accuracy:.2%}"
        return line + ")"

    def doubts(self) -> list[str]:
        """A plain sentence where the accuracy says nothing."""
        if self.above_chance:
            return []
        return [
            f"the accuracy of {self.accuracy:.2%} is not above chance: always answering "
            f"{printable(self.commonest_class)} gives {self.commonest_share:.2%}"
        ]


def score_of(evaluation: Evaluation, classes: Sequence[str]) -> Score:
    """The score of some answers; classes without images do not count."""
    counts = torch.bincount(evaluation.labels, minlength=len(classes))
    present = counts[counts > 0]
    unequal = int(present.max()) > UNEQUAL * int(present.min())
    commonest = int(counts.argmax())
    return Score(
        images=len(evaluation),
        right=evaluation.right,
        accuracy=evaluation.accuracy,
        interval=wilson_interval(evaluation.right, len(evaluation)),
        commonest_class=classes[commonest],
        commonest_share=int(counts[commonest]) / len(evaluation),
        balanced_accuracy=_balanced(evaluation, counts) if unequal else None,
    )


def _balanced(evaluation: Evaluation, counts: Tensor) -> float:
    right = evaluation.labels[evaluation.predicted == evaluation.labels]
    hits = torch.bincount(right, minlength=len(counts))
    shares = hits[counts > 0] / counts[counts > 0]
    return float(shares.double().mean())


def close_race(first: float, second: float, images: int) -> bool:
    """Whether so few images cannot tell two accuracies apart: their intervals overlap."""
    low, _ = wilson_interval(round(first * images), images)
    _, high = wilson_interval(round(second * images), images)
    return low <= high
