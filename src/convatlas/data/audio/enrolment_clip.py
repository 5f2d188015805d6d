"""The clip that tells an extractor whom to listen to: how long, and what of it is refused."""

from torch import Tensor

from convatlas.data.audio.scan import SILENT
from convatlas.data.audio.sound_file import duration
from convatlas.data.names import printable
from convatlas.errors import DataError

MIN_CLIP_SECONDS = 0.5  # a shorter one says too little of a speaker


def check_clip(clip: Tensor, rate_hz: int, name: str) -> Tensor:
    """Return a clip that a speaker can be told by.

    Args:
        name: of the clip, for the message.

    Shape: float32 (samples,)

    Raises:
        DataError: it is too short, or silent.
    """
    if len(clip) < round(MIN_CLIP_SECONDS * rate_hz):
        raise DataError(
            f"{printable(name)}: a clip of the speaker must last {MIN_CLIP_SECONDS:g} s or more, "
            f"got {duration(len(clip) / rate_hz)}"
        )
    if float(clip.abs().max()) < SILENT:
        raise DataError(
            f"{printable(name)}: the clip is silent throughout, so that it tells no speaker"
        )
    return clip
