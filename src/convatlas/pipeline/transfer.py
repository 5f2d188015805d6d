"""Trials from public weights: the network stays as it is, and a linear head learns from it.

Each network is asked once for the features of all examples, which takes a third of one epoch of
training; a head on them is found in seconds. Networks and sizes compete by their heads, the cheap
ones first. Whether the best one is trained further is decided by what time is left.

Source: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022, arXiv:2202.10054, section 3.4 (a linear probe first).
"""

import copy
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convatlas.cost.latency import limited_threads
from convatlas.data.dataset import Dataset
from convatlas.deadline import Deadline, slowdown
from convatlas.deploy.frozen_network import Frozen, frozen_network
from convatlas.errors import BudgetError, UsageError, short_of_memory
from convatlas.models.headless import reset_classifier, set_classifier
from convatlas.pipeline.config import Trial
from convatlas.pipeline.initial_checkpoints import local_checkpoints, suggestion
from convatlas.pipeline.keeping import Job
from convatlas.pipeline.measure import Speeds
from convatlas.pipeline.select_trials import Sweeps, all_that_fit
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.progress import Progress
from convatlas.search.budget import Budget
from convatlas.search.costed import count_network
from convatlas.search.space import Candidate
from convatlas.tasks.task import AnyTask
from convatlas.tasks.trial_data import FeatureData
from convatlas.train.linear_head import LinearHead, fit_linear_head
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.task import VALIDATED

HALF = 0.5  # of the work of a network's largest form, about: the form that it is tried with first
VALIDATION_SHARE = 0.25  # of a trial's time, at most, for asking about the validation examples
FITTING_SHARE = 0.15  # of a trial's time, for finding the head
TEST_SHARE = 0.05  # of the limit, which the time kept for what follows training includes
TEST_FACTOR = 1.5  # of the time of frozen answers, that the test takes: preparing is part of it
SAME = 1e-2  # largest difference of the assembled network from its head, of the largest logit


def takes_heads(runner: TrialRunner) -> bool:
    """Return whether a linear head on frozen features answers the task at hand."""
    return isinstance(runner.trial_data, FeatureData)


def fitting_checkpoints(
    task: AnyTask, data: Dataset, model: str | None, budget: Budget, progress: Progress
) -> list[Checkpoint]:
    """Return those on this machine that suit data and budget; if none fits, say what others do.

    Args:
        model: the network that was named, if any: no other is looked for.
    """
    if not task.suits_public_weights(data):
        return []
    here = local_checkpoints(model)
    speeds = Speeds(data, Recipe())
    fitting = [
        checkpoint
        for checkpoint, rows in zip(here, _rows(task, data, here), strict=True)
        if _some_fit(task, rows, budget, speeds)
    ]
    if not fitting and (line := suggestion(model, budget)) is not None:
        progress.say(line)
    return fitting


def _some_fit(
    task: AnyTask, sweeps: Sequence[Sequence[Candidate]], budget: Budget, speeds: Speeds
) -> bool:
    try:
        all_that_fit(task, list(count_network(sweeps, budget)), budget, speeds)
    except BudgetError:
        return False
    return True


def _rows(task: AnyTask, data: Dataset, here: Sequence[Checkpoint]) -> list[Any]:
    rows = task.pretrained(here, data)
    return [rows[checkpoint.model] for checkpoint in here]


def choose_for_heads(
    job: Job, runner: TrialRunner, rows: Sweeps, deadline: Deadline
) -> tuple[list[LiveTrial], list[Trial]]:
    """Count networks with public weights; return those within the budget, and the others' lines.

    Raises:
        BudgetError: nothing fits.
    """
    deadline.slowdown = slowdown()
    counted = [each for sweeps in rows.values() for each in count_network(sweeps, job.budget)]
    trials, others = all_that_fit(job.task, counted, job.budget, runner.speeds)
    costs = [trial.counted.cost for trial in trials]
    deadline.expect_export(max(len(cost.layers) for cost in costs if cost is not None))
    return trials, others


def compete_by_heads(
    runner: TrialRunner, trials: list[LiveTrial], deadline: Deadline, log: RunLog
) -> list[LiveTrial]:
    """Give networks linear heads on their public weights, as time allows; best first.

    Each network is tried in a form of about half its work, then, the best network first, in its
    largest form that there is time for.

    Args:
        log: of the winner; gets a row for its head.
    """
    metric = runner.task.metric
    runner.progress.say(
        f"public weights: a linear head on the features of each of {len(trials)} networks and "
        f"sizes, as far as {deadline.for_training():.0f} s allow"
    )
    took: dict[str, float] = {}  # seconds of a trial for each multiply-add, by network

    def attempt(trial: LiveTrial, *, first: bool = False) -> None:
        rate = took.get(trial.record.model, max(took.values(), default=0.0))
        expected, left = rate * _macs(trial), deadline.for_training()
        if runner.stop.requested or (not first and expected > left):
            trial.record.reason = f"no time: about {expected:.0f} s of {left:.0f} s left"
            return
        start = time.perf_counter()
        _try(runner, trial, deadline)
        took[trial.record.model] = (time.perf_counter() - start) / _macs(trial)

    names = dict.fromkeys(trial.record.model for trial in sorted(trials, key=_macs))
    forms = {name: [t for t in trials if t.record.model == name] for name in names}
    firsts = sorted(map(_half_form, forms.values()), key=_macs)
    for number, trial in enumerate(firsts):
        attempt(trial, first=number == 0)
        if not any(each.record.figures for each in firsts):
            runner.stop.check()
    for best in sorted(firsts, key=lambda t: t.score(metric) or (), reverse=True):
        larger = [t for t in forms[best.record.model] if _macs(t) > _macs(best)]
        for trial in sorted(larger, key=_macs, reverse=True):
            attempt(trial)
            if trial.record.figures:
                break
    ranked = sorted(trials, key=lambda t: t.score(metric) or (), reverse=True)
    for trial in ranked[1:]:
        trial.model = None
    _log(ranked[0], log)
    return ranked


