"""What the report shows of answers that are one class of several, on images or sounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from markupsafe import Markup
from torch import Tensor

from convatlas.data import Split
from convatlas.errors import DataError
from convatlas.explain.classes.confusion import (
    class_figures,
    confusion_matrix,
    most_confused,
    worst_classes,
)
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.explain.classes.mistakes import worst_mistakes
from convatlas.explain.pictures import data_uri
from convatlas.metric import ACCURACY
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.confusion import confusion_map
from convatlas.tasks.sections.page import render
from convatlas.text import printable

MAX_CLASSES = 30  # are shown one by one
MAX_PICTURES = 150  # of samples, all classes together
MIN_A_CLASS, MAX_A_CLASS = 3, 10  # pictures of each class
MAX_MISTAKES = 24
MAX_PAIRS = 10


@dataclass(frozen=True)
class Shown:
    """One example on the page: address of a picture, and of a sound if it is one; or a text."""

    image: str
    sound: str | None = None
    text: str | None = None


class Examples(Protocol):
    """Labelled data, of which some examples are shown."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def splits(self) -> Mapping[str, Any]: ...


Show = Callable[[Any, int], Shown | None]  # a split and a place in it


def show_picture(split: Split, index: int) -> Shown | None:
    """Return an image; None where its file has gone since."""
    try:
        return Shown(data_uri(split.read(index)))
    except (DataError, OSError):
        return None


def show_classes(
    evaluation: Evaluation,
    data: Examples,
    scan: Mapping[str, Any],
    *,
    show: Show = show_picture,
    most: int = MAX_PICTURES,
) -> ReportContent:
    """Return the parts of the report: headline, confusion, mistakes, samples of the data.

    Args:
        show: makes what stands on the page of an example.
        most: samples, all classes together.
    """
    items = evaluation.items
    score, total = evaluation.score, len(evaluation)
    low, high = score.interval
    guessing = f"always predicting {printable(score.commonest_class)} gives "
    guessing += f"{100 * score.commonest_share:.1f} %"
    if score.balanced_accuracy is not None:
        guessing += f"; balanced accuracy {100 * score.balanced_accuracy:.1f} %"
    interval = (
        f"between {100 * low:.1f} and {100 * high:.1f} % with 95 % confidence "
        f"(Wilson interval, {total:,} {items})"
    )
    if evaluation.metric.key != ACCURACY.key:
        interval = f"{evaluation.judged.words()}; accuracy {interval}"
    return ReportContent(
        sentence=f"It classified {score.right:,} of {total:,} unseen test {items} correctly.",
        notes=[interval, guessing],
        sections=[_confusion(evaluation), _mistakes(evaluation, data.splits["test"], show)],
        data=_samples(data, scan, items, show, most),
    )


def _confusion(evaluation: Evaluation) -> Section:
    classes, labels, predicted = evaluation.classes, evaluation.labels, evaluation.predicted
    matrix = confusion_matrix(labels, predicted, len(classes))
    figures = class_figures(labels, predicted, len(classes))
    pairs = most_confused(matrix, MAX_PAIRS)
    repeated = [pair for pair in pairs if pair.count > 1]  # once is no pattern
    values = {
        "classes": classes,
        "items": evaluation.items,
        "tested": {
            "figures": [(classes[i], figures[i]) for i in worst_classes(matrix, MAX_CLASSES)],
            "left_out": max(0, len(classes) - MAX_CLASSES),
            "pairs": [
                (classes[pair.true], classes[pair.predicted], pair.count)
                for pair in repeated or pairs
            ],
        },
    }
    part, names = shown_classes(matrix, classes)
    return Section(
        "confusion",
        "Confusion",
        lambda pictures: render("confusion.html.j2", {**values, "figures": pictures}),
        {"confusion": [("confusion", confusion_map(part, names))]},
    )


def _mistakes(evaluation: Evaluation, split: Any, show: Show) -> Section:
    found = worst_mistakes(
        evaluation.labels, evaluation.probabilities, evaluation.files, MAX_MISTAKES
    )
    values = {
        "classes": evaluation.classes,
        "items": evaluation.items,
        "tested": {
            "mistakes": [(mistake, show(split, mistake.index)) for mistake in found],
            "wrong": len(evaluation) - evaluation.right,
        },
    }
    return Section("mistakes", "Mistakes", lambda pictures: render("mistakes.html.j2", values))


def _samples(data: Examples, scan: Mapping[str, Any], items: str, show: Show, most: int) -> Markup:
    values = {
        "classes": data.classes,
        "items": items,
        "samples": samples(data, show, most),
        "counts": counts_per_class(scan, data.classes),
    }
    return render("samples.html.j2", values)


def samples(
    data: Examples, show: Show = show_picture, most: int = MAX_PICTURES
) -> list[tuple[str, list[Shown]]]:
    """Return a few training examples of each class; of many classes evenly spaced ones."""
    total = len(data.classes)
    places = spaced(list(range(total)), MAX_CLASSES)
    each = max(MIN_A_CLASS, min(MAX_A_CLASS, most // len(places)))
    split = data.splits["train"]
    rows: dict[int, list[int]] = {place: [] for place in places}
    for index, label in enumerate(split.labels):
        if label in rows:
            rows[label].append(index)
    return [
        (
            data.classes[label],
            [shown for i in spaced(rows[label], each) if (shown := show(split, i))],
        )
        for label in places
    ]


def spaced(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` items, evenly spaced, the first one included."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def shown_classes(matrix: Tensor, classes: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Return the confusion of the classes with the most mistakes, where there are too many.

    Shape: (classes, classes) -> (shown, shown)
    """
    kept = worst_classes(matrix, MAX_CLASSES)
    return matrix[kept][:, kept], [classes[i] for i in kept]


def counts_per_class(
    scan: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, list[tuple[str, int]]]:
    """Return examples per class of each split."""
    return {
        split: [(label, counts.get(label, 0)) for label in classes]
        for split, counts in scan.get("per_class", {}).items()
    }
