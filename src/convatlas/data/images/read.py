"""Reading one image file: any Pillow mode to plain 8-bit grey or RGB, upright.

Values of more than 8 bits are scaled by their depth, transparency is laid on white, the EXIF turn
is applied, and of an animated file the first frame is taken.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from convatlas.data.images.deep_values import (
    COLOUR_16,
    CONTENT,
    SIXTEEN_BITS,
    UnknownRange,
    array_to_uint8,
    check_window,
    colour_values,
    finite,
    is_deep,
    raw_mode,
    window_of,
    window_to_uint8,
)
from convatlas.data.images.heif import missing_package, register_heif
from convatlas.data.images.image_limits import (
    ImageTooLarge,
    check_size,
    megapixels,
    shrink_jpeg,
)
from convatlas.data.images.many_channels import COLOUR, load_numbers
from convatlas.data.images.pillow_state import PILLOW_STATE
from convatlas.data.images.stacks import NoSlice, open_slice, real_slice
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.images.unreadable import UnreadableImage, check_file, reason_of
from convatlas.data.names import printable
from convatlas.data.slice_names import is_array
from convatlas.data.threads import wait_for_pixels
from convatlas.errors import DataError

GREY_MODES = {"1", "L", "LA", "La", "I", "F"}  # besides the I;16 family
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


def read_image(path: str | Path, channels: int, reading: Reading = PLAIN) -> Tensor:
    """Read one image file as 8-bit numbers.

    Args:
        channels: 1 for grey, 3 for RGB; another number for files that have just as many.
        reading: the limits, and what the numbers of deep files mean; a run stores its own.

    Shape: uint8 (channels, h, w), at the file's own size after the EXIF turn; a JPEG above the
        limit of pixels at a half, a quarter or an eighth of it.

    Raises:
        DataError: the file is missing, damaged, no image, or above the limits.
        ValueError: channels is below 1.
    """
    if channels < 1:
        raise ValueError(f"read_image: channels must be 1 or more, got {channels}")
    with quiet_pillow():
        return decode(Path(path), channels, reading)


def decode(
    path: Path,
    channels: int,
    reading: Reading = PLAIN,
    content: bytes | np.ndarray | None = None,
    enough: int | None = None,
) -> Tensor:
    """Read as `read_image`, for many calls inside one `quiet_pillow`.

    Args:
        content: of the image, if it lies in no file of its own.
        enough: pixels of the shorter side: a JPEG comes at the smallest fraction of its size that
            has them.
    """
    try:
        if isinstance(content, np.ndarray) and content.shape[2:] in ((channels,), ()):
            return pixel_planes(content, channels)
        if channels not in COLOUR or (content is None and is_array(path.name)):
            values = numbers_of(path if content is None else content, reading)
            if values is None:
                raise UnreadableImage(f"must be a TIFF or npy file of {channels} channels")
            return array_planes(values, channels, reading)
        if content is None:
            image = load(path, reading, enough=enough)
        else:
            image = load_content(content, reading, enough=enough)
        upright = exif_transpose(to_uint8(image, reading), image)
    except (UnreadableImage, UnknownRange) as error:
        raise DataError(f"{printable(path)}: {error}") from None
    return planes(upright, channels)


def numbers_of(source: Path | bytes | np.ndarray, reading: Reading) -> np.ndarray | None:
    """Return what `load_numbers` does, also of pixels. Shape: (h, w, channels)"""
    return (
        np.atleast_3d(source) if isinstance(source, np.ndarray) else load_numbers(source, reading)
    )


def planes(image: Image.Image, channels: int) -> Tensor:
    """Return the pixels of an 8-bit image. Shape: uint8 (channels, h, w)"""
    pixels = np.array(in_mode(image, "L" if channels == 1 else "RGB"))
    rows = torch.from_numpy(pixels).reshape(image.height, image.width, channels)
    return rows.permute(2, 0, 1).contiguous()


def pixel_planes(pixels: np.ndarray, channels: int) -> Tensor:
    """Return pixels that are numbers already; grey ones once for each channel.

    Shape: uint8 (h, w) or (h, w, channels) -> (channels, h, w), a copy
    """
    if pixels.ndim == 2:
        return torch.from_numpy(np.stack([pixels] * channels))
    return torch.from_numpy(np.moveaxis(pixels, -1, 0).copy())


def array_planes(values: np.ndarray, channels: int, reading: Reading) -> Tensor:
    """Return an image of any numbers in 8 bits; grey and colour are turned into each other.

    Shape: (h, w, channels of its own) -> uint8 (channels, h, w)

    Raises:
        UnknownRange: its numbers have no known range.
        UnreadableImage: it has another number of channels.
    """
    count = values.shape[2]
    if count != channels and not {count, channels} <= set(COLOUR):
        raise UnreadableImage(f"must have {channels} channels, got {count}")
    pixels = array_to_uint8(values, reading)
    if count == channels:
        return pixel_planes(pixels, channels)
    pixels = np.ascontiguousarray(pixels[..., 0] if count == 1 else pixels)
    return planes(Image.fromarray(pixels), channels)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's remarks on odd files off the screen: what matters is reported by us."""
    register_heif()
    with PILLOW_STATE, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)  # such as damaged EXIF
        yield


