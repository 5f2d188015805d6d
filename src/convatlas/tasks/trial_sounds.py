"""The sounds of the trials as the features of their networks: computed once for each, then kept."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from convatlas.data.audio.augment import change, mix
from convatlas.data.audio.features import LOG_MEL, SoundFeatures
from convatlas.data.audio.sound_data import EQUAL, Clips, SoundData
from convatlas.data.audio.windows import cut_windows, overlapping_windows
from convatlas.data.free_memory import free_memory_bytes
from convatlas.data.threads import in_threads
from convatlas.metric import ACCURACY, Metric
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.tasks.audio_networks import form_of
from convatlas.tasks.sound_windows import LazyWindows, Windows, joined, spaced
from convatlas.train.folds import split_folds
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify, answer_figures, hits_by_class
from convatlas.train.tasks.sounds import ClassifySounds

MAX_WINDOWS = 16  # of one training sound
MAX_JUDGED_WINDOWS = 64  # of one validation sound: of a longer one evenly spaced ones
SHARE = 0.25  # of the free memory, that the features of a split may take
FEW_SOUNDS = 2000  # for training, up to which they are mixed with each other
FROZEN_SOUNDS = 16  # asked at a time: their maps stay in the processor's cache
BOTH = "training and validation"  # splits together, of which folds are made
MIN_REPORTED_SOUNDS = 16  # progress is reported once in this many sounds
Form = tuple[str, int, int]  # front end, samples of a window, size


class TrialSounds:
    """Training and validation sounds of a data set, by the features that networks take.

    Args:
        level: of augmentation, `none masks mixup`; `auto` decides by the number of sounds.
        label_smoothing: share of the target spread evenly over the classes.
        metric: that decides between networks.
        class_weights: how much a sound of each class counts in the loss. Shape: (classes,)
    """

    def __init__(
        self,
        data: SoundData,
        level: str,
        progress: Progress,
        label_smoothing: float = 0.0,
        *,
        metric: Metric = ACCURACY,
        class_weights: Tensor | None = None,
    ):
        self.data, self.progress, self.label_smoothing = data, progress, label_smoothing
        self.metric, self.class_weights = metric, class_weights
        few = len(data.splits["train"]) <= FEW_SOUNDS
        self.level = ("mixup" if few else "masks") if level == "auto" else level
        self._equal = data.loudness == EQUAL
        self._windows: dict[tuple[str, Form, bool], Windows] = {}
        self._features: dict[Form, SoundFeatures] = {}

    def training_options(self) -> dict[str, Any]:
        """Return augmentation, label smoothing and class weights if there are any, for JSON."""
        options = {"augmentation": self.level, "label_smoothing": self.label_smoothing}
        if self.class_weights is None:
            return options
        return {**options, "class_weights": [round(w, 4) for w in self.class_weights.tolist()]}

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return how sounds are prepared, for JSON."""
        return self._prepare(candidate).settings()

    def read(self, candidate: Candidate) -> None:
        """Compute the features that the network takes."""
        self._prepare(candidate)
        self._split("val", self._form(candidate))

    def is_read(self, candidate: Candidate) -> bool:
        """Return whether the features are there already."""
        return ("val", self._form(candidate), False) in self._windows

    def all_read(self) -> None:
        """Forget the sounds themselves."""
        self.data.forget_decoded()

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Free the features that none of the candidates takes."""
        wanted = {self._form(candidate) for candidate in candidates}
        self._windows = {key: each for key, each in self._windows.items() if key[1] in wanted}

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> ClassifySounds:
        """Return batches, loss and validation; `judged` sounds validate, the same each time."""
        form = self._form(candidate)
        validate = self._split("val", form).judged(judged, recipe.seed)
        return self._classify(candidate, self._split("train", form), validate)

    def folds(self, count: int, seed: int) -> dict[str, list[int]]:
        """Return the fold of each sound of `train` and `val`.

        Folds that a table states are kept; else sounds of one source, and copies, share one.
        """
        groups = {**self.data.digests, **self.data.groups}
        return split_folds(self.data.splits, groups, count, seed, self.data.folds)

    def fold(
        self, candidate: Candidate, numbers: dict[str, list[int]], held: int
    ) -> ClassifySounds:
        """Return batches and loss of all folds but one, and validation on that one."""
        of, form = [*numbers["train"], *numbers["val"]], self._form(candidate)
        kept = [row for row, number in enumerate(of) if number != held]
        rest = [row for row, number in enumerate(of) if number == held]
        learn, judge = (self._split(BOTH, form, training=each) for each in (True, False))
        return self._classify(candidate, learn.chosen(kept), judge.chosen(rest))

    def _classify(self, candidate: Candidate, train: Windows, validate: Windows) -> ClassifySounds:
        gain = self._form(candidate)[0] == LOG_MEL and not self._equal
        changed = partial(change, gain=gain)
        return ClassifySounds(
            train,
            validate,
            num_classes=len(self.data.classes),
            augment=_same if self.level == "none" else changed,
            normalise=self._prepare(candidate).normalise,
            label_smoothing=self.label_smoothing,
            metric=self.metric,
            class_weights=self.class_weights,
            labels=validate.labels,
            mixed=mix if self.level == "mixup" else None,
        )

    def frozen_batches(
        self, candidate: Candidate, split: str, rows: Sequence[int] | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the middle window of each sound of a split as the network takes it, not changed."""
        features, windows = self._prepare(candidate), self._split(split, self._form(candidate))
        chosen = range(len(windows.labels)) if rows is None else rows
        for start in range(0, len(chosen), FROZEN_SOUNDS):
            places = list(chosen[start : start + FROZEN_SOUNDS])
            yield features.normalise(windows.middle(places)), windows.labels[places]

    def training_on(self, train: Dataset, val: Dataset) -> Classify:
        """Return batches, loss and validation for the rest of a network, as nothing is prepared."""
        return Classify(
            train,
            val,
            num_classes=len(self.data.classes),
            augment=_same,
            normalise=_same,
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

    def _form(self, candidate: Candidate) -> Form:
        form = form_of(candidate.name, candidate.example, self.data.rate_hz)
        return form["front"], form["samples"], form["size"]

    def _prepare(self, candidate: Candidate) -> SoundFeatures:
        """Measure mean and deviation of the training sounds' features."""
        form = self._form(candidate)
        if form not in self._features:
            named = form_of(candidate.name, candidate.example, self.data.rate_hz)
            features = self._split("train", form).sample()
            self._features[form] = SoundFeatures.fit(
                features, self.data.rate_hz, named, equal_loudness=self._equal
            )
        return self._features[form]

    def _split(self, name: str, form: Form, *, training: bool | None = None) -> Windows:
        """Return the windows of a split; those of `train` to train on, others to judge by.

        Args:
            training: where that is not so.
        """
        training = name == "train" if training is None else training
        if (name, form, training) not in self._windows:
            self._windows[name, form, training] = self._computed(name, form, training=training)
        return self._windows[name, form, training]

    @torch.no_grad()
    def _computed(self, name: str, form: Form, *, training: bool) -> Windows:
        split = self._both() if name == BOTH else self.data.splits[name]
        kind, samples, size = form
        front = SoundFeatures(
            self.data.rate_hz, kind, samples, size, equal_loudness=self._equal
        ).front

        def cut(index: int) -> Tensor:
            sound = split.read(index)
            if training:
                return overlapping_windows(sound, samples, most or MAX_WINDOWS)
            windows = cut_windows(sound[None], samples)[0]
            return windows[spaced(len(windows), MAX_JUDGED_WINDOWS)]

        most, labels = self._most_windows(split, front, samples), torch.tensor(split.labels)
        if most < 1:
            return LazyWindows(cut, front, labels, training=training)
        bar = self.progress.bar(f"features of {name}", len(split), unit="sounds")
        parts: list[Tensor] = []
        with closing(in_threads(lambda i: front(cut(i)).half(), range(len(split)))) as computed:
            for part in computed:
                parts.append(part)
                if len(parts) % MIN_REPORTED_SOUNDS == 0 or len(parts) == len(split):
                    bar.update(len(parts))
        bar.close()
        return joined(parts, labels, training=training)

    def _both(self) -> Clips:
        """Return the sounds for training and for validation, in this order."""
        train, val = (self.data.splits[name] for name in ("train", "val"))
        return Clips([*train.files, *val.files], [*train.labels, *val.labels], train.store)

    def _most_windows(self, split: Clips, front: torch.nn.Module, samples: int) -> int:
        """As many windows of each sound as memory has room for; 0 where not one has."""
        bytes_each = 2 * front(torch.zeros(1, samples)).numel()
        room = SHARE * free_memory_bytes() / max(1, len(split) * bytes_each)
        return int(min(MAX_WINDOWS, room))


def _same(batch: Tensor) -> Tensor:
    return batch
