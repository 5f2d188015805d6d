"""Texts that are a file each, in a folder for each class."""

import os
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from convatlas.data.formats import KINDS, TEXTS
from convatlas.data.names import file_path, printable
from convatlas.data.sources.folders import list_folder
from convatlas.data.sources.holds_kind import MAX_FOLDERS
from convatlas.data.text.read_examples import MAX_CHARACTERS, Example, ReadExamples, cleaned
from convatlas.data.text.read_lines import BAD_UTF8, NOT_UTF8, read_text
from convatlas.errors import DataError

STEPS_BETWEEN_REPORTS = 1000  # files


def holds_text_files(path: Path) -> bool:
    """Return whether a folder has folders with text files, and no more files of another kind."""
    if not path.is_dir():
        return False
    found = [
        name
        for folder, _, names in islice(os.walk(path), MAX_FOLDERS)
        if Path(folder) != path
        for name in names
    ]
    others = sum(kind.holds(name) for kind in KINDS.values() for name in found)
    return sum(map(TEXTS.holds, found)) > others


def read_folders(
    path: Path,
    options: Mapping[str, Any],
    progress: Callable[[int, int], None],
    *,
    need_train: bool = True,
) -> ReadExamples:
    """Read every text file of a folder `CLASS/files`, or of `train/ val/ test/` of such.

    Args:
        options: `max_characters`.

    Raises:
        DataError: the folder has neither layout, or no file can be used.
    """
    listing = list_folder(path, need_train=need_train, kind=TEXTS)
    longest = options.get("max_characters") or MAX_CHARACTERS
    found = ReadExamples(("text", "label"), [])
    for number, item in enumerate(listing.items, start=1):
        place = printable(item.file)
        text, fault = whole_text(file_path(listing.root, item.file), longest)
        if fault:
            found.broken.append((place, fault))
        else:
            found.examples.append(Example(place, (text, item.label), item.split))
        if number % STEPS_BETWEEN_REPORTS == 0:
            progress(number, len(listing.items))
    if not found.examples:
        raise DataError(f"{printable(path)}: no text file can be used")
    return found


def whole_text(path: Path, longest: int) -> tuple[str, str]:
    """Return the text of a file, its lines joined by spaces, and what is wrong with it.

    Args:
        longest: characters; a longer text is cut, as its beginning mostly tells its class.
    """
    try:
        text = read_text(path)
    except DataError as error:
        return "", str(error)
    if NOT_UTF8.search(text):
        return "", BAD_UTF8
    text = cleaned(text)[:longest]
    return text, "" if text else "has no text"
