"""The files that a path, a folder or a pattern names, when a run is asked about them."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from convatlas.data.formats import FileKind
from convatlas.data.sources.walk import walk
from convatlas.errors import DataError
from convatlas.progress import Progress
from convatlas.text import printable, printable_few, true_name

NO_MATCH = "no file matches this pattern"
AskedPath = tuple[str, Path | None, str | None]  # its name, the file, or why there is none


def asked_paths(path: Path, kind: FileKind, progress: Progress) -> Iterator[AskedPath]:
    """Yield each file of a kind that is meant; folders are searched to the end.

    Args:
        progress: told what a folder holds besides.
    """
    if path.is_dir():
        yield from _folder(path, kind, progress)
    elif not os.path.lexists(path) and glob.has_magic(str(path)):
        found = sorted(map(Path, glob.iglob(str(path), recursive=True)))
        # A pattern such as `**` matches folders as well as what is in them.
        files = [each for each in found if not each.is_dir()]
        folders = [] if files else found
        yield from ((printable(each), each, None) for each in files if kind.holds(each.name))
        for folder in folders:
            yield from _folder(folder, kind, progress)
        if not any(kind.holds(each.name) for each in files) and not folders:
            yield printable(path), None, f"{printable(path)}: {NO_MATCH}"
    else:
        yield printable(path), path, None


def _folder(folder: Path, kind: FileKind, progress: Progress) -> Iterator[AskedPath]:
    try:
        level = walk(folder, folder, kind)
    except DataError as error:
        yield printable(folder), None, str(error)
        return
    wanted = [file for file in level.files if kind.holds(file)]
    others = [file for file in level.files if not kind.holds(file)]
    others += [file for file, _ in level.left_out]
    if others:
        progress.say(
            f"{printable(folder)}: {len(others):,} files left out (not named as {kind.many}, "
            f"hidden, or links that cannot be followed): {printable_few(others)}"
        )
    for file in wanted:
        path = folder / true_name(file)
        yield printable(path), path, None
    if not wanted:
        yield printable(folder), None, f"{printable(folder)}: no {kind.word} in this folder"
