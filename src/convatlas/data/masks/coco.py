"""COCO's JSON of objects with outlines or run lengths, as masks of their classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convatlas.data.images.annotated import Annotations
from convatlas.data.masks.mask_files import Mask
from convatlas.data.masks.outlined import BACKGROUND, Outlined, outlined_masks, value_of
from convatlas.data.masks.outlines import MIN_CORNERS, Outline, parse_runs
from convatlas.data.names import printable
from convatlas.data.sources.coco_json import OUTLINE, annotation_name, coco_files, read_coco
from convatlas.data.sources.find_image import MISSING, find_image
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.target_findings import TargetFindings

NO_SIZE = "its width and height are not stated"


def list_coco(source: Path) -> Annotations[Mask]:
    """Read COCO files: a mask for each image, drawn when it is asked for.

    Raises:
        DataError: a file cannot be understood; names the file and the object.
    """
    root = source if source.is_dir() else source.parent
    listing, found, names = Listing(printable(source), root, []), TargetFindings(), {0: BACKGROUND}
    images: list[Outlined] = []
    for said in read_coco(source, coco_files(source, OUTLINE)):
        values = {key: value_of(name, names) for key, name in said.categories.items()}
        found.total += len(said.strange)
        for name, reason in said.strange:
            found.skip(said.path.name, name, reason)
        for image in said.images:
            where = f"image {image.identity} of {said.path.name}"
            file = find_image(root, image.name, said.folders)
            if file is None or image.size is None:
                reason = MISSING if file is None else NO_SIZE
                listing.broken.append((printable(image.name), f"{reason}, {where}"))
                continue
            outlined = Outlined(file, said.split, image.size)
            for each in said.objects[image.identity]:
                _add(outlined, each, values, found)
            images.append(outlined)
    return outlined_masks(listing, images, names, found)


def _add(
    image: Outlined, each: Mapping[str, Any], values: Mapping[Any, int], found: TargetFindings
) -> None:
    """Add an object to its image, or say why it cannot be drawn."""
    name, category = annotation_name(each), each.get("category_id")
    found.total += 1
    if not isinstance(category, int | str) or category not in values:
        found.skip(image.file, name, f"no category has the id {printable(str(category)[:20])}")
        return
    try:
        image.objects.append((name, _outline(each.get("segmentation"), values[category])))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        found.skip(image.file, name, f"its outline cannot be read ({reason})")


def _outline(given: Any, value: int) -> Outline:
    if isinstance(given, dict):
        counts = given["counts"]
        runs = parse_runs(counts) if isinstance(counts, str) else tuple(int(n) for n in counts)
        return Outline(value, runs=runs)
    polygons = tuple(tuple(float(x) for x in polygon) for polygon in given or ())
    if not polygons or any(len(p) < MIN_CORNERS or len(p) % 2 for p in polygons):
        raise ValueError("a polygon must have three corners at least")
    return Outline(value, polygons)
