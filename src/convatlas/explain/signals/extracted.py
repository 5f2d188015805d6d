"""One voice that was extracted from a recording, as it is shown and written."""

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from convatlas.data.audio.speaker_vector import names_vector, split_part
from convatlas.explain.file_stem import file_stem
from convatlas.explain.signals.voices import Voices
from convatlas.text import printable

COLUMNS = ("file", "speaker", "length", "loudness")


@dataclass(frozen=True)
class ExtractedVoice:
    """The answer for one recording and one clip; `error` says why there is none.

    Args:
        file: path of the recording, or `sound 3` for the third one in memory.
        speaker: the same of the clip.
        rate_hz: of the voice.
        seconds: of the recording.
        level_db: root mean square of the voice below full scale.
        voice: Shape: float32 (samples,)
    """

    file: str
    speaker: str
    rate_hz: int
    seconds: float | None = None
    level_db: float | None = None
    error: str | None = None
    voice: Tensor | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, file: str, speaker: str, voice: Tensor, rate_hz: int) -> "ExtractedVoice":
        """Return the answer of an extracted voice. Shape: voice (samples,)"""
        known = Voices.of(file, voice[None], rate_hz)
        assert known.levels_db is not None
        return cls(file, speaker, rate_hz, known.seconds, known.levels_db[0], voice=voice)

    def save(self, folder: str | Path) -> Path:
        """Write the voice as a WAV file of 16 bits, named after recording and clip.

        Raises:
            DataError: there is no voice, or the sound library is missing.
        """
        from convatlas.data.audio.write import write_voices
        from convatlas.errors import DataError

        if self.voice is None:
            raise DataError(f"{self.file}: has no voice to write ({self.error})")
        target = Path(folder) / f"{file_stem(self.file)}-{speaker_stem(self.speaker)}.wav"
        return write_voices([target], [self.voice[None]], self.rate_hz)[0]

    def cells(self, top: int) -> list[str]:
        """Return speaker, length and loudness."""
        if self.seconds is None or self.level_db is None:
            return [self.speaker, "", ""]
        return [self.speaker, f"{self.seconds:.3f}", f"{self.level_db:.1f}"]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return one row."""
        if self.seconds is None or self.level_db is None:
            return [(printable(self.file), printable(self.speaker), None, None)]
        length, level = f"{self.seconds:.1f} s", f"{self.level_db:.1f} dB"
        return [(printable(self.file), printable(self.speaker), length, level)]


def speaker_stem(name: str) -> str:
    """Return what files are called after a clip or a vector, such as `anna` for `all.npz[anna]`."""
    file, part = split_part(name) if names_vector(name) else (name, "")
    return part or file_stem(file)


def csv_columns() -> list[str]:
    """Return the headings of `ExtractedVoice.cells`."""
    return ["speaker", "seconds", "level dB"]
