"""What a balanced accuracy is worth, where it is the metric: its interval, chance, and doubts."""

import math
from statistics import NormalDist
from typing import Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor


class BalancedScore(BaseModel):
    """The mean over the classes of the share that is right, with what it has to be read beside.

    Args:
        images: answered.
        classes: that have images; the others do not count.
        balanced_accuracy: 0..1.
        interval: in which it lies with about 95 % confidence.
        accuracy: the share of all images that is right.
    """

    images: int
    classes: int
    balanced_accuracy: float
    interval: tuple[float, float]
    accuracy: float
    items: str = Field(default="images", exclude=True)  # what an input is called

    @property
    def chance(self) -> float:
        """What guessing reaches, whichever way."""
        return 1 / self.classes

    def words(self) -> str:
        """Write all of it in one line."""
        low, high = self.interval
        return (
            f"{self.balanced_accuracy:.2%} on {self.images:,} {self.items} of {self.classes} "
            f"classes (95 % interval about {low:.2%} to {high:.2%}; guessing gives "
            f"{self.chance:.2%}; accuracy {self.accuracy:.2%})"
        )

    def record(self) -> dict[str, Any]:
        """Return all of it with `words` and `doubts`, for JSON."""
        return {**self.model_dump(mode="json"), "words": self.words(), "doubts": self.doubts()}

    def doubts(self) -> list[str]:
        """Write a plain sentence where it says nothing."""
        if self.interval[0] > self.chance:
            return []
        return [
            f"the balanced accuracy of {self.balanced_accuracy:.2%} is not above chance: guessing "
            f"gives {self.chance:.2%}"
        ]


def balanced_score(labels: Tensor, predicted: Tensor, items: str = "images") -> BalancedScore:
    """Return the balanced accuracy of some answers.

    Shape: both (n,)
    """
    hits, seen = hits_and_seen(labels, predicted)
    shares = hits / seen
    return BalancedScore(
        images=len(labels),
        classes=len(seen),
        balanced_accuracy=float(shares.mean()),
        interval=balanced_interval(hits, seen),
        accuracy=int(hits.sum()) / len(labels),
        items=items,
    )


def hits_and_seen(labels: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Return right answers and examples of each class that has any. Shape: both (classes,)"""
    counts = torch.bincount(labels)
    hits = torch.bincount(labels[predicted == labels], minlength=len(counts))
    return hits[counts > 0].double(), counts[counts > 0].double()


def balanced_interval(
    hits: Tensor, seen: Tensor, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return where the true balanced accuracy lies, about.

    The classes are independent, so the variances of their shares add up; each share is the one of
    Agresti and Coull, which has a width where all answers are right.

    Source: Agresti, Coull, "Approximate Is Better than 'Exact' for Interval Estimation of Binomial
        Proportions", The American Statistician 52, 1998.

    Args:
        hits: right answers of each class that has examples, and `seen` the examples.

    Shape: both (classes,)
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    total = seen + z**2
    share = (hits + z**2 / 2) / total
    reach = z * math.sqrt(float((share * (1 - share) / total).sum())) / len(seen)
    centre = float(share.mean())
    return max(0.0, centre - reach), min(1.0, centre + reach)
