"""`fit`: data and a budget in; the best network that fits, trained, tested and exported, out."""

import math
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from convatlas.data.threads import reading_threads
from convatlas.deadline import Deadline, slowdown
from convatlas.errors import ConvatlasError, UsageError
from convatlas.models.registry import CUSTOM, find_entry
from convatlas.pipeline.call import record_call
from convatlas.pipeline.compete import compete
from convatlas.pipeline.config import FRONT, Trial
from convatlas.pipeline.dropped_weights import DroppedWeights
from convatlas.pipeline.expect_end import expect_end
from convatlas.pipeline.extent import Extent
from convatlas.pipeline.fine_tune import fine_tune
from convatlas.pipeline.finishing import finish
from convatlas.pipeline.folder import claimed, claimed_free
from convatlas.pipeline.folding import (
    check_folds,
    contest_seconds,
    few_examples,
    folds_of_heads,
    validate_by_folds,
)
from convatlas.pipeline.freezing import check_freeze, starts_that_freeze
from convatlas.pipeline.front_folders import save_front as save_front_of
from convatlas.pipeline.initial_checkpoints import (
    AUTO,
    YES,
    initial_checkpoints,
    pretrained_word,
)
from convatlas.pipeline.keeping import Job, keep_data, keep_winner
from convatlas.pipeline.opening import open_data
from convatlas.pipeline.outlook import outlook
from convatlas.pipeline.run import Run
from convatlas.pipeline.select_trials import Sweeps, choose_trials, count_all, trainable_macs
from convatlas.pipeline.training_recipe import (
    checked_recipe,
    fixed_options,
    suited,
)
from convatlas.pipeline.transfer import (
    choose_for_heads,
    compete_by_heads,
    fitting_checkpoints,
    takes_heads,
)
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.progress import Progress, Silent
from convatlas.search.budget import Budget
from convatlas.search.priority import pareto_front
from convatlas.search.space import distinct_architectures
from convatlas.tasks import TASKS, find_task, recognise_task, task_of_network
from convatlas.tasks.task import AnyTask
from convatlas.train.device import using_device
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.stop import Stoppable, StopRequest
from convatlas.typed_numbers import parse_seconds

USUAL_LIMIT_S = 600.0
NO_LIMIT_S = 1e9
COUNTED_NETWORKS = 24  # that fit, where no time limits the counting
COUNTING_SHARE = 0.08  # of the limit, for counting candidates
READING_SHARE = 0.25  # of what is left, for reading the data in the forms of the trials
WAYS_SHARE = 0.05  # of what is left, for finding out how each network computes fastest
MAX_WORKERS = 256  # threads that read


