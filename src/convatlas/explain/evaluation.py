"""What a classifier answered on labelled images, and how sure the share of right answers is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Answers beside the truth.

    Args:
        labels: the true class of each image, by its place in the class map. Shape: (n,)
        probabilities: what the classifier answered. Shape: (n, classes)
        files: the images as people know them.
        warnings: what was found in the data, a sentence for each kind.
        seen: images among the data that the network was trained on.

    Raises:
        ValueError: the first three do not have one entry for each image, or there is none.
    """

    labels: Tensor
    probabilities: Tensor
    files: Sequence[str]
    warnings: Sequence[str] = ()
    seen: int = 0

    def __post_init__(self):
        lengths = (len(self.labels), len(self.probabilities), len(self.files))
        if len(set(lengths)) > 1 or not lengths[0]:
            raise ValueError(
                "Evaluation: must have as many labels as probabilities and files, and at least "
                f"one, got {lengths}"
            )

    def __repr__(self) -> str:
        low, high = wilson_interval(self.right, len(self))
        return (
            f"Evaluation({self.accuracy:.2%} of {len(self):,} images right, "
            f"95 % interval {low:.2%} to {high:.2%})"
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def predicted(self) -> Tensor:
        """The most probable class of each image. Shape: (n,)"""
        return self.probabilities.argmax(dim=1)

    @property
    def right(self) -> int:
        """How many images have their true class as the most probable one."""
        return int((self.predicted == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """The share of them, 0..1."""
        return self.right / len(self)


def wilson_interval(right: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Where the true share lies, as far as `right` of `total` tell.

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
