"""Recipes as files: a network, its options and how it is trained, as YAML without code.

A file says all that happens: what it does not say is not done (no decay, no warm-up, no averaging
of weights, no augmentation), so that it says what a paper says and not what this package prefers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from convatlas.errors import DataError, UsageError, nearest
from convatlas.models.registry import find_entry
from convatlas.text import printable
from convatlas.train.recipe import Recipe

SUFFIXES = (".yaml", ".yml")
KEYS = ("source", "network", "options", "size", "training", "data")
IN_EPOCHS = ("warmup", "milestones", "lr_every")  # shares of the run, or epochs from 1 up
MAX_BYTES = 1 << 16  # a recipe is a page at most
SILENT = Recipe(  # what happens where a file says nothing
    optimizer="sgd",
    momentum=0.0,
    nesterov=False,
    weight_decay=0.0,
    depthwise_decay=1.0,
    clip_norm=0.0,
    schedule="constant",
    warmup=0.0,
    final_lr_fraction=0.0,
    ema_decay=0.0,
)
SILENT_DATA = {"classify": {"augmentation": "none", "label_smoothing": 0.0}}  # by task


@dataclass(frozen=True)
class NamedRecipe:
    """One network and how it is trained.

    Args:
        name: of the recipe, or of the network where the package's own training is meant.
        network: registered name.
        training: how it is trained.
        options: of the network, over those of its name.
        size: side of its input in pixels; None takes that of the data, as far as the network can.
        data: options of the task, such as the augmentation.
        source: what it follows: the paper and its section.
        path: of the file that it was read from; empty for one of the package.
        changed: options that were given over what it said.
    """

    name: str
    network: str
    training: Recipe
    options: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    path: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name, as JSON gives them back."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**named, "training": self.training.to_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "NamedRecipe":
        """Return the recipe that `to_dict` gave.

        Raises:
            DataError, UsageError: it says what no recipe can say.
        """
        where = "the stored recipe"
        said = _mapping(dict(stored), where)
        _check_names(said, [each.name for each in fields(cls)], where)
        training = Recipe.from_dict(_mapping(said.get("training", {}), where))
        parts = {
            name: _values(said.get(name, {}), where) for name in ("options", "data", "changed")
        }
        return cls(**{**said, "training": training, **parts})


def recipe_names() -> list[str]:
    """Return the recipes that come with the package."""
    return sorted(Path(each.name).stem for each in _folder().iterdir() if _is_recipe(each.name))


def packaged_recipe(name: str) -> NamedRecipe:
    """Read a recipe that comes with the package.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in recipe_names():
        raise UsageError(f"no recipe '{name}'{nearest(name, recipe_names())}")
    return parse_recipe((_folder() / f"{name}.yaml").read_text(encoding="utf-8"), name, name)


def read_recipe(path: Path) -> NamedRecipe:
    """Read a recipe from a file of the user.

    Raises:
        DataError: it cannot be read, or is no YAML; nothing in it is executed.
        UsageError: it says what no recipe can say.
    """
    where = printable(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{where}: more than {MAX_BYTES >> 10} KiB is no recipe")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{where}: not a recipe (no UTF-8)") from None
    return replace(parse_recipe(text, path.stem, where), path=str(path))


def parse_recipe(text: str, name: str, where: str) -> NamedRecipe:
    """Return what the text of a recipe says.

    Args:
        where: it stands, for messages.

    Raises:
        DataError: it is no YAML of keys and values.
        UsageError: an unknown key, or a value that cannot be.
    """
    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{where}: not YAML ({' '.join(str(error).split())[:200]})") from None
    top = _mapping(said, where)
    _check_names(top, KEYS, where)
    if not isinstance(top.get("network"), str):
        raise UsageError(f"{where}: network must be the name of a network")
    entry = find_entry(top["network"])
    options = _mapping(top.get("options", {}), f"{where}: options")
    _check_names(options, entry.defaults, f"{where}: {entry.name}")
    data = _mapping(top.get("data", {}), f"{where}: data")
    size = top.get("size")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise UsageError(f"{where}: size must be a number of pixels, got {size!r}")
    listed = {key: _listed(value) for key, value in data.items()}
    return NamedRecipe(
        name,
        entry.name,
        _training(_mapping(top.get("training", {}), f"{where}: training"), f"{where}: training"),
        {key: _listed(value) for key, value in options.items()},
        size,
        {**SILENT_DATA.get(entry.task, {}), **listed},
        str(top.get("source", "")),
    )


def shares_of_run(options: Mapping[str, Any], epochs: float) -> dict[str, Any]:
    """Return options of a recipe with numbers of epochs, from 1 up, as shares of the run."""

    def share(value: float) -> float:
        return value / epochs if value >= 1 else value

    found = dict(options)
    for name in IN_EPOCHS:
        value = found.get(name)
        if isinstance(value, tuple):
            found[name] = tuple(share(each) for each in value)
        elif isinstance(value, int | float):
            found[name] = share(value)
    return found


def _training(said: Mapping[str, Any], where: str) -> Recipe:
    known = {each.name: getattr(SILENT, each.name) for each in fields(SILENT)}
    _check_names(said, known, where)
    typed = {name: _typed(f"{where}: {name}", said[name], known[name]) for name in said}
    return SILENT.with_options(**shares_of_run(typed, typed.get("epochs", SILENT.epochs)))


def _typed(where: str, value: Any, default: Any) -> Any:
    """Return a value as the field takes it: YAML reads `1e-4` as text and `no` as false."""
    if isinstance(default, str):
        value = "no" if value is False else str(value) if isinstance(value, int) else value
        good = isinstance(value, str)
    elif isinstance(default, bool):
        good = isinstance(value, bool)
    elif isinstance(default, tuple):
        parts = value if isinstance(value, list) else [value]
        return tuple(_typed(where, part, 0.0) for part in parts)
    else:
        value = _number(value)
        whole = isinstance(default, int) and not isinstance(default, bool)
        good = isinstance(value, int if whole and not isinstance(default, float) else int | float)
        good = good and not isinstance(value, bool)
    if not good:
        raise UsageError(f"{where} cannot be {value!r}")
    return value


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else _number(value)


def _values(said: Any, where: str) -> dict[str, Any]:
    """Return values by name, with lists as the tuples that JSON made lists of."""
    named = _mapping(said, where)
    return {key: tuple(v) if isinstance(v, list) else v for key, v in named.items()}


def _mapping(said: Any, where: str) -> dict[str, Any]:
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise DataError(f"{where}: must be names with values, such as `lr: 0.1`")
    return said


def _check_names(said: Mapping[str, Any], known: Any, where: str) -> None:
    for name in said:
        if name not in known:
            raise UsageError(
                f"{where}: no option '{name}'{nearest(name, known)}; there are {', '.join(known)}"
            )


def _folder() -> Any:
    return files("convatlas.train.recipes")


def _is_recipe(name: str) -> bool:
    return name.endswith(SUFFIXES)
