"""What an extractor is asked about: a list of recordings and clips, or pairs of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from convatlas.data.audio.asked import AskedSound
from convatlas.data.audio.extraction_data import VECTOR
from convatlas.data.audio.list_extraction import ENROLMENT, find_columns, find_vector
from convatlas.data.audio.speaker_vector import names_vector, split_part
from convatlas.data.audio.tables import SoundFinder, root_of
from convatlas.data.names import file_path, printable
from convatlas.data.sources.csv_text import read_rows
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError, UsageError

EXPECTED = (
    "a CSV file with the columns mixture and enrolment (or vector, as the run was trained), a pair "
    "of a recording and a clip of the speaker (each a path, or a waveform alone or with its rate) "
    "or the speaker's vector, or several of these"
)

MIXTURE = "mixture"
MAX_SHOWN_NAME = 1000  # characters: a longer one holds the numbers of a vector
SHORT = {ENROLMENT: "CLIP", VECTOR: "VECTOR"}


@dataclass(frozen=True)
class AskedPair:
    """A recording and a clip of the speaker who is wanted; `error` says why there is no answer.

    Args:
        clip: where vectors tell the speaker, its value is the name or the numbers of one.
    """

    mixture: AskedSound
    clip: AskedSound
    error: str | None = None


def find_pairs(asked: Any, told: str = ENROLMENT) -> Iterator[AskedPair]:
    """Yield each recording and clip of what a run is asked about, in order.

    Args:
        asked: what `EXPECTED` says.
        told: what tells the speaker: `enrolment`, a clip, or `vector`.

    Raises:
        DataError: a CSV file cannot be read, or lacks a column.
        UsageError: it is none of these.
    """
    return _pairs(asked, _Numbers(), told)


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


def _pairs(asked: Any, numbers: _Numbers, told: str) -> Iterator[AskedPair]:
    if isinstance(asked, str | Path):
        yield from _listed(Path(asked), told)
    elif _is_pair(asked):
        mixture = numbers.sound(asked[0])
        clip = _vector(asked[1]) if told == VECTOR else numbers.sound(asked[1])
        yield AskedPair(mixture, clip, mixture.error or clip.error)
    elif isinstance(asked, Iterable) and not isinstance(
        asked, bytes | bytearray | np.ndarray | Tensor | dict
    ):
        for each in asked:
            yield from _pairs(each, numbers, told)
    else:
        raise UsageError(f"predict: must be given {EXPECTED}, got {type(asked).__name__}")


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_sound, value))


def _is_sound(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and _is_sound(value[0]) and isinstance(value[1], int | float)
    return isinstance(value, str | Path | np.ndarray | Tensor)


def _vector(value: Any) -> AskedSound:
    named = str(value) if isinstance(value, str | Path) else ""
    return AskedSound(named or "the vector", named or value)


def _listed(path: Path, told: str) -> Iterator[AskedPair]:
    if path.suffix.lower() not in SUFFIXES:
        gone = "" if path.exists() else "no such file; "
        error = (
            f"{printable(path)}: {gone}an extractor is asked with a CSV file with the columns "
            f"mixture and {told}; `convatlas extract RUN FILE --speaker {SHORT[told]}` takes "
            "recordings"
        )
        sound = AskedSound(str(path), path, error)
        yield AskedPair(sound, AskedSound("", None), error)
        return
    rows = read_rows(path)[1]
    asked = (MIXTURE, told)
    columns = find_columns(path, rows, asked)
    root = root_of(path)
    finder = SoundFinder(path, root)
    if len(rows) < 2:
        raise DataError(f"{printable(path)}: must name mixtures below its header, got no rows")
    for line, row in rows[1:]:
        named = [row[place].strip() if place < len(row) else "" for place in columns]
        sounds = []
        for what, name in zip(asked, named, strict=True):
            find = find_vector if what == VECTOR else SoundFinder.find
            place = find(finder, name) if name else None
            reason = None
            if place is None:
                reason = (
                    f"{printable(name) or what}: no such file, line {line} of {printable(path)}"
                )
            value = None if place is None else _placed(root, place, what)
            called = str(value) if isinstance(value, Path) or names_vector(name) else name
            sounds.append(AskedSound(_short(called), value, reason))
        mixture, clip = sounds
        yield AskedPair(mixture, clip, mixture.error or clip.error)


def _placed(root: Path, place: str, what: str) -> Path | str:
    """Return a sound's path; of a vector its path with its part, or its numbers."""
    if what != VECTOR:
        return file_path(root, place)
    file, part = split_part(place)
    if not names_vector(place):
        return place
    return f"{file_path(root, file)}[{part}]" if part else str(file_path(root, file))


def _short(name: str) -> str:
    """Return a name that is not pages of numbers."""
    return name if len(name) <= MAX_SHOWN_NAME else "the vector"
