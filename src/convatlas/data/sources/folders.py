"""Folders of one kind of file: `CLASS/files`, or the same under `train/`, `val/` and `test/`."""

import unicodedata
from pathlib import Path

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import printable, printable_few, stored_name
from convatlas.data.sources.layout import check_beside, check_subfolders
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.split_names import split_named
from convatlas.data.sources.walk import Level, look, passed_over, walk
from convatlas.errors import DataError

BESIDE = "beside the split folders"


def list_folder(root: Path, *, need_train: bool = True, kind: FileKind = IMAGES) -> Listing:
    """Return the labelled files of a kind under a folder, by name alone.

    Args:
        need_train: whether a folder of splits must contain one for training.

    Raises:
        DataError: the folder has none of the known layouts, a class folder is empty, or a
            folder cannot be read.
    """
    listing = Listing(printable(root), root, [])
    top = look(root, root, kind)
    splits = find_splits(root, top.folders, kind, need_train=need_train)
    if not splits:
        list_classes(listing, root, top, None, kind)
        check_subfolders(root, listing.items, kind)
        return listing
    listing.ignored.extend(top.left_out)
    listing.ignored.extend(passed_over(top.files, BESIDE))
    for folder in top.folders:
        if folder not in splits.values():
            beside = walk(folder, root, kind)
            listing.ignored.extend(passed_over(beside.files, BESIDE) + beside.left_out)
    for split, folder in splits.items():
        if folder.name != split:
            listing.notes.append(
                f"reading the folder {printable(folder.name)} as the {split} split"
            )
        inner, level = unwrap(listing, folder, split, kind)
        list_classes(listing, inner, level, split, kind)
    return listing


def find_splits(
    root: Path, folders: list[Path], kind: FileKind = IMAGES, *, need_train: bool
) -> dict[str, Path]:
    """Return the split folders of a root, empty where it holds classes instead.

    A folder `train` that holds files and no folders may well be a class of that name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        split = split_named(folder.name)
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"{printable(root)}: must contain one folder for the {split} split, got "
                f"{printable(found[split].name)} and {printable(folder.name)}; keep one"
            )
        found[split] = folder
    if not found:
        return {}
    inside = {split: look(folder, root, kind).folders for split, folder in found.items()}
    if "train" in found:
        if inside["train"]:
            return found
        if len(found) < len(folders):
            return {}
        raise DataError(
            f"{printable(found['train'])}: must contain one folder per {kind.group}; "
            + layout(kind)
        )
    if not need_train and all(inside.values()):
        return found
    if len(found) == len(folders):
        names = " and ".join(printable(folder.name) for folder in found.values())
        raise DataError(
            f"{printable(root)}: must contain a folder train/ beside {names}, got none; name the "
            f"folder with the training {kind.many} so, or put the {kind.groups} directly into the "
            "data folder"
        )
    for split, folder in found.items():
        check_beside(root, folder, inside[split], folders)
    return {}


def unwrap(listing: Listing, folder: Path, split: str, kind: FileKind) -> tuple[Path, Level]:
    """Return the folder of the classes of a split: it may lie in one of the same name."""
    level = look(folder, listing.root, kind)
    if len(level.folders) != 1 or split_named(level.folders[0].name) != split:
        return folder, level
    listing.ignored.extend(passed_over(level.files, BESIDE) + level.left_out)
    return level.folders[0], look(level.folders[0], listing.root, kind)


def layout(kind: FileKind) -> str:
    """Say how files are laid out by class."""
    return (
        f"put the {kind.many} into one folder per {kind.group}, {kind.group.upper()}/{kind.example}"
    )


def instead(level: Level) -> str:
    """Say what a folder without class folders holds."""
    if level.files:
        return f"{len(level.files)} loose files"
    if level.left_out:
        return f"only {printable_few(f'{file} ({reason})' for file, reason in level.left_out)}"
    return "an empty folder"


def list_classes(
    listing: Listing, folder: Path, level: Level, split: str | None, kind: FileKind
) -> None:
    """Add the files of every class folder in a folder to the listing."""
    if not level.folders:
        cut_off = split in ("val", "test")
        raise DataError(
            f"{printable(folder)}: must contain one folder per {kind.group}, got {instead(level)}; "
            + layout(kind)
            + (f", or move it away: a {split} split is then cut off train" if cut_off else "")
        )
    for file in level.files:
        reason = f"beside the {kind.group} folders" if kind.holds(file) else kind.not_named
        listing.ignored.extend(passed_over([file], reason))
    listing.ignored.extend(level.left_out)
    named: dict[str, str] = {}
    for class_folder in level.folders:
        label = stored_name(unicodedata.normalize("NFC", class_folder.name))  # macOS writes NFD
        if named.setdefault(label, class_folder.name) != class_folder.name:
            listing.notes.append(
                f"two folders {printable(label)} that look alike are read as one {kind.group}"
            )
        found = walk(class_folder, listing.root, kind)
        items = [Item(file, label, split) for file in found.files if kind.holds(file)]
        others = [file for file in found.files if not kind.holds(file)]
        if not items:
            names = [*others, *(file for file, _ in found.left_out)]
            beside = f" ({len(names)} other files: {printable_few(names)})" if names else ""
            raise DataError(
                f"{printable(class_folder)}: a {kind.group} folder must contain {kind.many}, got "
                f"none{beside}; add some or remove the folder"
            )
        listing.items.extend(items)
        listing.ignored.extend(passed_over(others, kind.not_named) + found.left_out)
