"""How the files of an answer are called."""

from pathlib import Path


def file_stem(name: str) -> str:
    """Return what an answer's files are called after: a file's path, or `sound 3` in memory."""
    return Path(name).stem if Path(name).suffix else name.replace(" ", "-")
