"""The answers about classes as a JSON object and as tables for the screen."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from convatlas.explain.classes.confusion import class_figures, confusion_matrix, most_confused
from convatlas.explain.classes.mistakes import worst_mistakes
from convatlas.text import printable

NUMBERS = ("precision", "recall", "F1")
PAIRS = 5  # of confused classes, on the screen
Table = tuple[tuple[str, ...], list[tuple], tuple[str, ...]]


def as_dict(
    labels: Tensor, probabilities: Tensor, files: Sequence[str], classes: Sequence[str]
) -> dict[str, Any]:
    """Return figures by class, confusion and mistakes.

    Shape: (n,), (n, classes)
    """
    predicted = probabilities.argmax(dim=1)
    matrix = confusion_matrix(labels, predicted, len(classes))
    figures = class_figures(labels, predicted, len(classes))
    return {
        "classes": {name: figure for name, figure in zip(classes, figures, strict=True)},
        "confusion": matrix.tolist(),
        "confused": [
            {"true": classes[pair.true], "predicted": classes[pair.predicted], "count": pair.count}
            for pair in most_confused(matrix)
        ],
        "mistakes": [
            {
                "file": mistake.file,
                "true": classes[mistake.true],
                "predicted": classes[mistake.predicted],
                "probability": mistake.probability,
            }
            for mistake in worst_mistakes(labels, probabilities, files)
        ],
    }


def by_class(
    labels: Tensor, predicted: Tensor, classes: Sequence[str], items: str = "images"
) -> Table:
    """Return headings, a row for each class, and the columns that are flush right.

    Shape: (n,), (n,)
    """
    figures = class_figures(labels, predicted, len(classes))
    rows = [
        (printable(name), _percent(f.precision), _percent(f.recall), _percent(f.f1), f.images)
        for name, f in zip(classes, figures, strict=True)
    ]
    return ("class", *NUMBERS, items), rows, (*NUMBERS, items)


def confused_line(labels: Tensor, predicted: Tensor, classes: Sequence[str]) -> list[str]:
    """Return a line with the classes that are most often taken for each other, if any are.

    Shape: (n,), (n,)
    """
    matrix = confusion_matrix(labels, predicted, len(classes))
    pairs = [
        f"{printable(classes[pair.true])} predicted as {printable(classes[pair.predicted])} "
        f"({pair.count}x)"
        for pair in most_confused(matrix)[:PAIRS]
    ]
    return [f"most confused: {', '.join(pairs)}"] if pairs else []


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"
