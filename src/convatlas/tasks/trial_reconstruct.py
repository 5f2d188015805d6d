"""The images of the trials of a task that gives them back."""

from typing import Any

from convatlas.search.space import Candidate
from convatlas.tasks.trial_pixels import TrialPixels
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.reconstruct import Reconstruct


class TrialReconstruct(TrialPixels):
    """Training and validation images of a data set, as 8-bit values."""

    def training_options(self) -> dict[str, Any]:
        """Return how the task trains beside the recipe, for JSON."""
        return {"loss": "mean squared error of the values"}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Reconstruct:
        """Return batches, loss and validation; `judged` images validate, the same each time."""
        return Reconstruct(self.kept("train"), self.validation(recipe, judged))
