"""Which parts of a network keep their weights while the rest is trained."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch import nn

from convatlas.errors import UsageError, nearest
from convatlas.models.headless import last_layer

NOTHING, ALL_BUT_HEAD = "none", "all-but-head"
SHOWN = 12  # names of parts in a message


class FrozenParts(NamedTuple):
    """What keeps its weights.

    Args:
        modules: paths of modules that stay in evaluation mode, each for itself.
        params: names of parameters that get no gradient.
    """

    modules: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()


def frozen_parts(model: nn.Module, freeze: str) -> FrozenParts:
    """Find what an option `--freeze` keeps as it is in this network.

    Args:
        freeze: `none`; `all-but-head`: all but the last layer; a number of stages, the first ones;
            or the name of a part, such as `stages.2.1`: it and all that comes before it.

    Raises:
        UsageError: the network has no such part, or nothing would be left to train.
    """
    if freeze == NOTHING:
        return FrozenParts()
    head = last_layer(model)
    paths = [path for path, _ in model.named_modules() if path]
    if freeze == ALL_BUT_HEAD:
        chosen = {path for path in paths if not _within(path, head)}
    elif freeze.isdecimal():
        stages = _stages(model)
        if not 1 <= int(freeze) <= len(stages):
            raise UsageError(
                f"--freeze {freeze}: {type(model).__name__} has {len(stages)} stages to freeze"
            )
        chosen = {path for path in paths for s in stages[: int(freeze)] if _within(path, s)}
    else:
        chosen = _up_to(model, freeze, paths)
    if head in chosen:
        raise UsageError(f"--freeze {freeze}: nothing would be left to train")
    # Modules that hold the head, or anything else that is trained, stay in training mode.
    trained = [path for path in paths if path not in chosen]
    whole = {path for path in chosen if not any(_within(each, path) for each in trained)}
    params = (name for name, _ in model.named_parameters())
    if freeze == ALL_BUT_HEAD:
        kept = {name for name in params if not _within(name, head)}
    else:
        kept = {name for name in params if name.rpartition(".")[0] in whole}
    return FrozenParts(frozenset(whole), frozenset(kept))


@contextmanager
def holding(model: nn.Module, frozen: FrozenParts) -> Iterator[None]:
    """Let parameters get no gradient inside the block."""
    held = {name for name, p in model.named_parameters() if p.requires_grad} & frozen.params
    try:
        let_learn(model, held, learn=False)
        yield
    finally:
        let_learn(model, held, learn=True)


def let_learn(model: nn.Module, names: Collection[str], *, learn: bool) -> None:
    """Let these parameters get gradients, or none."""
    for name, parameter in model.named_parameters():  # a move may have made them anew
        if name in names:
            parameter.requires_grad_(learn)


def hold_still(model: nn.Module, modules: Collection[str]) -> None:
    """Put modules into evaluation mode, each for itself: norms keep their statistics."""
    for path in modules:
        model.get_submodule(path).training = False


def _within(path: str, part: str) -> bool:
    return path == part or path.startswith(part + ".")


def _stages(model: nn.Module) -> list[str]:
    stages = getattr(model, "stages", None)
    if not isinstance(stages, nn.Sequential):
        return []
    return [f"stages.{name}" for name, _ in stages.named_children()]


def _up_to(model: nn.Module, part: str, paths: list[str]) -> set[str]:
    """Return a part and all that comes before it, without what only holds it."""
    if part not in paths:
        known = [*_stages(model), *(n for n, _ in model.named_children() if n != "stages")]
        shown = ", ".join(known[:SHOWN])
        raise UsageError(
            f"--freeze {part}: {type(model).__name__} has no such part{nearest(part, paths)}; "
            f"give a number of stages, {ALL_BUT_HEAD}, or a part such as {shown}"
        )
    last = max(place for place, path in enumerate(paths) if _within(path, part))
    return {path for path in paths[: last + 1] if not part.startswith(path + ".")}
