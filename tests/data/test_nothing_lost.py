"""Every file of a folder is used, or listed with a reason, whatever it is called."""

import os
import random
import shutil
from pathlib import Path

import pytest

from convatlas.data.sources.folders import list_folder
from convatlas.errors import DataError
from convatlas.text import stored_name

TREES = 400
FOLDERS = [
    "train",
    "Training",
    "test",
    "VAL",
    "cat",
    "dog",
    "_x",
    "@y",
    "#z",
    ".h",
    "__MACOSX",
    "images",
    "-",
    "1",
    "seg_train",
]
FILES = ["1.png", ".2.png", "x.txt", "3.JPG", "n", "Thumbs.db", "~4.png", "_5.png"]
ODD = ["a\nb", "\u202eq", "größe"]


def build(root: Path, rng: random.Random) -> None:
    """A tree of folders, links and files under names drawn from the lists."""
    folders = [root]
    for _ in range(rng.randrange(1, 12)):
        place = rng.choice(folders) / rng.choice(FOLDERS + ODD)
        if place.exists() or place.is_symlink():
            continue
        if rng.random() < 0.15:
            place.symlink_to(rng.choice([*folders, root / "gone", place]))
        else:
            place.mkdir()
            folders.append(place)
    for folder in folders:
        for name in rng.sample(FILES, rng.randrange(4)):
            (folder / name).touch()


def missing(root: Path, listed: set[str]) -> list[str]:
    """Files that stand in no list, nor below a folder that does."""
    lost = []
    for folder, _, files in os.walk(root):
        for file in files:
            path = Path(stored_name(os.path.relpath(os.path.join(folder, file), root)))
            above = {f"{parent.as_posix()}/" for parent in path.parents}
            if path.as_posix() not in listed and not above & listed:
                lost.append(path.as_posix())
    return lost


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not take")
def test_no_file_is_lost(tmp_path):
    rng = random.Random(7)
    listings = 0
    for _ in range(TREES):
        root = tmp_path / "tree"
        root.mkdir()
        build(root, rng)
        try:
            listing = list_folder(root)
        except DataError:
            pass  # refused, and said why
        else:
            listings += 1
            listed = {item.file for item in listing.items} | {file for file, _ in listing.ignored}
            assert missing(root, listed) == []
        shutil.rmtree(root)
    assert listings > 50
