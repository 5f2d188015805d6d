"""`fit`: data and a budget in; the best network that fits, trained, tested and exported, out."""

import datetime
import json
import math
import signal
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

import convatlas
from convatlas.cost import Cost, best_latency
from convatlas.data import ImageData, Preprocess, open_images
from convatlas.data.kept_pixels import KeptPixels
from convatlas.data.stored_reading import Reading, chosen_reading
from convatlas.deadline import Deadline, slowdown
from convatlas.deploy.classifier import ImageClassifier
from convatlas.errors import ConvatlasError, UsageError
from convatlas.models.registry import find_entry
from convatlas.pipeline.call import record_call
from convatlas.pipeline.config import FILE_NAMES, STEPS, RunConfig, Trial
from convatlas.pipeline.evaluate_split import sample_images
from convatlas.pipeline.finishing import finish
from convatlas.pipeline.folder import Claim, claimed, claimed_free
from convatlas.pipeline.initial_checkpoints import initial_checkpoints
from convatlas.pipeline.run import Run
from convatlas.pipeline.sample import MOST_IMAGES, save_sample
from convatlas.pipeline.select_trials import (
    choose_trials,
    count_all,
    fresh_candidates,
    trainable_macs,
    transfer_candidates,
)
from convatlas.pipeline.trials import LiveTrial, OutOfMemory, TrialRunner
from convatlas.progress import Progress, Silent
from convatlas.replacing import replacing
from convatlas.search.budget import Budget
from convatlas.search.halving import halve, plan_rungs
from convatlas.search.promise import undominated
from convatlas.search.space import structures
from convatlas.text import printable
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.stop import Stoppable, StopRequest
from convatlas.train.weights import save_weights
from convatlas.typed_numbers import parse_seconds

COUNTING_SHARE = 0.08  # of the limit, for counting candidates
READING_SHARE = 0.25  # of what is left, for decoding the images at the sizes of the trials
WAYS_SHARE = 0.05  # of what is left, for finding out how each network computes fastest
PACE_SECONDS = 2.0  # of checking files, after which its whole time can be told
LONG_READING = 0.4  # of the limit: if checking the files takes so much, it is said beforehand
USUAL_TEST = 0.05  # of the limit, which the time that is kept for what follows training includes
TOLERANCE = 0.1  # of the limit: an end so much later is said beforehand
BUSY = 1.2  # times slower than alone, from which other programs are named as a cause
LEAST_BATCH = 16  # images: with fewer, batch norm has too little to go by
STEPS_A_PASS = 30  # at least, as far as the smallest batch allows
LEAST_STEPS = 4000  # that a run without a time limit takes, however few the images
TRANSFER = Recipe()  # from public weights
LATENCY_SECONDS = 2.0  # of timing the winner


