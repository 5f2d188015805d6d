"""Training contenders against each other: one by one, each going on from where it was."""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

from convatlas.cost import best_latency
from convatlas.cost.latency import limited_threads
from convatlas.data import (
    CachedImages,
    ImageData,
    Preprocess,
    Resize,
    augment,
    augmentation,
    choose_augmentation,
    ground_level,
)
from convatlas.errors import ConvatlasError, short_of_memory
from convatlas.kernels.layers.choose import (
    CHANNELS_LAST,
    KERNELS,
    TORCH,
    fastest,
    running,
    step_seconds,
)
from convatlas.pipeline.config import Trial
from convatlas.pipeline.slow_networks import FORWARD_FRACTION, batch_within, validated_within
from convatlas.pretrained.create import load_public
from convatlas.progress import Progress
from convatlas.search.counted import Counted
from convatlas.search.space import Candidate
from convatlas.train.best import rank
from convatlas.train.device import training_device
from convatlas.train.log import RunLog
from convatlas.train.loop import Trained, train
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.tasks.classify import Classify
from convatlas.train.threads import Speed, fastest_threads

PROBE_BATCH = 16
SMALLEST_PROBE = 2  # images: batch norm needs two
MATRIX_SIDE = 1024  # of the product whose speed no network exceeds
ACCELERATOR_MATRIX_SIDE = 4096  # likewise: a smaller product is over before it is launched
BACKWARD = 3  # a training step works three times as much as a forward pass
PROBE_MACS = 2e9  # of all images of a probe, so that a large network does not take the time away
LATENCY_SECONDS = 0.2
WORTH_MEASURING_S = 3.0  # for all networks; in less time no kernel is compiled
# A random crop of a photograph is cut from a larger picture, so that it need not be blown up.
CROP_MARGIN = 1.25
CALM_ACCURACY_POINTS = 1e-3  # a loss only decides between equal accuracies


class OutOfMemory(ConvatlasError):
    """Memory was not enough for a network; a smaller one may do."""


@dataclass
class LiveTrial:
    """A contender with its network; `record` is its line of the leaderboard."""

    counted: Counted
    record: Trial
    model: nn.Module | None = None
    preprocess: Preprocess | None = None
    learnt: frozenset[str] = frozenset()  # parameters that public weights gave
    val_loss: float = 0.0
    threads: int | None = None
    way: str = TORCH  # that a training step is fastest with
    validated: int | None = None  # images that judge it; None before its first round

    @property
    def score(self) -> float | None:
        """Validation accuracy, the loss deciding between equals; None before any training."""
        if self.record.accuracy is None:
            return None
        return self.record.accuracy - CALM_ACCURACY_POINTS * min(self.val_loss, 1.0)


