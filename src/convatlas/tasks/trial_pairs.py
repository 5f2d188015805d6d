"""The sentences of the trials: their symbols are made once and shared by all networks."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.pair_data import PairData
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.tasks.nothing_to_read import NothingToRead, judged_places
from convatlas.tasks.translate_options import FRACTIONS, fraction, score_of
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.translate import SymbolPairs, Translate


class TrialPairs(NothingToRead):
    """Training and validation sentences as symbols."""

    def __init__(self, data: PairData, options: Mapping[str, Any], progress: Progress):
        self.data, self.progress, self._options = data, progress, options
        self._train, self._val = (SymbolPairs(data.splits[name]) for name in ("train", "val"))

    def training_options(self) -> dict[str, Any]:
        """Return label smoothing and symbol dropout, for JSON."""
        return {name: fraction(self._options, name) for name in FRACTIONS}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return nothing: all that a translator needs is known of the data."""
        return {}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Translate:
        """Return batches, loss and validation; `judged` sentences validate, the same each time."""
        split = self.data.splits["val"]
        return Translate(
            self._train,
            self._val,
            split,
            judged_places(len(split), judged, recipe.seed),
            longest=self.data.facts_.longest_target,
            label_smoothing=fraction(self._options, "label_smoothing"),
            symbol_dropout=fraction(self._options, "symbol_dropout"),
            metric=score_of(self._options),
        )
