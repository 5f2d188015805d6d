"""File names as they are printed and as they are opened."""

import os
from pathlib import Path

from convatlas.text import printable, printable_few, stored_name, true_name

__all__ = [
    "file_path",
    "printable",
    "printable_few",
    "relative_name",
    "stored_name",
    "true_name",
]


def file_path(root: Path, file: str) -> Path:
    """Return the path of the file that a listing or a stored split names."""
    return root / true_name(file)


def relative_name(path: Path, root: Path) -> str:
    """Return the stored name of a file by its way from a folder, which may lead out of it."""
    try:
        return stored_name(Path(os.path.relpath(path, root)).as_posix())
    except ValueError:  # another drive
        return stored_name(path.as_posix())
