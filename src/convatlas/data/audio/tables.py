"""CSV files that name sounds: folds, names without their folders, tables beside the sounds.

Handles what ESC-50 (`meta/esc50.csv` beside `audio/`), UrbanSound8K (`metadata/UrbanSound8K.csv`
beside `audio/fold1/`) and their like have and the lists of other data do not.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convatlas.data.formats import SOUNDS
from convatlas.data.names import printable, printable_few, stored_name
from convatlas.data.sources.csv_columns import (
    LABEL_NAMES,
    Columns,
    UnknownColumns,
    column_name,
    described,
    find_columns,
    known,
)
from convatlas.data.sources.csv_text import Row, read_rows
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.table import HEADER, add_rows, check_splits, place_of
from convatlas.data.sources.walk import look, walk
from convatlas.errors import DataError

FOLD_NAMES = ("fold", "cv_fold", "kfold", "fold_id")
GROUP_NAME = "group"
TABLE_FOLDERS = ("meta", "metadata", "annotation", "annotations", "labels")  # beside the sounds
MIN_VALIDATED_FOLDS = 3  # with fewer, validation is cut off the training folds
SAMPLE_ROWS = 50  # in which a sound's name tells that a table is one of sounds


@dataclass(frozen=True)
class Folds:
    """How the folds of a table are used.

    Args:
        test: the fold that is held out, as the table writes it; the last one where not given.
        used: whether they make the splits at all.
        group: the column that says of which source a sound is, such as a speaker: where splits are
            cut, a source stays in one. A column `group` says so by itself.
    """

    test: str | None = None
    used: bool = True
    group: str | None = None


def list_sound_table(path: Path, root: Path, *, folds: Folds, need_train: bool = True) -> Listing:
    """Return the labelled sounds that a CSV file names.

    A file is looked for at its path from the table, from `root`, and else by its bare name
    anywhere under `root`, where only one has it.

    Args:
        root: the folder that the places of the sounds are relative to.

    Raises:
        DataError: the table cannot be used.
    """
    separator, rows = read_rows(path)
    finder = SoundFinder(path, root)
    columns = _columns(path, rows, finder)
    listing = Listing(printable(path), root, [])
    sentence = described(columns, rows[0][1], separator)
    listing.notes.append(f"{printable(path.name)}: {sentence}")
    placed = [*rows[: columns.header], *finder.placed(rows[columns.header :], columns.file)]
    if columns.split is None or folds.test is not None:
        columns, placed = _with_folds(path, listing, columns, placed, folds)
    add_rows(listing, columns, placed)
    if folds.used:
        _add_groups(path, listing, columns, placed, folds.group)
    if finder.by_name:
        listing.notes.append(
            f"{printable(path.name)}: {finder.by_name:,} sounds were found by their bare names "
            f"under {printable(root)}"
        )
    if not listing.items and not listing.broken:
        raise DataError(f"{printable(path)}: must name sounds below its header, got no rows")
    check_splits(path, listing, need_train=need_train)
    return listing


def root_of(path: Path) -> Path:
    """Return the folder that a table's sounds lie under: its own, or the one above `meta/`."""
    own = Path(os.path.abspath(path)).parent
    return own.parent if own.name.lower() in TABLE_FOLDERS else path.parent


def find_table(folder: Path) -> Path | None:
    """Return the one table in a folder, or in `meta/` and the like in it, that lists its sounds.

    Raises:
        DataError: there are several.
    """
    places = [folder, *(f for f in look(folder, folder).folders if f.name in TABLE_FOLDERS)]
    tables = [path for place in places for path in sorted(place.glob("*.[cC][sS][vV]"))]
    good = [path for path in tables if _lists_sounds(path, folder)]
    if len(good) > 1:
        names = printable_few(str(path.relative_to(folder)) for path in good)
        raise DataError(
            f"{printable(folder)}: holds several lists of its sounds, {names}; give one"
        )
    return good[0] if good else None


def names_sounds(path: Path) -> bool:
    """Return whether a table names sounds in its first rows."""
    try:
        rows = read_rows(path)[1][: SAMPLE_ROWS + 1]
    except DataError:
        return False
    return any(SOUNDS.holds(field.strip()) for _, row in rows for field in row)


class SoundFinder:
    """Finds the files of a table; where a path leads nowhere, by the bare name."""

    def __init__(self, path: Path, root: Path):
        self._own, self._root = Path(os.path.abspath(path)).parent, Path(os.path.abspath(root))
        self._names: dict[str, list[str]] | None = None
        self.by_name = 0

    def find(self, name: str) -> str | None:
        """Return where a sound lies, as a stored path from the root; None if it is not there."""
        for start in dict.fromkeys((self._root, self._own)):
            place, there = place_of(start, name)
            if there and start == self._root:
                return place
            if there and self._own.is_relative_to(self._root):
                return f"{stored_name(self._own.relative_to(self._root).as_posix())}/{place}"
        found = self._named(name.strip().replace("\\", "/").rpartition("/")[2])
        return found[0] if len(found) == 1 else None

    def placed(self, rows: Sequence[Row], column: int) -> list[Row]:
        """Return the rows with the places of their files."""
        done: list[Row] = []
        for line, row in rows:
            place = self.find(row[column]) if column < len(row) and row[column].strip() else None
            self.by_name += place is not None and place != stored_name(row[column].strip())
            done.append((line, row if place is None else _replaced(row, column, place)))
        return done

    def _named(self, name: str) -> list[str]:
        if self._names is None:
            self._names = {}
            for file in walk(self._root, self._root, SOUNDS).files:
                if SOUNDS.holds(file):
                    self._names.setdefault(file.rpartition("/")[2], []).append(file)
        plain = stored_name(name)
        return self._names.get(plain, [])


