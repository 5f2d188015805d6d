"""The scan: every file is read once before training, and what is wrong is named.

Broken files are skipped up to a stated share; readable ones whose content differs from their
suffix are used and listed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from convatlas.data.formats import SUFFIX_FORMATS
from convatlas.data.images.deep_values import (
    COLOUR_16,
    UnknownRange,
    Values,
    is_deep,
    measure_values,
)
from convatlas.data.images.image_limits import JPEGS, ImageTooLarge, check_size
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.many_channels import COLOUR, load_numbers, measure_array
from convatlas.data.images.png_depth import png_depth
from convatlas.data.images.read import (
    exif_transpose,
    load,
    load_content,
    orientation,
    pixel_planes,
    planes,
    quiet_pillow,
    to_uint8,
)
from convatlas.data.images.stacks import real_slice
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.images.unreadable import UnreadableImage
from convatlas.data.names import file_path
from convatlas.data.sources.contents import Contents, UnreadableContent
from convatlas.data.sources.duplicates import array_digest, file_digest, pixel_digest
from convatlas.data.sources.left_out import BROKEN_LINK
from convatlas.data.threads import in_threads

Progress = Callable[[int, int], None]

SAME_CONTENT = {"MPO": "JPEG", "DIB": "BMP"}  # MPO: what phones write under .jpg


@dataclass(frozen=True, slots=True)  # a million of them may be held
class FileFacts:
    """What the scan found out about one readable file."""

    file: str
    width: int
    height: int
    mode: str
    grey: bool
    pixels: str  # the same for the same picture, in whatever format
    renamed: str | None
    values: Values | None = None  # of a file deeper than 8 bits
    channels: int | None = None  # where they are others than those of grey or colour


def examine(
    root: Path,
    file: str,
    reading: Reading = PLAIN,
    kept: KeptPixels | None = None,
    contents: Contents | None = None,
    many: bool = False,
) -> FileFacts | str:
    """Read one file completely: its facts, or the reason why it cannot be used.

    Args:
        kept: takes the pixels of a file of 8 bits, as it will be read for training.
        contents: where the image lies, if not in a file of its own.
        many: whether images may have more channels than colour has.
    """
    path = file_path(root, file)
    try:
        content = None if contents is None else contents.get(file)
        if isinstance(content, np.ndarray):
            return _facts_of_pixels(file, content, reading)
        numbers = load_numbers(path if content is None else content, reading) if many else None
        if numbers is not None:
            return _facts_of_numbers(file, numbers, kept)
        if content is None:
            image = load(path, reading, verify=True)
            depth = None if real_slice(path) else png_depth(path)
        else:
            image, depth = load_content(content, reading, verify=True), png_depth(content)
        values = measure_values(image, depth) if is_deep(image) else None
        deep_or_plain = values is not None or image.mode in ("L", "RGB")
        plain = image if deep_or_plain else to_uint8(image)
        pixels = (
            file_digest(path if content is None else content)
            if COLOUR_16 in image.info
            else pixel_digest(exif_transpose(plain, image))
        )
        if kept is not None and values is None:
            _keep(kept, file, image)
    except (UnreadableImage, UnreadableContent, ImageTooLarge, UnknownRange) as error:
        return (
            BROKEN_LINK
            if contents is None and path.is_symlink() and not path.exists()
            else str(error)
        )
    width, height = image.size
    if orientation(image) >= 5:  # lies on its side
        width, height = height, width
    return FileFacts(
        file,
        width,
        height,
        image.mode,
        is_grey(image),
        pixels,
        renaming(path, image),
        values,
    )


def _facts_of_pixels(file: str, pixels: np.ndarray, reading: Reading) -> FileFacts:
    """Facts of an image that lies as plain numbers: these are in memory, or mapped, already."""
    height, width = pixels.shape[:2]
    check_size(width, height, reading.max_pixels)
    grey = pixels.ndim == 2
    mode = "L" if grey else "RGB"
    return FileFacts(file, width, height, mode, grey, array_digest(pixels), None)


def _facts_of_numbers(file: str, numbers: np.ndarray, kept: KeptPixels | None) -> FileFacts:
    """Facts of an image that Pillow has no mode for. Shape: (h, w, channels)"""
    height, width, channels = numbers.shape
    values = measure_array(numbers)
    if kept is not None and numbers.dtype == np.uint8 and kept.has_room(numbers.size):
        kept.keep(file, pixel_planes(numbers, channels))
    usual = channels in COLOUR
    mode = "L" if channels == 1 else "RGB" if usual else f"{channels} channels"
    mode += "" if numbers.dtype == np.uint8 else f" ({numbers.dtype})"
    digest = array_digest(numbers[..., 0] if channels == 1 else numbers)
    many = None if usual else channels
    return FileFacts(file, width, height, mode, channels == 1, digest, None, values, many)


def _keep(kept: KeptPixels, file: str, image: Image.Image) -> None:
    if kept.has_room(3 * image.width * image.height):
        upright = exif_transpose(to_uint8(image), image)
        shrinks = image.format in JPEGS
        kept.keep(file, planes(upright, 1 if upright.mode == "L" else 3), shrinks=shrinks)


def is_grey(image: Image.Image) -> bool:
    """Return whether the mode, or every colour of the palette, is grey."""
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;")


def renaming(path: Path, image: Image.Image) -> str | None:
    """Return a remark where the suffix names another format than the content has."""
    content = SAME_CONTENT.get(image.format or "", image.format)
    named = SUFFIX_FORMATS.get(path.suffix.lower())
    if named is None or named == content:
        return None
    return f"{content} content in a file named {path.suffix}"


def scan_files(
    root: Path,
    files: Sequence[str],
    progress: Progress | None = None,
    reading: Reading = PLAIN,
    kept: KeptPixels | None = None,
    contents: Contents | None = None,
    many: bool = False,
) -> tuple[list[FileFacts], list[tuple[str, str]]]:
    """Examine every file; the facts of the readable ones, and the others with their reasons.

    Args:
        many: whether images may have more channels than colour has.
    """
    good: list[FileFacts] = []
    broken: list[tuple[str, str]] = []

    def look(file: str) -> FileFacts | str:
        return examine(root, file, reading, kept, contents, many)

    plain = contents is not None and contents.decoded  # nothing that threads could do meanwhile
    found = (look(file) for file in files) if plain else in_threads(look, files)
    with quiet_pillow(), closing(found) as results:
        for done, (file, result) in enumerate(zip(files, results, strict=True), start=1):
            if isinstance(result, str):
                broken.append((file, result))
            else:
                good.append(result)
            if progress is not None and (not plain or done % 1000 == 0 or done == len(files)):
                progress(done, len(files))
    return good, broken


def measure(facts: Iterable[FileFacts]) -> tuple[dict[str, int], dict[str, tuple[int, int, int]]]:
    """Return files per mode, and the smallest, median and largest width and height."""
    facts = list(facts)
    sides = {"width": [f.width for f in facts], "height": [f.height for f in facts]}
    sizes = {side: (min(px), round(median(px)), max(px)) for side, px in sides.items() if px}
    return dict(Counter(f.mode for f in facts)), sizes