def fit(
    data: str | Path,
    *,
    budget: Budget | None = None,
    model: str | None = None,
    pretrained: bool = False,
    time_limit_s: float | str = 600.0,
    out: str | Path | None = None,
    seed: int = 0,
    force: bool = False,
    max_broken: float = 0.05,
    max_pixels: float | None = None,
    value_range: tuple[float, float] | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    started: float | None = None,
) -> Run:
    """Choose, train, test and export the best network within a budget.

    Args:
        data: `digits`, a folder or a CSV file, as `open_images` takes it.
        budget: what the network may cost; None asks for the best that the time allows.
        model: a registered name, to try only that network (at every input size).
        pretrained: start from public weights: of `model`, downloaded if need be, or of every
            network whose weights are on this machine.
        time_limit_s: wall-clock seconds for everything together, from the start to the report;
            or text such as "10m".
        out: the run folder; None makes `runs/<name of the data>`.
        seed: of the split, the weights, the order and the augmentation.
        force: replace a run that the folder holds.
        max_broken: share of unreadable files that is skipped; above it the job stops.
        max_pixels: of one image; None allows 64 million. A larger JPEG is read at a reduced size,
            a larger image of any other format counts as broken.
        value_range: the values that mean black and white in files deeper than 8 bits; None takes
            the depth that the files state, or else that of the training images. Stored with the
            run.
        recipe: how to train; the default suits every registered network, or its public weights.
        started: `time.perf_counter()` when the job began, from which the limit counts; now where
            not given.

    Raises:
        DataError: the data cannot be used.
        UsageError: an option cannot be used.
        BudgetError: no network fits; the message names the nearest.
        WeightsError: public weights were asked for and cannot be had.
    """
    if isinstance(time_limit_s, str):
        time_limit_s = parse_seconds(time_limit_s)
    call = record_call(fit, locals())
    _check_options(time_limit_s, seed, max_broken)
    deadline = Deadline(time_limit_s, started)
    reading = chosen_reading(max_pixels, value_range)
    progress, budget = progress or Silent(), budget or Budget()
    entries = [find_entry(model)] if model else undominated(structures())

    with StopRequest() as stop, ExitStack() as held:
        early = Stoppable(progress, stop)  # until there is something to keep
        claim = held.enter_context(claimed(Path(out), force=force, data=data)) if out else None
        starts = initial_checkpoints(model, early) if pretrained else []
        kept = KeptPixels()
        images = _open(data, seed, max_broken, reading, early, deadline, kept)
        claim = claim or held.enter_context(claimed_free(images.name))
        recipe = _suited(recipe or (TRANSFER if pretrained else Recipe()), images, seed)
        runner = TrialRunner(images, recipe, stop, early)
        if pretrained:
            rows = transfer_candidates(starts, images)
        else:
            rows = fresh_candidates(entries, images, fixed_width=model is not None)
        counting, deadline.slowdown = COUNTING_SHARE * time_limit_s, slowdown()
        seconds = deadline.for_training(first=counting)
        most_macs = trainable_macs(runner.speeds, seconds, transfer=pretrained)
        counted = count_all(rows, budget, most_macs=most_macs, seconds=counting, progress=early)
        seconds = deadline.for_training()
        trials, others = choose_trials(counted, budget, runner.speeds, seconds)
        claim.check_space(_weight_bytes(trials))
        keep_images(images, claim.building)
        for trial, reason in runner.read_images(trials, READING_SHARE * deadline.left()):
            trial.record.reason = reason
            trials.remove(trial)
            others.insert(0, trial.record)
        kept.forget()  # training needs the memory
        stop.check()
        runner.choose_ways(trials, WAYS_SHARE * deadline.left())
        stop.check()
        runner.progress = runner.images.progress = progress
        _expect_end(runner, trials, deadline)
        log = RunLog(claim.building)
        seconds = deadline.for_training()
        ranked = _compete(runner, trials, seconds, log)
        log.close()
        winner = ranked[0]
        if winner.record.accuracy is None or winner.model is None or winner.preprocess is None:
            stop.check()
            short = [e.record.reason for e in ranked if e.record.status == "failed"]
            raise ConvatlasError(
                f"fit: {'; '.join(short)}; give a budget for smaller networks"
                if short
                else "fit: training ended before any network could be judged"
            )
        winner.record.status = "chosen"
        leaderboard = [e.record for e in ranked] + others
        run = _kept(
            claim,
            images,
            budget,
            recipe,
            call,
            winner,
            leaderboard,
            stop,
            progress,
        )
        classifier = ImageClassifier(run.config.preprocess(), winner.model.eval()).eval()
        assert winner.counted.cost is not None
        with StopRequest() as later:
            later.again = "leave at once; the trained network is kept"
            # Whoever presses Ctrl-C wants the result now; who ends the process gives it no time.
            ended = stop if stop.number not in (None, signal.SIGINT) else later
            finish(run, images, classifier, winner.counted.cost, progress, ended, deadline)
        run.stopped = stop.number or later.number
        return run


def _check_options(time_limit_s: float, seed: int, max_broken: float) -> None:
    if not 0 < time_limit_s < math.inf:
        raise UsageError(f"--time-limit must be above zero and finite, got {time_limit_s}")
    if not 0 <= seed < 2**32:  # what every library that draws numbers takes
        raise UsageError(f"--seed must be from 0 to {2**32 - 1}, got {seed}")
    if not 0 <= max_broken <= 1:  # not-a-number fails, too
        raise UsageError(f"--max-broken must be a share from 0 to 1, got {max_broken}")


