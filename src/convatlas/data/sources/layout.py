"""Refusing folders that would be read as classes and are not."""

from collections.abc import Sequence
from pathlib import Path

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import printable, printable_few
from convatlas.data.sources.listing import Item
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError


def expected(kind: FileKind) -> str:
    """Say which layouts there are."""
    return (
        f"expected {kind.group.upper()}/{kind.example}, or train/{kind.group.upper()}/"
        f"{kind.example} beside val/ and test/; "
        "name the folders so, or list the files in a CSV file"
    )


def check_subfolders(root: Path, items: Sequence[Item], kind: FileKind = IMAGES) -> None:
    """Refuse classes that hold the same folders: these look like classes, those like splits.

    Raises:
        DataError: says what was seen and what is expected.
    """
    inside: dict[str, set[str]] = {}
    direct: set[str] = set()
    for item in items:
        label, *between = item.file.split("/")[:-1]
        inside.setdefault(label, set()).update(between[:1])
        if not between:
            direct.add(label)
    nested = {label: names for label, names in inside.items() if label not in direct}
    if not nested or 2 * len(nested) < len(inside):
        return
    shared = set.intersection(*nested.values())
    union = set.union(*nested.values())
    if len(inside) == 1 and len(shared) > 1:
        (label,) = inside
        raise DataError(
            f"{printable(root)}: must contain at least two {kind.groups}, got one folder "
            f"{printable(label)} that contains the folders {printable_few(sorted(shared))}; "
            f"give {printable(root)}/{printable(label)}"
        )
    if any(split_named(name) for name in shared):
        raise DataError(
            f"{printable(root)}: the splits must be above the {kind.groups}, got each of the "
            f"folders {printable_few(sorted(nested))} with {printable_few(sorted(shared))} inside; "
            f"{expected(kind)}"
        )
    if len(shared) < 2 or 2 * len(shared) < len(union):
        return
    raise DataError(
        f"{printable(root)}: read as {len(inside)} {kind.groups} "
        f"({printable_few(sorted(inside))}), but they hold the same folders "
        f"({printable_few(sorted(shared))}), "
        f"which look like the real {kind.groups}; {expected(kind)}"
    )


def check_beside(root: Path, split: Path, inside: list[Path], folders: list[Path]) -> None:
    """Refuse a folder such as `test/` among classes that holds the same classes again."""
    names = {folder.name for folder in folders}
    again = sorted(folder.name for folder in inside if folder.name in names)
    if again:
        raise DataError(
            f"{printable(root)}: {printable(split.name)} must not be next to the classes that "
            f"it contains ({printable_few(again)}); put the others into a folder train/"
        )
