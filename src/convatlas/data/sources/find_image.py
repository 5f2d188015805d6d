"""Where the image lies that an annotation names, and which images no annotation names."""

from collections.abc import Collection, Sequence
from pathlib import Path

from convatlas.data.formats import IMAGES
from convatlas.data.names import relative_name

IMAGE_FOLDERS = ("images", "JPEGImages", "imgs", "img", "data")
MISSING = "no such file"


def find_image(root: Path, name: str, folders: Sequence[Path]) -> str | None:
    """Return the file that a name means, relative to the root; None where there is none.

    Args:
        folders: where it may lie, the likeliest first; `images/` and its like in each as well.
    """
    plain = name.replace("\\", "/")
    for folder in folders:
        for place in (folder, *(folder / each for each in IMAGE_FOLDERS)):
            path = place / plain
            if path.is_file():
                return relative_name(path, root)
    return None


def unnamed_images(root: Path, folder: Path, named: Collection[str]) -> list[str]:
    """Return the images in a folder that are not among those named, relative to the root."""
    images = [entry for entry in sorted(folder.iterdir()) if IMAGES.holds(entry.name)]
    files = [relative_name(entry, root) for entry in images]
    return [file for file in files if file not in named]
