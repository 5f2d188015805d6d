"""Folders with a table of their images in them: `metadata.jsonl` or `metadata.csv`.

Source: Hugging Face, "Create an image dataset", section "ImageFolder".
"""

from dataclasses import replace
from pathlib import Path

from convatlas.data.names import printable
from convatlas.data.sources.csv_columns import LABEL_NAMES, column_name
from convatlas.data.sources.csv_text import read_rows
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.split_names import split_named
from convatlas.data.sources.table import list_table
from convatlas.errors import DataError

NAMES = ("metadata.jsonl", "metadata.csv")
FILE = "file_name"


def metadata_files(folder: Path) -> dict[str | None, Path]:
    """Return the tables with classes in a folder, or in those of its splits; empty without any.

    A table without a column of classes, such as one of captions, says nothing here.
    """
    if not folder.is_dir():
        return {}
    own = _table(folder)
    if own is not None:
        return {None: own}
    found: dict[str | None, Path] = {}
    for inside in sorted(folder.iterdir()):
        split = split_named(inside.name)
        table = _table(inside) if split is not None and inside.is_dir() else None
        if table is not None:
            found[split] = table
    return found


def _table(folder: Path) -> Path | None:
    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        rows = read_rows(path)[1]
    except DataError:
        return path  # reading it says what is wrong
    names = {column_name(field) for field in rows[0][1]} if rows else set()
    return path if FILE in names and names & set(LABEL_NAMES) else None


def list_metadata(root: Path, tables: dict[str | None, Path], *, need_train: bool) -> Listing:
    """Return the images that such tables name.

    Args:
        tables: as `metadata_files` gives them.

    Raises:
        DataError: a table cannot be used, or none trains.
    """
    if None in tables:
        return replace(list_table(tables[None], need_train=need_train), source=printable(root))
    if need_train and "train" not in tables:
        raise DataError(
            f"{printable(root)}: must have a folder train/ with {NAMES[0]}, got only "
            f"{' and '.join(printable(path.parent.name) for path in tables.values())}"
        )
    merged = Listing(printable(root), root, [])
    for split, path in tables.items():
        each = list_table(path, need_train=False)
        before = f"{path.parent.name}/"
        merged.items.extend(
            replace(item, file=before + item.file, split=split) for item in each.items
        )
        merged.places.update((before + file, place) for file, place in each.places.items())
        merged.broken.extend((before + file, reason) for file, reason in each.broken)
        merged.notes.extend(before + note for note in each.notes)
    return merged
