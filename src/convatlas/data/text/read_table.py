"""Tables of texts: TSV, CSV and JSONL, compressed or not, each row with its line."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convatlas.data.sources.csv_text import tell_separator
from convatlas.data.text.read_lines import (
    BAD_UTF8,
    HEAD_BYTES,
    NOT_UTF8,
    bare_suffix,
    lines_of,
    read_text,
)
from convatlas.errors import DataError
from convatlas.text import printable

TABS, COMMAS, OBJECTS = (".tsv", ".tab", ".txt"), (".csv",), (".jsonl", ".ndjson")
SUFFIXES = (*TABS, *COMMAS, *OBJECTS)

Fields = Sequence[str]


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Args:
        name: of the file, for places such as `pairs.tsv:12`.
        names: of the columns; empty where the file has no line of names.
        rows: line and fields of each; a text in place of the fields says why it cannot be used.
    """

    name: str
    names: tuple[str, ...]
    rows: list[tuple[int, Fields | str]]


def read_table(path: Path, *, header: bool = True) -> TextTable:
    """Read a table.

    Args:
        header: whether the first line of a TSV or CSV file names the columns.

    Raises:
        DataError: the file cannot be read, or is no table.
    """
    return parse_table(path, read_text(path), header=header)


def read_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns from the beginning of a file; none where there is no table.

    Raises:
        DataError: the file cannot be read.
    """
    head = read_text(path, HEAD_BYTES)
    whole = head[: head.rfind("\n") + 1] or head
    try:
        return parse_table(path, whole, header=True).names
    except DataError:
        return ()


def parse_table(path: Path, text: str, *, header: bool) -> TextTable:
    """Parse the text of a table by the suffix of its file.

    Raises:
        DataError: it has no rows, or is no such table.
    """
    form = _form(path, text)
    if form == OBJECTS:
        names, rows = _objects(lines_of(text))
    else:
        found = list(_commas(path, text) if form == COMMAS else _tabs(text))
        first = found[0][1] if found and header else ()
        names = () if isinstance(first, str) else tuple(name.strip() for name in first)
        rows = found[1:] if header else found
    if not rows:
        raise DataError(f"{printable(path)}: holds no rows")
    return TextTable(path.name, names, [(line, _checked(row)) for line, row in rows])


def _form(path: Path, text: str) -> tuple[str, ...]:
    """Return how a table is written: by its suffix or, without a known one, its first line."""
    suffix = bare_suffix(path)
    known = next((form for form in (TABS, COMMAS, OBJECTS) if suffix in form), None)
    if known is not None:
        return known
    first = text[: text.find("\n")]
    return OBJECTS if first.startswith("{") else TABS if "\t" in first else COMMAS


def _checked(row: Fields | str) -> Fields | str:
    """Return a row, or why it cannot be used."""
    if isinstance(row, str):
        return row
    if any(NOT_UTF8.search(field) for field in row):
        return BAD_UTF8
    return row if any(field.strip() for field in row) else "is an empty line"


def _tabs(text: str) -> Iterator[tuple[int, Fields]]:
    """Yield lines cut at tabs: quotation marks are letters like others in TSV."""
    for line, row in enumerate(lines_of(text), start=1):
        yield line, row.split("\t")


def _commas(path: Path, text: str) -> Iterator[tuple[int, Fields]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=tell_separator(text), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{printable(path)}:{line}: cannot be read as CSV: {error}") from None


def _objects(lines: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[int, Fields | str]]]:
    """Read an object a line, its fields in the order of the first one that can be read."""
    parsed = [(line, _object(text)) for line, text in enumerate(lines, start=1)]
    names = tuple(next((found for _, found in parsed if isinstance(found, dict)), {}))
    rows: list[tuple[int, Fields | str]] = []
    for line, found in parsed:
        if isinstance(found, dict):
            rows.append((line, [found.get(name, "") for name in names]))
        else:
            rows.append((line, found))
    return names, rows


def _object(text: str) -> dict[str, str] | str:
    """Return the fields of one line, or why it cannot be used.

    Fields of an object within it, as `{"translation": {"en": ..., "sv": ...}}`, count as its own.
    """
    if not text.strip():
        return "is an empty line"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "is no JSON"
    if not isinstance(found, dict):
        return "is no JSON object"
    flat: dict[str, Any] = {}
    for name, value in found.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return {name: "" if value is None else str(value) for name, value in flat.items()}
