"""`fit`: data and a budget in; the best network that fits, trained, tested and exported, out."""

import datetime
import json
import time
from pathlib import Path

import torch

import convatlas
from convatlas.cost import Cost, best_latency
from convatlas.cost.latency import limited_threads
from convatlas.data import ImageData, Preprocess, open_images
from convatlas.data.stored_reading import Reading, chosen_reading
from convatlas.deploy.classifier import ImageClassifier
from convatlas.errors import ConvatlasError
from convatlas.job.answers import answer, sample_images
from convatlas.job.choosing import (
    choose_entrants,
    count_all,
    fresh_candidates,
    trainable_macs,
    transfer_candidates,
)
from convatlas.job.config import FILE_NAMES, Contender, RunConfig
from convatlas.job.contest import Contest, Entrant
from convatlas.job.exporting import export_proved
from convatlas.job.folder import check_folder, claimed, free_folder
from convatlas.job.reporting import report_run
from convatlas.job.run import Run
from convatlas.job.starting import starting_points
from convatlas.models.registry import find_entry
from convatlas.progress import Progress, Silent
from convatlas.search.budget import Budget
from convatlas.search.halving import halve, plan_rungs
from convatlas.search.promise import undominated
from convatlas.search.space import structures
from convatlas.text import shown
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.weights import save_weights

RESERVE_S = 25.0  # for the test, the export with its proof and the report
RESERVE_SHARE = 0.2  # of a short limit
COUNTING_SHARE = 0.08  # of the limit, for counting candidates
LEAST_SHARE = 0.4  # of the limit that training gets in any case
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
    time_limit_s: float = 600.0,
    out: str | Path | None = None,
    seed: int = 0,
    force: bool = False,
    max_broken: float = 0.05,
    max_pixels: float | None = None,
    value_range: tuple[float, float] | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> Run:
    """Choose, train, test and export the best network within a budget.

    Args:
        data: `digits`, a folder or a CSV file, as `open_images` takes it.
        budget: what the network may cost; None asks for the best that the time allows.
        model: a registered name, to try only that network (at every input size).
        pretrained: start from public weights: of `model`, downloaded if need be, or of every
            network whose weights are on this machine.
        time_limit_s: wall-clock seconds for everything together, about.
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

    Raises:
        DataError: the data cannot be used.
        UsageError: an option cannot be used.
        BudgetError: no network fits; the message names the nearest.
        WeightsError: public weights were asked for and cannot be had.
    """
    start = time.perf_counter()
    reading = chosen_reading(max_pixels, value_range)
    progress, budget = progress or Silent(), budget or Budget()
    entries = [find_entry(model)] if model else undominated(structures())
    if out is not None:
        check_folder(Path(out), force=force)
    starts = starting_points(model, progress) if pretrained else []
    images = _open(data, seed, max_broken, reading, progress)
    folder = Path(out) if out is not None else free_folder(images.name)

    with StopRequest() as stop, claimed(folder, force=force):
        recipe = _suited(recipe or (TRANSFER if pretrained else Recipe()), images, seed)
        contest = Contest(images, recipe, stop, progress)
        if pretrained:
            rows = transfer_candidates(starts, images)
        else:
            rows = fresh_candidates(entries, images, fixed_width=model is not None)
        counting = COUNTING_SHARE * time_limit_s
        seconds = _training_seconds(time_limit_s, time.perf_counter() - start + counting)
        most_macs = trainable_macs(contest, seconds, transfer=pretrained)
        counted = count_all(rows, budget, most_macs=most_macs, seconds=counting, progress=progress)
        seconds = _training_seconds(time_limit_s, time.perf_counter() - start)
        entrants, others = choose_entrants(counted, budget, contest, seconds)
        images.save_split(folder / FILE_NAMES["split"])
        _write_json(folder / FILE_NAMES["scan"], images.scan.to_dict())
        contest.read_images(entrants)
        log = RunLog(folder)
        seconds = _training_seconds(time_limit_s, time.perf_counter() - start)
        ranked = _compete(contest, entrants, seconds, log)
        log.close()
        winner = ranked[0]
        if winner.record.accuracy is None or winner.model is None or winner.preprocess is None:
            raise ConvatlasError("fit: training was stopped before any network could be judged")
        winner.record.status = "chosen"
        leaderboard = [e.record for e in ranked] + others
        return _finish(folder, images, budget, recipe, winner, leaderboard, stop, progress)


def _open(
    data: str | Path, seed: int, max_broken: float, reading: Reading, progress: Progress
) -> ImageData:
    bar = progress.bar("checking files", unit="files")
    images = open_images(
        data, seed=seed, max_broken=max_broken, reading=reading, progress=bar.update
    )
    bar.close()
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in images.splits.items())
    progress.say(
        f"{shown(images.name)}: {len(images.classes)} classes, {sizes}, "
        f"{images.width} x {images.height} pixels, {images.channels} channel(s)"
    )
    for line in (*images.scan.notes, *images.scan.warnings()):
        progress.say(line)
    return images


