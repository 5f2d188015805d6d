"""A CSV file that names files and their classes, and if wanted the splits.

The documented columns are `file_name,label[,split]`; other headings, separators and slashes are
recognised and said. What is wrong with a row counts as a broken file, so that one row does not
end the job.
"""

import os
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import file_path, printable, printable_few, stored_name, true_name
from convatlas.data.sources.csv_columns import Columns, UnknownColumns, described, find_columns
from convatlas.data.sources.csv_text import OBJECTS, Row, read_rows
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError

HEADER = "file_name,label"
MAX_SHOWN = 200  # characters of a name that is no file's
SUFFIXES = (".csv", ".tsv", ".txt", *OBJECTS)


def list_table(path: Path, *, need_train: bool = True, kind: FileKind = IMAGES) -> Listing:
    """Return the labelled files that a CSV file names, paths relative to the file itself.

    Args:
        need_train: whether some row must train where rows state their splits.

    Raises:
        DataError: the file cannot be used.
    """
    separator, rows = read_rows(path)
    root = path.parent
    columns = tell_columns(path, rows, kind)
    listing = Listing(printable(path), root, [])
    sentence = described(columns, rows[0][1], separator)
    listing.notes.append(f"{printable(path.name)}: {sentence}")
    add_rows(listing, columns, rows)
    if not listing.items and not listing.broken:
        raise DataError(f"{printable(path)}: must name {kind.many} below its header, got no rows")
    check_splits(path, listing, need_train=need_train)
    return listing


def tell_columns(path: Path, rows: Sequence[Row], kind: FileKind = IMAGES) -> Columns:
    """Find the columns, or refuse the file with what it has."""
    if not rows:
        raise DataError(f"{printable(path)}:1: the header must contain {HEADER}, got an empty file")
    try:
        fields = [row for _, row in rows]
        return find_columns(fields, lambda name: place_of(path.parent, name)[1], kind)
    except UnknownColumns as error:
        got = printable(",".join(rows[0][1]))[:100]
        raise DataError(
            f"{printable(path)}:1: the header must contain {HEADER}, got {got} ({error})"
        ) from None


def place_of(root: Path, name: str) -> tuple[str, bool]:
    """Return a field as a stored path from the root, and whether a file is there.

    Tried are the name itself, without spaces around it, in the form that this package stores,
    and with the backslashes of Windows as slashes.
    """
    plain = name.strip()
    for tried in dict.fromkeys((name, plain, true_name(plain), plain.replace("\\", "/"))):
        stored = stored_name(tried)
        if tried and os.path.isfile(file_path(root, stored)):  # false for impossible names too
            return stored, True
    return stored_name(plain), False


def add_rows(listing: Listing, columns: Columns, rows: Sequence[Row]) -> None:
    """Add the items of the rows; what cannot be used goes to `broken`, with its line."""
    seen: dict[str, list[tuple[int, Item]]] = defaultdict(list)
    labels: set[str] = set()
    turned = 0
    first = rows[0][1]
    for line, row in rows[1:] if columns.header else rows:
        file, label, fault, split = read_row(row, columns, len(first))
        labels.update({label} - {""})
        if fault:
            listing.broken.append(
                (stored_name(file)[:MAX_SHOWN] or "a row", f"{fault}, line {line}")
            )
            continue
        place, there = place_of(listing.root, file)
        if not there:
            listing.broken.append((place[:MAX_SHOWN], f"no such file, line {line}"))
            continue
        turned += "\\" in file and "\\" not in place
        seen[posixpath.normpath(place)].append((line, Item(place, label, split)))
    repeated = 0
    for found in seen.values():
        line, item = found[0]
        odd = next(((at, other) for at, other in found if other != item), None)
        if odd is None or (odd[1].label, odd[1].split) == (item.label, item.split):
            repeated += len(found) - 1
            listing.items.append(item)
            listing.places[item.file] = f"line {line}"
        else:
            listing.broken.append((item.file, contradiction((line, item), odd)))
    if repeated:
        listing.notes.append(f"{repeated:,} row(s) repeat a file and count once")
    if turned:
        listing.notes.append(f"{turned:,} file name(s) with backslashes read as folders")
    check_labels(listing, labels)


def read_row(row: Sequence[str], columns: Columns, width: int) -> tuple[str, str, str, str | None]:
    """Return file, label, what is wrong with the row if anything, and split."""
    fields = [*row, *[""] * (width - len(row))]
    file = fields[columns.file]
    label = stored_name(unicodedata.normalize("NFC", fields[columns.label].strip()))
    given = "" if columns.split is None else fields[columns.split].strip()
    split = split_named(given)
    fault = ""
    if any(fields[width:]):
        fault = f"{len(row)} fields instead of {width}; quote names that contain the separator"
    elif not file.strip():
        fault = "no file name"
    elif not label:
        fault = "no label"
    elif given and split is None:
        fault = f"split must be train, val or test, got {printable(given)}"
    return file, label, fault, split


def contradiction(one: tuple[int, Item], other: tuple[int, Item]) -> str:
    """Say how two rows about one file differ."""
    (line, item), (again, odd) = one, other
    kind, a, b = "label", item.label, odd.label
    if a == b:
        kind, a, b = "split", item.split or "none", odd.split or "none"
    return f"two {kind}s: {printable(a)} in line {line}, {printable(b)} in line {again}"


def check_labels(listing: Listing, labels: set[str]) -> None:
    """Refuse a file that names a class in rows only that cannot be used."""
    lost = sorted(labels - {item.label for item in listing.items})
    if lost and listing.items:
        few = printable_few(f"{file} ({reason})" for file, reason in listing.broken)
        raise DataError(
            f"{listing.source}: every class must have a row that can be used, got none of "
            f"{printable_few(lost)}: {few}"
        )


def check_splits(path: Path, listing: Listing, *, need_train: bool) -> None:
    """Check that every row states a split where one does, and that some train."""
    stated = {item.split for item in listing.items}
    if stated <= {None}:
        return
    for item in listing.items:
        if item.split is None:
            line = listing.places[item.file].removeprefix("line ")
            raise DataError(
                f"{printable(path)}:{line}: split must be filled in every row or in none"
            )
    if need_train and "train" not in stated:
        raise DataError(f"{printable(path)}: some rows must have the split train, got none")
