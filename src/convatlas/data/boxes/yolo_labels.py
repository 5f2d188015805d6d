"""The text file of one image in YOLO's form: a class and a box, or an outline, on each line."""

import math
from collections.abc import Sequence
from pathlib import Path, PurePath

from convatlas.data.boxes.gather import Marked, Source
from convatlas.data.sources.csv_text import read_text

MIN_OUTLINE = 6  # numbers: three corners


def label_file(image: Path) -> Path:
    """Return where the boxes of an image lie: labels/ in place of the last images/, else beside."""
    parts = list(image.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*PurePath(*parts).parts).with_suffix(".txt")


def add_labels(source: Source, image: Marked, path: Path, *, pose: bool = False) -> None:
    """Add the boxes of a label file to an image; a missing or empty file marks nothing.

    A line with more than four numbers is an outline, whose bounds are taken, or a pose, whose
    first four are the box.

    Args:
        pose: whether lines end in key points.

    Raises:
        DataError: the file cannot be read as text.
    """
    if not path.is_file():
        return
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not (fields := line.split()):
            continue
        name = f"{path.name} line {number}"
        read = _box(fields, len(source.classes), pose)
        if isinstance(read, str):
            source.found.total += 1
            source.found.skip(image.file, name, read)
            continue
        corners, place = read
        label = source.classes[place] if source.classes else str(place)
        image.rows.append((corners, label, name))


def _box(fields: Sequence[str], classes: int, pose: bool) -> tuple[tuple[float, ...], int] | str:
    """The corners and the class of a line, or why there are none.

    Args:
        classes: how many there are; 0 where their names are not known.
    """
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        return f"it is no row of numbers: {' '.join(fields)[:60]}"
    if not all(map(math.isfinite, numbers)):
        return "its corners are no numbers"
    label, *rest = numbers
    if label != int(label) or label < 0 or (classes and label >= classes):
        return f"it has the class {fields[0]} of {classes or 'unknown'} classes"
    if len(rest) == 4 or (pose and len(rest) > 4):
        x, y, width, height = rest[:4]
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), int(label)
    if len(rest) >= MIN_OUTLINE and len(rest) % 2 == 0:
        xs, ys = rest[::2], rest[1::2]
        return (min(xs), min(ys), max(xs), max(ys)), int(label)
    return f"it has {len(rest)} numbers behind the class; a box has 4"
