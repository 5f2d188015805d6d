"""Opening voices by the split that a run stored, so that its test mixtures are exactly its own."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from convatlas.data.audio.mixers import FileMixer, SpeechMixer
from convatlas.data.audio.sound_data import SoundStore
from convatlas.data.audio.voice_data import (
    MIXTURES,
    STORED_FIELDS,
    Mixer,
    VoiceData,
    VoiceFacts,
    VoiceSplit,
)
from convatlas.data.names import printable, stored_name, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import (
    check_present,
    checked_split,
    learnt_digests,
    may_name,
    stored_root,
)


class StoredVoices(BaseModel):
    """One split: its files, and who speaks in each or which files hold the voices."""

    model_config = ConfigDict(frozen=True)

    files: list[StrictStr] = Field(min_length=1)
    digests: list[StrictStr]
    seed: StrictInt
    speakers: list[StrictStr] | None = None
    count: Annotated[StrictInt, Field(ge=1)] | None = None
    level_db: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    references: list[list[StrictStr]] | None = None


class StoredVoiceData(BaseModel):
    """The whole file; keys that a newer version added are left alone."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["voices"]
    layout: Literal["speakers", "mixtures"]
    name: StrictStr
    source: StrictStr
    root: Literal[".", ".."]
    rate_hz: StrictInt
    voices: StrictInt
    seconds: float
    max_seconds: float
    seed: StrictInt
    background: StrictStr | None = None
    scan: dict[str, Any]
    splits: dict[StrictStr, StoredVoices]


def load_voices(path: str | Path, source: str | Path | None = None) -> VoiceData:
    """Open the voices as they stood when `VoiceData.save` wrote this file.

    They are not read again; only that every file is still there is checked.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the stored split is damaged, or a file of it has vanished.
    """
    stored, scan = _read(Path(path))
    place = Path(true_name(stored.source) if source is None else source).resolve()
    root = stored_root(place, stored.root)
    behind = {
        name: {"files": [*part.files, *(f for each in part.references or [] for f in each)]}
        for name, part in stored.splits.items()
    }
    check_present(path, root, behind)
    store = SoundStore(root, stored.rate_hz, stored.max_seconds)
    splits = {}
    for name, part in stored.splits.items():
        mixer = _mixer(store, part, stored)
        splits[name] = VoiceSplit(mixer, range(len(mixer)))
    fields = {key: getattr(stored, key) for key in STORED_FIELDS}
    fields["source"] = stored_name(place)
    return VoiceData(**fields, root=stored.root, splits=splits, scan=scan)


def learnt_from(path: str | Path) -> set[str] | None:
    """Return the digests of what was trained or validated on.

    Raises:
        DataError: the stored split is damaged.
    """
    return learnt_digests(_read(Path(path))[0].model_dump()["splits"])


def _mixer(store: SoundStore, part: StoredVoices, stored: StoredVoiceData) -> Mixer:
    if stored.layout == MIXTURES:
        return FileMixer(store, part.files, part.references or [], part.seed)
    assert part.count is not None
    assert part.level_db is not None
    return SpeechMixer(
        store,
        part.files,
        part.speakers or [],
        count=part.count,
        voices=stored.voices,
        level_db=part.level_db,
        seed=part.seed,
        background=stored.background,
    )


def _read(path: Path) -> tuple[StoredVoiceData, ScanReport]:
    return checked_split(path, StoredVoiceData, _disagreement)


def _disagreement(stored: StoredVoiceData) -> str:
    """What the splits say against each other or the source; empty where they agree."""
    VoiceFacts(rate_hz=stored.rate_hz, voices=stored.voices, seconds=stored.seconds)
    if "test" not in stored.splits:
        return "splits must contain test"
    for name, part in stored.splits.items():
        others = part.references if stored.layout == MIXTURES else part.speakers
        if others is None or not len(part.files) == len(part.digests) == len(others):
            return f"{printable(name)} must have as many voices and digests as files"
        if stored.layout == MIXTURES:
            if any(len(each) != stored.voices for each in part.references or []):
                return f"{printable(name)} must have {stored.voices} voices for each mixture"
        elif part.count is None or part.level_db is None:
            return f"{printable(name)} must say how many mixtures are made, at which levels"
        elif len(set(part.speakers or [])) < stored.voices:
            return f"{printable(name)} must have {stored.voices} speakers"
        elif stored.background not in (None, *(part.speakers or [])):
            return f"{printable(name)} must have recordings of {printable(stored.background)}"
        named = [*part.files, *(f for each in part.references or [] for f in each)]
        outside = [file for file in named if not may_name(stored.source, file)]
        if outside:
            return f"{printable(name)} names {printable(outside[0])}, which is not in the source"
    return ""
