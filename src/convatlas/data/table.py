"""A CSV file that names images: columns `file_name`, `label` and, if wanted, `split`."""

import csv
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from convatlas.data.listing import Item, Listing
from convatlas.data.names import shown
from convatlas.data.split_names import split_named
from convatlas.errors import DataError

HEADER = "file_name,label"


def list_table(path: Path) -> Listing:
    """The labelled images that a CSV file names, paths relative to the file itself.

    Raises:
        DataError: the file or a row of it cannot be used; names the line.
    """
    items: list[Item] = []
    lines: dict[str, int] = {}
    for line, row in rows(path):
        item = read_row(path, line, row)
        if item.file in lines:
            raise DataError(
                f"{shown(path)}:{line}: a file may stand in one row, got {shown(item.file)} "
                f"again after line {lines[item.file]}"
            )
        lines[item.file] = line
        items.append(item)
    if not items:
        raise DataError(f"{shown(path)}: must name images below its header, got no rows")
    check_splits(path, items, lines)
    return Listing(shown(path), path.parent, items)


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of every row that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            check_header(path, [name or "" for name in reader.fieldnames or []])
            for row in reader:
                if None in row:
                    raise DataError(
                        f"{shown(path)}:{reader.line_num}: a row must have "
                        f"{len(reader.fieldnames or [])} fields, got more; quote commas in names"
                    )
                yield reader.line_num, {name.strip(): value or "" for name, value in row.items()}
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"{shown(path)}: cannot read the file: {reason}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}: must be text in UTF-8: {error.reason}") from None
    except csv.Error as error:
        raise DataError(f"{shown(path)}: cannot be read as CSV: {error}") from None


def check_header(path: Path, names: list[str]) -> None:
    """Refuse a header without the two columns."""
    missing = {"file_name", "label"} - {name.strip() for name in names}
    if missing:
        got = shown(",".join(names))[:100] or "an empty file"
        raise DataError(f"{shown(path)}:1: the header must hold {HEADER}, got {got}")


def read_row(path: Path, line: int, row: dict[str, str]) -> Item:
    """One row as an item; the file must be there and the label filled in."""
    file = row["file_name"]
    label = unicodedata.normalize("NFC", row["label"].strip())
    if not file.strip():
        raise DataError(f"{shown(path)}:{line}: file_name must not be empty")
    if not label:
        raise DataError(f"{shown(path)}:{line}: label must not be empty, of {shown(file)}")
    if "\0" in file or not (path.parent / file).is_file():
        raise DataError(f"{shown(path)}:{line}: no file {shown(file)} in {shown(path.parent)}")
    given = row.get("split", "").strip()
    split = split_named(given)
    if given and split is None:
        raise DataError(
            f"{shown(path)}:{line}: split must be train, val or test, got {shown(given)}"
        )
    return Item(file, label, split)


def check_splits(path: Path, items: list[Item], lines: dict[str, int]) -> None:
    """Where one row states a split, every row must, and some must train."""
    stated = {item.split for item in items}
    if stated == {None}:
        return
    for item in items:
        if item.split is None:
            raise DataError(
                f"{shown(path)}:{lines[item.file]}: split must be filled in every row or in none"
            )
    if "train" not in stated:
        raise DataError(f"{shown(path)}: some rows must have the split train, got none")
