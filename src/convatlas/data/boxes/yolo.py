"""YOLO's folders: images, a text file of boxes for each, and a YAML file that says where they are.

The YAML file is read as plain data: nothing in it is executed, and no key `download` is followed.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from convatlas.data.boxes.gather import Marked, Source, add_unnamed
from convatlas.data.boxes.packages import yaml
from convatlas.data.boxes.yolo_labels import add_labels, label_file
from convatlas.data.formats import IMAGES
from convatlas.data.names import printable, relative_name
from convatlas.data.sources.csv_text import read_text
from convatlas.data.sources.find_image import MISSING
from convatlas.data.sources.left_out import reason_left_out
from convatlas.data.sources.split_names import SPLITS, split_named
from convatlas.errors import DataError

YAML_SUFFIXES = (".yaml", ".yml")
KEYS = (re.compile(r"^names\s*:", re.M), re.compile(r"^(train|val|test)\s*:", re.M))
NAME_FILES = ("classes.txt", "obj.names", "labels.txt")
UNFOLLOWED = "the key download is not followed; nothing is fetched or executed"


def is_yolo_yaml(path: Path) -> bool:
    """Return whether a YAML file has the keys of YOLO's, without parsing it."""
    try:
        text = read_text(path)
    except DataError:
        return False  # opening it says what is wrong
    return all(key.search(text) for key in KEYS)


def list_yolo_yaml(path: Path) -> Source:
    """Read the images and boxes that a YAML file names.

    Raises:
        DataError: a key cannot be used; names the file and the key.
    """
    where, content = printable(path), _parsed(path)
    if not isinstance(content, dict) or not content.get("names"):
        raise DataError(f"{where}: must have names and train, as YOLO's data.yaml")
    source = Source(where, path.parent, _names(where, content))
    if content.get("download"):
        source.notes.append(f"{printable(path.name)}: {UNFOLLOWED}")
    pose = "kpt_shape" in content
    images: dict[str, list[Path]] = {}
    for split in SPLITS:
        if entry := content.get(split):
            images[split] = list(_images(path, content, split, entry))
            if split != "train" and images[split] == images.get("train"):
                del images[split]  # as the small example sets of its maker have it
                source.notes.append(
                    f"{printable(path.name)}: {split} names the images of train; others are "
                    "cut off for it"
                )
    only = len(images) == 1 and "train" in images
    for split, files in images.items():
        _add(source, files, None if only else split, pose=pose)
    folders = {file.parent for files in images.values() for file in files}
    for folder in sorted(folder for folder in folders if folder.is_dir()):
        add_unnamed(source, folder, f"not named in {printable(path.name)}")
        _lost_labels(source, folder)
    return source


def has_yolo_labels(root: Path) -> bool:
    """Return whether a folder has text files of boxes under labels/ beside images/."""
    return (root / "images").is_dir() and next(_label_files(root), None) is not None


def list_yolo_folder(root: Path) -> Source:
    """Read images/ and labels/ without a YAML file; folders in them such as train/ are splits.

    Raises:
        DataError: a file cannot be read.
    """
    source = Source(printable(root), root, _listed_names(root))
    if not source.classes:
        source.notes.append(f"no {' or '.join(NAME_FILES)}: classes are called by their numbers")
    for file in sorted((root / "images").rglob("*")):
        if IMAGES.holds(file.name) and reason_left_out(file.name) is None:
            inside = file.relative_to(root / "images").parts[:-1]
            split = next((split_named(part) for part in inside if split_named(part)), None)
            _add(source, [file], split)
    for folder in sorted({(root / image.file).parent for image in source.marked}):
        _lost_labels(source, folder)
    if not source.classes:
        labels = {label for image in source.marked for _, label, _ in image.rows}
        source.classes = sorted(labels, key=int)
    return source


def _lost_labels(source: Source, images: Path) -> None:
    """List label files that belong to a folder of images, and to none of these, as broken."""
    labels = label_file(images / "any").parent
    if labels == images:
        return  # a text file among images may be anything
    known = {file.stem for file in images.iterdir() if IMAGES.holds(file.name)}
    for path in sorted(labels.glob("*.txt")):
        if path.stem not in known and path.name not in NAME_FILES:
            source.broken.append((relative_name(path, source.root), "boxes without an image"))


def _label_files(root: Path) -> Iterator[Path]:
    """Text files under labels/ that are not lists of names."""
    for path in sorted((root / "labels").rglob("*.txt")):
        if path.name not in NAME_FILES and reason_left_out(path.name) is None:
            yield path


def _add(source: Source, files: list[Path], split: str | None, *, pose: bool = False) -> None:
    for file in files:
        name = relative_name(file, source.root)
        if not file.is_file():
            source.broken.append((name, MISSING))
            continue
        image = Marked(name, split, unit="share")
        add_labels(source, image, label_file(file), pose=pose)
        source.marked.append(image)


def _images(path: Path, content: Mapping[str, Any], split: str, entry: Any) -> Iterator[Path]:
    """Yield the images of a split: those in folders, or listed in text files."""
    for each in entry if isinstance(entry, list) else [entry]:
        place = _place(path, content, split, each)
        if place.is_dir():
            files = sorted(file for file in place.rglob("*") if IMAGES.holds(file.name))
            yield from (file for file in files if reason_left_out(file.name) is None)
        else:
            for line in filter(None, map(str.strip, read_text(place).splitlines())):
                yield place.parent / line


def _place(path: Path, content: Mapping[str, Any], split: str, entry: Any) -> Path:
    """The folder or list that a key names, wherever the data were when the file was written."""
    if not isinstance(entry, str):
        raise DataError(f"{printable(path)}: {split} must be a path, got a {type(entry).__name__}")
    base = content.get("path")
    bases = [path.parent / base] if isinstance(base, str) and base else []
    for folder in (*bases, path.parent):
        # Exports say ../train/images where the folder lies beside the file.
        for name in (entry, entry.removeprefix("../"), entry.removeprefix("./")):
            place = folder / name
            if place.is_dir() or (place.is_file() and place.suffix == ".txt"):
                return place
    raise DataError(
        f"{printable(path)}: {split} must be a folder of images or a list of them, got "
        f"{printable(entry)}, which is not there"
    )


def _names(where: str, content: Mapping[str, Any]) -> list[str]:
    """The names of the classes by their numbers."""
    given = content["names"]
    if isinstance(given, dict) and set(given) == set(map(str, range(len(given)))):
        given = [given[str(place)] for place in range(len(given))]
    texts = isinstance(given, list) and all(isinstance(name, str) for name in given)
    if not texts or not given:
        raise DataError(f"{where}: names must be a list, or numbers from 0 with their names")
    names = list(given)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where}: names must differ, got {printable(twice)} twice")
    count = content.get("nc", str(len(names)))
    if count != str(len(names)):
        raise DataError(f"{where}: must have as many names as nc says, got {len(names)} names")
    return names


def _listed_names(root: Path) -> list[str]:
    """The names in a file beside the folders, one a line."""
    for folder in (root, root / "labels"):
        for name in NAME_FILES:
            if (folder / name).is_file():
                lines = map(str.strip, read_text(folder / name).splitlines())
                return [line for line in lines if line]
    return []


def _parsed(path: Path) -> Any:
    library, text = yaml(), read_text(path)
    try:
        # Nothing but texts, lists and mappings: a class called `no` keeps its name.
        return library.load(text, Loader=library.BaseLoader)
    except (library.YAMLError, ValueError, RecursionError) as error:
        line = printable(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise DataError(f"{printable(path)}: cannot be read as YAML: {line}") from None
