"""A network's options as typed on the command line: `width=0.5 num_classes=10`, `--input 1x28x28`.

The value takes the type of the default that the network's class gives the option.
"""

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.numbers import typer_parser
from convatlas.errors import UsageError, nearest

if TYPE_CHECKING:
    from convatlas.models.registry import Entry

OPTIONS_HELP = "Options of the network, e.g. width=0.5 num_classes=10."
INPUT_HELP = "Size of one input, channels first, e.g. 3x224x224; the published size if not given."

_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}


def task_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return `--set name=value` texts as options: numbers where they are, tuples at commas.

    Raises:
        UsageError: a text has no name or no value.
    """
    options: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise UsageError(f"--set must be NAME=VALUE, got '{text}'")
        values = [_plain_value(each) for each in value.split(",")]
        options[name.replace("-", "_")] = tuple(values) if len(values) > 1 else values[0]
    return options


def _plain_value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def parse_options(entry: "Entry", texts: Sequence[str]) -> dict[str, Any]:
    """Parse `option=value` texts as keyword arguments of the network's class.

    Raises:
        UsageError: not `option=value`, given twice, no such option, or a value of another type.
    """
    return parse_pairs(texts, entry.name, entry.defaults, "an option of the form option=value")


def parse_pairs(
    texts: Sequence[str], owner: str, known: Mapping[str, Any], form: str
) -> dict[str, Any]:
    """Read `key=value` texts, each value as the type of its default.

    Args:
        owner: of the keys, for messages.
        known: the keys and their defaults.
        form: what a text must be, for messages.

    Raises:
        UsageError: a text of another form, given twice, no such key, or a value of another type.
    """
    chosen: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"'{text}' is not {form}")
        if key not in known:
            raise UsageError(
                f"{owner} has no option '{key}'{nearest(key, known)}; "
                f"it takes {', '.join(known) or 'none'}"
            )
        if key in chosen:
            raise UsageError(f"option '{key}' is given twice")
        chosen[key] = typed(key, value, known[key])
    return chosen


def typed(option: str, text: str, default: Any) -> Any:
    """Return the value that `text` stands for, of the type of `default`.

    Raises:
        UsageError: it is not one, or nothing of that type can be typed.
    """
    if default is None or default is inspect.Parameter.empty:
        return None if text.lower() == "none" else _guess(text)
    if isinstance(default, bool):
        return _one_of(option, text)
    if isinstance(default, int | float):
        return _number(option, text, type(default))
    if isinstance(default, str):
        return text
    if isinstance(default, tuple):
        like = default[0] if default else None
        return tuple(typed(option, part, like) for part in re.split("[,x]", text.strip("() ")))
    raise UsageError(f"option '{option}' cannot be set here; build the network in Python")


def parse_shape(text: str) -> tuple[int, ...]:
    """Parse `3x224x224` as (3, 224, 224).

    Raises:
        UsageError: not positive whole numbers with an x between them.
    """
    parts = re.split(r"[x×,]", text.strip().lower())  # noqa: RUF001  people do type it so
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(
            f"an input size must be positive whole numbers like 3x224x224, got '{text}'"
        )
    return tuple(int(part) for part in parts)


def shape_option() -> Any:
    """Make the `--input` option, a tuple of sizes or None."""
    parser = typer_parser(parse_shape)
    return typer.Option(None, "--input", help=INPUT_HELP, parser=parser, metavar="CxHxW")


def _one_of(option: str, text: str) -> bool:
    if text.lower() not in _WORDS:
        raise UsageError(f"option '{option}' must be true or false, got '{text}'")
    return _WORDS[text.lower()]


def _number(option: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"option '{option}' must be {what}, got '{text}'") from None
    if not math.isfinite(value):
        raise UsageError(f"option '{option}' must be finite, got '{text}'")
    return value


def _guess(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return _WORDS.get(text.lower(), text)
