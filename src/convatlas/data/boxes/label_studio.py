"""Rectangles that were drawn in Label Studio."""

import math
from collections import Counter
from pathlib import Path

from convatlas.data.boxes.gather import MISSING, Marked, Source, unnamed_images
from convatlas.data.names import printable, printable_few
from convatlas.data.sources.label_studio import (
    RECTANGLES,
    SEVERAL,
    Drawn,
    ImageFinder,
    LabelTask,
    label_studio_files,
    read_tasks,
)

SIDES = ("x", "y", "width", "height")


def list_label_studio(place: Path) -> Source:
    """Read the rectangles of a file, or of the files of a folder.

    Tasks that were not annotated yet, or skipped, are left out; one that was annotated and has no
    rectangle shows nothing.

    Raises:
        DataError: a file cannot be understood.
    """
    root = place if place.is_dir() else place.parent
    source, finder = Source(printable(place), root), ImageFinder(root)
    others: Counter[str] = Counter()
    several: list[str] = []
    for path in label_studio_files(place, (RECTANGLES,)):
        for task in read_tasks(path):
            found = finder.find(task.image)
            if task.left_out:
                file = found if isinstance(found, str) else printable(task.image)
                source.ignored.append((file, task.left_out))
                continue
            if task.several:
                several.append(task.name)
            if not isinstance(found, str):
                reason = f"may be {printable_few(found)}" if found else MISSING
                source.broken.append((printable(task.image), f"{reason}, {task.name}"))
                continue
            source.marked.append(_marked(source, found, task, others))
    if several:
        source.notes.append(f"{len(several):,} tasks were {SEVERAL}: {printable_few(several)}")
    for kind, count in sorted(others.items()):
        source.notes.append(f"{count:,} of what was drawn are {printable(kind)}, left out")
    for folder in sorted({(root / image.file).parent for image in source.marked}):
        unnamed_images(source, folder, "in no task")
    return source


def _marked(source: Source, file: str, task: LabelTask, others: Counter[str]) -> Marked:
    """The image of a task with its rectangles; other things are counted."""
    image = Marked(file, None, unit="share", place=task.name)
    for each in task.drawn:
        if each.kind != RECTANGLES:
            others[each.kind] += 1
            continue
        image.stated = image.stated or each.size
        numbers = [each.value.get(side) for side in SIDES]
        if reason := _fault(each, numbers):
            source.found.total += 1
            source.found.skip(file, each.name, reason)
            continue
        x, y, width, height = (float(n) / 100 for n in numbers if n is not None)
        corners = (x, y, x + width, y + height)
        image.rows += [(corners, label, each.name) for label in each.labels]
    return image


def _fault(drawn: Drawn, numbers: list) -> str:
    """Why a rectangle cannot be used; empty where it can."""
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        return "its corners are no numbers"
    if not drawn.labels:
        return "it has no class"
    if turn := drawn.value.get("rotation") or 0:
        return f"it is rotated by {printable(str(turn)[:10])} degrees"
    if drawn.image_rotation % 360:
        return f"its image was turned by {drawn.image_rotation:g} degrees"
    return ""
