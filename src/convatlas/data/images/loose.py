"""Images without classes: a folder of files, or `train/`, `val/` and `test/` of such."""

import os
from pathlib import Path

from convatlas.data.formats import IMAGES
from convatlas.data.names import printable
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.metadata import metadata_files
from convatlas.data.sources.split_names import split_named
from convatlas.data.sources.walk import look, passed_over
from convatlas.errors import DataError

LOOSE = "image"  # stands where a class would
MIN_IMAGES = 0.9  # of the files: with much beside them the folder is of another kind


def holds_loose(source: str | Path) -> bool:
    """Return whether a folder holds images themselves, and hardly anything else, by names alone."""
    path = Path(source)
    try:
        if not path.is_dir() or metadata_files(path):
            return False
        level = look(path, path, IMAGES)
        if level.folders:
            return not level.files and _split_folders(path, level.folders) is not None
    except (OSError, DataError):
        return False
    images = sum(map(IMAGES.holds, level.files))
    return images > 0 and images >= MIN_IMAGES * len(level.files)


def list_loose(root: Path) -> Listing:
    """Return the images of a folder by name alone; all have the class `LOOSE`.

    Raises:
        DataError: it is no folder of images, or cannot be read.
    """
    if not holds_loose(root):
        raise DataError(
            f"{printable(root)}: must be a folder of images, or have train/ and perhaps val/ and "
            "test/ of such"
        )
    listing = Listing(printable(root), root, [])
    folders = _split_folders(root, look(root, root, IMAGES).folders)
    for split, folder in (folders or {None: root}).items():
        level = look(folder, root, IMAGES)
        listing.items.extend(Item(f, LOOSE, split) for f in level.files if IMAGES.holds(f))
        others = [file for file in level.files if not IMAGES.holds(file)]
        listing.ignored.extend(passed_over(others, IMAGES.not_named) + level.left_out)
    return listing


def _split_folders(root: Path, folders: list[Path]) -> dict[str, Path] | None:
    """Return the folders of the splits; None where there are others, or they hold folders."""
    found = {split_named(os.path.basename(folder)): folder for folder in folders}
    if None in found or "train" not in found or len(found) < len(folders):
        return None
    levels = [look(folder, root, IMAGES) for folder in folders]
    if any(level.folders or not any(map(IMAGES.holds, level.files)) for level in levels):
        return None
    return {str(split): folder for split, folder in found.items()}
