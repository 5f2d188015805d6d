"""A CSV file of mixtures, each with the wanted voice alone and a clip of its speaker."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from convatlas.data.audio.extraction_data import VECTOR
from convatlas.data.audio.listed_voices import ListedRow
from convatlas.data.audio.speaker_vector import names_vector, read_vector, split_part
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
    VECTOR: ("vector", "speaker_vector", "embedding", "speaker_embedding", "ivector", "xvector"),
}
HEARD = ("mixture", "target")  # the columns that a list for training has beside the speaker's
ENROLMENT = "enrolment"


@dataclass(frozen=True)
class ListedMixtures:
    """Rows of a list: an item's file is its mixture, its label the number of its row.

    Args:
        rows: by that label.
        groups: by that label, what shares a file with other rows of the same group.
        features: numbers of a speaker's vector, where vectors tell the speaker.
    """

    listing: Listing
    rows: dict[str, ListedRow] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    features: int | None = None


def holds_extraction_list(source: Path) -> bool:
    """Return whether a CSV file has columns of mixtures, targets and clips, or vectors."""
    try:
        if source.suffix.lower() not in SUFFIXES or not source.is_file():
            return False
        rows = read_rows(source)[1]
    except (OSError, DataError):
        return False
    if not rows:
        return False
    *heard, clip, vector = _columns(rows[0][1], NAMES)
    return None not in heard and (clip, vector) != (None, None)


def list_extraction(
    path: Path, *, need_train: bool, speaker: str | None = None, features: int | None = None
) -> ListedMixtures:
    """Return the mixtures of a list; what is wrong with a row counts as a broken file.

    Args:
        speaker: `vector` takes the column of vectors, another word that of clips; where not given
            the clips are taken, if there is a column of them.
        features: numbers that a vector must have; where not given as many as most have.

    Raises:
        DataError: a column is missing, splits are stated for some rows only, or no row is left.
    """
    rows = read_rows(path)[1]
    told = told_by(rows, speaker)
    columns = find_columns(path, rows, (*HEARD, told))
    split = split_column([column_name(f) for f in rows[0][1]], [r for _, r in rows[1:]], {*columns})
    found = ListedMixtures(Listing(printable(path), root_of(path), []))
    finder = SoundFinder(path, found.listing.root)
    for line, row in rows[1:]:
        _add(found, finder, line, row, columns, split, told)
    if told == VECTOR:
        found = _of_one_length(found, features)
    stated = {item.split for item in found.listing.items}
    if len(stated) > 1 and None in stated:
        raise DataError(f"{printable(path)}: split must be filled in every row or in none")
    if need_train and stated - {None} and "train" not in stated:
        raise DataError(f"{printable(path)}: some rows must have the split train, got none")
    if not found.listing.items and not found.listing.broken:
        raise DataError(f"{printable(path)}: must name mixtures below its header, got no rows")
    found.groups.update(_groups(found.rows))
    return found


def told_by(rows: Sequence[Row], speaker: str | None) -> str:
    """Return the column of `NAMES` that tells the speaker."""
    if speaker is not None or not rows:
        return VECTOR if speaker == VECTOR else ENROLMENT
    clip, vector = _columns(rows[0][1], (ENROLMENT, VECTOR))
    return VECTOR if clip is None and vector is not None else ENROLMENT


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
    told: str,
) -> None:
    fields = [*row, *[""] * (1 + max(*columns, split_place or 0))]
    named = [fields[place].strip() for place in columns]
    given = "" if split_place is None else fields[split_place].strip()
    files = [finder.find(name) if name else None for name in named[:2]]
    find = find_vector if told == VECTOR else SoundFinder.find
    files.append(find(finder, named[2]) if named[2] else None)
    if None in files:
        missing = files.index(None)
        what = (*HEARD, told)[missing]
        reason = f"{what}: " + ("no such file" if named[missing] else "no name")
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


def find_vector(finder: SoundFinder, name: str) -> str | None:
    """Return a vector's file as a stored path with its part, or the numbers as they are.

    None says that there is no such file.
    """
    if not names_vector(name):
        return name
    file, part = split_part(name)
    place = finder.find(file)
    return place if place is None or not part else f"{place}[{part}]"


def _of_one_length(found: ListedMixtures, features: int | None) -> ListedMixtures:
    """Read every vector; what is wrong with one counts as a broken file."""
    broken: dict[str, str] = {}
    lengths: dict[str, int] = {}
    for item in found.listing.items:
        try:
            vector = read_vector(found.rows[item.label].enrolment, found.listing.root)
            lengths[item.label] = len(vector)
        except DataError as error:
            broken[item.label] = str(error)
    if features is None and lengths:
        features = Counter(lengths.values()).most_common(1)[0][0]
    for label, length in lengths.items():
        if length != features:
            name = printable(found.rows[label].enrolment[:60])
            broken[label] = f"{name}: must have {features:,} numbers as the others, got {length:,}"
    found.listing.broken.extend(
        (printable(found.rows[label].mixture), f"vector {reason}, line {label}")
        for label, reason in broken.items()
    )
    items = [item for item in found.listing.items if item.label not in broken]
    rows = {label: row for label, row in found.rows.items() if label not in broken}
    listing = replace(found.listing, items=items)
    return ListedMixtures(listing, rows, features=features)


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
