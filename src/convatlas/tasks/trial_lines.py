"""The texts of the trials: their symbols are made once and shared by all networks."""

from typing import Any

from convatlas.data.text.line_data import LineData
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.tasks.nothing_to_read import NothingToRead, judged_places
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.language import Foretell, LineSymbols


class TrialLines(NothingToRead):
    """Training and validation texts as symbols."""

    def __init__(self, data: LineData, progress: Progress):
        self.data, self.progress = data, progress
        self._train = LineSymbols(data.splits["train"])

    def training_options(self) -> dict[str, Any]:
        """Return how the task trains beside the recipe, for JSON."""
        return {"loss": "minus log-probability of each symbol"}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return nothing: all that a network needs is known of the data."""
        return {}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Foretell:
        """Return batches, loss and validation; `judged` texts validate, the same each time."""
        split = self.data.splits["val"]
        places = None if judged is None else judged_places(len(split), judged, recipe.seed)
        return Foretell(self._train, LineSymbols(split, places))
