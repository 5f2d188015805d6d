"""What a classifier answered on labelled images, and how sure the share of right answers is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from convatlas.explain.classes import tables
from convatlas.explain.classes.balanced import BalancedScore, balanced_score
from convatlas.explain.classes.score import Score, score_of, wilson_interval
from convatlas.metric import ACCURACY, BALANCED_ACCURACY, Metric

TOP = 5  # answers, of top-5 accuracy


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Answers beside the truth.

    Args:
        labels: the true class of each image, by its place in the class map. Shape: (n,)
        probabilities: what the classifier answered. Shape: (n, classes)
        files: the images as people know them.
        classes: the class map.
        warnings: what was found in the data, a sentence for each kind.
        seen: images among the data that the network was trained on.
        metric: accuracy or balanced accuracy, whichever decided between the networks.
        items: what an input is called, in the plural.

    Raises:
        ValueError: the first three do not have one entry for each image, or there is none.
    """

    labels: Tensor
    probabilities: Tensor
    files: Sequence[str]
    classes: Sequence[str]
    warnings: Sequence[str] = ()
    seen: int = 0
    metric: Metric = ACCURACY
    items: str = "images"

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
            f"Evaluation({self.accuracy:.2%} of {len(self):,} {self.items} right, "
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

    @property
    def top5_accuracy(self) -> float | None:
        """The share with the true class among the five most probable; None below six classes."""
        if self.probabilities.shape[1] <= TOP:
            return None
        among = self.probabilities.topk(TOP, dim=1).indices == self.labels[:, None]
        return float(among.any(dim=1).double().mean())

    @property
    def score(self) -> Score:
        """The accuracy with what it has to be read beside."""
        return score_of(self.labels, self.predicted, self.classes, self.items)

    @property
    def judged(self) -> Score | BalancedScore:
        """The metric with what it has to be read beside."""
        if self.metric.key != BALANCED_ACCURACY.key:
            return self.score
        return balanced_score(self.labels, self.predicted, self.items)

    @property
    def figures(self) -> dict[str, float]:
        """The accuracy, and the balanced one where classes are unequal or it is the metric."""
        balanced = self.judged.balanced_accuracy
        further = {} if balanced is None else {"balanced_accuracy": balanced}
        return {"accuracy": self.accuracy, **further}

    def with_findings(self, warnings: Sequence[str], seen: int) -> "Evaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=warnings, seen=seen)

    def record(self) -> dict[str, Any]:
        """Return the score, for `run.json`."""
        return self.judged.record()

    def to_dict(self) -> dict[str, Any]:
        """Return figures by class, confusion and mistakes, for `evaluate --json`."""
        score, top5 = self.score, self.top5_accuracy
        further = {} if top5 is None else {"top5_accuracy": top5}
        return {
            self.items: len(self),
            "accuracy": self.accuracy,
            **further,
            "interval": list(self.judged.interval),
            "accuracy_interval": list(score.interval),
            "score": score.model_dump(),
            **tables.as_dict(self.labels, self.probabilities, self.files, self.classes),
        }

    def table(self) -> tables.Table:
        """Return headings, rows and right-hand columns of the figures by class."""
        return tables.by_class(self.labels, self.predicted, self.classes, self.items)

    def lines(self) -> list[str]:
        """Return the metric with what it must be read beside, and the confused classes."""
        confused = tables.confused_line(self.labels, self.predicted, self.classes)
        top5 = self.top5_accuracy
        among = [] if top5 is None else [f"true class among the five most probable: {top5:.2%}"]
        return [f"{self.metric.words} {self.judged.words()}", *among, *confused]
