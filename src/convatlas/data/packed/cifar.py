"""CIFAR-10 and CIFAR-100 as their authors publish them: binary files, or pickles of Python.

Source: Krizhevsky, "The CIFAR-10 dataset", sections "Dataset layout" and "Binary version".
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convatlas.data.names import printable, printable_few
from convatlas.data.packed.array_images import ArrayImages, row_items
from convatlas.data.packed.class_names import named, read_names
from convatlas.data.packed.plain_pickle import read_plain_pickle
from convatlas.data.sources.listing import Listing
from convatlas.errors import DataError

SIDE = 32
PIXELS = 3 * SIDE * SIDE  # of an image: all of red, then green, then blue, each by rows
BATCH = re.compile(r"(data_batch_\d+|test_batch)(\.bin)?", re.IGNORECASE)
PICKLED = b"\x80"  # how the pickles begin


class CifarForm(NamedTuple):
    """One of the four forms.

    Args:
        name: for people.
        labels: bytes before the pixels of a binary record; of two the second is used.
        meta: the file with the names of the classes.
        key: of labels and of names, in pickles.
    """

    name: str
    labels: int
    meta: str
    key: tuple[bytes, bytes] | None


TEN = CifarForm("CIFAR-10's binary files", 1, "batches.meta.txt", None)
TEN_PYTHON = CifarForm("CIFAR-10's Python files", 1, "batches.meta", (b"labels", b"label_names"))
HUNDRED = CifarForm("CIFAR-100's binary files", 2, "fine_label_names.txt", None)
HUNDRED_PYTHON = CifarForm(
    "CIFAR-100's Python files", 2, "meta", (b"fine_labels", b"fine_label_names")
)


class CifarFiles(NamedTuple):
    """Files of one form, by name."""

    form: CifarForm
    files: list[Path]


def find_cifar(folder: Path, names: Sequence[str]) -> CifarFiles | None:
    """Return the files with images among those in a folder, by their names and first bytes."""
    batches = [match for match in map(BATCH.fullmatch, names) if match]
    for binary, form in ((True, TEN), (False, TEN_PYTHON)):
        files = [folder / match[0] for match in batches if bool(match[2]) is binary]
        if files and (binary or all(map(_is_pickle, files))):
            return CifarFiles(form, files)
    for suffix, form in ((".bin", HUNDRED), ("", HUNDRED_PYTHON)):
        files = [folder / f"{split}{suffix}" for split in ("train", "test")]
        files = [path for path in files if path.name in names and path.is_file()]
        if files and (folder / form.meta).is_file() and (suffix or all(map(_is_pickle, files))):
            return CifarFiles(form, files)
    return None


def _is_pickle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == PICKLED
    except OSError:
        return False


def open_cifar(place: Path, found: CifarFiles) -> Listing:
    """Return the images of CIFAR's own files; batches train, the test file tests.

    Raises:
        DataError: a file is truncated or damaged.
    """
    form, folder = found.form, found.files[0].parent
    names = _names(form, folder / form.meta)
    read: Callable[..., tuple[np.ndarray, np.ndarray]] = (
        read_records if form.key is None else read_batch
    )
    arrays, items = {}, []
    for path in found.files:
        pixels, labels = read(path, form)
        split = "test" if path.stem.lower().startswith("test") else "train"
        name = path.name.removesuffix(".bin")
        arrays[name] = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        items += row_items(name, named(labels, names, path), split if place.is_dir() else None)
    listing = Listing(printable(place), folder, items, contents=ArrayImages(arrays))
    files = printable_few((path.name for path in found.files), most=6)
    classes = "" if form.labels == 1 else "; the fine classes are used"
    listing.notes.append(f"read as {form.name}: {files}{classes}")
    return listing


def read_records(path: Path, form: CifarForm) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels and labels of a binary file, which stay on the disk until they are used.

    Shape: uint8 (n, PIXELS), (n,)

    Raises:
        DataError: it does not consist of whole records.
    """
    size, record = path.stat().st_size, form.labels + PIXELS
    if not size or size % record:
        raise DataError(
            f"{printable(path)}: {'truncated: ' if size else ''}must consist of whole records of "
            f"{record:,} bytes (label and image), got {size:,} bytes: {size // record:,} records "
            f"and {size % record:,} bytes"
        )
    try:
        rows = np.memmap(path, np.uint8, "r", shape=(size // record, record))
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot read: {error.strerror or error}") from None
    labels = np.array(rows[:, form.labels - 1])
    classes = 10 if form.labels == 1 else 100
    wrong = np.flatnonzero(labels >= classes)
    if len(wrong):
        raise DataError(
            f"{printable(path)}: record {wrong[0]:,} must begin with a class below {classes}, got "
            f"{labels[wrong[0]]}; the file is damaged, or something is missing before"
        )
    return rows[:, form.labels :], labels


def read_batch(path: Path, form: CifarForm) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels and labels of a pickle, of which nothing is executed.

    Shape: uint8 (n, PIXELS), (n,)

    Raises:
        DataError: it is truncated, asks for more than numbers, or holds something else.
    """
    content = read_plain_pickle(path)
    key = (form.key or (b"",))[0]
    pixels = _entry(content, b"data")
    labels = _entry(content, key)
    wanted = (
        f"{printable(path)}: must hold 'data' (images of {PIXELS:,} bytes) and {key.decode()!r}"
    )
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or not pixels.size:
        raise DataError(f"{wanted}, got no images")
    if pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise DataError(f"{wanted}, got images of the shape {pixels.shape}")
    if not isinstance(labels, list) or not all(type(each) is int and each >= 0 for each in labels):
        raise DataError(f"{wanted}, got no labels")
    if len(labels) != len(pixels):
        raise DataError(f"{wanted}, got {len(labels):,} labels for {len(pixels):,} images")
    return pixels, np.array(labels)


def _names(form: CifarForm, path: Path) -> list[str] | None:
    if form.key is None or not path.is_file():
        return read_names(path)
    names = _entry(read_plain_pickle(path), form.key[1])
    if not isinstance(names, list):
        raise DataError(f"{printable(path)}: must hold {form.key[1].decode()!r}, got none")
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names]


def _entry(content: object, key: bytes) -> object:
    """What a dict has under a key, which is bytes where Python 2 wrote it."""
    if not isinstance(content, dict):
        return None
    return content.get(key, content.get(key.decode()))
