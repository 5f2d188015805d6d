"""Which recipe a word means, and options of one by name, whatever they are options of."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from convatlas.errors import UnknownNameError, UsageError, nearest
from convatlas.models.registry import find_entry, model_names
from convatlas.tasks import TASKS, find_task
from convatlas.tasks.task import AnyTask
from convatlas.train.recipe import Recipe
from convatlas.train.recipe_file import (
    SUFFIXES,
    NamedRecipe,
    packaged_recipe,
    read_recipe,
    recipe_names,
    shares_of_run,
)


def find_recipe(word: str | Path) -> NamedRecipe:
    """Return the recipe of a file, of a name, or the package's own for the network of a name.

    Raises:
        UnknownNameError: there is no such recipe and no such network.
        DataError, UsageError: as `read_recipe`.
    """
    name = str(word)
    if name.endswith(SUFFIXES):
        return read_recipe(Path(word))
    if name in recipe_names():
        return packaged_recipe(name)
    if name in model_names():
        return NamedRecipe(name, name, task_of(name).recipe)
    known = [*recipe_names(), *model_names()]
    raise UnknownNameError(f"no recipe and no network '{name}'{nearest(name, known)}")


def task_of(network: str) -> AnyTask:
    """Return the task that a network is for.

    Raises:
        UsageError: none that trains here.
    """
    declared = find_entry(network).task
    if declared not in TASKS:
        raise UsageError(f"{network} is for the task {declared}, which has no training here")
    return find_task(declared)


def options_of(recipe: NamedRecipe) -> dict[str, Any]:
    """Return the options of training, size and network with their values, by name.

    What training and the network both have is training's.
    """
    training = {each.name: getattr(recipe.training, each.name) for each in fields(Recipe)}
    network = {**find_entry(recipe.network).defaults, **recipe.options}
    return {**network, "size": recipe.size, **training}


def with_options(recipe: NamedRecipe, given: Mapping[str, Any]) -> NamedRecipe:
    """Return the recipe with options changed: of training, of the network, or of the task.

    Numbers of epochs in `warmup`, `milestones` and `lr_every` are shares of the new `epochs`.

    Raises:
        UsageError: an option that none of them has, with the nearest.
    """
    trained = {each.name for each in fields(Recipe)}
    network = find_entry(recipe.network).defaults
    training = {name: given[name] for name in given if name in trained}
    epochs = training.get("epochs", recipe.training.epochs)
    rest = {name: given[name] for name in given if name not in trained and name != "size"}
    options = {name: rest.pop(name) for name in [*rest] if name in network}
    _check_rest(recipe, rest)
    return replace(
        recipe,
        training=recipe.training.with_options(**shares_of_run(training, epochs)),
        options={**recipe.options, **options},
        size=given.get("size", recipe.size),
        data={**recipe.data, **rest},
        changed={**recipe.changed, **given},
    )


def _check_rest(recipe: NamedRecipe, rest: Mapping[str, Any]) -> None:
    """Refuse what no part of the recipe has, by the nearest name of any."""
    known = options_of(recipe)
    for name, value in rest.items():
        try:
            task_of(recipe.network).check_options({name: value})
        except UsageError as error:
            near = nearest(name, known, count=1)
            if near and "is no option here" in str(error):
                raise UsageError(f"{recipe.name}: no option '{name}'{near}") from None
            raise
