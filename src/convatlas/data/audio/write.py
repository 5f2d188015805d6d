"""Writing voices as sound files, piece by piece, whole or not at all."""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from torch import Tensor

from convatlas.data.audio.packages import soundfile
from convatlas.data.names import printable
from convatlas.errors import DataError, WriteError


def voice_paths(folder: Path, stem: str, names: Sequence[str]) -> list[Path]:
    """Return the files that `write_voices` writes, one for each voice by its name."""
    return [folder / f"{stem}-{name}.wav" for name in names]


def write_voices(targets: Sequence[Path], pieces: Iterable[Tensor], rate_hz: int) -> list[Path]:
    """Write each voice as a WAV file of 16 bits, as the pieces come.

    Files of these names are replaced, but only once all pieces are there; their folders are made
    where they do not exist.

    Args:
        targets: the file of each voice; at least one.
        pieces: one after the other. Shape: float32 (voices, samples)

    Raises:
        DataError: there is no piece.
        WriteError: a file cannot be written.
    """
    library, folder = soundfile(), targets[0].parent
    fresh = [path.with_name(f".{path.name}.part") for path in targets]
    try:
        for path in targets:
            path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as open_files:
            files = [
                open_files.enter_context(
                    library.SoundFile(path, "w", rate_hz, 1, subtype="PCM_16", format="WAV")
                )
                for path in fresh
            ]
            written = 0
            for piece in pieces:
                written += piece.shape[1]
                for file, voice in zip(files, piece.clamp(-1, 1), strict=True):
                    file.write(voice.numpy())
        if not written:
            raise DataError(f"{printable(targets[0])}: there are no samples to write")
        for path, target in zip(fresh, targets, strict=True):
            os.replace(path, target)
        return list(targets)
    except (OSError, library.LibsndfileError) as error:
        raise WriteError(f"{printable(folder)}: cannot write ({printable(error)})") from None
    finally:
        for path in fresh:
            with suppress(OSError):
                path.unlink(missing_ok=True)
