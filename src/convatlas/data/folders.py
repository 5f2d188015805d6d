"""Folders of images: `CLASS/files`, or the same under `train/`, `val/` and `test/`."""

import os
import unicodedata
from pathlib import Path

from convatlas.data.listing import SPLIT_NAMES, Item, Listing
from convatlas.data.names import shown, shown_few
from convatlas.data.scan import SUFFIX_FORMATS
from convatlas.errors import DataError

LAYOUT = "put the images into one folder per class, CLASS/photo.jpg"


def list_folder(root: Path) -> Listing:
    """The labelled images under a folder, by name alone.

    Raises:
        DataError: the folder has none of the known layouts, a class folder is empty, or a
            folder cannot be read.
    """
    split_folders = find_splits(root)
    listing = Listing(shown(root), root, [])
    if not split_folders:
        list_classes(listing, root, None)
        return listing
    for folder in subfolders(root):
        if folder in split_folders.values():
            continue
        listing.ignored.extend(file for file in walk(folder, root))
    listing.ignored.extend(loose_files(root))
    for split, folder in split_folders.items():
        list_classes(listing, folder, split)
    return listing


def find_splits(root: Path) -> dict[str, Path]:
    """The split folders of a root, empty where it holds classes instead.

    A folder `train` that holds images and no folders may well be a class of that name.
    """
    found: dict[str, Path] = {}
    folders = subfolders(root)
    for folder in folders:
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"{shown(root)}: must hold one folder for the {split} split, got "
                f"{found[split].name} and {folder.name}; keep one"
            )
        found[split] = folder
    if "train" not in found:
        return {}
    if not subfolders(found["train"]):
        if len(found) < len(folders):
            return {}
        raise DataError(f"{shown(found['train'])}: must hold one folder per class; {LAYOUT}")
    return found


def list_classes(listing: Listing, folder: Path, split: str | None) -> None:
    """Add the images of every class folder in a folder to the listing."""
    class_folders = subfolders(folder)
    loose = loose_files(folder)
    if not class_folders:
        got = f"{len(loose)} loose files" if loose else "an empty folder"
        raise DataError(f"{shown(folder)}: must hold one folder per class, got {got}; {LAYOUT}")
    listing.ignored.extend(str(Path(folder.name) / file) if split else file for file in loose)
    for class_folder in class_folders:
        label = unicodedata.normalize("NFC", class_folder.name)  # macOS writes NFD
        images: list[Item] = []
        others: list[str] = []
        for file in walk(class_folder, listing.root):
            if is_image(file):
                images.append(Item(file, label, split))
            else:
                others.append(file)
        if not images:
            beside = f" ({len(others)} other files: {shown_few(others)})" if others else ""
            raise DataError(
                f"{shown(class_folder)}: a class folder must hold images, got none{beside}; "
                "add some or remove the folder"
            )
        listing.items.extend(images)
        listing.ignored.extend(others)


def is_image(file: str) -> bool:
    """Whether a file is an image by its name, and not hidden."""
    path = Path(file)
    return path.suffix.lower() in SUFFIX_FORMATS and not path.name.startswith(".")


def subfolders(folder: Path) -> list[Path]:
    """The visible folders directly in a folder, sorted."""
    try:
        inside = [path for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise cannot_list(error, folder) from None
    return sorted(path for path in inside if not path.name.startswith((".", "__", "@")))


def loose_files(folder: Path) -> list[str]:
    """Names of the files directly in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir() if not path.is_dir())


def walk(folder: Path, root: Path) -> list[str]:
    """All files under a folder, relative to the root, sorted; hidden folders are left out."""
    files: list[str] = []

    def stop(error: OSError) -> None:
        raise cannot_list(error, folder)

    for inside, names, found in os.walk(folder, onerror=stop):
        names[:] = [name for name in names if not name.startswith((".", "__", "@"))]
        found += [name for name in names if (Path(inside) / name).is_symlink()]  # not entered
        files.extend((Path(inside) / name).relative_to(root).as_posix() for name in found)
    return sorted(files)


def cannot_list(error: OSError, folder: Path) -> DataError:
    """The error for a folder that the system does not let us read."""
    reason = (error.strerror or type(error).__name__).lower()
    return DataError(f"{shown(error.filename or folder)}: cannot read the folder: {reason}")
