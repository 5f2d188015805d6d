"""How the image files of a run are read: stored with it, so that every later use reads alike."""

from pydantic import BaseModel, ConfigDict, Field

from convatlas.data.image_limits import MAX_PIXELS, MAX_PIXELS_OPTION
from convatlas.errors import UsageError


class Reading(BaseModel):
    """What a file's own header does not say, and what may be taken into memory.

    Args:
        max_pixels: of one image. A larger JPEG is decoded at a half, a quarter or an eighth of
            its size; a larger image of any other format is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: int = Field(default=MAX_PIXELS, ge=1, le=MAX_PIXELS_OPTION)


PLAIN = Reading()


def chosen_reading(max_pixels: float | None = None) -> Reading:
    """Build what the options of a command or a call ask for.

    Raises:
        UsageError: an option is out of its range.
    """
    if max_pixels is None:
        return PLAIN
    if not 1 <= max_pixels <= MAX_PIXELS_OPTION:  # also false where it is not a number
        raise UsageError(
            f"--max-pixels must lie in 1..{MAX_PIXELS_OPTION:,}, got {max_pixels:,.12g}"
        )
    return Reading(max_pixels=int(max_pixels))
