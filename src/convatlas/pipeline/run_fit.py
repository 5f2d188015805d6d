"""A `fit` from its first step to its last: counted, chosen, trained against each other, finished.

What was decided and what each trial has reached is noted in the folder that the run is built in, so
that a job that was killed goes on.
"""

import math
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from convatlas.data.dataset import Dataset
from convatlas.data.threads import reading_threads
from convatlas.deadline import Deadline, slowdown
from convatlas.errors import ConvatlasError, Stopped, UsageError, WriteError
from convatlas.models.registry import CUSTOM, find_entry
from convatlas.pipeline.compete import compete
from convatlas.pipeline.config import FRONT, Trial
from convatlas.pipeline.dropped_weights import DroppedWeights
from convatlas.pipeline.expect_end import expect_end
from convatlas.pipeline.extent import Extent
from convatlas.pipeline.fine_tune import fine_tune
from convatlas.pipeline.finishing import finish
from convatlas.pipeline.fit_job import FitJob
from convatlas.pipeline.fit_plan import SECONDS, TRANSFER, restored_trials, stored_plan
from convatlas.pipeline.fit_states import COPIES, MAX_CHECKPOINTS, FitState, FitStates
from convatlas.pipeline.folder import Claim, can_go_on, claimed_free
from convatlas.pipeline.folding import (
    check_folds,
    contest_seconds,
    few_examples,
    folds_of_heads,
    validate_by_folds,
)
from convatlas.pipeline.freezing import check_freeze, starts_that_freeze
from convatlas.pipeline.front_folders import save_front as save_front_of
from convatlas.pipeline.initial_checkpoints import AUTO, NO, YES, initial_checkpoints
from convatlas.pipeline.keeping import Job, keep_data, keep_winner
from convatlas.pipeline.opening import open_data
from convatlas.pipeline.outlook import outlook
from convatlas.pipeline.run import Run
from convatlas.pipeline.select_trials import Sweeps, choose_trials, count_all, trainable_macs
from convatlas.pipeline.training_recipe import checked_recipe, fixed_options, suited
from convatlas.pipeline.transfer import (
    choose_for_heads,
    compete_by_heads,
    fitting_checkpoints,
    takes_heads,
)
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.pipeline.turns import Turns
from convatlas.progress import Progress
from convatlas.search.priority import pareto_front
from convatlas.search.space import distinct_architectures
from convatlas.tasks import TASKS, find_task, recognise_task, task_of_network
from convatlas.tasks.task import AnyTask
from convatlas.text import shell_word
from convatlas.train.device import using_device
from convatlas.train.log import RunLog
from convatlas.train.stop import Stoppable, StopRequest

USUAL_LIMIT_S = 600.0
NO_LIMIT_S = 1e9
COUNTED_NETWORKS = 24  # that fit, where no time limits the counting
COUNTING_SHARE = 0.08  # of the limit, for counting candidates
READING_SHARE = 0.25  # of what is left, for reading the data in the forms of the trials
WAYS_SHARE = 0.05  # of what is left, for finding out how each network computes fastest
MAX_WORKERS = 256  # threads that read
KEPT_STATES = 2  # of the trials, as they are now and as they were before


