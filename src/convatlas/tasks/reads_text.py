"""What tasks that read texts share: options, counts of symbols, candidates."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from convatlas.data.text.vocabulary import SUBWORDS, Vocabulary
from convatlas.errors import DataError, UsageError
from convatlas.models.registry import Entry
from convatlas.search.space import width_sweeps
from convatlas.text import printable


class TextsRead(Protocol):
    """Facts of texts: what they are read with, and how long they usually are."""

    @property
    def usual_symbols(self) -> int: ...

    def read_with(self) -> Vocabulary: ...


Item = TypeVar("Item", covariant=True)


class Readable(Protocol[Item]):
    """A split whose texts are read as symbols."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Item: ...


def check_reading_options(
    task: str,
    options: Mapping[str, Any],
    columns: Sequence[str],
    counts: Mapping[str, tuple[int, int]],
    kinds: Sequence[str],
) -> None:
    """Refuse options of reading texts that cannot be used.

    Args:
        columns: options that name a column.
        counts: options that are a number, each with the least and the most.
        kinds: of vocabularies.

    Raises:
        UsageError: a value that is none.
    """
    for name, value in options.items():
        if name in columns and not (isinstance(value, str) or (type(value) is int and value >= 1)):
            raise UsageError(
                f"{task}: {name} must be a column's name, or its number from 1, got {value!r}"
            )
        if name in counts:
            low, high = counts[name]
            if type(value) is not int or not low <= value <= high:
                raise UsageError(
                    f"{task}: {name} must be a whole number from {low} to {high:,}, got {value!r}"
                )
    if options.get("vocabulary", kinds[0]) not in kinds:
        given = printable(str(options["vocabulary"]))
        raise UsageError(f"{task}: vocabulary must be one of {', '.join(kinds)}, got {given}")
    if "subwords" in options and options.get("vocabulary") != SUBWORDS:
        raise UsageError(f"{task}: subwords is for --set vocabulary={SUBWORDS}")


def refuse_reading(task: str, options: Mapping[str, Any]) -> None:
    """Refuse options of reading files for a run, which reads as it was trained.

    Raises:
        UsageError: there is one.
    """
    asked = [key for key, value in options.items() if value is not None]
    if asked:
        raise UsageError(f"{task}: a run has no option {asked[0]} for reading files")


def check_symbols(known: TextsRead, run: Any) -> None:
    """Hold the options of a run's network to its vocabulary.

    Raises:
        ValueError: the vocabulary is damaged, or the network was built for another.
    """
    try:
        symbols = len(known.read_with())
    except DataError as error:
        raise ValueError(f"facts: {error}") from None
    if run.options.get("symbols", symbols) != symbols:
        raise ValueError(f"options: symbols is {run.options['symbols']}, not {symbols}")


def networks_for(entries: Sequence[Entry], known: TextsRead, *, fixed_width: bool, **options: int):
    """Return candidates by the name of their network, for texts of the usual length."""
    forms = [({"tokens": known.usual_symbols}, {})]
    options = {"symbols": len(known.read_with()), **options}
    return {
        entry.name: width_sweeps(entry, options=options, forms=forms, fixed_width=fixed_width)
        for entry in entries
    }


def evenly_spaced(split: Readable[Item], count: int) -> list[Item]:
    """Read at most `count` evenly spaced texts."""
    step = max(1, len(split) // count)
    return [split.read(place) for place in range(0, len(split), step)][:count]