def _replaced(row: list[str], column: int, value: str) -> list[str]:
    return [*row[:column], value, *row[column + 1 :]]


def _lists_sounds(path: Path, root: Path) -> bool:
    try:
        rows = read_rows(path)[1][: SAMPLE_ROWS + 1]
        columns = _columns(path, rows, finder := SoundFinder(path, root))
    except DataError:
        return False
    named = known([column_name(field) for field in rows[0][1]], LABEL_NAMES)
    body = rows[columns.header :]
    return bool(named and body) and any(
        SOUNDS.holds(row[columns.file]) and finder.find(row[columns.file]) is not None
        for _, row in body
        if columns.file < len(row)
    )


def _columns(path: Path, rows: Sequence[Row], finder: SoundFinder) -> Columns:
    """Find the columns; of two for the class, the one with words and not with numbers."""
    if not rows:
        raise DataError(f"{printable(path)}:1: the header must contain {HEADER}, got an empty file")
    fields = [row for _, row in rows]
    try:
        columns = find_columns(fields, lambda name: finder.find(name) is not None, SOUNDS)
    except UnknownColumns as error:
        got = printable(",".join(rows[0][1]))[:100]
        raise DataError(
            f"{printable(path)}:1: the header must contain {HEADER}, got {got} ({error})"
        ) from None
    if not columns.header:
        return columns
    places = known([column_name(field) for field in fields[0]], LABEL_NAMES)
    for place in [columns.label, *places]:
        pairs = {
            (row[columns.label], row[place]) for row in fields[1:] if _has(row, place, columns)
        }
        one_to_one = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        if one_to_one and any(not word.strip().isdecimal() for _, word in pairs):
            return replace(columns, label=place)
    return columns


def _has(row: Sequence[str], place: int, columns: Columns) -> bool:
    return max(place, columns.label) < len(row)


def _with_folds(
    path: Path, listing: Listing, columns: Columns, rows: list[Row], folds: Folds
) -> tuple[Columns, list[Row]]:
    """Turn the column of folds, if there is one, into one of splits."""
    names = [column_name(field) for field in rows[0][1]] if columns.header else []
    places = known(names, FOLD_NAMES)
    if not places:
        if folds.test is not None:
            raise DataError(f"{printable(path)}: has no column fold, which test_fold needs")
        return columns, rows
    if not folds.used:
        return columns, rows
    body, place, width = rows[1:], places[0], len(rows[0][1])
    found = sorted({row[place].strip() for _, row in body if place < len(row)} - {""}, key=_number)
    test = folds.test if folds.test is not None else (found or [""])[-1]
    if test not in found or len(found) < 2:
        raise DataError(
            f"{printable(path)}: test_fold must be one of {printable_few(found, 20)}, got {test}"
        )
    validation = found[found.index(test) - 1] if len(found) >= MIN_VALIDATED_FOLDS else None
    splits = {test: "test", validation: "val"}
    done: list[Row] = [(rows[0][0], [*rows[0][1], "split"])]
    for line, row in body:
        fields = [*row, *[""] * (width - len(row))]
        fold = fields[place].strip()
        split = splits.get(fold, "train") if fold else ""
        if fold and columns.file < len(fields):
            listing.folds[fields[columns.file]] = fold
        done.append((line, [*fields[:width], split, *fields[width:]]))
    val = "" if validation is None else f", fold {printable(validation)} validates"
    listing.notes.append(
        f"{printable(path.name)}: fold {printable(test)} of {len(found)} is held out for the test"
        f"{val}; --set test_fold=K takes another"
    )
    return replace(columns, split=width), done


def _add_groups(
    path: Path, listing: Listing, columns: Columns, rows: Sequence[Row], asked: str | None
) -> None:
    """Note the source of each sound, where a column says it."""
    names = [column_name(field) for field in rows[0][1]] if columns.header else []
    wanted = GROUP_NAME if asked is None else column_name(asked)
    if wanted not in names:
        if asked is not None:
            raise DataError(f"{printable(path)}: has no column {printable(asked)} for the groups")
        return
    place, named = names.index(wanted), {item.file for item in listing.items}
    for _, row in rows[1:]:
        if max(place, columns.file) < len(row) and row[columns.file] in named:
            listing.groups[row[columns.file]] = row[place].strip() or row[columns.file]
    for item in listing.items:
        listing.groups.setdefault(item.file, item.file)
    count = len(set(listing.groups.values()))
    listing.notes.append(
        f"{printable(path.name)}: sounds of one '{printable(rows[0][1][place])}' are not split, "
        f"{count:,} of them"
    )


def _number(text: str) -> tuple[float, str]:
    return (float(text) if text.isdecimal() else float("inf"), text)
