"""How the files of an answer are called."""

from pathlib import Path

from convatlas.data.slice_names import parse_slice


def file_stem(name: str) -> str:
    """Return what an answer's files are called after: a file's path, or `sound 3` in memory.

    Slices of a stack keep their place, so that none of them takes the files of another:
    `cells.tif[7]` becomes `cells-0007`.
    """
    if part := parse_slice(name):
        return f"{Path(part.file).stem}-{part.place:04d}"
    path = Path(name)
    return path.stem if path.suffix else path.name.replace(" ", "-")
