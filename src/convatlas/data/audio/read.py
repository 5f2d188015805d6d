"""Reading a sound at the rate that a network hears, as one channel or two."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convatlas.data.audio.packages import soxr
from convatlas.data.audio.sound_file import Header, UnreadableSound, read_blocks
from convatlas.data.names import printable
from convatlas.errors import DataError, UsageError
from convatlas.ops.loudness import remove_silence

MAX_SECONDS = 3600.0  # of one sound, unless the user allows another length
MONO, STEREO = 1, 2
SIXTEEN_BITS = 32767


def read_sound(
    path: str | Path,
    rate_hz: int | None = None,
    *,
    channels: int = MONO,
    max_seconds: float = MAX_SECONDS,
) -> Tensor:
    """Read a file whole, as one channel or two, at a rate.

    It is decoded and resampled block by block, so that memory holds little beside the result.

    Args:
        rate_hz: that is wanted; the file's own where not given.
        channels: 1 takes the mean of all channels; 2 the first two, or the only one twice.

    Shape: float32 (channels, samples), (samples,) for one channel; full scale is -1 to 1

    Raises:
        DataError: the file cannot be used; names it.
    """
    try:
        return collect(read_blocks(Path(path), max_seconds), rate_hz, channels)
    except UnreadableSound as error:
        raise DataError(f"{printable(path)}: {error}") from None


def without_silence(sound: Tensor, rate_hz: int, silence_db: float | None) -> Tensor:
    """Leave out the frames that are silent; none where no level is given.

    Args:
        silence_db: below the loudest frame of the sound, from where a frame is silent.

    Shape: (samples,) -> (up to samples,)
    """
    return sound if silence_db is None else remove_silence(sound, rate_hz, below_db=silence_db)


def collect(
    blocks: Iterator[tuple[Header, np.ndarray]],
    rate_hz: int | None,
    channels: int = MONO,
    look: Callable[[np.ndarray], None] | None = None,
) -> Tensor:
    """Put blocks together, as `read_sound` does.

    Args:
        look: is shown each block before it is resampled. Shape: float32 (samples, channels)
    """
    parts: list[np.ndarray] = []
    resampler: Resampler | None = None
    for header, block in blocks:
        mixed = mix(block, channels)
        if look is not None:
            look(mixed)
        if resampler is None:
            resampler = Resampler(header.rate_hz, rate_hz or header.rate_hz, channels)
        parts.append(resampler.take(mixed))
    if resampler is not None:
        parts.append(resampler.end())
    sound = torch.from_numpy(np.concatenate(parts)).T.contiguous()
    return sound[0] if channels == MONO else sound


def read_in_pieces(path: Path, rate_hz: int, max_seconds: float) -> Iterator[Tensor]:
    """Yield a file at a rate as one channel, piece by piece, so that it need not fit into memory.

    Shape: yields float32 (samples,)

    Raises:
        UnreadableSound: it cannot be read, or goes on for longer.
    """
    resampler: Resampler | None = None
    for header, block in read_blocks(path, max_seconds):
        resampler = resampler or Resampler(header.rate_hz, rate_hz, MONO)
        yield torch.from_numpy(resampler.take(mix(block, MONO))[:, 0].copy())
    if resampler is not None:
        yield torch.from_numpy(resampler.end()[:, 0].copy())


def mix(block: np.ndarray, channels: int) -> np.ndarray:
    """Return a block as one channel or two. Shape: (samples, c) -> (samples, channels)"""
    if channels == MONO:
        return block.mean(axis=1, keepdims=True, dtype=np.float32)
    if channels != STEREO:
        raise UsageError(f"channels must be 1 or 2, got {channels}")
    return block[:, :2] if block.shape[1] > 1 else np.repeat(block, 2, axis=1)


class Resampler:
    """Changes the rate of a sound that comes in blocks; as good as resampling it whole."""

    def __init__(self, from_hz: int, to_hz: int, channels: int):
        self._stream: Any = None
        self._empty = np.zeros((0, channels), np.float32)
        if from_hz != to_hz:
            self._stream = soxr().ResampleStream(from_hz, to_hz, channels, dtype="float32")

    def take(self, block: np.ndarray) -> np.ndarray:
        """Return what is ready at the new rate. Shape: (samples, channels)"""
        if self._stream is None:
            return block
        return self._stream.resample_chunk(np.ascontiguousarray(block))

    def end(self) -> np.ndarray:
        """Return the rest."""
        if self._stream is None:
            return self._empty
        return self._stream.resample_chunk(self._empty, last=True)


class SoundDigest:
    """What two sounds share that have the same rate and, in 16 bits, the same samples."""

    def __init__(self, rate_hz: int):
        self._found = hashlib.blake2b(f"{rate_hz}".encode(), digest_size=16)
        self.peak = 0.0

    def __call__(self, block: np.ndarray) -> None:
        """Take in a block of one channel."""
        self.peak = max(self.peak, float(np.abs(block).max()))
        self._found.update(np.rint(block * SIXTEEN_BITS).astype("<i4").tobytes())

    def hexdigest(self) -> str:
        """Return it as text."""
        return self._found.hexdigest()
