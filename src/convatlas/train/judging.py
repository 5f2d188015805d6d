"""What a run reached: running statistics, validation, a row of the log, the best weights."""

import contextlib
import math
import time
from typing import Any

import torch

from convatlas.train.random_draws import JUDGING, seed_of, set_generators
from convatlas.train.run import Run
from convatlas.train.run_state import copied_buffers, put_back
from convatlas.train.stop import StoppedHere, UntilStopped
from convatlas.train.update_bn import update_bn

STATISTICS_SHARE = 0.2  # of the time at most, for the running statistics before a validation


def judge(run: Run) -> bool:
    """Measure and log; return whether no stop came between, which a checkpoint then holds."""
    state, result, began = run.state, run.state.result, run.seconds
    before = copied_buffers(state.kept)
    state.judging = True
    run.begun = state.buffers(average=True)
    figures = _validated_by_main(run)
    if figures is None:
        run.begun = None
        put_back(state.kept, before)
        run.stops()
        run.over = True
        return False
    with run.weights:
        run.begun = None
    state.judging, state.closing_s = False, run.seconds - began
    state.best.consider(state.kept, figures, result.epochs)
    result.figures = state.best.figures
    state.validated_s = began
    result.seconds = run.seconds
    _write_row(run, figures)
    state.plateau.validated(state.done, state.best.epoch / run.recipe.epochs)
    if state.done < 1 and 0 < run.recipe.patience <= result.epochs - state.best.epoch:
        result.ended, state.done = "patience", 1.0
    return True


def _validated_by_main(run: Run) -> dict[str, float] | None:
    """Return the figures; None where a stop came between.

    Of several processes the main one judges all examples while the others wait: so each counts
    once, whatever shapes a task's answers have, and running statistics come from whole batches.
    """
    together, stop, figures = run.together, run.options.stop, None
    if together.main:
        with contextlib.suppress(StoppedHere):
            figures = _validated(run)
    if together.alone:
        return figures
    number = stop.number if stop is not None else None
    told = figures, time.perf_counter() - run.start, number
    figures, together.seconds, number = together.processes.from_main(told)
    together.hear(number or 0)
    together.even_out(list(run.state.kept.buffers()))
    return figures


def _validated(run: Run) -> dict[str, float]:
    """Return the figures of the network that is kept, its running statistics measured anew."""
    state, task, options = run.state, run.task, run.options
    seed = seed_of(run.recipe.seed, JUDGING, state.result.steps)
    set_generators(seed, run.accelerator.device)
    batches: Any = run.batches_of(state.epoch + 1, whole=True)
    validation: Any = run.validation
    may_go_on = options.checkpoints is not None and not options.judge_stopped
    if may_go_on and options.stop is not None:
        batches = UntilStopped(batches, options.stop)
        validation = UntilStopped(validation, options.stop)
    update_bn(
        state.kept,
        batches,
        lambda batch: task.loss(state.kept, batch),
        most_s=math.inf if options.limit_s is None else STATISTICS_SHARE * options.limit_s,
        frozen=run.frozen.modules,
    )
    return task.validate(state.kept, validation, _as_they_are)


def _as_they_are(answers: Any) -> Any:
    """Return answers of one process, where all examples are: there are no others to gather."""
    return answers


def _write_row(run: Run, figures: dict[str, float]) -> None:
    """Write the row of the log that a validation closes."""
    state, result, before = run.state, run.state.result, run.options.epochs_before
    losses, state.losses = state.losses, []
    state.log.write(
        epoch=round(before + result.epochs, 2),
        step=result.steps,
        seconds=round(result.seconds, 3),
        lr=run.recipe.lr * run.recipe.rate(min(1.0, state.done), state.plateau.dropped),
        train_loss=float(torch.stack(losses).mean()) if losses else math.nan,
        **figures,
        kept_epoch=round(before + state.best.epoch, 2),
    )
