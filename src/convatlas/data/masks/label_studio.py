"""Polygons and brush strokes that were drawn in Label Studio, as masks of their classes."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from convatlas.data.images.annotated import Annotations
from convatlas.data.images.read import orientation, quiet_pillow
from convatlas.data.masks.label_studio_brush import brush_runs
from convatlas.data.masks.mask_files import Mask
from convatlas.data.masks.outlined import BACKGROUND, Outlined, outlined_masks, value_of
from convatlas.data.masks.outlines import MIN_CORNERS, Outline
from convatlas.data.names import file_path, printable
from convatlas.data.sources.find_image import unnamed_images
from convatlas.data.sources.label_studio import (
    BRUSHES,
    OUTLINES,
    Drawn,
    LabelTask,
    read_label_studio,
    unusable,
)
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.target_findings import TargetFindings


def list_label_studio_masks(place: Path) -> Annotations[Mask]:
    """Read polygons and brush strokes of a file, or of the files of a folder.

    Raises:
        DataError: a file cannot be understood.
    """
    root = place if place.is_dir() else place.parent
    read = read_label_studio(place, *OUTLINES)
    listing = Listing(printable(place), root, [], read.ignored, read.broken, read.notes)
    found, names, images = TargetFindings(), {0: BACKGROUND}, list[Outlined]()
    for file, task in read.images:
        size = next((each.size for each in task.drawn if each.size), None)
        size = size or _sides(file_path(root, file))
        if size is None:
            listing.broken.append((file, "its size cannot be read"))
        else:
            images.append(Outlined(file, None, size, _objects(file, task, size, names, found)))
    files = {image.file for image in images} | {file for file, _ in read.ignored}
    for folder in sorted({(root / image.file).parent for image in images}):
        listing.ignored.extend((file, "in no task") for file in unnamed_images(root, folder, files))
    return outlined_masks(listing, images, names, found)


def _objects(
    file: str,
    task: LabelTask,
    size: tuple[int, int],
    names: dict[int, str],
    found: TargetFindings,
) -> list[tuple[str, Outline]]:
    """What of a task can be used."""
    objects = []
    for each in task.drawn:
        found.total += 1
        try:
            where = _painted(each, size) if each.kind == BRUSHES else _polygon(each, size)
        except ValueError as error:
            found.skip(file, each.name, str(error))
            continue
        objects += [
            (each.name, replace(where, value=value_of(label, names))) for label in each.labels
        ]
    return objects


def _polygon(drawn: Drawn, size: tuple[int, int]) -> Outline:
    points = _points(drawn)
    if reason := unusable(drawn, points):
        raise ValueError(reason)
    if len(points) < MIN_CORNERS:
        raise ValueError("a polygon must have three corners at least")
    return Outline(0, (tuple(size[i % 2] * float(n) / 100 for i, n in enumerate(points)),))


def _painted(drawn: Drawn, size: tuple[int, int]) -> Outline:
    if reason := unusable(drawn, ()):
        raise ValueError(reason)
    return Outline(0, runs=brush_runs(drawn.value.get("rle"), size))


def _points(drawn: Drawn) -> list:
    """The corners in one row, x before y; what is no pair of numbers stays to be refused."""
    points = drawn.value.get("points")
    pairs = points if isinstance(points, list) else [None]
    return [n for pair in pairs for n in (pair if isinstance(pair, list) else [pair])]


def _sides(path: Path) -> tuple[int, int] | None:
    """Width and height of an image, upright; None where its header cannot be read."""
    try:
        with quiet_pillow(), Image.open(path) as image:
            width, height = image.size
            return (height, width) if orientation(image) >= 5 else (width, height)
    except Exception:  # Pillow raises almost anything; the scan says what is wrong
        return None
