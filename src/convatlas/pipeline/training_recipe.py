"""The recipe of a job: the package's own, changed by what the user asks for."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.dataset import Dataset
from convatlas.errors import UsageError
from convatlas.train.device import usable_precision
from convatlas.train.recipe import Recipe

MIN_FIXED_BATCH = 2  # examples: batch norm needs two
MAX_FIXED_BATCH = 2**20
MIN_RECIPE_BATCH = 16  # examples: with fewer, batch norm has too little to go by
STEPS_A_PASS = 30  # at least, as far as the smallest batch allows
MIN_RECIPE_STEPS = (
    4000  # a run without a time limit takes this many steps, however few the examples
)
OWN_OPTIONS = {"seed": "--seed", "epochs": "--epochs"}  # that are arguments of `fit` themselves
OPTION_NAMES = {
    "batch_size": "--batch",
    "lr": "--learning-rate",
    "precision": "--precision",
    "freeze": "--freeze",
}


def checked_recipe(given: Recipe | Mapping[str, Any] | None) -> Recipe:
    """Return a recipe with what was asked for, before anything is read.

    Args:
        given: a whole recipe, or only the options that shall differ from the package's own.

    Raises:
        UsageError: names the option that cannot be used, as the command line does where it has it.
    """
    if given is None:
        return Recipe()
    if isinstance(given, Recipe):
        usable_precision(given.precision)
        return given
    for name, option in OWN_OPTIONS.items():
        if name in given:
            raise UsageError(f"recipe: {name} is set by {option}")
    batch = given.get("batch_size", MIN_FIXED_BATCH)
    if not isinstance(batch, int) or not MIN_FIXED_BATCH <= batch <= MAX_FIXED_BATCH:
        raise UsageError(
            f"--batch must be a whole number from {MIN_FIXED_BATCH} to {MAX_FIXED_BATCH:,}, "
            f"got {batch}"
        )
    rate = given.get("lr", 1.0)
    if not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise UsageError(f"--learning-rate must be above 0 and finite, got {rate}")
    precision = given.get("precision", "no")
    if precision not in ("no", "bf16", "fp16", "auto"):
        raise UsageError(f"--precision must be no, bf16, fp16 or auto, got '{precision}'")
    usable_precision(precision)
    return Recipe().with_options(**_asked(given))


def suited(
    given: Recipe | Mapping[str, Any] | None, data: Dataset, seed: int, usual: Recipe
) -> Recipe:
    """Return a recipe with batches and passes that suit the data, and all that was asked for.

    Batches are small enough for small data to give many steps, and there are as many passes as
    they need. What a mapping asks for stays as it is.

    Args:
        given: as `checked_recipe` let it pass.
        usual: what is not asked for comes from it.
    """
    whole = given if isinstance(given, Recipe) else usual
    asked = _asked(given)
    whole = whole.with_options(**asked)
    count = len(data.splits["train"])
    batch = whole.batch_size
    if "batch_size" not in asked:
        batch = min(batch, max(MIN_RECIPE_BATCH, count // STEPS_A_PASS))
    return whole.with_options(
        batch_size=batch,
        epochs=max(whole.epochs, MIN_RECIPE_STEPS * batch / count),
        seed=seed,
        precision=usable_precision(whole.precision),
    )


def fixed_options(given: Recipe | Mapping[str, Any] | None) -> frozenset[str]:
    """Return the options that were asked for one by one, which nothing measured may change."""
    return frozenset(given) if isinstance(given, Mapping) else frozenset()


def _asked(given: Recipe | Mapping[str, Any] | None) -> dict[str, Any]:
    asked = dict(given) if isinstance(given, Mapping) else {}
    return asked | ({"freeze": str(asked["freeze"])} if "freeze" in asked else {})
