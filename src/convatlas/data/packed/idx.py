"""MNIST's own files, also packed by gzip, and what has their form: Fashion-MNIST, EMNIST, KMNIST.

Source: LeCun, Cortes and Burges, "The MNIST database", section "File formats".
"""

import gzip
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convatlas.data.free_memory import free_memory_bytes
from convatlas.data.names import printable, printable_few
from convatlas.data.packed.array_images import ArrayImages, row_items
from convatlas.data.packed.class_names import named, read_names
from convatlas.data.sources.listing import Listing
from convatlas.errors import DataError

NAME = re.compile(
    r"(?P<set>.*?)(?P<split>train|t10k|test|val|valid|validation)(?P<gap>[-_.])images"
    r"(?P<form>[-.]idx3-ubyte)(?P<gz>\.gz)?",
    re.IGNORECASE,
)
SPLIT = {"train": "train", "t10k": "test", "test": "test"}  # of a file; others validate
CLASSES = "classes.txt"
UNSIGNED_BYTES = 8  # the format's code of the numbers


class IdxPair(NamedTuple):
    """A file of images and the one of their labels."""

    images: Path
    labels: Path
    name: str
    split: str


def find_idx(folder: Path, names: Sequence[str]) -> list[IdxPair]:
    """Return the files with images among those in a folder, by names alone.

    Args:
        names: in order, so that an unpacked file comes before itself as `.gz`.

    Raises:
        DataError: labels are missing, or the files are of several data sets.
    """
    found: dict[str, re.Match[str]] = {}
    for match in filter(None, map(NAME.fullmatch, names)):
        found.setdefault(match[0].removesuffix(match["gz"] or ""), match)
    sets = sorted({match["set"] for match in found.values()})
    if len(sets) > 1:
        raise DataError(
            f"{printable(folder)}: must hold one data set, got files of {printable_few(sets)}; put "
            "those of one into a folder of its own"
        )
    return [_pair(folder, plain, match) for plain, match in found.items()]


def _pair(folder: Path, plain: str, match: re.Match[str]) -> IdxPair:
    start = match.end("gap")
    labels = plain[:start] + "labels" + match["form"].replace("3", "1")
    for name in (labels, f"{labels}.gz"):
        if (folder / name).is_file():
            split = SPLIT.get(match["split"].lower(), "val")
            return IdxPair(folder / match[0], folder / name, plain[: start + len("images")], split)
    raise DataError(
        f"{printable(folder / match[0])}: must have its labels in {printable(labels)} (or .gz) "
        "beside it, got none"
    )


def open_idx(place: Path, found: list[IdxPair]) -> Listing:
    """Return the images of MNIST's own files; the classes are numbers, or lines of `classes.txt`.

    Raises:
        DataError: a file is truncated, damaged, or of another form; labels do not fit the images.
    """
    folder = found[0].images.parent
    names = read_names(folder / CLASSES)
    arrays, items = {}, []
    for pair in found:
        images, labels = read_idx(pair.images, 3), read_idx(pair.labels, 1)
        if len(images) != len(labels):
            raise DataError(
                f"{printable(pair.labels)}: must have a label for each image of "
                f"{printable(pair.images.name)}, got {len(labels):,} for {len(images):,}"
            )
        arrays[pair.name] = images
        split = pair.split if place.is_dir() else None
        items += row_items(pair.name, named(labels, names, pair.labels), split)
    files = printable_few(pair.images.name for pair in found)
    listing = Listing(printable(place), folder, items, contents=ArrayImages(arrays))
    listing.notes.append(f"read as MNIST's own files: {files}")
    return listing


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Return the numbers of a file; one that is not packed stays on the disk until they are used.

    Args:
        axes: 3 for images, 1 for labels.

    Shape: uint8 (n, h, w) or (n,)

    Raises:
        DataError: it has another form, or its length differs from what its header says.
    """
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                shape = _shape(path, packed.read(4 + 4 * axes), axes)
                wanted = math.prod(shape)
                if wanted > free_memory_bytes():
                    raise DataError(
                        f"{printable(path)}: needs {wanted / 1e9:.1f} GB of memory; unpack it, and "
                        "it is read from the disk"
                    )
                content = packed.read(wanted + 1)
            _check_length(path, shape, len(content))
            return np.frombuffer(content, np.uint8).reshape(shape)
        with path.open("rb") as file:
            shape = _shape(path, file.read(4 + 4 * axes), axes)
        _check_length(path, shape, path.stat().st_size - 4 - 4 * axes)
        return np.memmap(path, np.uint8, "r", offset=4 + 4 * axes, shape=shape)
    except EOFError:
        raise DataError(f"{printable(path)}: truncated: the packed file ends too early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{printable(path)}: damaged as a gzip file ({error})") from None
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot read: {error.strerror or error}") from None


def _shape(path: Path, header: bytes, axes: int) -> tuple[int, ...]:
    """What the header says: two zero bytes, the kind of numbers, the axes, and their lengths."""
    if len(header) < 4 + 4 * axes:
        raise DataError(
            f"{printable(path)}: truncated: must begin with {4 + 4 * axes} bytes of header, got "
            f"{len(header)}"
        )
    if header[:4] != bytes((0, 0, UNSIGNED_BYTES, axes)):
        raise DataError(
            f"{printable(path)}: must begin with the bytes 0 0 {UNSIGNED_BYTES} {axes} of an idx "
            f"file, got {' '.join(map(str, header[:4]))}"
        )
    shape = tuple(np.frombuffer(header, ">u4", offset=4).tolist())
    if 0 in shape:
        raise DataError(
            f"{printable(path)}: must hold something, got {_sides(shape)} by its header"
        )
    return shape


def _check_length(path: Path, shape: tuple[int, ...], got: int) -> None:
    wanted = math.prod(shape)
    if got < wanted:
        raise DataError(
            f"{printable(path)}: truncated: its header says {_sides(shape)}, which takes "
            f"{wanted:,} bytes, got {got:,}"
        )
    if got > wanted:
        raise DataError(
            f"{printable(path)}: longer than its header says, {_sides(shape)} ({wanted:,} bytes)"
        )


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in shape)
