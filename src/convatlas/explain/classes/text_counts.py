"""Answers on texts beside those of counting alone: which symbols each class has how often.

Source: McCallum, Nigam, "A Comparison of Event Models for Naive Bayes Text Classification", AAAI
    workshop, 1998, multinomial model; each symbol counts once more than it was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from convatlas.explain.classes.balanced import balanced_score
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.metric import ACCURACY, BALANCED_ACCURACY


@dataclass(frozen=True, eq=False, repr=False)
class TextEvaluation(Evaluation):
    """Answers beside the truth and beside those of naive Bayes.

    Args:
        counted: what naive Bayes answers; None where the training texts are not at hand.
            Shape: (n,)
        kind: of the symbols that it counts.
    """

    counted: Tensor | None = None
    kind: str = "words"

    @property
    def figures(self) -> dict[str, float]:
        """The accuracy, and that of counting."""
        counted = self.counted_value(ACCURACY.key)
        further = {} if counted is None else {"accuracy_counts": counted}
        return {**super().figures, **further}

    def counted_value(self, key: str) -> float | None:
        """Return what naive Bayes reaches in accuracy or balanced accuracy."""
        if self.counted is None:
            return None
        if key == BALANCED_ACCURACY.key:
            return balanced_score(self.labels, self.counted).balanced_accuracy
        return float((self.counted == self.labels).double().mean())

    def record(self) -> dict[str, Any]:
        """Return the score with a doubt where counting is as good, for `run.json`."""
        found = super().record()
        return {**found, "doubts": [*found["doubts"], *self._not_better()]}

    def _not_better(self) -> list[str]:
        key, counted = self.metric.key, self.counted_value(self.metric.key)
        own = self.accuracy if key == ACCURACY.key else self.figures.get(key, self.accuracy)
        if counted is None or own > counted or self.right == len(self):
            return []
        return [
            f"its {self.metric.words} of {own:.2%} is no better than that of counting {self.kind} "
            f"alone (naive Bayes, {counted:.2%}): more time or more texts may help, or counting is "
            "enough"
        ]

    def lines(self) -> list[str]:
        """Return what is said below the table, counting among it."""
        counted = self.counted_value(self.metric.key)
        if counted is None:
            return super().lines()
        return [
            *super().lines(),
            f"counting {self.kind} alone (naive Bayes) has a {self.metric.words} of {counted:.2%}",
        ]


def counted_classes(
    train: Sequence[Tensor], labels: Sequence[int], texts: Sequence[Tensor], symbols: int
) -> Tensor:
    """Return the classes that naive Bayes gives to texts.

    Args:
        train: symbols of the training texts; `labels` are their classes.
        symbols: size of the vocabulary.

    Shape: int64 (l,) each -> (n,)
    """
    truth = torch.tensor(labels)
    classes = int(truth.max()) + 1
    counts = torch.ones(classes, symbols, dtype=torch.float64)
    owners = torch.repeat_interleave(truth, torch.tensor([len(text) for text in train]))
    ones = torch.ones(len(owners), dtype=torch.float64)
    counts.index_put_((owners, torch.cat(list(train))), ones, accumulate=True)
    logs = (counts / counts.sum(1, keepdim=True)).log()
    prior = torch.bincount(truth, minlength=classes).double().log()
    return torch.stack([(prior + logs[:, text].sum(1)).argmax() for text in texts])
