"""Images that Pillow has no mode for: TIFF files of more channels than colour has, and npy files.

Satellites and microscopes store a channel for each band or stain. Whether one of four is
transparency is taken from the file: a TIFF says so, an npy file cannot, so its four are channels.

Source: Aldus, "TIFF Revision 6.0", 1992, tags SamplesPerPixel, ExtraSamples.
"""

import io
from pathlib import Path

import numpy as np
from PIL import TiffImagePlugin

from convatlas.data.images.deep_values import Values, finite
from convatlas.data.images.image_limits import ImageTooLarge, check_size
from convatlas.data.images.stored_reading import Reading
from convatlas.data.images.unreadable import UnreadableImage, check_file, reason_of
from convatlas.data.packages import needed
from convatlas.data.slice_names import TIFF_SUFFIXES, is_array, parse_slice
from convatlas.data.threads import wait_for_pixels
from convatlas.errors import DataError

COLOUR = (1, 3)  # channels of grey and of colour images, which Pillow reads
MAX_IMAGE_CHANNELS = 512  # spectrometers on satellites have some 220
SAMPLES_PER_PIXEL, EXTRA_SAMPLES, PHOTOMETRIC, ORIENTATION = 277, 338, 262, 274
ALPHA = {1, 2}  # of ExtraSamples: transparency
RGB = 2  # of PhotometricInterpretation
NO_NUMBERS = {3, 5, 6, 8}  # palette, CMYK, YCbCr and LAB: colours of another kind
BIG_TIFF = 43
UPRIGHT = {  # TIFF orientation: what makes an array (h, w, c) upright
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def load_numbers(source: Path | bytes, reading: Reading) -> np.ndarray | None:
    """Return an image as the numbers that its file holds; None for one that Pillow reads.

    Args:
        source: the file, or what a TIFF file holds.

    Shape: (h, w, channels), of npy files 1 channel or more, of TIFF files 2 or at least 4

    Raises:
        UnreadableImage: with the reason.
        DataError: tifffile is needed and not installed.
    """
    try:
        if isinstance(source, Path) and is_array(source.name) and not parse_slice(source.name):
            check_file(source)
            return _checked(np.load(source, mmap_mode="r", allow_pickle=False), reading)
        return None if tiff_channels(source) is None else _load_tiff(source, reading)
    except (UnreadableImage, DataError):
        raise
    except ImageTooLarge as error:
        raise UnreadableImage(str(error)) from None
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise UnreadableImage(reason_of(error)) from error


def tiff_channels(source: Path | bytes) -> int | None:
    """Return how many channels a TIFF file has; None for other files and for usual colours.

    Only the header is read. Grey, RGB, CMYK and LAB, with or without transparency, are usual.
    """
    if isinstance(source, Path) and source.suffix.lower() not in TIFF_SUFFIXES:
        return None
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        head = file.read(8)
        if head[:4] not in TiffImagePlugin.PREFIXES:
            return None
        try:
            head += file.read(8) if BIG_TIFF in head[2:4] else b""
            tags = TiffImagePlugin.ImageFileDirectory_v2(head)
            file.seek(tags.next)
            tags.load(file)
        except Exception:  # a damaged header: Pillow has the words for it
            return None
    samples, extra = tags.get(SAMPLES_PER_PIXEL, 1), set(tags.get(EXTRA_SAMPLES, ()))
    photometric = tags.get(PHOTOMETRIC)
    transparent = samples <= 4 and (extra & ALPHA or (photometric == RGB and not extra))
    usual = samples in COLOUR or photometric in NO_NUMBERS or transparent
    return None if usual else int(samples)


def measure_array(values: np.ndarray) -> Values | None:
    """Return what numbers deeper than 8 bits an image holds; None where it holds none.

    Raises:
        UnknownRange: some values are not finite.
    """
    if values.dtype.itemsize == 1 and values.dtype.kind in "ub":
        return None
    values = finite(values)
    return Values(float(values.min()), float(values.max()), whole=values.dtype.kind != "f")


def _load_tiff(source: Path | bytes, reading: Reading) -> np.ndarray:
    what = "TIFF images of more than three channels"
    tifffile = needed("tifffile", what, "tifffile", "tiff")
    with tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        page = file.pages[0]
        check_size(page.imagewidth, page.imagelength, reading.max_pixels)
        values = page.asarray()
        values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
        turn = UPRIGHT.get(page.tags.valueof(ORIENTATION, 1))
    return _checked(values if turn is None else turn(values), reading)


def _checked(values: np.ndarray, reading: Reading) -> np.ndarray:
    shape = values.shape
    if values.ndim not in (2, 3) or not values.size:
        raise UnreadableImage(f"must have the axes (height, width[, channels]), got {shape}")
    if values.dtype.kind not in "buif":
        raise UnreadableImage(f"must hold numbers, got {values.dtype}")
    if values.ndim == 2:
        return values[..., None]
    first = shape[0] != shape[1] == shape[2] not in COLOUR
    if shape[2] > MAX_IMAGE_CHANNELS or first:
        raise UnreadableImage(
            "must have the axes (height, width, channels) with at most "
            f"{MAX_IMAGE_CHANNELS} channels, got {shape}, whose channels seem to come first"
        )
    check_size(shape[1], shape[0], reading.max_pixels)
    wait_for_pixels(-(-values.size // 3))  # what that much colour takes
    return values
