"""Options of the command line that take numbers as people type them."""

from collections.abc import Callable
from typing import Any

import typer

from convatlas.errors import UsageError
from convatlas.typed_numbers import parse_bytes, parse_count, parse_seconds


def count_option(*names: str, help: str, default: float | None = None) -> Any:
    """Make a typer option that takes a count."""
    return _option(names, parse_count, "N", help, default)


def seconds_option(*names: str, help: str, default: float | None = None) -> Any:
    """Make a typer option that takes a time."""
    return _option(names, parse_seconds, "TIME", help, default)


def bytes_option(*names: str, help: str, default: float | None = None) -> Any:
    """Make a typer option that takes a size in bytes."""
    return _option(names, parse_bytes, "SIZE", help, default)


def typer_parser(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Adapt `parse` to a typer option: its message reaches the user with the option's name."""

    def parser(value: Any) -> Any:
        try:
            return parse(value) if isinstance(value, str) else value
        except UsageError as error:
            # Of a plain ValueError typer would show the text alone, without the reason.
            raise typer.BadParameter(str(error)) from error

    return parser


def _option(
    names: tuple[str, ...],
    parse: Callable[[str], float],
    metavar: str,
    help: str,
    default: float | None,
) -> Any:
    return typer.Option(default, *names, help=help, parser=typer_parser(parse), metavar=metavar)
