"""The values of mask files: palette places, grey values or colours, exactly as they are stored."""

from pathlib import Path

import numpy as np

from convatlas.data.images.read import UnreadableImage, load
from convatlas.data.images.stored_reading import PLAIN, Reading

COLOUR = 1 << 24  # added to a colour packed into a number, so that it is no grey value
MAX_VALUES = 256  # different ones in a mask; more are those of a picture


def read_values(path: Path, reading: Reading = PLAIN) -> np.ndarray:
    """Read a mask file as whole numbers: grey values, places of a palette, or packed colours.

    Colours whose parts are all alike are grey values.

    Shape: int32 (h, w)

    Raises:
        UnreadableImage: with the reason; a JPEG has no exact values.
    """
    image = load(path, reading)
    if image.format in ("JPEG", "MPO"):
        raise UnreadableImage("a JPEG does not keep the values of a mask; store masks as PNG")
    if image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"):
        colours = np.asarray(image.convert("RGB")).astype(np.int32)
        red, green, blue = np.moveaxis(colours, 2, 0)
        if (red == green).all() and (green == blue).all():
            return red
        return COLOUR + (red << 16) + (green << 8) + blue
    if image.mode in ("LA", "La", "PA"):
        image = image.getchannel(0)
    if image.mode == "F":
        values = np.asarray(image)
        if not (values == np.round(values)).all():
            raise UnreadableImage("its values are no whole numbers")
        return values.astype(np.int32)
    return np.asarray(image).astype(np.int32)


def count_values(values: np.ndarray) -> dict[int, int]:
    """Count the pixels of each value.

    Raises:
        UnreadableImage: there are more values than a mask can have.
    """
    found, counts = np.unique(values, return_counts=True)
    if len(found) > MAX_VALUES:
        raise UnreadableImage(f"has {len(found):,} different values: a picture, not a mask")
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def value_name(value: int) -> str:
    """Return a value as people write it: `7`, or `#80007f` for a colour."""
    return f"#{value - COLOUR:06x}" if value >= COLOUR else str(value)
