"""Reading a CSV file as rows of fields, whatever it is separated by."""

import csv
import io
from itertools import islice
from pathlib import Path

from convatlas.data.names import printable
from convatlas.data.sources.csv_columns import FILE_NAMES, LABEL_NAMES, column_name
from convatlas.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_LINES = 50  # from which the separator is told
Row = tuple[int, list[str]]


def read_rows(path: Path) -> tuple[str, list[Row]]:
    """Return the separator, and line number and fields of every row that is not blank.

    Raises:
        DataError: the file cannot be read, is no text in UTF-8 or UTF-16, or no CSV.
    """
    text = read_text(path)
    separator = tell_separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return separator, [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        raise DataError(f"{printable(path)}: cannot be read as CSV: {error}") from None


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
