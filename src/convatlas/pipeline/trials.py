"""Trains trials against each other: one by one, each going on from where it was."""

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from convatlas.cost.latency import limited_threads
from convatlas.data.dataset import Dataset
from convatlas.errors import ConvatlasError, short_of_memory
from convatlas.kernels.layers.choose import (
    KERNELS,
    MIN_MEASURING_S,
    TORCH,
    fastest,
    gain_text,
)
from convatlas.metric import Metric
from convatlas.models.split_network import Cut
from convatlas.pipeline.config import Trial
from convatlas.pipeline.dropped_weights import DroppedWeights
from convatlas.pipeline.measure import Speeds
from convatlas.pipeline.slow_networks import FORWARD_FRACTION, batch_within, validated_within
from convatlas.pretrained.create import load_public
from convatlas.progress import Progress
from convatlas.search.costed import CostedCandidate
from convatlas.search.known_curves import Expected
from convatlas.tasks.task import AnyTask
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.device import training_device
from convatlas.train.frozen_parts import NOTHING, frozen_parts
from convatlas.train.linear_head import LinearHead
from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.task import VALIDATED, validation_rank
from convatlas.train.trained import Trained

VALIDATE_SHARE = 0.04  # of the last round's time passes between validations
LATER_WARMUP = 0.02  # share of a round that goes on from another: the optimizer starts anew


class OutOfMemory(ConvatlasError):
    """Memory was not enough for a network; a smaller one may do."""


class KeptMaps(NamedTuple):
    """What the frozen layers before a cut give for all examples, with their labels."""

    cut: Cut
    train: TensorDataset
    val: TensorDataset


@dataclass
class LiveTrial:
    """A trial with its network; `record` is its line of the leaderboard."""

    counted: CostedCandidate
    record: Trial
    model: nn.Module | None = None
    pretrained_names: frozenset[str] = frozenset()  # parameters that public weights gave
    threads: int | None = None
    way: str = TORCH  # that a training step is fastest with
    recipe: Recipe | None = None  # of its last round, as that had time for
    expected: Expected | None = None  # by recorded curves
    head: LinearHead | None = None  # that its last layer began with, from frozen features
    head_loss: float = 0.0  # of that head, on the training examples
    head_words: str = ""  # on what that head was found
    frozen_s: float = 0.0  # seconds that it took to ask the frozen network about an example
    maps: KeptMaps | None = None  # of the frozen network, where all examples were asked about
    tuned_words: str = ""  # which layers were trained on from the head

    def score(self, metric: Metric) -> tuple[float, float] | None:
        """Return what sorts trials from worst to best: the metric, then the loss.

        By folds, where it was validated so. None before any training.
        """
        figures, folds = self.record.figures, self.record.folds
        if folds is not None:
            figures = {metric.key: folds.mean, "loss": folds.loss}
        return _rank(figures, metric) if figures else None


