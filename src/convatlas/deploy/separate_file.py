"""A recording of any length into the files of its voices, with bounded memory."""

from pathlib import Path

from convatlas.data.audio.read import read_in_pieces
from convatlas.data.audio.sound_file import UnreadableSound
from convatlas.data.audio.write import voice_paths, write_voices
from convatlas.data.names import printable
from convatlas.deploy.separator import Separator
from convatlas.errors import DataError


def separate_file(
    predictor: Separator, path: Path, folder: Path, *, stem: str, max_seconds: float
) -> list[Path]:
    """Write the voices of a recording as WAV files at the network's rate.

    Windows of eight seconds are separated, each beginning in the middle of the one before; no more
    than two are held.

    Args:
        stem: names the files: `STEM-voice1.wav` and so on, as the voices are called.
        max_seconds: of the recording.

    Raises:
        DataError: it cannot be read.
        WriteError: a file cannot be written; what was there before stays.
    """
    pieces = predictor.in_pieces(read_in_pieces(path, predictor.rate_hz, max_seconds))
    try:
        targets = voice_paths(folder, stem, predictor.names)
        return write_voices(targets, pieces, predictor.rate_hz)
    except UnreadableSound as error:
        raise DataError(f"{printable(path)}: {error}") from None