def _open(
    data: str | Path,
    seed: int,
    max_broken: float,
    reading: Reading,
    progress: Progress,
    deadline: Deadline,
    kept: KeptPixels,
) -> ImageData:
    bar = progress.bar("checking files", unit="files")
    first: tuple[float, float] | None = None  # done, and when: reading has begun then
    foretold = False

    def update(done: float, total: float | None = None) -> None:
        nonlocal first, foretold
        now = time.perf_counter()
        first = first or (done, now)
        if not foretold and total and now - first[1] > PACE_SECONDS and done > first[0]:
            foretold = True
            seconds = (now - first[1]) / (done - first[0]) * total
            if seconds > LONG_READING * deadline.seconds:
                progress.say(
                    f"checking {total:,.0f} files takes about {seconds:.0f} s of the "
                    f"{deadline.seconds:.0f} s limit; the job may take longer than its limit"
                )
        bar.update(done, total)

    images = open_images(
        data, seed=seed, max_broken=max_broken, reading=reading, progress=update, kept=kept
    )
    bar.close()
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in images.splits.items())
    progress.say(
        f"{printable(images.name)}: {len(images.classes)} classes, {sizes}, "
        f"{images.width} x {images.height} pixels, {images.channels} channel(s)"
    )
    for line in (*images.scan.notes, *images.scan.warnings()):
        progress.say(line)
    return images


def _expect_end(runner: TrialRunner, trials: list[LiveTrial], deadline: Deadline) -> None:
    """Keep time for testing a slow network, and say beforehand where the limit will not hold."""
    images = len(runner.data.splits["test"])
    slowest = max(runner.answer_seconds(e, images) for e in trials)
    deadline.test_s = max(0.0, slowest - USUAL_TEST * deadline.seconds)
    if deadline.late() > TOLERANCE * deadline.seconds:
        causes = [f"{deadline.spent():.0f} s have passed before training"]
        if deadline.slowdown > BUSY:
            causes.append(f"other programs slow this one down {deadline.slowdown:.1f} times")
        if deadline.test_s:
            causes.append(f"answering {images:,} test images takes about {slowest:.0f} s")
        runner.progress.say(
            f"the limit of {deadline.seconds:.0f} s cannot be kept, the job takes about "
            f"{deadline.seconds + deadline.late():.0f} s: {', '.join(causes)}"
        )


