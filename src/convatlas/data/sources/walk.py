"""Looking into folders: links are followed, loops found, and what is left out is listed."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import printable, stored_name
from convatlas.data.sources.left_out import BROKEN_LINK, LOOP, reason_left_out
from convatlas.errors import DataError

Identity = tuple[int, int]


@dataclass(frozen=True)
class Level:
    """What lies directly in a folder, sorted.

    Args:
        folders: those that are looked into.
        files: the other entries, as stored paths from the root of the data.
        left_out: path and reason of what is passed over.
    """

    folders: list[Path] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def look(folder: Path, root: Path, kind: FileKind = IMAGES) -> Level:
    """Return what a folder holds, without looking further down.

    Raises:
        DataError: the folder cannot be read.
    """
    level = Level()
    place = stored_name(folder.relative_to(root).as_posix())
    before = "" if place == "." else f"{place}/"
    for entry in entries(folder):
        file = before + stored_name(entry.name)
        reason = reason_left_out(entry.name)
        if is_folder(entry):
            if reason is None:
                level.folders.append(Path(entry.path))
            elif inside := count_files(entry.path):
                level.left_out.append((f"{file}/", f"{reason}, a folder of {inside:,} file(s)"))
        elif reason is not None:
            level.left_out.append((file, reason))
        elif not kind.holds(file) and entry.is_symlink() and not os.path.exists(entry.path):
            level.left_out.append((file, BROKEN_LINK))
        else:
            level.files.append(file)
    level.folders.sort()
    level.files.sort()
    level.left_out.sort()
    return level


def walk(folder: Path, root: Path, kind: FileKind = IMAGES) -> Level:
    """Return all files under a folder; `folders` stays empty.

    A linked folder is entered as any other, unless it is one that holds the link.
    """
    found = Level()
    waiting = [(folder, identities_above(folder))]
    while waiting:
        inside, above = waiting.pop()
        here = identity(inside)
        if here in above:
            found.left_out.append((stored_name(inside.relative_to(root).as_posix()), LOOP))
            continue
        level = look(inside, root, kind)
        found.files.extend(level.files)
        found.left_out.extend(level.left_out)
        waiting.extend((path, above | {here}) for path in level.folders)
    found.files.sort()
    found.left_out.sort()
    return found


def passed_over(files: list[str], reason: str) -> list[tuple[str, str]]:
    """Return files with the reason why they are left out."""
    return [(file, reason) for file in files]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """List everything in a folder."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        where = printable(error.filename or folder)
        raise DataError(f"{where}: cannot read the folder: {reason}") from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one."""
    if entry.is_symlink():
        return os.path.isdir(entry.path)  # false also for links in a circle
    return entry.is_dir()


def count_files(folder: str) -> int:
    """Return the number of files under a folder, links not followed."""
    return sum(len(files) for _, _, files in os.walk(folder))


def identity(folder: Path) -> Identity:
    """Return what tells a folder from every other one, by whatever path it was reached."""
    try:
        found = folder.stat()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"{printable(folder)}: cannot read the folder: {reason}") from None
    return (found.st_dev, found.st_ino)


def identities_above(folder: Path) -> frozenset[Identity]:
    """Return the folders that hold a folder, by the path it was reached and by its real one."""
    reached = Path(os.path.abspath(folder))
    return frozenset(identity(path) for path in (*reached.parents, *reached.resolve().parents))
