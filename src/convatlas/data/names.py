"""File names as they are printed and as they are opened."""

from pathlib import Path

from convatlas.text import printable, printable_few, stored_name, true_name

__all__ = ["file_path", "printable", "printable_few", "stored_name", "true_name"]


def file_path(root: Path, file: str) -> Path:
    """Return the path of the file that a listing or a stored split names."""
    return root / true_name(file)
