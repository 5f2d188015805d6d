"""Whether a source consists of images, of sounds or of neither, by the names of its files."""

import os
from itertools import islice
from pathlib import Path

from convatlas.data.formats import KINDS, FileKind
from convatlas.data.sources.csv_text import read_rows
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError

MAX_FOLDERS = 200  # that are looked into
MAX_LOOKED_ROWS = 50  # of a table
MIN_KIND_SHARE = 0.1  # of the files of any kind: a picture beside a song makes no set of pictures


def holds_kind(path: Path, kind: FileKind) -> bool:
    """Return whether a folder or table holds files of a kind, and not far more of another.

    A table that names no file of any kind may hold images: their names may lack a suffix.
    """
    if not path.is_dir() and path.suffix.lower() not in SUFFIXES:
        return False
    found, kinds = named_files(path), KINDS | {kind.many: kind}
    if not path.is_dir() and not any(each.holds(name) for each in kinds.values() for name in found):
        return kind == next(iter(KINDS.values()))
    counts = {each.many: sum(map(each.holds, found)) for each in kinds.values()}
    return counts[kind.many] > 0 and counts[kind.many] >= MIN_KIND_SHARE * sum(counts.values())


def named_files(path: Path) -> list[str]:
    """Return the names of files in a folder, or the fields of a table; of much only a part."""
    if not path.is_dir():
        return _fields(path)
    return [n for _, _, names in islice(os.walk(path), MAX_FOLDERS) for n in names]


def _fields(path: Path) -> list[str]:
    try:
        rows = read_rows(path)[1][: MAX_LOOKED_ROWS + 1]
    except DataError:
        return []  # opening it says what is wrong
    return [field.strip() for _, row in rows for field in row]
