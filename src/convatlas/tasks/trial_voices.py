"""The mixtures of the trials: made or read when asked for, as long as their networks take them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.data import Dataset, Subset

from convatlas.data.audio.extraction_data import ExtractionData
from convatlas.data.audio.voice_data import VoiceData
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.extract import Extract
from convatlas.train.tasks.separate import Separate


class TrialMixtures:
    """Mixtures of a data set, whatever is asked of them."""

    def __init__(self, data: VoiceData | ExtractionData, progress: Progress):
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

    def judged_part(self, mixtures: Dataset, judged: int | None, seed: int) -> Dataset:
        """Return as many mixtures as are to validate, the same each time; all without a number."""
        count = len(self.data.splits["val"])
        if judged is None or judged >= count:
            return mixtures
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        return Subset(mixtures, order[:judged].tolist())


class TrialVoices(TrialMixtures):
    """Training and validation mixtures, and all their voices."""

    data: VoiceData

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Separate:
        """Return batches, loss and validation; `judged` mixtures validate, the same each time."""
        samples, splits = candidate.example["samples"], self.data.splits
        val = self.judged_part(splits["val"].pieces(samples), judged, recipe.seed)
        fixed = int(self.data.background is not None)
        return Separate(splits["train"].pieces(samples, fresh=True), val, fixed=fixed)


class TrialExtraction(TrialMixtures):
    """Training and validation mixtures, each with a clip of the wanted speaker, and that voice."""

    data: ExtractionData

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Extract:
        """Return batches, loss and validation; `judged` mixtures validate, the same each time."""
        example = candidate.example
        lengths = example["samples"], example.get("clip_samples", 0)  # a vector has none
        splits = self.data.splits
        val = self.judged_part(splits["val"].pieces(*lengths), judged, recipe.seed)
        return Extract(splits["train"].pieces(*lengths, fresh=True), val)
