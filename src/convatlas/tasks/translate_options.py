"""The options of translation, checked before any work."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.vocabulary import CHARACTERS, SUBWORDS
from convatlas.errors import UsageError, nearest
from convatlas.metric import Metric
from convatlas.text import printable
from convatlas.train.translation_figures import CHRF, METRICS

COLUMNS = ("source", "target", "split")
FRACTIONS = {"label_smoothing": 0.1, "symbol_dropout": 0.0}
COUNTS = {"max_characters": (1, 10_000), "subwords": (8, 100_000)}
CHOICES = {"vocabulary": (CHARACTERS, SUBWORDS), "metric": tuple(METRICS)}
KNOWN = (*COLUMNS, *CHOICES, *COUNTS, *FRACTIONS)


def check_translate_options(options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be used.

    Raises:
        UsageError: unknown, or a value that is none.
    """
    for name, value in options.items():
        if name not in KNOWN:
            raise UsageError(
                f"translate: no option '{name}'{nearest(name, KNOWN)}; it takes {', '.join(KNOWN)}"
            )
        fault = None if value is None else _fault(name, value)
        if fault:
            raise UsageError(f"translate: {name} must be {fault}, got {printable(repr(value))}")
    if options.get("subwords") is not None and options.get("vocabulary") == CHARACTERS:
        raise UsageError("translate: subwords is for another vocabulary than characters")


def _fault(name: str, value: Any) -> str:
    """Return what a value must be; nothing where it is so."""
    if name in COLUMNS:
        right = isinstance(value, str) or (type(value) is int and value >= 1)
        return "" if right else "the name of a column or file ending, or a column's number from 1"
    if name in CHOICES:
        return "" if value in CHOICES[name] else f"one of {', '.join(CHOICES[name])}"
    if name in COUNTS:
        low, high = COUNTS[name]
        right = type(value) is int and low <= value <= high
        return "" if right else f"a whole number from {low} to {high:,}"
    right = type(value) in (int, float) and 0 <= value < 1
    return "" if right else "from 0 to below 1"


def fraction(options: Mapping[str, Any], name: str) -> float:
    """Return a fraction that an option sets, or the usual one."""
    value = options.get(name)
    return FRACTIONS[name] if value is None else float(value)


def score_of(options: Mapping[str, Any]) -> Metric:
    """Return the score that decides: chrF, unless an option says BLEU.

    chrF tells weak translations apart, where BLEU is near 0 until whole phrases are right.
    """
    return METRICS[options.get("metric") or CHRF.key]
