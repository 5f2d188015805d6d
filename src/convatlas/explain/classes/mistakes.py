"""The worst mistakes: wrong, and sure of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Mistake:
    """One image that was given the wrong class.

    Args:
        index: its place in the evaluated split.
        probability: of the wrong class.
        true_probability: of the right one.
    """

    index: int
    file: str
    true: int
    predicted: int
    probability: float
    true_probability: float


def worst_mistakes(
    labels: Tensor, probabilities: Tensor, files: Sequence[str], most: int = 24
) -> list[Mistake]:
    """Return images with a wrong class, the most confident first.

    Shape: (n,), (n, classes)
    """
    sure, predicted = probabilities.max(dim=1).values, probabilities.argmax(dim=1)
    wrong = (predicted != labels).nonzero()[:, 0]
    order: list[int] = wrong[sure[wrong].argsort(descending=True, stable=True)][:most].tolist()
    return [
        Mistake(
            index=i,
            file=files[i],
            true=int(labels[i]),
            predicted=int(predicted[i]),
            probability=float(probabilities[i, predicted[i]]),
            true_probability=float(probabilities[i, labels[i]]),
        )
        for i in order
    ]
