"""Trials from public weights: the network stays as it is, and a linear head learns from it.

Each network is asked once for the features of all examples, which takes a third of one epoch of
training; a head on them is found in seconds. Networks and sizes compete by their heads, the cheap
ones first. What time is left trains the last layers of the best one on (`fine_tune.py`).

Source: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022, arXiv:2202.10054, section 3.4 (a linear probe first).
"""

import time
from collections.abc import Sequence
from typing import Any

from convatlas.data.dataset import Dataset
from convatlas.deadline import Deadline, slowdown
from convatlas.errors import BudgetError, short_of_memory
from convatlas.pipeline.config import Trial
from convatlas.pipeline.frozen_trial import FrozenTrial
from convatlas.pipeline.initial_checkpoints import local_checkpoints, suggestion
from convatlas.pipeline.keeping import Job
from convatlas.pipeline.measure import Speeds
from convatlas.pipeline.select_trials import Sweeps, all_that_fit
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.progress import Progress
from convatlas.search.budget import Budget
from convatlas.search.costed import CostedCandidate, count_network
from convatlas.search.space import Candidate
from convatlas.tasks.task import AnyTask
from convatlas.tasks.trial_data import FeatureData
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.task import VALIDATED

HALF = 0.5  # of the work of a network's largest form, about: the form that it is tried with first
LARGER_SHARE = 0.4  # of what is left that a larger form may take: the rest is for training on
WORTH_BEST = 0.2  # a new head on a part of what is left is better than none
WORTH_OTHERS = 4.0  # times: what time is left gains more where it trains the best network on
TEST_SHARE = 0.05  # of the limit, which the time kept for what follows training includes
TEST_FACTOR = 1.0  # of the time of frozen answers, measured on a busy machine as it is


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
    tasks = (task.name, *task.borrows)
    here = local_checkpoints(model, tasks)
    speeds = Speeds(data, Recipe())
    fitting = [
        checkpoint
        for checkpoint, rows in zip(here, _rows(task, data, here), strict=True)
        if _some_fit(task, rows, budget, speeds)
    ]
    if not fitting and (line := suggestion(model, budget, tasks)) is not None:
        progress.say(line)
    return fitting


def _some_fit(
    task: AnyTask, sweeps: Sequence[Sequence[Candidate]], budget: Budget, speeds: Speeds
) -> bool:
    return any(_fits(task, each, budget, speeds) for each in count_network(sweeps, budget))


def _fits(task: AnyTask, counted: CostedCandidate, budget: Budget, speeds: Speeds) -> bool:
    try:
        all_that_fit(task, [counted], budget, speeds)
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
    fitting, others = all_that_fit(job.task, counted, job.budget, runner.speeds)
    trials = _at_most(fitting, job.extent.trials)
    for trial in fitting:
        if trial not in trials:
            trial.record.reason = "fits; --max-trials allows no more"
            others.insert(0, trial.record)
    costs = [trial.counted.cost for trial in trials]
    deadline.expect_export(max(len(cost.layers) for cost in costs if cost is not None))
    return trials, others


def _at_most(trials: list[LiveTrial], most: int | None) -> list[LiveTrial]:
    """Return as many as may be trained: each network's first form, then its largest.

    Networks with the most work come first: of public weights they usually know most.
    """
    if most is None or most >= len(trials):
        return trials
    names = dict.fromkeys(trial.record.model for trial in trials)
    forms = [[t for t in trials if t.record.model == name] for name in names]
    firsts = sorted(map(_half_form, forms), key=_macs, reverse=True)
    largest = sorted((max(each, key=_macs) for each in forms), key=_macs, reverse=True)
    order = firsts + [trial for trial in largest if trial not in firsts]
    return [trial for trial in trials if trial in order[:most]]


def compete_by_heads(
    runner: TrialRunner, trials: list[LiveTrial], deadline: Deadline, log: RunLog
) -> list[LiveTrial]:
    """Give networks linear heads on their public weights, as time allows; best first.

    Each network is tried in a form of about half its work, on as many examples as a fair share of
    the time allows. The best one is asked about the rest, and then tried in its largest form that
    there is time for.

    Args:
        log: of the winner; gets a row for its head.
    """
    metric = runner.metric
    runner.progress.say(
        f"public weights: linear heads on the frozen features of {len(trials)} networks and "
        f"sizes, as far as {deadline.for_training():.0f} s allow"
    )
    firsts = _first_round(runner, trials, deadline)
    best, *others = sorted(firsts, key=lambda p: p.trial.score(metric) or (), reverse=True)
    _second_round(runner, best, trials, deadline, WORTH_BEST)
    for probe in others:
        _second_round(runner, probe, trials, deadline, WORTH_OTHERS)
    trials += _other_forms(runner, trials, deadline)
    ranked = sorted(trials, key=lambda t: t.score(metric) or (), reverse=True)
    for trial in ranked[1:]:
        runner.let_go(trial)
    runner.trial_data.keep([ranked[0].counted.candidate])
    _log(ranked[0], log)
    return ranked