def load(
    path: Path, reading: Reading = PLAIN, *, verify: bool = False, enough: int | None = None
) -> Image.Image:
    """Open and decode a file, or a slice of one; `verify` also checks its format's checksums.

    Args:
        enough: as in `decode`.

    Raises:
        UnreadableImage: with the reason.
    """
    try:
        part = real_slice(path)
        check_file(path if part is None else part[0])
        if verify and part is None:
            with Image.open(path) as image:
                prepare(image, reading)
                image.verify()
        with Image.open(path) if part is None else open_slice(*part) as image:
            prepare(image, reading, enough)
            raw = raw_mode(image)
            if raw is not None and part is not None:
                raise UnreadableImage("a colour slice must hold numbers of 8 bits")
            image.load()
            if raw is not None:
                image.info[COLOUR_16] = raw
            return image
    except Exception as error:  # Pillow's decoders raise almost anything on damaged bytes
        raise unreadable(error, reading, path) from error


def load_content(
    content: bytes | np.ndarray,
    reading: Reading = PLAIN,
    *,
    verify: bool = False,
    enough: int | None = None,
) -> Image.Image:
    """Decode an image that lies in no file of its own, as `load` does those that do.

    Args:
        content: an encoded image, or pixels. Shape: uint8 (h, w) or (h, w, 3)
        enough: as in `decode`.

    Raises:
        UnreadableImage: with the reason.
    """
    try:
        if not isinstance(content, bytes):
            check_size(content.shape[1], content.shape[0], reading.max_pixels)
            return Image.fromarray(np.ascontiguousarray(content))
        if not content:
            raise UnreadableImage("it is empty")
        if verify:
            with Image.open(io.BytesIO(content)) as image:
                prepare(image, reading)
                image.verify()
        with Image.open(io.BytesIO(content)) as image:
            prepare(image, reading, enough)
            raw = raw_mode(image)
            image.load()
            if raw is not None:
                image.info |= {COLOUR_16: raw, CONTENT: content}
            return image
    except Exception as error:
        raise unreadable(error, reading) from error


def unreadable(error: Exception, reading: Reading, path: Path | None = None) -> UnreadableImage:
    """Return the error of an image with the reason that people need."""
    if isinstance(error, UnreadableImage | ImageTooLarge | NoSlice):
        return UnreadableImage(str(error))
    if isinstance(error, Image.DecompressionBombError):
        return UnreadableImage(f"far above the limit of {megapixels(reading.max_pixels)}")
    package = path and isinstance(error, Image.UnidentifiedImageError) and missing_package(path)
    return UnreadableImage(package or reason_of(error))


def prepare(image: Image.Image, reading: Reading, enough: int | None = None) -> None:
    """Shrink a JPEG, refuse what is too large, wait for memory: from the header alone."""
    shrink_jpeg(image, reading.max_pixels, enough)
    check_size(image.width, image.height, reading.max_pixels)
    wait_for_pixels(image.width * image.height)


def to_uint8(image: Image.Image, reading: Reading = PLAIN) -> Image.Image:
    """Return a decoded image in mode L where it is grey, else RGB.

    Raises:
        UnreadableImage: its numbers have no known range.
    """
    grey = image.mode in GREY_MODES or image.mode.startswith("I;")
    if is_deep(image):
        image = shallow(image, reading)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        return converted if converted is not None else image.convert("RGB")
    if image.has_transparency_data:
        image = flatten_alpha(image.convert("RGBA"))
    return in_mode(image, "L" if grey else "RGB")


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return the image in another mode; itself, not a copy, where it has that mode already."""
    return image if image.mode == mode else image.convert(mode)


def shallow(image: Image.Image, reading: Reading) -> Image.Image:
    """Return a deep image in 8 bits a channel, each value where it lies between black and white."""
    try:
        if COLOUR_16 not in image.info:
            values = finite(np.asarray(image))
            return Image.fromarray(window_to_uint8(values, window_of(image, values, reading)))
        window = reading.value_range or reading.whole or SIXTEEN_BITS
        if window == SIXTEEN_BITS:
            return image  # of which Pillow kept the high bytes
        pixels = colour_values(image)
        scaled = window_to_uint8(pixels, window)
        if pixels.shape[-1] == 4:  # transparency always fills its 16 bits
            scaled[..., 3] = pixels[..., 3] >> 8
        if reading.value_range is None:
            check_window(0, float(pixels[..., :3].max()), window)
        return Image.fromarray(scaled)
    except UnknownRange as error:
        raise UnreadableImage(str(error)) from None


def flatten_alpha(image: Image.Image) -> Image.Image:
    """Lay an RGBA image on a white ground."""
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF beside good pixels: the image is used as it lies
        return 1


def exif_transpose(pixels: Image.Image, source: Image.Image) -> Image.Image:
    """Return the pixels as the EXIF orientation of their source wants them seen."""
    turn = TURNS.get(orientation(source))
    return pixels if turn is None else pixels.transpose(turn)
