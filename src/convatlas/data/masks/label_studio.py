"""Polygons that were drawn in Label Studio, as masks of their classes."""

from pathlib import Path

from PIL import Image

from convatlas.data.images.annotated import Annotations
from convatlas.data.images.read import orientation, quiet_pillow
from convatlas.data.masks.mask_files import Mask
from convatlas.data.masks.outlined import BACKGROUND, Outlined, outlined_masks, value_of
from convatlas.data.masks.outlines import Outline
from convatlas.data.names import file_path, printable
from convatlas.data.sources.find_image import unnamed_images
from convatlas.data.sources.label_studio import (
    POLYGONS,
    Drawn,
    LabelTask,
    read_label_studio,
    unusable,
)
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.target_findings import TargetFindings


def list_label_studio_masks(place: Path) -> Annotations[Mask]:
    """Read the polygons of a file, or of the files of a folder.

    Raises:
        DataError: a file cannot be understood.
    """
    root = place if place.is_dir() else place.parent
    read = read_label_studio(place, POLYGONS)
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
    """The polygons of a task that can be used."""
    objects = []
    for each in task.drawn:
        points = _points(each)
        reason = unusable(each, points)
        if not reason and len(points) < 6:
            reason = "a polygon must have three corners at least"
        found.total += 1
        if reason:
            found.skip(file, each.name, reason)
            continue
        polygon = tuple(size[i % 2] * float(n) / 100 for i, n in enumerate(points))
        objects += [
            (each.name, Outline(value_of(label, names), (polygon,))) for label in each.labels
        ]
    return objects


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
