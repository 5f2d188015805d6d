"""`train`: one network by one recipe, as it is written; a run folder like that of `fit` comes out.

The parts are those of `fit` without its choice: nothing that is measured changes the recipe.
"""

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from convatlas.data.dataset import Dataset
from convatlas.data.threads import reading_threads
from convatlas.deadline import Deadline
from convatlas.errors import ConvatlasError, UsageError
from convatlas.models.registry import find_entry
from convatlas.pipeline.compete import compete
from convatlas.pipeline.extent import Extent
from convatlas.pipeline.finishing import finish
from convatlas.pipeline.folder import claimed, claimed_free
from convatlas.pipeline.freezing import check_freeze
from convatlas.pipeline.initial_checkpoints import NO, YES, initial_checkpoints
from convatlas.pipeline.keeping import Job, keep_data, keep_winner
from convatlas.pipeline.opening import open_data
from convatlas.pipeline.run import Run
from convatlas.pipeline.teachers import teacher_of
from convatlas.pipeline.training_plan import task_of
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.pipeline.waiting_trial import waiting_trial
from convatlas.progress import Progress, Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import CostedCandidate, count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks import find_task
from convatlas.tasks.task import AnyTask
from convatlas.train.device import usable_precision, using_device
from convatlas.train.log import RunLog
from convatlas.train.recipe_file import NamedRecipe
from convatlas.train.stop import Stoppable, StopRequest

NO_LIMIT_S = 1e9


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
    progress: Progress | None = None,
    started: float | None = None,
) -> Run:
    """Train, test and export one network as its recipe says.

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
        started: `time.perf_counter()` when the job began.

    Raises:
        DataError: the data cannot be used.
        UsageError: an option cannot be used, or the network does not take such inputs.
        WeightsError: public weights were asked for and cannot be had.
    """
    training, progress = recipe.training, progress or Silent()
    usable_precision(training.precision)
    chosen = task_of(recipe.network) if task is None else find_task(task)
    options = dict(recipe.data)
    chosen.check_options(options)
    check_freeze(training.freeze, YES if pretrained else NO, recipe.network)
    deadline = Deadline(NO_LIMIT_S, started)
    extent = Extent(training.epochs, 1, timed=False)
    with StopRequest() as stop, ExitStack() as held:
        held.enter_context(using_device(device))
        held.enter_context(reading_threads(workers))
        early = Stoppable(progress, stop)
        claim = held.enter_context(claimed(Path(out), force=force, data=data)) if out else None
        opened = open_data(
            chosen,
            data,
            seed=training.seed,
            max_broken=max_broken,
            options=options,
            progress=early,
            deadline=deadline,
        )
        claim = claim or held.enter_context(claimed_free(opened.name))
        counted = _counted(recipe, chosen, opened, pretrained, early)
        taught = {"temperature": temperature, "soft_fraction": soft_fraction} if teacher else {}
        call = _call(recipe, task, {"pretrained": pretrained or None, "teacher": teacher, **taught})
        job = Job(chosen, opened, Budget(), training, call, extent)
        runner = TrialRunner(chosen, opened, training, stop, early, options)
        runner.speeds.timed, runner.fixed, runner.most = False, frozenset({"batch_size"}), 1
        if teacher is not None:
            teacher_of(teacher, opened, runner.trial_data, early, **taught)
        trial = LiveTrial(counted, waiting_trial(chosen, counted))
        claim.check_space(counted.cost.weight_bytes if counted.cost else 0)
        keep_data(chosen, opened, claim.building)
        runner.read_data([trial])
        runner.progress = runner.trial_data.progress = progress
        log = RunLog(claim.building)
        compete(runner, [trial], None, log, extent.epochs)
        log.close()
        run = keep_winner(job, runner, claim, _trained(trial, stop), [trial.record])
        assert trial.model is not None
        assert counted.cost is not None
        settings, facts = run.config.settings, run.config.facts
        predictor = chosen.predictor(trial.model.eval(), settings, facts).eval()
        with StopRequest() as later:
            later.again = "exit at once; the trained network is kept"
            ended = stop if stop.number not in (None, signal.SIGINT) else later
            finish(run, opened, predictor, counted.cost, progress, ended, deadline)
        run.stopped = stop.number or later.number
        return run


def _counted(
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


def _trained(trial: LiveTrial, stop: StopRequest) -> LiveTrial:
    if not trial.record.figures or trial.model is None:
        stop.check()
        raise ConvatlasError(f"train: {trial.record.reason or 'ended before any validation'}")
    trial.record.status = "chosen"
    return trial


def _call(recipe: NamedRecipe, task: str | None, further: dict[str, Any]) -> dict[str, Any]:
    """Return the command as it was given, for the run and its report."""
    given = {name: value for name, value in further.items() if value is not None}
    call: dict[str, Any] = {"verb": "train", "recipe_name": recipe.path or recipe.name}
    call |= {"follows": recipe.source, "set": dict(recipe.changed), **given}
    return call if task is None else {**call, "task": task}
