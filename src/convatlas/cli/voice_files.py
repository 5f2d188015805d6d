"""The sound files that a verb writes: their names, and that none is replaced unasked."""

from pathlib import Path

from convatlas.errors import UsageError
from convatlas.text import printable


def file_stems(names: list[str]) -> list[str]:
    """Return a name for what is written of each file: its own, numbered where two share it."""
    stems: list[str] = []
    for name in names:
        stem, number = Path(name).stem, 2
        while stem in stems:
            stem, number = f"{Path(name).stem}-{number}", number + 1
        stems.append(stem)
    return stems


def check_free(paths: list[Path]) -> None:
    """Refuse to replace what is there.

    Raises:
        UsageError: names the first file that is there already.
    """
    there = [path for path in paths if path.exists()]
    if there:
        raise UsageError(
            f"--out: {printable(there[0])} is there already; --force replaces it, --out DIR takes "
            "another folder"
        )
