"""The images of the trials at the sizes of their networks: decoded once for each, then kept."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from convatlas.data import (
    CachedImages,
    ImageData,
    Preprocess,
    Resize,
    augment,
    augmentation,
    background_value,
    choose_augmentation,
)
from convatlas.data.images.augment import CROPPED, EACH_ALONE
from convatlas.data.images.mixing import Mixing
from convatlas.metric import ACCURACY, Metric
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.train.distillation import Teacher
from convatlas.train.folds import split_folds
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify, answer_figures, hits_by_class

# A random crop of a photograph is cut from a larger picture, so that it need not be blown up.
CROP_MARGIN = 1.25
STRETCH, LETTERBOX = "stretch", "letterbox"
LETTERBOXED = {"resize": LETTERBOX}  # of a candidate: its way to prepare images
DISK_SHARE = 0.5  # of the free room, for decoded images that memory does not hold
BACKGROUND_SAMPLE = 10_000  # images, where they are on the disk
FROZEN_BATCH = 16  # images: their maps stay in the processor's cache


class TrialImages:
    """Training and validation images of a data set, by size and kind of resizing.

    Args:
        level: of augmentation, as `augmentation` takes it; `auto` decides by the data.
        label_smoothing: share of the target spread evenly over the classes.
        metric: that decides between networks.
        resize: `letterbox` keeps every image's aspect ratio; else only candidates that ask for it.
        class_weights: how much an image of each class counts in the loss. Shape: (classes,)
        rand_magnitude: of RandAugment; 0 for none.
        mixing: `mixup`, `cutmix` and `mix_until`, as far as they were asked for.

    Attributes:
        teacher: another network's part of the loss; None has none.
    """

    def __init__(
        self,
        data: ImageData,
        level: str,
        progress: Progress,
        label_smoothing: float = 0.0,
        *,
        resize: str = STRETCH,
        metric: Metric = ACCURACY,
        class_weights: Tensor | None = None,
        rand_magnitude: int = 0,
        mixing: Mapping[str, float] = MappingProxyType({}),
    ):
        self.rand_magnitude, self.mixing = rand_magnitude, dict(mixing)
        self.teacher: Teacher | None = None
        self.data, self.progress, self.label_smoothing = data, progress, label_smoothing
        self.resize, self.metric, self.class_weights = resize, metric, class_weights
        self.level = choose_augmentation(data) if level == "auto" else level
        self._caches: dict[tuple[str, int, Resize], CachedImages] = {}
        self._statistics: Preprocess | None = None

    def training_options(self) -> dict[str, Any]:
        """Return augmentation, label smoothing, and what else was asked for, for JSON."""
        options: dict[str, Any] = {
            "augmentation": self.level,
            "label_smoothing": self.label_smoothing,
            **self.mixing,
        }
        if self.rand_magnitude:
            options["randaugment"] = self.rand_magnitude
        if self.teacher is not None:
            options |= self.teacher.notes()
        if self.class_weights is None:
            return options
        return {**options, "class_weights": [round(w, 4) for w in self.class_weights.tolist()]}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return how images are prepared, for JSON."""
        return prepared(self.preprocess(candidate))

    def read(self, candidate: Candidate) -> None:
        """Decode the images as the network needs them."""
        preprocess = self.preprocess(candidate)
        self.train(preprocess)
        self.validation(preprocess)

    def is_read(self, candidate: Candidate) -> bool:
        """Return whether the images are there already."""
        preprocess = self.preprocess(candidate)
        return ("val", preprocess.size, preprocess.resize) in self._caches

    def all_read(self) -> None:
        """Forget the images at their original sizes."""
        self.data.forget_decoded()

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Free the images at sizes that none of the candidates takes."""
        sizes = {candidate.example["size"] for candidate in candidates}
        wanted = {self._train_size(size) for size in sizes} | sizes
        self._caches = {key: c for key, c in self._caches.items() if key[1] in wanted}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> Classify:
        """Return batches, loss and validation; `judged` images validate, the same each time."""
        preprocess = self.preprocess(candidate)
        judging = _part(self.validation(preprocess), judged, recipe.seed)
        return self._classify(preprocess, self.train(preprocess), judging)

    def folds(self, count: int, seed: int) -> dict[str, list[int]]:
        """Return the fold of each image of `train` and `val`; copies of a picture share one."""
        return split_folds(self.data.splits, self.data.digests, count, seed)

    def fold(self, candidate: Candidate, numbers: dict[str, list[int]], held: int) -> Classify:
        """Return batches and loss of all folds but one, and validation on that one."""
        preprocess = self.preprocess(candidate)
        learn, judge = [], []
        for split, own in numbers.items():
            kept = [row for row, number in enumerate(own) if number != held]
            rest = [row for row, number in enumerate(own) if number == held]
            learn.append(Subset(self.train(preprocess, split), kept))
            judge.append(Subset(self._images(split, preprocess.size, preprocess.resize), rest))
        return self._classify(preprocess, ConcatDataset(learn), ConcatDataset(judge))

    def _classify(self, preprocess: Preprocess, learn: Dataset, judge: Dataset) -> Classify:
        kept = self.train(preprocess)
        pixels = kept.images
        if pixels is not None and kept.disk_bytes:  # a part of them: all would be read to memory
            pixels = pixels[:: max(1, len(pixels) // BACKGROUND_SAMPLE)]
        background = 0 if pixels is None else background_value(pixels)
        transform = augmentation(
            self.level,
            self.data.channels,
            preprocess.size,
            fill=background,
            rand_magnitude=self.rand_magnitude,
        )
        together = {"together": 1} if self.level in EACH_ALONE else {}
        classes, mixing = len(self.data.classes), self.mixing
        mix = None
        if mixing:
            until = mixing.get("mix_until", 1.0)
            mixup, cutmix = mixing.get("mixup", 0.0), mixing.get("cutmix", 0.0)
            mix = Mixing(classes, mixup=mixup, cutmix=cutmix, until=until)
        return Classify(
            learn,
            judge,
            num_classes=classes,
            augment=lambda batch: augment(batch, transform, **together),
            normalise=preprocess.normalise,
            label_smoothing=self.label_smoothing,
            metric=self.metric,
            class_weights=self.class_weights,
            mix=mix,
            teacher=self.teacher,
        )

    def frozen_batches(
        self, candidate: Candidate, split: str, rows: Sequence[int] | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images of a split as the network takes them, without augmentation."""
        preprocess = self.preprocess(candidate)
        images = self._images(split, preprocess.size, preprocess.resize)
        chosen = images if rows is None else Subset(images, rows)
        for pixels, labels in DataLoader(chosen, FROZEN_BATCH):
            yield preprocess.normalise(pixels), labels

    def training_on(self, train: Dataset, val: Dataset) -> Classify:
        """Return batches, loss and validation for the rest of a network, as nothing is prepared."""
        return Classify(
            train,
            val,
            num_classes=len(self.data.classes),
            augment=_unchanged,
            normalise=_unchanged,
            label_smoothing=self.label_smoothing,
            metric=self.metric,
            class_weights=self.class_weights,
        )

    def figures(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """Return cross-entropy, accuracy (0..1) and the metric."""
        loss = float(functional.cross_entropy(logits, labels))
        return answer_figures(*hits_by_class(logits, labels), loss, self.metric)

    def example_weights(self, labels: Tensor) -> Tensor | None:
        """Return how much each example counts in the loss; None where all count alike."""
        return None if self.class_weights is None else self.class_weights[labels]

    def preprocess(self, candidate: Candidate) -> Preprocess:
        """Build it as public weights expect, else with the mean and deviation of the images."""
        made = self._stretched(candidate)
        kept = LETTERBOX in (self.resize, candidate.prepare.get("resize"))
        return made.letterboxed() if kept else made

    def _stretched(self, candidate: Candidate) -> Preprocess:
        channels, size = self.data.channels, candidate.example["size"]
        if candidate.checkpoint is not None:
            return candidate.checkpoint.preprocess(channels, size)
        if self._statistics is None:
            self._statistics = Preprocess.fit(self.data.splits["train"], channels, size)
        mean, std = (t.flatten().tolist() for t in (self._statistics.mean, self._statistics.std))
        return Preprocess(channels, size, mean, std)

    def train(self, preprocess: Preprocess, split: str = "train") -> CachedImages:
        """Return images to train on; larger than the input where random crops are cut from them."""
        how = preprocess.resize
        if self.level in CROPPED and how.crop is not None:
            how = replace(how, crop=1.0)  # the random crop does the cutting
        return self._images(split, self._train_size(preprocess.size), how)

    def validation(self, preprocess: Preprocess) -> CachedImages:
        """Return validation images as the network takes them."""
        return self._images("val", preprocess.size, preprocess.resize)

    def _images(self, split: str, size: int, how: Resize) -> CachedImages:
        if (split, size, how) not in self._caches:
            images = self.data.splits[split]
            bar = self.progress.bar(f"reading {split} at {size} px", len(images), unit="images")
            kept = CachedImages(images, size, how=how, disk_share=DISK_SHARE, progress=bar.update)
            self._caches[split, size, how] = kept
            bar.close()
            if kept.disk_bytes:
                self.progress.say(
                    f"{split} at {size} px takes {kept.disk_bytes / 1e9:.1f} GB, more than memory "
                    "has to spare: kept decoded in the temporary folder (TMPDIR) until the end"
                )
        return self._caches[split, size, how]

    def _train_size(self, size: int) -> int:
        return round(size * CROP_MARGIN) if self.level in CROPPED else size


def prepared(preprocess: Preprocess) -> dict[str, Any]:
    """Return the settings of pre-processing that do not follow from the data's facts."""
    settings = preprocess.settings()
    del settings["channels"]
    return settings


def _unchanged(batch: Tensor) -> Tensor:
    return batch


def _part(images: CachedImages, judged: int | None, seed: int) -> Dataset:
    if judged is None or judged >= len(images):
        return images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return Subset(images, order[:judged].tolist())