class TrialRunner:
    """Everything the contenders share: the data at each size, the recipe, the wish to stop."""

    def __init__(self, data: ImageData, recipe: Recipe, stop: StopRequest, progress: Progress):
        self.data, self.recipe, self.stop, self.progress = data, recipe, stop, progress
        level = recipe.augmentation
        self.level = choose_augmentation(data) if level == "auto" else level
        self._caches: dict[tuple[str, int, Resize], CachedImages] = {}
        self._thread_counts: dict[Candidate, int] = {}
        self._step_s: dict[Candidate, float] = {}  # of a training step, for each image
        self._macs_per_s: float | None = None
        self._statistics: Preprocess | None = None

    def build(self, entrant: LiveTrial) -> nn.Module:
        """The network as it starts, the same for the same seed; public weights are noted."""
        torch.manual_seed(self.recipe.seed)
        candidate = entrant.counted.candidate
        if candidate.checkpoint is None:
            return candidate.build()
        loaded = load_public(
            candidate.name,
            dict(candidate.options),
            checkpoint=candidate.checkpoint,
            say=self.progress.say,
        )
        names = {name for name, _ in loaded.model.named_parameters()}
        entrant.learnt = frozenset(names - loaded.fresh)
        return loaded.model

    def epoch_seconds(self, counted: Counted) -> float:
        """Measure a training step on noise where training runs, scaled to the training split."""
        candidate = counted.candidate
        assert counted.cost is not None
        batch, step = self._probe(candidate, self._probe_batch(counted.cost.macs))
        if batch < PROBE_BATCH:  # one step is long: the answer will be the same for any batch
            self._thread_counts[candidate] = step.threads
        self._step_s[candidate] = step.seconds / batch
        return step.seconds * len(self.data.splits["train"]) / batch

    def _probe_batch(self, macs: float) -> int:
        """Few images on the CPU; an accelerator takes about as long for few as for a batch."""
        if training_device().type != "cpu":
            return self.recipe.batch_size
        return int(min(PROBE_BATCH, max(SMALLEST_PROBE, PROBE_MACS / max(1, macs))))

    def _probe(self, candidate: Candidate, batch: int) -> tuple[int, Speed]:
        """Time a step of so many images, or of as many as memory holds."""
        device = training_device()
        model = candidate.build().train().to(device)
        shape = self.data.channels, candidate.size, candidate.size
        while True:
            try:
                x = torch.randn(batch, *shape, device=device)
                return batch, fastest_threads(partial(_step, model, x), device)
            except (MemoryError, RuntimeError) as error:
                if not short_of_memory(error) or batch <= SMALLEST_PROBE:
                    raise
            batch = max(SMALLEST_PROBE, batch // 2)

    def answer_seconds(self, entrant: LiveTrial, images: int) -> float:
        """Seconds in which a candidate answers so many images, as measured; 0 where it was not.

        Answers are computed on the CPU, wherever training runs.
        """
        if training_device().type != "cpu":
            return self.latency(entrant.counted) * images
        return FORWARD_FRACTION * self._step_s.get(entrant.counted.candidate, 0.0) * images

    def most_macs(self, pass_seconds: float) -> float:
        """Multiply-adds of an image with which a pass over the training images takes so long.

        At the speed of one large matrix product, the fastest there is.
        """
        if self._macs_per_s is None:
            device = training_device()
            on_cpu = device.type == "cpu"
            side = MATRIX_SIDE if on_cpu else ACCELERATOR_MATRIX_SIDE
            # Convolutions in float32 may use an accelerator's units for shorter numbers.
            dtype = torch.float32 if on_cpu else torch.float16
            x = torch.rand(side, side, dtype=dtype, device=device)
            self._macs_per_s = side**3 / fastest_threads(lambda: x @ x, device).seconds
        return pass_seconds * self._macs_per_s / (BACKWARD * len(self.data.splits["train"]))

    def choose_ways(self, entrants: Sequence[LiveTrial], seconds: float) -> None:
        """Find the way to compute that each network trains fastest with, before its time runs.

        A step is measured in both of torch's memory formats and with the CPU kernels, as far as so
        many seconds allow: kernels that have to be compiled first may take most of them.
        """
        on_cpu = training_device().type == "cpu" and self.recipe.precision == "no"
        end = time.perf_counter() + seconds
        for entrant in entrants if on_cpu and seconds >= WORTH_MEASURING_S else ():
            left = end - time.perf_counter()
            if left <= 0:
                return
            try:
                speeds = self._way_seconds(entrant.counted, left)
            except (MemoryError, RuntimeError) as error:
                if not short_of_memory(error):
                    raise
                continue
            entrant.way = fastest(speeds)
            if entrant.way == KERNELS:
                best = min(speeds[TORCH], speeds[CHANNELS_LAST])
                self.progress.say(
                    f"{entrant.record.model} {entrant.record.size} px trains with the CPU kernels: "
                    f"a step takes {speeds[KERNELS] * 1e3:.0f} ms, without them {best * 1e3:.0f} ms"
                )

    def _way_seconds(self, counted: Counted, limit_s: float) -> dict[str, float]:
        candidate = counted.candidate
        assert counted.cost is not None
        batch = self._probe_batch(counted.cost.macs)
        x = torch.randn(batch, self.data.channels, candidate.size, candidate.size)
        with limited_threads(self._thread_counts.get(candidate) or torch.get_num_threads()):
            return step_seconds(candidate.build().train(), (x,), limit_s=limit_s)

    def latency(self, counted: Counted) -> float:
        """Median seconds of one image through the network on this machine's CPU."""
        candidate = counted.candidate
        x = torch.rand(1, self.data.channels, candidate.size, candidate.size)
        return best_latency(candidate.build(), (x,), seconds=LATENCY_SECONDS).median_s

    def read_images(
        self, entrants: Sequence[LiveTrial], seconds: float = math.inf
    ) -> list[tuple[LiveTrial, str]]:
        """Decode the images as every entrant needs them, before anybody's time runs.

        Args:
            seconds: that reading may take; the first entrant's images are read in any case.

        Returns those whose size there was no time to read the images at, with the reason.
        """
        # One thread each: images are small work, and there is a thread for every one at hand.
        with limited_threads(1):
            return self._read_images(entrants, seconds)

    def _read_images(
        self, entrants: Sequence[LiveTrial], seconds: float
    ) -> list[tuple[LiveTrial, str]]:
        start, longest = time.perf_counter(), 0.0
        left_out = []
        for entrant in entrants:
            began = time.perf_counter()
            entrant.preprocess = self._preprocess(entrant.counted.candidate)
            late = longest and began - start + longest > seconds
            if late and not self._is_read(entrant.preprocess):
                size = entrant.record.size
                reason = f"no time to read the images at {size} px: about {longest:.0f} s"
                left_out.append((entrant, reason))
                continue
            self._train_images(entrant.preprocess)
            self._val_images(entrant.preprocess)
            longest = max(longest, time.perf_counter() - began)
        return left_out

    def train(
        self, entrant: LiveTrial, seconds: float | None, *, title: str, log: RunLog | None = None
    ) -> Trained:
        """Train on for so long; the record then holds what was reached.

        A round that ends worse than the network was before it, or whose loss is no longer a number
        before anything was validated, is undone: what was reached before it stays.
        """
        start = time.perf_counter()
        record = entrant.record
        if entrant.preprocess is None:
            entrant.preprocess = self._preprocess(entrant.counted.candidate)
        if entrant.model is None:
            entrant.model = self.build(entrant)
        recipe = self._within(entrant, seconds)
        task = self._task(entrant)
        count, before = self._threads(entrant), copy.deepcopy(entrant.model.state_dict())
        if seconds is not None:  # getting ready is part of the slot, but does not eat it up
            seconds = max(seconds / 2, seconds - (time.perf_counter() - start))
        with (
            limited_threads(count),
            _undone(entrant.model, before),
            _named_memory(record.model),
            running(entrant.model, entrant.way),
        ):
            result = train(
                entrant.model,
                task,
                recipe,
                limit_s=seconds,
                log=log,
                stop=self.stop,
                progress=self.progress,
                title=title,
                epochs_before=record.epochs,
                validate_every_s=0.0 if log is not None else 3600.0,
                learnt=entrant.learnt,
            )
        trained_before = record.epochs
        record.seconds = round(record.seconds + time.perf_counter() - start, 2)
        if result.ended != "diverged":
            record.epochs = round(record.epochs + result.epochs, 2)
        reached = {"val_accuracy": record.accuracy or 0.0, "val_loss": entrant.val_loss}
        if result.figures and (record.accuracy is None or rank(result.figures) >= rank(reached)):
            record.accuracy = result.figures["val_accuracy"]
            entrant.val_loss = result.figures["val_loss"]
            record.kept_epoch = round(trained_before + result.kept_epoch, 2)
        else:
            entrant.model.load_state_dict(before)
        return result

    def forget_sizes(self, kept: set[int]) -> None:
        """Free the images at sizes that no contender needs any more."""
        wanted = {self._train_size(size) for size in kept} | kept
        self._caches = {key: c for key, c in self._caches.items() if key[1] in wanted}

    def _within(self, entrant: LiveTrial, seconds: float | None) -> Recipe:
        """The recipe as this round has time for; the first round says what judges the network."""
        total = len(self.data.splits["val"])
        step_s = self._step_s.get(entrant.counted.candidate)
        if seconds is None or step_s is None:
            entrant.validated = entrant.validated or total
            return self.recipe
        if entrant.validated is None:
            entrant.validated = validated_within(total, seconds, step_s)
            if entrant.validated < total:
                self.progress.say(
                    f"{entrant.record.model} answers {1 / (FORWARD_FRACTION * step_s):.1f} images "
                    f"a second here: validated on {entrant.validated} of {total} images"
                )
        batch = batch_within(self.recipe.batch_size, seconds, step_s)
        return self.recipe.with_options(batch_size=batch)

    def _threads(self, entrant: LiveTrial) -> int:
        """As many CPU threads as train this network fastest: a small one may want a single one."""
        known = self._thread_counts.get(entrant.counted.candidate)
        entrant.threads = entrant.threads or known
        if entrant.threads is None and training_device().type != "cpu":
            entrant.threads = torch.get_num_threads()
        if entrant.threads is None:
            assert entrant.model is not None
            probe, size = copy.deepcopy(entrant.model).train(), entrant.record.size
            x = torch.randn(self.recipe.batch_size, self.data.channels, size, size)
            with running(probe, entrant.way):
                entrant.threads = fastest_threads(lambda: _step(probe, x)).threads
        return entrant.threads

    def _preprocess(self, candidate: Candidate) -> Preprocess:
        """As public weights expect; else mean and deviation, which hardly depend on the size."""
        channels, size = self.data.channels, candidate.size
        if candidate.checkpoint is not None:
            return candidate.checkpoint.preprocess(channels, size)
        if self._statistics is None:
            self._statistics = Preprocess.fit(self.data.splits["train"], channels, size)
        mean, std = (t.flatten().tolist() for t in (self._statistics.mean, self._statistics.std))
        return Preprocess(channels, size, mean, std)

    def _task(self, entrant: LiveTrial) -> Classify:
        preprocess = entrant.preprocess
        assert preprocess is not None
        images, size = self._train_images(preprocess), preprocess.size
        ground = 0 if images.images is None else ground_level(images.images)
        transform = augmentation(self.level, self.data.channels, size, fill=ground)
        return Classify(
            images,
            self._judges(entrant, self._val_images(preprocess)),
            num_classes=len(self.data.classes),
            augment=lambda batch: augment(batch, transform),
            normalise=preprocess.normalise,
            label_smoothing=self.recipe.label_smoothing,
        )

    def _judges(self, entrant: LiveTrial, images: CachedImages) -> Dataset:
        """The validation images, or the same part of them in every round."""
        if entrant.validated is None or entrant.validated >= len(images):
            return images
        order = torch.Generator().manual_seed(self.recipe.seed)
        picked = torch.randperm(len(images), generator=order)[: entrant.validated]
        return Subset(images, picked.tolist())

    def _train_size(self, size: int) -> int:
        return round(size * CROP_MARGIN) if self.level == "photo" else size

    def _train_images(self, preprocess: Preprocess) -> CachedImages:
        how = preprocess.resize
        if self.level == "photo" and how.crop is not None:
            how = replace(how, crop=1.0)  # the random crop does the cutting
        return self._images("train", self._train_size(preprocess.size), how)

    def _is_read(self, preprocess: Preprocess) -> bool:
        how = preprocess.resize
        return ("val", preprocess.size, how) in self._caches

    def _val_images(self, preprocess: Preprocess) -> CachedImages:
        return self._images("val", preprocess.size, preprocess.resize)

    def _images(self, split: str, size: int, how: Resize) -> CachedImages:
        if (split, size, how) not in self._caches:
            images = self.data.splits[split]
            bar = self.progress.bar(f"reading {split} at {size} px", len(images), unit="images")
            kept = CachedImages(images, size, how=how, progress=bar.update)
            self._caches[split, size, how] = kept
            bar.close()
        return self._caches[split, size, how]


@contextmanager
def _undone(model: nn.Module, before: dict[str, Tensor]) -> Iterator[None]:
    """Give a network its weights of before where training them further ends in an error."""
    try:
        yield
    except BaseException:
        model.load_state_dict(before)
        raise


@contextmanager
def _named_memory(name: str) -> Iterator[None]:
    """What the libraries say when memory is short tells nobody that it is."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if short_of_memory(error):
            raise OutOfMemory(f"memory was not enough to train {name}") from error
        raise


def _step(model: nn.Module, x: Tensor) -> None:
    """Forward and backward; a network with training-only outputs gives its logits first."""
    outputs = model(x)
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    logits.sum().backward()
