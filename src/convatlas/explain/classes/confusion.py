"""Which classes are taken for which, and how well each is found."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is recognised; None where the figure has no meaning.

    `precision` is the share of right ones among the images that were given this class, `recall`
    the share of this class's images that were found, `f1` their harmonic mean, `images` how many
    there are.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    images: int


@dataclass(frozen=True)
class Confusion:
    """`count` images of class `true` were given class `predicted`."""

    true: int
    predicted: int
    count: int


def confusion_matrix(labels: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Count images of each true class (rows) by the class that they were given (columns).

    Shape: (n,), (n,) -> int64 (classes, classes)
    """
    pairs = torch.bincount(labels * classes + predicted, minlength=classes**2)
    return pairs.reshape(classes, classes)


def class_figures(labels: Tensor, predicted: Tensor, classes: int) -> list[ClassFigures]:
    """Return precision, recall and F1 of every class, in the order of the class map.

    Shape: (n,), (n,) -> classes entries
    """
    matrix = confusion_matrix(labels, predicted, classes)
    rows = zip(
        *(t.tolist() for t in (matrix.diagonal(), matrix.sum(0), matrix.sum(1))), strict=True
    )
    return [
        ClassFigures(
            precision=_share(right, given),
            recall=_share(right, images),
            f1=_share(2 * right, given + images),
            images=images,
        )
        for right, given, images in rows
    ]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None  # 0 would read as a bad result


def most_confused(matrix: Tensor, most: int = 10) -> list[Confusion]:
    """Return the pairs of classes with the most mistakes between them, worst first.

    Shape: (classes, classes)
    """
    pairs = [
        Confusion(true, predicted, int(matrix[true, predicted]))
        for true, predicted in matrix.nonzero().tolist()
        if true != predicted
    ]
    return sorted(pairs, key=lambda pair: -pair.count)[:most]


def worst_classes(matrix: Tensor, most: int) -> list[int]:
    """Return the classes with the most mistakes, to or from them, in class map order.

    Shape: (classes, classes)
    """
    wrong = matrix.sum(0) + matrix.sum(1) - 2 * matrix.diagonal()
    return sorted(wrong.argsort(descending=True, stable=True)[:most].tolist())
