"""Rectangles that were drawn in Label Studio."""

from pathlib import Path

from convatlas.data.boxes.gather import Marked, Source, add_unnamed
from convatlas.data.names import printable
from convatlas.data.sources.label_studio import (
    RECTANGLES,
    LabelTask,
    read_label_studio,
    unusable,
)

SIDES = ("x", "y", "width", "height")


def list_label_studio(place: Path) -> Source:
    """Read the rectangles of a file, or of the files of a folder.

    A task that was annotated and has no rectangle shows nothing.

    Raises:
        DataError: a file cannot be understood.
    """
    root = place if place.is_dir() else place.parent
    read = read_label_studio(place, RECTANGLES)
    source = Source(printable(place), root, notes=read.notes)
    source.ignored, source.broken = read.ignored, read.broken
    source.marked = [_marked(source, file, task) for file, task in read.images]
    for folder in sorted({(root / image.file).parent for image in source.marked}):
        add_unnamed(source, folder, "in no task")
    return source


def _marked(source: Source, file: str, task: LabelTask) -> Marked:
    """The image of a task with its rectangles."""
    image = Marked(file, None, unit="share", place=task.name)
    for each in task.drawn:
        image.stated = image.stated or each.size
        numbers = [each.value.get(side) for side in SIDES]
        if reason := unusable(each, numbers):
            source.found.total += 1
            source.found.skip(file, each.name, reason)
            continue
        x, y, width, height = (float(n) / 100 for n in numbers if n is not None)
        corners = (x, y, x + width, y + height)
        image.rows += [(corners, label, each.name) for label in each.labels]
    return image
