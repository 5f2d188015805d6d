"""A CSV file of mixtures, each with the wanted voice alone and a clip of its speaker."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convatlas.data.audio.enrolled_mixers import ListedRow
from convatlas.data.audio.tables import SoundFinder, root_of
from convatlas.data.names import printable
from convatlas.data.sources.csv_columns import column_name, split_column
from convatlas.data.sources.csv_text import Row, read_rows
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.split_names import split_named
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError

NAMES = {  # of each column, the first one as it is documented
    "mixture": ("mixture", "mix", "mixed"),
    "target": ("target", "voice", "clean", "source"),
    "enrolment": ("enrolment", "enrollment", "reference", "auxiliary", "clip"),
}
ASKED = ("mixture", "enrolment")  # the columns that a question needs


@dataclass(frozen=True)
class ListedMixtures:
    """Rows of a list: an item's file is its mixture, its label the number of its row.

    Args:
        rows: by that label.
        groups: by that label, what shares a file with other rows of the same group.
    """

    listing: Listing
    rows: dict[str, ListedRow] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


def holds_extraction_list(source: Path) -> bool:
    """Return whether a CSV file has columns of mixtures, targets and clips."""
    try:
        if source.suffix.lower() not in SUFFIXES or not source.is_file():
            return False
        rows = read_rows(source)[1]
    except (OSError, DataError):
        return False
    return bool(rows) and all(column is not None for column in _columns(rows[0][1], NAMES))


def list_extraction(path: Path, *, need_train: bool) -> ListedMixtures:
    """Return the mixtures of a list; what is wrong with a row counts as a broken file.

    Raises:
        DataError: a column is missing, splits are stated for some rows only, or no row is left.
    """
    rows = read_rows(path)[1]
    columns = find_columns(path, rows, tuple(NAMES))
    split = split_column([column_name(f) for f in rows[0][1]], [r for _, r in rows[1:]], {*columns})
    found = ListedMixtures(Listing(printable(path), root_of(path), []))
    finder = SoundFinder(path, found.listing.root)
    for line, row in rows[1:]:
        _add(found, finder, line, row, columns, split)
    stated = {item.split for item in found.listing.items}
    if len(stated) > 1 and None in stated:
        raise DataError(f"{printable(path)}: split must be filled in every row or in none")
    if need_train and stated - {None} and "train" not in stated:
        raise DataError(f"{printable(path)}: some rows must have the split train, got none")
    if not found.listing.items and not found.listing.broken:
        raise DataError(f"{printable(path)}: must name mixtures below its header, got no rows")
    found.groups.update(_groups(found.rows))
    return found


def find_columns(path: Path, rows: Sequence[Row], wanted: Sequence[str]) -> list[int]:
    """Return the places of the columns that a list must have.

    Args:
        wanted: keys of `NAMES`.

    Raises:
        DataError: one is missing.
    """
    places = _columns(rows[0][1], wanted) if rows else [None]
    if any(place is None for place in places):
        got = printable(",".join(rows[0][1]))[:100] if rows else "an empty file"
        raise DataError(
            f"{printable(path)}:1: the header must contain {', '.join(wanted)}, got {got}"
        )
    return [place for place in places if place is not None]


def _columns(header: Sequence[str], wanted: Sequence[str] | dict[str, object]) -> list[int | None]:
    names = [re.sub("_(path|file|name)$", "", column_name(field)) for field in header]
    return [next((names.index(n) for n in NAMES[key] if n in names), None) for key in wanted]


def _add(
    found: ListedMixtures,
    finder: SoundFinder,
    line: int,
    row: Sequence[str],
    columns: Sequence[int],
    split_place: int | None,
) -> None:
    fields = [*row, *[""] * (1 + max(*columns, split_place or 0))]
    named = [fields[place].strip() for place in columns]
    given = "" if split_place is None else fields[split_place].strip()
    files = [finder.find(name) if name else None for name in named]
    if None in files:
        missing = files.index(None)
        reason = f"{list(NAMES)[missing]}: " + ("no such file" if named[missing] else "no name")
        found.listing.broken.append(
            (printable(named[missing]) or "a row", f"{reason}, line {line}")
        )
    elif given and split_named(given) is None:
        reason = f"split must be train, val or test, got {printable(given)}, line {line}"
        found.listing.broken.append((printable(named[0]), reason))
    elif files[2] in files[:2]:
        reason = f"the clip must be of another recording than mixture and target, line {line}"
        found.listing.broken.append((printable(named[2]), reason))
    else:
        item = Item(str(files[0]), f"{line}", split_named(given))
        found.listing.items.append(item)
        found.rows[item.label] = ListedRow(*(str(file) for file in files))


def _groups(rows: dict[str, ListedRow]) -> dict[str, str]:
    """Rows that share a file share a speaker: none of them may be in train and in test."""
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name] = parent[parent[name]]
        return name

    for row in rows.values():
        for file in row[1:]:
            parent[top(file)] = top(row.mixture)
    return {label: top(row.mixture) for label, row in rows.items()}
