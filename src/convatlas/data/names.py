"""File names as they are printed and as they are opened."""

from pathlib import Path

from convatlas.text import shown, shown_few, stored_name, true_name

__all__ = ["file_path", "shown", "shown_few", "stored_name", "true_name"]


def file_path(root: Path, file: str) -> Path:
    """The file that a listing or a stored split names by its stored form."""
    return root / true_name(file)
