"""Makes a run folder of its own for each network on the front that was not chosen."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from convatlas.cost import best_latency
from convatlas.errors import ConvatlasError, WriteError
from convatlas.models.registry import find_entry
from convatlas.pipeline.config import FILE_NAMES, FRONT, STEPS
from convatlas.pipeline.dropped_weights import DroppedWeights
from convatlas.pipeline.keeping import Job, run_config
from convatlas.pipeline.run import Run
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.train.weights import load_weights, save_weights

LATENCY_SECONDS = 0.2  # of timing each
SHARED = ("split", "scan", "sample")  # files that are equal in all of them


def save_front(
    job: Job, runner: TrialRunner, run: Run, ranked: Sequence[LiveTrial], kept: DroppedWeights
) -> None:
    """Write `front/<n>-<model>/` for each network of the front, after the run itself is stored.

    A folder holds a run that was not tested or exported yet: `convatlas report` does both. What
    fails is said, and the run stays as it is.

    Args:
        ranked: the trials as the leaderboard begins.
        kept: weights of those that dropped out, which lie in `front/` until now.
    """
    folder = run.path / FRONT
    trials = {
        id(record): each for record, each in zip(run.config.leaderboard, ranked, strict=False)
    }
    for number, record in enumerate(run.pareto(), start=1):
        trial = trials.get(id(record))
        name = kept.name(trial.record) if trial is not None else None
        if trial is None or name is None or not (folder / name).is_file():
            continue
        own = f"{FRONT}/{number}-{record.model}"
        try:
            _write(job, runner, run, trial, folder / name, run.path / own)
        except (ConvatlasError, OSError) as error:
            shutil.rmtree(run.path / own, ignore_errors=True)
            runner.progress.say(f"warning: {own} not saved: {error}")
            continue
        record.folder = own
    for file in folder.glob("*.safetensors"):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # where only the chosen network is on the front
    if not folder.exists():
        run.config.written = [name for name in run.config.written or () if name != FRONT]
    with suppress(WriteError):  # the steps that follow say it
        run.config.save(run.path)


def _write(
    job: Job, runner: TrialRunner, run: Run, trial: LiveTrial, weights: Path, folder: Path
) -> None:
    candidate = trial.counted.candidate
    network = find_entry(candidate.name).build(**candidate.options)
    load_weights(network, weights)
    inputs = candidate.inputs(network.eval())
    latency = best_latency(network, inputs, seconds=LATENCY_SECONDS)
    record = trial.record.model_copy(update={"status": "chosen", "latency_s": latency.median_s})
    config = run_config(job, runner, trial, inputs, latency, [record])
    config.finished, config.steps = "no", dict.fromkeys(STEPS, "not done yet")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    notes = {"model": config.model, "convatlas": config.version, "created": config.created}
    save_weights(network, folder / FILE_NAMES["weights"], metadata=notes)
    for kind in SHARED:
        if (run.path / FILE_NAMES[kind]).is_file():
            shutil.copyfile(run.path / FILE_NAMES[kind], folder / FILE_NAMES[kind])
    config.written = sorted(FILE_NAMES[kind] for kind in ("config", "weights", *SHARED))
    config.save(folder)
