"""The images and masks of the trials: decoded once, cut into windows as each network takes them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from convatlas.data.images.annotated import AnnotatedData
from convatlas.data.masks.augment import mask_augmentation
from convatlas.data.masks.border_weights import border_weights
from convatlas.data.masks.crops import CropSize, GridCrops, RandomCrops
from convatlas.data.masks.kept_masks import KeptMasks
from convatlas.data.masks.mask_files import Mask
from convatlas.data.masks.volumes import Volumes
from convatlas.deploy.segmenter import as_segmenter
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.segmenter import Segmenter, of_axis
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.segment import Segment

MIN_DEVIATION = 1.0  # of 255: a channel that never varies must not be blown up
SAMPLE = 200  # images that mean and deviation are taken from


class TrialMasks:
    """Training and validation windows of a data set.

    Args:
        level: of augmentation.
        reduce: height and width become 1 / reduce.
        dice: share of the overlap in the loss.
        class_weights: how much a pixel of each class counts. Shape: (classes,)
        border_weight: how much more the gaps between regions of the second class count; 0: none.
        crop: pixels of a window that are answered for; None: as the candidate's example says.
    """

    def __init__(
        self,
        data: AnnotatedData[Mask],
        progress: Progress,
        *,
        level: str,
        reduce: int,
        dice: float,
        class_weights: Tensor | None = None,
        border_weight: float = 0.0,
        crop: int | None = None,
    ):
        self.data, self.progress, self.level, self.reduce = data, progress, level, reduce
        self.dice, self.class_weights, self.border_weight = dice, class_weights, border_weight
        self.crop = crop
        self._kept: dict[str, KeptMasks] = {}
        self._statistics: tuple[list[float], list[float]] | None = None

    def training_options(self) -> dict[str, Any]:
        """Return how windows are changed and pixels are weighed, for JSON."""
        options: dict[str, Any] = {"augmentation": self.level, "dice": self.dice}
        if self.class_weights is not None:
            options["class_weights"] = [round(w, 4) for w in self.class_weights.tolist()]
        if self.border_weight:
            options["border_weight"] = self.border_weight
        if self.crop is not None:
            options["crop"] = self.crop
        return options

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return mean, deviation and reduction of the images, for JSON."""
        mean, std = self.normalisation(candidate)
        return {"mean": mean, "std": std, "reduce": self.reduce}

    def read(self, candidate: Candidate) -> None:
        """Decode the images and masks."""
        for split in ("train", "val"):
            self.kept(split)

    def is_read(self, candidate: Candidate) -> bool:
        """Return whether everything is decoded."""
        return "val" in self._kept

    def all_read(self) -> None:
        """Forget the images at their original sizes."""
        self.data.forget_decoded()

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Do nothing: all candidates share what was decoded."""

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Segment:
        """Return batches, loss and validation; `judged` images validate, the same each time."""
        size = crop_size(candidate, self.crop)
        dims = len(size.seen)
        train: KeptMasks | Volumes = self.kept("train")
        val: KeptMasks | Volumes = self.kept("val")
        chosen = None
        if dims == 3:
            train, val = Volumes(self.kept("train")), Volumes(self.kept("val"))
            chosen = val.firsts(judged)
        elif judged is not None and judged < len(val):
            random = torch.Generator().manual_seed(recipe.seed)
            chosen = torch.randperm(len(val), generator=random)[:judged].tolist()
        windows = RandomCrops(
            train,
            size,
            None if self.level == "none" else mask_augmentation(self.level),
            self._weigh if self.border_weight else None,
        )
        shape = (-1, *[1] * dims)
        mean, std = (torch.tensor(e).reshape(shape) for e in self.normalisation(candidate))
        return Segment(
            windows,
            GridCrops(val, size, chosen),
            num_classes=len(self.data.classes),
            normalise=lambda x: (x.float() / 255 - mean.to(x.device)) / std.to(x.device),
            class_weights=self.class_weights,
            dice=self.dice,
        )

    def _weigh(self, mask: Tensor) -> Tensor:
        return border_weights(mask, strength=self.border_weight)

    def kept(self, split: str) -> KeptMasks:
        """Return the decoded images of a split."""
        if split not in self._kept:
            images = self.data.splits[split]
            bar = self.progress.bar(f"reading {split}", len(images), unit="images")
            self._kept[split] = KeptMasks(images, self.reduce, bar.update)
            bar.close()
        return self._kept[split]

    def normalisation(self, candidate: Candidate) -> tuple[list[float], list[float]]:
        """Return mean and deviation of each channel: as public weights expect, else as it is."""
        if candidate.checkpoint is None:
            return self.statistics()
        public = candidate.checkpoint.with_channels(self.data.channels)
        return list(public.mean), list(public.std)

    def statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and deviation of each channel over the training images, of values 0..1."""
        if self._statistics is None:
            kept, sums, count = self.kept("train"), 0.0, 0
            for index in range(0, len(kept), max(1, len(kept) // SAMPLE)):
                pixels = kept.read(index)[0].flatten(1).double()
                sums = sums + torch.stack([pixels.sum(1), pixels.square().sum(1)])
                count += pixels.shape[1]
            assert isinstance(sums, Tensor)
            mean, square = sums / count
            std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=MIN_DEVIATION)
            self._statistics = ((mean / 255).tolist(), (std / 255).tolist())
        return self._statistics


def crop_size(candidate: Candidate, crop: int | None = None) -> CropSize:
    """Return the windows that a candidate's network takes.

    Args:
        crop: pixels that are answered for at least; None: those of the candidate's example.
    """
    network = built_on_shapes(candidate)
    axes = range(network.dims)
    sides = [candidate.example["size"]] * network.dims
    if crop is not None:
        sides = [network.input_length(crop, axis) for axis in axes]
    if network.dims == 3:
        sides[0] = candidate.example.get("depth", sides[0])
    return CropSize(sides, [of_axis(network.margin, axis) for axis in axes])


def built_on_shapes(candidate: Candidate) -> Segmenter:
    """Build a candidate's network without numbers, for what it says of itself."""
    with on_shapes():
        return as_segmenter(candidate.build())
