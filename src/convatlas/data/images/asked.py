"""What a run is asked about: files, folders, patterns, images in memory, or any mix of them."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from convatlas.data.formats import IMAGES
from convatlas.data.images.in_memory import image_from, images_of
from convatlas.data.images.read import read_image
from convatlas.data.images.stacks import NoSlice, count_slices, stack_member
from convatlas.data.images.stored_reading import Reading
from convatlas.data.slice_names import is_array, is_stack_suffix, slice_name
from convatlas.data.sources.asked_paths import asked_paths
from convatlas.data.sources.image_kind import asked_kind
from convatlas.errors import DataError, UsageError
from convatlas.progress import Progress, Silent

EXPECTED = "a path, a folder, a pattern, a Pillow image, an array, a tensor, or several of these"


@dataclass(frozen=True)
class Asked:
    """One image to answer; `error` says why there is none.

    Args:
        name: as people know it: its path, or its number among the images in memory.
        value: a path, or an image in memory.
    """

    name: str
    value: Any = None
    error: str | None = None

    def read(self, channels: int, reading: Reading) -> Tensor:
        """Read the image. Shape: uint8 (channels, h, w)

        Raises:
            DataError: it cannot be read.
        """
        if isinstance(self.value, Path):
            return read_image(self.value, channels, reading)
        try:
            return image_from(self.value, channels, reading)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None


def find_asked(
    asked: Any, progress: Progress | None = None, *, arrays: bool = False
) -> Iterator[Asked]:
    """Yield each image of what a run is asked about, in order; folders are searched to the end.

    Args:
        asked: what `EXPECTED` says. An iterable is taken one by one, so it may be longer than
            memory.
        progress: told what a folder holds besides images.
        arrays: whether npy files are images in a folder of such, or by a pattern of such.

    Raises:
        UsageError: it is none of these.
    """
    tell = progress or Silent()
    count = 0
    for value in _flat(asked):
        if isinstance(value, str | os.PathLike):
            kind = asked_kind(Path(value)) if arrays else IMAGES
            for name, path, error in asked_paths(Path(value), kind, tell):
                yield Asked(name, path, error)
        else:
            count += 1
            yield Asked(f"image {count}", value)


def _flat(asked: Any) -> Iterator[Any]:
    """Single paths and images of any nesting."""
    if isinstance(asked, str | os.PathLike | Image.Image):
        yield asked
    elif isinstance(asked, np.ndarray | Tensor):
        yield from images_of(asked) or [asked]
    elif isinstance(asked, bytes | bytearray | Mapping) or not isinstance(asked, Iterable):
        raise UsageError(f"predict: must be given {EXPECTED}, got {type(asked).__name__}")
    else:
        for each in asked:
            yield from _flat(each)


def slice_by_slice(asked: Iterable[Asked]) -> Iterator[Asked]:
    """Yield each slice of what is a stack, and other images as they are."""
    for each in asked:
        path = each.value
        if not isinstance(path, Path) or not is_stack_suffix(path.name) or each.error:
            yield each
            continue
        try:
            member = stack_member(path)
            count = count_slices(path, member)
        except NoSlice as error:
            yield Asked(each.name, error=f"{each.name}: {error}")
            continue
        if count == 1 and not is_array(path.name):
            yield each
            continue
        for place in range(count):
            name = slice_name(path.name, place, member)
            yield Asked(slice_name(each.name, place, member), path.with_name(name))