def _macs(trial: LiveTrial) -> int:
    assert trial.counted.cost is not None
    return trial.counted.cost.macs


def _half_form(forms: Sequence[LiveTrial]) -> LiveTrial:
    most = max(map(_macs, forms))
    return min(forms, key=lambda trial: abs(_macs(trial) - HALF * most))


def _try(runner: TrialRunner, trial: LiveTrial, deadline: Deadline) -> None:
    """Find the head of one network and note what it reaches."""
    start, record = time.perf_counter(), trial.record
    name = f"{record.model} {record.input}"
    try:
        _fit(runner, trial, deadline)
    except (MemoryError, RuntimeError) as error:
        if not short_of_memory(error):
            raise
        trial.model, record.status = None, "failed"
        record.reason = f"not enough memory for the features of {name}"
    record.seconds = round(time.perf_counter() - start, 2)
    metric = runner.task.metric
    reached = metric.text(record.value(metric)) + " on validation" if record.figures else "no head"
    runner.progress.say(f"{name}: {reached} after {record.seconds:.0f} s: {record.reason}")


def _fit(runner: TrialRunner, trial: LiveTrial, deadline: Deadline) -> None:
    data, record, candidate = runner.trial_data, trial.record, trial.counted.candidate
    assert isinstance(data, FeatureData)
    start, seconds = time.perf_counter(), deadline.for_training()
    model = runner.build(trial).eval()
    backbone = copy.deepcopy(model)
    reset_classifier(backbone, 0)
    example, _ = next(iter(data.frozen_batches(candidate, "val", None)))
    counts = {name: len(runner.data.splits[name]) for name in ("train", "val")}
    frozen = frozen_network(backbone, example, sum(counts.values()))
    tested = TEST_FACTOR * frozen.torch_s * len(runner.data.splits["test"])
    deadline.test_s = max(deadline.test_s, tested - TEST_SHARE * deadline.seconds)

    asked = _Asked(runner, trial, frozen)
    judged = asked.features("val", counts["val"], start + VALIDATION_SHARE * seconds)
    learnt = asked.features("train", counts["train"], start + (1 - FITTING_SHARE) * seconds)
    if learnt is None or judged is None:
        record.reason = "stopped before its features were there"
        return
    features, labels = learnt
    with limited_threads(1):  # products of this size gain nothing from more, and wait when busy
        head = fit_linear_head(features, labels, asked.num_classes(), seed=runner.recipe.seed)
    if not _assemble(model, head, frozen, example):
        record.reason = "its last layer does more than a linear head"
        return
    trial.model, trial.head = model, head
    trial.pretrained_names = frozenset(key for key, _ in model.named_parameters())
    record.figures = data.figures(head.logits(judged[0]), judged[1])
    trial.head_loss = data.figures(head.logits(features), labels)["loss"]
    record.validated, record.status = len(judged[1]), "trained"
    trial.head_words = f"on frozen features of {len(labels):,} {runner.task.items}"
    record.reason = f"linear head {trial.head_words}"


class _Asked:
    """Asks a frozen network for the features of a split, until time is over."""

    def __init__(self, runner: TrialRunner, trial: LiveTrial, frozen: Frozen):
        self._runner, self._trial, self._frozen = runner, trial, frozen

    def num_classes(self) -> int:
        """Return the length of the answer that the data need."""
        return self._trial.counted.candidate.options["num_classes"]

    def features(self, split: str, count: int, end: float) -> tuple[Tensor, Tensor] | None:
        """Return features and labels, of a random part where time ends before; None if stopped."""
        runner, record = self._runner, self._trial.record
        assert isinstance(runner.trial_data, FeatureData)
        title = f"features of {split}: {record.model} {record.input}"
        bar = runner.progress.bar(title, count, unit=runner.task.items)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(runner.recipe.seed))
        features, labels, done = [], [], 0
        batches = runner.trial_data.frozen_batches(
            self._trial.counted.candidate, split, order.tolist()
        )
        for inputs, answers in batches:
            if runner.stop.requested:
                return None
            features.append(self._frozen.answer(inputs))
            labels.append(answers)
            done += len(answers)
            bar.update(done)
            if time.perf_counter() > end:
                break
        bar.close()
        return torch.cat(features).flatten(1), torch.cat(labels)


def _assemble(model: torch.nn.Module, head: LinearHead, frozen: Frozen, example: Tensor) -> bool:
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


def _log(winner: LiveTrial, log: RunLog) -> None:
    record = winner.record
    if not record.figures:
        return
    log.write(
        epoch=0.0,
        step=0,
        seconds=record.seconds,
        lr=0.0,
        train_loss=winner.head_loss,
        **{VALIDATED + key: value for key, value in record.figures.items()},
        kept_epoch=0.0,
    )
