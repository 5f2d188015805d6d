"""An opened set of sounds: its class map, its splits and what the scan found."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.read import MAX_SECONDS, read_sound, without_silence
from convatlas.data.audio.sound_file import MAX_RATE_HZ, MIN_RATE_HZ, duration
from convatlas.data.names import file_path
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import FORMAT
from convatlas.replacing import replacing

STORED_FIELDS = (
    *("name", "source", "classes", "rate_hz", "seconds", "window_s", "max_seconds", "seed"),
    *("loudness", "silence_db"),
)

Loudness = Literal["original", "equal"]
ORIGINAL, EQUAL = "original", "equal"  # loudness: as it is, or evened out within a window
MIN_SILENCE_DB, MAX_SILENCE_DB = 3.0, 120.0  # below the loudest frame: what may count as silence
MAX_WINDOW_S = 60.0  # that a network may be made to hear at a time


class SoundFacts(BaseModel):
    """What a network and its predictor have to know of sounds with classes.

    Args:
        classes: the class map; a label is a place in it.
        rate_hz: at which the network hears.
        seconds: median of the sounds.
        window_s: that a network hears at a time.
        max_seconds: of one file; a longer one is refused.
        loudness: that the network hears, `original` or `equal`.
        silence_db: below the loudest frame, from where frames are left out; none where not given.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    classes: Annotated[list[str], Field(min_length=2)]
    rate_hz: Annotated[int, Field(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)]
    seconds: Annotated[float, Field(gt=0)]
    window_s: Annotated[float, Field(gt=0, le=MAX_WINDOW_S)]
    max_seconds: Annotated[float, Field(gt=0)] = MAX_SECONDS
    loudness: Loudness = ORIGINAL
    silence_db: Annotated[float, Field(ge=MIN_SILENCE_DB, le=MAX_SILENCE_DB)] | None = None

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) < len(classes):
            raise ValueError("one is listed twice")
        return classes


@dataclass(frozen=True)
class SoundStore:
    """Sound files under a folder, decoded when asked for, where the scan did not keep them.

    Args:
        silence_db: as in `without_silence`.
    """

    root: Path
    rate_hz: int
    max_seconds: float = MAX_SECONDS
    kept: KeptSounds | None = field(default=None, compare=False)
    silence_db: float | None = None

    def read(self, file: str) -> Tensor:
        """Read a sound; safe in threads. Shape: float32 (samples,)"""
        sound = None if self.kept is None else self.kept.get(file)
        if sound is not None:
            return sound
        path = file_path(self.root, file)
        sound = read_sound(path, self.rate_hz, max_seconds=self.max_seconds)
        return without_silence(sound, self.rate_hz, self.silence_db)


@dataclass(frozen=True, eq=False)
class Clips:
    """A sequence of labelled sounds.

    Args:
        files: their paths relative to the source.
        labels: the class of each as its place in the class map.
        store: reads a sound by its file.
    """

    files: list[str]
    labels: list[int]
    store: SoundStore

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Tensor:
        """Read one sound at the rate of the data. Shape: float32 (samples,)"""
        return self.store.read(self.files[index])

    def subset(self, indices: Iterable[int]) -> "Clips":
        """Return the sounds at these places, in this order; nothing is read or copied."""
        rows = list(indices)
        return Clips([self.files[i] for i in rows], [self.labels[i] for i in rows], self.store)


@dataclass(frozen=True, eq=False)
class SoundData:
    """Everything the main job needs to know of a set of sounds.

    Args:
        name: short, for titles.
        source: the absolute path of the folder or CSV file, in its stored form.
        root: where the files lie, relative to the folder (of the CSV file).
        classes: the class map; a label is a place in it.
        rate_hz: at which the sounds are read.
        seconds: median of the readable sounds, of silence only what is heard.
        window_s: that a network hears at a time.
        splits: under `train`, `val` and `test`.
        scan: what was found before training.
        seed: of the split.
        digests: what the samples of each file are known by; none for a split that was stored.
        groups: by file, what it is of one source with; where the source says so.
        folds: by file, the fold that the source states; where it does.
        loudness: as in `SoundFacts`, and `silence_db` as well.
    """

    name: str
    source: str
    root: str
    classes: tuple[str, ...]
    rate_hz: int
    seconds: float
    window_s: float
    splits: dict[str, Clips]
    scan: ScanReport
    seed: int
    max_seconds: float = MAX_SECONDS
    digests: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    folds: Mapping[str, str] = field(default_factory=dict)
    loudness: Loudness = ORIGINAL
    silence_db: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return `SoundFacts` as JSON."""
        return SoundFacts(
            classes=list(self.classes),
            rate_hz=self.rate_hz,
            seconds=self.seconds,
            window_s=self.window_s,
            max_seconds=self.max_seconds,
            loudness=self.loudness,
            silence_db=self.silence_db,
        ).model_dump(mode="json")

    def forget_decoded(self) -> None:
        """Give back the memory of sounds that the scan kept; they are decoded when asked for."""
        for split in self.splits.values():
            if split.store.kept is not None:
                split.store.kept.forget()

    def summary(self) -> str:
        """Return what is in it in a few words."""
        heard = (
            "" if self.window_s >= self.seconds else f", heard {duration(self.window_s)} at a time"
        )
        length = f"{duration(self.seconds)} at {self.rate_hz:,} Hz"
        return f"{len(self.classes)} classes, {length}{heard}"

    def save(self, path: Path) -> None:
        """Write class map, seed, scan and the files of each split as JSON, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        stored = {
            "format": FORMAT,
            "kind": "sounds",
            "root": self.root,
            **{key: getattr(self, key) for key in STORED_FIELDS},
            "scan": self.scan.to_dict(),
            "splits": {
                name: {
                    "files": split.files,
                    "labels": split.labels,
                    "digests": [self.digests.get(file, "") for file in split.files],
                }
                for name, split in self.splits.items()
            },
        }
        with replacing(path) as fresh:
            fresh.write_text(json.dumps(stored, indent=1), encoding="utf-8")