def run_fit(
    asked: FitJob,
    hold: Callable[[], AbstractContextManager[Claim] | None],
    progress: Progress,
    started: float | None,
    same_data: Callable[[Dataset, Claim], None] | None = None,
) -> Run:
    """Do what `fit` was asked for, from the newest state of the folder on.

    Args:
        hold: holds the run folder; None takes a free one.
        started: `time.perf_counter()` when this process began.
        same_data: refuses data that are not those that the run began with.
    """
    timed = asked.epochs is None or asked.time_limit_s is not None
    extent = Extent(asked.epochs, asked.max_trials, timed=timed)
    limit = asked.time_limit_s or (USUAL_LIMIT_S if timed else NO_LIMIT_S)
    _check_options(asked, limit)
    deadline = Deadline(limit, started)
    chosen = _task(asked.task, asked.model, asked.data)
    options = dict(asked.options)
    chosen.check_options(options)
    check_folds(asked.folds, chosen)
    tasks = (chosen.name, *chosen.borrows)
    networks = [entry for each in tasks for entry in distinct_architectures(each)]
    entries = [find_entry(asked.model)] if asked.model else pareto_front(networks)

    with StopRequest() as stop, ExitStack() as held:
        held.enter_context(using_device(asked.device))
        held.enter_context(reading_threads(asked.workers, progress.say))
        freeze = checked_recipe(asked.recipe).freeze
        check_freeze(freeze, asked.pretrained, asked.model)
        early = Stoppable(progress, stop)  # until there is something to keep
        holding = hold()
        claim = held.enter_context(holding) if holding is not None else None
        found = None if claim is None else _found(claim, deadline, progress)
        pretrained = NO if found is not None and not found.plan[TRANSFER] else asked.pretrained
        starts = initial_checkpoints(asked.model, early, tasks) if pretrained == YES else []
        opened = open_data(
            chosen,
            asked.data,
            seed=asked.seed,
            max_broken=asked.max_broken,
            options=options,
            progress=early,
            deadline=deadline,
        )
        claim = claim or held.enter_context(claimed_free(opened.name))
        if same_data is not None:
            same_data(opened, claim)
        can_be_noted = _note_job(asked, claim, progress)
        if pretrained == AUTO:
            starts = fitting_checkpoints(chosen, opened, asked.model, asked.budget, early)
        starts = starts_that_freeze(starts, freeze)
        usual = chosen.transfer_recipe if starts else chosen.recipe
        whole = suited(asked.recipe, opened, asked.seed, usual)
        job = Job(chosen, opened, asked.budget, whole, dict(asked.call), extent)
        runner = TrialRunner(chosen, opened, whole, stop, early, options)
        runner.speeds.timed, runner.fixed = timed, fixed_options(asked.recipe)
        if (line := few_examples(chosen, opened)) is not None:
            early.say(line)
        runner.most = asked.max_trials
        runner.folds = folds_of_heads(asked.folds, chosen, opened)
        heads = bool(starts) and asked.epochs is None and takes_heads(runner)
        if starts:
            rows = chosen.pretrained(starts, opened)
        else:
            rows = chosen.fresh(entries, opened, fixed_width=asked.model is not None)
        if found is not None:
            trials, others = restored_trials(found.plan, rows, runner.speeds)
        elif heads:
            trials, others = choose_for_heads(job, runner, rows, deadline)
        else:
            trials, others = _choose(job, runner, rows, deadline, transfer=bool(starts))
        claim.check_space(_weight_bytes(trials, every=asked.save_front))
        if asked.save_front:
            runner.dropped = DroppedWeights(claim.building / FRONT, progress)
        keep_data(chosen, opened, claim.building)
        if found is not None:
            runner.read_data(found.going_on(trials))
        elif not heads:
            _get_ready(runner, trials, others, deadline)
        runner.progress = runner.trial_data.progress = progress
        expect_end(runner, trials, deadline)
        log = RunLog(claim.building)
        log.restore([])  # what was written before it was interrupted comes from the state
        if heads:
            ranked = compete_by_heads(runner, trials, deadline, log)
            fine_tune(runner, ranked[0], deadline, log)
        else:
            left = contest_seconds(deadline.for_training(), asked.folds) if timed else None
            plan = found.plan if found is not None else None
            if plan is None:
                plan = {**stored_plan(trials, others, runner.speeds, left), TRANSFER: bool(starts)}
            turns = None
            if can_be_noted:
                turns = _turns(claim, found, plan, trials, runner, deadline, left)
            ranked = compete(runner, trials, plan[SECONDS], log, extent.epochs, turns)
        log.close()
        winner = _winner(ranked, stop, claim)
        if not heads:
            winner.record.folds = validate_by_folds(runner, winner, asked.folds, deadline)
        leaderboard = [e.record for e in ranked] + others
        may_go_on = stop.requested and can_go_on(claim.building)
        run = keep_winner(job, runner, claim, winner, leaderboard, may_go_on=may_go_on)
        if runner.dropped is not None:
            save_front_of(job, runner, run, ranked, runner.dropped)
        assert winner.model is not None
        assert winner.counted.cost is not None
        config = run.config
        predictor = chosen.predictor(winner.model.eval(), config.settings, config.facts).eval()
        with StopRequest() as later:
            later.again = "exit at once; the trained network is kept"
            # Ctrl-C asks for the result now; a signal that ends the process leaves no time for it.
            ended = stop if stop.number not in (None, signal.SIGINT) else later
            finish(run, opened, predictor, winner.counted.cost, progress, ended, deadline)
        run.stopped = stop.number or later.number
        return run


def _found(claim: Claim, deadline: Deadline, progress: Progress) -> FitState | None:
    """Return the newest state of an earlier process, if any; the time it took counts."""
    states = FitStates(claim.checkpoints, say=progress.say)
    state = states.newest()
    if state is not None:
        states.forget_turns(but=len(state.turns))
        within = states.within_turn(len(state.turns)).newest()
        begun_s = 0.0 if within is None else within.values["result"]["seconds"]
        deadline.started -= state.spent_s + begun_s
    return state


def _note_job(asked: FitJob, claim: Claim, progress: Progress) -> bool:
    """Note what was asked for; return whether the job could go on from that."""
    try:
        asked.save(claim.building)
    except (WriteError, OSError, TypeError) as error:
        progress.say(f"if it is interrupted, it cannot go on: {error}")
        return False
    return True


def _turns(
    claim: Claim,
    found: FitState | None,
    plan: dict[str, Any],
    trials: list[LiveTrial],
    runner: TrialRunner,
    deadline: Deadline,
    left_s: float | None,
) -> Turns | None:
    """Return where turns are noted, from the state that was found or from the beginning on.

    None where the disk has no room for that.
    """
    needed = KEPT_STATES * _weight_bytes(trials, every=True)
    needed += MAX_CHECKPOINTS * COPIES * _weight_bytes(trials, every=False)
    if found is None and not claim.has_space(needed):
        runner.progress.say(
            f"if it is interrupted, it cannot go on: its states may take {needed >> 20:,} MiB"
        )
        return None
    states = FitStates(claim.checkpoints, say=runner.progress.say, found=found)
    state = found or FitState(plan, deadline.spent())
    if found is None:
        states.save(state, {})
    runner.stop.again = "exit at once; `convatlas resume` goes on from the last state"
    if found is None:
        return Turns(states, state, trials, runner, deadline.spent)
    return Turns(states, state, trials, runner, deadline.spent, left_s=left_s or 0.0)