def _first_round(
    runner: TrialRunner, trials: Sequence[LiveTrial], deadline: Deadline
) -> list[FrozenTrial]:
    """Try each network in one form, the cheap ones first, with a share for the second round."""
    names = dict.fromkeys(trial.record.model for trial in trials)
    forms = [[t for t in trials if t.record.model == name] for name in names]
    probes = [FrozenTrial(runner, trial) for trial in sorted(map(_half_form, forms), key=_macs)]
    for number, probe in enumerate(probes):
        judged = any(each.trial.record.figures for each in probes)
        if not judged:
            runner.stop.check()
        if not judged or not runner.stop.requested:
            rounds = len(probes) - number + (len(probes) > 1)
            _advance(runner, probe, deadline, deadline.for_training() / rounds)
    return probes


def _second_round(
    runner: TrialRunner,
    probe: FrozenTrial,
    trials: Sequence[LiveTrial],
    deadline: Deadline,
    worth: float,
) -> None:
    """Ask about what is left, then try the largest form of the network that time allows.

    Args:
        worth: times what asking takes there must be left, or it is not begun.
    """
    if not probe.trial.record.figures or runner.stop.requested:
        return
    if probe.left and deadline.for_training() > worth * probe.seconds_left():
        _advance(runner, probe, deadline, deadline.for_training())
    record = probe.trial.record
    rate = record.seconds / _macs(probe.trial)
    larger = [t for t in trials if t.record.model == record.model and _macs(t) > _macs(probe.trial)]
    for trial in sorted(larger, key=_macs, reverse=True):
        expected, left = rate * _macs(trial), deadline.for_training()
        if probe.left or runner.stop.requested or expected > LARGER_SHARE * left:
            trial.record.reason = (
                f"no time: about {expected:.0f} s of {left:.0f} s, in which the best is trained on"
            )
            continue
        _advance(runner, FrozenTrial(runner, trial), deadline, left)
        return


def _other_forms(
    runner: TrialRunner, trials: Sequence[LiveTrial], deadline: Deadline
) -> list[LiveTrial]:
    """Try the best one with its inputs prepared in other ways, as far as there is time."""
    best = max(trials, key=lambda trial: trial.score(runner.metric) or ())
    if not best.record.figures or best.record.seconds > deadline.for_training():
        return []
    forms = runner.other_forms(best, sum(bool(trial.record.figures) for trial in trials))
    for trial in forms:
        if not runner.stop.requested:
            _advance(runner, FrozenTrial(runner, trial), deadline, deadline.for_training())
    return forms


def _advance(runner: TrialRunner, probe: FrozenTrial, deadline: Deadline, seconds: float) -> None:
    """Find the head of one network, say what it reaches, keep time for testing it."""
    start, record = time.perf_counter(), probe.trial.record
    name = f"{record.model} {record.input}"
    try:
        probe.advance(seconds)
    except (MemoryError, RuntimeError) as error:
        if not short_of_memory(error):
            raise
        probe.trial.model, record.status, record.figures = None, "failed", {}
        record.reason = f"not enough memory for the features of {name}"
    tested = TEST_FACTOR * probe.test_s - TEST_SHARE * deadline.seconds
    deadline.test_s = max(deadline.test_s, tested)
    record.seconds = round(record.seconds + time.perf_counter() - start, 2)
    metric = runner.metric
    reached = metric.text(record.value(metric)) + " on validation" if record.figures else "no head"
    runner.progress.say(f"{name}: {reached} after {record.seconds:.0f} s, {record.reason}")


def _macs(trial: LiveTrial) -> int:
    assert trial.counted.cost is not None
    return trial.counted.cost.macs


def _half_form(forms: Sequence[LiveTrial]) -> LiveTrial:
    most = max(map(_macs, forms))
    return min(forms, key=lambda trial: abs(_macs(trial) - HALF * most))


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
