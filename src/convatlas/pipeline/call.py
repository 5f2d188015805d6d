"""How `fit` was called: recorded with the run, and written again as a command."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from convatlas.pipeline.training_recipe import OPTION_NAMES as RECIPE_OPTIONS
from convatlas.text import shell_word

# Stored elsewhere, or not meant to be repeated: the old run stays, so it is not replaced either.
NOT_RECORDED = {"data", "budget", "seed", "recipe", "out", "force", "progress", "started"}
OPTION_NAMES = {"time_limit_s": "--time-limit"}  # where it is not the argument's own name
UNITS = {"time_limit_s": "s"}


def record_call(function: Callable, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that differ from the defaults of `function`, by name.

    An argument that is added to the function later is recorded without a change here. Options of
    the task, which the function takes by any name, are recorded under `options`; of a recipe the
    options that were named, under `recipe`.
    """
    parameters = inspect.signature(function).parameters
    options = {key: v for key, v in given.items() if key not in parameters and v is not None}
    call = {
        name: given[name]
        for name, parameter in parameters.items()
        if name not in NOT_RECORDED
        and parameter.kind is not parameter.VAR_KEYWORD
        and name in given
        and given[name] != parameter.default
    }
    recipe = given.get("recipe")
    if isinstance(recipe, Mapping) and recipe:
        call["recipe"] = dict(recipe)
    return {**call, **({"options": options} if options else {})}


def call_options(call: Mapping[str, Any]) -> str:
    """Return the recorded arguments as options of the command line, each after a blank."""
    return "".join(_option(name, value) for name, value in call.items())


def train_command(source: str, call: Mapping[str, Any]) -> str:
    """Return the command `train` that was recorded.

    Args:
        source: the data, as a shell takes them.
    """
    known = ("verb", "recipe_name", "follows", "set")
    further = {name: value for name, value in call.items() if name not in known}
    options = call_options({"options": call.get("set", {}), **further})
    return f"convatlas train {shell_word(call['recipe_name'])} {source}{options}"


def _option(name: str, value: Any) -> str:
    if name == "recipe":
        return "".join(_recipe_option(key, each) for key, each in value.items())
    if isinstance(value, Mapping):  # options of the task
        return "".join(f" --set {key}={_joined(each)}" for key, each in value.items())
    option = OPTION_NAMES.get(name, "--" + name.replace("_", "-"))
    if value is True:
        return f" {option}"
    if value is False or value is None:
        return ""
    values = value if isinstance(value, list | tuple) else [value]
    return f" {option} " + " ".join(_word(item) + UNITS.get(name, "") for item in values)


def _recipe_option(name: str, value: Any) -> str:
    if name in RECIPE_OPTIONS:
        return f" {RECIPE_OPTIONS[name]} {_word(value)}"
    return f" --recipe {name}={_word(value)}"


def _joined(value: Any) -> str:
    values = value if isinstance(value, list | tuple) else [value]
    return ",".join(map(_word, values))


def _word(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:.12g}"
    return shell_word(value)
