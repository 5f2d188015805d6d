"""One network with public weights that stays as it is: its features, and the head found on them."""

import copy
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from convatlas.cost.latency import limited_threads
from convatlas.deploy.frozen_network import Frozen, frozen_network
from convatlas.errors import UsageError
from convatlas.models.headless import reset_classifier, set_classifier
from convatlas.models.split_network import Cut, layers_between
from convatlas.pipeline.config import FoldNotes
from convatlas.pipeline.cut_shares import cut_shares, smallest_alike
from convatlas.pipeline.folding import head_by_folds, notes_of
from convatlas.pipeline.trials import KeptMaps, LiveTrial, TrialRunner
from convatlas.tasks.trial_data import FeatureData, FoldData
from convatlas.train.linear_head import LinearHead, fit_linear_head

VALIDATION_SHARE = 0.25  # of the first time, at most, for asking about the validation examples
FITTING_SHARE = 0.15  # of the time, for finding the head, before it was measured
MIN_JUDGED = 64  # validation examples: fewer cannot tell networks apart at all
TUNED_SHARE = 0.3  # of the work, about, comes after the maps that are kept for training on
SAME = 1e-2  # largest difference of the assembled network from its head, of the largest logit


class _Asked(NamedTuple):
    """A frozen network in two parts; the second is None where the first is all of it."""

    model: nn.Module
    first: Frozen
    second: Frozen | None
    cut: Cut | None
    example: Tensor

    def features(self, batch: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the maps at the cut, where there is one, and the features."""
        between = self.first.answer(batch)
        if self.second is None:
            return None, between.flatten(1)
        return between, self.second.answer(between).flatten(1)


class FrozenTrial:
    """Asks a frozen network for features, as far as time allows, and gives it a linear head.

    Attributes:
        left: training examples that it was not asked about yet.
        test_s: seconds that answering the test examples takes, about.
    """

    def __init__(self, runner: TrialRunner, trial: LiveTrial):
        self._runner, self.trial = runner, trial
        self.left = len(runner.data.splits["train"])
        self.test_s = 0.0
        self._known: dict[str, tuple[Tensor, Tensor]] = {}  # features and labels, by split
        self._maps: dict[str, list[Tensor]] = {}  # at the cut, by split, in the order of `_known`
        self._asked: _Asked | None = None
        self._fit_s: float | None = None
        self._asking_s = 0.0  # seconds that training examples took so far

    def advance(self, seconds: float) -> None:
        """Ask about further examples for so long, then find the head anew.

        The examples come in random order, so that a part of them stands for all.
        """
        start, trial = time.perf_counter(), self.trial
        if self._asked is None:
            self._asked = self._open()
        judged = start + VALIDATION_SHARE * seconds
        if "val" not in self._known and not self._ask("val", judged, MIN_JUDGED):
            return
        fitting = FITTING_SHARE * seconds if self._fit_s is None else self._fit_s
        begun = time.perf_counter()
        if not self._ask("train", start + seconds - fitting):
            return
        self._asking_s += time.perf_counter() - begun
        trial.frozen_s = self._asking_s / len(self._known["train"][1])
        features, labels = self._known["train"]
        begun = time.perf_counter()
        with limited_threads(1):  # products of this size gain nothing from more
            classes = trial.counted.candidate.options["num_classes"]
            head = fit_linear_head(
                features,
                labels,
                classes,
                seed=self._runner.recipe.seed,
                example_weights=self._data.example_weights(labels),
            )
        self._fit_s = time.perf_counter() - begun
        if _assemble(self._asked, head):
            self._note(self._asked, head)
        else:
            trial.record.reason = "its last layer does more than a linear head"

    def seconds_left(self) -> float:
        """Return how long the rest would take, at the pace so far; 0 where nothing is left."""
        done = len(self._runner.data.splits["train"]) - self.left
        pace = self._asking_s / done if done else 0.0
        return self.left * pace + (self._fit_s or 0.0) if self.left else 0.0

    def _open(self) -> _Asked:
        """Build the network with its weights; find how it answers fastest, and where to cut it."""
        runner, candidate = self._runner, self.trial.counted.candidate
        model = runner.build(self.trial).eval()
        backbone = copy.deepcopy(model)
        reset_classifier(backbone, 0)
        example, _ = next(iter(self._data.frozen_batches(candidate, "val", None)))
        splits = runner.data.splits
        count = len(splits["train"]) + len(splits["val"])
        shares = cut_shares(model, self.trial.counted, example[:2], count)
        if not shares:
            parts = _Asked(model, frozen_network(backbone, example, count), None, None, example)
        else:
            cut = smallest_alike(shares, TUNED_SHARE)
            first = frozen_network(layers_between(backbone, None, cut.name), example, count)
            maps = first.answer(example)
            second = frozen_network(layers_between(backbone, cut.name, None), maps, count)
            parts = _Asked(model, first, second, cut, example)
        pace = parts.first.torch_s + (parts.second.torch_s if parts.second else 0.0)
        self.test_s = pace * len(splits["test"])
        return parts

    @property
    def _data(self) -> FeatureData:
        data = self._runner.trial_data
        assert isinstance(data, FeatureData)
        return data

    def _ask(self, split: str, end: float, least: int = 1) -> bool:
        """Add features of a split until time is over; False if stopped.

        Args:
            least: examples that are asked about however long it takes, in whole batches.
        """
        runner, record = self._runner, self.trial.record
        assert self._asked is not None
        count = len(runner.data.splits[split])
        order = _order(count, runner.recipe.seed)
        known = self._known.get(split)
        parts = [] if known is None else [known]
        done = 0 if known is None else len(known[1])
        bar = runner.progress.bar(
            f"features of {split}: {record.model} {record.input}", count, unit=runner.task.items
        )
        candidate = self.trial.counted.candidate
        for inputs, labels in self._data.frozen_batches(candidate, split, order[done:].tolist()):
            if runner.stop.requested:
                return False
            maps, features = self._asked.features(inputs)
            parts.append((features, labels))
            if maps is not None:
                self._maps.setdefault(split, []).append(maps)
            done += len(labels)
            bar.update(done)
            if done >= least and time.perf_counter() > end:
                break
        bar.close()
        self._known[split] = _joined(parts)
        if split == "train":
            self.left = count - done
        return True

    def _note(self, asked: _Asked, head: LinearHead) -> None:
        """Give the trial its network, and its record what the head reaches.

        An earlier one, found on fewer examples, stays where it is the better one.
        """
        model = asked.model
        trial, record = self.trial, self.trial.record
        features, labels = self._known["train"]
        judged = self._known["val"]
        if asked.cut is not None and not self.left:
            trial.maps = KeptMaps(asked.cut, *map(self._with_labels, ("train", "val")))
        figures = self._data.figures(head.logits(judged[0]), judged[1])
        folds = self._by_folds(head)
        found = record.model_copy(update={"figures": figures, "folds": folds})
        metric = self._runner.metric
        reached, best = LiveTrial(trial.counted, found).score(metric), trial.score(metric)
        if trial.head is not None and reached is not None and best is not None and reached < best:
            _assemble(asked, trial.head)
            return
        record.figures, record.folds = figures, folds
        trial.model, trial.head = model, head
        trial.pretrained_names = frozenset(key for key, _ in model.named_parameters())
        trial.head_loss = self._data.figures(head.logits(features), labels)["loss"]
        record.validated, record.status = len(judged[1]), "trained"
        trial.head_words = f"on frozen features of {len(labels):,} {self._runner.task.items}"
        record.reason = f"linear head {trial.head_words}"

    def _with_labels(self, split: str) -> TensorDataset:
        return TensorDataset(torch.cat(self._maps[split]), self._known[split][1])

    def _by_folds(self, head: LinearHead) -> FoldNotes | None:
        """Validate the head by folds of all examples that were asked about, if that is asked for.

        The split that judges is too small for it where there are few examples.
        """
        runner, data = self._runner, self._runner.trial_data
        if runner.folds is None or not isinstance(data, FoldData):
            return None
        numbers, seed = data.folds(runner.folds, runner.recipe.seed), runner.recipe.seed
        count = len({number for own in numbers.values() for number in own})
        parts = []
        for split, (features, labels) in self._known.items():
            rows = _order(len(numbers[split]), seed)[: len(labels)]
            parts.append((features, labels, torch.tensor(numbers[split])[rows]))
        features, labels, of = (torch.cat(each) for each in zip(*parts, strict=True))
        if len(of.unique()) < max(2, count):
            return None
        weights = self._data.example_weights(labels)
        with limited_threads(1):
            found = head_by_folds(features, labels, of, head, weights=weights, seed=seed)
        figures = [self._data.figures(*each) for each in found]
        values = [each[runner.metric.key] for each in figures]
        losses = [each["loss"] for each in figures]
        return notes_of(values, losses, len(labels), "a linear head for each")


def _order(count: int, seed: int) -> Tensor:
    """Return the rows of a split in the order in which they are asked about."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _joined(parts: list[tuple[Tensor, Tensor]]) -> Any:
    features, labels = zip(*parts, strict=True)
    return torch.cat(features), torch.cat(labels)


def _assemble(asked: _Asked, head: LinearHead) -> bool:
    """Give the network the head; return whether it now answers as the head does."""
    try:
        set_classifier(asked.model, head.weight, head.bias)
    except UsageError:
        return False
    expected = head.logits(asked.features(asked.example)[1])
    with torch.inference_mode():
        found = asked.model(asked.example)
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= SAME * expected.abs().max())
