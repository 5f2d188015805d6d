"""Checks which networks have the part that a job asks to keep as it is (`--freeze`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from convatlas.errors import UsageError
from convatlas.models.on_shapes import on_shapes
from convatlas.models.registry import find_entry
from convatlas.pipeline.initial_checkpoints import NO
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.train.frozen_parts import NOTHING, frozen_parts


def check_freeze(freeze: str, pretrained: str, model: str | None) -> None:
    """Refuse what cannot be, before anything is read.

    Args:
        pretrained: `auto`, `yes` or `no`.
        model: the network that was named, if any.

    Raises:
        UsageError: there are no public weights to keep, or the network has no such part.
    """
    if freeze == NOTHING:
        return
    if pretrained == NO:
        raise UsageError(
            f"--freeze {freeze} keeps public weights as they are; --pretrained no uses none"
        )
    if model is not None:
        _check(model, {}, freeze)


def starts_that_freeze(starts: Sequence[Checkpoint], freeze: str) -> list[Checkpoint]:
    """Return the public weights of networks that have the part.

    Raises:
        UsageError: none has, or there are no public weights to start from.
    """
    if freeze == NOTHING:
        return list(starts)
    if not starts:
        raise UsageError(
            f"--freeze {freeze}: there are no public weights to keep here; --pretrained yes "
            "--model NAME takes those of one network"
        )
    found, refused = [], None
    for start in starts:
        try:
            _check(start.model, start.options, freeze)
        except UsageError as error:
            refused = error
        else:
            found.append(start)
    if not found and refused is not None:
        raise refused
    return found


def _check(model: str, options: Mapping[str, Any], freeze: str) -> None:
    with on_shapes():
        network = find_entry(model).build(**options)
    frozen_parts(network, freeze)
