"""What every task has in common whose answer is one class of several."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from convatlas.data.dataset import Dataset
from convatlas.errors import DataError, UsageError, nearest
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.explain.classes.prediction import COLUMNS, Prediction, csv_columns
from convatlas.explain.classes.score import close_race, least_gap
from convatlas.metric import ACCURACY, Metric
from convatlas.tasks import class_options
from convatlas.tasks.task import Task
from convatlas.text import printable, printable_few

D = TypeVar("D", bound=Dataset)


class ClassTask(Task[D, Evaluation]):
    """Name the class of an input; what comes in is left to the task itself."""

    metric = ACCURACY
    columns = COLUMNS
    right = ("probability",)

    def metric_for(self, options: Mapping[str, Any]) -> Metric:
        return class_options.metric_of(options)

    def judged_by(self, evaluation: Evaluation, metric: Metric) -> Evaluation:
        return replace(evaluation, metric=metric)

    def cannot_tell(self, first: float, second: float, count: int) -> bool:
        return close_race(first, second, count)

    def noise(self, count: int, around: float) -> str:
        return f"{100 * least_gap(around, count):.0f} points"

    def csv_columns(self, top: int) -> list[str]:
        return csv_columns(top)

    def describe_facts(self, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [("classes", f"{len(facts['classes']):,}: {printable_few(facts['classes'], 5)}")]

    def evaluation(
        self, answers: Tensor, labels: Sequence[int], files: Sequence[str], classes: Sequence[str]
    ) -> Evaluation:
        """Put answers beside the truth.

        Raises:
            DataError: an answer is not a finite number.
        """
        odd = (~torch.isfinite(answers)).any(dim=1).nonzero().flatten().tolist()
        if odd:
            raise DataError(
                f"the network's answer is not a finite number for {len(odd)} of {len(files)} "
                f"{self.items}, such as {printable(files[odd[0]])}"
            )
        return Evaluation(torch.tensor(labels), answers, files, classes, items=self.items)


def class_prediction(
    name: str, row: Tensor | None, error: str | None, classes: Sequence[str]
) -> Prediction:
    """Return the answer for one input, or why there is none. Shape: row (classes,)"""
    if row is not None and not bool(torch.isfinite(row).all()):
        error = f"{name}: the network's answer is not a finite number"
    if error is not None or row is None:
        return Prediction(name, None, None, None, error)
    best = int(torch.argmax(row))
    named = dict(zip(classes, row.tolist(), strict=True))
    return Prediction(name, classes[best], float(row[best]), named)


def check_names(options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse options that the task does not have."""
    for name in options:
        if name not in known:
            raise UsageError(
                f"'{name}' is no option here{nearest(name, known)}; there are {', '.join(known)}"
            )


def check_class_run(classes: Sequence[str], in_channels: int | None, run: Any) -> None:
    """Refuse a run whose network or figures do not agree with its classes.

    Raises:
        ValueError: names the first thing wrong.
    """
    expected = {"num_classes": len(classes), "in_channels": in_channels}
    for option, value in expected.items():
        if value is not None and run.options.get(option, value) != value:
            raise ValueError(f"options: {option} is {run.options[option]}, not {value}")
    if any(not 0 <= run.figures.get(key, 0) <= 1 for key in ("accuracy", "balanced_accuracy")):
        raise ValueError(f"figures: accuracy must be from 0 to 1, got {run.figures}")
