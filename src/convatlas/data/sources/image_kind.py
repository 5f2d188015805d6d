"""Whether npy files are the images of a source: only where no image lies in a format of its own."""

import os
from pathlib import Path

from convatlas.data.formats import ARRAYS, IMAGES, KINDS, FileKind
from convatlas.data.sources.holds_kind import named_files
from convatlas.data.sources.table import SUFFIXES

MIN_SHARE = 0.9  # of the files of a folder: with much beside them it is of another kind


def image_kind(path: Path) -> FileKind:
    """Return how the images of a folder or table are named, by names alone.

    Arrays beside images are not taken for images: they may be what a program made of these. Nor
    are those that lie in the folder itself, where images with classes do not.
    """
    if path.is_dir():
        names = [name for name in named_files(path) if not name.startswith(".")]
        arrays = sum(map(ARRAYS.holds, names))
        if any(map(ARRAYS.holds, next(os.walk(path), ("", [], []))[2])):
            return IMAGES
    elif path.suffix.lower() in SUFFIXES:
        names = named_files(path)
        arrays = sum(map(ARRAYS.holds, names))
        return ARRAYS if arrays and not _others(names) else IMAGES
    else:
        return IMAGES
    return ARRAYS if arrays and arrays >= MIN_SHARE * len(names) and not _others(names) else IMAGES


def asked_kind(path: Path) -> FileKind:
    """Return how the images are named that a run is asked about: a file, folder or pattern."""
    if path.is_dir():
        names = named_files(path)
        return ARRAYS if any(map(ARRAYS.holds, names)) and not _others(names) else IMAGES
    return ARRAYS if ARRAYS.holds(path.name) else IMAGES


def _others(names: list[str]) -> bool:
    """Whether some are images in a format of their own, or sounds."""
    return any(kind.holds(name) for kind in KINDS.values() for name in names)
