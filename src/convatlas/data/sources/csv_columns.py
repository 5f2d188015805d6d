"""Which column of a CSV file names the files, which the classes, which the splits."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import printable
from convatlas.data.sources.split_names import split_named

FILE_NAMES = (  # in order of preference
    *("file_name", "filename", "file", "file_path", "filepath", "path"),
    *("image", "image_path", "image_file", "image_name", "imagename", "img", "img_path"),
    *("img_name", "picture", "photo", "audio", "sound", "clip", "slice_file_name", "wav"),
    *("audio_path", "audio_file", "track", "recording", "image_id", "id", "name"),
)
LABEL_NAMES = (
    *("label", "class", "class_name", "classname", "category", "category_name", "target"),
    *("label_name", "class_label", "species", "breed", "y", "class_id", "category_id", "label_id"),
    *("speaker", "speaker_id"),
)
SPLIT_NAMES = ("split", "set", "subset", "partition", "data_set", "dataset")
SAMPLE_ROWS = 50  # that are asked whether their files exist


@dataclass(frozen=True)
class Columns:
    """The places of the columns, from 0; `header` says whether the first row names them."""

    file: int
    label: int
    split: int | None
    header: bool


class UnknownColumns(Exception):
    """The columns cannot be told; the message says what was found."""


def column_name(field: str) -> str:
    """Return a heading as the lists above have it: `File Names` is `file_name`."""
    plain = re.sub(r"[\s.-]+", "_", field.strip().lower())
    if plain in ("classes", "categories"):
        return {"classes": "class", "categories": "category"}[plain]
    singular = plain.removesuffix("s")
    return singular if singular in FILE_NAMES + LABEL_NAMES + SPLIT_NAMES else plain


def find_columns(
    rows: Sequence[Sequence[str]], exists: Callable[[str], bool], kind: FileKind = IMAGES
) -> Columns:
    """Tell the columns by their headings, or else by which one holds files that are there.

    Args:
        rows: fields, the possible header first; at least one row.
        exists: whether a field names a file.

    Raises:
        UnknownColumns: neither tells.
    """
    first, sample = rows[0], rows[1 : SAMPLE_ROWS + 1]
    names = [column_name(field) for field in first]
    files = known(names, FILE_NAMES)
    labels = known(names, LABEL_NAMES)

    def found(place: int) -> int:
        return sum(place < len(row) and exists(row[place]) for row in sample)

    if files and labels:
        file = max(files, key=found)  # the first of equals
        return Columns(file, labels[0], split_column(names, rows[1:], {file, labels[0]}), True)
    header = not any(exists(field) or kind.holds(field.strip()) for field in first)
    body = rows[1:] if header else rows
    sample = body[:SAMPLE_ROWS]
    file = max(range(len(first)), key=found)
    if not found(file):
        raise UnknownColumns("no column lists files that exist")
    if header and labels:
        return Columns(file, labels[0], split_column(names, body, {file, labels[0]}), True)
    split = split_column(names if header else [""] * len(first), body, {file})
    rest = [place for place in range(len(first)) if place not in (file, split)]
    if len(rest) != 1:
        raise UnknownColumns(f"{len(rest)} columns may be the class")
    return Columns(file, rest[0], split, header)


def known(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return the places of the names that are wanted, most preferred first."""
    return [names.index(name) for name in wanted if name in names]


def split_column(
    names: Sequence[str], rows: Sequence[Sequence[str]], taken: set[int]
) -> int | None:
    """Return the column `split`, or one whose fields all name splits."""
    if "split" in names:
        return names.index("split")
    for place, name in enumerate(names):
        fields = {row[place].strip() for row in rows if place < len(row)} - {""}
        if place in taken or not fields or (name and name not in SPLIT_NAMES):
            continue
        if all(split_named(field) for field in fields):
            return place
    return None


def described(columns: Columns, first: Sequence[str], separator: str) -> str:
    """Say in one sentence how a file was understood."""

    def named(place: int) -> str:
        return f"'{printable(first[place].strip())}'" if columns.header else str(place + 1)

    parts = [f"column {named(columns.file)} as file", f"{named(columns.label)} as class"]
    if columns.split is not None:
        parts.append(f"{named(columns.split)} as split")
    header = "" if columns.header else "no header, "
    if not separator:
        return f"{header}reading {', '.join(parts)}"
    words = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}[separator]
    return f"{header}reading {', '.join(parts)}, separated by {words}"