def _suited(recipe: Recipe, images: ImageData, seed: int) -> Recipe:
    """Batches small enough for small data to give many steps, and as many passes as they need."""
    count = len(images.splits["train"])
    batch = min(recipe.batch_size, max(LEAST_BATCH, count // STEPS_A_PASS))
    epochs = max(recipe.epochs, LEAST_STEPS * batch / count)
    return recipe.with_options(batch_size=batch, epochs=epochs, seed=seed)


def _training_seconds(limit: float, spent: float) -> float:
    """What is left for training; a slow start may overrun the limit, but not eat it up."""
    return max(LEAST_SHARE * limit, limit - spent - min(RESERVE_S, RESERVE_SHARE * limit))


def _compete(
    contest: Contest, entrants: list[Entrant], seconds: float, log: RunLog
) -> list[Entrant]:
    """Successive halving; the winner's last round is what the log shows."""
    everyone = list(entrants)
    rungs = plan_rungs(len(entrants), seconds)
    progress = contest.progress
    progress.say(f"training {len(entrants)} of the networks that fit, {seconds:.0f} s in all")

    def play(entrant: Entrant, slot: float, last: bool) -> float | None:
        record = entrant.record
        if contest.stop.requested and record.accuracy is not None:
            return entrant.score
        name = f"{record.model} {record.size} px"
        title = f"final training: {name}" if last else name
        result = contest.train(entrant, slot, title=title, log=log if last else None)
        record.status = result.ended if result.ended == "diverged" else "trained"
        if result.ended == "diverged":
            record.reason = "its loss was no longer a number"
        shown = f"{record.accuracy:.1%}" if record.accuracy is not None else result.ended
        progress.say(f"{title}: {shown} on validation after {record.epochs:.1f} epochs")
        return entrant.score

    def drop(entrant: Entrant, rung: int) -> None:
        if entrant.record.status == "trained":
            entrant.record.status = f"dropped after round {rung}"
        entrant.model = None
        contest.forget_sizes({e.record.size for e in everyone if e.model is not None})

    survivors = halve(entrants, rungs, play, drop)
    rest = [e for e in everyone if e not in survivors]
    return survivors + sorted(rest, key=lambda e: e.score or 0.0, reverse=True)


def _finish(
    folder: Path,
    images: ImageData,
    budget: Budget,
    recipe: Recipe,
    winner: Entrant,
    leaderboard: list[Contender],
    stop: StopRequest,
    progress: Progress,
) -> Run:
    """Save what was reached, then test, export, prove and report."""
    assert winner.model is not None
    assert winner.preprocess is not None
    assert winner.counted.cost is not None
    network, preprocess, cost = winner.model.eval(), winner.preprocess, winner.counted.cost
    config = _config(images, budget, recipe, winner, cost, preprocess, leaderboard)
    config.finished = "interrupted" if stop.requested else "yes"
    if budget.excess(latency_s=config.latency_s):
        progress.say(
            f"warning: one image now takes {config.latency_s * 1e3:.1f} ms, above the budget that "
            "it met when it was chosen: the machine is busier"
        )
    notes = {"model": config.model, "convatlas": config.version}
    save_weights(network, folder / FILE_NAMES["weights"], metadata=notes)
    config.save(folder)

    classifier = ImageClassifier(preprocess, network).eval()
    with limited_threads(winner.threads):
        test = answer(classifier, images.splits["test"], progress=progress, title="testing")
    config.accuracy = test.accuracy
    config.save(folder)
    sample = sample_images(images.splits["test"])
    path = folder / FILE_NAMES["onnx"]
    bar = progress.bar("exporting to ONNX")
    config.proof = export_proved(classifier, config, path, sample)
    config.file_bytes = path.stat().st_size
    bar.close()
    progress.say(f"export: {config.proof.figures()}")
    winner.record.file_bytes = config.file_bytes
    config.save(folder)
    report_run(folder, config, images, test, cost, progress)
    return Run(folder, config)


def _config(
    images: ImageData,
    budget: Budget,
    recipe: Recipe,
    winner: Entrant,
    cost: Cost,
    preprocess: Preprocess,
    leaderboard: list[Contender],
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
        channels=images.channels,
        size=candidate.size,
        mean=settings["mean"],
        std=settings["std"],
        crop=settings["crop"],
        filter=settings["filter"],
        reading=images.reading,
        weights=start.source if start else None,
        weights_licence=start.licence if start else None,
        budget=budget,
        recipe=recipe.to_dict(),
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


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
