"""Validation by folds: all examples but the test ones are judged, each by a network without it.

With few validation examples that tells far more than they do alone: of 300 examples in five folds
all 300 are judged, not 48.
"""

import math
import statistics
import time
from collections.abc import Sequence

from torch import Tensor

from convatlas.cost.latency import limited_threads
from convatlas.data.dataset import Dataset
from convatlas.deadline import Deadline
from convatlas.errors import UsageError
from convatlas.metric import Metric
from convatlas.pipeline.config import FEW_VALIDATED, FoldNotes
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.tasks.task import AnyTask
from convatlas.tasks.trial_data import FoldData
from convatlas.train.frozen_parts import frozen_parts
from convatlas.train.linear_head import LinearHead, fit_linear_head
from convatlas.train.loop import train
from convatlas.train.task import VALIDATED

MAX_FOLDS = 20
USUAL_FOLDS = 5
AROUND = 0.8  # the metric that a difference is told for before anything is known of it
LATE_S = 1.0  # seconds: the clock runs on while it is asked
TRAINED_SHARE = 0.75  # of a contest's time, about, that its winner trains


def check_folds(folds: int | None, task: AnyTask) -> None:
    """Refuse what cannot be, before anything is read.

    Raises:
        UsageError: not a number of folds, or a task without them.
    """
    if folds is None:
        return
    if not isinstance(folds, int) or not 2 <= folds <= MAX_FOLDS:
        raise UsageError(f"--folds must be a whole number from 2 to {MAX_FOLDS}, got {folds}")
    if not task.by_folds:
        raise UsageError(f"--folds: the task {task.name} cannot be validated by folds")


def few_examples(task: AnyTask, data: Dataset) -> str | None:
    """Return a sentence where the validation examples are too few; None where they are enough."""
    count = len(data.splits["val"])
    noise = task.noise(count, AROUND) if count < FEW_VALIDATED else None
    if noise is None:
        return None
    return f"{count} validation {task.items}: differences of less than {noise} are chance"


def folds_of_heads(folds: int | None, task: AnyTask, data: Dataset) -> int | None:
    """Return by how many folds heads are validated: it takes seconds, so also where few judge."""
    few = task.by_folds and len(data.splits["val"]) < FEW_VALIDATED
    return folds or (USUAL_FOLDS if few else None)


def contest_seconds(seconds: float, folds: int | None) -> float:
    """Return what is left of the time for a contest, if each fold takes as long as its winner."""
    return seconds / (1 + TRAINED_SHARE * (folds or 0))


def notes_of(values: Sequence[float], losses: Sequence[float], items: int, words: str) -> FoldNotes:
    """Return mean and standard error of what each fold gave."""
    return FoldNotes(
        count=len(values),
        items=items,
        mean=statistics.fmean(values),
        standard_error=statistics.stdev(values) / math.sqrt(len(values)),
        values=[round(value, 6) for value in values],
        loss=statistics.fmean(losses),
        words=words,
    )


def validate_by_folds(
    runner: TrialRunner, trial: LiveTrial, folds: int | None, deadline: Deadline
) -> FoldNotes | None:
    """Train the network of a trial anew without each fold, for as long as it was itself trained.

    Args:
        folds: None takes the usual number where validation examples are few and there is time.

    Returns None where nothing was done: no time, or stopped before two folds were.
    """
    data, record = runner.trial_data, trial.record
    if not isinstance(data, FoldData) or not record.epochs or runner.stop.requested:
        return None
    timed = runner.speeds.timed
    if folds is None:
        needed = USUAL_FOLDS * record.seconds
        few = len(runner.data.splits["val"]) < FEW_VALIDATED
        if not few or not timed or deadline.late() > LATE_S or needed > deadline.for_training():
            return None
        folds = USUAL_FOLDS
    numbers = data.folds(folds, runner.recipe.seed)
    folds = len({number for own in numbers.values() for number in own})
    if folds < 2:  # the data have one of their own
        return None
    values, losses, judged, start = [], [], 0, time.perf_counter()
    for held in range(folds):
        left = deadline.for_training() / (folds - held) if timed else None
        figures = _without(runner, trial, data, numbers, held, folds, left)
        if figures is None:
            break
        values.append(figures[VALIDATED + runner.metric.key])
        losses.append(figures[VALIDATED + "loss"])
        judged += sum(own.count(held) for own in numbers.values())
    if len(values) < folds:
        return None
    each = (time.perf_counter() - start) / folds
    notes = notes_of(values, losses, judged, f"trained anew for each, {each:.0f} s")
    runner.progress.say(f"{record.model} {record.input}: {_said(notes, runner.metric)}")
    return notes


def _said(notes: FoldNotes, metric: Metric) -> str:
    return f"{metric.text(notes.mean)} by {notes.count} folds ({notes.items:,} judged)"


def _without(
    runner: TrialRunner,
    trial: LiveTrial,
    data: FoldData,
    numbers: dict[str, list[int]],
    held: int,
    folds: int,
    left: float | None,
) -> dict[str, float] | None:
    """Train the network without one fold; return its figures on that fold, None if stopped."""
    candidate, record = trial.counted.candidate, trial.record
    task = data.fold(candidate, numbers, held)
    fresh = LiveTrial(trial.counted, record)
    model = runner.build(fresh)
    recipe = (trial.recipe or runner.recipe).with_options(
        epochs=record.epochs,
        warmup=runner.recipe.warmup,
        final_lr_fraction=runner.recipe.final_lr_fraction,
    )
    frozen = frozen_parts(model, recipe.freeze) if candidate.checkpoint is not None else None
    with limited_threads(runner.speeds.threads(candidate, model, trial.way)):
        result = train(
            model,
            task,
            recipe,
            limit_s=None if left is None else min(left, record.seconds),
            stop=runner.stop,
            progress=runner.progress,
            title=f"fold {held + 1} of {folds}: {record.model} {record.input}",
            validate_every_s=math.inf,  # once, at the end: nothing is chosen on the held-out fold
            pretrained_names=fresh.pretrained_names,
            way=trial.way,
            frozen=frozen,
        )
    return (
        result.figures
        if result.figures and result.ended in ("epochs", "time", "patience")
        else None
    )


def head_by_folds(
    features: Tensor,
    labels: Tensor,
    numbers: Tensor,
    head: LinearHead,
    *,
    weights: Tensor | None,
    seed: int,
) -> list[tuple[Tensor, Tensor]]:
    """Find the head anew without each fold; return its answers on that fold, and their labels.

    Args:
        numbers: the fold of each example.
        head: that was found; its penalty is taken.
        weights: of the examples in the loss.

    Shape: features (n, d), labels, numbers and weights (n,)
    """
    answers = []
    for held in numbers.unique().tolist():
        kept = numbers != held
        found = fit_linear_head(
            features[kept],
            labels[kept],
            len(head.bias),
            penalties=[head.penalty],
            seed=seed,
            example_weights=None if weights is None else weights[kept],
        )
        answers.append((found.logits(features[~kept]), labels[~kept]))
    return answers
