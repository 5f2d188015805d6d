"""Reading one image file: any Pillow mode to plain 8-bit grey or RGB, upright.

Sixteen-bit values are scaled by their depth, transparency is laid on white, the EXIF turn is
applied, and of an animated file the first frame is taken.
"""

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from convatlas.data.heif import missing_package, register_heif
from convatlas.data.image_limits import (
    PILLOW_LIMIT,
    ImageTooLarge,
    check_size,
    megapixels,
    shrink_jpeg,
)
from convatlas.data.names import shown
from convatlas.data.stored_reading import PLAIN, Reading
from convatlas.data.threads import wait_for_pixels
from convatlas.errors import DataError

GREY_MODES = {"1", "L", "LA", "La", "I", "F"}  # besides the I;16 family
TIFF_BITS_PER_SAMPLE = 258
EXIF_ORIENTATION = 274
TURNS = {  # EXIF orientation: what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(Exception):
    """An image file that cannot be used; the message is the reason, without the file."""


def read_image(path: str | Path, channels: int, reading: Reading = PLAIN) -> Tensor:
    """Read one image file as 8-bit numbers.

    Args:
        channels: 1 for grey, 3 for RGB.
        reading: the limits, and what the numbers of deep files mean; a run stores its own.

    Shape: uint8 (channels, h, w), at the file's own size after the EXIF turn; a JPEG above the
        limit of pixels at a half, a quarter or an eighth of it.

    Raises:
        DataError: the file is missing, damaged, no image, or above the limits.
        ValueError: channels is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"read_image: channels must be 1 or 3, got {channels}")
    with quiet_pillow():
        return decode(Path(path), channels, reading)


def decode(path: Path, channels: int, reading: Reading = PLAIN) -> Tensor:
    """`read_image` for many calls inside one `quiet_pillow`, which is not safe in threads."""
    try:
        image = load(path, reading)
        upright = turned(eight_bit(image), image)
    except UnreadableImage as error:
        raise DataError(f"{shown(path)}: {error}") from None
    pixels = np.array(in_mode(upright, "L" if channels == 1 else "RGB"))
    planes = torch.from_numpy(pixels).reshape(upright.height, upright.width, channels)
    return planes.permute(2, 0, 1).contiguous()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's remarks on odd files off the screen: what matters is reported by us."""
    register_heif()
    with PILLOW_LIMIT, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)  # such as damaged EXIF
        yield


def load(path: Path, reading: Reading = PLAIN, *, verify: bool = False) -> Image.Image:
    """Open and decode a file; `verify` also checks the checksums its format has.

    Raises:
        UnreadableImage: with the reason.
    """
    try:
        check_file(path)
        if verify:
            with Image.open(path) as image:
                prepare(image, reading)
                image.verify()
        with Image.open(path) as image:
            prepare(image, reading)
            image.load()
            return image
    except (UnreadableImage, ImageTooLarge) as error:
        raise UnreadableImage(str(error)) from None
    except Image.DecompressionBombError:
        limit = megapixels(reading.max_pixels)
        raise UnreadableImage(f"far above the limit of {limit}") from None
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(missing_package(path) or reason_of(error)) from error
    except Exception as error:  # Pillow's decoders raise almost anything on damaged bytes
        raise UnreadableImage(reason_of(error)) from error


def prepare(image: Image.Image, reading: Reading) -> None:
    """From the header alone: shrink a huge JPEG, refuse what is too large, wait for memory."""
    shrink_jpeg(image, reading.max_pixels)
    check_size(image.width, image.height, reading.max_pixels)
    wait_for_pixels(image.width * image.height)


def check_file(path: Path) -> None:
    """Refuse what is no regular file (a pipe would block for ever) or holds nothing."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableImage("not a regular file")
    if found.st_size == 0:
        raise UnreadableImage("zero bytes")


def reason_of(error: Exception) -> str:
    """A short reason for people from what Pillow or the system raised."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a format that Pillow reads"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read"
    if isinstance(error, OSError) and error.strerror:
        return shown(error.strerror.lower())
    text = shown(error) or type(error).__name__
    cut_off = any(word in text.lower() for word in ("truncated", "unexpected end", "ran out"))
    return f"truncated ({text})" if cut_off else f"damaged ({text})"


def eight_bit(image: Image.Image) -> Image.Image:
    """A decoded image in mode L where it is grey, else RGB.

    Raises:
        UnreadableImage: its numbers have no known range.
    """
    grey = image.mode in GREY_MODES or image.mode.startswith("I;")
    if image.mode == "F":
        return Image.fromarray(scaled_floats(np.asarray(image)))
    if image.mode == "I" or image.mode.startswith("I;"):
        return Image.fromarray(scaled_whole(np.asarray(image), white_level(image)))
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        return converted if converted is not None else image.convert("RGB")
    if image.has_transparency_data:
        image = on_white(image.convert("RGBA"))
    return in_mode(image, "L" if grey else "RGB")


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image in another mode; itself, not a copy, where it has that mode already."""
    return image if image.mode == mode else image.convert(mode)


def on_white(image: Image.Image) -> Image.Image:
    """An RGBA image laid on a white ground."""
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def white_level(image: Image.Image) -> int:
    """The value that means white: from the bits a TIFF states, else of 16 bits."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(TIFF_BITS_PER_SAMPLE, (16,))[0]
    return 2**bits - 1 if 8 < bits < 16 else 65535


def scaled_whole(values: np.ndarray, white: int) -> np.ndarray:
    """Whole numbers 0..white as 0..255, rounded."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > white:
        raise UnreadableImage(f"whole numbers must lie in 0..{white}, got {low}..{high}")
    return ((values.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)


def scaled_floats(values: np.ndarray) -> np.ndarray:
    """Floats in 0..1 or 0..255 as 0..255, rounded."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also false where a value is not a number
        raise UnreadableImage(f"floats must lie in 0..1 or 0..255, got {low:g}..{high:g}")
    return np.rint(values * (255 if high <= 1 else 1)).astype(np.uint8)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF beside good pixels: the image is used as it lies
        return 1


def turned(pixels: Image.Image, source: Image.Image) -> Image.Image:
    """The pixels as the EXIF orientation of their source wants them seen."""
    turn = TURNS.get(orientation(source))
    return pixels if turn is None else pixels.transpose(turn)
