"""Reading a CSV file as rows of fields, whatever it is separated by."""

import csv
import io
import json
from itertools import islice
from pathlib import Path

from convatlas.data.names import printable
from convatlas.data.sources.csv_columns import FILE_NAMES, LABEL_NAMES, column_name
from convatlas.errors import DataError

OBJECTS = (".jsonl", ".ndjson")
SEPARATORS = (",", ";", "\t", "|")
SAMPLE_LINES = 50  # from which the separator is told
Row = tuple[int, list[str]]


def read_rows(path: Path) -> tuple[str, list[Row]]:
    """Return the separator, and line number and fields of every row that is not blank.

    A file of JSON objects, a line each, has no separator; its first row are the keys.

    Raises:
        DataError: the file cannot be read, is no text in UTF-8 or UTF-16, or no CSV.
    """
    text = read_text(path)
    if path.suffix.lower() in OBJECTS:
        return "", read_objects(path, text)
    separator = tell_separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return separator, [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        raise DataError(f"{printable(path)}: cannot be read as CSV: {error}") from None


def read_objects(path: Path, text: str) -> list[Row]:
    """Return the keys of all objects as the first row, and the values of each behind it.

    What is no text and no number, such as a list of boxes, counts as an empty field.

    Raises:
        DataError: a line is no object.
    """
    objects: list[tuple[int, dict]] = []
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            found = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{printable(path)}:{line}: must be JSON ({error})") from None
        if not isinstance(found, dict):
            raise DataError(
                f"{printable(path)}:{line}: must be a JSON object, got {printable(written[:40])}"
            )
        objects.append((line, found))
    keys = list(dict.fromkeys(key for _, each in objects for key in each))
    rows = [(line, [_field(each.get(key)) for key in keys]) for line, each in objects]
    return [(1, keys), *rows] if rows else []


def _field(value: object) -> str:
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value) if plain else ""


def read_text(path: Path) -> str:
    """Return the content; Excel writes UTF-16 under the name of Unicode text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"{printable(path)}: cannot read the file: {reason}") from None
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{printable(path)}: must be text in UTF-8: {error.reason}; save it as UTF-8"
        ) from None


def tell_separator(text: str) -> str:
    """Return the separator that gives the known columns, or else rows of one length."""
    lines = list(islice(io.StringIO(text, newline=""), SAMPLE_LINES))

    def fit(separator: str) -> tuple[int, float, int]:
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator) if any(row)]
        except csv.Error:
            return (0, 0.0, 0)
        if not rows:
            return (0, 0.0, 0)
        names = {column_name(field) for field in rows[0]}
        known = bool(names & set(FILE_NAMES)) + bool(names & set(LABEL_NAMES))
        width = len(rows[0])
        same = sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0.0
        return (known if width > 1 else 0, same, width)

    return max(SEPARATORS, key=fit)  # the first of equals
