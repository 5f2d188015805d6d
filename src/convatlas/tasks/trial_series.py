"""The windows of the trials: cut from the table when asked for."""

from typing import Any

import numpy as np
from torch.utils.data import Subset

from convatlas.data.graphs.series_data import SeriesData
from convatlas.data.graphs.window_form import WindowForm
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.tasks.nothing_to_read import NothingToRead, judged_places
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.forecast import Forecast, WindowSet


class TrialSeries(NothingToRead):
    """Training and validation windows, with the scales of the training part alone."""

    def __init__(self, data: SeriesData, progress: Progress):
        self.data, self.progress = data, progress
        assert data.bounds is not None
        train = data.splits["train"].readings[: data.bounds[0]].astype(np.float64)
        std = np.nanstd(train, axis=0)
        self._mean = [float(each) for each in np.nanmean(train, axis=0)]
        # A sensor that never changes is forecast as it is.
        self._std = [float(each) for each in np.where(std > 0, std, 1.0)]

    def training_options(self) -> dict[str, Any]:
        """Return how the task trains beside the recipe, for JSON."""
        return {"loss": "absolute error in standard deviations"}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return mean and standard deviation of each sensor in the training part."""
        return {"mean": self._mean, "std": self._std}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Forecast:
        """Return batches, loss and validation; `judged` windows validate, the same each time."""
        facts, splits = self.data.facts_, self.data.splits
        form = WindowForm(
            self._mean,
            self._std,
            gaps=facts.gaps,
            clock=facts.clock,
            zeros_missing=facts.zeros_missing,
        )
        val = WindowSet(splits["val"])
        if judged is not None and judged < len(val):
            val = Subset(val, judged_places(len(val), judged, recipe.seed))
        return Forecast(WindowSet(splits["train"]), val, form, facts.unit)
