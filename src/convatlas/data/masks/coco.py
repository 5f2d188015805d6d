"""COCO's JSON of objects with outlines or run lengths, as masks of their classes.

What no object covers is the class `background`. Larger objects are drawn first, so that a small one
on a large one is seen.
"""

import json
import os
from pathlib import Path
from typing import Any

from convatlas.data.images.annotated import Annotations
from convatlas.data.masks.mask_files import MAX_MASK_CLASSES, Mask
from convatlas.data.masks.outlines import Outline, draw_outlines, parse_runs, runs_to_mask
from convatlas.data.names import printable, stored_name
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.split_names import split_named
from convatlas.data.sources.target_findings import TargetFindings
from convatlas.errors import DataError

BACKGROUND = "background"
MIN_CORNERS = 6  # numbers of a polygon: three corners
FOLDERS = ("", "images", "train", "val", "test", "data")
MAX_LOOKED = 20  # files of JSON that are opened to see what they are


def coco_with_outlines(source: Path) -> list[Path]:
    """Return the files of a source, or the file itself, that hold objects with outlines."""
    if source.is_file():
        files = [source] if source.suffix.lower() == ".json" else []
    elif source.is_dir():
        places = [source, *(p for p in sorted(source.iterdir()) if p.is_dir())]
        files = [f for place in places for f in sorted(place.glob("*.json"))][:MAX_LOOKED]
    else:
        files = []
    return [file for file in files if _has_outlines(file)]


def list_coco(source: Path) -> tuple[Annotations[Mask], tuple[int, ...]]:
    """Read COCO files: a mask for each image, drawn when it is asked for.

    Raises:
        DataError: a file cannot be understood; names the file and the object.
    """
    files = coco_with_outlines(source)
    root = source if source.is_dir() else source.parent
    listing, targets = Listing(printable(source), root, []), {}
    found, names = TargetFindings(), {0: BACKGROUND}
    for file in files:
        content = _read(file)
        split = (split_named(file.stem) or _split_of(file.stem)) if len(files) > 1 else None
        places = _places(file, content, names)
        objects = _objects(file, content, places, found)
        for image in content.get("images", []):
            try:
                identity, name = image["id"], str(image["file_name"])
                size = (int(image["width"]), int(image["height"]))
            except (TypeError, KeyError, ValueError):
                shown = printable(str(image)[:60])
                raise DataError(
                    f"{printable(file)}: an image must have id, file_name, width and height, got "
                    f"{shown}"
                ) from None
            path = _find(root, file.parent, name)
            if path is None:
                listing.broken.append((printable(name), f"no such file, named in {file.name}"))
                continue
            outlines = _sound(objects.get(identity, []), size, path, found)
            values = draw_outlines(outlines, size)
            counts = {v: int((values == v).sum()) for v in {0, *(o.value for o in outlines)}}
            listing.items.append(Item(path, "", split))
            targets[path] = Mask("", size, counts, {v: v for v in names}, tuple(outlines))
    if len(names) - 1 > MAX_MASK_CLASSES - 1:
        raise DataError(f"{printable(source)}: must have {MAX_MASK_CLASSES - 1} classes at most")
    shown = {v for target in targets.values() for v, n in target.counts.items() if n}
    used = [value for value in names if value in shown]
    places = {value: place for place, value in enumerate(used)}
    targets = {file: Mask("", t.size, t.counts, places, t.outlines) for file, t in targets.items()}
    classes = tuple(names[value] for value in used)
    return Annotations(listing, targets, classes, found), ()


def _has_outlines(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            if not opened.read(64).lstrip().startswith(b"{"):
                return False
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    objects = content.get("annotations") if isinstance(content, dict) else None
    return isinstance(objects, list) and any(
        isinstance(each, dict) and each.get("segmentation") for each in objects
    )


def _read(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise DataError(f"{printable(file)}: must have a list of {key}")
    return content


def _places(file: Path, content: dict[str, Any], names: dict[int, str]) -> dict[Any, int]:
    """The value of each category in the masks, by its id; one name is one class in all files."""
    places: dict[Any, int] = {}
    for category in content["categories"]:
        try:
            identity, name = category["id"], str(category["name"])
        except (TypeError, KeyError):
            raise DataError(f"{printable(file)}: a category must have id and name") from None
        value = next((v for v, known in names.items() if known == name), len(names))
        names[value] = name
        places[identity] = value
    return places


def _objects(
    file: Path, content: dict[str, Any], places: dict[Any, int], found: TargetFindings
) -> dict[Any, list[tuple[str, Outline]]]:
    objects: dict[Any, list[tuple[str, Outline]]] = {}
    for each in content["annotations"]:
        name = f"object {each.get('id', '?')}" if isinstance(each, dict) else "object"
        found.total += 1
        try:
            value = places[each["category_id"]]
            outline = _outline(each["segmentation"], value)
            objects.setdefault(each["image_id"], []).append((name, outline))
        except KeyError as error:
            found.skip(file.name, name, f"its {error.args[0]!r} is missing or unknown")
        except (TypeError, ValueError) as error:
            found.skip(file.name, name, f"its outline cannot be read ({error})")
    return objects


def _outline(given: Any, value: int) -> Outline:
    if isinstance(given, dict):
        counts = given["counts"]
        runs = parse_runs(counts) if isinstance(counts, str) else tuple(int(n) for n in counts)
        return Outline(value, runs=runs)
    polygons = tuple(tuple(float(x) for x in polygon) for polygon in given)
    if not polygons or any(len(p) < MIN_CORNERS or len(p) % 2 for p in polygons):
        raise ValueError("a polygon must have three corners at least")
    return Outline(value, polygons)


def _sound(
    objects: list[tuple[str, Outline]], size: tuple[int, int], file: str, found: TargetFindings
) -> list[Outline]:
    """Those that can be drawn, the largest first."""
    areas = []
    for name, outline in objects:
        try:
            area = (
                runs_to_mask(outline.runs, size).sum()
                if outline.runs
                else (draw_outlines([Outline(1, outline.polygons)], size).sum())
            )
        except ValueError as error:
            found.skip(file, name, str(error))
            continue
        if not area:
            found.skip(file, name, "it covers no pixel of the image")
            continue
        areas.append((int(area), outline))
    return [outline for _, outline in sorted(areas, key=lambda pair: -pair[0])]


def _find(root: Path, beside: Path, name: str) -> str | None:
    plain = name.replace("\\", "/")
    for folder in (beside, root):
        for inside in FOLDERS:
            path = folder / inside / plain
            if path.is_file():
                return stored_name(Path(os.path.relpath(path, root)).as_posix())
    return None


def _split_of(stem: str) -> str | None:
    """The split in a name such as `instances_val2017`."""
    words = [split_named(word) for word in stem.replace("-", "_").split("_")]
    return next((word for word in words if word), None)
