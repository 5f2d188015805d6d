"""A speaker as a vector from elsewhere, such as an i-vector: numbers, or a file that holds them.

`anna.npy`, `all.npz[anna]`, row 7 of a matrix as `all.npy[7]`, or the numbers themselves.
"""

import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convatlas.data.names import file_path
from convatlas.data.slice_names import ARRAY_SUFFIXES
from convatlas.errors import DataError
from convatlas.text import printable

MIN_FEATURES, MAX_FEATURES = 2, 8192  # of a vector
_PART = re.compile(r"(.+)\[([^\[\]]*)\]")
_GAPS = re.compile(r"[\s,;]+")


def split_part(name: str) -> tuple[str, str]:
    """Return file and part of `all.npz[anna]`; the part of a whole file is empty."""
    found = _PART.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def names_vector(name: str) -> bool:
    """Return whether a name is one of a file of vectors."""
    return split_part(name)[0].lower().endswith(ARRAY_SUFFIXES)


def read_vector(name: str, root: Path | None = None, features: int | None = None) -> Tensor:
    """Read the vector of a speaker.

    Args:
        name: of a file, perhaps with a part of it, or the numbers, apart by spaces, `;` or `,`.
        root: that a file's name starts from, which is in its stored form then.
        features: numbers that the vector must have.

    Shape: float32 (features,)

    Raises:
        DataError: it cannot be read, has another length, or not all numbers are finite; names it.
    """
    if names_vector(name):
        file, part = split_part(name)
        numbers = _stored(Path(file) if root is None else file_path(root, file), part, name)
    else:
        numbers = _written(name)
    return check_vector(numbers, name, features)


def check_vector(numbers: object, name: str, features: int | None = None) -> Tensor:
    """Return numbers as the vector of a speaker. Shape: float32 (features,)

    Args:
        name: of the vector, for the message.

    Raises:
        DataError: as `read_vector`.
    """
    values = numbers.detach().cpu().numpy() if isinstance(numbers, Tensor) else np.asarray(numbers)
    whole = names_vector(name) or len(name) <= 60  # else pages of numbers
    short = printable(name if whole else f"{name[:60]}...")
    if values.dtype.kind not in "iuf":
        raise DataError(f"{short}: a speaker's vector must be numbers, got {values.dtype}")
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.ndim != 1:
        raise DataError(
            f"{short}: a speaker's vector must have one axis, got {values.shape}; a row of a "
            "matrix is named as all.npy[7]"
        )
    if features is not None and len(values) != features:
        raise DataError(
            f"{short}: a speaker's vector must have {features:,} numbers here, got {len(values):,}"
        )
    if not MIN_FEATURES <= len(values) <= MAX_FEATURES:
        raise DataError(
            f"{short}: a speaker's vector must have {MIN_FEATURES} to {MAX_FEATURES:,} numbers, "
            f"got {len(values):,}"
        )
    vector = torch.from_numpy(values.astype(np.float32))
    odd = int((~torch.isfinite(vector)).sum())
    if odd:
        raise DataError(f"{short}: {odd:,} of {len(vector):,} numbers are not finite")
    return vector


def _stored(path: Path, part: str, name: str) -> object:
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, np.ndarray):
                return found[_member(found.files, part, name)]
    except FileNotFoundError:
        raise DataError(f"{printable(name)}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = printable(str(error)).partition("\n")[0].rstrip(".")
        raise DataError(f"{printable(name)}: no vector can be read ({reason})") from error
    if not part:
        return found
    if found.ndim != 2 or not part.isdecimal() or int(part) >= len(found):
        raise DataError(f"{printable(name)}: no such row in an array {found.shape}")
    return found[int(part)]


def _member(members: list[str], part: str, name: str) -> str:
    if part in members:
        return part
    if not part and len(members) == 1:
        return members[0]
    some = ", ".join(map(printable, members[:5])) + ("..." if len(members) > 5 else "")
    raise DataError(f"{printable(name)}: name one of its {len(members):,} arrays, {some}")


def _written(text: str) -> list[float]:
    words = [word for word in _GAPS.split(text.strip().strip("[]()").strip()) if word]
    try:
        return [float(word) for word in words]
    except ValueError:
        raise DataError(
            f"{printable(text[:60])}: a speaker's vector is a file .npy or .npz, or numbers"
        ) from None
