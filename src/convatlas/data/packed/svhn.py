"""SVHN, house numbers in photographs, as its authors publish the cropped digits: MATLAB files.

Source: Netzer et al., "Reading digits in natural images with unsupervised feature learning", 2011;
its page, section "Format 2: Cropped Digits".
"""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convatlas.data.names import printable, printable_few
from convatlas.data.packed.array_images import ArrayImages, row_items
from convatlas.data.packed.class_names import named
from convatlas.data.sources.listing import Listing
from convatlas.errors import DataError

NAME = re.compile(r"(train|test|extra)_32x32\.mat", re.IGNORECASE)
EXTRA = "extra"
NOT_USED = "easier digits beside the training images; name the file to use it alone"


def find_svhn(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the files with digits among those in a folder, by names alone."""
    return [folder / name for name in names if NAME.fullmatch(name)]


def open_svhn(place: Path, found: list[Path]) -> Listing:
    """Return the digits of SVHN's own files.

    Raises:
        DataError: a file is truncated, damaged, or holds something else.
    """
    folder = found[0].parent
    used = [path for path in found if place.is_file() or not path.name.lower().startswith(EXTRA)]
    arrays, items = {}, []
    for path in used:
        images, labels = read_digits(path)
        name = path.stem
        arrays[name] = images
        split = name.lower().split("_")[0] if place.is_dir() else None
        items += row_items(name, named(labels % 10, None, path), split)  # they write 0 as 10
    listing = Listing(printable(place), folder, items, contents=ArrayImages(arrays))
    listing.ignored.extend((path.name, NOT_USED) for path in found if path not in used)
    files = printable_few(path.name for path in used)
    listing.notes.append(f"read as SVHN's own files: {files}")
    return listing


def read_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a file.

    Shape: uint8 (n, h, w, 3), (n,)

    Raises:
        DataError: it is truncated, damaged, or holds something else.
    """
    from scipy.io import loadmat  # slow to import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged files, which raise as well
            held = loadmat(path, variable_names=("X", "y"))
    except FileNotFoundError:
        raise DataError(f"{printable(path)}: no such file") from None
    except Exception as error:  # damaged bytes make the reader raise almost anything
        why = printable(error) or type(error).__name__
        raise DataError(
            f"{printable(path)}: truncated or damaged as a MATLAB file ({why})"
        ) from None
    images, labels = held.get("X"), held.get("y")
    if not isinstance(images, np.ndarray) or not isinstance(labels, np.ndarray):
        raise DataError(f"{printable(path)}: must hold the arrays X and y, got {_held(held)}")
    if images.ndim != 4 or images.shape[2] != 3 or images.dtype != np.uint8 or not images.size:
        raise DataError(
            f"{printable(path)}: X must be images of 8 bits (height, width, 3, images), got "
            f"{images.dtype} {images.shape}"
        )
    labels = labels.ravel()
    if len(labels) != images.shape[3] or labels.dtype.kind not in "iu":
        raise DataError(
            f"{printable(path)}: y must have a number for each of {images.shape[3]:,} images, got "
            f"{len(labels):,}"
        )
    if int(labels.min()) < 1 or int(labels.max()) > 10:
        raise DataError(
            f"{printable(path)}: y must lie in 1..10, got {labels.min()}..{labels.max()}"
        )
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels.astype(np.int64)


def _held(held: dict) -> str:
    return printable_few(sorted(key for key in held if not key.startswith("__"))) or "nothing"