def _suited(recipe: Recipe, images: ImageData, seed: int) -> Recipe:
    """Batches small enough for small data to give many steps, and as many passes as they need."""
    count = len(images.splits["train"])
    batch = min(recipe.batch_size, max(LEAST_BATCH, count // STEPS_A_PASS))
    epochs = max(recipe.epochs, LEAST_STEPS * batch / count)
    return recipe.with_options(batch_size=batch, epochs=epochs, seed=seed)


def _compete(
    runner: TrialRunner, trials: list[LiveTrial], seconds: float, log: RunLog
) -> list[LiveTrial]:
    """Successive halving; the winner's last round is what the log shows."""
    everyone = list(trials)
    rungs = plan_rungs(len(trials), seconds)
    progress = runner.progress
    progress.say(f"training {len(trials)} of the networks that fit, {seconds:.0f} s in all")

    def play(trial: LiveTrial, slot: float, last: bool) -> float | None:
        record = trial.record
        if runner.stop.requested and record.accuracy is not None:
            return trial.score
        name = f"{record.model} {record.size} px"
        title = f"final training: {name}" if last else name
        try:
            result = runner.train(trial, slot, title=title, log=log if last else None)
        except OutOfMemory as error:
            progress.say(f"{title}: {error}")
            record.reason = str(error)
            if record.accuracy is None:
                record.status, trial.model = "failed", None
            return trial.score
        record.status = result.ended if result.ended == "diverged" else "trained"
        if result.ended == "diverged":
            record.reason = "its loss was no longer a number"
        elif not record.epochs:
            record.status = "not trained"
        shown = f"{record.accuracy:.1%}" if record.accuracy is not None else result.ended
        progress.say(f"{title}: {shown} on validation after {record.epochs:.1f} epochs")
        return trial.score

    def drop(trial: LiveTrial, rung: int) -> None:
        if trial.record.status == "trained":
            trial.record.status = f"dropped after round {rung}"
        trial.model = None
        runner.images.forget_sizes({e.record.size for e in everyone if e.model is not None})

    survivors = halve(trials, rungs, play, drop)
    rest = [e for e in everyone if e not in survivors]
    return survivors + sorted(rest, key=lambda e: e.score or 0.0, reverse=True)


def _weight_bytes(trials: list[LiveTrial]) -> int:
    costs = [trial.counted.cost for trial in trials]
    return max((cost.weight_bytes for cost in costs if cost is not None), default=0)


def keep_images(images: ImageData, folder: Path) -> None:
    """What a run keeps of its data: the split, what the scan found, a few images for proofs."""
    images.save_split(folder / FILE_NAMES["split"])
    with replacing(folder / FILE_NAMES["scan"]) as fresh:
        text = json.dumps(images.scan.to_dict(), indent=1, ensure_ascii=False)
        fresh.write_text(text + "\n", encoding="utf-8")
    test = images.splits["test"]
    few = test.subset(range(min(len(test), MOST_IMAGES)))
    save_sample(sample_images(few), folder / FILE_NAMES["sample"])


def _kept(
    claim: Claim,
    images: ImageData,
    budget: Budget,
    recipe: Recipe,
    call: dict[str, Any],
    winner: LiveTrial,
    leaderboard: list[Trial],
    stop: StopRequest,
    progress: Progress,
) -> Run:
    """Store what was reached, before anything that may fail: weights, then `run.json`."""
    assert winner.model is not None
    assert winner.preprocess is not None
    assert winner.counted.cost is not None
    network, cost = winner.model.eval(), winner.counted.cost
    config = _config(images, budget, recipe, winner, cost, winner.preprocess, leaderboard)
    config.call = call
    config.finished = "interrupted" if stop.requested else "no"
    config.steps = dict.fromkeys(STEPS, "not done yet")
    if budget.excess(latency_s=config.latency_s):
        progress.say(
            f"warning: one image now takes {config.latency_s * 1e3:.1f} ms, above the budget that "
            "it met when it was chosen: the machine is busier"
        )
    try:
        _store(claim, network, config, stop)
    except (ConvatlasError, OSError) as error:
        # The folder is gone, or its disk is full: hours of training must not go with it.
        claim.move_to(Path(tempfile.mkdtemp(prefix="convatlas-run-")))
        progress.say(f"warning: {error}; the run is kept in {claim.folder} instead")
        with suppress(ConvatlasError, OSError):  # the images may be gone with the disk
            keep_images(images, claim.building)
        _store(claim, network, config, stop)
    return Run(claim.folder, config)


def _store(claim: Claim, network: nn.Module, config: RunConfig, stop: StopRequest) -> None:
    notes = {"model": config.model, "convatlas": config.version, "created": config.created}
    save_weights(network, claim.building / FILE_NAMES["weights"], metadata=notes)
    with stop.held():  # a second Ctrl-C waits for the few moments in which files change places
        claim.publish(config)


def _config(
    images: ImageData,
    budget: Budget,
    recipe: Recipe,
    winner: LiveTrial,
    cost: Cost,
    preprocess: Preprocess,
    leaderboard: list[Trial],
) -> RunConfig:
    candidate, settings = winner.counted.candidate, preprocess.settings()
    start = candidate.checkpoint
    assert winner.model is not None
    x = torch.rand(1, images.channels, candidate.size, candidate.size)
    latency = best_latency(winner.model, (x,), seconds=LATENCY_SECONDS)
    winner.record.latency_s = latency.median_s
    return RunConfig(
        version=convatlas.__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        task="classify",
        source=images.source,
        seed=images.seed,
        classes=list(images.classes),
        model=candidate.name,
        options=dict(candidate.options),
        channels=images.channels,  # pyright: ignore[reportArgumentType]  1 or 3, which is checked
        size=candidate.size,
        mean=settings["mean"],
        std=settings["std"],
        crop=settings["crop"],
        filter=settings["filter"],
        reading=images.reading,
        weights=start.source if start else None,
        weights_licence=start.licence if start else None,
        budget=budget,
        recipe=(winner.recipe or recipe).to_dict(),
        counts={name: len(split) for name, split in images.splits.items()},
        params=cost.params,
        macs=cost.macs,
        activation_bytes=cost.activation_bytes,
        peak_bytes=cost.peak_bytes,
        latency_s=latency.median_s,
        threads=latency.threads,
        val_accuracy=winner.record.accuracy,
        leaderboard=leaderboard,
    )
