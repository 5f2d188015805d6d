"""A recording of any length into the files of its voices, with bounded memory."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from convatlas.data.audio.read import MONO, Resampler, mix
from convatlas.data.audio.sound_file import UnreadableSound, read_blocks
from convatlas.data.audio.write import write_voices
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
        stem: names the files: `STEM-voice1.wav` and so on.
        max_seconds: of the recording.

    Raises:
        DataError: it cannot be read.
        WriteError: a file cannot be written; what was there before stays.
    """
    pieces = predictor.in_pieces(_samples(path, predictor.rate_hz, max_seconds))
    try:
        return write_voices(folder, stem, pieces, predictor.rate_hz)
    except UnreadableSound as error:
        raise DataError(f"{printable(path)}: {error}") from None


def _samples(path: Path, rate_hz: int, max_seconds: float) -> Iterator[Tensor]:
    resampler: Resampler | None = None
    for header, block in read_blocks(path, max_seconds):
        resampler = resampler or Resampler(header.rate_hz, rate_hz, MONO)
        yield torch.from_numpy(resampler.take(mix(block, MONO))[:, 0].copy())
    if resampler is not None:
        yield torch.from_numpy(resampler.end()[:, 0].copy())
