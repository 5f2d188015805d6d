"""The texts of the trials: their symbols are made once and shared by all networks."""

from functools import partial
from typing import Any

from torch import Tensor

from convatlas.data.text.labelled_data import TextData
from convatlas.metric import ACCURACY, Metric
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.tasks.nothing_to_read import NothingToRead, judged_places
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.texts import ClassifyTexts, TextSymbols, with_unknown


class TrialTexts(NothingToRead):
    """Training and validation texts as symbols.

    Args:
        symbol_dropout: fraction of the symbols that are unknown in training.
        label_smoothing: share of the target spread evenly over the classes.
        metric: that decides between networks.
        class_weights: how much a text of each class counts in the loss. Shape: (classes,)
    """

    def __init__(
        self,
        data: TextData,
        progress: Progress,
        *,
        symbol_dropout: float,
        label_smoothing: float,
        metric: Metric = ACCURACY,
        class_weights: Tensor | None = None,
    ):
        self.data, self.progress, self.metric = data, progress, metric
        self._dropout, self._smoothing, self._weights = (
            symbol_dropout,
            label_smoothing,
            class_weights,
        )
        self._train = TextSymbols(data.splits["train"])

    def training_options(self) -> dict[str, Any]:
        """Return symbol dropout, label smoothing and class weights if there are any, for JSON."""
        options = {"symbol_dropout": self._dropout, "label_smoothing": self._smoothing}
        if self._weights is None:
            return options
        return {**options, "class_weights": [round(w, 4) for w in self._weights.tolist()]}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return nothing: all that a network needs is known of the data."""
        return {}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> ClassifyTexts:
        """Return batches, loss and validation; `judged` texts validate, the same each time."""
        split = self.data.splits["val"]
        places = None if judged is None else judged_places(len(split), judged, recipe.seed)
        return ClassifyTexts(
            self._train,
            TextSymbols(split, places),
            num_classes=len(self.data.classes),
            augment=partial(with_unknown, share=self._dropout) if self._dropout else _same,
            normalise=_same,
            label_smoothing=self._smoothing,
            metric=self.metric,
            class_weights=self._weights,
        )


def _same(batch: Tensor) -> Tensor:
    return batch
