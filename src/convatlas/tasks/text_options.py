"""The options of classifying texts, checked before any work."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.open_labelled import KINDS
from convatlas.errors import UsageError
from convatlas.tasks import class_options
from convatlas.tasks.class_task import check_names
from convatlas.tasks.reads_text import check_reading_options

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
    check_reading_options("text", options, COLUMNS, COUNTS, KINDS)
    dropout = symbol_dropout(options)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise UsageError(f"text: symbol_dropout must be from 0 to below 1, got {dropout!r}")
    class_options.check_class_options(options)


def symbol_dropout(options: Mapping[str, Any]) -> float:
    """Return the fraction of the symbols that are unknown in training."""
    return options.get("symbol_dropout", SYMBOL_DROPOUT)
