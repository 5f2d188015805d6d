"""The options of language models, checked before any work."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.line_data import MAX_LINE_SYMBOLS
from convatlas.data.text.open_lines import COLUMNS, KINDS
from convatlas.data.text.vocabulary import SUBWORDS
from convatlas.errors import UsageError
from convatlas.tasks.class_task import check_names
from convatlas.text import printable

COUNTS = {"max_characters": (2, MAX_LINE_SYMBOLS - 1), "subwords": (8, 100_000)}


def check_language_options(options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be used.

    Raises:
        UsageError: unknown, or a value that is none.
    """
    check_names(options, (*COLUMNS, "vocabulary", *COUNTS))
    for name, value in options.items():
        if name in COLUMNS and not (isinstance(value, str) or (type(value) is int and value >= 1)):
            raise UsageError(
                f"language: {name} must be a column's name, or its number from 1, got {value!r}"
            )
        if name in COUNTS:
            low, high = COUNTS[name]
            if type(value) is not int or not low <= value <= high:
                raise UsageError(
                    f"language: {name} must be a whole number from {low} to {high:,}, got {value!r}"
                )
    if options.get("vocabulary", KINDS[0]) not in KINDS:
        given = printable(str(options["vocabulary"]))
        raise UsageError(f"language: vocabulary must be one of {', '.join(KINDS)}, got {given}")
    if "subwords" in options and options.get("vocabulary") != SUBWORDS:
        raise UsageError(f"language: subwords is for --set vocabulary={SUBWORDS}")
