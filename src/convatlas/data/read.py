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

from convatlas.data.names import shown
from convatlas.errors import DataError

MAX_PIXELS = 64_000_000
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


def read_image(path: str | Path, channels: int) -> Tensor:
    """One image file as 8-bit numbers.

    Args:
        channels: 1 for grey, 3 for RGB.

    Shape: uint8 (channels, h, w), at the file's own size after the EXIF turn.

    Raises:
        DataError: the file is missing, damaged, no image, or above 64 megapixels.
        ValueError: channels is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"read_image: channels must be 1 or 3, got {channels}")
    with quiet_pillow():
        return decode(Path(path), channels)


def decode(path: Path, channels: int) -> Tensor:
    """`read_image` for many calls inside one `quiet_pillow`, which is not safe in threads."""
    try:
        image = load(path)
        upright = turned(eight_bit(image), image)
    except UnreadableImage as error:
        raise DataError(f"{shown(path)}: {error}") from None
    pixels = np.array(upright.convert("L" if channels == 1 else "RGB"))
    planes = torch.from_numpy(pixels).reshape(upright.height, upright.width, channels)
    return planes.permute(2, 0, 1).contiguous()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's remarks on odd files off the screen: what matters is reported by us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)  # such as damaged EXIF
        yield


def load(path: Path, *, verify: bool = False) -> Image.Image:
    """Open and decode a file; `verify` also checks the checksums its format has.

    Raises:
        UnreadableImage: with the reason.
    """
    try:
        check_file(path)
        if verify:
            with Image.open(path) as image:
                check_pixels(image)
                image.verify()
        with Image.open(path) as image:
            check_pixels(image)
            image.load()
            return image
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything on damaged bytes
        raise UnreadableImage(reason_of(error)) from error


def check_file(path: Path) -> None:
    """Refuse what is no regular file (a pipe would block for ever) or holds nothing."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableImage("not a regular file")
    if found.st_size == 0:
        raise UnreadableImage("zero bytes")


def check_pixels(image: Image.Image) -> None:
    """Refuse a huge image from its header, before memory is taken for it."""
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(
            f"{image.width} x {image.height} pixels, above the limit of 64 megapixels"
        )


def reason_of(error: Exception) -> str:
    """A short reason for people from what Pillow or the system raised."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "above the limit of 64 megapixels"
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
    return image.convert("L" if grey else "RGB")


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
