"""Examples of texts from a table or aligned files, checked one by one."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convatlas.data.names import printable, printable_few
from convatlas.data.sources.split_names import split_named
from convatlas.data.text.aligned import find_aligned, holds_aligned
from convatlas.data.text.columns import (
    PAIR,
    SPLIT,
    find_columns,
    is_language,
    is_numbered,
    tell_fields,
)
from convatlas.data.text.read_lines import BAD_UTF8, NOT_UTF8, bare_suffix, read_lines
from convatlas.data.text.read_table import SUFFIXES, Fields, read_names, read_table
from convatlas.errors import DataError

MAX_CHARACTERS = 1000  # of a text, unless an option says otherwise
STEPS_BETWEEN_REPORTS = 10_000  # examples


@dataclass(frozen=True)
class Example:
    """One example.

    Args:
        place: file and line, such as `pairs.tsv:12`.
        fields: its texts in the order wanted, without spaces around them.
        split: that the data state.
    """

    place: str
    fields: tuple[str, ...]
    split: str | None = None


@dataclass(frozen=True)
class ReadExamples:
    """What a source holds.

    Args:
        names: of the wanted columns, or languages of the files.
        broken: place and reason of each example that cannot be used.
    """

    names: tuple[str, ...]
    examples: list[Example]
    broken: list[tuple[str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many examples there are, usable or not."""
        return len(self.examples) + len(self.broken)


def holds_fields(path: Path, wanted: Sequence[str]) -> bool:
    """Return whether a path seems to be a table with these fields, or aligned files."""
    try:
        if tuple(wanted) == PAIR and holds_aligned(path):
            return True
        if not path.is_file() or bare_suffix(path) not in SUFFIXES:
            return False
        return tell_fields(read_names(path), wanted)
    except (DataError, OSError):
        return False


def read_examples(
    path: Path,
    wanted: Sequence[str],
    options: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReadExamples:
    """Read all examples of a table, or of aligned files.

    Args:
        wanted: `source` and `target`, or `text` and `label`.
        options: the columns' names or numbers, and `max_characters`.

    Raises:
        DataError: nothing can be read; lines of aligned files do not agree in number.
    """
    if not path.exists():
        raise DataError(f"{printable(path)}: does not exist")
    aligned = tuple(wanted) == PAIR and (path.is_dir() or _has_mate(path, options))
    if path.is_dir() and not aligned:
        raise DataError(f"{printable(path)}: must be a file, {', '.join(SUFFIXES)}")
    names, rows = (_aligned if aligned else _table)(path, wanted, options)
    longest = options.get("max_characters") or MAX_CHARACTERS
    found = ReadExamples(names, [])
    for number, (place, row, split) in enumerate(rows, start=1):
        fault = row if isinstance(row, str) else ""
        texts = () if isinstance(row, str) else tuple(map(cleaned, row))
        if not fault:
            fault = _fault(texts, names, longest) or _split_fault(split)
        if fault:
            found.broken.append((place, fault))
        else:
            found.examples.append(Example(place, texts, split_named(split) if split else None))
        if number % STEPS_BETWEEN_REPORTS == 0:
            progress(number, len(rows))
    if not found.examples:
        raise DataError(
            f"{printable(path)}: no line can be used: "
            f"{printable_few(f'{place} {reason}' for place, reason in found.broken)}"
        )
    check_splits(found, path)
    return found


def _has_mate(path: Path, options: Mapping[str, Any]) -> bool:
    """Return whether a file is one of two aligned ones, by its name or as options say."""
    suffix = bare_suffix(path)
    known = is_language(suffix[1:]) or suffix[1:] == options.get("source")
    return known and suffix not in SUFFIXES


def cleaned(text: str) -> str:
    """Return a text in Unicode's composed form, with single spaces and none around it."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def in_short(found: ReadExamples) -> list[str]:
    """Return what is wrong with the examples in sentences, a sentence for each reason."""
    reasons = Counter(reason for _, reason in found.broken)
    return [
        f"left out {count:,} of {found.total:,} lines, each of which {reason}: "
        + printable_few(place for place, other in found.broken if other == reason)
        for reason, count in reasons.most_common()
    ]


Row = tuple[str, Fields | str, str]  # place; fields, or why there are none; split as it stands


def _table(
    path: Path, wanted: Sequence[str], options: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[Row]]:
    table = read_table(path, header=not is_numbered(wanted, options))
    columns = find_columns(table.names, wanted, options, printable(path))
    names = tuple(
        table.names[columns[field]] if table.names else f"column {columns[field] + 1}"
        for field in wanted
    )
    places = [columns[field] for field in wanted]
    split, width = columns.get(SPLIT), max(columns.values()) + 1

    def picked(row: Fields | str) -> tuple[Fields | str, str]:
        if isinstance(row, str):
            return row, ""
        if len(row) < width:
            return f"has {len(row)} columns, not {len(table.names) or width}", ""
        return [row[n] for n in places], "" if split is None else row[split].strip()

    rows = [(f"{printable(table.name)}:{line}", *picked(row)) for line, row in table.rows]
    return names, rows


def _aligned(
    path: Path, wanted: Sequence[str], options: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[Row]]:
    pairs = find_aligned(path, options)
    rows = [row for pair in pairs for row in _lines(pair.source, pair.target, pair.split or "")]
    return (bare_suffix(pairs[0].source)[1:], bare_suffix(pairs[0].target)[1:]), rows


def _lines(source: Path, target: Path, split: str) -> Iterator[Row]:
    """Yield the lines of two files side by side."""
    first, second = read_lines(source), read_lines(target)
    if len(first) != len(second):
        raise DataError(
            f"{printable(source)} and {printable(target)}: must have the same number of lines, got "
            f"{len(first):,} and {len(second):,}; line by line they belong together"
        )
    for line, texts in enumerate(zip(first, second, strict=True), start=1):
        bad = any(NOT_UTF8.search(text) for text in texts)
        yield f"{printable(source.name)}:{line}", BAD_UTF8 if bad else texts, split


def _fault(texts: Sequence[str], names: Sequence[str], longest: int) -> str:
    """Return what is wrong with the texts of an example; nothing where they can be used."""
    for text, name in zip(texts, names, strict=True):
        if not text:
            return f"has no text of {printable(name)}"
        if len(text) > longest:
            return f"is longer than {longest:,} characters (--set max_characters=)"
    return ""


def _split_fault(split: str) -> str:
    if split and split_named(split) is None:
        return f"has the split {printable(split[:40])}, not train, val or test"
    return ""


def check_splits(found: ReadExamples, path: Path) -> None:
    """Refuse examples some of which state a split and some none."""
    bare = [each for each in found.examples if each.split is None]
    if bare and len(bare) < len(found.examples):
        raise DataError(
            f"{printable(path)}: the split must be filled in every line or in none, "
            f"{bare[0].place} has none"
        )
