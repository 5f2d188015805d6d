"""The voices of one recording, as they are shown and written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from convatlas.data.audio.voice_data import voice_names
from convatlas.explain.file_stem import file_stem
from convatlas.text import printable

COLUMNS = ("file", "voice", "length", "loudness")


@dataclass(frozen=True)
class Voices:
    """The answer for one recording; `error` says why there is none.

    Args:
        file: its path, or `sound 3` for the third one in memory.
        rate_hz: of the voices.
        seconds: of the recording.
        levels_db: root mean square of each voice below full scale.
        voices: in no order that means anything, but for a background, which is last. Shape:
            float32 (voices, samples)
        names: of the voices, which their files are called after.
    """

    file: str
    rate_hz: int
    seconds: float | None = None
    levels_db: list[float] | None = None
    error: str | None = None
    voices: Tensor | None = field(default=None, compare=False, repr=False)
    names: Sequence[str] = ()

    @classmethod
    def of(
        cls, file: str, voices: Tensor, rate_hz: int, names: Sequence[str] | None = None
    ) -> "Voices":
        """Return the answer of separated voices. Shape: voices (s, samples)

        Args:
            names: of the voices; `voice1` and so on where not given.
        """
        names = names or voice_names(len(voices))
        power = voices.square().mean(1).clamp(min=1e-12)
        levels = [round(float(each), 1) for each in 10 * torch.log10(power)]
        return cls(file, rate_hz, voices.shape[1] / rate_hz, levels, voices=voices, names=names)

    def save(self, folder: str | Path) -> list[Path]:
        """Write each voice as a WAV file of 16 bits: `FILE-voice1.wav` and so on.

        Raises:
            DataError: there are no voices, or the sound library is missing.
        """
        from convatlas.data.audio.write import voice_paths, write_voices
        from convatlas.errors import DataError

        if self.voices is None:
            raise DataError(f"{self.file}: has no voices to write ({self.error})")
        stem = file_stem(self.file)
        targets = voice_paths(Path(folder), stem, self.names)
        return write_voices(targets, [self.voices], self.rate_hz)

    def cells(self, top: int) -> list[str]:
        """Return length and loudness of the voices, as many as there are columns."""
        levels = [f"{each:.1f}" for each in (self.levels_db or [])[:top]]
        seconds = "" if self.seconds is None else f"{self.seconds:.3f}"
        return [seconds, *levels, *[""] * (top - len(levels))]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return a row for each voice, the file's name in the first one only."""
        if not self.levels_db:
            return [(printable(self.file), None, None, None)]
        return [
            (
                printable(self.file) if not place else "",
                self.names[place].removeprefix("voice"),
                f"{self.seconds:.1f} s",
                f"{level:.1f} dB",
            )
            for place, level in enumerate(self.levels_db)
        ]


def csv_columns(top: int) -> list[str]:
    """Return the headings of `Voices.cells`."""
    return ["seconds", *(f"voice {place} dB" for place in range(1, top + 1))]
