"""Tables of images: parquet files and Hugging Face's own folders, with a column of encoded images.

Both are read by pyarrow alone, which is all that `datasets` uses for local files; that package is
needed only to fetch a data set by its name (`hub.py`).

Source: Hugging Face, `datasets` documentation, "Image" feature and `save_to_disk`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from convatlas.data.names import printable, printable_few, stored_name
from convatlas.data.packages import needed
from convatlas.data.packed.split_words import split_in
from convatlas.data.packed.table_rows import ParquetRows, Rows, TableRows
from convatlas.data.sources.contents import UnreadableContent
from convatlas.data.sources.csv_columns import LABEL_NAMES, column_name
from convatlas.data.sources.listing import Item, Listing
from convatlas.errors import DataError

PARQUET, ARROW = ".parquet", ".arrow"
STATE = "state.json"  # beside the arrow files of a folder that `save_to_disk` wrote
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "pixel_values")
FIELDS = ("bytes", "path")  # of an image in a table
NO_LABEL = -1  # what test data without answers have


class ImageColumns(NamedTuple):
    """Which columns of a table are used, and what the numbers of classes are called."""

    image: str
    label: str
    names: list[str] | None


@dataclass(frozen=True, eq=False)
class TableImages:
    """Images named `<file>/<row>`.

    Args:
        rows: of each file.
        folder: that the paths in the tables are relative to.
    """

    rows: Mapping[str, Rows]
    folder: Path
    decoded: bool = field(default=False, init=False)

    def get(self, file: str) -> bytes:
        """Return the encoded image: bytes in the table, or a file that it names."""
        name, _, row = file.rpartition("/")
        value = self.rows[name].get(int(row))
        content = value.get("bytes") if isinstance(value, dict) else value
        if isinstance(content, bytes):
            return content
        path = value.get("path") if isinstance(value, dict) else None
        if not path:
            raise UnreadableContent("the row has no image")
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            why = (error.strerror or "cannot be read").lower()
            raise UnreadableContent(f"{printable(path)}: {why}") from None

    def holds(self, file: str) -> bool:
        """Return whether there is an image of that name."""
        name, _, row = file.rpartition("/")
        in_form = row.isascii() and row.isdigit()
        return in_form and name in self.rows and int(row) < len(self.rows[name])


def find_tables(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the files of images among those in a folder, by their names and columns."""
    suffix = ARROW if STATE in names else PARQUET
    found = [folder / name for name in names if name.lower().endswith(suffix)]
    if not found or suffix == ARROW:
        return found
    try:
        return found if columns_of(_schema(found[0])) is not None else []
    except (DataError, OSError, ValueError):
        return []  # no pyarrow, or no such file: a reader of other tables says so


def open_tables(place: Path, found: list[Path]) -> Listing:
    """Return the images of tables; a file trains, validates or tests as its name says.

    Raises:
        DataError: a file is damaged, or has no column of images or of classes.
    """
    splits = [split_in(path.stem) if place.is_dir() else None for path in found]
    rows: dict[str, tuple[Rows, str | None]] = {}
    for path, split in zip(found, splits, strict=True):
        rows[path.stem] = (_rows(path), None if None in splits else split)
    listing = list_rows(printable(place), found[0].parent, rows)
    few = printable_few(path.name for path in found)
    listing.notes.insert(0, f"read as tables of images: {few}")
    return listing


def list_rows(source: str, folder: Path, rows: Mapping[str, tuple[Rows, str | None]]) -> Listing:
    """Return the images of tables with their classes.

    Args:
        rows: of each table, with its split.

    Raises:
        DataError: a table has no column of images or of classes.
    """
    contents = TableImages({name: each for name, (each, _) in rows.items()}, folder)
    listing = Listing(source, folder, [], contents=contents)
    for name, (each, split) in rows.items():
        columns = columns_of(each.schema)
        if columns is None:
            raise DataError(
                f"{source}: {printable(name)} must have a column of images and one of classes, got "
                f"{printable_few(each.schema.names, most=10)}"
            )
        labels = each.labels(columns)
        if all(label in (None, NO_LABEL) for label in labels):
            listing.notes.append(f"{printable(name)} is left out: it has no classes")
            continue
        _add(listing, name, labels, split, columns)
        each.image = columns.image
        note = f"column '{columns.image}' as image, '{columns.label}' as class"
        if note not in listing.notes:
            listing.notes.append(note)
    return listing


def _add(
    listing: Listing, name: str, labels: list[Any], split: str | None, columns: ImageColumns
) -> None:
    digits = len(str(len(labels) - 1))
    for row, value in enumerate(labels):
        file = stored_name(f"{name}/{row:0{digits}d}")
        label = label_text(value, columns.names)
        if label:
            listing.items.append(Item(file, label, split))
        else:
            listing.broken.append((file, f"no class, got {printable(value)}"))


def label_text(value: Any, names: Sequence[str] | None) -> str:
    """Return the class that a value of a table means; empty where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    if isinstance(value, int) and names is not None:
        return stored_name(names[value]) if 0 <= value < len(names) else ""
    return stored_name(str(value).strip())


def columns_of(schema: Any) -> ImageColumns | None:
    """Return which columns are image and class; None where there are none.

    `datasets` says so in the table's own description; else names and kinds of columns tell.
    """
    features = _features(schema)
    images = [c for c, f in features.items() if f.get("_type") == "Image"]
    images = images or [name for name in schema.names if _may_be_image(schema, name)]
    classes = {c: f.get("names") for c, f in features.items() if f.get("_type") == "ClassLabel"}
    by_name = {column_name(name): name for name in schema.names}
    known = [by_name[name] for name in LABEL_NAMES if name in by_name]
    known = [name for name in known if name not in images]
    if classes:  # of several, such as fine and coarse ones, the finest
        known = [name for name in known if name in classes] or sorted(
            classes, key=lambda name: -len(classes[name] or ())
        )
    if not images or not known:
        return None
    names = classes.get(known[0])
    return ImageColumns(images[0], known[0], list(map(str, names)) if names else None)


def _features(schema: Any) -> dict[str, Any]:
    """What `datasets` says of each column; empty where it did not write the table."""
    try:
        stored = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: each for name, each in stored.items() if isinstance(each, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _may_be_image(schema: Any, name: str) -> bool:
    kind = schema.field(name).type
    text = str(kind)
    if text.startswith("struct") and all(f"{each}:" in text for each in FIELDS):
        return True
    return text in ("binary", "large_binary") and column_name(name) in IMAGE_COLUMNS


def _schema(path: Path) -> Any:
    parquet = needed("pyarrow.parquet", "parquet files", "pyarrow", "parquet")
    return parquet.read_schema(path)


def _rows(path: Path) -> Rows:
    return TableRows.mapped(path) if path.suffix.lower() == ARROW else ParquetRows(path)
