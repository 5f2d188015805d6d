"""Names of slices of a stack: `cells.tif[7]`, `brain.npy[7]`, `em.npz[image][7]`, from 0.

Everything that reads an image by its name reads slices so as well.
"""

import os
import re
from dataclasses import dataclass

ARRAY_SUFFIXES = (".npy", ".npz")
TIFF_SUFFIXES = (".tif", ".tiff")
_SLICE = re.compile(r"(.+?)(?:\[([^\[\]]+)\])?\[(\d+)\]")


@dataclass(frozen=True)
class Slice:
    """One slice.

    Args:
        file: that it lies in.
        member: of an npz file; empty for other files.
        place: from 0.
    """

    file: str
    member: str
    place: int


def parse_slice(name: str) -> Slice | None:
    """Return what a name says of a slice; None for the name of a file."""
    found = _SLICE.fullmatch(name)
    if found is None or not is_stack_suffix(found[1]):
        return None
    return Slice(found[1], found[2] or "", int(found[3]))


def slice_name(file: str, place: int, member: str = "") -> str:
    """Return the name of a slice."""
    return f"{file}[{member}][{place}]" if member else f"{file}[{place}]"


def file_of(name: str) -> str:
    """Return the file that a name means: that of a slice, or the name itself."""
    found = parse_slice(name)
    return name if found is None else found.file


def is_stack_suffix(file: str) -> bool:
    """Return whether a file may hold slices by its name."""
    return os.path.splitext(file)[1].lower() in ARRAY_SUFFIXES + TIFF_SUFFIXES


def is_array(file: str) -> bool:
    """Return whether a file holds arrays by its name."""
    return os.path.splitext(file)[1].lower() in ARRAY_SUFFIXES
