"""One network with public weights that stays as it is: its features, and the head found on them."""

import copy
import time
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.cost.latency import limited_threads
from convatlas.deploy.frozen_network import Frozen, frozen_network
from convatlas.errors import UsageError
from convatlas.models.headless import reset_classifier, set_classifier
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.tasks.trial_data import FeatureData
from convatlas.train.linear_head import LinearHead, fit_linear_head

VALIDATION_SHARE = 0.25  # of the first time, at most, for asking about the validation examples
FITTING_SHARE = 0.15  # of the time, for finding the head, before it was measured
MIN_JUDGED = 64  # validation examples: fewer cannot tell networks apart at all
SAME = 1e-2  # largest difference of the assembled network from its head, of the largest logit


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
        self._asked: tuple[nn.Module, Frozen, Tensor] | None = None
        self._fit_s: float | None = None
        self._asking_s = 0.0  # seconds that training examples took so far

    def advance(self, seconds: float) -> None:
        """Ask about further examples for so long, then find the head anew.

        The examples come in random order, so that a part of them stands for all.
        """
        start, trial = time.perf_counter(), self.trial
        if self._asked is None:
            self._asked = self._open()
        model, frozen, example = self._asked
        judged = start + VALIDATION_SHARE * seconds
        if "val" not in self._known and not self._ask("val", judged, MIN_JUDGED):
            return
        fitting = FITTING_SHARE * seconds if self._fit_s is None else self._fit_s
        begun = time.perf_counter()
        if not self._ask("train", start + seconds - fitting):
            return
        self._asking_s += time.perf_counter() - begun
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
        if _assemble(model, head, frozen, example):
            self._note(model, head)
        else:
            trial.record.reason = "its last layer does more than a linear head"

    def seconds_left(self) -> float:
        """Return how long the rest would take, at the pace so far; 0 where nothing is left."""
        done = len(self._runner.data.splits["train"]) - self.left
        pace = self._asking_s / done if done else 0.0
        return self.left * pace + (self._fit_s or 0.0) if self.left else 0.0

    def _open(self) -> tuple[nn.Module, Frozen, Tensor]:
        """Build the network with its weights; find how it answers fastest."""
        runner, candidate = self._runner, self.trial.counted.candidate
        model = runner.build(self.trial).eval()
        backbone = copy.deepcopy(model)
        reset_classifier(backbone, 0)
        example, _ = next(iter(self._data.frozen_batches(candidate, "val", None)))
        splits = runner.data.splits
        frozen = frozen_network(backbone, example, len(splits["train"]) + len(splits["val"]))
        self.test_s = frozen.torch_s * len(splits["test"])
        return model, frozen, example

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
        order = torch.randperm(count, generator=torch.Generator().manual_seed(runner.recipe.seed))
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
            parts.append((self._asked[1].answer(inputs).flatten(1), labels))
            done += len(labels)
            bar.update(done)
            if done >= least and time.perf_counter() > end:
                break
        bar.close()
        self._known[split] = _joined(parts)
        if split == "train":
            self.left = count - done
        return True

    def _note(self, model: nn.Module, head: LinearHead) -> None:
        """Give the trial its network, and its record what the head reaches."""
        trial, record = self.trial, self.trial.record
        features, labels = self._known["train"]
        judged = self._known["val"]
        trial.model, trial.head = model, head
        trial.pretrained_names = frozenset(key for key, _ in model.named_parameters())
        record.figures = self._data.figures(head.logits(judged[0]), judged[1])
        trial.head_loss = self._data.figures(head.logits(features), labels)["loss"]
        record.validated, record.status = len(judged[1]), "trained"
        trial.head_words = f"on frozen features of {len(labels):,} {self._runner.task.items}"
        record.reason = f"linear head {trial.head_words}"


def _joined(parts: list[tuple[Tensor, Tensor]]) -> Any:
    features, labels = zip(*parts, strict=True)
    return torch.cat(features), torch.cat(labels)


def _assemble(model: nn.Module, head: LinearHead, frozen: Frozen, example: Tensor) -> bool:
    """Give the network the head; return whether it now answers as the head does."""
    try:
        set_classifier(model, head.weight, head.bias)
    except UsageError:
        return False
    expected = head.logits(frozen.answer(example).flatten(1))
    with torch.inference_mode():
        found = model(example)
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= SAME * expected.abs().max())
