"""Boxes in a CSV file: a row for each, with a heading for each column."""

from collections.abc import Sequence
from pathlib import Path

from convatlas.data.boxes.gather import Marked, Source, add_unnamed
from convatlas.data.names import printable, printable_few
from convatlas.data.sources.csv_columns import FILE_NAMES, LABEL_NAMES, SPLIT_NAMES, column_name
from convatlas.data.sources.csv_text import read_rows
from convatlas.data.sources.find_image import MISSING, find_image
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError

CORNERS = (  # headings of x1 y1 x2 y2
    ("xmin", "x_min", "x1", "left", "bbox_x1", "x0"),
    ("ymin", "y_min", "y1", "top", "bbox_y1", "y0"),
    ("xmax", "x_max", "x2", "right", "bbox_x2"),
    ("ymax", "y_max", "y2", "bottom", "bbox_y2"),
)
SIZES = (("width", "image_width", "img_width"), ("height", "image_height", "img_height"))


def has_boxes(path: Path) -> bool:
    """Return whether a CSV file has the headings of boxes."""
    try:
        rows = read_rows(path)[1]
    except DataError:
        return False
    return bool(rows) and corner_columns(rows[0][1]) is not None


def corner_columns(header: Sequence[str]) -> list[int] | None:
    """Return the places of x1 y1 x2 y2 among the headings; None where one is missing."""
    plain = [column_name(field) for field in header]
    found = [next((plain.index(n) for n in names if n in plain), None) for names in CORNERS]
    return None if None in found else [place for place in found if place is not None]


def list_box_table(path: Path) -> Source:
    """Read a table of boxes: file, class, xmin, ymin, xmax, ymax in pixels, and split if any.

    A row without corners names an image on which there is nothing.

    Raises:
        DataError: a column is missing, or a field cannot be read.
    """
    where = printable(path)
    rows = read_rows(path)[1]
    header = rows[0][1] if rows else []
    corners = corner_columns(header)
    if corners is None:
        raise DataError(f"{where}: must have columns xmin, ymin, xmax and ymax, got {header}")
    plain = [column_name(field) for field in header]
    file_at, label_at = (_column(plain, names, where) for names in (FILE_NAMES, LABEL_NAMES))
    split_at = next((plain.index(name) for name in SPLIT_NAMES if name in plain), None)
    size_at = [next((plain.index(n) for n in names if n in plain), None) for names in SIZES]
    source = Source(where, path.parent)
    files: dict[str, str | None] = {}
    images: dict[str, Marked] = {}
    for line, fields in rows[1:]:
        if len(fields) != len(header):
            raise DataError(f"{where}: line {line} must have {len(header)} fields, got {fields}")
        name = fields[file_at].strip()
        if name not in files:
            files[name] = find_image(path.parent, name, [path.parent])
        file = files[name]
        if file is None:
            if name not in images:
                source.broken.append((printable(name), f"{MISSING}, line {line}"))
                images[name] = Marked(name, None)
            continue
        split = _split(fields[split_at], where, line) if split_at is not None else None
        image = images.setdefault(name, Marked(file, split, place=f"line {line}"))
        if split != image.split:
            raise DataError(f"{where}: line {line}: {printable(name)} is in two splits")
        image.stated = _stated(fields, size_at)
        given = [fields[place].strip() for place in corners]
        if any(given):
            label = fields[label_at].strip()
            box = f"line {line}"
            numbers = _numbers(given)
            if numbers is None:
                source.found.total += 1
                source.found.skip(file, box, f"its corners are no numbers: {' '.join(given)}")
            elif not label:
                source.found.total += 1
                source.found.skip(file, box, "it has no class")
            else:
                image.rows.append((numbers, label, box))
    source.marked = [image for name, image in images.items() if files[name] is not None]
    for folder in sorted({(path.parent / image.file).parent for image in source.marked}):
        add_unnamed(source, folder, "not named in the table")
    return source


def _column(plain: Sequence[str], names: Sequence[str], where: str) -> int:
    found = next((plain.index(name) for name in names if name in plain), None)
    if found is None:
        raise DataError(
            f"{where}: must have a column {names[0]}, got {printable_few(plain, most=10)}"
        )
    return found


def _split(field: str, where: str, line: int) -> str | None:
    if not field.strip():
        return None
    split = split_named(field)
    if split is None:
        raise DataError(
            f"{where}: line {line}: split must be train, val or test, got {printable(field)}"
        )
    return split


def _numbers(fields: Sequence[str]) -> tuple[float, ...] | None:
    try:
        return tuple(float(field) for field in fields)
    except ValueError:
        return None


def _stated(fields: Sequence[str], places: Sequence[int | None]) -> tuple[int, int] | None:
    """Width and height of the image, where the table gives both as whole numbers."""
    given = [fields[place].strip() for place in places if place is not None]
    if len(given) == 2 and all(field.isdecimal() for field in given):
        return int(given[0]), int(given[1])
    return None
