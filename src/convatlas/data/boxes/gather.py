"""From what a format says, row by row, to `Annotations`: classes, image files, what is wrong."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from convatlas.data.boxes.boxes import Boxes
from convatlas.data.images.annotated import Annotations
from convatlas.data.names import printable, printable_few
from convatlas.data.sources.find_image import unnamed_images
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.target_findings import TargetFindings
from convatlas.errors import DataError
from convatlas.text import count_text

TWICE = "the same box twice, used once"
Row = tuple[tuple[float, ...], str, str]


@dataclass
class Marked:
    """One image as a format names it.

    Args:
        rows: corners, name of the class, name of the box.
        ignored: the same of what counts neither as found nor as missed: crowds, difficult objects.
        place: where the image stands in its source, such as `image 17`.
    """

    file: str
    split: str | None
    rows: list[Row] = field(default_factory=list)
    ignored: list[Row] = field(default_factory=list)
    unit: str = "pixels"
    stated: tuple[int, int] | None = None
    place: str = ""


@dataclass
class Source:
    """What a format has said so far.

    Args:
        where: the source as messages name it.
        root: the folder that files are relative to.
        classes: in the order of the source; empty where it has none, and they are sorted then.
    """

    where: str
    root: Path
    classes: list[str] = field(default_factory=list)
    marked: list[Marked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    found: TargetFindings = field(default_factory=TargetFindings)


def annotations(source: Source) -> Annotations[Boxes]:
    """Return what was said, with the classes that have boxes and the files that are there.

    Raises:
        DataError: no image is named.
    """
    _check_twice(source)
    if not source.marked:
        raise DataError(f"{source.where}: must name images with boxes, got none")
    for image in source.marked:
        image.rows = _once(source, image)
    used = {label for image in source.marked for _, label, _ in image.rows}
    classes = [label for label in source.classes if label in used] or sorted(used)
    unused = [label for label in source.classes if label not in used]
    notes = list(source.notes)
    if unused:
        notes.append(
            f"{len(unused)} of {len(source.classes)} classes have no box and are left out: "
            f"{printable_few(unused)}"
        )
    if hidden := sum(len(image.ignored) for image in source.marked):
        boxes = count_text(hidden, "boxes")
        notes.append(
            f"{boxes} of crowds or difficult objects left out of the training; "
            "what is found there counts neither as right nor as wrong"
        )
    empty = sum(not image.rows for image in source.marked)
    if empty:
        notes.append(f"{empty:,} of {len(source.marked):,} images have no box: nothing is on them")
    place = {label: i for i, label in enumerate(classes)}
    items, targets, places = [], {}, {}
    for image in source.marked:
        items.append(Item(image.file, "", image.split))
        rows = [(corners, place[label], name) for corners, label, name in image.rows]
        unit = "share" if image.unit == "share" else "pixels"
        # Of a class without any other box nothing is asked.
        hidden = [
            (corners, place[label], name)
            for corners, label, name in image.ignored
            if label in place
        ]
        ignored = Boxes.of(hidden, unit, image.stated) if hidden else None
        targets[image.file] = replace(Boxes.of(rows, unit, image.stated), ignored=ignored)
        if image.place:
            places[image.file] = image.place
    listing = Listing(
        source.where,
        source.root,
        items,
        ignored=source.ignored,
        broken=source.broken,
        notes=notes,
        places=places,
    )
    return Annotations(listing, targets, tuple(classes), source.found)


def _check_twice(source: Source) -> None:
    """Put together what is said twice of one image, unless its splits differ."""
    by_file: dict[str, Marked] = {}
    for image in source.marked:
        first = by_file.setdefault(image.file, image)
        if first is image:
            continue
        if first.split != image.split:
            raise DataError(
                f"{source.where}: {printable(image.file)} must be in one split, got "
                f"{first.split} and {image.split}"
            )
        first.rows.extend(image.rows)
        first.ignored.extend(image.ignored)
    source.marked[:] = by_file.values()


def _once(source: Source, image: Marked) -> list[Row]:
    """The boxes of an image without those that stand there again, class and corners the same."""
    known: dict[tuple, Row] = {}
    for row in image.rows:
        if known.setdefault(row[:2], row) is not row:
            source.found.mend(image.file, row[2], TWICE)
    return list(known.values())


def add_unnamed(source: Source, folder: Path, reason: str) -> None:
    """List, among what is ignored, the images in a folder that nothing was said of."""
    named = {image.file for image in source.marked} | {file for file, _ in source.ignored}
    source.ignored += [(file, reason) for file in unnamed_images(source.root, folder, named)]
