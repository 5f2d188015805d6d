"""How the image files of a run are read: stored with it, so that every later use reads alike."""

import math

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from convatlas.data.images.image_limits import MAX_PIXELS, MAX_PIXELS_OPTION
from convatlas.errors import UsageError

Window = tuple[FiniteFloat, FiniteFloat]  # the values that mean black and white


class Reading(BaseModel):
    """What a file's own header does not say, and what may be taken into memory.

    Args:
        max_pixels: of one image. A larger JPEG is decoded at a half, a quarter or an eighth of
            its size; a larger image of any other format is refused.
        value_range: black and white of every file deeper than 8 bits that does not scale its
            values itself, as the user set them; values outside become black or white.
        whole: black and white of whole numbers deeper than 8 bits, as the training images have
            them; None where they have none, which means 16 bits.
        floats: black and white of fractional numbers, as the training images have them; None
            where they have none, which means 0..1 or 0..255.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: int = Field(default=MAX_PIXELS, ge=1, le=MAX_PIXELS_OPTION)
    value_range: Window | None = None
    whole: Window | None = None
    floats: Window | None = None


PLAIN = Reading()


OPTIONS = ("max_pixels", "value_range")  # of `chosen_reading`


def chosen_reading(
    max_pixels: float | None = None, value_range: tuple[float, float] | None = None
) -> Reading:
    """Build what the options of a command or a call ask for.

    Raises:
        UsageError: an option is out of its range.
    """
    if max_pixels is None:
        max_pixels = MAX_PIXELS
    if not 1 <= max_pixels <= MAX_PIXELS_OPTION:  # also false where it is not a number
        raise UsageError(
            f"--max-pixels must lie in 1..{MAX_PIXELS_OPTION:,}, got {max_pixels:,.12g}"
        )
    if value_range is not None:
        low, high = value_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UsageError(
                f"--value-range must be two numbers, the lower one first, got {low:g} {high:g}"
            )
        value_range = (float(low), float(high))
    return Reading(max_pixels=int(max_pixels), value_range=value_range)
