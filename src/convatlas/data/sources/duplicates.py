"""Pictures that are there twice, told by their pixels: also a copy in another format or mode."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

ROWS = 128  # hashed at a time, so that a large image is not copied as a whole


def pixel_digest(image: Image.Image) -> str:
    """Return what two images share where they have the same size and pixels.

    Args:
        image: decoded and upright; colour whose channels are equal counts as grey.
    """
    grey = image.mode == "RGB" and all(map(equal_channels, strips(image)))
    mode = "L" if grey else image.mode
    found = hashlib.blake2b(f"{mode} {image.size}".encode(), digest_size=16)
    for strip in strips(image):
        found.update((strip.getchannel(0) if grey else strip).tobytes())
    return found.hexdigest()


def array_digest(pixels: np.ndarray) -> str:
    """Return what `pixel_digest` returns of the same image, and as much of other numbers.

    Shape: uint8 (h, w) or (h, w, 3); any numbers (h, w, channels)
    """
    plain = pixels.dtype == np.uint8
    if pixels.ndim == 3 and pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    mode, size = "L" if pixels.ndim == 2 else "RGB", (pixels.shape[1], pixels.shape[0])
    if not plain or pixels.shape[2:] not in ((), (3,)):
        mode = f"{pixels.shape[2:]} {pixels.dtype.str}"
    found = hashlib.blake2b(f"{mode} {size}".encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


def file_digest(file: Path | bytes) -> str:
    """Return what two files, or their contents, share where they hold the same bytes."""
    if isinstance(file, bytes):
        return hashlib.blake2b(file).hexdigest()
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()


def strips(image: Image.Image) -> Iterator[Image.Image]:
    """Cut an image into pieces of a few rows, from the top."""
    for top in range(0, image.height, ROWS):
        yield image.crop((0, top, image.width, min(top + ROWS, image.height)))


def equal_channels(strip: Image.Image) -> bool:
    """Return whether all channels of a piece hold the same."""
    first, *others = (channel.tobytes() for channel in strip.split())
    return all(channel == first for channel in others)


def find_duplicates(digests: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return groups of two or more files with the same digest.

    Args:
        digests: file and digest.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for file, digest in digests:
        groups[digest].append(file)
    return [files for files in groups.values() if len(files) > 1]


def pairs_across(
    groups: Sequence[Sequence[str]], kind_of: Mapping[str, str]
) -> list[tuple[str, str, str, str]]:
    """Return file, kind, file, kind for the same picture in two kinds (splits, or classes).

    Every file is named beside the first one of its group that is of another kind; files without
    a kind are not used and left out.
    """
    pairs: list[tuple[str, str, str, str]] = []
    for group in groups:
        first, *others = [file for file in group if file in kind_of] or [""]
        pairs += [
            (first, kind_of[first], file, kind_of[file])
            for file in others
            if kind_of[file] != kind_of[first]
        ]
    return pairs
