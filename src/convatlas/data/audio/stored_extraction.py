"""Opening speech for extraction by the split that a run stored: its test mixtures are its own."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from convatlas.data.audio.enrolled_mixers import (
    EnrolledMixer,
    EnrolledSpeech,
)
from convatlas.data.audio.extraction_data import (
    LISTED,
    STORED_FIELDS,
    VECTOR,
    ExtractionData,
    ExtractionFacts,
    ExtractionSplit,
    Speaker,
)
from convatlas.data.audio.listed_voices import ListedRow, ListedVectors, ListedVoices
from convatlas.data.audio.sound_data import SoundStore
from convatlas.data.names import printable, stored_name, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import (
    check_present,
    checked_split,
    learnt_digests,
    may_name,
    stored_root,
)


class StoredMixtures(BaseModel):
    """One split: its files and who speaks in each, or rows of mixture, target and enrolment."""

    model_config = ConfigDict(frozen=True)

    digests: list[StrictStr]
    seed: StrictInt
    files: Annotated[list[StrictStr], Field(min_length=1)] | None = None
    speakers: list[StrictStr] | None = None
    halved: list[StrictStr] = []
    count: Annotated[StrictInt, Field(ge=1)] | None = None
    level_db: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    vectors: StrictBool = False
    rows: Annotated[list[tuple[StrictStr, StrictStr, StrictStr]], Field(min_length=1)] | None = None

    @property
    def named(self) -> list[str]:
        """All sound files, each once."""
        sounds = 2 if self.vectors else 3
        return list(
            dict.fromkeys(self.files or [f for row in self.rows or [] for f in row[:sounds]])
        )


class StoredExtraction(BaseModel):
    """The whole file; keys that a newer version added are left alone."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["extraction"]
    layout: Literal["speakers", "listed"]
    name: StrictStr
    source: StrictStr
    root: Literal[".", ".."]
    rate_hz: StrictInt
    voices: StrictInt
    seconds: float
    clip_seconds: float
    speaker: Speaker
    max_seconds: float
    seed: StrictInt
    speaker_features: StrictInt | None = None
    scan: dict[str, Any]
    splits: dict[StrictStr, StoredMixtures]


def load_extraction(path: str | Path, source: str | Path | None = None) -> ExtractionData:
    """Open the speech as it stood when `ExtractionData.save` wrote this file.

    It is not read again; only that every file is still there is checked.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the stored split is damaged, or a file of it has vanished.
    """
    stored, scan = _read(Path(path))
    place = Path(true_name(stored.source) if source is None else source).resolve()
    root = stored_root(place, stored.root)
    check_present(path, root, {n: {"files": part.named} for n, part in stored.splits.items()})
    store = SoundStore(root, stored.rate_hz, stored.max_seconds)
    splits = {}
    for name, part in stored.splits.items():
        mixer = _mixer(store, part, stored)
        splits[name] = ExtractionSplit(mixer, range(len(mixer)))
    fields = {key: getattr(stored, key) for key in STORED_FIELDS}
    fields["source"] = stored_name(place)
    return ExtractionData(**fields, root=stored.root, splits=splits, scan=scan)


def learnt_from(path: str | Path) -> set[str] | None:
    """Return the digests of what was trained or validated on.

    Raises:
        DataError: the stored split is damaged.
    """
    return learnt_digests(_read(Path(path))[0].model_dump()["splits"])


def _mixer(store: SoundStore, part: StoredMixtures, stored: StoredExtraction) -> EnrolledMixer:
    if part.rows is not None:
        made = ListedVectors if part.vectors else ListedVoices
        return made(store, [ListedRow(*row) for row in part.rows], part.seed)
    assert part.count is not None
    assert part.level_db is not None
    return EnrolledSpeech(
        store,
        part.files or [],
        part.speakers or [],
        count=part.count,
        voices=stored.voices,
        level_db=part.level_db,
        seed=part.seed,
        clip_seconds=stored.clip_seconds,
        halved=part.halved,
    )


def _read(path: Path) -> tuple[StoredExtraction, ScanReport]:
    return checked_split(path, StoredExtraction, _disagreement)


def _disagreement(stored: StoredExtraction) -> str:
    """What the splits say against each other or the source; empty where they agree."""
    ExtractionFacts(**{key: getattr(stored, key) for key in ExtractionFacts.model_fields})
    if "test" not in stored.splits:
        return "splits must contain test"
    for name, part in stored.splits.items():
        by_list = stored.layout == LISTED
        fault = _wrong_rows(part) if by_list else _wrong_speech(part, stored.voices)
        if part.vectors != (stored.speaker == VECTOR):
            fault = "tell the speaker by vectors, or by clips, as the whole does"
        if fault:
            return f"{printable(name)} must {fault}"
        if len(part.digests) != len(part.named):
            return f"{printable(name)} must have as many digests as files"
        outside = [file for file in part.named if not may_name(stored.source, file)]
        if outside:
            return f"{printable(name)} names {printable(outside[0])}, which is not in the source"
    return ""


def _wrong_rows(part: StoredMixtures) -> str:
    return "have rows of mixture, target and enrolment" if part.rows is None else ""


def _wrong_speech(part: StoredMixtures, voices: int) -> str:
    if part.files is None or part.speakers is None or len(part.files) != len(part.speakers):
        return "have as many speakers as files"
    if part.count is None or part.level_db is None or part.rows is not None:
        return "say how many mixtures are made, at which levels"
    if len(set(part.speakers)) < voices:
        return f"have {voices} speakers"
    wanted = [s for s in part.speakers if s in part.halved or part.speakers.count(s) > 1]
    return "" if wanted else "have a speaker with two recordings"