class TrialRunner:
    """Trains trials on one data set with one recipe, until they are told to stop.

    Attributes:
        metric: that decides between the trials.
        trial_data: the data in the form of each network.
        speeds: what was measured of the candidates.
        fixed: options of the recipe that nothing measured may change.
        most: trials that may be trained; None sets no limit.
        folds: by which a head on frozen features is validated; None: by the validation split.
        dropped: keeps the weights of trials that drop out; None keeps none.
        checkpoints: of the last round; None writes none.
    """

    def __init__(
        self,
        task: AnyTask,
        data: Dataset,
        recipe: Recipe,
        stop: StopRequest,
        progress: Progress,
        options: Mapping[str, Any] = MappingProxyType({}),
    ):
        self.task, self.data, self.recipe, self.stop = task, data, recipe, stop
        self.metric, self.options = task.metric_for(options), options
        self.trial_data = task.trial_data(data, recipe, options, progress)
        self.speeds = Speeds(data, recipe)
        self.progress = progress
        self.dropped: DroppedWeights | None = None
        self.fixed: frozenset[str] = frozenset()
        self.folds: int | None = None
        self.most: int | None = None
        self.checkpoints: Checkpoints | None = None

    def other_forms(self, trial: LiveTrial, trained: int) -> list[LiveTrial]:
        """Return trials of the same network whose inputs are prepared in other ways.

        Args:
            trained: trials that are trained anyway; with these there are no more than `most`.
        """
        found: list[LiveTrial] = []
        for form in self.task.other_forms(trial.counted.candidate, self.data, self.options):
            if self.most is not None and trained + len(found) >= self.most:
                break
            record = trial.record.model_copy(
                update={"input": self.task.form_words(form), "status": "not trained"}
            )
            record.figures, record.folds, record.reason = {}, None, ""
            record.validated, record.epochs, record.seconds = None, 0.0, 0.0
            counted = replace(trial.counted, candidate=form)
            found.append(LiveTrial(counted, record, way=trial.way, expected=trial.expected))
        return found

    def let_go(self, trial: LiveTrial) -> None:
        """Give up the network of a trial; its weights stay on disk where the front is saved."""
        if self.dropped is not None and trial.model is not None and trial.record.figures:
            self.dropped.put(trial.record, trial.model)
        trial.model = trial.maps = None

    def build(self, trial: LiveTrial) -> nn.Module:
        """Build the network as it starts, the same for the same seed; note public weights."""
        torch.manual_seed(self.recipe.seed)
        candidate = trial.counted.candidate
        if candidate.checkpoint is None:
            return candidate.build()
        loaded = load_public(
            candidate.name,
            dict(candidate.options),
            checkpoint=candidate.checkpoint,
            say=self.progress.say,
        )
        names = {name for name, _ in loaded.model.named_parameters()}
        trial.pretrained_names = frozenset(names - loaded.fresh)
        return loaded.model

    def answer_seconds(self, trial: LiveTrial, count: int) -> float:
        """Return the seconds in which a network answers `count` inputs; 0 where not measured.

        Answers are computed on the CPU, wherever training runs.
        """
        if training_device().type != "cpu":
            return (trial.record.latency_s or 0.0) * count
        step_s = self.speeds.step_seconds(trial.counted.candidate) or 0.0
        return FORWARD_FRACTION * step_s * count

    def choose_ways(self, trials: Sequence[LiveTrial], seconds: float) -> None:
        """Find the way to compute that each network trains fastest with, before its time runs.

        A step is measured in both of torch's memory formats and with the CPU kernels, as far as
        that many seconds allow: kernels that have to be compiled first may take most of them.
        """
        whole = self.recipe.precision == "no" and self.recipe.freeze == NOTHING
        on_cpu = training_device().type == "cpu" and whole
        end = time.perf_counter() + seconds
        for trial in trials if on_cpu and seconds >= MIN_MEASURING_S else ():
            left = end - time.perf_counter()
            if left <= 0:
                return
            try:
                speeds = self.speeds.way_seconds(trial.counted, left)
            except (MemoryError, RuntimeError) as error:
                if not short_of_memory(error):
                    raise
                continue
            trial.way = fastest(speeds)
            if trial.way == KERNELS:
                network = f"{trial.record.model} {trial.record.input}"
                self.progress.say(f"{network} trains with the CPU kernels: {gain_text(speeds)}")

    def read_data(
        self, trials: Sequence[LiveTrial], seconds: float = math.inf
    ) -> list[tuple[LiveTrial, str]]:
        """Read the data in the form that each network needs, before their time runs.

        Args:
            seconds: that reading may take; for the first trial it is done in any case.

        Returns those whose form there was no time to read the data in, with the reason.
        """
        # One thread each: a file is small work, and there is a thread for every one at hand.
        with limited_threads(1):
            left_out = self._read_data(trials, seconds)
        self.trial_data.all_read()
        return left_out

    def _read_data(
        self, trials: Sequence[LiveTrial], seconds: float
    ) -> list[tuple[LiveTrial, str]]:
        start, longest = time.perf_counter(), 0.0
        left_out = []
        for trial in trials:
            began = time.perf_counter()
            candidate = trial.counted.candidate
            late = longest and began - start + longest > seconds
            if late and not self.trial_data.is_read(candidate):
                reason = (
                    f"no time to read the {self.task.items} at {trial.record.input}: "
                    f"about {longest:.0f} s"
                )
                left_out.append((trial, reason))
                continue
            self.trial_data.read(candidate)
            longest = max(longest, time.perf_counter() - began)
        return left_out

    def train(
        self,
        trial: LiveTrial,
        seconds: float | None,
        epochs: float | None = None,
        *,
        title: str,
        log: RunLog | None = None,
        checkpoints: Checkpoints | None = None,
        stretch: float = 1.0,
    ) -> Trained:
        """Train on for a time or a number of epochs; the record then holds what was reached.

        A round that ends worse than the network was before it, or whose loss is no longer a number
        before anything was validated, is undone: what was reached before it stays.

        Args:
            checkpoints: of this round; what a stop ends is judged and kept all the same.
            stretch: of the time, which decides what the round is like, that is left for it.
        """
        start = time.perf_counter()
        record = trial.record
        if trial.model is None:
            trial.model = self.build(trial)
        recipe = self._within(trial, seconds, last=log is not None)
        if epochs is not None:
            recipe = recipe.with_options(epochs=epochs)
        trial.recipe = recipe
        task = self.trial_data.training(trial.counted.candidate, recipe, record.validated)
        count = self.speeds.threads(trial.counted.candidate, trial.model, trial.way)
        started = trial.counted.candidate.checkpoint is not None
        frozen = frozen_parts(trial.model, recipe.freeze) if started else None
        before = copy.deepcopy(trial.model.state_dict())
        if seconds is not None:  # getting ready is part of the slot, but does not eat it up
            seconds = max(seconds / 2, seconds - (time.perf_counter() - start))
        with (
            limited_threads(count),
            _undone(trial.model, before),
            _named_memory(record.model),
        ):
            result = train(
                trial.model,
                task,
                recipe,
                limit_s=None if seconds is None else stretch * seconds,
                log=log,
                stop=self.stop,
                progress=self.progress,
                title=title,
                epochs_before=record.epochs,
                validate_every_s=VALIDATE_SHARE * (seconds or 0.0) if log is not None else 3600.0,
                pretrained_names=trial.pretrained_names,
                way=trial.way,
                frozen=frozen,
                checkpoints=checkpoints or (self.checkpoints if log is not None else None),
                judge_stopped=checkpoints is not None,
            )
        trained_before = record.epochs
        taken = time.perf_counter() - start + result.seconds_before
        record.seconds = round(record.seconds + taken, 2)
        if result.ended != "diverged":
            record.epochs = round(record.epochs + result.epochs, 2)
        figures = {key.removeprefix(VALIDATED): each for key, each in result.figures.items()}
        best = _rank(record.figures, task.metric) if record.figures else None
        if figures and (best is None or _rank(figures, task.metric) >= best):
            record.figures = figures
            record.kept_epoch = round(trained_before + result.kept_epoch, 2)
        else:
            trial.model.load_state_dict(before)
        return result

    def _within(self, trial: LiveTrial, seconds: float | None, *, last: bool) -> Recipe:
        """The recipe as this round has time for; the first round says what judges the network."""
        recipe = self.recipe
        if trial.expected is not None:
            # One run, cut into rounds: the rate stays high until the last, where it falls to the
            # end. Averaged weights show meanwhile about what a run that ended there would reach.
            if not last:
                recipe = recipe.with_options(final_lr_fraction=1.0)
            if trial.record.epochs:
                recipe = recipe.with_options(warmup=min(recipe.warmup, LATER_WARMUP))
        total, record = len(self.data.splits["val"]), trial.record
        step_s = self.speeds.step_seconds(trial.counted.candidate)
        if seconds is None or step_s is None:
            record.validated = record.validated or total
            return recipe
        if record.validated is None:
            record.validated = validated_within(total, seconds, step_s)
            if record.validated < total:
                record.reason = f"validated on {record.validated} of {total} {self.task.items}"
                rate = f"{1 / (FORWARD_FRACTION * step_s):.1f} {self.task.items} a second"
                self.progress.say(f"{record.model} answers {rate} here: {record.reason}")
        if "batch_size" in self.fixed:
            return recipe
        batch = batch_within(recipe.batch_size, seconds, step_s)
        return recipe.with_options(batch_size=batch)


def _rank(figures: Mapping[str, float], metric: Metric) -> tuple[float, float]:
    return validation_rank({VALIDATED + key: each for key, each in figures.items()}, metric)


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
    """Say plainly that memory was not enough: the libraries' own messages do not."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if short_of_memory(error):
            raise OutOfMemory(f"not enough memory to train {name}") from error
        raise
