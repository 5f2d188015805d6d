"""Options of training as typed on the command line: of the recipe, and of the task."""

from collections.abc import Mapping, Sequence
from typing import Any

from convatlas.cli.options import parse_pairs, task_options
from convatlas.errors import UsageError


def recipe_options(
    texts: Sequence[str],
    batch: int | None,
    learning_rate: float | None,
    precision: str | None,
    freeze: str | None,
) -> dict[str, Any] | None:
    """Return the options of a recipe that were given, by their names in `Recipe`; None for none.

    Args:
        texts: of `--recipe`, each `name=value`.

    Raises:
        UsageError: no such option, or one is given twice.
    """
    from convatlas.pipeline.training_recipe import OPTION_NAMES
    from convatlas.train.recipe import Recipe

    given = {"batch_size": batch, "lr": learning_rate, "precision": precision, "freeze": freeze}
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, value in parse_pairs(
        texts, "a recipe", Recipe().to_dict(), "an option of the form --recipe name=value"
    ).items():
        if name in chosen:
            raise UsageError(f"{OPTION_NAMES[name]} and --recipe {name} are one option")
        chosen[name] = value
    return chosen or None


def class_weight_values(text: str | None) -> str | tuple[float, ...] | None:
    """Return `--class-weights` as the task takes it: a word, or a number for each class."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return text  # the task says which words there are


def given_once(named: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """Return options of the task from those with a name of their own and from `--set` texts.

    Raises:
        UsageError: one is given both ways.
    """
    further = task_options(texts)
    for name in further:
        if named.get(name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} and --set {name} are one option")
    return {**named, **further}
