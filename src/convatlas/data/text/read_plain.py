"""Plain texts line by line: a text file, a folder of such, or one column of a table."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from convatlas.data.formats import IMAGES, SOUNDS
from convatlas.data.names import printable
from convatlas.data.sources.holds_kind import MAX_FOLDERS
from convatlas.data.sources.split_names import split_named
from convatlas.data.text.columns import TEXT, find_columns, is_numbered
from convatlas.data.text.read_examples import (
    Example,
    ReadExamples,
    check_splits,
    cleaned,
    holds_fields,
)
from convatlas.data.text.read_lines import (
    BAD_UTF8,
    HEAD_BYTES,
    NOT_UTF8,
    bare_suffix,
    lines_of,
    read_text,
)
from convatlas.data.text.read_table import SUFFIXES, read_table
from convatlas.errors import DataError

PLAIN = ".txt"
BINARY = "is a binary file, no text: it has zero bytes"
STEPS_BETWEEN_REPORTS = 100  # files
FIRST_LINES = 5  # that tell a list of images or sounds


@dataclass(frozen=True)
class PlainTexts:
    """What a source of plain texts holds.

    Args:
        found: the texts, and the lines and files that cannot be used.
        empty: lines without a letter.
        cut: lines that were longer than a text may be.
    """

    found: ReadExamples = field(default_factory=lambda: ReadExamples((TEXT,), []))
    empty: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


def holds_plain(source: Path) -> bool:
    """Return whether this is a text file without columns, or a folder with such files alone."""
    if source.is_dir():
        names = [name for name in os.listdir(source) if (source / name).is_file()]
        plain = [name for name in names if bare_suffix(Path(name)) == PLAIN]
        return bool(plain) and not any(is_folder(source / name) for name in os.listdir(source))
    return source.is_file() and bare_suffix(source) == PLAIN and not _is_table(source)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder that can be seen."""
    return path.is_dir() and not path.name.startswith(".")


def _is_table(path: Path) -> bool:
    """Return whether a text file is a table by its first lines: of answers, or of other files."""
    if holds_fields(path, ("text", "label")) or holds_fields(path, ("source", "target")):
        return True
    try:
        lines = lines_of(read_text(path, HEAD_BYTES))[:FIRST_LINES]
    except DataError:
        return False
    words = [word.strip("\"'") for line in lines for word in re.split(r"[\s,;]+", line)]
    return any(kind.holds(word) for word in words for kind in (IMAGES, SOUNDS))


def read_plain(
    path: Path,
    options: Mapping[str, Any],
    max_characters: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PlainTexts:
    """Read every line of a text file, of each text file of a folder, or of a table's column.

    Files below folders named train, val and test have that split. A line longer than a text may be
    is cut at spaces.

    Args:
        options: `text` and `split`, the columns of a table.
        max_characters: of a text.

    Raises:
        DataError: names the file that is missing, empty, binary or no text.
    """
    if not path.exists():
        raise DataError(f"{printable(path)}: does not exist")
    texts = PlainTexts()
    if path.is_dir():
        _read_folder(path, texts, max_characters, progress)
    elif (bare_suffix(path) in SUFFIXES and bare_suffix(path) != PLAIN) or options.get(TEXT):
        _add(texts, _table_rows(path, options), max_characters)
    else:
        _add(texts, _lines(path, printable(path.name), None), max_characters)
    if not texts.found.examples:
        reasons = "; ".join(f"{place} {reason}" for place, reason in texts.found.broken[:3])
        raise DataError(f"{printable(path)}: holds no text" + (f": {reasons}" if reasons else ""))
    check_splits(texts.found, path)
    return texts


def cut_line(text: str, most: int) -> list[str]:
    """Return a line in parts of at most `most` characters, cut at spaces where there are any."""
    parts = []
    while len(text) > most:
        place = text.rfind(" ", 1, most + 1)
        place = most if place < 0 else place
        parts.append(text[:place].rstrip())
        text = text[place:].lstrip()
    return [*parts, text] if text else parts


Row = tuple[str, str, str | None]  # place, the line as it stands, split


def _read_folder(
    path: Path, texts: PlainTexts, most: int, progress: Callable[[int, int], None]
) -> None:
    walked = islice(os.walk(path), MAX_FOLDERS)
    files = sorted(
        Path(folder) / name
        for folder, _, names in walked
        for name in names
        if bare_suffix(Path(name)) == PLAIN
    )
    if not files:
        raise DataError(f"{printable(path)}: holds no text files, *{PLAIN}")
    for number, file in enumerate(files, start=1):
        inside = file.relative_to(path)
        split = split_named(inside.parts[0]) if len(inside.parts) > 1 else None
        try:
            _add(texts, _lines(file, printable(inside.as_posix()), split), most)
        except DataError as error:
            reason = str(error).removeprefix(f"{printable(file)}: ")
            texts.found.broken.append((printable(inside.as_posix()), reason))
        if number % STEPS_BETWEEN_REPORTS == 0:
            progress(number, len(files))


def _lines(path: Path, name: str, split: str | None) -> Iterator[Row]:
    """Yield the lines of a text file.

    Raises:
        DataError: it cannot be read, is binary or empty.
    """
    text = read_text(path)
    if "\0" in text:
        raise DataError(f"{printable(path)}: {BINARY}")
    if not text.strip():
        raise DataError(f"{printable(path)}: is an empty file")
    for number, line in enumerate(lines_of(text), start=1):
        yield f"{name}:{number}", line, split


def _table_rows(path: Path, options: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the texts of a table's column."""
    table = read_table(path, header=not is_numbered((TEXT,), options))
    columns = find_columns(table.names, (TEXT,), options, printable(path))
    place, split = columns[TEXT], columns.get("split")
    for line, row in table.rows:
        fields = [] if isinstance(row, str) else row
        stated = fields[split].strip() if split is not None and split < len(fields) else ""
        text = fields[place] if place < len(fields) else ""
        yield f"{printable(table.name)}:{line}", text, split_named(stated) if stated else None


def _add(texts: PlainTexts, rows: Iterator[Row], most: int) -> None:
    """Sort rows into texts, broken and empty ones."""
    for place, line, split in rows:
        if NOT_UTF8.search(line):
            texts.found.broken.append((place, BAD_UTF8))
            continue
        parts = cut_line(cleaned(line), most)
        if not parts:
            texts.empty.append(place)
        if len(parts) > 1:
            texts.cut.append(place)
        for number, part in enumerate(parts, start=1):
            name = place if len(parts) == 1 else f"{place}, part {number}"
            texts.found.examples.append(Example(name, (part,), split))
