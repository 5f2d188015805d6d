"""COCO's JSON of objects with boxes: corner, width and height in pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convatlas.data.boxes.gather import Marked, Row, Source, add_unnamed
from convatlas.data.names import printable
from convatlas.data.sources.coco_json import BOX, annotation_name, coco_files, read_coco
from convatlas.data.sources.find_image import MISSING, find_image


def list_coco_boxes(place: Path) -> Source:
    """Read a file, or those of a folder; crowds, and what is marked so, are kept apart as ignored.

    Raises:
        DataError: a file cannot be understood.
    """
    root = place if place.is_dir() else place.parent
    source = Source(printable(place), root)
    folders: set[Path] = set()
    for said in read_coco(place, coco_files(place, BOX)):
        source.classes += [n for n in said.categories.values() if n not in source.classes]
        source.found.total += len(said.strange)
        for name, reason in said.strange:
            source.found.skip(said.path.name, name, reason)
        for image in said.images:
            file = find_image(root, image.name, said.folders)
            where = f"image {image.identity} of {said.path.name}"
            if file is None:
                source.broken.append((printable(image.name), f"{MISSING}, {where}"))
                continue
            marked = Marked(file, said.split, stated=image.size, place=where)
            for each in said.objects[image.identity]:
                _add(source, marked, each, said.categories)
            source.marked.append(marked)
            folders.add((root / file).parent)
    for folder in sorted(folders):
        add_unnamed(source, folder, "not named in the JSON")
    return source


def _add(
    source: Source, image: Marked, each: Mapping[str, Any], categories: Mapping[Any, str]
) -> None:
    """Add an object to its image, or say why it cannot be used."""
    name, category, box = annotation_name(each), each.get("category_id"), each.get("bbox")
    reason = ""
    if not isinstance(category, int | str) or category not in categories:
        reason = f"no category has the id {printable(str(category)[:20])}"
    elif not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        reason = f"its bbox must be four numbers, got {printable(str(box)[:60])}"
    if reason:
        source.found.total += 1
        source.found.skip(image.file, name, reason)
        return
    x, y, width, height = map(float, box)  # pyright: ignore[reportArgumentType]  four numbers, asked for before
    row: Row = ((x, y, x + width, y + height), categories[category], name)
    ignored = each.get("iscrowd") == 1 or each.get("ignore") == 1
    (image.ignored if ignored else image.rows).append(row)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
