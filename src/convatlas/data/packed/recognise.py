"""Which form of a few large files a source has, told by the names of its files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from convatlas.data.formats import IMAGES
from convatlas.data.names import printable, printable_few
from convatlas.data.packed.cifar import find_cifar, open_cifar
from convatlas.data.packed.hub import is_hub_name, list_hub
from convatlas.data.packed.idx import find_idx, open_idx
from convatlas.data.packed.shards import find_shards, open_shards
from convatlas.data.packed.split_folders import merge_splits
from convatlas.data.packed.svhn import find_svhn, open_svhn
from convatlas.data.packed.tables import find_tables, open_tables
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError

MAX_DEPTH = 2  # folders above the files: archives unpack into `MNIST/raw`, `cifar-10-batches-bin`
MAX_IMAGES = 100  # image files in a folder: with more it is a folder of these
MAX_BESIDE = 20  # beside each other; with more it is a folder of classes


class PackedForm(NamedTuple):
    """A form.

    Args:
        find: returns its files among those in a folder, by their names in order; falsy where there
            are none.
        open: lists the images in them.
    """

    find: Callable[[Path, Sequence[str]], Any]
    open: Callable[[Path, Any], Listing]


FORMS = (
    PackedForm(find_idx, open_idx),
    PackedForm(find_cifar, open_cifar),
    PackedForm(find_svhn, open_svhn),
    PackedForm(find_shards, open_shards),
    PackedForm(find_tables, open_tables),
)


def holds_packed(source: str | Path) -> bool:
    """Return whether a source has one of the forms."""
    if is_hub_name(source):
        return True
    try:
        return bool(_places(Path(source)))
    except OSError:
        return False
    except DataError:
        return True  # opening it says what is wrong


def list_packed(source: str | Path, *, need_train: bool = True) -> Listing | None:
    """Return the images of a source in one of the forms; None for any other source.

    Args:
        need_train: whether some images must train where the files state splits.

    Raises:
        DataError: the files cannot be used; names the file.
    """
    if is_hub_name(source):
        return list_hub(str(source))
    path = Path(source)
    try:
        places = _places(path)
    except OSError:
        return None  # another reader says what is wrong
    if not places:
        return None
    by_split = {split_named(place.name): each for each in places for place in each[:1]}
    if len(places) > 1 and None not in by_split and len(by_split) == len(places):
        listing = merge_splits(
            printable(path),
            path,
            {
                str(split): form.open(place, found)
                for split, (place, form, found) in by_split.items()
            },
        )
        return _with_train(path, listing, need_train=need_train)
    if len(places) > 1:
        raise DataError(
            f"{printable(path)}: must hold one data set, got those in "
            f"{printable_few(place for place, _, _ in places)}; give the folder of one"
        )
    ((place, form, found),) = places
    return _with_train(path, form.open(place, found), need_train=need_train)


def _with_train(path: Path, listing: Listing, *, need_train: bool) -> Listing:
    """Refuse splits none of which trains, where one must."""
    if need_train and listing.given and "train" not in listing.given:
        raise DataError(
            f"{printable(path)}: must hold the files for training beside those of "
            f"{' and '.join(sorted(listing.given))}, got none; give a file itself to train on it"
        )
    return listing


def _places(path: Path, depth: int = MAX_DEPTH) -> list[tuple[Path, PackedForm, Any]]:
    """Folders, or the file itself, that have a form, with what was found there."""
    if path.is_file():
        return _forms(path, path.parent, [path.name])
    names, folders = _inside(path)
    here = _forms(path, path, names)
    if here or not depth or len(folders) > MAX_BESIDE:
        return here
    return [place for name in folders for place in _places(path / name, depth - 1)]


def _forms(place: Path, folder: Path, names: Sequence[str]) -> list[tuple[Path, PackedForm, Any]]:
    return [(place, form, found) for form in FORMS if (found := form.find(folder, names))]


def _inside(folder: Path) -> tuple[list[str], list[str]]:
    """Files and folders in a folder; none where it is one of image files."""
    names, folders, images = [], [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            images += IMAGES.holds(entry.name)
            if images > MAX_IMAGES:
                return [], []
            if not entry.name.startswith("."):
                (folders if entry.is_dir() else names).append(entry.name)
    return sorted(names), sorted(folders)
