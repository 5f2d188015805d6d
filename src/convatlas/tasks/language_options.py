"""The options of language models, checked before any work."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.line_data import MAX_LINE_SYMBOLS
from convatlas.data.text.open_lines import COLUMNS, KINDS
from convatlas.tasks.class_task import check_names
from convatlas.tasks.reads_text import check_reading_options

COUNTS = {"max_characters": (2, MAX_LINE_SYMBOLS - 1), "subwords": (8, 100_000)}


def check_language_options(options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be used.

    Raises:
        UsageError: unknown, or a value that is none.
    """
    check_names(options, (*COLUMNS, "vocabulary", *COUNTS))
    check_reading_options("language", options, COLUMNS, COUNTS, KINDS)
