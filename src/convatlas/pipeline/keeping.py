"""What a run keeps before anything may fail: its data, then weights and `run.json`."""

import datetime
import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import convatlas
from convatlas.cost import Latency, best_latency
from convatlas.data.dataset import Dataset
from convatlas.errors import ConvatlasError
from convatlas.pipeline.config import FILE_NAMES, STEPS, RunConfig, Trial
from convatlas.pipeline.extent import TIME_ONLY, Extent
from convatlas.pipeline.folder import Claim
from convatlas.pipeline.run import Run
from convatlas.pipeline.sample import MAX_ITEMS, save_sample
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.replacing import replacing
from convatlas.search.budget import Budget
from convatlas.tasks.task import AnyTask
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.weights import save_weights

TIMING_S = 2.0  # of the winner
STOPPED_TIMING_S = 0.3  # of the same where a signal asked for the end


@dataclass(frozen=True)
class Job:
    """What a job was asked for: task, data, budget, recipe, and the call as it was made."""

    task: AnyTask
    data: Dataset
    budget: Budget
    recipe: Recipe
    call: dict[str, Any]
    extent: Extent = TIME_ONLY


def keep_data(task: AnyTask, data: Dataset, folder: Path) -> None:
    """Write the split, what the scan found, and a few inputs for checking an export."""
    data.save(folder / FILE_NAMES["split"])
    with replacing(folder / FILE_NAMES["scan"]) as fresh:
        text = json.dumps(data.scan.to_dict(), indent=1, ensure_ascii=False)
        fresh.write_text(text + "\n", encoding="utf-8")
    test = data.splits["test"]
    few = test.subset(range(min(len(test), MAX_ITEMS)))
    save_sample(map(task.small, task.sample(few, MAX_ITEMS)), folder / FILE_NAMES["sample"])


def keep_winner(
    job: Job,
    runner: TrialRunner,
    claim: Claim,
    winner: LiveTrial,
    leaderboard: list[Trial],
    *,
    may_go_on: bool = False,
) -> Run:
    """Store what was reached, before anything that may fail: weights, then `run.json`.

    Args:
        runner: that trained the winner.
        may_go_on: keep the checkpoints: the run is not over.
    """
    assert winner.model is not None
    network, stop, progress = winner.model.eval(), runner.stop, runner.progress
    candidate = winner.counted.candidate
    inputs = candidate.inputs(network)
    timing_s = STOPPED_TIMING_S if stop.requested else TIMING_S
    latency = best_latency(network, inputs, seconds=timing_s)
    winner.record.latency_s = latency.median_s
    config = run_config(job, runner, winner, inputs, latency, leaderboard)
    config.finished = "interrupted" if stop.requested else "no"
    config.steps = dict.fromkeys(STEPS, "not done yet")
    if job.budget.excess(latency_s=config.latency_s):
        progress.say(
            f"warning: one input now takes {config.latency_s * 1e3:.1f} ms, above the budget that "
            "it met when it was chosen: the machine is busier"
        )
    try:
        _store(claim, network, config, stop, may_go_on)
    except (ConvatlasError, OSError) as error:
        # The folder is gone, or its disk is full: hours of training must not go with it.
        checkpoints = claim.checkpoints
        claim.move_to(Path(tempfile.mkdtemp(prefix="convatlas-run-")))
        progress.say(f"warning: {error}; the run is kept in {claim.folder} instead")
        with suppress(ConvatlasError, OSError):  # the data may be gone with the disk
            keep_data(job.task, job.data, claim.building)
        _store(claim, network, config, stop, may_go_on)
        if not may_go_on:
            shutil.rmtree(checkpoints, ignore_errors=True)  # they only lead to the same run
    return Run(claim.folder, config)


def _store(
    claim: Claim, network: nn.Module, config: RunConfig, stop: StopRequest, may_go_on: bool
) -> None:
    notes = {"model": config.model, "convatlas": config.version, "created": config.created}
    save_weights(network, claim.building / FILE_NAMES["weights"], metadata=notes)
    if not may_go_on:
        claim.drop_checkpoints()
    with stop.held():  # a second Ctrl-C waits for the few moments in which files change places
        claim.publish(config)


def run_config(
    job: Job,
    runner: TrialRunner,
    winner: LiveTrial,
    inputs: Sequence[Tensor],
    latency: Latency,
    leaderboard: list[Trial],
) -> RunConfig:
    """Return what `run.json` says of a trial that was trained, before any test.

    Args:
        winner: the trial; `inputs` are one of its own, `latency` is what was measured with them.
    """
    candidate, cost, data = winner.counted.candidate, winner.counted.cost, job.data
    assert cost is not None
    start = candidate.checkpoint
    shapes = [list(x.shape[1:]) for x in inputs]
    return RunConfig(
        version=convatlas.__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        task=job.task.name,
        source=data.source,
        seed=data.seed,
        facts=data.facts(),
        model=candidate.name,
        options=dict(candidate.options),
        example=dict(candidate.example),
        input=shapes[0] if len(shapes) == 1 else shapes,
        settings=runner.trial_data.settings(candidate),
        training={**runner.trial_data.training_options(), **_head_notes(winner)},
        weights=start.source if start else None,
        weights_licence=start.licence if start else None,
        call=job.call,
        budget=job.budget,
        recipe=(winner.recipe or job.recipe).to_dict(),
        counts={name: len(split) for name, split in data.splits.items()},
        params=cost.params,
        macs=cost.macs,
        activation_bytes=cost.activation_bytes,
        peak_bytes=cost.peak_bytes,
        memory_bytes=cost.memory_bytes,
        throughput=winner.record.throughput,
        latency_s=latency.median_s,
        threads=latency.threads,
        metric=runner.metric,
        validation=winner.record.figures,
        leaderboard=leaderboard,
    )


def _head_notes(winner: LiveTrial) -> dict[str, Any]:
    """How its last layer began, where it was found on frozen features."""
    if winner.head is None:
        return {}
    notes = {"linear_head": winner.head_words, "linear_head_penalty": winner.head.penalty}
    return {**notes, "fine_tuned": winner.tuned_words} if winner.tuned_words else notes
