"""Opening sounds by the split that a run stored, so that its test set is exactly its own."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from convatlas.data.audio.sound_data import (
    ORIGINAL,
    STORED_FIELDS,
    Clips,
    Loudness,
    SoundData,
    SoundFacts,
    SoundStore,
)
from convatlas.data.names import stored_name, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import (
    StoredPart,
    check_present,
    checked_split,
    learnt_digests,
    parts_disagree,
    stored_root,
)


class StoredSounds(BaseModel):
    """The whole file; keys that a newer version added are left alone."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["sounds"]
    name: StrictStr
    source: StrictStr
    root: Literal[".", ".."]
    classes: list[StrictStr] = Field(min_length=1)
    rate_hz: StrictInt
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    seed: StrictInt
    loudness: Loudness = ORIGINAL
    silence_db: float | None = None
    scan: dict[str, Any]
    splits: dict[StrictStr, StoredPart]


def load_sounds(path: str | Path, source: str | Path | None = None) -> SoundData:
    """Open the sounds as they stood when `SoundData.save` wrote this file.

    They are not read again; only that every file is still there is checked.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the stored split is damaged, or a file of it has vanished.
    """
    stored, scan = _read(Path(path))
    place = Path(true_name(stored.source) if source is None else source).resolve()
    root = stored_root(place, stored.root)
    splits = stored.model_dump()["splits"]
    check_present(path, root, splits)
    store = SoundStore(root, stored.rate_hz, stored.max_seconds, silence_db=stored.silence_db)
    fields = {key: getattr(stored, key) for key in STORED_FIELDS}
    fields |= {"classes": tuple(stored.classes), "source": stored_name(place)}
    clips = {name: Clips(part["files"], part["labels"], store) for name, part in splits.items()}
    return SoundData(**fields, root=stored.root, splits=clips, scan=scan)


def learnt_from(path: str | Path) -> set[str] | None:
    """Return the digests of what was trained or validated on.

    Raises:
        DataError: the stored split is damaged.
    """
    return learnt_digests(_read(Path(path))[0].model_dump()["splits"])


def _read(path: Path) -> tuple[StoredSounds, ScanReport]:
    return checked_split(path, StoredSounds, _disagreement)


def _disagreement(stored: StoredSounds) -> str:
    SoundFacts(**{key: getattr(stored, key) for key in SoundFacts.model_fields})
    return parts_disagree(stored.source, stored.classes, stored.splits)
