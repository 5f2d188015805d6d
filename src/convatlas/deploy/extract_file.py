"""One voice out of a recording of any length into a file, with bounded memory."""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from convatlas.data.audio.read import read_in_pieces
from convatlas.data.audio.sound_file import UnreadableSound
from convatlas.data.audio.write import write_voices
from convatlas.data.names import printable
from convatlas.deploy.extractor import Extractor
from convatlas.errors import DataError


def extract_file(
    predictor: Extractor, path: Path, clip: Tensor, target: Path, *, max_seconds: float
) -> Path:
    """Write the voice of the clip's speaker as a WAV file at the network's rate.

    Windows of eight seconds are answered, each beginning in the middle of the one before; no more
    than two are held.

    Args:
        clip: of the speaker, at the network's rate. Shape: float32 (clip_samples,)
        target: the file to write.
        max_seconds: of the recording.

    Raises:
        DataError: it cannot be read.
        WriteError: the file cannot be written; what was there before stays.
    """
    samples = read_in_pieces(path, predictor.rate_hz, max_seconds)
    try:
        write_voices([target], _rows(predictor.in_pieces(samples, clip)), predictor.rate_hz)
    except UnreadableSound as error:
        raise DataError(f"{printable(path)}: {error}") from None
    return target


def _rows(pieces: Iterator[Tensor]) -> Iterator[Tensor]:
    for piece in pieces:
        yield piece[None]
