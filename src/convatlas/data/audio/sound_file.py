"""One sound file: its header, and its samples block by block; what is wrong with it is named.

libsndfile shortens what is cut off in silence, so header and content are held against each other.
"""

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convatlas.data.audio.packages import soundfile
from convatlas.data.audio.stream_gaps import gap_in_mp3, gap_in_ogg
from convatlas.data.formats import SOUND_FORMATS
from convatlas.text import printable

BLOCK = 1 << 16  # samples that are decoded at a time
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 768_000
MAX_CHANNELS = 64
UNKNOWN_LENGTH = 0x7FFF_0000  # bytes: programs that write to a pipe say this or more
SHORT_DATA = re.compile(r"(data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)")
WHOLE_SIZES = ("riff", "Riff size")  # of formats that do not say this of the samples alone
GAPS = {"OGG": gap_in_ogg, "MP3": gap_in_mp3}  # their decoders go on behind a gap
MP3_SLACK = 2 * 1152  # samples: what encoders write of the length may be off by a frame or two
FAR_ABOVE = 64.0  # times full scale: the numbers are no samples between -1 and 1


class UnreadableSound(Exception):
    """A file that cannot be used; the message is the reason, without its name."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Args:
        frames: samples of each channel; 0 where the file does not say.
        format: as libsndfile names it.
        width: of a sample, as libsndfile names it, such as `PCM_24`.
    """

    rate_hz: int
    channels: int
    frames: int
    format: str
    width: str

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.rate_hz


def read_header(path: Path) -> Header:
    """Read what a file says of itself.

    Raises:
        UnreadableSound: with the reason.
    """
    with _opened(path) as file:
        return _header(file)


def read_blocks(path: Path, max_seconds: float) -> Iterator[tuple[Header, np.ndarray]]:
    """Yield header and samples, block by block, to the end. Shape: float32 (samples, channels)

    Raises:
        UnreadableSound: the file is damaged, cut off or empty, lasts too long, or its samples are
            no finite numbers; that may show after its first blocks only.
    """
    with _opened(path) as file:
        header = _header(file)
        _check_cut(file, path)
        check_length(header.seconds, max_seconds)
        done, loudest = 0, 0.0
        while True:
            try:
                block = file.read(BLOCK, dtype="float32", always_2d=True)
            except Exception as error:  # libsndfile's own class, and what its callbacks raise
                raise _damaged(error, done, header.frames) from error
            if not len(block):
                break
            done += len(block)
            check_length(done / header.rate_hz, max_seconds)
            if not np.isfinite(block).all():
                raise UnreadableSound("holds samples that are not finite numbers")
            loudest = max(loudest, float(np.abs(block).max()))
            if loudest > FAR_ABOVE:
                raise UnreadableSound(
                    f"its samples reach {loudest:.4g}, far beyond full scale, which is 1"
                )
            yield header, block
        if not done:
            raise UnreadableSound("holds no samples")
        if done < header.frames - (MP3_SLACK if header.format == "MP3" else 0):
            raise UnreadableSound(f"truncated ({done:,} of {header.frames:,} samples)")


def check_length(seconds: float, max_seconds: float) -> None:
    """Refuse a sound above the limit of length."""
    if seconds > max_seconds:
        raise UnreadableSound(
            f"lasts {duration(seconds)}, above the limit of {duration(max_seconds)}; "
            "--set max_seconds=N allows more"
        )


def duration(seconds: float) -> str:
    """Return a length of time for people: `0.35 s`, `12 min`, `10 h`."""
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def renaming(path: Path, header: Header) -> str | None:
    """Return a remark where the suffix names another format than the content has."""
    named = SOUND_FORMATS.get(path.suffix.lower())
    content = {"WAVEX": "WAV"}.get(header.format, header.format)
    if named is None or named == content:
        return None
    return f"{content} content in a file named {path.suffix}"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    library = soundfile()
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would block for ever
            raise UnreadableSound("not a regular file")
        if found.st_size == 0:
            raise UnreadableSound("the file is empty")
        file = library.SoundFile(path)
    except OSError as error:
        raise UnreadableSound(_reason(error)) from error
    except (RuntimeError, TypeError) as error:  # TypeError: headerless formats need a rate
        raise UnreadableSound(_unknown(path, error)) from error
    with file:
        yield file


def _header(file: Any) -> Header:
    if file.format == "RAW":  # libsndfile takes an .au file without a header for samples
        raise UnreadableSound("not a sound in a format that libsndfile reads (it has no header)")
    frames = file.frames if 0 <= file.frames < 1 << 62 else 0
    header = Header(file.samplerate, file.channels, frames, file.format, file.subtype)
    if not MIN_RATE_HZ <= header.rate_hz <= MAX_RATE_HZ:
        raise UnreadableSound(
            f"its rate of {header.rate_hz:,} Hz is outside {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,}"
        )
    if header.channels > MAX_CHANNELS:
        raise UnreadableSound(f"has {header.channels} channels, above the limit of {MAX_CHANNELS}")
    return header


def _check_cut(file: Any, path: Path) -> None:
    """Compare what the header promises with the bytes that are there."""
    notes = file.extra_info
    for name, promised, there in SHORT_DATA.findall(notes):
        short = int(there) < int(promised) < UNKNOWN_LENGTH
        if short and (name not in WHOLE_SIZES or file.format in ("W64", "RF64")):
            raise UnreadableSound(f"truncated ({int(there):,} of {int(promised):,} bytes)")
    gap = GAPS[file.format](path) if file.format in GAPS else ""
    if gap:
        raise UnreadableSound(gap)


def _damaged(error: Exception, done: int, frames: int) -> UnreadableSound:
    words = printable(str(error)).removeprefix("Error : ").rstrip(".")
    if done < frames:
        return UnreadableSound(f"truncated or damaged ({done:,} of {frames:,} samples: {words})")
    return UnreadableSound(f"damaged ({words})")


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read"
    return printable((error.strerror or type(error).__name__).lower())


def _unknown(path: Path, error: Exception) -> str:
    if SOUND_FORMATS.get(path.suffix.lower()) == "AAC":
        return "AAC or WMA sound, which is not read here; convert it to WAV, FLAC, OGG or MP3"
    words = printable(str(error)).rpartition(": ")[2].rstrip(".")
    return f"not a sound in a format that libsndfile reads ({words})"
