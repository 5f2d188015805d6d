"""Numbers deeper than 8 bits: what values a file holds, and which of them mean black and white.

Pillow keeps the high byte only of colour with 16 bits a channel. That is right where values fill
the 16 bits; where they fill fewer, the low byte is read as well, by a second pass.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from convatlas.data.images.stored_reading import PLAIN, Reading, Window

TIFF_BITS_PER_SAMPLE = 258
TIFF_MAX_SAMPLE_VALUE = 281
TIFF_S_MAX_SAMPLE_VALUE = 341
SCALED_FORMATS = ("PPM", "JPEG2000")  # Pillow scales these by the depth their header states
SIXTEEN_BITS: Window = (0.0, 65535.0)
COLOUR_16 = "16-bit colour"  # in `Image.info`: the raw mode of a file with such pixels
CONTENT = "content"  # in `Image.info`: the bytes of an image that is no file of its own
GREY_ALPHA = "LA;16B"  # the raw mode of a PNG with 16-bit grey and transparency
LOW_BYTE = {"B": "L", "L": "B", "N": "B"}  # the raw mode whose high byte is our low byte
DEPTHS = (8, 10, 12, 14, 16)
ROWS = 128
FAR = 1  # window widths outside the window: such values have another unit, and are refused


class UnknownRange(Exception):
    """Values that the known range does not explain; the message says which."""


@dataclass(frozen=True)
class Values:
    """What numbers a file deeper than 8 bits holds.

    Args:
        low: the smallest value.
        high: the largest, or what a tag of the file says it may be.
        whole: whether they are whole numbers.
        bits: the depth that a tag states; None where there is none.
        stated: whether the file alone settles what white is.
    """

    low: float
    high: float
    whole: bool
    bits: int | None = None
    stated: bool = False


def is_deep(image: Image.Image) -> bool:
    """Return whether a decoded image has numbers that 8 bits do not hold."""
    return image.mode in ("I", "F") or image.mode.startswith("I;") or COLOUR_16 in image.info


def measure_values(image: Image.Image, sbit: int | None = None) -> Values:
    """Find the values of a decoded, deep image.

    Args:
        sbit: the depth that a PNG states.

    Raises:
        UnknownRange: some values are not finite.
    """
    if COLOUR_16 in image.info:  # of the low byte nothing is known yet
        top = max(high for _, high in image.convert("RGB").getextrema())  # pyright: ignore
        return Values(0, top * 256 + 255, whole=True, bits=sbit)
    values = finite(np.asarray(image))
    low, high = float(values.min()), float(values.max())
    if image.mode == "F":
        return Values(low, high, whole=False)
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(TIFF_BITS_PER_SAMPLE, (16,))[0]
    stated = image.format in SCALED_FORMATS or 8 < bits < 16
    for tag in (TIFF_MAX_SAMPLE_VALUE, TIFF_S_MAX_SAMPLE_VALUE):
        high = max(high, *(float(value) for value in _several(tags.get(tag, high))))
    return Values(low, high, whole=True, bits=bits if stated and bits < 16 else sbit, stated=stated)


def finite(values: np.ndarray) -> np.ndarray:
    """Return the values, if all are numbers.

    Raises:
        UnknownRange: some are infinite or not a number.
    """
    if not np.isfinite(values).all():
        raise UnknownRange("some values are infinite or not a number")
    return values


def window_of(image: Image.Image, values: np.ndarray, reading: Reading = PLAIN) -> Window:
    """Return the values that mean black and white in a decoded, deep image.

    Raises:
        UnknownRange: the values do not belong to the range that is known.
    """
    fractions = image.mode == "F"
    bits = getattr(image, "tag_v2", {}).get(TIFF_BITS_PER_SAMPLE, (16,))[0]
    if image.format in SCALED_FORMATS:
        return SIXTEEN_BITS
    if reading.value_range is not None:
        return reading.value_range
    if not fractions and 8 < bits < 16:
        return (0.0, 2.0**bits - 1)
    known = reading.floats if fractions else reading.whole
    low, high = float(values.min()), float(values.max())
    if known is None:
        return usual_window(low, high, fractions=fractions)
    check_window(low, high, known)
    return known


def check_window(low: float, high: float, window: Window) -> None:
    """Refuse values far outside a window: they have another unit, or another depth.

    Raises:
        UnknownRange: some are further outside than the window is wide.
    """
    width = window[1] - window[0]
    if low < window[0] - FAR * width or high > window[1] + FAR * width:
        raise UnknownRange(
            f"values from {low:g} to {high:g} do not belong to the range {window[0]:g} to "
            f"{window[1]:g} of the training images; `fit --value-range` sets one for all"
        )


def window_to_uint8(values: np.ndarray, window: Window) -> np.ndarray:
    """Return values as 0..255, rounded; those outside the window become black or white."""
    low, high = window
    scaled = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS):  # a few at a time: they take eight bytes a number
        part = (values[row : row + ROWS].astype(np.float64) - low) * 255 / (high - low)
        scaled[row : row + ROWS] = np.floor(part.clip(0, 255) + 0.5)
    return scaled


def colour_values(image: Image.Image) -> np.ndarray:
    """Return both bytes of a file with 16-bit colour. Shape: uint16 (h, w, 3 or 4)"""
    raw = image.info[COLOUR_16]
    if raw == GREY_ALPHA:  # its four bytes a pixel, as if they were four channels
        bytes_ = _read_again(image, "RGBA").astype(np.uint16)
        grey, alpha = bytes_[..., 0] << 8 | bytes_[..., 1], bytes_[..., 2] << 8 | bytes_[..., 3]
        return np.stack([grey, grey, grey, alpha], -1)
    low = _read_again(image, raw[:-1] + LOW_BYTE[raw[-1]])
    return np.asarray(image).astype(np.uint16) << 8 | low


def _read_again(image: Image.Image, raw: str) -> np.ndarray:
    """Decode the file of an image once more, with other meanings of its bytes."""
    content = image.info.get(CONTENT)
    source = image.filename if content is None else io.BytesIO(content)  # pyright: ignore
    with Image.open(source) as again:
        (tile,) = again.tile
        # A plain tuple in older versions of Pillow.
        replaced = (*tile[:3], _with_raw_mode(tile[3], raw))
        made = type(tile)._make(replaced) if hasattr(tile, "_make") else replaced
        again.tile = [made]  # pyright: ignore[reportAttributeAccessIssue]
        return np.asarray(again)


def raw_mode(image: Image.Image) -> str | None:
    """Return the raw mode of an opened file with 16 bits a channel; None for others."""
    tiles = getattr(image, "tile", [])
    args = tiles[0][3] if len(tiles) == 1 else None
    raw = args[0] if isinstance(args, tuple) and args else args
    if raw == GREY_ALPHA:
        return GREY_ALPHA
    if isinstance(raw, str) and raw[:-1] in ("RGB;16", "RGBA;16") and raw[-1] in LOW_BYTE:
        return raw
    return None


def _with_raw_mode(args: object, raw: str) -> object:
    return (raw, *args[1:]) if isinstance(args, tuple) else raw


def usual_window(low: float, high: float, *, fractions: bool) -> Window:
    """Return the range of 16 bits, or of floats in 0..1 or 0..255, where none is set.

    Raises:
        UnknownRange: the values are not of that range.
    """
    if fractions:
        if not (low >= 0 and high <= 255):  # also false where a value is not a number
            raise UnknownRange(
                f"floats must lie in 0..1 or 0..255, got {low:g}..{high:g}; "
                "`fit --value-range` sets another range"
            )
        return (0.0, 1.0) if high <= 1 else (0.0, 255.0)
    if low < 0 or high > SIXTEEN_BITS[1]:
        raise UnknownRange(
            f"whole numbers must lie in 0..65535, got {low:.0f}..{high:.0f}; "
            "`fit --value-range` sets another range"
        )
    return SIXTEEN_BITS


def _several(value: object) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def array_to_uint8(array: np.ndarray, reading: Reading = PLAIN) -> np.ndarray:
    """Return numbers of any kind as 0..255, each where it lies between black and white.

    Raises:
        UnknownRange: they have no known range.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    fractions = array.dtype.kind == "f"
    low, high = float(finite(array).min()), float(array.max())
    window = reading.value_range or (reading.floats if fractions else reading.whole)
    if window is None:
        if array.dtype.kind == "i" and low >= 0 and high <= 255:  # what sums of 8 bits become
            return array.astype(np.uint8)
        window = usual_window(low, high, fractions=fractions)
    elif reading.value_range is None:
        check_window(low, high, window)
    return window_to_uint8(array, window)