def _choose(
    job: Job, runner: TrialRunner, rows: Sweeps, deadline: Deadline, *, transfer: bool
) -> tuple[list[LiveTrial], list[Trial]]:
    """Count the candidates and choose those that will be trained; the others' lines, too."""
    counting, deadline.slowdown = COUNTING_SHARE * deadline.seconds, slowdown()
    seconds = deadline.for_training(first=counting)
    candidates = (candidate for sweeps in rows.values() for sweep in sweeps for candidate in sweep)
    tasks, count = (job.task.name, *job.task.borrows), len(job.data.splits["train"])
    # The curves were recorded from fresh weights: public ones begin elsewhere.
    known = None if transfer else outlook(tasks, candidates, count, seconds, job.extent)
    counted = count_all(
        rows,
        job.budget,
        most_macs=trainable_macs(runner.speeds, seconds, transfer=transfer)
        if job.extent.timed
        else math.inf,
        seconds=counting,
        networks=None if job.extent.timed else COUNTED_NETWORKS,
        progress=runner.progress,
        outlook=known,
    )
    left = deadline.for_training()
    trials, others = choose_trials(
        job.task, counted, job.budget, runner.speeds, left, known, extent=job.extent
    )
    # Other forms of the most promising one compete from the start; time is short for them first.
    return [*trials, *runner.other_forms(trials[0], len(trials))], others


def _get_ready(
    runner: TrialRunner, trials: list[LiveTrial], others: list[Trial], deadline: Deadline
) -> None:
    """Read the data and find each network's fastest way, before the time of training runs.

    Trials that there is no time to read the data for move to the others.
    """
    for trial, reason in runner.read_data(trials, READING_SHARE * deadline.left()):
        trial.record.reason = reason
        trials.remove(trial)
        others.insert(0, trial.record)
    runner.stop.check()
    if runner.speeds.timed:
        runner.choose_ways(trials, WAYS_SHARE * deadline.left())
    runner.stop.check()


def _winner(ranked: list[LiveTrial], stop: StopRequest, claim: Claim) -> LiveTrial:
    """Return the best trial, marked as chosen.

    Raises:
        Stopped: a signal came before anything was validated.
        ConvatlasError: no network was judged, with the reason.
    """
    winner = ranked[0]
    if not winner.record.figures or winner.model is None:
        if stop.number is not None and can_go_on(claim.building):
            again = f"convatlas resume {shell_word(claim.folder)}"
            raise Stopped(f"stopped before the first validation; `{again}` goes on", stop.number)
        stop.check()
        claim.drop_checkpoints()  # it would only come to the same
        short = [e.record.reason for e in ranked if e.record.status == "failed"]
        raise ConvatlasError(
            f"fit: {'; '.join(short)}; give a budget for smaller networks"
            if short
            else "fit: training ended before any network could be judged"
        )
    winner.record.status = "chosen"
    return winner


def _check_options(asked: FitJob, limit_s: float) -> None:
    limit_s = limit_s if asked.time_limit_s is None else asked.time_limit_s
    if not 0 < limit_s < math.inf:
        raise UsageError(f"--time-limit must be above zero and finite, got {limit_s}")
    if not 0 <= asked.seed < 2**32:  # what every library that draws numbers takes
        raise UsageError(f"--seed must be from 0 to {2**32 - 1}, got {asked.seed}")
    if not 0 <= asked.max_broken <= 1:  # not-a-number fails, too
        raise UsageError(f"--max-broken must be a fraction from 0 to 1, got {asked.max_broken}")
    workers = asked.workers
    if workers is not None and not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"--workers must be a whole number from 1 to {MAX_WORKERS}, got {workers}")


def _task(name: str | None, model: str | None, data: str | Path) -> AnyTask:
    """The task that was named, that of the network, or the one that the data look like."""
    declared = find_entry(model).task if model is not None else CUSTOM
    if name is not None:
        chosen = find_task(name)
        if declared not in (CUSTOM, chosen.name, *chosen.borrows):
            raise UsageError(f"--model: {model} is for the task {declared}, not for {chosen.name}")
        return chosen
    if declared in TASKS:
        return task_of_network(declared, data)
    if declared != CUSTOM:
        raise UsageError(
            f"--model: {model} is for the task {declared}, which fit does not do yet; "
            "create_model builds it to be trained in Python"
        )
    return recognise_task(data)


def _weight_bytes(trials: list[LiveTrial], *, every: bool) -> int:
    """Return the bytes of the largest network, or of every one together."""
    sizes = [cost.weight_bytes for e in trials if (cost := e.counted.cost) is not None]
    return sum(sizes) if every else max(sizes, default=0)
