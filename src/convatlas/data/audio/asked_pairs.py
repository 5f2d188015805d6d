"""What an extractor is asked about: a list of recordings and clips, or pairs of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from convatlas.data.audio.asked import AskedSound
from convatlas.data.audio.list_extraction import ASKED, find_columns
from convatlas.data.audio.tables import SoundFinder, root_of
from convatlas.data.names import file_path, printable
from convatlas.data.sources.csv_text import read_rows
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError, UsageError

EXPECTED = (
    "a CSV file with the columns mixture and enrolment, a pair of a recording and a clip of the "
    "speaker (each a path, or a waveform alone or with its rate), or several of these"
)


@dataclass(frozen=True)
class AskedPair:
    """A recording and a clip of the speaker who is wanted; `error` says why there is no answer."""

    mixture: AskedSound
    clip: AskedSound
    error: str | None = None


def find_pairs(asked: Any) -> Iterator[AskedPair]:
    """Yield each recording and clip of what a run is asked about, in order.

    Args:
        asked: what `EXPECTED` says.

    Raises:
        DataError: a CSV file cannot be read, or lacks a column.
        UsageError: it is none of these.
    """
    return _pairs(asked, _Numbers())


class _Numbers:
    """Numbers for the sounds in memory."""

    def __init__(self) -> None:
        self.count = 0

    def sound(self, value: Any) -> AskedSound:
        if isinstance(value, str | Path):
            path = Path(value)
            there = None if path.is_file() else f"{printable(path)}: no such file"
            return AskedSound(str(value), path, there)
        self.count += 1
        return AskedSound(f"sound {self.count}", value)


def _pairs(asked: Any, numbers: _Numbers) -> Iterator[AskedPair]:
    if isinstance(asked, str | Path):
        yield from _listed(Path(asked))
    elif _is_pair(asked):
        mixture, clip = map(numbers.sound, asked)
        yield AskedPair(mixture, clip, mixture.error or clip.error)
    elif isinstance(asked, Iterable) and not isinstance(
        asked, bytes | bytearray | np.ndarray | Tensor | dict
    ):
        for each in asked:
            yield from _pairs(each, numbers)
    else:
        raise UsageError(f"predict: must be given {EXPECTED}, got {type(asked).__name__}")


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_sound, value))


def _is_sound(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and _is_sound(value[0]) and isinstance(value[1], int | float)
    return isinstance(value, str | Path | np.ndarray | Tensor)


def _listed(path: Path) -> Iterator[AskedPair]:
    if path.suffix.lower() not in SUFFIXES:
        gone = "" if path.exists() else "no such file; "
        error = (
            f"{printable(path)}: {gone}an extractor is asked with a CSV file with the columns "
            "mixture and enrolment; `convatlas extract RUN FILE --speaker CLIP` takes recordings"
        )
        sound = AskedSound(str(path), path, error)
        yield AskedPair(sound, AskedSound("", None), error)
        return
    rows = read_rows(path)[1]
    columns = find_columns(path, rows, ASKED)
    root = root_of(path)
    finder = SoundFinder(path, root)
    if len(rows) < 2:
        raise DataError(f"{printable(path)}: must name mixtures below its header, got no rows")
    for line, row in rows[1:]:
        named = [row[place].strip() if place < len(row) else "" for place in columns]
        sounds = []
        for what, name in zip(ASKED, named, strict=True):
            place = finder.find(name) if name else None
            reason = None
            if place is None:
                reason = (
                    f"{printable(name) or what}: no such file, line {line} of {printable(path)}"
                )
            value = None if place is None else file_path(root, place)
            sounds.append(AskedSound(name if place is None else str(value), value, reason))
        mixture, clip = sounds
        yield AskedPair(mixture, clip, mixture.error or clip.error)
