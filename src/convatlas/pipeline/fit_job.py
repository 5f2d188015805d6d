"""What `fit` was asked for, as it lies beside its states so that the run can go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from convatlas.errors import DataError, UsageError
from convatlas.pipeline.initial_checkpoints import AUTO
from convatlas.pipeline.job_file import UNREADABLE, placed, stored_job, unreadable, write_job
from convatlas.search.budget import Budget
from convatlas.text import true_name
from convatlas.train.recipe import Recipe

FIT = "fit"  # the verb
WHOLE, CHANGED = "whole", "changed"  # a recipe as it was given: all of it, or some options


@dataclass(frozen=True)
class FitJob:
    """The arguments of `fit`, which says what they mean; `call` is the call as it is recorded."""

    data: str
    budget: Budget = field(default_factory=Budget)
    task: str | None = None
    model: str | None = None
    pretrained: str = AUTO
    time_limit_s: float | None = None
    epochs: float | None = None
    max_trials: int | None = None
    seed: int = 0
    save_front: bool = False
    max_broken: float = 0.05
    recipe: Recipe | Mapping[str, Any] | None = None
    device: str = "auto"
    workers: int | None = None
    folds: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into the folder that the run is built in.

        Raises:
            WriteError: it cannot be written.
            TypeError: an option is nothing that JSON has.
        """
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        named |= {"data": placed(self.data), "budget": self.budget.model_dump()}
        named |= {"recipe": _stored(self.recipe), "options": dict(self.options)}
        write_job(folder, FIT, {**named, "call": dict(self.call)})


def read_fit_job(folder: Path) -> FitJob:
    """Read what was asked for, from a run or from where one is built.

    Raises:
        DataError: it is not there, or says what cannot be.
    """
    _, stored = stored_job(folder)
    try:
        taken = {"data": true_name(stored["data"]), "budget": Budget(**stored["budget"])}
        taken |= {"recipe": _recipe(stored["recipe"]), "options": _tuples(stored["options"])}
        return FitJob(**{**stored, **taken})
    except UNREADABLE as error:
        if isinstance(error, DataError | UsageError):
            raise
        raise unreadable(folder, error) from None


def _stored(recipe: Recipe | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if recipe is None:
        return None
    if isinstance(recipe, Recipe):
        return {WHOLE: recipe.to_dict()}
    return {CHANGED: dict(recipe)}


def _recipe(stored: dict[str, Any] | None) -> Recipe | dict[str, Any] | None:
    if stored is None:
        return None
    return Recipe.from_dict(stored[WHOLE]) if WHOLE in stored else _tuples(stored[CHANGED])


def _tuples(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as `fit` was given them: JSON knows no tuples."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
