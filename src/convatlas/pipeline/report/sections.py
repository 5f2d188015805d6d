"""What the report says in words, tables and pictures of images, computed from a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from convatlas.data import ImageData, Split, printable
from convatlas.data.findings import with_reasons
from convatlas.errors import DataError
from convatlas.explain.confusion import (
    ClassFigures,
    class_figures,
    confusion_matrix,
    most_confused,
    worst_classes,
)
from convatlas.explain.evaluation import Evaluation, wilson_interval
from convatlas.explain.mistakes import Mistake, worst_mistakes
from convatlas.explain.pictures import data_uri
from convatlas.pipeline.config import RunConfig
from convatlas.pipeline.outcomes import QUANTITIES

MOST_CLASSES = 30  # shown one by one
MOST_PICTURES = 150  # of samples, all classes together
A_CLASS = (3, 10)  # pictures of each class, fewest and most
MOST_MISTAKES = 24
MOST_PAIRS = 10


@dataclass(frozen=True)
class Headline:
    """The test result: right answers, their share and where the true share lies."""

    right: int
    total: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class CostLine:
    """One cost of the chosen network beside its limit; `share` of the limit is used."""

    words: str
    unit: str
    value: float | None
    limit: float | None

    @property
    def share(self) -> float | None:
        if self.limit is None or self.value is None:
            return None
        return self.value / self.limit


@dataclass(frozen=True)
class Tested:
    """What the test images show: figures by class, confused pairs, mistakes with pictures."""

    figures: list[tuple[str, ClassFigures]]
    left_out: int
    pairs: list[tuple[str, str, int]]
    mistakes: list[tuple[Mistake, str | None]]
    wrong: int


def headline(test: Evaluation) -> Headline:
    """The accuracy with its Wilson 95 % interval."""
    low, high = wilson_interval(test.right, len(test))
    return Headline(test.right, len(test), test.accuracy, low, high)


def costs(config: RunConfig) -> list[CostLine]:
    """What the chosen network costs, each beside the limit of the budget."""
    return [
        CostLine(q.words, q.unit, getattr(config, q.name), getattr(config.budget, q.name))
        for q in QUANTITIES
    ]


def samples(data: ImageData) -> list[tuple[str, list[str]]]:
    """A few training images of each class; of many classes some that are evenly spaced."""
    total = len(data.classes)
    places = spaced(list(range(total)), MOST_CLASSES)
    each = max(A_CLASS[0], min(A_CLASS[1], MOST_PICTURES // len(places)))
    split = data.splits["train"]
    rows: dict[int, list[int]] = {place: [] for place in places}
    for index, label in enumerate(split.labels):
        if label in rows:
            rows[label].append(index)
    return [
        (
            data.classes[label],
            [uri for i in spaced(rows[label], each) if (uri := picture(split, i))],
        )
        for label in places
    ]


def spaced(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many items, evenly spaced, the first one included."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def picture(split: Split, index: int) -> str | None:
    """An image as a data address; None where its file has gone since."""
    try:
        return data_uri(split.read(index))
    except (DataError, OSError):
        return None


def tested(test: Evaluation, data: ImageData, classes: Sequence[str]) -> Tested:
    """By class, by pair of classes and by image."""
    figures = class_figures(test.labels, test.predicted, len(classes))
    matrix = confusion_matrix(test.labels, test.predicted, len(classes))
    kept = worst_classes(matrix, MOST_CLASSES)
    split = data.splits["test"]
    pairs = most_confused(matrix, MOST_PAIRS)
    repeated = [pair for pair in pairs if pair.count > 1]  # once is no pattern
    return Tested(
        figures=[(classes[i], figures[i]) for i in kept],
        left_out=len(classes) - len(kept),
        pairs=[
            (classes[pair.true], classes[pair.predicted], pair.count) for pair in repeated or pairs
        ],
        mistakes=[(m, picture(split, m.index)) for m in worst_mistakes(test, MOST_MISTAKES)],
        wrong=len(test) - test.right,
    )


def shown_classes(matrix: Tensor, classes: Sequence[str]) -> tuple[Tensor, list[str]]:
    """The confusion between the classes with the most mistakes, where there are too many.

    Shape: (classes, classes) -> (shown, shown)
    """
    kept = worst_classes(matrix, MOST_CLASSES)
    return matrix[kept][:, kept], [classes[i] for i in kept]


def counts_per_class(
    scan: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, list[tuple[str, int]]]:
    """Images per class of each split."""
    return {
        split: [(label, counts.get(label, 0)) for label in classes]
        for split, counts in scan.get("per_class", {}).items()
    }


def bare(quantity: str) -> str:
    """A claim's quantity without its unit, which stands beside the figure."""
    for unit in ("_percent", "_bytes", "_s"):
        quantity = quantity.removesuffix(unit)
    return quantity.replace("_", " ")


@dataclass(frozen=True)
class Check:
    """Files that a person should know of; serious ones touch the result."""

    words: str
    rows: list[str]
    serious: bool


def checks(scan: Mapping[str, Any]) -> list[Check]:
    """What the scan found, worst first; kinds that it did not find are left out."""
    found = [
        Check(
            "Identical files stand in two splits: the test figure may be too good.",
            [f"{printable(a)} ({x}) and {printable(b)} ({y})" for a, x, b, y in scan["leaks"]],
            serious=True,
        ),
        Check(
            "Identical files stand under two classes.",
            [
                f"{printable(a)} ({printable(x)}) and {printable(b)} ({printable(y)})"
                for a, x, b, y in scan["conflicts"]
            ],
            serious=True,
        ),
        Check("Broken files were skipped.", _remarks(scan["broken"]), serious=True),
        Check(
            "Files whose content is not what their name says; they were used",
            _remarks(scan["renamed"]),
            serious=False,
        ),
        Check(
            "Files that were left out because of their names or places",
            _remarks(with_reasons(scan["ignored"])),
            serious=False,
        ),
        Check("How the data was understood", _lines(scan.get("notes", ())), serious=False),
    ]
    return [check for check in found if check.rows]


def _lines(sentences: Sequence[str]) -> list[str]:
    return [printable(sentence) for sentence in sentences]


def _remarks(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{printable(file)}: {printable(remark)}" for file, remark in rows]


def sizes(scan: Mapping[str, Any]) -> str:
    """`width 28, height 20 to 31 (median 28)`; empty where it is not known."""
    return ", ".join(
        f"{side} {least}" if least == most else f"{side} {least} to {most} (median {middle})"
        for side, (least, middle, most) in scan["sizes"].items()
    )
