"""The scan: every sound is decoded once before training, and what is wrong is named."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.read import SoundDigest, collect, without_silence
from convatlas.data.audio.sound_file import (
    Header,
    UnreadableSound,
    read_blocks,
    read_header,
    renaming,
)
from convatlas.data.names import file_path
from convatlas.data.sources.left_out import BROKEN_LINK
from convatlas.data.threads import in_threads, wait_for_pixels

Progress = Callable[[int, int], None]
SILENT = 1e-4  # of full scale: a sound that stays below holds nothing to hear


@dataclass(frozen=True)
class SoundFacts:
    """What the scan found out about one readable file.

    Args:
        digest: the same for the same sound, in whatever lossless format.
        silent: nothing in it can be heard.
        heard_s: what is left of it without silence; all of it where that is not left out.
    """

    file: str
    header: Header
    seconds: float
    digest: str
    renamed: str | None
    silent: bool
    heard_s: float


def read_headers(root: Path, files: Sequence[str]) -> dict[str, Header]:
    """Return the headers of those files that have a readable one."""

    def look(file: str) -> Header | None:
        try:
            return read_header(file_path(root, file))
        except UnreadableSound:
            return None  # the scan says why

    with closing(in_threads(look, files)) as found:
        return {f: each for f, each in zip(files, found, strict=True) if each is not None}


def scan_sounds(
    root: Path,
    files: Sequence[str],
    rate_hz: int,
    max_seconds: float,
    progress: Progress | None = None,
    kept: KeptSounds | None = None,
    silence_db: float | None = None,
) -> tuple[list[SoundFacts], list[tuple[str, str]]]:
    """Decode every file; the facts of the readable ones, and the others with their reasons.

    Args:
        rate_hz: at which sounds are kept.
        silence_db: as in `without_silence`.
    """
    good: list[SoundFacts] = []
    broken: list[tuple[str, str]] = []

    def look(file: str) -> SoundFacts | str:
        return examine(root, file, rate_hz, max_seconds, kept, silence_db)

    with closing(in_threads(look, files)) as results:
        for done, (file, result) in enumerate(zip(files, results, strict=True), start=1):
            if isinstance(result, str):
                broken.append((file, result))
            else:
                good.append(result)
            if progress is not None:
                progress(done, len(files))
    return good, broken


def examine(
    root: Path,
    file: str,
    rate_hz: int,
    max_seconds: float,
    kept: KeptSounds | None = None,
    silence_db: float | None = None,
) -> SoundFacts | str:
    """Decode one file to its end: its facts, or the reason why it cannot be used."""
    path = file_path(root, file)
    try:
        header = read_header(path)
        wait_for_pixels(header.frames)
        digest = SoundDigest(header.rate_hz)
        sound = collect(read_blocks(path, max_seconds), rate_hz, look=digest)
    except UnreadableSound as error:
        return BROKEN_LINK if path.is_symlink() and not path.exists() else str(error)
    heard = without_silence(sound, rate_hz, silence_db)
    if kept is not None:
        kept.keep(file, heard)
    return SoundFacts(
        file,
        header,
        len(sound) / rate_hz,
        digest.hexdigest(),
        renaming(path, header),
        digest.peak < SILENT,
        len(heard) / rate_hz,
    )
