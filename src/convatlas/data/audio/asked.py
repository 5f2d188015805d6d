"""What a run is asked about: sound files, folders, patterns, waveforms in memory, or any mix."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convatlas.data.audio.read import MAX_SECONDS, MONO, Resampler, mix, read_sound
from convatlas.data.formats import SOUNDS
from convatlas.data.sources.asked_paths import asked_paths
from convatlas.errors import DataError, UsageError
from convatlas.progress import Progress, Silent

EXPECTED = (
    "a path, a folder, a pattern, a waveform at the rate of the run (array or tensor), a pair of "
    "waveform and rate, or several of these"
)
MAX_WAVE_CHANNELS = 8  # of a waveform in memory: the shorter axis, up to this number


@dataclass(frozen=True)
class AskedSound:
    """One sound to answer; `error` says why there is none.

    Args:
        name: as people know it: its path, or its number among the sounds in memory.
        value: a path, a waveform, or a waveform and its rate.
    """

    name: str
    value: Any = None
    error: str | None = None

    def read(self, rate_hz: int, max_seconds: float = MAX_SECONDS) -> Tensor:
        """Read the sound. Shape: float32 (samples,)

        Raises:
            DataError: it cannot be read.
        """
        if isinstance(self.value, Path):
            return read_sound(self.value, rate_hz, max_seconds=max_seconds)
        try:
            return sound_from(self.value, rate_hz)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None


def find_asked(asked: Any, progress: Progress | None = None) -> Iterator[AskedSound]:
    """Yield each sound of what a run is asked about, in order; folders are searched to the end.

    Args:
        asked: what `EXPECTED` says.

    Raises:
        UsageError: it is none of these.
    """
    tell = progress or Silent()
    count = 0
    for value in _flat(asked):
        if isinstance(value, str | os.PathLike):
            for name, path, error in asked_paths(Path(value), SOUNDS, tell):
                yield AskedSound(name, path, error)
        else:
            count += 1
            yield AskedSound(f"sound {count}", value)


def sound_from(value: Any, rate_hz: int) -> Tensor:
    """Turn a waveform in memory into one channel at a rate, as files are read.

    Args:
        value: numbers (samples,), or with an axis of channels before or behind; whole numbers are
            scaled by their depth. With a rate in Hz beside it, it is resampled.

    Shape: float32 (samples,)

    Raises:
        DataError: it is empty, or not all of its numbers are finite.
        UsageError: it is no waveform.
    """
    wave, own = value if _is_pair(value) else (value, rate_hz)
    array = wave.detach().cpu().numpy() if isinstance(wave, Tensor) else np.asarray(wave)
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2):
        raise UsageError(f"predict takes {EXPECTED}, got {array.dtype} {array.shape}")
    if not array.size:
        raise DataError("holds no samples")
    if array.ndim == 2:
        array = array if array.shape[1] <= array.shape[0] else array.T
        if array.shape[1] > MAX_WAVE_CHANNELS:
            raise UsageError(f"a waveform has 1 to {MAX_WAVE_CHANNELS} channels, got {array.shape}")
    if array.dtype.kind == "u":
        raise UsageError(f"samples must be signed numbers, got {array.dtype}")
    depth = float(-np.iinfo(array.dtype).min) if array.dtype.kind == "i" else 1.0
    samples = (array.astype(np.float64) / depth).astype(np.float32).reshape(len(array), -1)
    if not np.isfinite(samples).all():
        raise DataError("holds samples that are not finite numbers")
    resampler = Resampler(int(own), rate_hz, MONO)
    parts = [resampler.take(mix(samples, MONO)), resampler.end()]
    return torch.from_numpy(np.concatenate(parts)[:, 0].copy())


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int | float)


def _flat(asked: Any) -> Iterator[Any]:
    """Single paths and waveforms of any nesting."""
    if isinstance(asked, str | os.PathLike | np.ndarray | Tensor) or _is_pair(asked):
        yield asked
    elif isinstance(asked, bytes | bytearray | Mapping) or not isinstance(asked, Iterable):
        raise UsageError(f"predict: must be given {EXPECTED}, got {type(asked).__name__}")
    else:
        for each in asked:
            yield from _flat(each)
