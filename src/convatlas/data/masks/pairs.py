"""Image files and the mask files that belong to them, by their names and folders."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from convatlas.data.formats import IMAGES
from convatlas.data.names import printable
from convatlas.data.slice_names import is_array
from convatlas.data.sources.split_names import split_named
from convatlas.data.sources.walk import walk
from convatlas.errors import DataError

IMAGE_FOLDER = re.compile(r"(images?|imgs?|jpegimages|photos?|pictures?|frames|leftimg8bit)", re.I)
MASK_FOLDER = re.compile(
    r"(masks?|labels?|annotations?|annots?|gt|ground_?truth|gtfine|segmentation(class)?|targets?)",
    re.I,
)
MASK_ENDING = re.compile(
    r"(.+?)[_-](masks?|labels?|seg(mentation)?|gt|annotation|l|gtfine_label(train)?ids)", re.I
)
IMAGE_ENDING = re.compile(r"(.+)[_-](image|img|leftimg8bit|volume|raw|stack)", re.I)


@dataclass
class Pairs:
    """What a folder holds.

    Args:
        pairs: image, mask and split of each.
        alone: images without a mask.
        masks: masks without an image.
        archives: npz files, which may hold both, and the split of each.
        ignored: other files, each with the reason.
    """

    pairs: list[tuple[str, str, str | None]] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    archives: list[tuple[str, str | None]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)


def find_pairs(root: Path) -> Pairs:
    """Find which mask belongs to which image, in any of the usual arrangements.

    `x.jpg` beside `x_mask.png`, or folders `images/` and `masks/` with files of the same name,
    which may be stacks; either within `train/`, `val/` and `test/`, or with these inside.

    Raises:
        DataError: an image has two masks, or an image or folder cannot be read.
    """
    level = walk(root, root)
    found = Pairs(ignored=list(level.left_out))
    images: dict[str, list[str]] = defaultdict(list)
    masks: dict[str, list[str]] = defaultdict(list)
    for file in level.files:
        if file.lower().endswith(".npz"):
            found.archives.append((file, _split(root, file)))
            continue
        if not IMAGES.holds(file) and not is_array(file):
            found.ignored.append((file, IMAGES.not_named))
            continue
        key, is_mask = _key(file)
        (masks if is_mask else images)[key].append(file)
    for key, files in images.items():
        own = masks.pop(key, [])
        if len(files) > 1 or len(own) > 1:
            names = ", ".join(map(printable, [*files, *own]))
            raise DataError(f"{printable(root)}: one image must have one mask, got {names}")
        if own:
            found.pairs.append((files[0], own[0], _split(root, files[0])))
        else:
            found.alone.append(files[0])
    found.masks = sorted(file for files in masks.values() for file in files)
    return found


def _key(file: str) -> tuple[str, bool]:
    """What image and mask share, and whether the file is a mask."""
    path = PurePosixPath(file)
    folders, is_mask, in_images = [], False, False
    for part in path.parts[:-1]:
        if MASK_FOLDER.fullmatch(part):
            is_mask = True
            folders.append("*")
        elif IMAGE_FOLDER.fullmatch(part):
            in_images = True
            folders.append("*")
        else:
            folders.append(split_named(part) or part)
    stem = path.stem
    ending = MASK_ENDING.fullmatch(stem)
    if ending and (is_mask or not in_images):
        is_mask, stem = True, ending[1]
    elif image := IMAGE_ENDING.fullmatch(stem):
        stem = image[1]
    return "/".join([*sorted(folders), stem]), is_mask


def _split(root: Path, file: str) -> str | None:
    named = {split_named(part) for part in PurePosixPath(file).parts[:-1]} - {None}
    if len(named) > 1:
        raise DataError(f"{printable(root)}: {printable(file)} must be in one split")
    return next(iter(named), None)
