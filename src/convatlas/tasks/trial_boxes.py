"""The images of the trials with their boxes, at the sizes of their networks: decoded once."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from convatlas.data import CachedImages, Preprocess, Split, background_value
from convatlas.data.boxes.augment import augment_boxes, box_augmentation
from convatlas.data.boxes.boxes import Boxes
from convatlas.data.images.annotated import AnnotatedData
from convatlas.metric import Metric
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.tasks.trial_images import prepared
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.detect import Detect

USUAL_LEVEL = "photo"


class TrialBoxes:
    """Training and validation images of a data set with their boxes, by size.

    Args:
        level: of augmentation, as `box_augmentation` takes it.
        metric: that decides between networks.
    """

    def __init__(self, data: AnnotatedData[Boxes], level: str, progress: Progress, metric: Metric):
        self.data, self.progress, self.level, self.metric = data, progress, level, metric
        self._caches: dict[tuple[str, int], CachedImages] = {}
        self._statistics: Preprocess | None = None

    def training_options(self) -> dict[str, Any]:
        """Return the augmentation, for JSON."""
        return {"augmentation": self.level}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return how images are prepared, for JSON."""
        return prepared(self.preprocess(candidate))

    def read(self, candidate: Candidate) -> None:
        """Decode the images at the network's size."""
        for split in ("train", "val"):
            self._images(split, candidate.example["size"])

    def is_read(self, candidate: Candidate) -> bool:
        """Return whether the images are there already."""
        return ("val", candidate.example["size"]) in self._caches

    def all_read(self) -> None:
        """Forget the images at their original sizes."""
        self.data.forget_decoded()

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Free the images at sizes that none of the candidates takes."""
        sizes = {candidate.example["size"] for candidate in candidates}
        self._caches = {key: kept for key, kept in self._caches.items() if key[1] in sizes}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Detect:
        """Return batches, loss and validation; `judged` images validate, the same each time."""
        size, preprocess = candidate.example["size"], self.preprocess(candidate)
        learn = self._images("train", size)
        judging: Dataset = self._images("val", size)
        count = len(self.data.splits["val"])
        if judged is not None and judged < count:
            order = torch.randperm(count, generator=torch.Generator().manual_seed(recipe.seed))
            judging = Subset(judging, order[:judged].tolist())
        ground = 0 if learn.images is None else background_value(learn.images)
        transform = box_augmentation(self.level, self.data.channels, size, ground)
        return Detect(
            learn,
            judging,
            self._targets("train", size),
            self._targets("val", size),
            num_classes=len(self.data.classes),
            augment=augment_boxes(transform),
            normalise=preprocess.normalise,
            metric=self.metric,
        )

    def preprocess(self, candidate: Candidate) -> Preprocess:
        """Build it as public weights expect, else with the mean and deviation of the images."""
        channels, size = self.data.channels, candidate.example["size"]
        if candidate.checkpoint is not None:
            made = candidate.checkpoint.preprocess(channels, size)
        else:
            if self._statistics is None:
                self._statistics = Preprocess.fit(self.data.splits["train"], channels, size)
            made = self._statistics
        mean, std = (t.flatten().tolist() for t in (made.mean, made.std))
        return Preprocess(channels, size, mean, std)  # stretched: nothing is cut away

    def _images(self, split: str, size: int) -> CachedImages:
        """Images whose label is their place in the split."""
        if (split, size) not in self._caches:
            part = self.data.splits[split]
            bar = self.progress.bar(f"reading {split} at {size} px", len(part), unit="images")
            places = Split(part.files, list(range(len(part))), part.store)
            self._caches[split, size] = CachedImages(places, size, progress=bar.update)
            bar.close()
        return self._caches[split, size]

    def _targets(self, split: str, size: int) -> list[dict[str, Tensor]]:
        """The targets in pixels of the stretched images."""
        sides = self._sides(split)
        return [
            {"boxes": each.corners * (size / sides[place]), "labels": each.labels}
            for place, each in enumerate(self.data.splits[split].targets)
        ]

    def _sides(self, split: str) -> Tensor:
        """Width and height of each original image, twice. Shape: (n, 4)"""
        rows = [each.sides for each in self.data.splits[split].targets]
        return torch.tensor([(*row, *row) for row in rows], dtype=torch.float32).reshape(-1, 4)
