"""Stacks of slices: pages of a TIFF file, or arrays in npy and npz files, each slice an image."""

import re
import threading
import zipfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from convatlas.data.free_memory import free_memory_bytes
from convatlas.data.names import file_path
from convatlas.data.slice_names import TIFF_SUFFIXES, Slice, is_array, parse_slice

IMAGE_MEMBER = re.compile(r"(images?|imgs?|volumes?|vol|raw|data|x|stack)", re.I)
LOOKED_AT = 20  # TIFF files, to see whether files have several pages
COLOURS = (3, 4)  # channels that the last axis of an array may have


class NoSlice(Exception):
    """A slice that cannot be read; the message is the reason, without the file."""


def real_slice(path: Path) -> tuple[Path, Slice] | None:
    """Return the file and the slice that a path means; None for the path of a file."""
    found = parse_slice(path.name)
    return None if found is None else (path.with_name(found.file), found)


def count_slices(path: Path, member: str = "") -> int:
    """Return how many slices a file holds; 1 for a plain image.

    Raises:
        NoSlice: it cannot be read.
    """
    if is_array(path.name):
        shape = _array(path, member).shape
        return 1 if _is_single(shape) else shape[0]
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    except Exception as error:  # Pillow raises almost anything on damaged bytes
        raise NoSlice(str(error)) from None


def unused_pages(root: Path, files: Iterable[str]) -> list[str]:
    """Return a note where TIFF files have several pages, of which the image is the first.

    Only a few files are looked at: a set of such files has them everywhere.

    Args:
        files: that are images of their own, below `root`.
    """
    tiffs = (file for file in files if Path(file).suffix.lower() in TIFF_SUFFIXES)
    for file in islice(tiffs, LOOKED_AT):
        try:
            pages = count_slices(file_path(root, file))
        except NoSlice:
            continue
        if pages > 1:
            return [
                f"{file} has {pages} pages: the first page of each file is taken, the others are "
                "not; where they are channels, store them in one page"
            ]
    return []


def open_slice(path: Path, found: Slice) -> Image.Image:
    """Return one slice as an image, whose pixels are not decoded yet where that can wait.

    Args:
        path: the real path of its file.

    Raises:
        NoSlice: it is not there, or holds no numbers of an image.
    """
    if is_array(path.name):
        array = _array(path, found.member)
        slices = array[None] if _is_single(array.shape) else array
        if found.place >= len(slices):
            raise NoSlice(f"has {len(slices)} slices, so there is no {found.place}")
        return _image(np.asarray(slices[found.place]))
    image = Image.open(path)
    try:
        image.seek(found.place)
    except EOFError:
        image.close()  # its own count is wrong now
        pages = count_slices(path)
        raise NoSlice(f"has {pages} pages, so there is no {found.place}") from None
    return image


def members_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the arrays of an npz file with their shapes.

    Raises:
        NoSlice: it cannot be read.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as file:
                        shapes[name.removesuffix(".npy")] = _header(file)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise NoSlice(f"cannot be read as npz ({error})") from None
    return shapes


def stack_member(path: Path) -> str:
    """Return the array of an npz file that is its stack of images; empty for other files.

    Raises:
        NoSlice: there is none, or it is not clear which.
    """
    if path.suffix.lower() != ".npz":
        return ""
    stacks = [name for name, shape in members_of(path).items() if 2 <= len(shape) <= 4]
    named = [name for name in stacks if IMAGE_MEMBER.fullmatch(name)]
    if len(named or stacks) != 1:
        raise NoSlice(f"must have one array named image, got {', '.join(stacks) or 'none'}")
    return (named or stacks)[0]


def _header(file) -> tuple[int, ...]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    return read(file)[0]


def _is_single(shape: tuple[int, ...]) -> bool:
    """Whether an array is one image: (h, w), or (h, w, colours)."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in COLOURS)


def _image(array: np.ndarray) -> Image.Image:
    """Pillow's image of a slice. Shape: (h, w) or (h, w, colours)"""
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 and array.dtype != np.uint8:
        raise NoSlice(f"a colour slice must hold numbers of 8 bits, got {array.dtype}")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif array.dtype.kind in "iu" and array.dtype not in (np.uint8, np.uint16):
        if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
            raise NoSlice("its whole numbers need more than 32 bits")
        array = array.astype(np.int32)
    elif array.dtype.kind == "f":
        array = array.astype(np.float32)
    elif array.dtype.kind not in "iu":
        raise NoSlice(f"must hold numbers, got {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(array))


class _LastArrays:
    """The arrays of compressed files that were read last: each holds many slices.

    An npz file has no way to a slice but through all before it.
    """

    def __init__(self, most: int = 2):  # images and masks
        self._most = most
        self._kept: dict[tuple, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, path: Path, member: str) -> np.ndarray:
        """Return an array of a file."""
        found = path.stat()
        key = (str(path), member, found.st_mtime_ns, found.st_size)
        with self._lock:  # others would read the same
            if key not in self._kept:
                while len(self._kept) >= self._most:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = _read(path, member)
            return self._kept[key]


_LAST = _LastArrays()


def _array(path: Path, member: str) -> np.ndarray:
    """An array with 2 to 4 axes; of an npy file it stays on the disk until a slice is taken."""
    if path.suffix.lower() == ".npz" and not member:
        raise NoSlice("holds several arrays; name one")
    try:
        array = _LAST.get(path, member) if member else np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise NoSlice("no such file") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise NoSlice(f"cannot be read as an array ({error})") from None
    colour = array.ndim == 4 and array.shape[-1] in (1, *COLOURS)
    if not (2 <= array.ndim <= 3 or colour) or not array.size:
        raise NoSlice(f"must have the axes (slices, height, width[, colours]), got {array.shape}")
    return array


def _read(path: Path, member: str) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(f"{member}.npy").file_size
    if size > free_memory_bytes():
        raise NoSlice(f"needs {size / 1e9:.1f} GB of memory; store it as npy")
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[member]
