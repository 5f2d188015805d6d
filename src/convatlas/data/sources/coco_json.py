"""COCO's JSON: images, categories and annotations, whatever is drawn on the images.

Source: Lin et al., "Microsoft COCO", ECCV 2014, arXiv:1405.0312; data format of cocodataset.org.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convatlas.data.names import printable
from convatlas.data.sources.json_file import json_files, mentions, read_json
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError

LISTS = ("images", "annotations", "categories")
INSTANCES = "instances"  # COCO's own files of objects; beside them lie key points and captions
BOX = rb'"bbox"\s*:\s*\[\s*[-\d]'
OUTLINE = rb'"segmentation"\s*:\s*(\[\s*[\[\d]|\{)'


@dataclass(frozen=True)
class CocoImage:
    """One image as a file names it; its size is None where the file does not say it."""

    identity: Any
    name: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class CocoFile:
    """What a file says.

    Args:
        categories: names by their ids.
        objects: the annotations by the id of their image, as they stand.
        strange: annotations that are none, or whose image is not named: name and reason of each.
        folders: where images may lie, the likeliest first.
    """

    path: Path
    split: str | None
    categories: dict[Any, str]
    images: list[CocoImage]
    objects: dict[Any, list[dict[str, Any]]]
    strange: list[tuple[str, str]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def coco_files(source: Path, drawn: bytes) -> list[Path]:
    """Return the files of a source, or the file itself, in COCO's form.

    Args:
        drawn: what their annotations must have: `BOX` or `OUTLINE`.
    """
    keys = [f'"{name}"'.encode() for name in LISTS]
    found = [file for file in json_files(source) if mentions(file, b"{", *keys, drawn)]
    own = [file for file in found if file.name.startswith(INSTANCES)]
    return own or found


def read_coco(source: Path, files: list[Path]) -> list[CocoFile]:
    """Read files; where there are several, each may be a split, by its name or its folder.

    Raises:
        DataError: a file has no such lists, or an image or a category lacks a part.
    """
    root = source if source.is_dir() else source.parent
    return [_read(root, file, _split(root, file) if len(files) > 1 else None) for file in files]


def _read(root: Path, path: Path, split: str | None) -> CocoFile:
    content, where = read_json(path), printable(path)
    for key in LISTS:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{where}: must have a list of {key}, as COCO's files")
    categories: dict[Any, str] = {}
    for each in content["categories"]:
        if not isinstance(each, dict) or not _is_id(each.get("id")) or "name" not in each:
            raise DataError(f"{where}: a category must have id and name, got {_few(each)}")
        if categories.setdefault(each["id"], str(each["name"])) != str(each["name"]):
            raise DataError(f"{where}: the category id {each['id']} must stand there once")
    images = [_image(where, each) for each in content["images"]]
    objects: dict[Any, list[dict[str, Any]]] = {image.identity: [] for image in images}
    if len(objects) < len(images):
        raise DataError(f"{where}: the ids of images must differ")
    strange = []
    for each in content["annotations"]:
        if not isinstance(each, dict) or not _is_id(each.get("image_id")):
            strange.append((annotation_name(each), "it has no image_id"))
        elif each["image_id"] not in objects:
            strange.append((annotation_name(each), f"no image has the id {each['image_id']}"))
        else:
            objects[each["image_id"]].append(each)
    return CocoFile(path, split, categories, images, objects, strange, _folders(root, path, split))


def annotation_name(each: Any) -> str:
    """Return what an annotation is called: `annotation 17`."""
    identity = each.get("id", "without an id") if isinstance(each, dict) else "that is no object"
    return f"annotation {printable(str(identity)[:40])}"


def _image(where: str, each: Any) -> CocoImage:
    name = each.get("file_name") if isinstance(each, dict) else None
    if not isinstance(name, str) or not name or not _is_id(each.get("id")):
        raise DataError(f"{where}: an image must have id and file_name, got {_few(each)}")
    sides = (each.get("width"), each.get("height"))
    whole = all(isinstance(side, int) and side > 0 for side in sides)
    return CocoImage(each["id"], name, sides if whole else None)  # pyright: ignore[reportArgumentType]  two numbers, asked for before


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _few(each: Any) -> str:
    return printable(str(each)[:60])


def _split(root: Path, path: Path) -> str | None:
    """The split in a name such as `instances_val2017.json`, or in the folder a file lies in."""
    words = [path.stem, *path.stem.replace("-", "_").split("_")]
    words += path.relative_to(root).parts[:-1]
    return next((split for split in map(split_named, words) if split), None)


def _folders(root: Path, path: Path, split: str | None) -> list[Path]:
    """The file's folder, the source, and folders named for the split in either or in images/."""
    folders = [path.parent, root, path.parent.parent]
    for above in (root, root / "images", path.parent.parent) if split else ():
        if above.is_dir():
            inside = sorted(entry for entry in above.iterdir() if entry.is_dir())
            folders += [entry for entry in inside if split_named(entry.name) == split]
    return folders
