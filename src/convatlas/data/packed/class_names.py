"""What the numbers of classes are called, where a file says so."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convatlas.data.names import printable, stored_name
from convatlas.errors import DataError

FASHION_MNIST = (  # Xiao et al., 2017, arXiv:1708.07747, table 2
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PUBLISHED = {  # names that stand in no file, by the digest of all labels: train and test
    "372ac19362f2425103e5082d13e71e66": FASHION_MNIST,
    "36a6875013fe680369ab320bd2ad1fe9": FASHION_MNIST,
}


def read_names(path: Path) -> list[str] | None:
    """Return the names in a text file, a line each; None where there is no such file.

    Raises:
        DataError: it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{printable(path)}: cannot read the names of classes: {error}") from None
    return [stored_name(line.strip()) for line in lines if line.strip()]


def named(labels: np.ndarray, names: Sequence[str] | None, path: Path) -> list[str]:
    """Return the class of each image; without names a published one if known, else its number.

    Args:
        path: of the labels, for messages.

    Shape: whole numbers (n,)

    Raises:
        DataError: a number has no name, or two classes have the same.
    """
    if names is None:
        names = PUBLISHED.get(hashlib.blake2b(labels.tobytes(), digest_size=16).hexdigest())
    if names is None:
        return [str(label) for label in labels.tolist()]
    if len(set(names)) < len(names):
        raise DataError(f"{printable(path)}: two classes have the same name")
    wrong = np.flatnonzero(labels >= len(names))
    if len(wrong):
        raise DataError(
            f"{printable(path)}: image {wrong[0]:,} has the class {labels[wrong[0]]}, but only "
            f"{len(names)} classes have names; the file is damaged, or the names belong to another"
        )
    return [str(names[label]) for label in labels.tolist()]
