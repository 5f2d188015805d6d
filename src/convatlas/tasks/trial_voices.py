"""The mixtures of the trials: made or read when asked for, as long as their networks take them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.data import Subset

from convatlas.data.audio.voice_data import VoiceData
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.separate import Separate


class TrialVoices:
    """Training and validation mixtures of a data set."""

    def __init__(self, data: VoiceData, progress: Progress):
        self.data, self.progress = data, progress

    def training_options(self) -> dict[str, Any]:
        """Return how mixtures are made, for JSON."""
        mixer = self.data.splits["train"].mixer
        level_db = getattr(mixer, "level_db", None)
        return {} if level_db is None else {"level_db": level_db, "mixtures": len(mixer)}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return the predictor's settings: there are none beside the data's facts."""
        return {}

    def read(self, candidate: Candidate) -> None:
        """Do nothing: mixtures are made from what the scan kept."""

    def is_read(self, candidate: Candidate) -> bool:
        """Return True: there is nothing to read beforehand."""
        return True

    def all_read(self) -> None:
        """Keep what was decoded: mixtures are made of it throughout."""

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Do nothing: all candidates share what was decoded."""

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Separate:
        """Return batches, loss and validation; `judged` mixtures validate, the same each time."""
        samples = candidate.example["samples"]
        val = self.data.splits["val"].pieces(samples)
        count = len(self.data.splits["val"])
        if judged is not None and judged < count:
            order = torch.randperm(count, generator=torch.Generator().manual_seed(recipe.seed))
            val = Subset(val, order[:judged].tolist())
        return Separate(self.data.splits["train"].pieces(samples, fresh=True), val)
