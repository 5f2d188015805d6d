"""The images of the trials as levels, decoded once."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.data import Dataset, Subset, TensorDataset

from convatlas.data.pixels.levels import to_levels
from convatlas.data.pixels.pixel_data import PixelData
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.train.recipe import Recipe
from convatlas.train.task import TrainTask
from convatlas.train.tasks.generate import Generate


class TrialPixels:
    """Training and validation images of a data set."""

    def __init__(self, data: PixelData, progress: Progress):
        self.data, self.progress = data, progress
        self._kept: dict[str, TensorDataset] = {}

    def training_options(self) -> dict[str, Any]:
        """Return how the task trains beside the recipe, for JSON."""
        return {"loss": "minus log-probability of each value"}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return nothing: the facts say how images are read."""
        return {}

    def read(self, candidate: Candidate) -> None:
        """Decode the images."""
        for split in ("train", "val"):
            self.kept(split)

    def is_read(self, candidate: Candidate) -> bool:
        """Return whether everything is decoded."""
        return "val" in self._kept

    def all_read(self) -> None:
        """Forget the images as they lay in their files."""
        self.data.images.forget_decoded()

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Do nothing: all candidates share what was decoded."""

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> TrainTask:
        """Return batches, loss and validation; `judged` images validate, the same each time."""
        facts = self.data.facts_
        told = len(facts.classes) if facts.told else 0
        val = self.validation(recipe, judged)
        return Generate(self.kept("train"), val, levels=facts.levels, told=told)

    def validation(self, recipe: Recipe, judged: int | None) -> Dataset:
        """Return `judged` of the validation images, the same each time; all for None."""
        val, count = self.kept("val"), len(self.data.splits["val"])
        if judged is None or judged >= count:
            return val
        random = torch.Generator().manual_seed(recipe.seed)
        return Subset(val, torch.randperm(count, generator=random)[:judged].tolist())

    def kept(self, split: str) -> TensorDataset:
        """Return levels and classes of a split. Shape: uint8 (n, c, h, w), int64 (n,)"""
        if split not in self._kept:
            images, facts = self.data.splits[split], self.data.facts_
            shape = (len(images), facts.channels, facts.height, facts.width)
            values = torch.empty(shape, dtype=torch.uint8)
            bar = self.progress.bar(f"reading {split}", len(images), unit="images")
            for place in range(len(images)):
                values[place] = to_levels(images.read(place), facts.levels)
                bar.update(place + 1)
            bar.close()
            self._kept[split] = TensorDataset(values, torch.tensor(images.labels))
        return self._kept[split]
