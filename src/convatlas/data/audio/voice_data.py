"""Speech for separation: mixtures of voices, made from clean speech or read from files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.utils.data import Dataset, Subset

from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.sound_file import MAX_RATE_HZ, MIN_RATE_HZ, duration
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import FORMAT
from convatlas.replacing import replacing

SPEAKERS, MIXTURES = "speakers", "mixtures"  # the two layouts
MAX_VOICES = 6  # a loss tries all 720 orders of them
STORED_FIELDS = (
    *("name", "source", "layout", "rate_hz", "voices", "seconds", "max_seconds", "seed"),
    "background",
)


class VoiceFacts(BaseModel):
    """What a separator and its predictor have to know of the data.

    Args:
        rate_hz: at which the network hears.
        voices: in each mixture.
        seconds: of a training example.
        max_seconds: of one file; a longer one is refused.
        background: what the last voice is where that is no speaker, such as `music`; it then
            comes out last. None where all voices are alike.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    rate_hz: Annotated[int, Field(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)]
    voices: Annotated[int, Field(ge=2, le=MAX_VOICES)]
    seconds: Annotated[float, Field(gt=0, le=60)]
    max_seconds: Annotated[float, Field(gt=0)] = MAX_SECONDS
    background: Annotated[str, Field(min_length=1)] | None = None

    @property
    def names(self) -> list[str]:
        """What the voices that come out are called: `voice1`, `voice2`, or `music` at the end."""
        return voice_names(self.voices, self.background)

    @property
    def fixed(self) -> int:
        """How many of the last voices have a place of their own."""
        return int(self.background is not None)


def voice_names(voices: int, background: str | None = None) -> list[str]:
    """Return what voices are called: `voice1`, `voice2` and so on, a background by its own name."""
    names = [f"voice{number}" for number in range(1, voices + 1)]
    return names if background is None else [*names[:-1], background]


class Mixer(Protocol):
    """Where mixtures come from.

    Attributes:
        files: the sound files behind them, relative to the source.
    """

    @property
    def files(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def pieces(self, samples: int, *, fresh: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """Return mixtures (t,) and their voices (s, t), all of this many samples.

        Args:
            fresh: a number gives another mixture each time that it is asked for.
        """
        ...

    def whole(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one mixture and its voices as a separator is judged by them."""
        ...

    def behind(self, index: int) -> list[str]:
        """Return the files behind one mixture."""
        ...

    def title(self, index: int) -> str:
        """Return what one mixture is called."""
        ...

    def stored(self) -> dict[str, Any]:
        """Return what makes the same mixer again, for JSON."""
        ...


@dataclass(frozen=True, eq=False)
class VoiceSplit:
    """A sequence of mixtures with their voices; `rows` are places in the mixer."""

    mixer: Mixer
    rows: Sequence[int]

    @property
    def files(self) -> list[str]:
        """What the mixtures are called."""
        return [self.mixer.title(row) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> Tensor:
        """Return one mixture. Shape: float32 (samples,)"""
        return self.pair(index)[0]

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one mixture and its voices. Shape: float32 (samples,) and (voices, samples)"""
        return self.mixer.whole(self.rows[index])

    def pieces(self, samples: int, *, fresh: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """Return all mixtures with their voices, each of this many samples.

        Args:
            fresh: a number gives another mixture each time that it is asked for, as training
                likes it.
        """
        return Subset(self.mixer.pieces(samples, fresh=fresh), self.rows)

    def behind(self, index: int) -> list[str]:
        """Return the files behind one mixture."""
        return self.mixer.behind(self.rows[index])

    def subset(self, indices: Iterable[int]) -> "VoiceSplit":
        """Return the mixtures at these places, in this order; nothing is read."""
        return VoiceSplit(self.mixer, [self.rows[index] for index in indices])


@dataclass(frozen=True, eq=False)
class VoiceData:
    """Everything the main job needs to know of mixtures of voices.

    Args:
        name: short, for titles.
        source: the absolute path of the folder or CSV file, in its stored form.
        root: where the files lie, relative to the folder (of the CSV file).
        layout: `speakers`, clean speech that is mixed here, or `mixtures`.
        rate_hz: at which the sounds are read.
        voices: in each mixture.
        seconds: of a training example.
        splits: under `train`, `val` and `test`.
        scan: what was found before training.
        seed: of the splits and of the mixtures.
        background: as in `VoiceFacts`.
        digests: what the samples of each file are known by; none for a split that was stored.
    """

    name: str
    source: str
    root: str
    layout: Literal["speakers", "mixtures"]
    rate_hz: int
    voices: int
    seconds: float
    splits: dict[str, VoiceSplit]
    scan: ScanReport
    seed: int
    max_seconds: float = MAX_SECONDS
    background: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return `VoiceFacts` as JSON."""
        return VoiceFacts(
            rate_hz=self.rate_hz,
            voices=self.voices,
            seconds=self.seconds,
            max_seconds=self.max_seconds,
            background=self.background,
        ).model_dump(mode="json", exclude_none=True)

    def summary(self) -> str:
        """Return what is in it in a few words."""
        files = {file for split in self.splits.values() for file in split.mixer.files}
        made = "made of" if self.layout == SPEAKERS else "in"
        return (
            f"mixtures of {self.voices} voices, {made} {len(files):,} sounds at "
            f"{self.rate_hz:,} Hz, learnt in pieces of {duration(self.seconds)}"
        )

    def save(self, path: Path) -> None:
        """Write seed, scan and the files of each split as JSON, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        save_mixtures(path, "voices", self, STORED_FIELDS)


class MixedData(Protocol):
    """What is stored of data of mixtures, whatever is asked of them."""

    @property
    def root(self) -> str: ...
    @property
    def scan(self) -> ScanReport: ...
    @property
    def digests(self) -> Mapping[str, str]: ...
    @property
    def splits(self) -> Mapping[str, Any]: ...


def save_mixtures(path: Path, kind: str, data: MixedData, fields: Sequence[str]) -> None:
    """Write seed, scan and the files of each split as JSON, whole or not at all.

    Args:
        kind: of data, by which the file is known again.
        fields: of the data that are stored as they are.

    Raises:
        WriteError: the file cannot be written.
    """
    stored = {
        "format": FORMAT,
        "kind": kind,
        "root": data.root,
        **{key: getattr(data, key) for key in fields},
        "scan": data.scan.to_dict(),
        "splits": {
            name: {
                **split.mixer.stored(),
                "digests": [data.digests.get(file, "") for file in split.mixer.files],
            }
            for name, split in data.splits.items()
        },
    }
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(stored, indent=1), encoding="utf-8")
