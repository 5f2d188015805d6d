"""`train`: one network by one recipe, as it is written; a run folder like that of `fit` comes out.

The parts are those of `fit` without its choice: nothing that is measured changes the recipe.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from convatlas.data.dataset import Dataset
from convatlas.data.threads import reading_threads
from convatlas.deadline import Deadline
from convatlas.errors import ConvatlasError, Stopped, UsageError
from convatlas.models.registry import find_entry
from convatlas.pipeline.compete import compete
from convatlas.pipeline.extent import Extent
from convatlas.pipeline.finishing import finish
from convatlas.pipeline.folder import Claim, can_go_on, claimed, claimed_free
from convatlas.pipeline.freezing import check_freeze
from convatlas.pipeline.initial_checkpoints import NO, YES, initial_checkpoints
from convatlas.pipeline.keeping import Job, keep_data, keep_winner
from convatlas.pipeline.opening import open_data
from convatlas.pipeline.run import Run
from convatlas.pipeline.teachers import teacher_of
from convatlas.pipeline.train_job import TrainJob
from convatlas.pipeline.training_plan import task_of
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.pipeline.waiting_trial import waiting_trial
from convatlas.progress import Progress, Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import CostedCandidate, count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks import find_task
from convatlas.tasks.task import AnyTask
from convatlas.text import shell_word
from convatlas.train.checkpoints import EVERY_S, Checkpoints
from convatlas.train.device import usable_precision, using_device
from convatlas.train.log import RunLog
from convatlas.train.processes import Processes, processes
from convatlas.train.recipe_file import NamedRecipe
from convatlas.train.stop import LEAVE_S, Stoppable, StopRequest

NO_LIMIT_S = 1e9
# Times the weights, as `Claim.check_space` counts: four checkpoints while one is written, each with
# network, average, best weights and two of the optimizer.
WITH_CHECKPOINTS = 8


def train_one(
    recipe: NamedRecipe,
    data: str | Path,
    *,
    task: str | None = None,
    pretrained: bool = False,
    teacher: str | None = None,
    temperature: float = 4.0,
    soft_fraction: float = 0.9,
    out: str | Path | None = None,
    force: bool = False,
    max_broken: float = 0.05,
    device: str = "auto",
    workers: int | None = None,
    checkpoint_every_s: float = EVERY_S,
    progress: Progress | None = None,
    started: float | None = None,
) -> Run:
    """Train, test and export one network as its recipe says.

    Under torchrun the processes share every batch out; the main one alone tests and writes, while
    the others wait for the run that all return.

    Args:
        recipe: as `find_recipe` gives it, changed by `with_options`.
        data: as for `fit`.
        task: what the network is for, where it may be borrowed: networks of images for sounds.
        pretrained: start from public weights, downloaded if need be.
        teacher: a run folder, or a network with public weights for the same classes, whose softened
            answers are learned beside the labels.
        temperature: of the teacher's answers.
        soft_fraction: of the loss that is the teacher's.
        out: the run folder; None makes `runs/<name of the data>`.
        force: replace a run that the folder holds.
        max_broken: share of unreadable files that is skipped.
        device: that the network trains on, as for `fit`.
        workers: threads that read files, as for `fit`.
        checkpoint_every_s: seconds between checkpoints within an epoch; there is one at the end of
            each, too, as far as writing them takes no more than 2 % of the time. `resume` goes on
            from the newest.
        started: `time.perf_counter()` when the job began.

    Raises:
        DataError: the data cannot be used.
        UsageError: an option cannot be used, or the network does not take such inputs.
        WeightsError: public weights were asked for and cannot be had.
        EndedByMain: in another process than the main one, where that one ended with an error.
    """
    asked = TrainJob(
        recipe,
        os.fspath(data),
        task,
        pretrained,
        teacher,
        temperature,
        soft_fraction,
        max_broken,
        device,
        workers,
        checkpoint_every_s,
    )
    return run_job(
        asked,
        lambda: claimed(Path(out), force=force, data=data) if out else None,
        progress or Silent(),
        started,
    )


def run_job(
    asked: TrainJob,
    hold: Callable[[], AbstractContextManager[Claim] | None],
    progress: Progress,
    started: float | None,
    same_data: Callable[[Dataset, Claim], None] | None = None,
) -> Run:
    """Train, test and export what was asked for, from the newest checkpoint of the folder on.

    Args:
        hold: holds the run folder; None takes a free one.
        same_data: refuses data that are not those that the run began with.
    """
    recipe, training = asked.recipe, asked.recipe.training
    team = processes()
    if not team.main:
        progress = Silent()
    usable_precision(training.precision)
    chosen = task_of(recipe.network) if asked.task is None else find_task(asked.task)
    options = dict(recipe.data)
    chosen.check_options(options)
    check_freeze(training.freeze, YES if asked.pretrained else NO, recipe.network)
    deadline = Deadline(NO_LIMIT_S, started)
    extent = Extent(training.epochs, 1, timed=False)
    with StopRequest() as stop, ExitStack() as held:
        stop.limit_s = LEAVE_S
        held.enter_context(using_device(asked.device))
        held.enter_context(reading_threads(asked.workers, progress.say))
        early = Stoppable(progress, stop)
        claim = team.main_does(partial(_entered, held, hold))
        opened = open_data(
            chosen,
            asked.data,
            seed=training.seed,
            max_broken=asked.max_broken,
            options=options,
            progress=early,
            deadline=deadline,
        )
        claim = team.main_does(partial(_free_if_none, claim, held, opened))
        if same_data is not None:
            team.main_does(lambda: same_data(opened, claim) if claim else None)
        counted = counted_form(recipe, chosen, opened, asked.pretrained, early)
        job = Job(chosen, opened, Budget(), training, asked.call(), extent)
        runner = TrialRunner(chosen, opened, training, stop, early, options)
        runner.speeds.timed, runner.fixed, runner.most = False, frozenset({"batch_size"}), 1
        if asked.teacher is not None:
            teacher_of(asked.teacher, opened, runner.trial_data, early, **asked.taught())
        trial = LiveTrial(counted, waiting_trial(chosen, counted))
        log = team.main_does(partial(_begun, claim, asked, job, counted)) or RunLog()
        runner.read_data([trial])
        runner.progress = runner.trial_data.progress = progress
        again = ""
        if claim is not None:
            runner.checkpoints = Checkpoints(
                claim.checkpoints, every_s=asked.checkpoint_every_s, say=progress.say
            )
            again = f"convatlas resume {shell_word(claim.folder)}"
        progress.say(f"checkpoints are written; if it is interrupted, `{again}` goes on")
        stop.again = "exit at once; the last checkpoint is kept"
        stop.kept = f"`{again}` goes on from the last checkpoint, if there is one"
        compete(runner, [trial], None, log, extent.epochs)
        log.close()
        may_go_on = trial.record.status == "diverged" or stop.requested
        way_on = again if claim is not None and can_go_on(claim.building) else None
        judged = _trained(trial, stop, team.from_main(way_on))
        ending = partial(_kept_and_finished, job, runner, claim, judged, deadline, may_go_on)
        run = team.main_does(ending)
        return _run_of_all(run, team)


def _kept_and_finished(
    job: Job,
    runner: TrialRunner,
    claim: Claim | None,
    trial: LiveTrial,
    deadline: Deadline,
    may_go_on: bool,
) -> Run:
    """Store what was trained, then test and export it."""
    assert claim is not None
    stop, cost = runner.stop, trial.counted.cost
    run = keep_winner(job, runner, claim, trial, [trial.record], may_go_on=may_go_on)
    assert trial.model is not None
    assert cost is not None
    settings, facts = run.config.settings, run.config.facts
    predictor = job.task.predictor(trial.model.eval(), settings, facts).eval()
    word = shell_word(run.path)
    with StopRequest() as later:
        later.again = "exit at once; the trained network is kept"
        later.limit_s = LEAVE_S
        later.kept = f"the trained network is kept; `convatlas report {word}` does the rest"
        ended = stop if stop.requested else later
        finish(run, job.data, predictor, cost, runner.progress, ended, deadline)
    run.stopped = stop.number or later.number
    return run


def _run_of_all(run: Run | None, team: Processes) -> Run:
    """Return the run of the main process, in every process."""
    told = team.from_main((run.path, run.config, run.stopped) if run else None)
    assert told is not None
    path, config, stopped = told
    found = run or Run(path, config)
    found.stopped = stopped
    return found


def _entered(
    held: ExitStack, hold: Callable[[], AbstractContextManager[Claim] | None]
) -> Claim | None:
    holding = hold()
    return held.enter_context(holding) if holding is not None else None


def _free_if_none(claim: Claim | None, held: ExitStack, data: Dataset) -> Claim:
    return claim or held.enter_context(claimed_free(data.name))


def _begun(claim: Claim | None, asked: TrainJob, job: Job, counted: CostedCandidate) -> RunLog:
    """Write what a run begins with; return its log."""
    assert claim is not None
    claim.check_space(_stored_bytes(counted))
    keep_data(job.task, job.data, claim.building)
    asked.save(claim.building)
    return RunLog(claim.building)


def _stored_bytes(counted: CostedCandidate) -> int:
    """Return the bytes of weights, times what checkpoints need of them and what a run needs."""
    return WITH_CHECKPOINTS * counted.cost.weight_bytes if counted.cost else 0


def counted_form(
    recipe: NamedRecipe, task: AnyTask, data: Dataset, pretrained: bool, progress: Progress
) -> CostedCandidate:
    """Count the network at the size of the recipe, or the largest of the data's that it takes."""
    network, size = recipe.network, recipe.size
    entry = find_entry(network)
    if pretrained:
        starts = initial_checkpoints(network, progress, (task.name, *task.borrows))
        rows = task.pretrained(starts, data)
    elif size is not None:
        rows = {network: [[task.at_size(entry, data, size)]]}
    else:
        rows = task.fresh([entry], data, fixed_width=True)
    forms = [candidate for sweeps in rows.values() for sweep in sweeps for candidate in sweep]
    if size is not None:
        forms = [each for each in forms if each.example.get("size") == size]
    reason = f"no public weights for inputs of {size} pixels"
    for form in forms:
        options = {**form.options, **recipe.options}
        candidate = Candidate(form.name, options, form.example, form.checkpoint, form.prepare)
        counted = count_candidate(candidate, Budget())
        if counted.fits:
            return counted
        reason = counted.reason
    raise UsageError(f"{network}: {reason}")


def _trained(trial: LiveTrial, stop: StopRequest, again: str | None) -> LiveTrial:
    """Return the trial, marked as chosen.

    Args:
        again: the command that goes on from its checkpoint, where there is one.
    """
    if not trial.record.figures or trial.model is None:
        if stop.number is not None and again is not None:
            raise Stopped(f"stopped before the first validation; `{again}` goes on", stop.number)
        stop.check()
        raise ConvatlasError(f"train: {trial.record.reason or 'ended before any validation'}")
    trial.record.status = "chosen"
    return trial