def fit(
    data: str | Path,
    *,
    budget: Budget | None = None,
    task: str | None = None,
    model: str | None = None,
    pretrained: str | bool = "auto",
    time_limit_s: float | str | None = None,
    epochs: float | None = None,
    max_trials: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    save_front: bool = False,
    force: bool = False,
    max_broken: float = 0.05,
    recipe: Recipe | Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int | None = None,
    folds: int | None = None,
    progress: Progress | None = None,
    started: float | None = None,
    **options: Any,
) -> Run:
    """Choose, train, test and export the best network within a budget.

    Args:
        data: `digits`, or a folder or file in a layout of the task.
        budget: what the network may cost; None asks for the best that the time allows.
        task: what the network is for; None takes that of `model`, or the one whose layout the data
            have.
        model: a registered name, to try only that network (at every input size).
        pretrained: start from public weights. `auto` does where the data are of the kind that
            they were trained on (photographs) and some that fit the budget are on this machine;
            what a download would bring is said, and nothing is downloaded. `yes` (or True) takes
            those of `model`, downloaded if need be, or of every network whose weights are on this
            machine. `no` (or False) trains from fresh weights.
        time_limit_s: wall-clock seconds for everything together, from the start to the report;
            or text such as "10m". 10 minutes where neither it nor `epochs` is given.
        epochs: passes over the training examples that the chosen network gets in all, with fewer
            for those that drop out. Without a time limit no clock decides anything: the same seed
            gives the same network with the same weights on the same machine, as far as torch does.
        max_trials: how many networks are trained at the most.
        out: the run folder; None makes `runs/<name of the data>`.
        seed: of the split, the weights, the order and the augmentation.
        save_front: also keep the networks that no other beats (`Run.pareto`), each as a run of its
            own in `front/<n>-<model>/` of the run folder.
        force: replace a run that the folder holds.
        max_broken: share of unreadable files that is skipped; above it the job stops.
        recipe: how to train; the default suits every registered network, or its public weights. A
            mapping such as `{"batch_size": 32, "lr": 1e-3, "precision": "bf16"}` changes these
            options of the default and keeps them as they are; a whole `Recipe` has its batch and
            passes adapted to the number of examples, as the default has. `freeze` keeps a part of
            the public weights as they are: a number of stages, the name of the last part to keep
            (`stages.2`), or `all-but-head`; norms of these parts stay in evaluation mode.
        device: that networks train on: `auto` (a GPU, if there is one), `cpu`, `mps`, `cuda`, or
            `cuda:1` for the second GPU. Latency, test and export are always those of the CPU.
        workers: threads that read, decode and resize files; None takes one for each core, at most
            8. Augmentation needs none: it runs on whole batches where the network trains.
        folds: validate the chosen network by that many folds of training and validation examples,
            for each of which it is trained anew as long as it was itself: a limit is shared out
            between them. Heads on frozen features are all validated so, and compared by it. Below
            150 validation examples that is done with 5 folds where it takes no other work's time.
        started: `time.perf_counter()` when the job began, from which the limit counts; now where
            not given.
        options: of the task, stored with the run. For images with classes: `augmentation`, one of
            `none digits tiny photo` (the data decide where not given); `label_smoothing` (0.1
            where not given); `metric`, `accuracy` or `balanced_accuracy`, which decides;
            `class_weights` of the loss, `none`, `balanced` or a number for each class;
            `max_pixels` of one image (64 million where not given; a larger JPEG is read at a
            reduced size, a larger image of any other format counts as broken); `value_range`, the
            values that mean black and white in files deeper than 8 bits (the depth that the files
            state, or else that of the training images, where not given).

    Raises:
        DataError: the data cannot be used.
        UsageError: an option cannot be used.
        BudgetError: no network fits; the message names the nearest.
        WeightsError: public weights were asked for and cannot be had.
    """
    if isinstance(time_limit_s, str):
        time_limit_s = parse_seconds(time_limit_s)
    pretrained = pretrained_word(pretrained)
    call = record_call(fit, {**locals(), **options})
    extent = Extent(epochs, max_trials, timed=epochs is None or time_limit_s is not None)
    limit = time_limit_s or (USUAL_LIMIT_S if extent.timed else NO_LIMIT_S)
    _check_options(limit if time_limit_s is None else time_limit_s, seed, max_broken, workers)
    deadline = Deadline(limit, started)
    progress, budget = progress or Silent(), budget or Budget()
    chosen = _task(task, model, data)
    options = {name: value for name, value in options.items() if value is not None}
    chosen.check_options(options)
    check_folds(folds, chosen)
    tasks = (chosen.name, *chosen.borrows)
    networks = [entry for each in tasks for entry in distinct_architectures(each)]
    entries = [find_entry(model)] if model else pareto_front(networks)

    with StopRequest() as stop, ExitStack() as held:
        held.enter_context(using_device(device))
        held.enter_context(reading_threads(workers, progress.say))
        freeze = checked_recipe(recipe).freeze
        check_freeze(freeze, pretrained, model)
        early = Stoppable(progress, stop)  # until there is something to keep
        claim = held.enter_context(claimed(Path(out), force=force, data=data)) if out else None
        starts = initial_checkpoints(model, early, tasks) if pretrained == YES else []
        opened = open_data(
            chosen,
            data,
            seed=seed,
            max_broken=max_broken,
            options=options,
            progress=early,
            deadline=deadline,
        )
        claim = claim or held.enter_context(claimed_free(opened.name))
        if pretrained == AUTO:
            starts = fitting_checkpoints(chosen, opened, model, budget, early)
        starts = starts_that_freeze(starts, freeze)
        usual = chosen.transfer_recipe if starts else chosen.recipe
        whole = suited(recipe, opened, seed, usual)
        job = Job(chosen, opened, budget, whole, call, extent)
        runner = TrialRunner(chosen, opened, whole, stop, early, options)
        runner.speeds.timed, runner.fixed = extent.timed, fixed_options(recipe)
        if (line := few_examples(chosen, opened)) is not None:
            early.say(line)
        runner.most = max_trials
        runner.folds = folds_of_heads(folds, chosen, opened)
        heads = bool(starts) and epochs is None and takes_heads(runner)
        if starts:
            rows = chosen.pretrained(starts, opened)
        else:
            rows = chosen.fresh(entries, opened, fixed_width=model is not None)
        if heads:
            trials, others = choose_for_heads(job, runner, rows, deadline)
        else:
            trials, others = _choose(job, runner, rows, deadline, transfer=bool(starts))
        claim.check_space(_weight_bytes(trials, every=save_front))
        if save_front:
            runner.dropped = DroppedWeights(claim.building / FRONT, progress)
        keep_data(chosen, opened, claim.building)
        if not heads:
            _get_ready(runner, trials, others, deadline)
        runner.progress = runner.trial_data.progress = progress
        expect_end(runner, trials, deadline)
        log = RunLog(claim.building)
        if heads:
            ranked = compete_by_heads(runner, trials, deadline, log)
            fine_tune(runner, ranked[0], deadline, log)
        else:
            seconds = contest_seconds(deadline.for_training(), folds) if extent.timed else None
            ranked = compete(runner, trials, seconds, log, extent.epochs)
        log.close()
        winner = _winner(ranked, stop)
        if not heads:
            winner.record.folds = validate_by_folds(runner, winner, folds, deadline)
        leaderboard = [e.record for e in ranked] + others
        run = keep_winner(job, runner, claim, winner, leaderboard)
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


def _winner(ranked: list[LiveTrial], stop: StopRequest) -> LiveTrial:
    """Return the best trial, marked as chosen.

    Raises:
        ConvatlasError: no network was judged, with the reason.
    """
    winner = ranked[0]
    if not winner.record.figures or winner.model is None:
        stop.check()
        short = [e.record.reason for e in ranked if e.record.status == "failed"]
        raise ConvatlasError(
            f"fit: {'; '.join(short)}; give a budget for smaller networks"
            if short
            else "fit: training ended before any network could be judged"
        )
    winner.record.status = "chosen"
    return winner


def _check_options(time_limit_s: float, seed: int, max_broken: float, workers: int | None) -> None:
    if not 0 < time_limit_s < math.inf:
        raise UsageError(f"--time-limit must be above zero and finite, got {time_limit_s}")
    if not 0 <= seed < 2**32:  # what every library that draws numbers takes
        raise UsageError(f"--seed must be from 0 to {2**32 - 1}, got {seed}")
    if not 0 <= max_broken <= 1:  # not-a-number fails, too
        raise UsageError(f"--max-broken must be a fraction from 0 to 1, got {max_broken}")
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
