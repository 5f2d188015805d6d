"""The options of classifying texts, checked before any work."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.open_labelled import KINDS
from convatlas.data.text.vocabulary import SUBWORDS
from convatlas.errors import UsageError
from convatlas.tasks import class_options
from convatlas.tasks.class_task import check_names
from convatlas.text import printable

COLUMNS = ("text", "label", "split")
COUNTS = {"max_characters": (1, 100_000), "subwords": (8, 100_000)}
SYMBOL_DROPOUT = 0.1  # unless the user asks for another
KNOWN = (*COLUMNS, "vocabulary", *COUNTS, "symbol_dropout", *class_options.OPTIONS)


def check_text_options(options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be used.

    Raises:
        UsageError: unknown, or a value that is none.
    """
    check_names(options, KNOWN)
    for name, value in options.items():
        if name in COLUMNS and not (isinstance(value, str) or (type(value) is int and value >= 1)):
            raise UsageError(
                f"text: {name} must be a column's name, or its number from 1, got {value!r}"
            )
        if name in COUNTS:
            low, high = COUNTS[name]
            if type(value) is not int or not low <= value <= high:
                raise UsageError(
                    f"text: {name} must be a whole number from {low} to {high:,}, got {value!r}"
                )
    if options.get("vocabulary", KINDS[0]) not in KINDS:
        given = printable(str(options["vocabulary"]))
        raise UsageError(f"text: vocabulary must be one of {', '.join(KINDS)}, got {given}")
    if "subwords" in options and options.get("vocabulary") != SUBWORDS:
        raise UsageError(f"text: subwords is for --set vocabulary={SUBWORDS}")
    dropout = symbol_dropout(options)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise UsageError(f"text: symbol_dropout must be from 0 to below 1, got {dropout!r}")
    class_options.check_class_options(options)


def symbol_dropout(options: Mapping[str, Any]) -> float:
    """Return the fraction of the symbols that are unknown in training."""
    return options.get("symbol_dropout", SYMBOL_DROPOUT)
